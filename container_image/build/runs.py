"""Finds parts of known byte strings in streams, however a stream is cut into pieces.

A part that identifies the value in a pattern is a run. The text is compared with the patterns' windows (`pattern.py`),
and around a window that is found, the match is followed in both directions.

One expression for all patterns is no alternative: for a value of 300 KB in all its forms, that took 19 s to compile.
Probing with `isdisjoint` on a view of 4-byte integers reads some 50 MB/s of text in plain Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from sys import byteorder

from container_image.build.pattern import STEP, Pattern

_MOST_WINDOWS = 500_000
"""Windows of one index, at most: some 100 MB. Above it, the largest patterns have fewer, and only longer runs are found."""

_BLOCK = 4096
_FIRST_LOOK = 32
_ALWAYS_EXACT = 8 << 20
"""Bytes of patterns that can be compared with the end of the text each time: 8 MB take some milliseconds."""

_HEAD = 10
"""Bytes of a pattern's beginning that need not hold one of its first windows."""


@dataclass(slots=True)
class Stream:
    """The end of a stream that is not shown yet. Positions count from the stream's beginning; `base` is that of the buffer.

    The key of a match is its pattern's number, and the position where all of the pattern would begin. An `open` match
    reaches the end of the buffer and may go on. A `closed` one has ended, and `runs` has what was a run of it.
    """

    buffer: bytes = b""
    base: int = 0
    open: dict[tuple[int, int], int] = field(default_factory=dict)
    closed: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    runs: set[tuple[int, int, int]] = field(default_factory=set)

    @property
    def end(self) -> int:
        """The position behind the last byte."""
        return self.base + len(self.buffer)


