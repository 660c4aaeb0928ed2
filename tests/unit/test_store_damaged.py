"""A damaged database ends in an error that names what is damaged, never in a wrong value or an error of a library."""

from __future__ import annotations

import itertools
import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from container_image import ContainerImageError, SecretStore, StoreError, StoreTamperedError
from container_image.cli import _run
from container_image.store import schema
from tests.stores import fill, uses

KEY = "A" * 42 + "E="
FLIPS = 700
TABLES = (*schema.metadata.tables, schema.VERSION_TABLE)
VALUES = (None, 7, -1, 2**62, 1.5, "hello", "", "a\0b", b"hello", b"", b"\xff" * 40)


@dataclass(frozen=True)
class Prepared:
    """A store that can be put back as it was, with the result of each of its uses."""

    path: Path
    data: bytes
    results: list[object]

    @property
    def store(self) -> SecretStore:
        return SecretStore.open(f"sqlite:///{self.path}", key=KEY)

    def write(self, data: bytes) -> None:
        for companion in self.path.parent.glob(f"{self.path.name}-*"):
            companion.unlink()
        self.path.write_bytes(data)

    def outcome(self, number: int) -> ContainerImageError | None:
        """The error of a use; None where it has the result that it had before the damage."""
        try:
            result = uses(self.store)[number]()
        except ContainerImageError as error:
            return error
        assert result == self.results[number]
        return None


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    path = tmp_path_factory.mktemp("damaged") / "store.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINER_IMAGE_KEY", KEY)
        fill(f"sqlite:///{path}")
    whole = Prepared(path, path.read_bytes(), [])
    for use in uses(whole.store):
        whole.write(whole.data)
        whole.results.append(use())
    return whole


def without_rules(prepared: Prepared) -> bytes:
    """The same rows in tables that take any value in any column."""
    prepared.write(prepared.data)
    with sqlite3.connect(prepared.path) as connection:
        for table in TABLES:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            connection.execute(f"DROP TABLE {table}")
            connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
    connection.close()
    return prepared.path.read_bytes()


COLUMNS = [
    (table.name, column.name)
    for table in (*schema.metadata.tables.values(), schema.revision)
    for column in table.columns
]


def test_a_flipped_bit_changes_nothing_or_is_an_error(prepared: Prepared) -> None:
    chosen = random.Random(0)
    used = [place for place, byte in enumerate(prepared.data) if byte]
    turn = itertools.cycle(range(len(prepared.results)))
    errors = []
    for _ in range(FLIPS):
        data = bytearray(prepared.data)
        # Most of a page is empty: a bit there changes nothing.
        data[chosen.choice(used)] ^= 1 << chosen.randrange(8)
        prepared.write(data)
        errors.append(prepared.outcome(next(turn)))
    told = [error for error in errors if error is not None]
    assert len(told) > FLIPS / 3
    assert all(isinstance(error, StoreError) for error in told)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_of_another_type_changes_nothing_or_is_an_error(prepared: Prepared, table: str, column: str) -> None:
    data = without_rules(prepared)
    turn = itertools.cycle(range(len(prepared.results)))
    for value in VALUES:
        for _ in range(2):
            prepared.write(data)
            change(prepared, f"UPDATE {table} SET {column} = ?", value)
            error = prepared.outcome(next(turn))
            assert error is None or isinstance(error, StoreError)
            if table == schema.VERSION_TABLE:
                assert isinstance(error, StoreTamperedError)


def test_a_value_of_another_type_is_named(prepared: Prepared, capfd: pytest.CaptureFixture[str]) -> None:
    prepared.write(prepared.data)
    change(prepared, "UPDATE container_image_versions SET sealed = ? WHERE name = 'OTHER'", "hello")
    with pytest.raises(StoreTamperedError, match=r"environment 'staging', version 1 of OTHER .* from a backup"):
        prepared.store.secrets.reveal("staging")
    assert prepared.store.secrets.reveal("main")["TOKEN"].value.reveal() == b"first of main"
    prepared.write(without_rules(prepared))
    change(prepared, "UPDATE container_image_log SET actor = ?", 7)
    with pytest.raises(StoreTamperedError, match="column actor of the table container_image_log holds a whole number"):
        prepared.store.log.list()
    change(prepared, "UPDATE container_image_log SET actor = ?, time = 'yesterday'", "me")
    with pytest.raises(StoreTamperedError, match="table container_image_log has a row without a time; restore"):
        prepared.store.log.list()
    prepared.write(without_rules(prepared))
    # A large number must not become as many bytes.
    change(prepared, "UPDATE container_image_store SET sealed = ?", 2**40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINER_IMAGE_STORE", f"sqlite:///{prepared.path}")
        patch.setenv("CONTAINER_IMAGE_KEY", KEY)
        assert _run(["secrets", "list"]) == 2
    shown = capfd.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert "the column sealed of the table container_image_store holds a whole number, not bytes" in shown.err


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_is_gone_or_empty_is_no_empty_store(prepared: Prepared, table: str) -> None:
    for statement in (f"DROP TABLE {table}", f"DELETE FROM {table}", f"ALTER TABLE {table} RENAME TO other"):
        for number in range(len(prepared.results)):
            prepared.write(prepared.data)
            change(prepared, statement)
            error = prepared.outcome(number)
            assert error is None or isinstance(error, StoreError)
            # Some uses take no look at the versions or the log, and an empty log is one.
            assert error is not None or table in (schema.versions.name, schema.log.name), statement


@pytest.mark.parametrize("version", ["", "1", "0000", "000x", "0001 ", "00\0001"])
def test_a_version_of_the_tables_that_there_never_was_is_an_error(prepared: Prepared, version: str) -> None:
    for number in range(len(prepared.results)):
        prepared.write(prepared.data)
        change(prepared, f"UPDATE {schema.VERSION_TABLE} SET version_num = ?", version)
        assert isinstance(prepared.outcome(number), StoreTamperedError)


def test_two_versions_of_the_tables_are_an_error(prepared: Prepared) -> None:
    prepared.write(without_rules(prepared))
    change(prepared, f"INSERT INTO {schema.VERSION_TABLE} VALUES (?)", schema.REVISION)
    assert isinstance(prepared.outcome(0), StoreTamperedError)


def test_a_truncated_file_is_an_error(prepared: Prepared) -> None:
    size = len(prepared.data)
    turn = itertools.cycle(range(len(prepared.results)))
    for length in (1, 50, 99, 100, 101, 511, 512, *range(2048, size, 2048)):
        prepared.write(prepared.data[:length])
        assert isinstance(prepared.outcome(next(turn)), StoreError), length
    for number in range(len(prepared.results)):
        prepared.write(prepared.data[:-1])
        prepared.outcome(number)


def change(prepared: Prepared, statement: str, *values: object) -> None:
    """Changes the database as somebody who does not go through the store."""
    with sqlite3.connect(prepared.path) as connection:
        connection.execute(statement, values)
    connection.close()
