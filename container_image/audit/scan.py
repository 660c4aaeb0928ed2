"""One stream, pushed in pieces of any size: searched for needles, and for streams inside it, which are searched too."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from container_image.audit import carve
from container_image.audit.hits import Gap, Hit
from container_image.audit.matcher import Magic, Matcher
from container_image.audit.measure import Run, measure
from container_image.audit.needles import Needle
from container_image.audit.policy import AuditPolicy
from container_image.audit.spelled import Decoder, runs
from container_image.oci.inflate import CAREFUL_STEP, ERRORS, Inflater, WindowError, inflate_all
from container_image.secrets.value import labelled

_TRIAL_INPUT = 4096
_RATIO_SLACK = 64 << 20
# An image that is full of a value leaks it; each hit takes some 400 bytes, and as many microseconds.
_MAX_HITS = 200_000
# The largest block of any format, lz4's: that late a stream may turn out to be broken.
_REOPEN = 4 << 20
# How much of a header may be needed behind a magic: a zip member's, with its name.
_HEADER_ROOM = 30 + 4096
_TAR_MAGIC = slice(257, 262)
_TAR_BLOCK = 512


@dataclass
class Budget:
    """What is left of the policy's limits, and what was counted; shared by all streams of one audit."""

    matcher: Matcher
    policy: AuditPolicy
    bytes: int = 0
    hits: int = 0
    streams: int = 0
    truncated: int = 0
    started: float = field(default_factory=time.monotonic)

    def exhausted(self) -> str | None:
        """Which limit of the policy is reached, if one is."""
        if self.bytes > self.policy.max_bytes:
            return f"max_bytes ({self.policy.max_bytes}) reached"
        if self.hits > _MAX_HITS:
            return f"{_MAX_HITS} occurrences found, the rest not counted"
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
        self._openings: list[tuple[Magic, int]] = []
        self._child: _Child | _Text | None = None
        self._deferred: list[tuple[Magic, int]] = []
        # Up to where a stream, or a text of each kind, was read: what is inside came out of that one.
        self._inside = 0
        self._inside_text: dict[str, int] = {}
        self._latest: dict[int, Run] = {}
        self._told: set[str] = set()

    def feed(self, data: bytes) -> None:
        """Takes the next piece."""
        self._take(data, final=False)

    def finish(self) -> None:
        """The stream is over."""
        self._take(b"", final=True)
        while (child := self._child) is not None:
            self._child = None
            child.finish()
            self._close(child)
            self._open(final=True)

    def _take(self, data: bytes, *, final: bool) -> None:
        buffer = self._buffer + data if self._buffer else data
        if self._base == 0 and self._outer_offset is not None and not self._scanned and buffer[_TAR_MAGIC] == b"ustar":
            self._via = (*self._via, "tar")
        self._buffer = buffer
        self._search()
        child = self._child
        if child is not None:
            child.feed(data)
            if child.done:
                self._child = None
                self._close(child)
        self._open(final=final)
        self._verify(final=final)
        keep = self._base + len(buffer)
        if self._pending:
            keep = min(keep, min(position for _, position in self._pending))
        if self._openings:
            keep = min(keep, min(position for _, position in self._openings))
        drop = keep - max(self._matcher.context, _REOPEN if self._child is not None else 0) - self._base
        if drop > 0:
            self._buffer = buffer[drop:]
            self._base += drop
            self._scanned -= drop
            if self._deferred and self._deferred[0][1] < self._base:
                # What is not in the buffer any more can't be opened.
                self._deferred = [item for item in self._deferred if item[1] >= self._base]

    def _close(self, child: _Child | _Text) -> None:
        """What was taken for a part of a stream that then broke off may begin streams of its own; so may any text."""
        if isinstance(child, _Text):
            self._inside_text[child.kind] = child.stop
            self._hits += child.hits()
        else:
            self._inside = child.stop if child.complete else child.position + 1
        if self._deferred and (isinstance(child, _Text) or not child.complete):
            self._openings.extend(item for item in self._deferred if item[1] >= self._base)
            self._openings.sort(key=lambda item: item[1])
        self._deferred.clear()

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
            found = [(magic, self._base + at) for magic, at, end in openings if end > seen]
            digits = [(carve.DIGITS, self._base + at) for at in runs(self._buffer, seen)]
            if digits:
                found = sorted(found + digits, key=lambda item: item[1])
            self._openings += found
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
                try:
                    run = measure(needle, self._buffer, position - self._base)
                except Exception as error:
                    # An error of ours at one place must lose no other hit, and must not pass for a place without one.
                    self._unmeasured(needle, position, error)
                    continue
                if run is None:
                    continue
                run = Run(run.target, run.start + self._base, run.stop + self._base, run.fraction)
                self._latest[id(needle.target)] = run
                self._hits.append(Hit(run, self._offset(run.start), self._via))
                self._budget.hits += 1
        self._pending = waiting

    def _offset(self, position: int) -> int:
        """Where something at `position` of this stream is, in the outermost one."""
        return position if self._outer_offset is None else self._outer_offset

    def _unmeasured(self, needle: Needle, position: int, error: Exception) -> None:
        target = needle.target
        what = f"a possible match of {labelled(target.secret, target.environment)} as {target.form.name}"
        gap = Gap(self._offset(position), f"{what} was not examined: unexpected {type(error).__name__}")
        if gap.reason not in self._told:
            self._told.add(gap.reason)
            self._gaps.append(gap)

    def _open(self, *, final: bool) -> None:
        if not self._openings:
            return
        end = self._base + len(self._buffer)
        waiting: list[tuple[Magic, int]] = []
        for magic, position in self._openings:
            if position < self._inside or position < self._inside_text.get(magic.kind, 0):
                continue
            # What is inside a stream that is being read comes out of that one, unless it breaks off.
            if (child := self._child) is not None:
                if not isinstance(child, _Text) or child.kind != magic.kind:
                    self._deferred.append((magic, position))
            elif not final and position + _HEADER_ROOM > end:
                waiting.append((magic, position))
            else:
                self._try(magic, position)
        self._openings = waiting

    def _try(self, magic: Magic, position: int) -> None:
        at = position - self._base
        opening = carve.opening(magic, self._buffer, at)
        if opening is None or (opening.at_start and position % _TAR_BLOCK):
            return
        offset = self._offset(position)
        if opening.make is None and opening.decode is None:
            self._gaps.append(Gap(offset, opening.unreadable or opening.kind))
            return
        begin = at + opening.skip
        try:
            if opening.make and not _may_be_stream(opening.make(), self._buffer[begin : begin + _TRIAL_INPUT]):
                return
        except WindowError as error:
            # A program that knows zstd holds its magic, before whatever bytes; xz has a checksum in its header.
            if opening.kind != "zstd" or position % _TAR_BLOCK == 0:
                self._gaps.append(Gap(offset, f"{opening.kind} stream {error}"))
            return
        limit = self._budget.policy.max_depth
        # Text in text has a depth of its own: names look like base64, at any depth.
        if sum((kind in carve.TEXT_KINDS) == (opening.make is None) for kind in self._via) >= limit:
            self._gaps.append(Gap(offset, f"max_depth ({limit}) reached"))
            return
        via = (*self._via, opening.kind)
        child: _Child | _Text
        if opening.decode is not None:
            child = _Text(magic.kind, opening.decode(), self._budget, via, self._base + begin, offset, self._gaps)
        elif opening.make is not None:
            scanner = StreamScanner(self._budget, self._hits, self._gaps, via=via, outer_offset=offset)
            child = _Child(opening.make(), scanner, self._budget, position, self._base + begin, offset, self._gaps)
        child.feed(self._buffer[begin:])
        if child.done:
            self._close(child)
        else:
            self._child = child


