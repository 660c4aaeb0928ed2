"""The secrets of a store: set, listed, unset, and revealed for a use."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from container_image.errors import InvalidInputError, SecretSourceError
from container_image.secrets import Secret, SecretValue, Stored
from container_image.secrets.names import is_secret_name, secret_name
from container_image.secrets.source import read_file
from container_image.secrets.value import MAX_SIZE
from container_image.shown import shown
from container_image.store.model import RevealedSecret, SecretVersion, StoredSecret
from container_image.store.names import MAIN, environment_name, unknown_environment, unknown_secrets
from container_image.store.opened import OpenEnvironment
from container_image.store.session import Access, now, parse_time, reading, writing

if TYPE_CHECKING:
    from container_image.secrets.dotenv import Dotenv


class Secrets:
    """The secrets of a store, as `store.secrets`."""

    def __init__(self, access: Access, keep: int) -> None:
        self._access = access
        self._keep = keep

    def set(
        self, name: str, value: str | bytes, environment_name: str | None = None, default_exposed: bool | None = None
    ) -> StoredSecret:
        """Sets a secret. `default_exposed` None is the earlier choice, or true.

        Raises:
            InvalidInputError: no such name, or a value that is too large.
            SecretSourceError: an empty value.
            UnknownEnvironmentError: there is no such environment.
        """
        return self.set_all({name: value}, environment_name, default_exposed)[0]

    def set_all(
        self,
        values: Mapping[str, str | bytes | Secret],
        environment_name: str | None = None,
        default_exposed: bool | None = None,
    ) -> list[StoredSecret]:
        """Sets several secrets, all or none of them."""
        checked = {secret_name(name): _checked(name, value) for name, value in values.items()}
        meant = _meant(environment_name)
        with writing(self._access) as session:
            environment = session.environment(meant)
            for name, value in checked.items():
                environment.set(name, value.reveal(), default_exposed, now(), self._keep)
                session.note("set", meant, name, environment.head.secrets[name].current.number)
            environment.save()
            return [_listed(environment, name) for name in checked]

    def import_dotenv(
        self,
        source: str | os.PathLike[str] | bytes,
        environment_name: str | None = None,
        default_exposed: bool | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> list[StoredSecret]:
        """Sets the variables of a dotenv file as python-dotenv reads them, all or none, but for those without a value.

        `source` is a path, or a file's bytes. `on_note` is called with a sentence for each variable that has no value,
        refers to one that is not set, or that docker compose may read otherwise.

        Raises:
            SecretSourceError: the file can't be read, or no variable in it has a value.
            InvalidInputError: a line that is no variable, or a name that no secret can have; has the lines' numbers.
        """
        name = "standard input" if isinstance(source, bytes) else shown(source)
        data = source if isinstance(source, bytes) else read_file(source)
        found = _parsed_dotenv(name, data)
        stored = self.set_all(found.values, environment_name, default_exposed)
        for note in (*(f"{empty} has no value, and was not set" for empty in found.empty), *found.notes):
            if on_note is not None:
                on_note(note)
        return stored

    def list(self, environment_name: str | None = None) -> Sequence[StoredSecret]:
        """The secrets of an environment by name; None is every environment that the key opens."""
        meant = None if environment_name is None else _meant(environment_name)
        with reading(self._access) as session:
            if session is None:
                if meant not in (None, MAIN):
                    raise unknown_environment(meant, [MAIN])
                return []
            opened = [session.environment(name) for name in ([meant] if meant else sorted(session.ids))]
            return [_listed(environment, name) for environment in opened for name in sorted(environment.head.secrets)]

    def unset(self, name: str, environment_name: str | None = None) -> None:
        """Removes a secret with all its versions.

        Raises:
            UnknownSecretError: it is not there.
        """
        self.unset_all([name], environment_name)

    def unset_all(self, names: Sequence[str], environment_name: str | None = None) -> None:
        """Removes secrets with all their versions, all or none of them.

        Raises:
            UnknownSecretError: some are not there.
        """
        given = list(dict.fromkeys(secret_name(name) for name in names))
        meant = _meant(environment_name)
        with reading(self._access) as there:
            if there is None:
                raise unknown_secrets(given, meant, ()) if meant == MAIN else unknown_environment(meant, [MAIN])
        with writing(self._access) as session:
            environment = session.environment(meant)
            _require(environment, given)
            for name in given:
                number = environment.head.secrets[name].current.number
                environment.unset(name)
                session.note("unset", meant, name, number)
            environment.save()

    def versions(self, name: str, environment_name: str | None = None) -> Sequence[SecretVersion]:
        """The versions of a secret that are kept, newest first.

        Raises:
            UnknownSecretError: it is not there.
        """
        meant = _meant(environment_name)
        with reading(self._access) as session:
            if session is None:
                raise unknown_secrets([secret_name(name)], meant, ())
            environment = session.environment(meant)
            _require(environment, [secret_name(name)])
            entry = environment.head.secrets[name]
            return [
                SecretVersion(version.number, parse_time(version.created_at), version is entry.current)
                for version in reversed(entry.versions)
            ]

    def missing(self, names: Sequence[str], environment_name: str | None = None) -> Sequence[str]:
        """Those of the names that an environment lacks.

        Raises:
            UnknownEnvironmentError: there is no such environment.
        """
        meant = _meant(environment_name)
        with reading(self._access) as session:
            if session is None and meant != MAIN:
                raise unknown_environment(meant, [MAIN])
            known = session.environment(meant).head.secrets if session is not None else {}
            return [name for name in names if name not in known]

    def reveal(
        self, environment_name: str | None = None, names: Sequence[str] | None = None
    ) -> Mapping[str, RevealedSecret]:
        """The values, for a build, a run or an audit, which then says so in the log; None is all of them.

        Raises:
            UnknownSecretError: some are not there; lists all that aren't.
        """
        meant = _meant(environment_name)
        with reading(self._access) as session:
            if session is None:
                if meant != MAIN:
                    raise unknown_environment(meant, [MAIN])
                if names:
                    raise unknown_secrets(names, meant, ())
                return {}
            environment = session.environment(meant)
            asked = sorted(environment.head.secrets) if names is None else list(names)
            _require(environment, asked)
            return {name: _revealed(environment, name) for name in asked}


def _parsed_dotenv(name: str, data: bytes) -> Dotenv:
    # Here, so that python-dotenv is imported by those alone who import a file.
    from container_image.secrets import dotenv

    try:
        found = dotenv.parse(data)
    except dotenv.DotenvError as error:
        raise InvalidInputError(f"{name}: nothing was imported: {error}") from None
    # A name that no secret has may be a value, so it is not repeated.
    if wrong := [line for variable, line in found.lines.items() if not is_secret_name(variable)]:
        lines = ", ".join(map(str, wrong))
        raise InvalidInputError(
            f"{name}: nothing was imported: line {lines}: its name has other characters than letters, digits and underscores"
        )
    if not found.values:
        raise SecretSourceError(f"{name}: there is no variable with a value in it")
    return found


_meant = environment_name
"""The environment of an argument that has the same name as the function."""


def _checked(name: str, value: str | bytes | Secret) -> SecretValue:
    secret = value if isinstance(value, Secret) else Secret.from_value(value)
    read = secret.resolve(name)
    if len(read) > MAX_SIZE:
        raise InvalidInputError(
            f"secret {name!r}: it has {len(read):,} bytes, and {MAX_SIZE:,} are the most that a build takes"
        )
    return read


def _require(environment: OpenEnvironment, names: Sequence[str]) -> None:
    known = environment.head.secrets
    if missing := [name for name in names if name not in known]:
        raise unknown_secrets(missing, environment.name, known)


def _listed(environment: OpenEnvironment, name: str) -> StoredSecret:
    entry = environment.head.secrets[name]
    return StoredSecret(
        name,
        parse_time(entry.created_at),
        environment.name,
        entry.exposed,
        parse_time(entry.current.created_at),
        entry.current.number,
    )


def _revealed(environment: OpenEnvironment, name: str) -> RevealedSecret:
    entry = environment.head.secrets[name]
    current, *earlier = (environment.value(name, version) for version in reversed(entry.versions))
    stored = Stored(environment.name, environment.id, name, entry.current.number)
    return RevealedSecret(SecretValue(name, current, earlier=earlier, stored=stored), stored.version, entry.exposed)
