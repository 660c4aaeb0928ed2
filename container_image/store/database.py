"""The database: SQLite in the user's data directory, or what `CONTAINER_IMAGE_STORE` names, and its transactions.

One writer at a time: SQLite's lock from the beginning of a transaction, PostgreSQL's lock on the root row. Readers see
one state from beginning to end. SQLite keeps a rollback journal, not a log beside the database (WAL): what is
overwritten or deleted is zeroed (`secure_delete`) in the one file that stays.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from container_image.errors import InvalidInputError, StoreError
from container_image.state import STORE as VARIABLE
from container_image.store import schema

_PATIENCE = 60
"""Seconds that a writer waits for the others."""

_PATH = re.compile(r"~?/|\.\.?/")

# Whoever holds it makes the tables; any number would do.
_MAKING = 0x636F6E74


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
        self._path = Path(self._url.database or "") if self._url.get_backend_name() == "sqlite" else None
        self._engine = self._connected()

    def __str__(self) -> str:
        return str(self._path) if self._path is not None else self._url.render_as_string(hide_password=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """A transaction that sees one state; None where there is no store yet."""
        if self._path is not None and not self._path.exists():
            yield None
            return
        with self._errors():
            outdated = False
            with self._begun("BEGIN", "REPEATABLE READ") as connection:
                revision = _revision(connection)
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
                made = False
                if (revision := _revision(connection)) != schema.REVISION:
                    if self._path is None:
                        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING)))
                        revision = _revision(connection)
                    made = revision is None
                    if revision != schema.REVISION:
                        self._migrate(connection)
                connection.execute(sa.select(schema.root.c.id).with_for_update())
                yield connection, made

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
            raise StoreError(f"the store at {self} was made by a newer container-image; upgrade this one") from None

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

    def _make_file(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite would make it readable by others; its journals get the mode of the database.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreError(
                f"{path}: the store can't be written: {error.strerror}; name another in {VARIABLE}"
            ) from None

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or type(error).__name__).strip().split("\n")[0]
            if self._url.password:
                reason = reason.replace(str(self._url.password), "***")
            raise StoreError(f"the store at {self} can't be used: {reason}") from None


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


def _revision(connection: Connection) -> str | None:
    """The migration that the tables are at; None where there are none."""
    if not sa.inspect(connection).has_table(schema.VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {schema.VERSION_TABLE}")).scalar()


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options()["begin"])
