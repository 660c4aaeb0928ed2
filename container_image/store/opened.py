"""One environment, opened with its key in a transaction: nothing of it is believed that its sealed head does not say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from container_image.errors import StoreTamperedError
from container_image.seal import NotSealedHereError, key_check, pad, seal, unpad, unseal
from container_image.store import head as heads
from container_image.store import schema
from container_image.store.head import Entry, Head, Version


@dataclass
class OpenEnvironment:
    """An environment's plain columns, its key, and its head, which was held against the rows that are there."""

    connection: Connection
    id: str
    name: str
    description: str | None
    created_at: str
    key: bytes
    head: Head

    @classmethod
    def create(
        cls, connection: Connection, identity: str, name: str, description: str | None, time: str, key: bytes
    ) -> OpenEnvironment:
        """An environment without a secret, of which no row is written yet."""
        return cls(connection, identity, name, description, time, key, Head())

    @classmethod
    def open(cls, connection: Connection, row: sa.Row[Any], key: bytes) -> OpenEnvironment:
        """The environment of a row.

        Raises:
            StoreTamperedError: the row, or one of a version, is not what was written, or not there, or one too many.
        """
        opened = cls(connection, row.id, row.name, row.description, row.created_at, key, Head())
        try:
            opened.head = heads.decode(unseal(key, row.head, *opened._place()))
        except NotSealedHereError:
            raise tampered(row.name, "its row") from None
        table = schema.versions
        columns = table.c.name, table.c.version, table.c.serial, table.c.created_at
        query = sa.select(*columns).where(table.c.environment_id == row.id)
        try:
            found = {tuple(version) for version in connection.execute(query).all()}
        except schema.ColumnTypeError as error:
            raise tampered(row.name, f"a version of a secret ({error})") from None
        if wrong := found ^ opened.head.rows():
            name, number, *_ = min(wrong)
            kind = "is not there" if min(wrong) not in found else "does not belong there"
            raise tampered(opened.name, f"version {number} of {name} {kind}, or its row")
        return opened

    def row(self, owner_key: bytes) -> dict[str, Any]:
        """The columns of its row, with its key wrapped by the owner's."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "created_at": self.created_at,
            "wrapped_key": seal(owner_key, self.key, "environment key", self.id, self.name),
            "key_check": key_check(self.key, self.id),
            "head": self._sealed_head(),
        }

    def value(self, name: str, version: Version) -> bytes:
        """The value of a version of a secret.

        Raises:
            StoreTamperedError: what stands there is not what was written there.
        """
        table = schema.versions
        query = sa.select(table.c.sealed).where(self._is(name, version.number))
        try:
            (sealed,) = self.connection.execute(query).scalars().all()
            return unpad(unseal(self.key, sealed, *self._bound(name, version)))
        except (NotSealedHereError, schema.ColumnTypeError, ValueError):
            raise tampered(self.name, f"version {version.number} of {name}") from None

    def set(self, name: str, value: bytes, exposed: bool | None, time: str, keep: int) -> bool:
        """Sets a secret to a value; whether anything changed. `keep` earlier versions stay.

        The same value again is no new version, and `exposed` None is the choice that was made before, or true.
        `save` is to follow.
        """
        entry = self.head.secrets.get(name)
        if entry is not None and self.value(name, entry.current) == value:
            if exposed in (None, entry.exposed):
                return False
            # Sealed anew, so that the row belongs to this head and to no earlier one.
            current = replace(entry.current, serial=self.head.counter + 1)
            self._write(name, current, value)
            entry = replace(entry, exposed=bool(exposed), versions=(*entry.versions[:-1], current))
            self.head = self.head.with_entry(name, entry)
            return True
        version = Version(self.head.next_number(name), self.head.counter + 1, time)
        if entry is None:
            entry = Entry(time, exposed is not False, ())
        elif exposed is not None:
            entry = replace(entry, exposed=exposed)
        kept = entry.versions[max(0, len(entry.versions) - keep) :]
        for gone in entry.versions[: len(entry.versions) - len(kept)]:
            self._remove(name, gone)
        self._write(name, version, value)
        self.head = self.head.with_entry(name, replace(entry, versions=(*kept, version)))
        return True

    def unset(self, name: str) -> None:
        """Removes a secret with all its versions. `save` is to follow."""
        for version in self.head.secrets[name].versions:
            self._remove(name, version)
        self.head = self.head.without(name)

    def reseal(self, key: bytes) -> None:
        """Seals every version under another key, which is the environment's from now on; its row is yet to be written."""
        values = [
            (name, version, self.value(name, version))
            for name, entry in self.head.secrets.items()
            for version in entry.versions
        ]
        self.key = key
        for name, version, value in values:
            self._write(name, version, value)

    def save(self) -> None:
        """Writes the head, once for all that was set and unset."""
        table = schema.environments
        self.connection.execute(sa.update(table).where(table.c.id == self.id).values(head=self._sealed_head()))

    def _sealed_head(self) -> bytes:
        return seal(self.key, heads.encode(self.head), *self._place())

    def _write(self, name: str, version: Version, value: bytes) -> None:
        self._remove(name, version)
        self.connection.execute(
            sa.insert(schema.versions).values(
                environment_id=self.id,
                name=name,
                version=version.number,
                serial=version.serial,
                created_at=version.created_at,
                sealed=seal(self.key, pad(value), *self._bound(name, version)),
            )
        )

    def _remove(self, name: str, version: Version) -> None:
        self.connection.execute(sa.delete(schema.versions).where(self._is(name, version.number)))

    def _is(self, name: str, number: int) -> sa.ColumnElement[bool]:
        table = schema.versions
        return sa.and_(table.c.environment_id == self.id, table.c.name == name, table.c.version == number)

    def _place(self) -> tuple[str, ...]:
        described = () if self.description is None else (self.description,)
        return "head", self.id, self.name, self.created_at, *described

    def _bound(self, name: str, version: Version) -> tuple[str | int, ...]:
        return "value", self.id, self.name, name, version.number, version.serial, version.created_at


def tampered(environment: str, what: str) -> StoreTamperedError:
    """The error of a store in which something stands that this program did not write there."""
    return StoreTamperedError(
        f"the store was tampered with: in the environment {environment!r}, {what} is not what was written; "
        "restore the whole database from a backup, and replace the secrets in it"
    )
