"""The tables. What stands in them in the clear is what someone with the database alone learns.

A root row names the environments; each environment's row names its secrets and their versions, in its sealed head.
Times are text, `YYYY-MM-DDTHH:MM:SSZ`: they are bound into what is sealed, and must read the same on every database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine
from typing_extensions import override

REVISION = "0001"
"""The newest migration; a test compares it with `migrations/versions`."""

VERSION_TABLE = "container_image_revision"


class ColumnTypeError(Exception):
    """A column holds a value of another type. SQLite keeps any type in any column (https://sqlite.org/datatype3.html).

    Read all rows of a result at once: a cursor that this error leaves in the middle keeps SQLite's lock.
    """


_KINDS = {str: "text", bytes: "bytes", int: "a whole number", float: "a fraction", type(None): "nothing"}


class _Checked(TypeDecorator[Any]):
    """The type of a column, which checks each value that is read from it."""

    cache_ok = True
    impl: TypeEngine[Any] | type[TypeEngine[Any]] = String
    expected: type = str
    column: Column[Any]

    @override
    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Returns a value as the database's driver gives it, without SQLAlchemy's conversions: `bytes(10**9)` is long."""
        expected, column = self.expected, self.column

        def checked(value: Any) -> Any:
            if type(value) is expected or (value is None and column.nullable):
                return value
            raise ColumnTypeError(
                f"the column {column.name} of the table {column.table.name} holds {_KINDS.get(type(value), 'a value of another type')}, not {_KINDS[expected]}"
            )

        return checked


class _Text(_Checked):
    """Text."""

    cache_ok = True


class _LongText(_Checked):
    """Text of any length."""

    impl = Text
    cache_ok = True


class _Bytes(_Checked):
    """Bytes."""

    impl = LargeBinary
    expected = bytes
    cache_ok = True


class _Number(_Checked):
    """A whole number."""

    impl = Integer
    expected = int
    cache_ok = True


metadata = MetaData()

root = Table(
    "container_image_store",
    metadata,
    Column("id", _Text(32), primary_key=True),
    # Tells the owner key from a wrong one.
    Column("key_check", _Bytes, nullable=False),
    # Under the owner key: the name and the id of each environment.
    Column("sealed", _Bytes, nullable=False),
)

environments = Table(
    "container_image_environments",
    metadata,
    Column("id", _Text(32), primary_key=True),
    Column("name", _Text(63), nullable=False, unique=True),
    Column("description", _LongText),
    Column("created_at", _Text(20), nullable=False),
    # The environment's own key, under the owner key.
    Column("wrapped_key", _Bytes, nullable=False),
    Column("key_check", _Bytes, nullable=False),
    Column("head", _Bytes, nullable=False),
)

versions = Table(
    "container_image_versions",
    metadata,
    Column("environment_id", _Text(32), ForeignKey(environments.c.id, ondelete="CASCADE"), primary_key=True),
    Column("name", _Text(255), primary_key=True),
    Column("version", _Number, primary_key=True),
    Column("serial", _Number, nullable=False),
    Column("created_at", _Text(20), nullable=False),
    Column("sealed", _Bytes, nullable=False),
)

log = Table(
    "container_image_log",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("time", _Text(20), nullable=False),
    Column("actor", _LongText, nullable=False),
    Column("action", _Text(16), nullable=False),
    # Names, not references: what is deleted stays in the log.
    Column("environment", _Text(63)),
    Column("name", _Text(255)),
    Column("version", _Number),
    Column("image", _LongText),
)

revision = Table(VERSION_TABLE, MetaData(), Column("version_num", _Text(32), primary_key=True))
"""Alembic's own table, which is none of `metadata`."""

for table in (*metadata.tables.values(), revision):
    for column in table.columns:
        assert isinstance(column.type, _Checked)
        column.type.column = column
