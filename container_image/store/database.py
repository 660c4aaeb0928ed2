"""The database: SQLite in the user's data directory, or what `CONTAINER_IMAGE_STORE` names, and its transactions.

One writer at a time: SQLite's lock from the beginning of a transaction, PostgreSQL's advisory lock and its lock on the
root row. Readers see one state from beginning to end. SQLite keeps a rollback journal, not a log beside the database
(WAL): what is overwritten or deleted is zeroed (`secure_delete`) in the one file that stays.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from container_image import private
from container_image.cwd import absolute
from container_image.errors import InvalidInputError, StoreError, StoreTamperedError
from container_image.state import STORE as VARIABLE
from container_image.store import schema

_PATIENCE = 60
"""Seconds that a writer waits for the others."""

_PATH = re.compile(r"~?/|\.\.?/")
# A page of SQLite's has so many bytes at least (https://sqlite.org/fileformat2.html#pages).
_SMALLEST = 512

# SQLite opens these beside the database, too.
_COMPANIONS = ("-journal", "-wal", "-shm")

_REVISION = re.compile(r"[0-9]{4}")

# The number of PostgreSQL's advisory lock that writers take; any would do.
_WRITING = 0x636F6E74


class Database:
    """Where a store is. `default` is true of the user's own, which was not named."""

    def __init__(self, url: str | None = None) -> None:
        """Nothing is connected to yet.

        Raises:
            InvalidInputError: no such URL, or of another kind.
        """
        given = url if url is not None else os.environ.get(VARIABLE)
        self.default = given is None
        self._url = _default_url() if given is None else _parsed(given)
        self._path: Path | None = None
        if self._url.get_backend_name() == "sqlite":
            self._path = absolute(Path(self._url.database or ""))
            self._url = self._url.set(database=str(self._path))
        self._engine = self._connected()

    def __str__(self) -> str:
        return str(self._path) if self._path is not None else self._url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """A transaction that sees one state; None where there is no store yet."""
        if self._path is not None and not self._checked(self._path):
            yield None
            return
        with self._errors():
            outdated = False
            with self._begun("BEGIN", "REPEATABLE READ") as connection:
                revision = self._revision(connection)
                if revision in (None, schema.REVISION):
                    yield connection if revision else None
                else:
                    outdated = True
            if outdated:
                with self.writing():
                    pass
                with self._begun("BEGIN", "REPEATABLE READ") as connection:
                    yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[tuple[Connection, bool]]:
        """A transaction that no other writer interrupts, with the tables there, and whether it made them.

        It is committed at the end, or rolled back by an exception.
        """
        with self._errors():
            if self._path is not None:
                self._make_file(self._path)
            with self._begun("BEGIN IMMEDIATE", "READ COMMITTED") as connection:
                if self._path is None:
                    # Another writer may be making or changing the tables, and READ COMMITTED would see some of them.
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITING)))
                revision = self._revision(connection)
                made = revision is None
                if revision != schema.REVISION:
                    self._migrate(connection)
                connection.execute(sa.select(schema.root.c.id).with_for_update())
                yield connection, made

    def _revision(self, connection: Connection) -> str | None:
        """The migration that the tables are at; None where there are no tables.

        Raises:
            StoreTamperedError: there are tables, and no migration that made them.
            StoreError: a newer version of this program made them.
        """
        inspector = sa.inspect(connection)
        if inspector.has_table(schema.VERSION_TABLE):
            found = connection.execute(sa.select(schema.revision.c.version_num)).scalars().all()
        elif any(inspector.has_table(name) for name in schema.metadata.tables):
            found = []
        else:
            if self._path is not None and 0 < self._path.stat().st_size < _SMALLEST:
                # SQLite takes the beginning of a database for an empty one.
                raise damaged("its file is cut short")
            return None
        if len(found) != 1 or not _REVISION.fullmatch(found[0]):
            raise damaged(f"its table {schema.VERSION_TABLE} does not tell the version of the tables")
        if found[0] > schema.REVISION:
            raise StoreError(
                f"the store at {self} was made by a newer container-image (tables of version {found[0]}); upgrade this one"
            )
        if self._path is not None:
            try:
                # Not before: a mistyped path may lead to a file that others are to read.
                private.mend_file(self._path)
            except OSError as error:
                raise self._unusable(error) from None
        return str(found[0])

    def _migrate(self, connection: Connection) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError:
            raise damaged(
                f"its table {schema.VERSION_TABLE} names a version of the tables that there never was"
            ) from None

    @contextlib.contextmanager
    def _begun(self, begin: str, level: str) -> Iterator[Connection]:
        options: dict[str, Any] = {"begin": begin} if self._path is not None else {"isolation_level": level}
        with self._engine.connect() as connection:
            connection = connection.execution_options(**options)
            with connection.begin():
                yield connection

    def _connected(self) -> Engine:
        sqlite = self._path is not None
        arguments: dict[str, Any] = (
            {"timeout": _PATIENCE, "isolation_level": None}
            if sqlite
            else {"connect_timeout": 10, "client_encoding": "utf8"}
        )
        try:
            # Without hide_parameters, an error of SQLAlchemy's would show what was to be written.
            engine = sa.create_engine(
                self._url, poolclass=sa.pool.NullPool, hide_parameters=True, connect_args=arguments
            )
        except ImportError:
            raise StoreError("PostgreSQL needs a package: pip install 'container-image[postgresql]'") from None
        if sqlite:
            sa.event.listen(engine, "connect", _configure_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _checked(self, path: Path) -> bool:
        """Whether there is a database file, checked with its directory if that is this program's own.

        Raises:
            StoreError: the file, one of its companions or the directory is another user's, or of another kind.
        """
        try:
            if self.default:
                with contextlib.suppress(FileNotFoundError):
                    private.check_directory(path.parent)
            for suffix in _COMPANIONS:
                private.check_file(path.with_name(path.name + suffix))
            return private.check_file(path)
        except OSError as error:
            raise self._unusable(error) from None

    def _make_file(self, path: Path) -> None:
        try:
            if self.default:
                private.make_directory(path.parent)
            else:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._checked(path):
                # SQLite would make it readable by others; its journals get the mode of the database.
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> StoreError:
        return StoreError(
            f"{error.filename}: the store can't be used: {error.strerror}; correct that, or name another store in {VARIABLE}"
        )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except schema.ColumnTypeError as error:
            raise damaged(str(error)) from None
        except (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
            if self._url.password:
                reason = reason.replace(str(self._url.password), "***")
            raise StoreError(
                f"the store at {self} can't be used: {reason}; check that it can be reached, read and written, or restore it from a backup"
            ) from None


def damaged(what: str) -> StoreTamperedError:
    """The error of a database that does not have the form that this program gave it."""
    return StoreTamperedError(
        f"the store is damaged, or was tampered with: {what}; restore the whole database from a backup"
    )


def _default_url() -> URL:
    return URL.create("sqlite", database=str(platformdirs.user_data_path("container-image") / "store.db"))


def _parsed(text: str) -> URL:
    """The URL that is meant; the path of a file means SQLite's.

    Neither the text nor SQLAlchemy's message is shown: there may be a password in it.
    """
    if _PATH.match(text):
        return URL.create("sqlite", database=str(Path(text).expanduser()))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is not None and url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        return url.set(drivername="sqlite", query={})
    if url is not None and url.drivername in ("postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise InvalidInputError(
        f"{VARIABLE} names no store: write the path of a file, as /absolute/path.db, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
    )


def _configure_sqlite(connection: Any, _record: object) -> None:
    # Damaged text is compared with what is sealed, as other text is: sqlite3's own error would quote it.
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["begin"])
