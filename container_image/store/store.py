"""`SecretStore`: secrets in environments, named as fal's client names them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from container_image.errors import InvalidInputError, StoreKeyError
from container_image.secrets import Secret, SecretValue
from container_image.secrets.names import secret_name
from container_image.secrets.value import MAX_SIZE
from container_image.store import schema
from container_image.store.database import Database
from container_image.store.environment import OpenEnvironment
from container_image.store.imported import read_dotenv
from container_image.store.model import (
    EnvironmentInfo,
    LogEntry,
    RevealedSecret,
    SecretVersion,
    StoredSecret,
    Use,
)
from container_image.store.names import MAIN, environment_name, unknown_environment, unknown_secrets
from container_image.store.seal import Key, key_text, new_key
from container_image.store.session import Access, now, reading, writing

KEPT = 10
"""Earlier versions that stay, unless told otherwise."""


class SecretStore:
    """Secrets in environments, encrypted. Made by `open`; each call is a transaction of its own.

    Where a method takes an environment's name, None is the one of `CONTAINER_IMAGE_ENV`, else `main`.

    Every method can raise:
        StoreError: the database can't be used; or StoreKeyError, without the right key; or StoreTamperedError, where
            what stands there is not what was written there.
    """

    def __init__(self, access: Access, keep_versions: int) -> None:
        self.secrets = Secrets(access, keep_versions)
        """The secrets."""
        self.environments = Environments(access)
        """The environments."""
        self.log = Log(access)
        """Who did what, when."""
        self._access = access

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        key: str | None = None,
        keep_versions: int = KEPT,
        on_made: Callable[[str], None] = lambda _: None,
    ) -> SecretStore:
        """The store that `url` names, else `CONTAINER_IMAGE_STORE`, else SQLite in the user's data directory.

        `key` goes before `CONTAINER_IMAGE_KEY`, the key file and the keyring. Nothing is made before the first write;
        `on_made` is then told where database and key are.

        Raises:
            InvalidInputError: no such URL.
        """
        if keep_versions < 0:
            raise InvalidInputError("keep_versions is the number of earlier versions that stay: 0 or more")
        return cls(Access(Database(url), key, on_made), keep_versions)

    def rotate_key(self, announce: Callable[[str], None] | None = None) -> None:
        """Seals everything under new keys. Keys of environments that were handed out open nothing any more.

        The owner's new key takes the old one's place. Where the old one was given, `announce` gets the new one, before
        it is in force.

        Raises:
            StoreKeyError: the key was given, and there is no `announce`; or it is an environment's.
        """
        with writing(self._access) as session:
            session.owner_key("can't be rotated with it")
            key = Key(None, new_key())
            if session.place is not None:
                session.keys.announce(session.place, key)
            elif announce is not None:
                announce(key_text(key))
            else:
                raise StoreKeyError(
                    "the key was given, so the new one has no place to go to: pass rotate_key a function"
                )
            session.rotate(key)
            session.note("rotate-key")
        if session.place is not None:
            # The next writer, which this is, puts the new key in its place.
            with writing(self._access):
                pass

    def __repr__(self) -> str:
        return f"SecretStore({str(self._access.database)!r})"


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
        path: str | os.PathLike[str],
        environment_name: str | None = None,
        default_exposed: bool | None = None,
    ) -> list[StoredSecret]:
        """Sets the variables of a dotenv file as they are written, all or none: `${NAME}` is not replaced.

        Raises:
            SecretSourceError: the file can't be read; names the line.
        """
        return self.set_all(read_dotenv(Path(path)), environment_name, default_exposed)

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
                SecretVersion(version.number, _time(version.created_at), version is entry.current)
                for version in reversed(entry.versions)
            ]

    def missing(self, names: Sequence[str], environment_name: str | None = None) -> Sequence[str]:
        """Those of the names that an environment lacks."""
        meant = _meant(environment_name)
        with reading(self._access) as session:
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


class Environments:
    """The environments of a store, as `store.environments`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def create(self, name: str, description: str | None = None) -> EnvironmentInfo:
        """Adds an environment.

        Raises:
            InvalidInputError: no such name, or there is one of that name.
        """
        meant = environment_name(name)
        with writing(self._access) as session:
            session.owner_key("makes no other")
            if meant in session.ids:
                raise InvalidInputError(f"there is an environment {meant!r} already; choose another name")
            session.create(meant, description or None)
            session.note("create", meant)
            return _described(session.environment(meant))

    def list(self) -> Sequence[EnvironmentInfo]:
        """The environments that the key opens, `main` first."""
        with reading(self._access) as session:
            if session is None:
                return [EnvironmentInfo(MAIN, None, True, None)]
            return [
                _described(session.environment(name))
                for name in sorted(session.ids, key=lambda name: (name != MAIN, name))
            ]

    def delete(self, name: str) -> None:
        """Removes an environment with its secrets.

        Raises:
            InvalidInputError: it is `main`, or there is none of that name.
        """
        meant = environment_name(name)
        if meant == MAIN:
            raise InvalidInputError(f"the environment {MAIN!r} stays; `container-image secrets unset` empties it")
        with reading(self._access) as there:
            if there is None:
                raise unknown_environment(meant, [MAIN])
        with writing(self._access) as session:
            session.owner_key("removes none")
            if meant not in session.ids:
                raise unknown_environment(meant, session.ids)
            session.delete(meant)
            session.note("delete", meant)

    def key(self, name: str) -> str:
        """The environment's own key, which opens it and no other: what its CI gets as `CONTAINER_IMAGE_KEY`."""
        meant = environment_name(name)
        with reading(self._access) as there:
            if there is None:
                raise (
                    unknown_environment(meant, [MAIN])
                    if meant != MAIN
                    else InvalidInputError(
                        "there is no store yet, so no key; the first `container-image secrets set` makes both"
                    )
                )
        with writing(self._access) as session:
            opened = session.environment(meant)
            session.note("key", meant)
            return key_text(Key(meant, opened.key))


