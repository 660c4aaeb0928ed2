"""What this machine remembers of builds and audits: an image's digest, the verdict, and a keyed tag of each value.

A later audit of the same image can tell from it whether the values that it was given are those that the image was built
with. A tag is an HMAC under the build key: without that key, no guess at a value can be tested against a record.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hmac
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from container_image import private
from container_image.seal import NotSealedHereError, seal, unseal
from container_image.secrets import SecretValue
from container_image.state import build_key, derive, state_directory, state_errors

Kind = Literal["build", "audit"]
BuiltWith = Literal["same", "different", "unknown"]

_KEPT = 2000
_SEALED = "sealed run record"


@dataclass(frozen=True, slots=True)
class Record:
    """One build or audit of the image with this digest.

    `secrets` maps a name to the tag of its value, under the key that `key` tells from others; `verdict` is None where no
    audit came to one. `former` has other values, sealed, that steps may have run with, and `unknown` the names of those
    of which not all are known; `environments` has the store's that a secret is from.
    """

    kind: Kind
    digest: str
    verdict: str | None
    key: str
    secrets: Mapping[str, str]
    former: Mapping[str, list[str]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    environments: Mapping[str, str] = field(default_factory=dict)
    time: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))


def remember(
    kind: Kind,
    digest: str,
    verdict: str | None,
    values: Mapping[str, SecretValue],
    *,
    former: Mapping[str, Sequence[bytes]] | None = None,
    unknown: Collection[str] = (),
) -> None:
    """Keeps a record, in place of an earlier one of the same kind and image.

    Raises:
        InvalidInputError: there is no state directory to keep it in, or it can't be written there.
    """
    key = derive(build_key(), "run record")
    tags = {name: _tag(key, name, value.reveal()) for name, value in values.items()}
    sealing = derive(build_key(), _SEALED)
    sealed = {
        name: [base64.b64encode(seal(sealing, value, digest, name)).decode() for value in found]
        for name, found in (former or {}).items()
    }
    environments = {name: value.environment for name, value in values.items() if value.environment is not None}
    record = Record(kind, digest, verdict, _tag(key, "", b""), tags, sealed, tuple(sorted(unknown)), environments)
    path = _path(kind, digest)
    with state_errors():
        private.write(path, f"{json.dumps(asdict(record), indent=1)}\n".encode())
    _prune(path.parent)


def recall(kind: Kind, digest: str) -> Record | None:
    """The latest record of this kind for an image; None where there is none, or a damaged one.

    Raises:
        InvalidInputError: the record is another user's, or can't be read.
    """
    with state_errors(), contextlib.suppress(FileNotFoundError, ValidationError):
        return _schema().validate_json(private.read(_path(kind, digest)))
    return None


@functools.cache
def _schema() -> TypeAdapter[Record]:
    """Checks the type of each field of a record."""
    return TypeAdapter(Record)


def with_former(values: Sequence[SecretValue], record: Record | None) -> list[SecretValue]:
    """The values of an audit, with others that steps of the image may have run with."""
    found = list(values)
    for name in record.former if record is not None else ():
        places = [place for place, value in enumerate(found) if value.name == name]
        if record is not None and places:
            # Of one environment; where that is not among them, one of its name has to do.
            mine = record.environments.get(name)
            place = next((place for place in places if found[place].environment == mine), places[0])
            others = _former_values(record, name)
            found[place] = found[place].replaced(earlier=(*found[place].earlier, *others))
    return found


def _former_values(record: Record, name: str) -> tuple[bytes, ...]:
    key = derive(build_key(), _SEALED)
    with contextlib.suppress(NotSealedHereError, ValueError):
        sealed = [base64.b64decode(text) for text in record.former.get(name, [])]
        return tuple(unseal(key, item, record.digest, name) for item in sealed)
    return ()


def built_with(record: Record | None, name: str, given: Iterable[bytes]) -> BuiltWith:
    """Whether an image was built with values that were given for a secret; unknown under another key."""
    if record is None or name not in record.secrets:
        return "unknown"
    key = derive(build_key(), "run record")
    if not hmac.compare_digest(record.key, _tag(key, "", b"")):
        return "unknown"
    if name in record.unknown:
        return "different"
    tags = [_tag(key, name, value) for value in given]
    return "same" if any(hmac.compare_digest(tag, record.secrets[name]) for tag in tags) else "different"


def _tag(key: bytes, name: str, value: bytes) -> str:
    return hmac.digest(key, name.encode("utf-8", "surrogateescape") + b"\0" + value, "sha256").hex()


def _path(kind: Kind, digest: str) -> Path:
    return state_directory("records") / f"{digest.replace(':', '-')}.{kind}.json"


def _prune(directory: Path) -> None:
    """The oldest records go when there are very many."""
    with contextlib.suppress(OSError):
        paths = list(directory.iterdir())
        if len(paths) > _KEPT:
            for path in sorted(paths, key=lambda path: path.stat().st_mtime)[: len(paths) - _KEPT]:
                path.unlink(missing_ok=True)