class _Child:
    """A stream inside another one, being inflated as its bytes go by.

    It goes from `position`, with its header, to `stop`; it is `complete` when it came to its end or to a limit.
    """

    def __init__(
        self,
        inflater: Inflater,
        scanner: StreamScanner,
        budget: Budget,
        position: int,
        begin: int,
        offset: int,
        gaps: list[Gap],
    ) -> None:
        self._inflater = inflater
        self._scanner = scanner
        self._budget = budget
        self.position = position
        self._begin = begin
        self._offset = offset
        self._gaps = gaps
        self._used = 0
        self._produced = 0
        self.done = False
        self.complete = False

    @property
    def stop(self) -> int:
        """Behind the last byte that was used."""
        return self._begin + self._used

    def feed(self, data: bytes) -> None:
        try:
            self._feed(data)
        except WindowError as error:
            self._gaps.append(Gap(self._offset, str(error)))
            self.finish()

    def _feed(self, data: bytes) -> None:
        for out, used in inflate_all(self._inflater, data, CAREFUL_STEP):
            if out is None:
                self.finish()
                return
            self._used += used
            self._produced += len(out)
            self._budget.bytes += len(out)
            self._scanner.feed(out)
            reason = self._budget.exhausted()
            if reason is None and self._produced > self._budget.policy.max_ratio * self._used + _RATIO_SLACK:
                reason = f"max_ratio ({self._budget.policy.max_ratio}) reached"
            if reason is not None:
                self._gaps.append(Gap(self._offset, reason))
                self._end(complete=True)
                return
        if self._inflater.eof:
            self._end(complete=True)

    def finish(self) -> None:
        """The stream breaks off, or the one around it is over."""
        self._end(complete=False)

    def _end(self, *, complete: bool) -> None:
        self.done, self.complete = True, complete
        if complete or self._produced >= carve.MIN_OUTPUT:
            self._budget.streams += 1
            self._budget.truncated += not complete
        self._scanner.finish()


