"""One stream, pushed in pieces of any size: searched for needles, and for streams inside it, which are searched too."""

from __future__ import annotations

import time
from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass, field

from container_image.audit import carve
from container_image.audit.matcher import Matcher
from container_image.audit.measure import Run, measure
from container_image.audit.needles import Target
from container_image.audit.policy import AuditPolicy
from container_image.oci.inflate import ERRORS, Inflater, inflate_all

_TRIAL_INPUT = 4096
_RATIO_SLACK = 64 << 20
# How much of a header may be needed behind a magic: a zip member's, with its name.
_HEADER_ROOM = 30 + 4096
_TAR_MAGIC = slice(257, 262)
_TAR_BLOCK = 512


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


@dataclass
class Budget:
    """What is left of the policy's limits, and what was counted; shared by all streams of one audit."""

    matcher: Matcher
    policy: AuditPolicy
    bytes: int = 0
    streams: int = 0
    truncated: int = 0
    started: float = field(default_factory=time.monotonic)

    def exhausted(self) -> str | None:
        """Which limit of the policy is reached, if one is."""
        if self.bytes > self.policy.max_bytes:
            return f"max_bytes ({self.policy.max_bytes}) reached"
        limit = self.policy.max_seconds
        if limit is not None and time.monotonic() - self.started > limit:
            return f"max_seconds ({limit:g}) reached"
        return None


class StreamScanner:
    """Searches one stream. Hits and gaps go to the lists of the outermost stream that it is inside of."""

    def __init__(
        self,
        budget: Budget,
        hits: list[Hit],
        gaps: list[Gap],
        *,
        carved: bool = True,
        via: tuple[str, ...] = (),
        outer_offset: int | None = None,
    ) -> None:
        self._budget = budget
        self._matcher = budget.matcher
        self._hits = hits
        self._gaps = gaps
        self._carved = carved and bool(budget.matcher.magics)
        self._via = via
        self._outer_offset = outer_offset
        self._buffer = b""
        self._base = 0
        self._scanned = 0
        self._pending: list[tuple[int, int]] = []
        self._openings: list[tuple[int, int]] = []
        self._children: list[_Child] = []
        self._inside = 0
        self._latest: dict[int, Run] = {}

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        self._take(data, final=False)

    def finish(self) -> None:
        """The stream is over."""
        self._take(b"", final=True)
        for child in self._children:
            child.finish()
        self._children.clear()

    def _take(self, data: bytes, *, final: bool) -> None:
        for child in self._children:
            child.feed(data)
            if not child.done:
                self._inside = max(self._inside, self._base + len(self._buffer) + len(data))
        self._children = [child for child in self._children if not child.done]
        buffer = self._buffer + data if self._buffer else data
        if self._base == 0 and self._outer_offset is not None and not self._scanned and buffer[_TAR_MAGIC] == b"ustar":
            self._via = (*self._via, "tar")
        self._buffer = buffer
        self._search()
        self._open(final=final)
        self._verify(final=final)
        keep = self._base + len(buffer)
        for waiting in (self._pending, self._openings):
            if waiting:
                keep = min(keep, min(position for _, position in waiting))
        drop = keep - self._matcher.context - self._base
        if drop > 0:
            self._buffer = buffer[drop:]
            self._base += drop
            self._scanned -= drop

    def _search(self) -> None:
        matcher = self._matcher
        start = max(0, self._scanned - matcher.reach + 1)
        if start >= len(self._buffer):
            return
        # What ended before was seen with the piece before.
        seen = self._scanned
        lengths = matcher.lengths
        hits, openings = matcher.scan(self._buffer, start)
        for number, at in hits:
            if at + lengths[number] > seen:
                self._pending.append((number, self._base + at))
        if self._carved:
            for number, at in openings:
                if at + lengths[number] > seen:
                    self._openings.append((number, self._base + at))
        self._scanned = len(self._buffer)

    def _verify(self, *, final: bool) -> None:
        if not self._pending:
            return
        ready = self._base + len(self._buffer) - (0 if final else self._matcher.context)
        waiting: list[tuple[int, int]] = []
        for number, position in self._pending:
            if position > ready:
                waiting.append((number, position))
                continue
            for needle in self._matcher.needles[number]:
                latest = self._latest.get(id(needle.target))
                if latest is not None and latest.start <= position < latest.stop:
                    continue
                run = measure(needle, self._buffer, position - self._base)
                if run is None:
                    continue
                run = Run(run.target, run.start + self._base, run.stop + self._base, run.fraction)
                self._latest[id(needle.target)] = run
                offset = run.start if self._outer_offset is None else self._outer_offset
                self._hits.append(Hit(run, offset, self._via))
        self._pending = waiting

    def _open(self, *, final: bool) -> None:
        if not self._openings:
            return
        end = self._base + len(self._buffer)
        waiting: list[tuple[int, int]] = []
        for number, position in self._openings:
            # What is inside a stream that is being read already comes out of that one.
            if position < self._inside:
                continue
            if not final and position + _HEADER_ROOM > end:
                waiting.append((number, position))
                continue
            self._try(self._matcher.magics[number].kind, position)
        self._openings = waiting

    def _try(self, kind: str, position: int) -> None:
        at = position - self._base
        opening = carve.opening(kind, self._buffer, at)
        if opening is None or (opening.at_start and position % _TAR_BLOCK):
            return
        offset = position if self._outer_offset is None else self._outer_offset
        if opening.make is None:
            self._gaps.append(Gap(offset, opening.unreadable or kind))
            return
        begin = at + opening.skip
        if not _begins_stream(opening.make(), self._buffer[begin : begin + _TRIAL_INPUT]):
            return
        limit = self._budget.policy.max_depth
        if len(self._via) >= limit:
            self._gaps.append(Gap(offset, f"max_depth ({limit}) reached"))
            return
        scanner = StreamScanner(self._budget, self._hits, self._gaps, via=(*self._via, kind), outer_offset=offset)
        child = _Child(opening.make(), scanner, self._budget, offset, self._gaps)
        rest = self._buffer[begin:]
        child.feed(rest)
        if not child.failed:
            self._inside = max(self._inside, self._base + begin + (child.used if child.done else len(rest)))
        if not child.done:
            self._children.append(child)


