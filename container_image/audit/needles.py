"""The byte strings to look for.

A needle is short, because a long one is broken by the first line break. From each form of each value:

- **blocks** of b bytes, placed so that every run of the shortest length that is reported, r, holds some of them whole:
  pairs of adjacent blocks where r >= 2b, so that wrapping at any width of at least 2b leaves one of the two whole;
  single blocks elsewhere;
- **line ends**, four bytes and a line break, quote or continuation, for everything that is wrapped more narrowly; not of
  the forms that only programs write, which wrap at 60 and more.

How much of the form is there around a hit is then measured. Forms that spell every byte have no needles: what is spelled is
decoded (`spelled.py`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from container_image.audit.noise import Noise, noise_of
from container_image.forms import Form, forms

BLOCK = 8
"""b: the fewest bytes of an encoding that a block has."""

LINE_END = 4
"""Bytes before a line break that are looked for where lines are narrower than a pair of blocks."""

MIN_RUN = 12
"""The shortest run of a value that is reported, in bytes of the value, when the value is longer than that."""

_LINE_BREAK = re.compile(rb"[\r\n]+")
_NEVER_NARROW = frozenset({"base64(base64)", "base32", "base85", "utf-32"})
# Filling, as half of a value may be, is found everywhere.
_PADDING = re.compile(rb"(.)\1{7,}|(..)\2{3,}|(...)\3{2,}|(....)\4{2,}", re.DOTALL)
_BOILERPLATE = re.compile(
    rb"-----(?:BEGIN|END) [A-Z0-9 ]+-----|https?://|"
    rb"\bghp_|\bgithub_pat_|\bglpat-|\bpypi-AgEIcHlwaS5vcmc|\bnpm_|\bxox[abp]-|\bsk-(?:proj-)?|\bhf_|\bAKIA"
)


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """One form of one value of one secret: what a needle stands for.

    `run` is r, the shortest run worth reporting; `least` is how much of `squeezed`, the form without what is noise in it,
    the noisiest such run holds.
    """

    secret: str
    version: int
    form: Form
    noise: Noise
    squeezed: bytes
    run: int
    least: int
    environment: str | None = None

    def __repr__(self) -> str:
        return f"Target({self.secret!r}, {self.form.name!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Needle:
    """`length` bytes of a target's form from `position`, with one of `ends` behind them."""

    target: Target
    position: int
    length: int
    ends: tuple[bytes, ...] = (b"",)

    @property
    def literal(self) -> bytes:
        """The bytes to look for, what ends the line aside."""
        return self.target.form.data[self.position : self.position + self.length]

    def __repr__(self) -> str:
        return f"Needle({self.target!r}, {self.position}, {self.length})"


def targets(
    secret: str, version: int, value: bytes, *, whole_only: bool = False, environment: str | None = None
) -> list[Target]:
    """A value's forms as targets. `whole_only` reports nothing less than all of it."""
    found = []
    for form in forms(value):
        if form.spelled:
            continue
        noise = noise_of(form)
        squeezed = noise.squeeze(form.data)
        source = len(form.data) / form.expansion
        share = 1.0 if whole_only else min(1.0, max(MIN_RUN, ceil(source / 2)) / source)
        if squeezed:
            # Rounded first: 122 / 243 * 243 is a little more than 122.
            run = ceil(round(share * len(form.data), 6))
            least = len(squeezed) if share == 1.0 else run - _most_noise(noise, form.data, run)
            found.append(Target(secret, version, form, noise, squeezed, run, least, environment))
    return found


def _most_noise(noise: Noise, data: bytes, run: int) -> int:
    """The most bytes that squeezing takes out of any `run` adjacent bytes."""
    places = [place for match in noise.pattern.finditer(data) for place in range(*match.span())]
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
    padding = [match.span() for match in _PADDING.finditer(data)]
    avoided = breaks + padding + [match.span() for match in _BOILERPLATE.finditer(data)]
    avoided.sort()
    paired = run >= 2 * block
    extent = 2 * block if paired else block
    chosen: set[int] = set()
    for position in _spread(len(data), extent, run):
        start = _beside(position, extent, avoided, len(data))
        if start is None:
            start = _beside(position, block, sorted(breaks + padding), len(data))
            chosen.update([] if start is None else [start])
            continue
        chosen.add(start)
        if paired:
            chosen.add(start + block)
    for position in sorted(chosen) or range(0, len(data) - block + 1, block):
        yield Needle(target, position, block)
    if target.form.family not in _NEVER_NARROW:
        yield from _line_ends(target, 2 * block, run, {start for start, _ in breaks})


def _line_ends(target: Target, widest: int, run: int, breaks: set[int]) -> Iterator[Needle]:
    """Line ends for widths below `widest`: as many adjacent positions as the widest such line is long.

    Whatever the width and wherever the first line ends, one of the positions is the end of a line. The value's own
    line ends are added, a run's length apart, for values whose lines are all short. What ends a line otherwise than
    with a break (a quote, a continuation) is looked for near the value's beginning only.
    """
    data, noise = target.form.data, target.noise
    # A form of 10 digits may be cut behind the third: neither side holds a block, nor the first one four bytes.
    short = len(data) < BLOCK + LINE_END
    length = (LINE_END - short) * noise.width
    span = widest + length
    first = set(range(length, min(len(data), span) + 1))
    ends = set(first)
    for start in _spread(len(data), min(len(data), span), max(run, span)):
        ends.update(range(start + length, min(start + span, len(data)) + 1))
    last = -run
    for end in sorted(breaks):
        if end - last >= run // 2 or end - last < 0:
            ends.add(end)
            last = end
    for end in sorted(ends):
        literal = data[end - length : end]
        if end < length or len(set(noise.squeeze(literal))) < 2 or end % noise.width:
            continue
        yield Needle(target, end - length, length, noise.breaks + (noise.others if end in first else ()))


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