class _Text:
    """A text inside a stream that stands for bytes, being decoded as it goes by."""

    def __init__(
        self,
        kind: str,
        decoder: Decoder,
        budget: Budget,
        via: tuple[str, ...],
        begin: int,
        offset: int,
        gaps: list[Gap],
    ) -> None:
        self.kind = kind
        self._decoder = decoder
        self._budget = budget
        self._begin = begin
        self._via = via
        self._found: list[Hit] = []
        self._scanner = StreamScanner(budget, self._found, gaps, via=via, outer_offset=offset)
        self.done = False

    @property
    def stop(self) -> int:
        """Behind the last byte that belongs to the text."""
        return self._begin + self._decoder.consumed

    def feed(self, data: bytes) -> None:
        self._take(self._decoder.feed(data))
        if self._decoder.eof:
            self._end()

    def finish(self) -> None:
        """The stream around the text is over."""
        self._take(self._decoder.flush())
        self._end()

    def hits(self) -> list[Hit]:
        """What was found in the text, which is over; each hit is told where that text is."""
        span = (self._begin, self.stop)
        return [replace(hit, decoded=span) if hit.via == self._via else hit for hit in self._found]

    def _take(self, out: bytes) -> None:
        if out:
            self._budget.bytes += len(out)
            self._scanner.feed(out)

    def _end(self) -> None:
        self.done = True
        self._scanner.finish()


def _may_be_stream(inflater: Inflater, data: bytes) -> bool:
    """Whether a first look finds nothing wrong: a block of bzip2, zstd or lz4 gives nothing before all of it is there."""
    produced = 0
    rest: bytes | memoryview = data
    try:
        while produced < carve.MIN_OUTPUT and not inflater.eof:
            out, left = inflater.inflate(rest, carve.MIN_OUTPUT - produced)
            if not out and len(left) == len(rest):
                break
            produced += len(out)
            rest = left
    except ERRORS:
        return False
    return True
