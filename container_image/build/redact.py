"""Takes secrets' values out of what a build prints, in every contiguous form, however the output is cut into pieces."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable

from container_image.forms import forms, searchable
from container_image.secrets import SecretValue, inner_values

_MIN_LITERAL = 4
_MIN_LINE = 8
_HEAD = 4


class Redactor:
    """Replaces values by `[NAME]`. `seen` holds the names of those that were replaced so far."""

    def __init__(self, values: Iterable[SecretValue]) -> None:
        names: dict[bytes, str] = {}
        for value in values:
            if value.sensitive:
                for data in patterns(value):
                    names.setdefault(data, value.name)
        self.seen: set[str] = set()
        self._names = names
        self._longest = max(map(len, names), default=0)
        ordered = sorted(names, key=len, reverse=True)
        self._regex = re.compile(b"|".join(map(re.escape, ordered))) if ordered else None
        self._rest: dict[Hashable, bytes] = {}

    def feed(self, stream: Hashable, data: bytes) -> bytes:
        """What can be shown of a stream so far: all but an end that might be the beginning of a value."""
        if self._regex is None:
            return data
        buffer = self._rest.pop(stream, b"") + data
        held = self._held(buffer)
        out = []
        at = 0
        for match in self._regex.finditer(buffer):
            if match.end() > held:
                # What might go on is decided when more is there; a shorter value in it may be the start of a longer.
                held = min(held, match.start())
                break
            out.append(buffer[at : match.start()])
            out.append(self._replace(match))
            at = match.end()
        held = max(held, at)
        out.append(buffer[at:held])
        if held < len(buffer):
            self._rest[stream] = buffer[held:]
        return b"".join(out)

    def flush(self, stream: Hashable) -> bytes:
        """What is left of a stream that is over."""
        return self._whole(self._rest.pop(stream, b""))

    def text(self, text: str) -> str:
        """A whole text, redacted."""
        return self._whole(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def _whole(self, data: bytes) -> bytes:
        return data if self._regex is None else self._regex.sub(self._replace, data)

    def _replace(self, match: re.Match[bytes]) -> bytes:
        name = self._names[match[0]]
        self.seen.add(name)
        return f"[{name}]".encode()

    def _held(self, buffer: bytes) -> int:
        """Where the longest end of `buffer` begins that is a beginning of some value."""
        first = len(buffer)
        earliest = max(0, len(buffer) - self._longest + 1)
        for pattern in self._names:
            start = max(earliest, len(buffer) - len(pattern) + 1)
            at = buffer.find(pattern[:_HEAD], start)
            while 0 <= at < first:
                if pattern.startswith(buffer[at:]):
                    first = at
                    break
                at = buffer.find(pattern[:_HEAD], at + 1)
            for at in range(max(start, len(buffer) - _HEAD + 1), min(first, len(buffer))):
                if pattern.startswith(buffer[at:]):
                    first = at
                    break
        return first


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
