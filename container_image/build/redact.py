"""Takes secrets' values out of what a build prints, in every contiguous form, however the output is cut into pieces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

from container_image.forms import forms, searchable
from container_image.secrets import SecretValue, inner_values

_MIN_LITERAL = 4
_MIN_LINE = 8
HEAD = 4
"""Bytes from which on something held back is more likely a value than not."""


class Redactor:
    """Replaces values by `[NAME]`. `seen` holds the names of those that were replaced so far.

    Values are looked up by their first bytes, not compiled into one expression: for a value of 300 KB, with all its
    forms, that took 19 s.
    """

    def __init__(self, values: Iterable[SecretValue]) -> None:
        self.seen: set[str] = set()
        self._names: dict[bytes, str] = {}
        for value in values:
            if value.sensitive:
                for data in patterns(value):
                    self._names.setdefault(data, value.name)
        self._by_head: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for pattern in sorted(self._names, key=len, reverse=True):
            self._by_head[pattern[:HEAD]].append(pattern)
        self._rest: dict[Hashable, bytes] = {}

    def feed(self, stream: Hashable, data: bytes) -> bytes:
        """What can be shown of a stream so far: all but an end that might be the beginning of a value."""
        shown, rest = self._replace(self._rest.pop(stream, b"") + data, final=False)
        if rest:
            self._rest[stream] = rest
        return shown

    def held(self, stream: Hashable) -> bytes:
        """The end of a stream that is not shown yet."""
        return self._rest.get(stream, b"")

    def flush(self, stream: Hashable) -> bytes:
        """What is left of a stream that is over."""
        return self._whole(self._rest.pop(stream, b""))

    def text(self, text: str) -> str:
        """A whole text, redacted."""
        return self._whole(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def _whole(self, data: bytes) -> bytes:
        return self._replace(data, final=True)[0]

    def _replace(self, buffer: bytes, *, final: bool) -> tuple[bytes, bytes]:
        """The buffer redacted, and its end from where a value may go on, unless the stream is over."""
        shown: list[bytes] = []
        start = at = 0
        # Fewer bytes than a head may be the beginning of one.
        stop = len(buffer) - HEAD + 1
        while at < stop:
            candidates = self._by_head.get(buffer[at : at + HEAD])
            for pattern in candidates or ():
                if buffer.startswith(pattern, at):
                    self.seen.add(self._names[pattern])
                    shown += [buffer[start:at], f"[{self._names[pattern]}]".encode()]
                    at = start = at + len(pattern)
                    break
                if not final and len(pattern) > len(buffer) - at and pattern.startswith(buffer[at:]):
                    return b"".join([*shown, buffer[start:at]]), buffer[at:]
            else:
                at += 1
        held = len(buffer)
        if not final:
            ends = (place for place in range(at, len(buffer)) if self._begins_head(buffer[place:]))
            held = next(ends, len(buffer))
        return b"".join([*shown, buffer[start:held]]), buffer[held:]

    def _begins_head(self, data: bytes) -> bool:
        return any(head.startswith(data) for head in self._by_head)


def patterns(value: SecretValue) -> list[bytes]:
    """The byte strings that show a value: its forms, those of the values inside it, and its longer lines."""
    found: list[bytes] = []
    for data in (value.reveal(), *value.earlier):
        inner = [item.value for item in inner_values(SecretValue(value.name, data)) if not item.public]
        lines = [line.strip() for line in data.splitlines()] if b"\n" in data.strip() else []
        for piece in (data, *inner):
            if searchable(piece) is None:
                found.extend(form.data for form in forms(piece))
            elif len(piece.strip()) >= _MIN_LITERAL:
                found.append(piece.strip())
        found.extend(line for line in lines if len(line) >= _MIN_LINE and not line.startswith(b"-----"))
    return list(dict.fromkeys(found))
