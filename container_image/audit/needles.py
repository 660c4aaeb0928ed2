"""The byte strings to look for, and how a hit on one is verified and measured.

A needle is short, because a long one is broken by the first line break. From each form of each value:

- **blocks** of b bytes, placed so that every run of the shortest length that is reported, r, holds some of them whole:
  pairs of adjacent blocks where r >= 2b, so that wrapping at any width of at least 2b leaves one of the two whole;
  single blocks elsewhere;
- **line ends**, four bytes and a line break, for everything that is wrapped more narrowly.

A hit is then measured: how much of the form is there around it, white space, quotes and continuations aside?
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from container_image.forms import Form, forms

BLOCK = 8
"""b: the fewest bytes of an encoding that a block has."""

LINE_END = 4
"""Bytes before a line break that are looked for where lines are narrower than a pair of blocks."""

MIN_RUN = 12
"""The shortest run of a value that is reported, in bytes of the value, when the value is longer than that."""

# What a writer puts between two pieces of a value that it splits: line breaks (also spelled, in a JSON string),
# indentation, quotes, concatenation and continuation.
_NOISE = re.compile(rb"\\[nrt]|[\t\n\r \"'\\+]")
_NOISE_BYTES = frozenset(b"\t\n\r \"'\\+nrt")
_LINE_BREAK = re.compile(rb"[\r\n]+")
_WRAPPED_EXPANSION = 2.5
_FIRST_LOOK = 24
_BOILERPLATE = re.compile(
    rb"-----(?:BEGIN|END) [A-Z0-9 ]+-----|https?://|"
    rb"\bghp_|\bgithub_pat_|\bglpat-|\bpypi-AgEIcHlwaS5vcmc|\bnpm_|\bxox[abp]-|\bsk-(?:proj-)?|\bhf_|\bAKIA"
)


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """One form of one value of one secret: what a needle stands for.

    `least` is r, the shortest run worth reporting, counted in `squeezed`, the form without its white space.
    """

    secret: str
    version: int
    form: Form
    squeezed: bytes
    least: int

    def __repr__(self) -> str:
        return f"Target({self.secret!r}, {self.form.name!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Needle:
    """`length` bytes of a target's form from `position`; with `line_end`, a line break follows them."""

    target: Target
    position: int
    length: int
    line_end: bool = False

    @property
    def literal(self) -> bytes:
        """The bytes to look for, the line break aside."""
        return self.target.form.data[self.position : self.position + self.length]

    def __repr__(self) -> str:
        return f"Needle({self.target!r}, {self.position}, {self.length})"


def squeeze(data: bytes) -> bytes:
    """The bytes without what a writer may put between two pieces of a value."""
    return _NOISE.sub(b"", data)


def targets(secret: str, version: int, value: bytes, *, whole_only: bool = False) -> list[Target]:
    """A value's forms as targets. `whole_only` reports nothing less than all of it."""
    found = []
    for form in forms(value):
        squeezed = squeeze(form.data)
        source = len(form.data) / form.expansion
        share = 1.0 if whole_only else min(1.0, max(MIN_RUN, ceil(source / 2)) / source)
        if squeezed:
            run = ceil(share * len(form.data))
            least = len(squeezed) if share == 1.0 else run - _most_noise(form.data, run)
            found.append(Target(secret, version, form, squeezed, least))
    return found


def _most_noise(data: bytes, run: int) -> int:
    """The most bytes that squeezing takes out of any `run` adjacent bytes."""
    places = [place for match in _NOISE.finditer(data) for place in range(*match.span())]
    most = first = 0
    for last, place in enumerate(places):
        while place - places[first] >= run:
            first += 1
        most = max(most, last - first + 1)
    return most


def needles(target: Target) -> Iterator[Needle]:
    """The needles of one target, by the rule above. Every run of `target.least` bytes holds at least one."""
    data = target.form.data
    block = min(len(data), max(BLOCK, ceil(4 * target.form.expansion)))
    # Runs are counted without white space; with it they are at least as long.
    run = max(block, target.least)
    breaks = [match.span() for match in _LINE_BREAK.finditer(data)]
    avoided = breaks + [match.span() for match in _BOILERPLATE.finditer(data)]
    avoided.sort()
    paired = run >= 2 * block
    extent = 2 * block if paired else block
    chosen: set[int] = set()
    for position in _spread(len(data), extent, run):
        start = _beside(position, extent, avoided, len(data))
        if start is None:
            start = _beside(position, block, breaks, len(data))
            chosen.update([] if start is None else [start])
            continue
        chosen.add(start)
        if paired:
            chosen.add(start + block)
    for position in sorted(chosen):
        yield Needle(target, position, block)
    if target.form.expansion <= _WRAPPED_EXPANSION:
        yield from _line_ends(target, 2 * block, run, {start for start, _ in breaks})


def _line_ends(target: Target, widest: int, run: int, breaks: set[int]) -> Iterator[Needle]:
    """Line ends for widths below `widest`: as many adjacent positions as the widest such line is long.

    Whatever the width and wherever the first line ends, one of the positions is the end of a line. The value's own
    line ends are added, a run's length apart, for values whose lines are all short.
    """
    data = target.form.data
    span = widest + LINE_END
    ends: set[int] = set()
    for start in _spread(len(data), min(len(data), span), max(run, span)):
        ends.update(range(start + LINE_END, min(start + span, len(data)) + 1))
    last = -run
    for end in sorted(breaks):
        if end - last >= run // 2 or end - last < 0:
            ends.add(end)
            last = end
    for end in sorted(ends):
        literal = data[end - LINE_END : end]
        if end >= LINE_END and not _NOISE.search(literal) and len(set(literal)) > 1:
            yield Needle(target, end - LINE_END, LINE_END, line_end=True)


