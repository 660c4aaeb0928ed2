"""What of a step is still in the build cache, and the command that removes it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence

from container_image.build.client import Client
from container_image.errors import EngineError

_EXEC = " from exec "
_MOST = 50


def removal(client: Client, builder: str | None, instructions: Collection[str]) -> str:
    """The command that removes the results of these RUN instructions from the cache, with what was built on them.

    Where they can't be told, or are very many, the one that removes everything that can be made again.
    """
    chosen = f" --builder={shlex.quote(builder)}" if builder else ""
    words = [_squeeze(text.removeprefix("RUN ")) for text in instructions if text.startswith("RUN ")]
    try:
        told = client.call("buildx", "du", *([f"--builder={builder}"] if builder else []), "--format", "json")
        records = [json.loads(line) for line in told.splitlines()]
    except (EngineError, ValueError):
        records = []
    roots = [record["ID"] for record in records if _is_of(str(record.get("Description")), words)]
    found = _with_descendants(roots, records)
    if not 0 < len(found) <= _MOST:
        return f"docker buildx prune{chosen}"
    return f"docker buildx prune{chosen} --force --filter {shlex.quote('id~=^(' + '|'.join(found) + ')$')}"


def _is_of(description: str, words: Sequence[str]) -> bool:
    _, separator, command = description.partition(_EXEC)
    return bool(separator) and any(_squeeze(command).endswith(text) for text in words)


def _with_descendants(roots: Sequence[str], records: Sequence[Mapping[str, object]]) -> list[str]:
    """A record that another is built on is not removed alone."""
    found = dict.fromkeys(roots)
    before = -1
    while before != len(found):
        before = len(found)
        for record in records:
            parents = record.get("Parents")
            if isinstance(parents, list) and any(parent in found for parent in parents):
                found[str(record["ID"])] = None
    return list(found)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)