class Log:
    """What was done on a store, as `store.log`. It is not sealed: whoever can write the database can write it."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def used(self, use: Use, image: str, versions: Mapping[str, int], environment_name: str | None = None) -> None:
        """Notes that a build, a run or an audit of an image used these versions of secrets."""
        meant = _meant(environment_name)
        with writing(self._access) as session:
            for name, version in versions.items():
                session.note(use, meant, name, version, image)

    def list(self, environment_name: str | None = None, limit: int | None = None) -> Sequence[LogEntry]:
        """The entries of one environment, or all, newest first."""
        meant = None if environment_name is None else _meant(environment_name)
        with reading(self._access) as session:
            if session is None:
                return []
            table = schema.log
            query = sa.select(table).order_by(table.c.id.desc()).limit(limit)
            if meant is not None:
                query = query.where(table.c.environment == meant)
            return [
                LogEntry(_time(row.time), row.actor, row.action, row.environment, row.name, row.version, row.image)
                for row in session.connection.execute(query)
            ]


_meant = environment_name
"""The environment of a method's argument, which has the same name as the function."""


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
        _time(entry.created_at),
        environment.name,
        entry.exposed,
        _time(entry.current.created_at),
        entry.current.number,
    )


def _revealed(environment: OpenEnvironment, name: str) -> RevealedSecret:
    entry = environment.head.secrets[name]
    current, *earlier = (environment.value(name, version) for version in reversed(entry.versions))
    return RevealedSecret(SecretValue(name, current, earlier=earlier), entry.current.number, entry.exposed)


def _described(environment: OpenEnvironment) -> EnvironmentInfo:
    return EnvironmentInfo(
        environment.name, environment.description, environment.name == MAIN, _time(environment.created_at)
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
