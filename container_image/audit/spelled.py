"""Text that stands for bytes: base64, hexadecimal digits, and every way to write each byte on its own.

A run of it is a stream like a compressed one: it is decoded, and what comes out is searched, and looked into, again. So a
value is found in a dump or an array of numbers, and a compressed file or UTF-16 text inside base64.

Runs of base64 and plain hexadecimal digits are everywhere, in names and digests: one is decoded if it is 40 digits long, and
what they stand for looks like text or begins a format that is opened. The value itself, encoded once, has needles.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Protocol

MIN_DIGITS = 40
"""The shortest run of base64 or hexadecimal digits that is decoded, on one line."""

MIN_UNITS = 8
"""The fewest bytes that are decoded where each is written on its own: the shortest value has as many."""

_URLSAFE = bytes.maketrans(b"-_", b"+/")
_DIGITS = rb"[A-Za-z0-9+/_-]"
_IS_DIGIT = bytes(bool(re.match(_DIGITS, bytes([byte]))) for byte in range(256))
_RUN = b"\1" * MIN_DIGITS
_HEX = re.compile(rb"[0-9a-f]+|[0-9A-F]+")
_READABLE = bytes({0, 9, 10, 13, *range(32, 127)})
_SHARE = 0.75
_SPELLED_BREAK = re.compile(rb"\\[nrt]")

# Between two pieces of one text: a line break, plain or spelled, with indentation, quotes and what joins or continues strings.
_BREAK = rb"(?:[ \t]*(?:[\"'`][ \t]*[+.,]?|\\)?[ \t]*(?:\r?\n|\\r\\n|\\n)[ \t]*(?:(?:[+.][ \t]*)?[\"'`])?)"
_JOINED = re.compile(_BREAK + rb"(?=" + _DIGITS + rb")")
# JSON writers may put a backslash before a slash.
_ESCAPED_SLASH = re.compile(rb"\\(?=/)")
_LONGEST_BREAK = 256
_LONGEST_LINE = 4096
_DIGITS_BEFORE = re.compile(_DIGITS + rb"*\Z")
_NO_DIGIT = re.compile(rb"[^A-Za-z0-9+/_-]+")


def runs(buffer: bytes, scanned: int) -> Iterator[int]:
    """Where runs of at least 40 digits of base64 or base64url begin, of those that were not whole in `buffer[:scanned]`."""
    start = max(0, scanned - MIN_DIGITS + 1)
    classes = buffer[start:].translate(_IS_DIGIT)
    at = classes.find(_RUN)
    while at >= 0:
        # A run that goes on from before `start` was seen then.
        if at or not start or not _IS_DIGIT[buffer[start - 1]]:
            yield start + at
        stop = classes.find(b"\0", at)
        if stop < 0:
            return
        at = classes.find(_RUN, stop)


def digits_at(buffer: bytes, at: int, begins_stream: Callable[[bytes], bool]) -> tuple[str, int] | None:
    """Which digits the run at `at` is made of, and how far behind `at` they begin; None if it stands for nothing.

    `begins_stream` tells whether some bytes begin a format that is opened.
    """
    skip = _escaped(buffer, at) if at and buffer[at - 1] == 0x5C else 0
    sample = buffer[at + skip : at + skip + MIN_DIGITS]
    if skip:
        sample = _NO_DIGIT.sub(b"", sample)
    kind = "hex" if _HEX.fullmatch(sample) else "base64"
    group, decode, _ = _DIGIT_KINDS[kind]
    data = decode(sample[: len(sample) // group * group])
    return (kind, skip) if _is_readable(data) or begins_stream(data) else None


def _escaped(buffer: bytes, at: int) -> int:
    """How far from a run behind a backslash its text begins: there may be more of it, or the letter is not its own."""
    skip = 0
    while at + skip and buffer[at + skip - 1] == 0x5C and buffer[at + skip] == 0x2F:
        before = _DIGITS_BEFORE.search(buffer, max(0, at + skip - 1 - _LONGEST_LINE), at + skip - 1)
        skip = (before.start() if before else at + skip - 1) - at
    if at + skip and _SPELLED_BREAK.match(buffer, at + skip - 1):
        skip += 1
    return skip


class Decoder(Protocol):
    """Decodes one text, pushed in pieces: what it can't decode before more is there, it keeps.

    `eof` is true when the text is over; `consumed` is how long it is.
    """

    eof: bool
    consumed: int

    def feed(self, data: bytes) -> bytes:
        """What the next piece gives."""
        ...

    def flush(self) -> bytes:
        """What is left when there is no more."""
        ...


class Digits:
    """Decodes one text of base64 or hexadecimal digits, wrapped or not.

    It ends at its padding, or with a line that is shorter than the first.
    """

    def __init__(self, kind: str) -> None:
        self._group, self._of, self._digit_run = _DIGIT_KINDS[kind]
        self.eof = False
        self.consumed = 0
        self._held = b""
        self._digits = b""
        self._column = 0
        self._width: int | None = None

    def feed(self, data: bytes) -> bytes:
        return self._decode(self._held + data, final=False)

    def flush(self) -> bytes:
        return self._decode(self._held, final=True)

    def _decode(self, buffer: bytes, *, final: bool) -> bytes:
        pieces = [self._digits]
        at = 0
        while not self.eof:
            if (run := self._digit_run.match(buffer, at)) is not None:
                pieces.append(run[0])
                self._column += run.end() - at
                at = run.end()
            if not final and len(buffer) - at < _LONGEST_BREAK:
                break
            slash = _ESCAPED_SLASH.match(buffer, at)
            if slash is not None:
                at = slash.end()
                continue
            joined = _JOINED.match(buffer, at)
            if joined is None or self._column != (self._width or self._column):
                self.eof = True
            else:
                self._width, self._column = self._column, 0
                at = joined.end()
        self._held = buffer[at:]
        self.consumed += at
        digits = b"".join(pieces)
        whole = len(digits) if self.eof else len(digits) // self._group * self._group
        self._digits = digits[whole:]
        # A last group of one digit stands for nothing.
        whole -= whole % self._group == 1
        return self._of(digits[:whole])


def _from_base64(digits: bytes) -> bytes:
    return binascii.a2b_base64(digits.translate(_URLSAFE) + b"=" * (-len(digits) % 4))


# How many digits make whole bytes, how they are decoded, and which they are.
_DIGIT_KINDS: dict[str, tuple[int, Callable[[bytes], bytes], re.Pattern[bytes]]] = {
    "hex": (2, binascii.unhexlify, re.compile(rb"[0-9A-Fa-f]+")),
    "base64": (4, _from_base64, re.compile(_DIGITS + rb"+")),
}


class Ascii85:
    """Decodes one text of base 85 as PostScript and PDF write it, to the `~` that ends it."""

    def __init__(self) -> None:
        self.eof = False
        self.consumed = 0
        self._digits = b""

    def feed(self, data: bytes) -> bytes:
        return self._decode(data, final=False)

    def flush(self) -> bytes:
        return self._decode(b"", final=True)

    def _decode(self, data: bytes, *, final: bool) -> bytes:
        text, end, _ = data.partition(b"~")
        self.consumed += len(text)
        self.eof = final or bool(end)
        digits = self._digits + text.translate(None, delete=b" \t\r\n\f\0").replace(b"z", b"!!!!!")
        whole = len(digits) if self.eof else len(digits) // 5 * 5
        self._digits = digits[whole:]
        try:
            return base64.a85decode(digits[:whole])
        except ValueError:
            self.eof = True
            return b""


@dataclass(frozen=True, slots=True, eq=False)
class Spelling:
    """One way to write bytes one by one.

    `begins` is what its run begins with, for Hyperscan, of at most `length` bytes; `unit` is one byte or character, and
    may look at what follows; `decode` gets the units of a piece of a run. `same` is what else a run begins with.
    """

    kind: str
    begins: bytes
    length: int
    unit: bytes
    decode: Callable[[list[bytes]], bytes]
    same: re.Pattern[bytes] | None = None


def _from_hex(units: list[bytes]) -> bytes:
    return binascii.unhexlify(b"".join(unit.rjust(2, b"0") for unit in units))


def _from_decimal(units: list[bytes]) -> bytes:
    return bytes(map(int, units))


def _from_octal(units: list[bytes]) -> bytes:
    return bytes(int(unit, 8) & 0xFF for unit in units)


def _from_utf16(units: list[bytes]) -> bytes:
    text = binascii.unhexlify(b"".join(unit.rjust(4, b"0") for unit in units))
    return text.decode("utf-16-be", "replace").encode("utf-8", "replace")


def _from_references(units: list[bytes]) -> bytes:
    numbers = (int(unit[1:], 16) if unit[:1] in b"xX" else int(unit) for unit in units)
    return "".join(chr(number) for number in numbers if number < 0x110000).encode("utf-8", "replace")


_X = rb"[0-9A-Fa-f]"
# A dump's line of 16 bytes ends with what they look like as text, if that, and the next one begins with its offset: xxd,
# hexdump -C, od, curl --trace.
_DUMP_BREAK = rb"(?:  ?\|[^\n]{16}\||  ?[^\n]{0,16})?\n(?:%b{4,8}:|%b{6,8}) {1,2}" % (_X, _X)
_GLUE = rb"(?:[\s\"'`+,;:.\\-]{1,40}|\\[nrt]|" + _DUMP_BREAK + rb")"
_PAIR = rb"(%b{2})(?![0-9A-Za-z])" % _X
_PAIR_OF_TWO = rb"(%b{2})(?:(?![0-9A-Za-z])|(?=%b{2}(?![0-9A-Za-z])))" % (_X, _X)
_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

# What a run of numbers begins with: four of them that may be characters; tables of other numbers have few such places.
_TEN_OR_MORE = rb"(?:1[0-9]{2}|2[0-5][0-9]|[0-9]{2})"
_SAME = re.compile(rb"%b{2}([ :,-])(?:%b{2}\1){2}" % (_X, _X))

SPELLINGS = (
    Spelling("hex", rb"\\x%b{2}\\x%b{2}" % (_X, _X), 8, rb"\\{1,4}x(%b{2})" % _X, _from_hex),
    Spelling("hex", rb"0[xX]%b{2}, ?0[xX]" % _X, 8, rb"0[xX](%b{1,2})(?!%b)(?=.)" % (_X, _X), _from_hex),
    Spelling("hex", rb"%b{2}(?:[ :,-]%b{2}){3}" % (_X, _X), 11, _PAIR, _from_hex, _SAME),
    Spelling("hex", rb"%b{4}(?: %b{4}){2}" % (_X, _X), 14, _PAIR_OF_TWO, _from_hex),
    Spelling("percent", rb"%%%b{2}%%(?:25)?%b{2}" % (_X, _X), 8, rb"%%(?:25)*(%b{2})" % _X, _from_hex),
    Spelling("quoted-printable", rb"=%b{2}=%b{2}" % (_X, _X), 6, rb"=(%b{2})" % _X, _from_hex),
    Spelling("octal", rb"\\[0-3][0-7]{2}\\[0-3][0-7]{2}", 8, rb"\\{1,4}([0-3][0-7]{2})", _from_octal),
    Spelling("unicode-escape", rb"\\u00%b{2}\\{1,4}u00%b{2}" % (_X, _X), 15, rb"\\{1,4}u(%b{4})" % _X, _from_utf16),
    Spelling("unicode-escape", rb"\\u\{%b{2,4}\}\\u\{" % _X, 11, rb"\\u\{(%b{1,4})\}" % _X, _from_utf16),
    Spelling("xml", rb"&#(?:[0-9]{2,3}|x%b{2});&#" % _X, 8, rb"&#([0-9]{1,7}|[xX]%b{1,6});" % _X, _from_references),
    Spelling("decimal", rb"(?:%b[,\s]\s{0,16}){4}" % _TEN_OR_MORE, 80, rb"(?<![0-9])(%b)(?![0-9.])(?=.)" % _OCTET, _from_decimal),
)  # fmt: skip


class Spelled:
    """Decodes one run of bytes that are each written on their own."""

    def __init__(self, spelling: Spelling) -> None:
        self.eof = False
        self.consumed = 0
        self._spelling = spelling
        self._unit = _units(spelling)
        self._run = _units(spelling, b"*")
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        return self._decode(self._held + data, final=False)

    def flush(self) -> bytes:
        # Behind a number there must be something else, or it might go on.
        return self._decode(self._held + b"\0", final=True)

    def _decode(self, buffer: bytes, *, final: bool) -> bytes:
        match = self._run.match(buffer)
        stop = match.end() if match else 0
        self._held = buffer[stop:]
        self.consumed += stop
        self.eof = final or len(self._held) > _LONGEST_BREAK
        # Behind the last unit is what it looked at.
        return self._spelling.decode(self._unit.findall(buffer, 0, stop + 1))


@cache
def _units(spelling: Spelling, times: bytes = b"") -> re.Pattern[bytes]:
    """One unit, or so many, each with what may stand before it."""
    return re.compile(rb"(?:%b?%b)%b" % (_GLUE, spelling.unit, times), re.DOTALL)


def is_spelled(spelling: Spelling, buffer: bytes, at: int) -> bool:
    """Whether at least eight bytes are spelled at `at`; `buffer` holds what follows, up to a header's length.

    Pairs of digits have one separator between them, which times and dates have not.
    """
    if spelling.same is not None and not spelling.same.match(buffer, at):
        return False
    return _units(spelling, b"{%d}" % MIN_UNITS).match(buffer, at) is not None


def _is_readable(data: bytes) -> bool:
    return len(data.translate(None, delete=_READABLE)) <= (1 - _SHARE) * len(data)
