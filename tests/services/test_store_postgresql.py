"""The store in PostgreSQL: the same as in SQLite, for several people at once."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from container_image import SecretStore, StoreError, StoreKeyError, StoreTamperedError, UnknownSecretError
from container_image.store import schema
from container_image.store.database import Database
from tests.stores import (
    check_changes,
    check_that_nothing_is_lost,
    fill,
    in_processes,
    rotate,
    rows_of,
    uses,
    without_rules,
    write_many,
)


def test_a_life_of_secrets(database: str, monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    monkeypatch.setenv("CONTAINER_IMAGE_STORE", database)
    store = SecretStore.open()
    assert not store.secrets.list()
    store.environments.create("staging", "für Tests")
    store.secrets.set_all({"TOKEN": "first", "BYTES": b"\x00\xff'\\"}, "staging", default_exposed=False)
    store.secrets.set("TOKEN", "second", "staging")
    revealed = store.secrets.reveal("staging")
    assert {name: item.value.reveal() for name, item in revealed.items()} == {
        "TOKEN": b"second",
        "BYTES": b"\x00\xff'\\",
    }
    assert revealed["TOKEN"].value.earlier == (b"first",)
    key = store.environments.key("staging")
    store.log.used("run", "app:dev", {"TOKEN": 2}, "staging")
    assert [item.description for item in store.environments.list()] == [None, "für Tests"]
    before = store.secrets.list()
    store.rotate_key()
    assert store.secrets.list() == before
    with pytest.raises(StoreKeyError):
        SecretStore.open(key=key).secrets.list()
    store.secrets.unset("BYTES", environment_name="staging")
    with pytest.raises(UnknownSecretError):
        store.secrets.versions("BYTES", "staging")
    assert [entry.action for entry in store.log.list()] == [
        "unset", "rotate-key", "run", "key", "set", "set", "set", "create",
    ]  # fmt: skip
    store.environments.delete("staging")
    assert [item.name for item in store.environments.list()] == ["main"]
    assert not rows_of(database)["container_image_versions"]
    # Another machine has the URL alone.
    (key_file,) = (state / "config" / "container-image").glob("store-*.key")
    key_file.unlink()
    with pytest.raises(StoreKeyError, match=f"its key is not: set CONTAINER_IMAGE_KEY, or put the key into {key_file}"):
        store.secrets.list()


def test_many_processes_write_at_once_and_nothing_is_lost(database: str) -> None:
    assert in_processes(8, write_many, database, 3) == [0] * 8
    check_that_nothing_is_lost(database, 8, 3)


def test_the_key_is_rotated_while_others_write(database: str) -> None:
    SecretStore.open(database).environments.create("staging")
    assert in_processes(6, write_or_rotate, database) == [0] * 6
    check_that_nothing_is_lost(database, 3, 4)


def write_or_rotate(number: int, url: str) -> None:
    if number < 3:
        write_many(number, url, 4)
    elif number < 5:
        rotate(number, url, 3)
    else:
        for _ in range(20):
            SecretStore.open(url).secrets.list()


def test_a_change_of_a_row_is_refused(database: str) -> None:
    assert check_changes(database, every=10) > 10


def test_a_column_of_another_type_changes_nothing_or_is_an_error(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", "A" * 42 + "E=")
    fill(database)
    store = SecretStore.open(database)
    reads = (0, 1, 5, 6, 7, 8, 9, 12)
    results = {number: uses(store)[number]() for number in reads}
    tables = [*schema.metadata.tables.values(), schema.revision]
    turn = itertools.cycle(reads)
    errors = 0
    for table in tables:
        for column in table.columns:
            for kind, value in DAMAGE:
                with changed(database, table.name, column.name, kind, value):
                    number = next(turn)
                    try:
                        assert uses(store)[number]() == results[number], (table.name, column.name, value)
                    except StoreError:
                        errors += 1
    assert errors > 60
    assert {number: uses(store)[number]() for number in reads} == results


DAMAGE = (
    ("text", "NULL"),
    ("text", "'hello'"),
    ("bytea", "'hello'::bytea"),
    ("double precision", "1.5"),
    ("text", r"convert_from('\xff41', 'SQL_ASCII')"),
)
"""Types of columns, and values of them."""


@contextlib.contextmanager
def changed(database: str, table: str, column: str, kind: str, value: str) -> Iterator[None]:
    """Puts a table without rules in the place of one, with that value in each row."""
    with without_rules(database).begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO aside"))
        connection.execute(sa.text(f"CREATE TABLE {table} AS SELECT * FROM aside"))
        connection.execute(sa.text(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind} USING {value}"))
    try:
        yield
    finally:
        with without_rules(database).begin() as connection:
            connection.execute(sa.text(f"DROP TABLE {table}"))
            connection.execute(sa.text(f"ALTER TABLE aside RENAME TO {table}"))


def test_a_table_that_is_gone_is_no_empty_store(database: str) -> None:
    store = SecretStore.open(database)
    store.secrets.set("TOKEN", "a")
    with without_rules(database).begin() as connection:
        connection.execute(sa.text(f"DROP TABLE {schema.VERSION_TABLE}"))
    for attempt in (store.secrets.list, lambda: store.secrets.set("TOKEN", "b")):
        with pytest.raises(StoreTamperedError, match=f"{schema.VERSION_TABLE} does not tell the version .* a backup"):
            attempt()


def test_the_migrations_make_the_tables_that_the_code_knows(database: str) -> None:
    SecretStore.open(database).secrets.set("TOKEN", "a")
    with Database(database).writing() as (connection, _):
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert compare_metadata(context, schema.metadata) == []


def test_a_refusal_fails_whole_and_shows_no_password(database: str) -> None:
    store = SecretStore.open(database)
    store.secrets.set("TOKEN", "a")
    password = sa.make_url(database).password
    assert password is not None
    wrong = database.replace(password, f"{password}x")
    with pytest.raises(StoreError, match="password authentication failed") as caught:
        SecretStore.open(wrong).secrets.list()
    assert password not in str(caught.value)
    with without_rules(database).begin() as connection:
        connection.execute(sa.text("CREATE ROLE reader LOGIN PASSWORD 'reader-reader'"))
        connection.execute(sa.text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
    reader = SecretStore.open(
        sa.make_url(database).set(username="reader", password="reader-reader").render_as_string(False)
    )
    assert reader.secrets.reveal()["TOKEN"].value.reveal() == b"a"
    with pytest.raises(StoreError, match="permission denied"):
        reader.secrets.set_all({"TOKEN": "b", "OTHER": "c"})
    assert store.secrets.reveal()["TOKEN"].value.reveal() == b"a"