class _Child:
    """A stream inside another one, being inflated as its bytes go by."""

    def __init__(
        self, inflater: Inflater, scanner: StreamScanner, budget: Budget, offset: int, gaps: list[Gap]
    ) -> None:
        self._inflater = inflater
        self._scanner = scanner
        self._budget = budget
        self._offset = offset
        self._gaps = gaps
        self.used = 0
        self._produced = 0
        self.done = False
        self.failed = False
        budget.streams += 1

    def feed(self, data: bytes) -> None:
        if self.done:
            return
        for out, used in inflate_all(self._inflater, data):
            if out is None:
                self.failed = True
                self._end(truncated=True)
                return
            self.used += used
            self._produced += len(out)
            self._budget.bytes += len(out)
            self._scanner.feed(out)
            reason = self._budget.exhausted()
            if reason is None and self._produced > self._budget.policy.max_ratio * self.used + _RATIO_SLACK:
                reason = f"max_ratio ({self._budget.policy.max_ratio}) reached"
            if reason is not None:
                self._gaps.append(Gap(self._offset, reason))
                self._end(truncated=False)
                return
        if self._inflater.eof:
            self._end(truncated=False)

    def finish(self) -> None:
        """The stream around it is over."""
        if not self.done:
            self._end(truncated=True)

    def _end(self, *, truncated: bool) -> None:
        self.done = True
        self._budget.truncated += truncated
        self._scanner.finish()


def _begins_stream(inflater: Inflater, data: bytes) -> bool:
    """Whether what begins here is a stream: it ends well, or gives enough before it fails."""
    try:
        produced = 0
        rest = data
        while produced < carve.MIN_OUTPUT and not inflater.eof:
            out, left = inflater.inflate(rest, carve.MIN_OUTPUT - produced)
            if not out and len(left) == len(rest):
                break
            produced += len(out)
            rest = left
            if not rest and not out:
                break
    except ERRORS:
        return False
    return inflater.eof or produced >= carve.MIN_OUTPUT


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
