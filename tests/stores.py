"""What the tests of the store do on SQLite and on PostgreSQL alike: many writers at once, and every change of a row."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from container_image import ContainerImageError, StoreError, StoreKeyError, StoreTamperedError, UnknownEnvironmentError
from container_image.store import SecretStore, schema
from container_image.store.database import Database

TABLES = (schema.root, schema.environments, schema.versions)

Row = dict[str, Any]
Rows = dict[str, list[Row]]


def in_processes(count: int, work: Any, *arguments: object) -> list[int]:
    """Runs `work(number, *arguments)` in that many processes at once; their exit codes."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(number, *arguments)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode or 0 for process in processes]


def write_many(number: int, url: str | None, times: int) -> None:
    """Sets secrets of the process's own, and one that every process sets."""
    store = SecretStore.open(url, keep_versions=1000)
    for time in range(times):
        store.secrets.set(f"OWN_{number}_{time}", f"value {number} {time}")
        store.secrets.set("SHARED", f"shared {number} {time}")


def rotate(_number: int, url: str | None, times: int) -> None:
    """Rotates the key that often."""
    for _ in range(times):
        SecretStore.open(url).rotate_key()


def check_that_nothing_is_lost(url: str | None, processes: int, times: int) -> None:
    """Holds the store against what `write_many` wrote."""
    store = SecretStore.open(url)
    revealed = store.secrets.reveal()
    assert {name: secret.value.reveal().decode() for name, secret in revealed.items() if name != "SHARED"} == {
        f"OWN_{number}_{time}": f"value {number} {time}" for number in range(processes) for time in range(times)
    }
    versions = store.secrets.versions("SHARED")
    assert [item.version for item in versions] == list(range(processes * times, 0, -1))
    shared = revealed["SHARED"].value
    assert sorted([shared.reveal(), *shared.earlier]) == sorted(
        f"shared {number} {time}".encode() for number in range(processes) for time in range(times)
    )
    assert len([entry for entry in store.log.list() if entry.action == "set"]) == 2 * processes * times


