"""How much of a value's form is around a hit of a needle, line breaks, indentation and other noise aside."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import lru_cache

from container_image.audit.needles import Needle, Target
from container_image.audit.noise import SPELLED, Noise

_FIRST_LOOK = 24
_PERIOD = 24
_LETTERS = frozenset(bytes([letter]) for letter in SPELLED)


@dataclass(frozen=True, slots=True)
class Run:
    """A verified hit: `start` to `stop` in the stream hold `fraction` of a target's form."""

    target: Target
    start: int
    stop: int
    fraction: float


@lru_cache(maxsize=4096)
def _sides(target: Target, position: int) -> tuple[bytes, bytes]:
    """The form up to `position` and from there on, each without its noise.

    Both sides of the text are squeezed apart in the same way. Where `position` is inside a separator of two characters,
    its letter alone is no noise, so the two sides together are one byte longer than `target.squeezed`.
    """
    data = target.form.data
    return target.noise.squeeze(data[:position]), target.noise.squeeze(data[position:])


def measure(needle: Needle, buffer: bytes, offset: int) -> Run | None:
    """How much of the needle's form is around `offset` in `buffer`, or None if it is less than the shortest run.

    None too if all of the form is there but for one byte: that is another value which differs in one character; and if
    the part that is there is padding, as half of a value may be.
    """
    target = needle.target
    before, after = _sides(target, needle.position)
    right = _common(target.noise, after, buffer, offset, forward=True)
    left = _common(target.noise, before, buffer, offset, forward=False)
    # One more byte may be found below.
    if left + right + 1 < target.least:
        return None
    start = offset - _extent(target.noise, left, buffer, offset, forward=False)
    if left + 1 == len(before) and (first := _behind_backslash(target.noise, before[:1], buffer, start)) is not None:
        left, start = left + 1, first
    length = left + right
    if length < target.least:
        return None
    whole = len(before) + len(after)
    place = len(before)
    if length < whole and not _is_enough(needle, place - left, place + right):
        return None
    stop = offset + _extent(target.noise, right, buffer, offset, forward=True)
    if length < whole:
        squeezed = before + after
        if _is_padding(squeezed[place - left : place + right]):
            return None
        if _differs_in_one(target.noise, squeezed, buffer, (start, stop), (place - left, place + right)):
            return None
    return Run(target, start, stop, length / whole)


def _behind_backslash(noise: Noise, first: bytes, buffer: bytes, stop: int) -> int | None:
    """The offset of a form's first byte, with nothing but noise from there to `stop`, where a backslash is before it.

    Such a byte looks like the letter of a separator: in `C:\\token`, the value may begin with the `t`.
    """
    if first not in _LETTERS:
        return None
    for at in range(stop - 1, max(-1, stop - _FIRST_LOOK), -1):
        if buffer[at : at + 1] == first and noise.begin(buffer, at) < at:
            return at
        if buffer[at] not in noise.members:
            break
    return None


@lru_cache(maxsize=256)
def _places(target: Target, split: int) -> array[int]:
    """Where each byte that is not noise is in the form, and its length.

    `split` is where the form's two sides are squeezed apart, 0 for the form as a whole.
    """
    places = array("L")
    data = target.form.data
    at = 0
    for begin, end in ((0, split), (split, len(data))):
        for match in target.noise.pattern.finditer(data[begin:end]):
            places.extend(range(at, begin + match.start()))
            at = begin + match.end()
        places.extend(range(at, end))
        at = end
    places.append(len(data))
    return places


def _is_enough(needle: Needle, start: int, stop: int) -> bool:
    """Whether these squeezed bytes, with all noise between and beside them, are as many as the shortest run has."""
    target, position = needle.target, needle.position
    places = _places(target, position if target.noise.begin(target.form.data, position) < position else 0)
    first = places[start - 1] + 1 if start else 0
    return places[stop] - first >= target.run


def _is_padding(data: bytes) -> bool:
    """Whether a few bytes are all there is, over and over: zeros, a rule, filling, in any of their forms."""
    return any(data.startswith(data[period:]) for period in range(1, min(_PERIOD, len(data) // 2) + 1))


def _common(noise: Noise, expected: bytes, buffer: bytes, offset: int, *, forward: bool) -> int:
    """How many bytes of `expected` are in `buffer` from `offset` on, or up to it.

    Most hits of short needles are strays, so the first look is a short one.
    """
    room = len(buffer) - offset if forward else offset
    if not expected or not room:
        return 0
    nearest = buffer[offset if forward else offset - 1]
    if nearest != expected[0 if forward else -1] and nearest not in noise.members:
        return 0
    width = min(room, _FIRST_LOOK)
    while True:
        seen = noise.squeeze(_beside_offset(noise, buffer, offset, width, forward=forward))
        length = _common_length(expected, seen, forward=forward)
        if length < len(seen) or length == len(expected) or width >= room:
            return length
        width = min(room, 4 * width)


def _extent(noise: Noise, length: int, buffer: bytes, offset: int, *, forward: bool) -> int:
    """The fewest bytes beside `offset` that hold `length` of a form, white space and quotes included."""
    low, high = length, length
    room = len(buffer) - offset if forward else offset
    while high < room and len(noise.squeeze(_beside_offset(noise, buffer, offset, high, forward=forward))) < length:
        high = min(room, 2 * high + _FIRST_LOOK)
    while low < high:
        middle = (low + high) // 2
        if len(noise.squeeze(_beside_offset(noise, buffer, offset, middle, forward=forward))) < length:
            low = middle + 1
        else:
            high = middle
    return low


def _beside_offset(noise: Noise, buffer: bytes, offset: int, width: int, *, forward: bool) -> bytes:
    if forward:
        return buffer[offset : offset + width]
    # A separator of two characters is noise only as a whole.
    return buffer[noise.begin(buffer, offset - width) : offset]


def _common_length(expected: bytes, seen: bytes, *, forward: bool) -> int:
    low, high = 0, min(len(expected), len(seen))
    if high and expected[0 if forward else -1] != seen[0 if forward else -1]:
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        equal = expected[:middle] == seen[:middle] if forward else expected[-middle:] == seen[-middle:]
        low, high = (middle, high) if equal else (low, middle - 1)
    return low


def _differs_in_one(noise: Noise, squeezed: bytes, buffer: bytes, span: tuple[int, int], part: tuple[int, int]) -> bool:
    """Whether what lies beside `span` of the buffer is the rest of the form, but for one byte.

    `part` is what of `squeezed`, the form without noise, is in that span.
    """
    (start, stop), (first, last) = span, part
    missing_left, missing_right = first, len(squeezed) - last
    reach = 2 * (missing_left + missing_right) + 64
    if missing_left and missing_right:
        return False
    if missing_right == 1:
        near = noise.narrow(buffer[stop : stop + 4])
        return _is_word(near[:1]) and not _is_word(near[1:2])
    if missing_left == 1:
        near = noise.narrow(buffer[max(0, start - 4) : start])[-2:].rjust(2)
        return _is_word(near[1:]) and not _is_word(near[:1])
    if missing_right:
        seen = noise.squeeze(buffer[stop : stop + reach])
        return len(seen) >= missing_right and seen[1:missing_right] == squeezed[last + 1 :]
    seen = noise.squeeze(buffer[max(0, start - reach) : start])
    return len(seen) >= missing_left and seen[len(seen) - missing_left : -1] == squeezed[: first - 1]


def _is_word(data: bytes) -> bool:
    """Whether a byte could belong to a value; where none could, the value was cut short, not another one."""
    return data.isalnum() or data in (b"_", b"-")
