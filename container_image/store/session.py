"""The store in one transaction: made, or opened with its key and held against its root row."""

from __future__ import annotations

import contextlib
import getpass
import hmac
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from container_image.errors import StoreError, StoreKeyError, StoreTamperedError
from container_image.seal import Key, NotSealedHereError, key_check, new_key, seal, unseal
from container_image.store import schema
from container_image.store.database import Database, damaged
from container_image.store.keys import Keys, Place
from container_image.store.names import MAIN, unknown_environment
from container_image.store.opened import OpenEnvironment, tampered

_ATTEMPTS = 4
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Access:
    """What opens a store: its database, the key if one was given, and who is told where a new one and its key are."""

    database: Database
    key: str | None
    on_made: Callable[[str], None] = lambda _: None


@dataclass
class Session:
    """A transaction on a store that was opened. `place` is where its key was found; None where the key was given.

    `ids` are the environments' by name, those that the key opens: all, or one.
    """

    connection: Connection
    id: str
    key: Key
    keys: Keys
    place: Place | None
    ids: dict[str, str]

    def environment(self, name: str) -> OpenEnvironment:
        """An environment, opened.

        Raises:
            UnknownEnvironmentError: there is none of that name.
            StoreKeyError: the key is another environment's.
            StoreTamperedError: what stands there is not what was written there.
        """
        if name not in self.ids:
            names = self.connection.execute(sa.select(schema.environments.c.name)).scalars().all()
            if self.key.environment is None or name not in names:
                raise unknown_environment(name, names)
            raise self._too_narrow(f"does not open {name!r}; name its own, with --env {self.key.environment}")
        table = schema.environments
        try:
            (row,) = self.connection.execute(sa.select(table).where(table.c.id == self.ids[name])).all()
        except (schema.ColumnTypeError, ValueError):
            raise tampered(name, "its row") from None
        return OpenEnvironment.open(self.connection, row, self._key_of(row))

    def create(self, name: str, description: str | None) -> None:
        """Adds an environment that is not there. Takes the owner's key."""
        identity = secrets.token_hex(16)
        created = OpenEnvironment.create(self.connection, identity, name, description, now(), new_key())
        self.connection.execute(sa.insert(schema.environments).values(created.row(self.owner_key("makes no other"))))
        self.ids[name] = identity
        self._write_root()

    def delete(self, name: str) -> None:
        """Removes an environment with all that is in it. Takes the owner's key."""
        self.owner_key("removes none")
        identity = self.ids.pop(name)
        for table, column in (
            (schema.versions, schema.versions.c.environment_id),
            (schema.environments, schema.environments.c.id),
        ):
            self.connection.execute(sa.delete(table).where(column == identity))
        self._write_root()

    def rotate(self, key: Key) -> None:
        """Seals everything anew: under a new key for each environment, wrapped by this owner's key."""
        opened = [self.environment(name) for name in self.ids]
        self.key = key
        for environment in opened:
            environment.reseal(new_key())
            table = schema.environments
            row = environment.row(key.key)
            self.connection.execute(sa.update(table).where(table.c.id == environment.id).values(row))
        self._write_root()

    def owner_key(self, denied: str) -> bytes:
        """The owner's key.

        Raises:
            StoreKeyError: the key is an environment's, which is denied that.
        """
        if self.key.environment is not None:
            raise self._too_narrow(f"{denied}; that takes the owner's key")
        return self.key.key

    def note(
        self,
        action: str,
        environment: str | None = None,
        name: str | None = None,
        version: int | None = None,
        image: str | None = None,
    ) -> None:
        """Writes a line of the log."""
        self.connection.execute(
            sa.insert(schema.log).values(
                time=now(),
                actor=_actor(),
                action=action,
                environment=environment,
                name=name,
                version=version,
                image=image,
            )
        )

    def _key_of(self, row: sa.Row[Any]) -> bytes:
        if self.key.environment is not None:
            return self.key.key
        try:
            key = unseal(self.key.key, row.wrapped_key, "environment key", row.id, row.name)
        except NotSealedHereError:
            raise tampered(row.name, "its key") from None
        if not hmac.compare_digest(row.key_check, key_check(key, row.id)):
            raise tampered(row.name, "its row")
        return key

    def _write_root(self) -> None:
        sealed = seal(self.key.key, json.dumps(self.ids).encode(), "root", self.id)
        values = {"key_check": key_check(self.key.key, self.id), "sealed": sealed}
        # In place: the row is what other writers wait for, and the lock on one that is gone holds nobody back.
        done = self.connection.execute(sa.update(schema.root).where(schema.root.c.id == self.id).values(values))
        if not done.rowcount:
            self.connection.execute(sa.insert(schema.root).values(id=self.id, **values))

    def _too_narrow(self, denied: str) -> StoreKeyError:
        return StoreKeyError(f"the key is that of the environment {self.key.environment!r}, and {denied}")


