"""The `--mount` flags of a RUN."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from container_image.dockerfile.located import Located
from container_image.dockerfile.model import Dockerfile, Flag, Instruction
from container_image.errors import DockerfileError

_CSV_FIELD = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",]*))(,|\Z)')
_NAMES = {"src": "source", "dst": "target", "destination": "target"}


@dataclass(frozen=True, slots=True)
class Mount:
    """One `--mount=type=…`, as written: its variables have no values yet.

    `id` is a secret's `source`, if it has one. `id_end` is the offset behind it, None where there is none. `end` is the
    offset behind all of the mount's fields, where another may be added: the last of a name is the one that holds.
    `origin` is the stage or image that it is `from`.
    """

    type: str
    id: str | None
    target: str | None
    env: str | None
    origin: str | None
    required: bool
    id_end: int | None
    end: int
    line: int

    @property
    def default_id(self) -> str:
        """The id where none is written: a cache's is its target, any other's the last part of it."""
        if self.type == "cache":
            return posixpath.normpath(self.target or "/")
        return (self.target or "").rstrip("/").rpartition("/")[2]

    @property
    def effective_id(self) -> str:
        """The id that BuildKit looks the mount's source up under; empty where there is none."""
        return self.id or self.default_id


def secret_mounts(dockerfile: Dockerfile) -> list[Mount]:
    """Every `--mount=type=secret` that a RUN has, in order; those behind ONBUILD are not among them."""
    runs = [item for item in dockerfile.instructions if item.keyword == "RUN"]
    return [mount for run in runs for mount in mounts(run) if mount.type == "secret"]


def mounts(instruction: Instruction) -> list[Mount]:
    """Every mount of a RUN.

    Raises:
        DockerfileError: a quote in one is open or out of place; names the line.
    """
    return [
        _mount(instruction.line, flag, flag.value)
        for flag in instruction.flags
        if flag.name == "mount" and flag.value is not None and flag.value.characters
    ]


def _mount(line: int, flag: Flag, value: Located) -> Mount:
    fields: dict[str, Located | None] = {}
    for field in _csv(line, flag, value):
        key, separator, _ = field.characters.partition("=")
        fields[_NAMES.get(key.lower(), key.lower())] = field[len(key) + 1 :] if separator else None
    known = {name: item.characters for name, item in fields.items() if item is not None}
    kind = known.get("type", "bind").lower()
    place = fields["source"] if kind == "secret" and known.get("source") else fields.get("id")
    identifier = place.characters if place is not None else None
    return Mount(
        kind,
        identifier,
        known.get("target"),
        known.get("env"),
        known.get("from"),
        "required" in fields and known.get("required", "true") in ("1", "t", "T", "true", "TRUE", "True"),
        place.end if place is not None and identifier else None,
        value.end,
        line,
    )


def _csv(line: int, flag: Flag, value: Located) -> Iterator[Located]:
    """The fields of a mount, which is a CSV record."""
    at, more = 0, True
    while more:
        match = _CSV_FIELD.match(value.characters, at)
        if match is None or not flag.closed:
            raise DockerfileError(
                f"line {line}: a quote in a --mount is open or out of place; close it, or quote the whole flag", line
            )
        if match[1] is None:
            yield value[match.start(2) : match.end(2)]
        else:
            quoted = value[match.start(1) : match.end(1)]
            yield quoted.pick(pair.start() for pair in re.finditer('""|.', quoted.characters, re.DOTALL))
        at, more = match.end(), bool(match[3])
