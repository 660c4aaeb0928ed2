"""Which records of the build cache hold a step's result, and the command that removes exactly those."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence

from container_image.build.client import Client
from container_image.errors import EngineError

_EXEC = " from exec "
# BuildKit describes the result of COPY and ADD as `[stage-1 2/3] COPY --from=build /a /b`.
_COPY = re.compile(r"(?:\[[^\]]*\] )?((?:COPY|ADD) )((?:--\S+ )*)(.*)", re.DOTALL)
_AGE = re.compile(r"(?:(\d+)|About an?|Less than a) (second|minute|hour)s? ago")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_MOST = 50

_Record = Mapping[str, object]


def removal(client: Client, builder: str | None, instructions: Collection[str], within: float) -> str | None:
    """The command that removes the results of these instructions from the cache, with what was built on them.

    Other builds may have instructions of the same words, so only records that were used in the last `within` seconds count,
    where there are some; else those of RUN, whose words are seldom the same.

    Returns None where no record is found, where there are more than 50, or where the builder lists none.
    """
    chosen = [f"--builder={builder}"] if builder else []
    try:
        told = client.call("buildx", "du", *chosen, "--format", "json")
        records: list[_Record] = [json.loads(line) for line in told.splitlines()]
    except (EngineError, ValueError):
        return None
    commands = {_squeeze(text.removeprefix("RUN ")) for text in instructions if text.startswith("RUN ")}
    copies = {_squeeze("".join(match.group(1, 3))) for text in instructions if (match := _COPY.fullmatch(text))}
    ran = [record for record in records if _is_run(_description(record), commands)]
    copied = [record for record in records if _is_copy(_description(record), copies)]
    recent = [record for record in (*ran, *copied) if _age(record) <= within]
    found = _with_descendants([str(record["ID"]) for record in recent or ran], records)
    if not 0 < len(found) <= _MOST:
        return None
    return shlex.join(["docker", "buildx", "prune", *chosen, "--force", "--filter", f"id~=^({'|'.join(found)})$"])


def _description(record: _Record) -> str:
    return str(record.get("Description"))


def _is_run(description: str, commands: Collection[str]) -> bool:
    _, separator, command = description.partition(_EXEC)
    return bool(separator) and any(_squeeze(command).endswith(text) for text in commands)


def _is_copy(description: str, copies: Collection[str]) -> bool:
    match = _COPY.fullmatch(description)
    return match is not None and _squeeze("".join(match.group(1, 3))) in copies


def _age(record: _Record) -> float:
    """At least how many seconds ago a record was used; buildx rounds down. Infinite where it does not say."""
    match = _AGE.fullmatch(str(record.get("LastUsedAt")))
    return float("inf") if match is None else int(match[1] or match[0].startswith("About")) * _SECONDS[match[2]]


def _with_descendants(roots: Sequence[str], records: Sequence[_Record]) -> list[str]:
    """The records and all that were built on them: a record that another is built on is not removed alone."""
    found = dict.fromkeys(roots)
    before = -1
    while before != len(found):
        before = len(found)
        for record in records:
            if any(parent in found for parent in _parents(record)):
                found[str(record["ID"])] = None
    return list(found)


def _parents(record: _Record) -> Iterator[str]:
    parents = record.get("Parents")
    yield from map(str, parents if isinstance(parents, list) else ())


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", "", text)