@contextlib.contextmanager
def reading(access: Access) -> Iterator[Session | None]:
    """The store as it is; None where there is none yet.

    Raises:
        StoreError: there is its key, and no database; or the database can't be used.
        StoreKeyError: there is no key for it, or a wrong one.
        StoreTamperedError: what stands there is not what was written there.
    """
    lost = None
    for attempt in range(_ATTEMPTS):
        with access.database.reading() as connection:
            if connection is None:
                lost = _lost(access)
                break
            try:
                session = _opened(connection, access, alone=False)
            except StoreKeyError:
                # A rotation may be under way: then the key that is kept is newer than what is seen of the database.
                if attempt + 1 == _ATTEMPTS:
                    raise
            else:
                yield session
                return
        time.sleep(0.05)
    if lost:
        # It may be in the making: that is over when the lock can be had, and then there is a store.
        with access.database.writing() as (_, made):
            if made:
                raise lost
        with reading(access) as made_meanwhile:
            yield made_meanwhile
        return
    yield None


@contextlib.contextmanager
def writing(access: Access) -> Iterator[Session]:
    """The store, for this writer alone; made where there is neither database nor key.

    Raises:
        StoreError, StoreKeyError, StoreTamperedError: as above.
    """
    with access.database.writing() as (connection, made):
        if not made:
            yield _opened(connection, access, alone=True)
            return
        if lost := _lost(access):
            raise lost
        identity = secrets.token_hex(16)
        keys = Keys.of(None if access.database.default else identity, access.key)
        key, fresh = keys.first()
        session = Session(connection, identity, key, keys, None, {})
        session.create(MAIN, None)
        yield session
        if fresh:
            # Before the commit: no database is there whose key isn't.
            keys.keep(key)
    if made:
        kept = (
            f"its key is in {keys.file}; keep a copy of that elsewhere"
            if fresh
            else "its key is the one that was given"
        )
        access.on_made(f"made a new store: {access.database}; {kept}")


def now() -> str:
    """The time, as the database has it."""
    return datetime.now(timezone.utc).strftime(_TIME)


def parse_time(text: str) -> datetime:
    """The time that a text of the database tells.

    Raises:
        StoreTamperedError: it tells none. Only the log's times can: the others are sealed.
    """
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)
    except ValueError:
        raise damaged(f"the table {schema.log.name} has a row without a time") from None


def _opened(connection: Connection, access: Access, *, alone: bool) -> Session:
    roots = connection.execute(sa.select(schema.root)).all()
    if len(roots) != 1:
        raise StoreTamperedError(
            "the store was tampered with: its root row is gone, or there are two; restore the database from a backup"
        )
    (row,) = roots
    columns = schema.environments.c
    listed = connection.execute(sa.select(columns.name, columns.id, columns.key_check)).all()
    checks = {name: (identity, check) for name, identity, check in listed}

    def fits(key: Key) -> bool:
        identity, check = (row.id, row.key_check) if key.environment is None else checks.get(key.environment, ("", b""))
        return hmac.compare_digest(check, key_check(key.key, identity))

    keys = Keys.of(None if access.database.default else row.id, access.key)
    key, place = keys.find(fits, alone=alone)
    if key.environment is not None:
        return Session(connection, row.id, key, keys, place, {key.environment: checks[key.environment][0]})
    try:
        ids: dict[str, str] = json.loads(unseal(key.key, row.sealed, "root", row.id))
    except NotSealedHereError:
        raise StoreTamperedError(
            "the store was tampered with: its root row is not what was written; restore the database from a backup"
        ) from None
    if wrong := {(name, identity) for name, identity, _ in listed} ^ set(ids.items()):
        raise tampered(min(wrong)[0], "its row")
    return Session(connection, row.id, key, keys, place, ids)


def _lost(access: Access) -> StoreError | None:
    """The error of a key without its database. The key of a store that is named by a URL may be for a new one."""
    keys = Keys.of(None, access.key)
    if not access.database.default or keys.variable() is not None or (kept := keys.kept()) is None:
        return None
    return StoreError(
        f"the store's key is in {kept}, and its database, {access.database}, is not there: restore that from a backup, or remove the key to begin anew"
    )


def _actor() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "?"
    return f"{user}@{socket.gethostname()}"
