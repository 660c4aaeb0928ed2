"""Replaces secrets' values by `[NAME]` in the output of a build or a program, however the output is cut into pieces.

What is replaced:

- a value in any contiguous form (`forms`), and a part of it that is enough to identify it: a run of 12 bytes of the value,
  or half of the value, but at least 8 bytes. Words weigh half, and public parts and filling nothing (`evidence`), so that
  `postgres-dev` in a password does not hide every `postgres-dev` in a log;
- of a structured value, such as a file of credentials, the secret values in it in the same way. The file itself and a
  URL with a password in it are replaced only where all of it is there: parts of them are `{"type": "service_account"`
  or a host name;
- the longer lines of a value of several lines, each as a whole.
"""

from __future__ import annotations

import re
import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace

from container_image.build.pattern import Pattern
from container_image.build.runs import Runs, Stream
from container_image.evidence import LEAST, evidence
from container_image.forms import forms, searchable
from container_image.secrets import SecretValue, look_inside

_PUNCTUATION = re.compile(rb"[^A-Za-z0-9\x80-\xff]+")
_MIN_LITERAL = 4
_MIN_LINE = 8
_EXACT_SECONDS = 1.0


class Redactor:
    """Replaces values by `[NAME]`. `seen` holds the names of the secrets that were replaced so far.

    One redactor serves many streams, each under a key of the caller's choice. The result does not depend on the pieces in
    which a stream comes.
    """

    def __init__(self, values: Iterable[SecretValue]) -> None:
        self.seen: set[str] = set()
        found: dict[bytes, Pattern] = {}
        for value in values:
            if value.sensitive:
                for pattern in _patterns(value):
                    earlier = found.setdefault(pattern.data, pattern)
                    if earlier.evidence is None and pattern.evidence is not None:
                        found[pattern.data] = Pattern(earlier.name, pattern.data, pattern.evidence)
        self._runs = Runs(list(found.values()))
        self._streams: dict[Hashable, Stream] = {}
        self._next_exact = 0.0

    def feed(self, stream: Hashable, data: bytes) -> bytes:
        """Takes more of a stream, and gives what can be shown: all but an end that may be a part of a value.

        If values are very large, some hundred bytes more may be held back, because the end is compared once a second only.
        """
        now = time.monotonic()
        exact = now >= self._next_exact
        if exact:
            self._next_exact = now + _EXACT_SECONDS
        return self._advance(stream, data, exact=exact)

    def settle(self, stream: Hashable) -> bytes:
        """Gives what `feed` held back without need."""
        return self._advance(stream, b"", exact=True)

    def held(self, stream: Hashable) -> tuple[bytes, int]:
        """What `flush` would give now, and how many bytes at its end may still turn out to be a part of a value."""
        state = self._streams.get(stream)
        if state is None:
            return b"", 0
        unsure = state.end - self._runs.unsure(state, exact=True)
        ended = replace(state, open=dict(state.open), closed=dict(state.closed), runs=set(state.runs))
        self._runs.close(ended)
        text, _ = self._replaced(ended, ended.end)
        return text, unsure

    def flush(self, stream: Hashable) -> bytes:
        """Gives the rest of a stream that is over."""
        state = self._streams.pop(stream, None)
        return b"" if state is None else self._rest(state)

    def text(self, text: str) -> str:
        """Redacts a whole text."""
        state = Stream()
        self._runs.add(state, text.encode("utf-8", "surrogateescape"))
        return self._rest(state).decode("utf-8", "replace")

    def _advance(self, stream: Hashable, data: bytes, *, exact: bool) -> bytes:
        state = self._streams.setdefault(stream, Stream())
        self._runs.add(state, data)
        text, names = self._replaced(state, self._runs.unsure(state, exact=exact))
        self.seen |= names
        return text

    def _rest(self, state: Stream) -> bytes:
        self._runs.close(state)
        text, names = self._replaced(state, state.end)
        self.seen |= names
        return text

    def _replaced(self, state: Stream, stop: int) -> tuple[bytes, set[str]]:
        data, runs = self._runs.take(state, stop)
        shown: list[bytes] = []
        seen: set[str] = set()
        at = 0
        for first, last, names in runs:
            shown += [data[at:first], *(f"[{name}]".encode() for name in names)]
            seen.update(names)
            at = last
        return b"".join([*shown, data[at:]]), seen


def patterns(value: SecretValue) -> list[bytes]:
    """The byte strings that show a value: its forms, those of the values inside it, and its longer lines."""
    return list(dict.fromkeys(pattern.data for pattern in _patterns(value)))


def _patterns(value: SecretValue) -> Iterator[Pattern]:
    for data in (value.reveal(), *value.earlier):
        inside = look_inside(SecretValue(value.name, data))
        hunted = [item for item in inside.values if not item.public]
        structured = inside.public or any(searchable(item.value) is None for item in hunted)
        for piece, whole in ((data, structured), *((item.value, item.whole) for item in hunted)):
            yield from _of_piece(value.name, piece, whole_only=whole)
        public = [item.value for item in inside.values if item.public] if structured else []
        for line in _lines(data, public):
            yield Pattern(value.name, line)


def _of_piece(name: str, piece: bytes, *, whole_only: bool) -> Iterator[Pattern]:
    if searchable(piece) is not None:
        if len(piece.strip()) >= _MIN_LITERAL:
            yield Pattern(name, piece.strip())
        return
    listed = forms(piece)
    weights = None if whole_only else evidence(listed[0].data)
    for form in listed:
        backwards = weights is not None and form.family == "reversed"
        yield Pattern(name, form.data, weights.backwards() if weights is not None and backwards else weights)


def _lines(data: bytes, public: Sequence[bytes]) -> Iterator[bytes]:
    """The longer lines of a value of several lines: no rules such as `=====`, and none with little but `public` values."""
    if b"\n" not in data.strip():
        return
    for line in map(bytes.strip, data.splitlines()):
        if len(line) >= _MIN_LINE and not line.startswith(b"-----"):
            rest = line
            for value in public:
                rest = rest.replace(value, b"")
            weights = evidence(_PUNCTUATION.sub(b" ", rest) if public else rest)
            if weights is not None and (not public or weights.between(0, weights.length) >= LEAST):
                yield line
