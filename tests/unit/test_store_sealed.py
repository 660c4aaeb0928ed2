"""What someone with the database alone learns, and what becomes of a store that they changed."""

from __future__ import annotations

import base64
from pathlib import Path

from container_image import SecretStore
from container_image.store.database import Database
from container_image.store.session import Access, writing
from tests.stores import check_changes, rows_of

TOKEN = "tok-9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"


def test_every_change_of_a_row_is_refused(tmp_path: Path) -> None:
    assert check_changes(f"sqlite:///{tmp_path}/store.db") > 140


def test_nothing_of_a_value_or_a_key_is_in_any_file(state: Path) -> None:
    store = SecretStore.open()
    store.environments.create("staging", "a description")
    with writing(Access(Database(), None)) as session:
        # In the middle of a transaction, the journal is there too.
        environment = session.environment("main")
        environment.set("TOKEN", TOKEN.encode(), None, "2026-01-01T00:00:00Z", 10)
        environment.save()
        journal = [path.name for path in (state / "data").rglob("*-journal")]
        during = [path.read_bytes() for path in (state / "data").rglob("*") if path.is_file()]
    assert journal == ["store.db-journal"]
    for value in (TOKEN, f"{TOKEN}2", f"{TOKEN}3"):
        store.secrets.set("TOKEN", value)
        store.secrets.set("TOKEN", value, "staging")
    store.secrets.unset("TOKEN", environment_name="staging")
    staging = store.environments.key("staging").partition(".")[2]
    owner = (state / "config" / "container-image" / "store.key").read_text().strip()
    store.log.used("audit", "app:dev", {"TOKEN": 3})
    data = b"".join([*during, *(path.read_bytes() for path in (state / "data").rglob("*") if path.is_file())])
    keys = [base64.urlsafe_b64decode(text) for text in (owner, staging)]
    needles = [
        TOKEN[:8].encode(),
        TOKEN[-8:].encode(),
        base64.b64encode(TOKEN.encode())[:10],
        owner[:12].encode(),
        staging[:12].encode(),
    ]
    assert not [needle for needle in [*needles, *(key[:8] for key in keys)] if needle in data]
    # What is told on purpose.
    for told in (b"TOKEN", b"staging", b"a description", b"audit", b"app:dev"):
        assert told in data


def test_sizes_are_padded() -> None:
    store = SecretStore.open()
    for name, length in (("SHORT", 1), ("LONGER", 250), ("LONG", 300), ("LONGEST", 500)):
        store.secrets.set(name, "x" * length)
    sizes = {row["name"]: len(row["sealed"]) for row in rows_of(None)["container_image_versions"]}
    assert sizes["SHORT"] == sizes["LONGER"] < sizes["LONG"] == sizes["LONGEST"]


def test_a_whole_older_database_is_believed(state: Path) -> None:
    """It can't be noticed; SECURITY.md says so. Its own key opens it."""
    store = SecretStore.open()
    store.secrets.set("TOKEN", "old")
    path = state / "data" / "container-image" / "store.db"
    backup = path.read_bytes()
    store.secrets.set("TOKEN", "new")
    path.write_bytes(backup)
    assert store.secrets.reveal()["TOKEN"].value.reveal() == b"old"
