"""Keeps values out of what a report says: of paths, pointers and instructions."""

from __future__ import annotations

from container_image.audit.hits import Hit, distinct
from container_image.audit.scan import Budget, StreamScanner


class Redaction:
    """Searches short texts, such as names, for the values that an audit hunts; remembers what it redacted."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._known: dict[str, str] = {}

    def search(self, data: bytes) -> list[Hit]:
        """The hits in `data`, which is not looked into for streams."""
        hits: list[Hit] = []
        scanner = StreamScanner(self._budget, hits, [], carved=False)
        scanner.feed(data)
        scanner.finish()
        return hits

    def redact(self, text: str | None) -> str | None:
        """The text with every value in it replaced by its secret's name."""
        if text is None:
            return None
        if text not in self._known:
            data = text.encode("utf-8", "surrogateescape")
            hits = distinct(self.search(data), lambda _target: "")
            for hit in sorted(hits, key=lambda hit: hit.run.start, reverse=True):
                data = data[: hit.run.start] + f"[{hit.run.target.secret}]".encode() + data[hit.run.stop :]
            self._known[text] = data.decode("utf-8", "backslashreplace")
        return self._known[text]
