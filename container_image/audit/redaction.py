"""Keeps values out of what a report says: of paths, pointers and instructions."""

from __future__ import annotations

from container_image.audit.hits import Gap, Hit, distinct
from container_image.audit.scan import Budget, StreamScanner

_NOT_SHOWN = "(not shown)"


class Redaction:
    """Searches short texts, such as names, for the values that an audit hunts; remembers what it redacted."""

    def __init__(self, budget: Budget) -> None:
        # What is searched here is not counted.
        self._budget = Budget(budget.matcher, budget.policy)
        self._known: dict[str, str] = {}

    def search(self, data: bytes) -> tuple[list[Hit], list[Gap]]:
        """The hits in `data`, and what of it could not be searched."""
        hits: list[Hit] = []
        gaps: list[Gap] = []
        scanner = StreamScanner(self._budget, hits, gaps)
        scanner.feed(data)
        scanner.finish()
        return hits, gaps

    def redact(self, text: str | None) -> str | None:
        """The text with every value in it replaced by its secret's name."""
        return None if text is None else self.text(text)

    def text(self, text: str) -> str:
        """`redact` of what is there for certain."""
        if text not in self._known:
            data = _encoded(text)
            found, gaps = self.search(data)
            hits = distinct(found, lambda _target: "")
            for hit in sorted(hits, key=lambda hit: hit.run.start, reverse=True):
                if hit.via:
                    # Nothing tells where what was decoded is in the text: it all goes.
                    data = f"[{hit.run.target.secret}]".encode()
                    break
                data = data[: hit.run.start] + f"[{hit.run.target.secret}]".encode() + data[hit.run.stop :]
            # A text that could not be searched may hold a value.
            self._known[text] = _NOT_SHOWN if gaps else data.decode("utf-8", "backslashreplace")
        return self._known[text]


def _encoded(text: str) -> bytes:
    """The bytes of a text from a file name, which need not be UTF-8, or from JSON, which may hold half a character."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
