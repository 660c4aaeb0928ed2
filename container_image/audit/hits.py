"""What a search comes upon: hits, gaps, and which hits are one occurrence."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass

from container_image.audit.measure import Run
from container_image.audit.needles import Target


@dataclass(frozen=True, slots=True)
class Hit:
    """A verified run. `offset` counts in the outermost stream; `via` names the containers opened on the way."""

    run: Run
    offset: int
    via: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """A stream at `offset` of the outermost stream that was not read, and why."""

    offset: int
    reason: str


def distinct(hits: list[Hit], root_of: Callable[[Target], str]) -> list[Hit]:
    """The hits without those that another one explains: for one secret, overlapping runs are one occurrence.

    The whole of a form counts before a part of one, the longer before the shorter.
    """
    kept: list[Hit] = []
    # What is kept does not overlap, so beside each run, in their order, there are two to look at.
    spans: dict[tuple[str, tuple[str, ...], int], list[tuple[int, int]]] = {}
    ranked = sorted(hits, key=lambda hit: (hit.run.fraction < 1, hit.run.start - hit.run.stop))
    for hit in ranked:
        outer = hit.offset if hit.via else -1
        taken = spans.setdefault((root_of(hit.run.target), hit.via, outer), [])
        span = (hit.run.start, hit.run.stop)
        place = bisect(taken, span)
        if any(start < span[1] and span[0] < stop for start, stop in taken[max(0, place - 1) : place + 1]):
            continue
        taken.insert(place, span)
        kept.append(hit)
    kept.sort(key=lambda hit: (hit.offset, hit.run.start))
    return kept
