"""BuildKit's `--progress=rawjson` as events, redacted, in the words of the Dockerfile's author."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from container_image.build.history import LogSearch
from container_image.build.redact import Redactor
from container_image.build.request import BUILDKIT_CHECK, BuildEvent, BuildWarning
from container_image.build.scoped import ScopedSteps
from container_image.build.status import decoded, encoded, status

_TAIL = 40
_LINE = re.compile(r"^\S+:(\d+)$")
# buildx shows its own data: `failed to convert agent config {default [key] false}: …`.
_AGENT = re.compile(r'(?:failed to convert agent config (?:\{.*?\}|for ID: "[^"]*"): )+')
_PARSE_ERROR = re.compile(r"dockerfile parse error on line (\d+): (.*)", re.DOTALL)


@dataclass
class Progress:
    """Reads lines of rawjson, and what else buildx writes to stderr. `with_statuses` adds each record, redacted.

    `searched` takes everything that the builder's record would replay, the output of each step under its digest; `steps`
    are the steps' names by their digests. After the last line, `failed_step`, `tail`, `error` and `error_line` tell of a
    failure, `warnings` of the rest.
    """

    redactor: Redactor
    plain: Callable[[str], str]
    scoped: ScopedSteps = field(default_factory=ScopedSteps)
    searched: LogSearch | None = None
    with_statuses: bool = False
    warnings: list[BuildWarning] = field(default_factory=list)
    failed_step: str | None = None
    tail: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    error_line: int | None = None
    steps: dict[str, str] = field(default_factory=dict)
    _states: dict[str, str] = field(default_factory=dict)
    _logs: dict[str, str] = field(default_factory=dict)
    _printed: set[tuple[str, str]] = field(default_factory=set)
    _decoders: dict[str, codecs.IncrementalDecoder] = field(default_factory=dict)
    _shown: list[dict[str, object]] = field(default_factory=list)

    def feed(self, line: bytes) -> Iterator[BuildEvent]:
        """The events of one line."""
        try:
            record = json.loads(line) if line.startswith(b"{") else None
        except ValueError:
            record = None
        if not isinstance(record, dict):
            self._search("", line)
            yield from self._message(line)
            return
        told = {key: value for key, value in record.items() if key != "logs"}
        if told:
            self._search("", json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
        for vertex in _objects(record, "vertexes"):
            yield from self._vertex(vertex)
        for log in _objects(record, "logs"):
            yield from self._log(log)
        for warning in _objects(record, "warnings"):
            text = self._clean(decoded(warning.get("short")).decode("utf-8", "replace"))
            step = self.steps.get(str(warning.get("vertex")), "")
            self.warnings.append(BuildWarning(BUILDKIT_CHECK, text, None, step or None))
            yield BuildEvent("warning", step, text)
        if self.with_statuses:
            shown = status(record, self._shown, self._clean)
            self._shown.clear()
            if shown:
                yield BuildEvent("status", "", shown)

    @property
    def error(self) -> str:
        """BuildKit's own last word on a failure."""
        errors = [text for text in self.messages if text.startswith("ERROR: ")]
        text = errors[-1] if errors else (self.messages[-1] if self.messages else "buildx gave no reason")
        for prefix in ("ERROR: ", "failed to build: ", "failed to solve: "):
            text = text.removeprefix(prefix)
        return _AGENT.sub("--ssh: ", text)

    @property
    def parse_error(self) -> tuple[int, str] | None:
        """The line and reason, when the Dockerfile can't be parsed."""
        match = _PARSE_ERROR.search(self.error)
        return (int(match[1]), match[2]) if match else None

    def _message(self, line: bytes) -> Iterator[BuildEvent]:
        text = self._clean(line.decode("utf-8", "replace").rstrip("\r\n"))
        match = _LINE.match(text)
        if match:
            self.error_line = int(match[1])
        if text:
            self.messages.append(text)
            yield BuildEvent("message", "", text)

    def _vertex(self, vertex: Mapping[str, object]) -> Iterator[BuildEvent]:
        key = str(vertex.get("digest"))
        told = str(vertex.get("name") or "")
        name = self._clean(told)
        self.steps[key] = name
        state = self._states.get(key)
        error = vertex.get("error")
        if vertex.get("started"):
            self.scoped.tell(told, name, cached=bool(vertex.get("cached")))
        if vertex.get("started") and state is None:
            self._states[key] = "started"
            yield BuildEvent("started", name)
        if not vertex.get("completed") or state in ("done", "failed"):
            return
        entry = {"vertex": key, "stream": 1, "timestamp": vertex["completed"]}
        yield from self._emit(key, name, self.redactor.flush(key), entry, final=True)
        if error:
            self._states[key] = "failed"
            # A step that was cancelled because another failed is not the one to show.
            if self.failed_step is None and "context canceled" not in str(error):
                self.failed_step = name
                lines = self._logs.get(key, "").rstrip().split("\n")[-_TAIL:]
                # Of a line that was written over and over, what it came to.
                self.tail = [line.rstrip("\r").rpartition("\r")[2] for line in lines if line.strip()]
            yield BuildEvent("failed", name, self._clean(str(error)))
        elif vertex.get("cached"):
            self._states[key] = "done"
            yield BuildEvent("cached", name)
        else:
            self._states[key] = "done"
            yield BuildEvent("done", name, seconds=_seconds(vertex))

    def _log(self, log: Mapping[str, object]) -> Iterator[BuildEvent]:
        key = str(log.get("vertex"))
        name = self.steps.get(key, "")
        data = decoded(log.get("data"))
        self._search(key, data)
        # Both streams of a step are redacted as one: a terminal, and the record, show them as one.
        yield from self._emit(key, name, self.redactor.feed(key, data), log)

    def _search(self, stream: str, data: bytes) -> None:
        if self.searched is not None:
            self.searched.feed(stream, data)

    def _emit(
        self, key: str, name: str, data: bytes, entry: Mapping[str, object], *, final: bool = False
    ) -> Iterator[BuildEvent]:
        for secret in sorted(self.redactor.seen):
            if (secret, key) not in self._printed and f"[{secret}]".encode() in data:
                self._printed.add((secret, key))
                self.warnings.append(
                    BuildWarning(
                        "secret-in-log",
                        f"a step printed the secret {secret}; whoever reads the builder's log can read it",
                        secret,
                        name,
                    )
                )
        # What is shown may end inside a character.
        decoder = self._decoders.setdefault(key, codecs.getincrementaldecoder("utf-8")("replace"))
        if text := self.plain(decoder.decode(data, final)):
            self._logs[key] = self._logs.get(key, "") + text
            if self.with_statuses:
                self._shown.append({**entry, "data": encoded(text)})
            yield BuildEvent("log", name, text)

    def _clean(self, text: str) -> str:
        return self.plain(self.redactor.text(text))


def _objects(record: Mapping[str, object], key: str) -> list[dict[str, object]]:
    value = record.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _seconds(vertex: Mapping[str, object]) -> float | None:
    try:
        # Nanoseconds are more digits than Python 3.10 reads.
        times = [datetime.fromisoformat(str(vertex[key])[:19]) for key in ("started", "completed")]
    except (KeyError, ValueError):
        return None
    return (times[1] - times[0]).total_seconds()