def rows_of(url: str | None) -> Rows:
    """The rows of every table but the log."""
    with Database(url).reading() as connection:
        assert connection is not None
        return {
            table.name: [
                dict(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in TABLES
        }


@dataclass(frozen=True)
class Filled:
    """A store's rows, those of its former states, and the key that opens `staging`."""

    rows: Rows
    former: list[Rows]
    staging_key: str


def fill(url: str | None) -> Filled:
    """Writes a store in which everything happened that can happen to a row."""
    store = SecretStore.open(url, keep_versions=2)
    former = []

    def did(_: object) -> None:
        former.append(rows_of(url))

    did(store.secrets.set("TOKEN", "first of main"))
    did(store.environments.create("gone", "for a while"))
    did(store.environments.create("staging"))
    did(store.secrets.set("TOKEN", "first of staging", "staging"))
    did(store.secrets.set("OTHER", "other of staging", "staging"))
    did(store.secrets.set("TOKEN", "second of staging", "staging"))
    did(store.secrets.set("TOKEN", "second of staging", "staging", default_exposed=False))
    did(store.secrets.set("AGAIN", "before", "staging"))
    did(store.secrets.unset("AGAIN", environment_name="staging"))
    did(store.environments.delete("gone"))
    did(store.secrets.set("AGAIN", "after", "staging"))
    return Filled(rows_of(url), former[:-1], store.environments.key("staging"))


def changes(filled: Filled) -> Iterator[tuple[str, Rows]]:
    """Every store that differs from the one that was filled in one row, with what was done to it.

    A column is changed, or takes another row's; a row is dropped, or put back as it was, or its bytes and another's
    are swapped.
    """

    def with_rows(table: sa.Table, rows: list[Row]) -> Rows:
        return {**filled.rows, table.name: rows}

    for table in TABLES:
        rows = filled.rows[table.name]
        keys = [column.name for column in table.primary_key]
        for at, row in enumerate(rows):
            others = rows[:at] + rows[at + 1 :]
            label = f"{table.name} {[row[key] for key in keys]}"
            yield f"drop {label}", with_rows(table, others)
            for column, value in row.items():
                yield f"change {column} of {label}", with_rows(table, [*others, {**row, column: changed(value)}])
                for other in others:
                    if other[column] != value:
                        done = {**row, column: other[column]}
                        yield f"copy {column} to {label}", with_rows(table, [*others, done])
            for place, other in enumerate(rows[at + 1 :], at + 1):
                left, right = (
                    {**mine, **{key: theirs[key] for key in keys}} for mine, theirs in ((row, other), (other, row))
                )
                rest = rows[:at] + rows[at + 1 : place] + rows[place + 1 :]
                yield f"swap {label} with another", with_rows(table, [*rest, left, right])
        for number, former in enumerate(filled.former):
            for row in former[table.name]:
                if row not in rows:
                    rest = [other for other in rows if any(other[key] != row[key] for key in keys)]
                    yield f"put back a row of {table.name} as of {number}", with_rows(table, [*rest, row])


def changed(value: object) -> object:
    """Another value of that type."""
    if isinstance(value, bytes):
        at = os.urandom(1)[0] % len(value)
        return value[:at] + bytes([value[at] ^ (1 << os.urandom(1)[0] % 8)]) + value[at + 1 :]
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    return "x"


def without_rules(url: str) -> sa.Engine:
    """The database as somebody reaches it who changes it: its own rules on what refers to what are off."""
    arguments = {"client_encoding": "utf8"} if url.startswith("postgresql") else {}
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=arguments)
    if engine.dialect.name == "postgresql":

        @sa.event.listens_for(engine, "connect")
        def off(connection: Any, _record: object) -> None:
            connection.execute("SET session_replication_role = replica")
            connection.commit()

    return engine


def write_rows(engine: sa.Engine, rows: Rows) -> bool:
    """Puts these rows in the place of all; False where two would have one key."""
    try:
        with engine.begin() as connection:
            for table in TABLES:
                connection.execute(sa.delete(table))
                if rows[table.name]:
                    connection.execute(sa.insert(table), rows[table.name])
    except sa.exc.IntegrityError:
        return False
    return True


def check_changes(url: str, every: int = 1) -> int:
    """Changes a store in every way, and asks the owner and the holder of an environment's key; how many ways.

    With `every`, in one of so many ways.
    """
    filled = fill(url)
    engine = without_rules(url)
    owner, staging = SecretStore.open(url), SecretStore.open(url, key=filled.staging_key)
    whole, part = read_everything(owner, ["main", "staging"]), read_everything(staging, ["staging"])
    tried = 0
    for label, rows in itertools.islice(changes(filled), None, None, every):
        if not write_rows(engine, rows):
            continue
        assert rows_of(url) != filled.rows, label
        tried += 1
        told = outcome(owner, ["main", "staging"])
        # A changed check of the key, or a changed name of the store, reads as a wrong key or none.
        assert isinstance(told, StoreTamperedError | StoreKeyError), label
        # Who has staging's key doesn't see what became of main; of staging, it is the same or an error.
        told = outcome(staging, ["staging"])
        assert isinstance(told, StoreError | UnknownEnvironmentError) or told == part, label
    assert write_rows(engine, filled.rows)
    assert read_everything(owner, ["main", "staging"]) == whole
    return tried


def outcome(store: SecretStore, environments: list[str]) -> object:
    """All that a store tells, or the error."""
    try:
        return read_everything(store, environments)
    except ContainerImageError as error:
        return error


def read_everything(store: SecretStore, environments: list[str]) -> object:
    """All that a store tells."""
    return (
        store.environments.list(),
        [store.secrets.list(name) for name in environments],
        [store.secrets.reveal(name) for name in environments],
    )


def uses(store: SecretStore) -> list[Callable[[], object]]:
    """Each way to use a store that `fill` wrote. What a log tells is none of its results: it is not sealed."""
    return [
        store.environments.list,
        store.environments.with_secrets,
        lambda: store.environments.key("main"),
        lambda: store.environments.create("more").name,
        lambda: store.environments.delete("staging"),
        store.secrets.list,
        lambda: store.secrets.versions("TOKEN", "staging"),
        lambda: store.secrets.missing(["TOKEN", "GONE"], "staging"),
        lambda: store.secrets.reveal("main"),
        lambda: store.secrets.reveal("staging"),
        lambda: [item.version for item in store.secrets.set_all({"TOKEN": "third", "NEW": "first"}, "staging")],
        lambda: store.secrets.unset("OTHER", "staging"),
        lambda: len(store.log.list()) < 0,
        lambda: store.log.used("run", "app:dev", {"TOKEN": 2}, "staging"),
        lambda: store.rotate_key(lambda _: None),
    ]