def _spread(length: int, extent: int, run: int) -> list[int]:
    """Starts of pieces of `extent` bytes such that every run of `run` bytes out of `length` holds a piece."""
    last = max(0, length - extent)
    return [*range(0, last, max(1, run - extent + 1)), last]


def _beside(position: int, extent: int, avoided: Sequence[tuple[int, int]], length: int) -> int | None:
    """The start nearest to `position` of `extent` bytes that touch none of the spans, within a line's reach."""
    for distance in range(extent + 1):
        for start in (position - distance, position + distance):
            if 0 <= start <= length - extent and not _touches(start, start + extent, avoided):
                return start
    return None


def _touches(start: int, stop: int, spans: Sequence[tuple[int, int]]) -> bool:
    index = bisect_left(spans, (stop, 0)) - 1
    return index >= 0 and spans[index][1] > start


@dataclass(frozen=True, slots=True)
class Run:
    """A verified hit: `start` to `stop` in the stream hold `fraction` of a target's form."""

    target: Target
    start: int
    stop: int
    fraction: float


@lru_cache(maxsize=4096)
def _sides(target: Target, position: int) -> tuple[bytes, bytes]:
    data = target.form.data
    return squeeze(data[:position]), squeeze(data[position:])


def measure(needle: Needle, buffer: bytes, offset: int) -> Run | None:
    """How much of the needle's form is around `offset` in `buffer`, or None if it is less than the shortest run.

    None too if all of the form is there but for one byte: that is another value which differs in one character.
    """
    target = needle.target
    before, after = _sides(target, needle.position)
    right = _common(after, buffer, offset, forward=True)
    left = _common(before, buffer, offset, forward=False)
    length = left + right
    if length < target.least:
        return None
    start = offset - _extent(left, buffer, offset, forward=False)
    stop = offset + _extent(right, buffer, offset, forward=True)
    whole = len(target.squeezed)
    if length < whole and _differs_in_one(target, buffer, start, stop, left, right, before):
        return None
    return Run(target, start, stop, length / whole)


def _common(expected: bytes, buffer: bytes, offset: int, *, forward: bool) -> int:
    """How many bytes of `expected` are in `buffer` from `offset` on, or up to it.

    Most hits of short needles are strays, so the first look is a short one.
    """
    room = len(buffer) - offset if forward else offset
    if not expected or not room:
        return 0
    nearest = buffer[offset if forward else offset - 1]
    if nearest != expected[0 if forward else -1] and nearest not in _NOISE_BYTES:
        return 0
    width = min(room, _FIRST_LOOK)
    while True:
        seen = squeeze(_beside_offset(buffer, offset, width, forward=forward))
        length = _common_length(expected, seen, forward=forward)
        if length < len(seen) or length == len(expected) or width >= room:
            return length
        width = min(room, 4 * width)


def _extent(length: int, buffer: bytes, offset: int, *, forward: bool) -> int:
    """The fewest bytes beside `offset` that hold `length` of a form, white space and quotes included."""
    low, high = length, length
    room = len(buffer) - offset if forward else offset
    while high < room and len(squeeze(_beside_offset(buffer, offset, high, forward=forward))) < length:
        high = min(room, 2 * high + _FIRST_LOOK)
    while low < high:
        middle = (low + high) // 2
        if len(squeeze(_beside_offset(buffer, offset, middle, forward=forward))) < length:
            low = middle + 1
        else:
            high = middle
    return low


def _beside_offset(buffer: bytes, offset: int, width: int, *, forward: bool) -> bytes:
    if forward:
        return buffer[offset : offset + width]
    start = offset - width
    # An escape such as backslash and n is noise only as a pair.
    if start > 0 and buffer[start - 1] == 0x5C and buffer[start] in b"nrt":
        start -= 1
    return buffer[start:offset]


def _common_length(expected: bytes, seen: bytes, *, forward: bool) -> int:
    low, high = 0, min(len(expected), len(seen))
    if high and expected[0 if forward else -1] != seen[0 if forward else -1]:
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        equal = expected[:middle] == seen[:middle] if forward else expected[-middle:] == seen[-middle:]
        low, high = (middle, high) if equal else (low, middle - 1)
    return low


def _differs_in_one(target: Target, buffer: bytes, start: int, stop: int, left: int, right: int, before: bytes) -> bool:
    squeezed = target.squeezed
    first, last = len(before) - left, len(before) + right
    missing_left, missing_right = first, len(squeezed) - last
    reach = 2 * (missing_left + missing_right) + 64
    if missing_left and missing_right:
        return False
    if missing_right == 1:
        return _is_word(buffer[stop : stop + 1]) and not _is_word(buffer[stop + 1 : stop + 2])
    if missing_left == 1:
        return _is_word(buffer[start - 1 : start]) and not _is_word(buffer[max(0, start - 2) : max(0, start - 1)])
    if missing_right:
        seen = squeeze(buffer[stop : stop + reach])
        return len(seen) >= missing_right and seen[1:missing_right] == squeezed[last + 1 :]
    seen = squeeze(buffer[max(0, start - reach) : start])
    return len(seen) >= missing_left and seen[len(seen) - missing_left : -1] == squeezed[: first - 1]


def _is_word(data: bytes) -> bool:
    """Whether a byte could belong to a value; where none could, the value was cut short, not another one."""
    return data.isalnum() or data in (b"_", b"-")
