"""Streams that inflate to themselves, with their header: whoever opens them has the same again, without end.

The program is that of R. Cox's "Zip Files All The Way Down", without a trailer: stored blocks that print what follows, and
blocks that print again what was just printed, each five bytes long (RFC 1951, 3.2.4 to 3.2.6). It has no last block.
"""

from __future__ import annotations

from bisect import bisect_right

_UNIT = 5
_LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59]
_LENGTH_BITS = [0] * 8 + [1] * 4 + [2] * 4 + [3] * 4
_DISTANCES = [1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49]
_DISTANCE_BITS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
_FIXED, _END = "010", "0000000"


def quine(header: bytes) -> bytes:
    """A raw deflate stream behind a header of some whole units; it inflates to all of that."""
    units = len(header) // _UNIT + 1
    one, four, again, last = _print(1), _print(4), _repeat(units), _repeat(4)
    program = [_print(units), header, _print(units), again, one, again, one, one, four, again, one, one, four, last]
    return header + b"".join([*program, four, last, four, last, four, last, four, *[_print(0)] * 4])


def _print(units: int) -> bytes:
    size = units * _UNIT
    return b"\0" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")


def _repeat(units: int) -> bytes:
    size = units * _UNIT
    whole = _FIXED + _match(size, size) + _END
    halves = _FIXED + _match(size // 2, size) + _match(size - size // 2, size) + _END
    # Two zero bits may be left: they begin the stored block that follows.
    bits = next(bits for bits in (whole, halves, whole + _FIXED + _END) if 38 <= len(bits) <= 40)
    return int(bits[::-1], 2).to_bytes(_UNIT, "little")


def _match(length: int, distance: int) -> str:
    size, back = bisect_right(_LENGTHS, length) - 1, bisect_right(_DISTANCES, distance) - 1
    return (
        f"{size + 1:07b}{_extra(length - _LENGTHS[size], _LENGTH_BITS[size])}"
        f"{back:05b}{_extra(distance - _DISTANCES[back], _DISTANCE_BITS[back])}"
    )


def _extra(number: int, width: int) -> str:
    return f"{number:0{width}b}"[::-1] if width else ""