class Runs:
    """An index of patterns. Streams are read with `add`, and shown with `take`."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        self._index: dict[bytes, int | tuple[int, ...]] = {}
        self._short = _Short(patterns)
        most = _most_windows(patterns)
        self._reach = max((pattern.reach(most) for pattern in patterns), default=0)
        for number, pattern in enumerate(patterns):
            if len(pattern.data) >= self._short.below:
                self._add(number, pattern, most)
        self._widths = sorted({len(window) for window in self._index}) or [STEP]
        self._heads = frozenset(int.from_bytes(window[:STEP], byteorder) for window in self._index)
        whole = [pattern.data for pattern in patterns if pattern.evidence is None]
        self._prefixes = {data[:size] for data in whole for size in range(1, min(_HEAD + 1, len(data)))}
        cut = [pattern.data for pattern in patterns if pattern.evidence is not None]
        self._exact = sum(map(len, cut)) <= _ALWAYS_EXACT
        self._cut = [b"\xff\xfe\xff".join(data[:-1] for data in cut)] if self._exact else cut
        self._holds_short = lru_cache(maxsize=1 << 14)(self._holds)

    def add(self, stream: Stream, data: bytes) -> None:
        """Reads more of a stream."""
        before = stream.end
        stream.buffer += data
        self._grow(stream, before, data)
        self._short.find(stream, before)
        for position in self._probe(stream, before):
            self._look(stream, position)

    def unsure(self, stream: Stream, *, exact: bool) -> int:
        """Where the end of the text begins that may be a part of a run, depending on what follows.

        If it need not be `exact` and the patterns are large, the result may be some hundred bytes too early.
        """
        starts = list(stream.open.values())
        tail = stream.buffer[-_HEAD:]
        size = next((size for size in range(len(tail), 0, -1) if tail[-size:] in self._prefixes), 0)
        if self._reach:
            # The exact size may be more than the reach, because public parts and filling have no windows.
            exact = exact or self._exact
            size = max(size, self._held_size(stream.buffer) if exact else min(self._reach, len(stream.buffer)))
        return min([*starts, stream.end - size])

    def take(self, stream: Stream, stop: int) -> tuple[bytes, list[tuple[int, int, list[str]]]]:
        """Takes the text before `stop`, or less if a run goes on behind it: its bytes, and where in them which runs are."""
        if stop == stream.base:
            return b"", []
        for first, last, _ in sorted(stream.runs, key=lambda run: run[1], reverse=True):
            stop = first if first < stop < last else stop
        taken, base = stream.buffer[: stop - stream.base], stream.base
        found = [(first - base, last - base, names) for first, last, names in self._joined(stream.runs) if last <= stop]
        stream.buffer, stream.base = stream.buffer[len(taken) :], stop
        stream.runs = {run for run in stream.runs if run[1] > stop}
        stream.closed = {match: span for match, span in stream.closed.items() if span[1] > stop}
        return taken, found

    def close(self, stream: Stream) -> None:
        """Judges what is open, because nothing follows."""
        for match, start in stream.open.items():
            self._judge(stream, match, start, stream.end)
        stream.open.clear()

    def _joined(self, runs: set[tuple[int, int, int]]) -> Iterator[tuple[int, int, list[str]]]:
        """Joins overlapping runs, and their names. A run inside another one is left out."""
        joined: tuple[int, int, list[str]] | None = None
        for start, stop, number in sorted(runs, key=lambda run: (run[0], -run[1], run[2])):
            name = self._patterns[number].name
            if joined is None or start >= joined[1]:
                if joined is not None:
                    yield joined
                joined = start, stop, [name]
            elif stop > joined[1]:
                names = joined[2] if name == joined[2][-1] else [*joined[2], name]
                joined = joined[0], stop, names
        if joined is not None:
            yield joined

    def _add(self, number: int, pattern: Pattern, most: int) -> None:
        data, width, index = pattern.data, pattern.width, self._index
        for offset in pattern.offsets(most):
            window, code = data[offset : offset + width], number << 32 | offset
            others = index.setdefault(window, code)
            if others is not code:
                index[window] = (*others, code) if isinstance(others, tuple) else (others, code)

    def _probe(self, stream: Stream, before: int) -> Iterator[int]:
        """Positions, at every fourth byte, where a window may be."""
        buffer, base = stream.buffer, stream.base
        # The last windows were not complete before.
        first = max(0, before - base - self._widths[-1] + 1)
        first += -(base + first) % STEP
        view = memoryview(buffer)
        for start in range(first, len(buffer) - STEP + 1, _BLOCK):
            stop = start + min(_BLOCK, (len(buffer) - start) // STEP * STEP)
            words = view[start:stop].cast("I")
            if not self._heads.isdisjoint(words):
                for place, word in enumerate(words):
                    if word in self._heads:
                        yield base + start + STEP * place

    def _look(self, stream: Stream, position: int) -> None:
        at = position - stream.base
        for width in self._widths:
            codes = self._index.get(stream.buffer[at : at + width])
            if codes is None:
                continue
            for code in codes if isinstance(codes, tuple) else (codes,):
                number, offset = code >> 32, code & 0xFFFFFFFF
                match = number, position - offset
                start, stop = stream.closed.get(match, (0, 0))
                if match not in stream.open and not start <= position < stop:
                    self._measure(stream, match, position)

    def _measure(self, stream: Stream, match: tuple[int, int], position: int) -> None:
        """Follows a match around a window in both directions."""
        number, origin = match
        pattern, buffer = self._patterns[number], stream.buffer
        data, at, offset = pattern.data, position - stream.base, position - origin
        room = min(at, offset)
        look = min(room, _FIRST_LOOK)
        before = _common_end(buffer[at - look : at], data[offset - look : offset])
        if before == _FIRST_LOOK:
            before = _common_end(buffer[at - room : at], data[offset - room : offset])
        if pattern.evidence is None and before < offset:
            return
        after = _common(buffer[at : at + _FIRST_LOOK], data[offset : offset + _FIRST_LOOK])
        if after == _FIRST_LOOK:
            after = _common(buffer[at:], data[offset:])
        start, stop = position - before, position + after
        if stop == stream.end and stop - origin < len(data):
            if start == origin or len(data) - (start - origin) >= pattern.least:
                stream.open[match] = start
        else:
            self._judge(stream, match, start, stop)

    def _grow(self, stream: Stream, before: int, data: bytes) -> None:
        """Follows the open matches into new text."""
        for (number, origin), start in list(stream.open.items()):
            rest = self._patterns[number].data[before - origin : before - origin + len(data)]
            length = _common(rest, data)
            if length < len(data) or before + length - origin == len(self._patterns[number].data):
                del stream.open[number, origin]
                self._judge(stream, (number, origin), start, before + length)

    def _judge(self, stream: Stream, match: tuple[int, int], start: int, stop: int) -> None:
        number, origin = match
        stream.closed[match] = start, stop
        run = self._patterns[number].run(start - origin, stop - origin)
        if run is not None:
            stream.runs.add((origin + run[0], origin + run[1], number))

    def _held_size(self, tail: bytes) -> int:
        """The length of the longest end of `tail` that is in a pattern and not its end."""
        low, high = 0, len(tail)
        size = 1
        while size <= high and self._ends(tail, size):
            low, size = size, size + 1 if size < 4 else 2 * size
        high = min(high, size - 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._ends(tail, middle) else (low, middle - 1)
        return low

    def _ends(self, tail: bytes, size: int) -> bool:
        # Many texts end in the same bytes: a line break, or a full stop and one.
        return self._holds_short(tail[-size:]) if size < 4 else self._holds(tail[-size:])

    def _holds(self, data: bytes) -> bool:
        # The joined patterns are without their last bytes already.
        less = 0 if self._exact else 1
        return any(text.find(data, 0, len(text) - less) >= 0 for text in self._cut)


class _Short:
    """Patterns of fewer bytes than four windows take, which are found as a whole only."""

    below = 8

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        short = {pattern.data: number for number, pattern in enumerate(patterns) if len(pattern.data) < self.below}
        self._numbers = short
        words = b"|".join(map(re.escape, sorted(short, key=len, reverse=True)))
        # A look ahead finds overlapping ones too, wherever the search begins.
        self._expression = re.compile(b"(?=(" + words + b"))", re.DOTALL) if short else None

    def find(self, stream: Stream, before: int) -> None:
        """Adds the runs that end behind `before`."""
        if self._expression is None:
            return
        for match in self._expression.finditer(stream.buffer, max(0, before - stream.base - self.below + 1)):
            start, stop = (stream.base + place for place in match.span(1))
            stream.runs.add((start, stop, self._numbers[match[1]]))


def _most_windows(patterns: Sequence[Pattern]) -> int:
    """The most windows of one pattern, such that all have no more than the most together."""
    needed = [len(pattern.data) // pattern.every for pattern in patterns if pattern.evidence is not None]
    most = max(needed, default=1)
    while most > 1 and sum(min(size, most) for size in needed) > _MOST_WINDOWS:
        most //= 2
    return max(1, most)


def _common(left: bytes, right: bytes) -> int:
    """How many first bytes are the same."""
    low, high = 0, min(len(left), len(right))
    if left[:high] == right[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if left[low:middle] == right[low:middle] else (low, middle - 1)
    return low


def _common_end(left: bytes, right: bytes) -> int:
    """How many last bytes are the same."""
    return _common(left[::-1], right[::-1])
