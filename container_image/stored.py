"""Secrets of the store on their way out: into a build, which has one environment, and into an audit, which may have many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from container_image.errors import UnknownSecretError
from container_image.secrets import Secret, SecretValue, StoredName, resolve_secrets, stored_names

if TYPE_CHECKING:
    from container_image.store import SecretStore
    from container_image.store.model import Use

Declared = Mapping[str, str | bytes | Secret | SecretValue]
"""Secrets as users give them, by the names that they are declared under."""


def from_store(references: Mapping[str, StoredName], environment: str | None = None) -> dict[str, SecretValue]:
    """The values, by the names that they are declared under. `environment` None is `CONTAINER_IMAGE_ENV`, else `main`.

    Raises:
        UnknownSecretError: some are not there; lists all that aren't, each with the command that sets it.
    """
    secrets = _store().secrets
    values: dict[str, SecretValue] = {}
    problems: list[str] = []
    unknown: list[str] = []
    for place in dict.fromkeys(item.environment or environment for item in references.values()):
        asked = {id_: item for id_, item in references.items() if (item.environment or environment) == place}
        missing = set(secrets.missing([item.name for item in asked.values()], place))
        problems += [
            f"secret {id_!r}: the store has none of the name that follows the $; a literal that begins with $ is written $$"
            for id_, item in asked.items()
            if item.name in missing and not item.showable
        ]
        try:
            found = secrets.reveal(
                place,
                list(dict.fromkeys(item.name for item in asked.values() if item.showable or item.name not in missing)),
            )
        except UnknownSecretError as error:
            problems.append(str(error))
            unknown += error.names
            continue
        values |= {id_: found[item.name].value for id_, item in asked.items() if item.name in found}
    if problems:
        raise UnknownSecretError("\n".join(problems), unknown)
    return values


def in_environments(declared: Declared, environments: Sequence[str]) -> tuple[SecretValue, ...]:
    """What an audit is to search for: what is declared, in each of the environments that are given.

    Where nothing is declared, it is everything that these environments hold.

    Raises:
        SecretSourceError: a source is missing, unreadable or empty; an environment holds nothing, or lacks what is
            declared.
    """
    if not declared:
        return tuple(value for name in environments for value in _everything(name))
    first, *others = dict.fromkeys(environments) or [None]
    values = list(resolve_secrets(declared, partial(from_store, environment=first)).values())
    references = stored_names(declared)
    for name in others:
        # Only these: what comes from elsewhere is the same in each, and a pipe can be read but once.
        again = {id_: declared[id_] for id_ in references}
        values += resolve_secrets(again, partial(from_store, environment=name)).values()
    # A reference that names its environment is the same in each, too.
    unique = {(value.name, value.stored or index): value for index, value in enumerate(values)}
    return tuple(unique.values())


def beside(build: Mapping[str, SecretValue], environments: Iterable[str]) -> tuple[SecretValue, ...]:
    """Everything that environments hold and a build does not: what its audit searches for too.

    A secret that the build has from another environment goes by the name that it has there.
    """
    held = {id_: value.stored for id_, value in build.items() if value.stored is not None}
    names = {stored.name: id_ for id_, stored in held.items()}
    return tuple(
        value.replaced(name=names.get(value.name))
        for name in dict.fromkeys(environments)
        for value in _everything(name)
        if value.stored not in held.values()
    )


def note_use(use: Use, image: str, values: Iterable[SecretValue]) -> None:
    """Notes in the store's log that values of its secrets go into a build or an audit of an image.

    Raises:
        StoreError: it can't be noted, so they must not.
    """
    versions: dict[str, dict[str, int]] = {}
    for value in values:
        if value.stored is not None:
            versions.setdefault(value.stored.environment, {})[value.stored.name] = value.stored.version
    for environment, used in versions.items():
        _store().log.used(use, image, used, environment)


def note_step(step: str, value: SecretValue) -> None:
    """Notes in the store's log that a step ran with this version of its secret."""
    if value.stored is not None:
        _store().log.used("step", step, {value.stored.name: value.stored.version}, value.stored.environment)


def step_versions(step: str, value: SecretValue) -> tuple[set[int], set[int]]:
    """The versions of a secret of the store that a step ran with, and those that the store keeps."""
    if value.stored is None:
        return set(), set()
    store, stored = _store(), value.stored
    ran = {
        entry.version
        for entry in store.log.list(stored.environment)
        if (entry.action, entry.image, entry.name) == ("step", step, stored.name) and entry.version is not None
    }
    return ran, {item.version for item in store.secrets.versions(stored.name, stored.environment)}


def _everything(environment: str) -> list[SecretValue]:
    found = _store().secrets.reveal(environment)
    if not found:
        raise UnknownSecretError(
            f"the environment {environment!r} has no secret to search for; set one, or leave it out", ()
        )
    return [item.value for item in found.values()]


def _store() -> SecretStore:
    # Here, so that whoever names no secret of the store does not wait for its libraries.
    from container_image.store import SecretStore

    return SecretStore.open()
