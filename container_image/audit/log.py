"""Searches a build's log as an image's bytes are searched: every form, and streams and texts inside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from container_image.audit import carve
from container_image.audit.hits import Gap, Hit
from container_image.audit.hunted import hunt
from container_image.audit.matcher import Matcher
from container_image.audit.policy import AuditPolicy
from container_image.audit.scan import Budget, StreamScanner
from container_image.secrets import SecretValue


class LogSearch:
    """A log that comes in pieces, each a part of one of several streams: the output of a step, say."""

    def __init__(self, values: Iterable[SecretValue]) -> None:
        policy = AuditPolicy()
        hunted = hunt(values, policy)
        self._unsearchable = hunted.incomplete
        self._budget = Budget(Matcher(hunted.targets, carve.MAGICS), policy)
        self._hits: defaultdict[str, list[Hit]] = defaultdict(list)
        self._gaps: list[Gap] = []
        self._scanners: dict[str, StreamScanner] = {}

    def feed(self, stream: str, data: bytes) -> None:
        """Takes the next piece of a stream."""
        if stream not in self._scanners:
            self._scanners[stream] = StreamScanner(self._budget, self._hits[stream], self._gaps)
        self._scanners[stream].feed(data)

    def is_clean(self) -> bool:
        """Whether the log, which is over, holds no value: false too where a value or a part of the log can't be searched."""
        for scanner in self._scanners.values():
            scanner.finish()
        self._scanners.clear()
        return not (any(self._hits.values()) or self._gaps or self._unsearchable)

    def found(self, stream: str) -> set[str]:
        """The names of the secrets, or of the values inside them, that were found in a stream."""
        return {hit.run.target.secret for hit in self._hits.get(stream, ())}
