"""Cache scopes: steps that stay in the build cache when their secret's value changes, and the values that they ran with.

A scope stands for the value in the ids of mounts (`tagging.py`). So what is in the cache, or in a cache mount, or is being
made by another build at this moment, may be made of any value that was used in the scope. Each is noted before a build
begins: sealed, in the state directory; of a secret of the store, its version in the store's log as well, for other
machines. The output is redacted of all of them, and the image is searched for all of them.

Only those share a scope's results who share these notes: the tag holds an id of the state directory, or of the store's
environment.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from container_image import private
from container_image.errors import InvalidInputError
from container_image.seal import NotSealedHereError, seal, unseal
from container_image.secrets import SecretValue
from container_image.state import build_key, derive, state_directory, state_errors
from container_image.stored import note_use, versions_kept, versions_used

if TYPE_CHECKING:
    from container_image.build.request import BuildRequest

MOST = 200
"""Values of one scope that are searched for, at most."""

_ATTEMPTS = 1000


@dataclass(frozen=True, slots=True, repr=False)
class Noted:
    """The values that were used in a secret's scope besides the one that it has, and the store does not tell.

    `others` is whether there were any, the store's former versions among them; `complete`, whether all are known.
    """

    values: tuple[bytes, ...]
    others: bool
    complete: bool


@dataclass
class ScopedSteps:
    """Steps that mount secrets with a cache scope, as a build tells of them: which ran, and which came from the cache.

    `secrets` are by the ids that they are mounted under.
    """

    secrets: Mapping[str, SecretValue] = field(default_factory=dict)
    _cached: dict[tuple[str, str], bool] = field(default_factory=dict)

    def tell(self, name: str, shown: str, *, cached: bool) -> None:
        """A step began, or was in the cache; the last word on it holds. `shown` is its name in messages."""
        for identifier in self.secrets:
            if identifier in name:
                self._cached[identifier, shown] = cached

    def ran(self, identifier: str) -> bool:
        """Whether a step that mounts it may have run with the build's value."""
        return any(not cached for (mounted, _), cached in self._cached.items() if mounted == identifier)

    def from_cache(self) -> list[tuple[SecretValue, str]]:
        """The steps from the cache, each with the secret that it mounts."""
        return [(self.secrets[identifier], shown) for (identifier, shown), cached in self._cached.items() if cached]


def scope_of(value: SecretValue) -> str:
    """What tells a secret's scope from every other: by its name, and by who shares the notes."""
    holder = _own_id() if value.stored is None else value.stored.environment_id
    return f"{value.name}\0{holder}\0{value.cache_scope}"


def former(secrets: Mapping[str, SecretValue]) -> dict[str, Noted]:
    """What was used in the scopes of those secrets that have one, besides the values that they have."""
    return {name: _noted(value) for name, value in secrets.items() if value.cache_scope is not None}


def with_former(request: BuildRequest, noted: Mapping[str, Noted]) -> BuildRequest:
    """The build, with what was used in its secrets' scopes among their former values."""
    held = dict(request.secrets)
    for name, found in noted.items():
        held[name] = held[name].replaced(earlier=tuple(dict.fromkeys((*held[name].earlier, *found.values))))
    return replace(request, secrets=held)


def _noted(value: SecretValue) -> Noted:
    scope, key = _file_name(value), derive(build_key(), "sealed note")
    values, versions, complete = {value.reveal()}, set(), True
    for path, data in _read_all(scope):
        try:
            values.add(unseal(key, data, scope))
        except NotSealedHereError:
            complete = False
        versions.add(path.name.split(".")[1])
    values.remove(value.reveal())
    others = bool(values)
    if value.stored is not None:
        # What the store keeps is among the former values anyway.
        known = {str(version) for version in versions_kept(value)} | versions
        used = {str(version) for version in versions_used("scope", scope, value)}
        complete &= used <= known
        others |= not used <= {str(value.stored.version)}
    return Noted(tuple(sorted(values))[:MOST], others, complete and len(values) <= MOST)


@contextlib.contextmanager
def noting(ids: Mapping[str, str], secrets: Mapping[str, SecretValue]) -> Iterator[ScopedSteps]:
    """Notes the values of secrets with a cache scope while a build runs, and for good where steps ran with them.

    `ids` are those that the secrets are mounted under, each with its secret's name.
    """
    scoped = {identifier: secrets[name] for identifier, name in ids.items()}
    steps = ScopedSteps({identifier: value for identifier, value in scoped.items() if value.cache_scope is not None})
    notes = {identifier: _note(value) for identifier, value in steps.secrets.items()}
    try:
        yield steps
    finally:
        # Of a build that was interrupted too: another may go on with its step.
        for identifier, note in notes.items():
            value = steps.secrets[identifier]
            if not steps.ran(identifier):
                note.unlink(missing_ok=True)
                continue
            # One for each value: its name begins like the first one's.
            note.replace(note.with_name(note.name.rpartition(".")[0]))
            if value.stored is not None and value.stored.version not in versions_used(
                "scope", _file_name(value), value
            ):
                note_use("scope", _file_name(value), [value])


def _note(value: SecretValue) -> Path:
    """A note of this build's own. Its name has the scope, the version or a tag of the value, and something random."""
    scope, data = _file_name(value), value.reveal()
    version = _tag("note", data) if value.stored is None else str(value.stored.version)
    path = _directory() / f"{scope}.{version}.{secrets.token_hex(8)}"
    with state_errors():
        private.write(path, seal(derive(build_key(), "sealed note"), data, scope))
    return path


def _read_all(scope: str) -> list[tuple[Path, bytes]]:
    """The notes of a scope as they are at one moment: a build that ends gives its own another name."""
    for _ in range(_ATTEMPTS):
        with state_errors(), contextlib.suppress(FileNotFoundError):
            return [(path, private.read(path)) for path in sorted(_directory().glob(f"{scope}.*"))]
    raise InvalidInputError(f"{_directory()}: the notes of a cache scope change too often to be read; build again")


def _file_name(value: SecretValue) -> str:
    return _tag("scope", scope_of(value).encode())


def _tag(purpose: str, data: bytes) -> str:
    return hmac.digest(derive(build_key(), purpose), data, "sha256").hex()[:32]


def _directory() -> Path:
    return state_directory("scopes")


def _own_id() -> str:
    """The id of the notes here, which goes when they go: what was made in their scopes is then not taken any more."""
    path = _directory() / "id"
    with state_errors():
        with contextlib.suppress(FileNotFoundError):
            return private.read(path).decode("ascii", "replace")
        private.write_new(path, secrets.token_hex(16).encode())
        return private.read(path).decode("ascii", "replace")
