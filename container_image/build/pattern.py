"""A byte string to look for in a stream: which of its parts identify the value in it, and by which windows they are found.

A window is a slice of 4, 8 or 16 bytes at every n-th offset. The text is probed at every fourth byte, and n is odd, so
every run of `width + 4n - 1` bytes has a window where the text is probed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from container_image.evidence import LEAST, Evidence

STEP = 4
"""The text is probed at every fourth byte."""

_ROUNDING = 1e-6


@dataclass(frozen=True, repr=False)
class Pattern:
    """A byte string to look for. `evidence` is that of the value in it; without, only all of the pattern is a run."""

    name: str
    data: bytes
    evidence: Evidence | None = None

    @cached_property
    def least(self) -> int:
        """The fewest bytes of a run."""
        if self.evidence is None:
            return len(self.data)
        return min(len(self.data), ceil(round(max(LEAST, self.evidence.needed) / self._scale, 6)))

    @cached_property
    def width(self) -> int:
        """Bytes of a window. Few bytes of a form that writes each byte as several ones tell little."""
        if self.least < 11:
            return 4
        return 16 if self.evidence is not None and self._scale <= 1 / 3 and self.least >= 19 else 8

    @cached_property
    def every(self) -> int:
        """The distance between windows, if there may be as many as every run needs."""
        # A run of a value whose bytes weigh differently may have its weight in few places.
        uniform = self.evidence is None or self.evidence.uniform
        return max(1, (self.least - self.width + 1) // STEP - 1 | 1) if uniform else 1

    def offsets(self, most: int) -> Iterable[int]:
        """Where the windows begin, of which there are about `most` at most. Public parts and filling have none."""
        if self.evidence is None:
            return range(STEP)
        offsets = range(0, len(self.data) - self.width + 1, self._spacing(most))
        if self.evidence.uniform:
            return offsets
        weighs, scale, width = self.evidence.weighs, self._scale, self.width
        return (offset for offset in offsets if weighs(offset * scale, (offset + width) * scale))

    def reach(self, most: int) -> int:
        """The most bytes of a run in which no window may have been probed."""
        return 0 if self.evidence is None else self.width + STEP * self._spacing(most) - 2

    def _spacing(self, most: int) -> int:
        return max(self.every, ceil(len(self.data) / most) | 1)

    def run(self, start: int, stop: int) -> tuple[int, int] | None:
        """The run in a part of the pattern: all of it, or the part without its worthless edges, or None."""
        if (start, stop) == (0, len(self.data)):
            return start, stop
        if self.evidence is None or stop - start < self.least:
            return None
        first, last = start * self._scale, stop * self._scale
        if self.evidence.between(first, last) < self.evidence.needed - _ROUNDING:
            return None
        first, last = self.evidence.trimmed(first, last)
        return max(start, ceil(first / self._scale - _ROUNDING)), min(stop, int(last / self._scale + _ROUNDING))

    @cached_property
    def _scale(self) -> float:
        """Bytes of the value that one byte stands for."""
        return 1.0 if self.evidence is None else self.evidence.length / len(self.data)

    def __repr__(self) -> str:
        return f"Pattern({self.name!r})"
