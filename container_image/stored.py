"""Secrets of the store on their way out: into a build, which has one environment, and into an audit, which may have many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from container_image.errors import InvalidInputError, UnknownSecretError
from container_image.forms import searchable
from container_image.secrets import (
    Secret,
    SecretValue,
    StoredName,
    inner_values,
    is_plain,
    names_credential,
    resolve_secrets,
    stored_names,
)
from container_image.shown import quoted

if TYPE_CHECKING:
    from container_image.store import SecretStore
    from container_image.store.model import Use

Declared = Mapping[str, str | bytes | Secret | SecretValue]
"""Secrets as users give them, by the names that they are declared under."""

Environments = Sequence[str] | Literal["all"]
"""Names of environments; or every environment that has secrets."""


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
            f"secret {quoted(id_)}: the store has none of the name that follows the $; a literal that begins with $ is written with $$ in its place"
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


def resolved_in(environment: str | None, declared: Declared) -> dict[str, SecretValue]:
    """What a build is given: its secrets, those of the store as one environment has them.

    Raises:
        SecretSourceError: a source is missing, unreadable or empty, or the environment lacks what is declared.
        UnknownEnvironmentError: there is no such environment, whether it is needed or not.
    """
    if environment is not None:
        _store().secrets.missing([], environment)
    return resolve_secrets(declared, partial(from_store, environment=environment))


def in_environments(declared: Declared, environments: Environments) -> tuple[SecretValue, ...]:
    """What an audit is to search for: what is declared, as each of the environments has it.

    Where nothing that is declared is of the store, it is everything that the environments hold, too.

    Raises:
        SecretSourceError: a source is missing, unreadable or empty; an environment holds nothing, or lacks what is
            declared (of all, it is enough that one has it).
    """
    given = _names(environments)
    references = stored_names(declared)
    if not references:
        return (*resolve_secrets(declared).values(), *beside({}, environments))
    if environments == "all":
        having = [
            name for name in given if not _store().secrets.missing([item.name for item in references.values()], name)
        ]
        # Where none has them, the error is about the first.
        given = having or given[:1]
    values = resolved_in(given[0] if given else None, declared)
    found = list(values.values())
    for name in given[1:]:
        # Only these: what comes from elsewhere is the same in each, and a pipe can be read but once.
        again = from_store(references, name)
        found += [again[id_].replaced(name=id_, public=values[id_].public) for id_ in references]
    # A reference that names its environment is the same in each, too.
    unique = {(value.name, value.stored or index): value for index, value in enumerate(found)}
    return tuple(unique.values())


def beside(
    build: Mapping[str, SecretValue], environments: Environments, environment: str | None = None
) -> tuple[SecretValue, ...]:
    """Every secret of some environments that a build is not given: the audit of the build searches for them too.

    `environment` is the build's own, where one is named: it may hold nothing, and the other ones may not. A secret that
    the build has from another environment goes by the name that it has in the build.

    Raises:
        UnknownSecretError: one of `environments` has no secret.
    """
    held = {value.stored: value for value in build.values() if value.stored is not None}
    same = {stored.name: value for stored, value in held.items()}
    values = []
    named = _names(environments)
    for name in dict.fromkeys([*([environment] if environment is not None else []), *named]):
        everything = _everything(name, may_be_empty=name not in named)
        for value in everything:
            twin = same.get(value.name)
            if twin is not None and (twin.name == value.name or twin.name not in {item.name for item in everything}):
                values.append(value.replaced(name=twin.name, public=twin.public))
            else:
                values.append(value)
    return tuple(value for value in values if value.stored not in held)


def note_use(use: Use, image: str, values: Iterable[SecretValue], store: SecretStore | None = None) -> None:
    """Notes in the store's log what values of its secrets go into: a build, a run or an audit of an image, or a program.

    Raises:
        StoreError: it can't be noted, so they must not.
    """
    versions: dict[str, dict[str, int]] = {}
    for value in values:
        if value.stored is not None:
            versions.setdefault(value.stored.environment, {})[value.stored.name] = value.stored.version
    for environment, used in versions.items():
        (store or _store()).log.used(use, image, used, environment)


def versions_used(use: Use, image: str, value: SecretValue) -> set[int]:
    """The versions of a secret of the store that the log says were used so."""
    if value.stored is None:
        return set()
    return _store().log.versions(use, image, value.stored.name, value.stored.environment)


def versions_kept(value: SecretValue) -> set[int]:
    """The versions of a secret of the store that it keeps."""
    if value.stored is None:
        return set()
    return {item.version for item in _store().secrets.versions(value.stored.name, value.stored.environment)}


def _everything(environment: str, *, may_be_empty: bool = False) -> list[SecretValue]:
    """All secrets of an environment. Nobody named them one by one, so plain settings among them are no secrets."""
    found = [item.value for item in _store().secrets.reveal(environment).values()]
    if not found and not may_be_empty:
        raise UnknownSecretError(
            f"the environment {environment!r} has no secret to search for; set one, or leave it out", ()
        )
    return [value.replaced(public="public by key" if _is_setting(value) else None) for value in found]


def _is_setting(value: SecretValue) -> bool:
    """Whether no version of a value is secret: neither its name nor its look tells a credential, nor is one inside."""
    versions = (value.reveal(), *value.earlier)
    plain = all(is_plain(item) or searchable(item) for item in versions)
    inside = (item for version in versions for item in inner_values(SecretValue(value.name, version)))
    return plain and not names_credential(value.name) and all(item.public for item in inside)


def _names(environments: Environments) -> list[str]:
    if environments == "all":
        return list(_store().environments.with_secrets())
    if isinstance(environments, str):
        raise InvalidInputError('environments is a list of names, or "all"; write environments=[…]')
    return list(dict.fromkeys(environments))


def _store() -> SecretStore:
    # Here, so that whoever names no secret of the store does not wait for its libraries.
    from container_image.store import SecretStore

    return SecretStore.open()
