"""What a search comes upon: hits, gaps, and which hits are one occurrence."""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from container_image.audit.measure import Run
from container_image.audit.needles import Target


@dataclass(frozen=True, slots=True)
class Hit:
    """A verified run. `offset` counts in the outermost stream; `via` names the containers opened on the way.

    Where the last of them is text that was decoded, `decoded` is where that text is, in the stream around it.
    """

    run: Run
    offset: int
    via: tuple[str, ...]
    decoded: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A stream at `offset` of the outermost stream that was not read, and why; without an offset, somewhere in the blob."""

    offset: int | None
    reason: str


def unplaced(gaps: Iterable[Gap]) -> list[Gap]:
    """The gaps' reasons, without their offsets: those count in something else than the blob."""
    return [Gap(None, reason) for reason in dict.fromkeys(gap.reason for gap in gaps)]


_Stream = tuple[str, tuple[str, ...], int]


def distinct(hits: list[Hit], root_of: Callable[[Target], str]) -> list[Hit]:
    """The hits without those that another one explains: for one secret, overlapping runs are one occurrence.

    The whole of a form counts before a part of one, what is found as it is written before what is found in the same text
    when that is decoded, and the longer before the shorter.
    """
    kept: list[Hit] = []
    # What is kept does not overlap, so beside each run, in their order, there are two to look at.
    spans: dict[_Stream, list[tuple[int, int]]] = {}
    ranked = sorted(hits, key=lambda hit: (hit.run.fraction < 1, len(hit.via), hit.run.start - hit.run.stop))
    for hit in ranked:
        root = root_of(hit.run.target)
        taken = spans.setdefault(_stream(root, hit.via, hit.offset), [])
        span = (hit.run.start, hit.run.stop)
        if _overlaps(taken, span):
            continue
        insort(taken, span)
        if hit.decoded is not None:
            around = spans.setdefault(_stream(root, hit.via[:-1], hit.offset), [])
            if _overlaps(around, hit.decoded):
                continue
            insort(around, hit.decoded)
        kept.append(hit)
    kept.sort(key=lambda hit: (hit.offset, hit.run.start))
    return kept


def _stream(root: str, via: tuple[str, ...], offset: int) -> _Stream:
    return root, via, offset if via else -1


def _overlaps(taken: list[tuple[int, int]], span: tuple[int, int]) -> bool:
    place = bisect(taken, span)
    return any(start < span[1] and span[0] < stop for start, stop in taken[max(0, place - 1) : place + 1])
