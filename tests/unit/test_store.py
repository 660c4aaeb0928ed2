"""The store: what goes in comes out, of the environment that was meant, and of no other."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import container_image.store as package
from container_image import (
    InvalidInputError,
    Secret,
    SecretSourceError,
    SecretStore,
    StoreError,
    StoreKeyError,
    UnknownEnvironmentError,
    UnknownSecretError,
)
from container_image.seal import pad, unpad
from container_image.store import schema
from container_image.store.database import Database
from tests.stores import check_that_nothing_is_lost, in_processes, rotate, write_many


@pytest.fixture
def store() -> SecretStore:
    return SecretStore.open()


def value(store: SecretStore, name: str, environment: str | None = None) -> bytes:
    return store.secrets.reveal(environment, [name])[name].value.reveal()


@pytest.fixture
def key_file(state: Path) -> Path:
    return state / "config" / "container-image" / "store.key"


@pytest.fixture
def database(state: Path) -> Path:
    return state / "data" / "container-image" / "store.db"


def test_a_secret_is_its_environments_alone(store: SecretStore) -> None:
    store.environments.create("staging", "for tests")
    store.secrets.set("TOKEN", "main's")
    store.secrets.set("TOKEN", b"\x00staging's\xff", environment_name="staging")
    store.secrets.set("ONLY", "in staging", environment_name="staging")
    assert (value(store, "TOKEN"), value(store, "TOKEN", "staging")) == (b"main's", b"\x00staging's\xff")
    with pytest.raises(UnknownSecretError, match="there is no secret 'ONLY' in the environment 'main'"):
        store.secrets.reveal("main", ["ONLY"])
    assert [(item.environment_name, item.name) for item in store.secrets.list()] == [
        ("main", "TOKEN"),
        ("staging", "ONLY"),
        ("staging", "TOKEN"),
    ]
    assert [(item.name, item.description, item.is_default) for item in store.environments.list()] == [
        ("main", None, True),
        ("staging", "for tests", False),
    ]


def test_the_environment_that_is_meant(store: SecretStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.environments.create("staging")
    monkeypatch.setenv("CONTAINER_IMAGE_ENV", "staging")
    store.secrets.set("TOKEN", "s")
    store.secrets.set("TOKEN", "m", environment_name="main")
    monkeypatch.delenv("CONTAINER_IMAGE_ENV")
    assert (value(store, "TOKEN"), value(store, "TOKEN", "staging")) == (b"m", b"s")
    monkeypatch.setenv("CONTAINER_IMAGE_ENV", "stagin")
    with pytest.raises(
        UnknownEnvironmentError,
        match=r"no environment 'stagin' \(did you mean staging\?\); there are: main, staging",
    ):
        store.secrets.set("TOKEN", "x")
    monkeypatch.setenv("CONTAINER_IMAGE_ENV", "a b")
    with pytest.raises(InvalidInputError, match="what was given as one in CONTAINER_IMAGE_ENV has others"):
        store.secrets.set("TOKEN", "x")
    with pytest.raises(InvalidInputError, match="-e NAME=VALUE") as caught:
        store.secrets.set("TOKEN", "x", environment_name="A=hunter2")
    assert "hunter2" not in str(caught.value)


def test_missing_names_are_listed_at_once_with_the_command_and_what_is_near(store: SecretStore) -> None:
    store.secrets.set_all({"PIP_TOKEN": "a", "GH_TOKEN": "b"})
    with pytest.raises(UnknownSecretError) as caught:
        store.secrets.reveal("main", ["PIP_TOKN", "GH_TOKEN", "NPM_KEY"])
    assert caught.value.names == ("PIP_TOKN", "NPM_KEY")
    assert str(caught.value).splitlines() == [
        "there is no secret 'PIP_TOKN' in the environment 'main' (did you mean PIP_TOKEN?); "
        "set it with: container-image secrets set PIP_TOKN --env main",
        "there is no secret 'NPM_KEY' in the environment 'main' (there are: GH_TOKEN, PIP_TOKEN); "
        "set it with: container-image secrets set NPM_KEY --env main",
    ]
    assert store.secrets.missing(["PIP_TOKN", "GH_TOKEN"]) == ["PIP_TOKN"]


def test_earlier_versions_are_kept_for_the_audit_ten_of_them(store: SecretStore) -> None:
    for number in range(13):
        store.secrets.set("TOKEN", f"value {number}")
    store.secrets.set("TOKEN", "value 12")
    revealed = store.secrets.reveal()["TOKEN"]
    assert revealed.value.reveal() == b"value 12"
    assert revealed.value.earlier == tuple(f"value {number}".encode() for number in range(11, 1, -1))
    assert [item.version for item in store.secrets.versions("TOKEN")] == list(range(13, 2, -1))
    assert [item.current for item in store.secrets.versions("TOKEN")] == [True] + [False] * 10
    SecretStore.open(keep_versions=0).secrets.set("TOKEN", "alone")
    assert store.secrets.reveal()["TOKEN"].value.earlier == ()


def test_no_version_number_is_given_twice(store: SecretStore) -> None:
    store.secrets.set("TOKEN", "a")
    store.secrets.set("TOKEN", "b")
    store.secrets.unset("TOKEN")
    assert not store.secrets.list()
    assert store.secrets.set("TOKEN", "c").version == 3
    assert store.secrets.reveal()["TOKEN"].value.earlier == ()


def test_setting_again_keeps_the_exposure_and_the_first_creation(store: SecretStore) -> None:
    first = store.secrets.set("TOKEN", "a", default_exposed=False)
    again = store.secrets.set("TOKEN", "b")
    assert (again.default_exposed, again.created_at, again.version) == (False, first.created_at, 2)
    exposed = store.secrets.set("TOKEN", "b", default_exposed=True)
    assert (exposed.default_exposed, exposed.version) == (True, 2)
    assert store.secrets.list() == [exposed]
    assert value(store, "TOKEN") == b"b"
    assert timedelta(0) <= datetime.now(timezone.utc) - first.created_at < timedelta(seconds=60)


def test_all_or_nothing(store: SecretStore) -> None:
    store.secrets.set("OLD", "a")
    for values in ({"NEW": "b", "bad-name": "c"}, {"NEW": "b", "EMPTY": " "}, {"NEW": "b", "LARGE": b"x" * 512_001}):
        with pytest.raises((InvalidInputError, SecretSourceError)):
            store.secrets.set_all(values)
    with pytest.raises(UnknownSecretError):
        store.secrets.unset_all(["OLD", "NEW"])
    assert [item.name for item in store.secrets.list()] == ["OLD"]
    store.secrets.set("LARGE", b"x" * 512_000)
    assert len(value(store, "LARGE")) == 512_000


def test_environments_are_made_and_deleted_with_their_secrets(store: SecretStore, database: Path) -> None:
    store.environments.create("staging")
    with pytest.raises(InvalidInputError, match="there is an environment 'staging' already"):
        store.environments.create("staging")
    store.secrets.set("TOKEN", "a", "staging")
    store.environments.delete("staging")
    with pytest.raises(UnknownEnvironmentError):
        store.secrets.list("staging")
    with pytest.raises(UnknownEnvironmentError):
        store.environments.delete("staging")
    with pytest.raises(InvalidInputError, match="the environment 'main' stays"):
        store.environments.delete("main")
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM container_image_versions").fetchone() == (0,)
    store.environments.create("staging")
    assert not store.secrets.list("staging")


def test_an_environments_key_opens_it_and_no_other(store: SecretStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.environments.create("staging")
    store.secrets.set("TOKEN", "main's")
    store.secrets.set("TOKEN", "staging's", "staging")
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", store.environments.key("staging"))
    assert value(store, "TOKEN", "staging") == b"staging's"
    store.secrets.set("NEW", "from CI", "staging")
    assert {item.environment_name for item in store.secrets.list()} == {"staging"}
    assert [item.name for item in store.environments.list()] == ["staging"]
    for refused in (
        lambda: store.secrets.reveal("main"),
        lambda: store.secrets.set("TOKEN", "x"),
        lambda: store.environments.create("other"),
        lambda: store.environments.delete("staging"),
        lambda: store.environments.key("main"),
        lambda: store.rotate_key(print),
    ):
        with pytest.raises(StoreKeyError, match="the key is that of the environment 'staging', and"):
            refused()
    monkeypatch.delenv("CONTAINER_IMAGE_KEY")
    assert value(store, "NEW", "staging") == b"from CI"


def test_the_first_write_makes_the_store_for_this_user_alone(
    store: SecretStore, database: Path, key_file: Path
) -> None:
    assert not store.secrets.list()
    assert not store.log.list()
    assert [(item.name, item.created_at) for item in store.environments.list()] == [("main", None)]
    for refused in (
        lambda: store.secrets.set("TOKEN", "a", "staging"),
        lambda: store.secrets.unset("TOKEN"),
        lambda: store.secrets.reveal(None, ["TOKEN"]),
        lambda: store.secrets.list("staging"),
    ):
        with pytest.raises((UnknownEnvironmentError, UnknownSecretError)):
            refused()
    assert not key_file.exists()
    store.secrets.set("TOKEN", "a")
    for path, mode in ((database, 0o600), (database.parent, 0o700), (key_file, 0o600), (key_file.parent, 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_neither_database_nor_key_alone_is_a_new_store(store: SecretStore, database: Path, key_file: Path) -> None:
    store.secrets.set("TOKEN", "a")
    key = key_file.read_text()
    key_file.unlink()
    for attempt in (store.secrets.list, lambda: store.secrets.set("TOKEN", "b")):
        with pytest.raises(
            StoreKeyError, match=f"its key is not: set CONTAINER_IMAGE_KEY, or put the key into {key_file}"
        ):
            attempt()
    assert not key_file.exists()
    key_file.touch(mode=0o600)
    key_file.write_text(key)
    database.rename(database.with_name("moved"))
    for attempt in (store.secrets.list, lambda: store.secrets.set("TOKEN", "b")):
        with pytest.raises(StoreError, match=f"key is in {key_file}, and its database, {database}, is not there"):
            attempt()
    database.with_name("moved").rename(database)
    assert value(store, "TOKEN") == b"a"


def test_a_wrong_key_is_a_clear_error(store: SecretStore, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.secrets.set("TOKEN", "a")
    store.environments.create("staging")
    right, staging = key_file.read_text(), store.environments.key("staging")
    other = "A" * 42 + "E="
    for text, message in (
        (other, "the key in CONTAINER_IMAGE_KEY is not this store's"),
        ("staging." + other, "is not that of this store's environment 'staging'.*environments key staging"),
        (staging.replace("staging", "main"), "is not that of this store's environment 'main'"),
        (staging.replace("staging", "gone"), "is not that of this store's environment 'gone'"),
        ("", "holds no key: one is 32 bytes"),
        ("hunter2", "holds no key: one is 32 bytes"),
    ):
        monkeypatch.setenv("CONTAINER_IMAGE_KEY", text)
        with pytest.raises(StoreKeyError, match=message) as caught:
            store.secrets.list()
        assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", right)
    key_file.unlink()
    assert value(store, "TOKEN") == b"a"
    monkeypatch.delenv("CONTAINER_IMAGE_KEY")
    key_file.touch(mode=0o644)
    key_file.write_text(right)
    with pytest.raises(StoreKeyError, match=r"key can't be read: other users can read it; .*chmod"):
        store.secrets.list()


def test_a_given_key_makes_a_store_and_is_written_nowhere(
    store: SecretStore, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = subprocess.run(["openssl", "rand", "-base64", "32"], capture_output=True, check=True, text=True).stdout
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", printed)
    store.secrets.set("TOKEN", "a")
    assert value(store, "TOKEN") == b"a"
    assert not key_file.exists()
    with pytest.raises(StoreKeyError, match="pass rotate_key a function"):
        store.rotate_key()
    announced: list[str] = []
    store.rotate_key(announced.append)
    with pytest.raises(StoreKeyError):
        store.secrets.list()
    assert value(SecretStore.open(key=announced[0]), "TOKEN") == b"a"
    with pytest.raises(StoreKeyError, match="there is no store yet: its owner makes it"):
        SecretStore.open("sqlite:////tmp/no/such/store.db", key=f"staging.{printed}").secrets.set("TOKEN", "a")


def test_the_keyring_holds_the_key_where_there_is_no_file(
    store: SecretStore, key_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import keyring

    monkeypatch.setenv("KEYRING_FILE", str(tmp_path / "keyring"))
    monkeypatch.setattr("keyring.core._keyring_backend", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tests.keyring_file.Keyring")
    store.secrets.set("TOKEN", "a")
    keyring.set_password("container-image", "store", key_file.read_text())
    key_file.unlink()
    before = (tmp_path / "keyring").read_text()
    assert value(store, "TOKEN") == b"a"
    store.rotate_key()
    assert value(store, "TOKEN") == b"a"
    assert not key_file.exists()
    assert (tmp_path / "keyring").read_text() != before
    keyring.delete_password("container-image", "store")
    with pytest.raises(StoreKeyError, match="the keyring's entry container-image store"):
        store.secrets.list()


def test_rotation_reseals_everything_and_old_keys_open_nothing(
    store: SecretStore, key_file: Path, database: Path
) -> None:
    store.environments.create("staging")
    for environment in ("main", "staging"):
        for number in range(3):
            store.secrets.set("TOKEN", f"{environment} {number}", environment)
    old_key, old_staging = key_file.read_text(), store.environments.key("staging")
    with sqlite3.connect(database) as connection:
        query = "SELECT sealed FROM container_image_versions UNION SELECT head FROM container_image_environments"
        old_rows = [row[0] for row in connection.execute(query)]
    before = [store.secrets.list(), store.secrets.reveal("main")["TOKEN"].value.earlier]
    store.rotate_key()
    assert [store.secrets.list(), store.secrets.reveal("main")["TOKEN"].value.earlier] == before
    assert value(store, "TOKEN", "staging") == b"staging 2"
    assert key_file.read_text() != old_key
    for key in (old_key, old_staging):
        with pytest.raises(StoreKeyError, match="or no longer"):
            SecretStore.open(key=key).secrets.list()
    data = database.read_bytes()
    assert len(old_rows) == 8
    assert not [row for row in old_rows if row[:32] in data]
    assert not list(key_file.parent.glob("*.new"))


def test_what_is_unset_is_not_in_free_pages_either(store: SecretStore, database: Path) -> None:
    store.secrets.set("LARGE", os.urandom(100_000))
    with sqlite3.connect(database) as connection:
        sealed = connection.execute("SELECT sealed FROM container_image_versions").fetchone()[0]
    pages = [sealed[at : at + 32] for at in range(10_000, len(sealed), 10_000)]
    assert [page for page in pages if page in database.read_bytes()]
    store.secrets.unset("LARGE")
    assert not [page for page in pages if page in database.read_bytes()]


@pytest.mark.parametrize("committed", [True, False])
def test_a_rotation_that_was_killed_loses_no_key(store: SecretStore, key_file: Path, committed: bool) -> None:
    store.secrets.set("TOKEN", "a")
    old = key_file.read_text()
    store.rotate_key()
    new = key_file.read_text()
    # As it is left: before the commit, the new key is beside the old one; after it, the old one is still in its place.
    beside = key_file.with_name("store.key.new")
    beside.touch(mode=0o600)
    if committed:
        key_file.write_text(old)
        beside.write_text(new)
    else:
        beside.write_text("A" * 42 + "E=")
    assert value(store, "TOKEN") == b"a"
    store.secrets.set("TOKEN", "b")
    assert key_file.read_text() == new
    store.secrets.set("TOKEN", "a")
    store.rotate_key()
    assert value(store, "TOKEN") == b"a"


def test_many_processes_write_at_once_and_nothing_is_lost() -> None:
    # They begin where there is no store, so that one of them makes it.
    assert in_processes(8, write_many, None, 3) == [0] * 8
    check_that_nothing_is_lost(None, 8, 3)


def test_the_key_is_rotated_while_others_write() -> None:
    SecretStore.open().environments.create("staging")
    assert in_processes(6, write_or_rotate) == [0] * 6
    check_that_nothing_is_lost(None, 3, 4)


def write_or_rotate(number: int) -> None:
    if number < 3:
        write_many(number, None, 4)
    elif number < 5:
        rotate(number, None, 3)
    else:
        for _ in range(20):
            SecretStore.open(None).secrets.list()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=2000).filter(lambda data: data.strip()))
def test_any_bytes_come_back(store: SecretStore, data: bytes) -> None:
    store.secrets.set("ANY", data)
    assert value(store, "ANY") == data


@given(st.binary(max_size=3000))
def test_what_is_padded_tells_a_size_of_some_few(data: bytes) -> None:
    padded = pad(data)
    assert unpad(padded) == data
    assert len(padded) in (256, 512, 1024, 2048, 4096)


def test_dotenv_files_are_imported(store: SecretStore, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "\ufeff# a comment\nexport A='single $A'\nB=\"two\\nlines\"\nC=plain # comment\nURL=https://u:${A}@x\nA=last\n",
        encoding="utf-8",
    )
    store.secrets.set("C", "before", default_exposed=False)
    stored = store.secrets.import_dotenv(path)
    assert [item.name for item in stored] == ["A", "B", "C", "URL"]
    assert {name: secret.value.reveal() for name, secret in store.secrets.reveal().items()} == {
        "A": b"last",
        "B": b"two\nlines",
        "C": b"plain",
        "URL": b"https://u:single $A@x",
    }
    assert [item.default_exposed for item in stored] == [True, True, False, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\n\nhunter2 hunter3\n", "line 3 is not NAME=VALUE"),
        ("A=1\nhunter2", "line 2 is not NAME=VALUE"),
        ("A=1\nB='open\nC=3\n", "nothing was imported: line 2 begins a quote that is not closed"),
        ("A=1\nB='closed' hunter2\n", "line 2 has more than a comment behind the closing quote"),
        ("A=1\n\n  B" + " " * 1000 + "=1", "line 3 has 1,000 blanks in a row"),
        ("A=\n", "there is no variable with a value in it"),
        ("A=1\nhunter-2=x\n", "line 2: its name has other characters"),
        ("# nothing\n", "there is no variable with a value in it"),
    ],
)
def test_a_dotenv_file_that_is_none_imports_nothing(
    store: SecretStore, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    with pytest.raises((InvalidInputError, SecretSourceError), match=message):
        store.secrets.import_dotenv(path)
    assert not store.secrets.list()


def test_the_log_tells_who_did_what(store: SecretStore) -> None:
    store.secrets.set("TOKEN", "a")
    store.log.used("build", "docker-daemon:app:dev", {"TOKEN": 1})
    store.environments.create("staging")
    store.secrets.unset("TOKEN")
    entries = store.log.list()
    assert [(entry.action, entry.environment_name, entry.name, entry.version, entry.image) for entry in entries] == [
        ("unset", "main", "TOKEN", 1, None),
        ("create", "staging", None, None, None),
        ("build", "main", "TOKEN", 1, "docker-daemon:app:dev"),
        ("set", "main", "TOKEN", 1, None),
    ]
    assert all("@" in entry.actor for entry in entries)
    assert [entry.action for entry in store.log.list("staging")] == ["create"]
    assert [entry.action for entry in store.log.list(limit=1)] == ["unset"]


def test_neither_key_nor_url_reaches_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", "the key's text")
    monkeypatch.setenv("CONTAINER_IMAGE_STORE", "sqlite:////a/b.db")
    shown = Secret.from_command("env").resolve("SHOWN").reveal()
    assert b"PATH=" in shown
    assert b"CONTAINER_IMAGE" not in shown


@pytest.mark.parametrize(
    "url",
    ["mysql://u:hunter2@h/d", "hunter2", "sqlite://", "sqlite:///:memory:", "postgresql+psycopg2://u:hunter2@h/d", ""],
)
def test_what_is_no_stores_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInputError, match=r"write the path of a file, .*, or postgresql\+psycopg") as caught:
        SecretStore.open(url)
    assert "hunter2" not in str(caught.value)


def test_a_store_is_named_by_the_path_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path in (str(tmp_path / "a b" / "store.db"), "~/store.db", "./other.db", f"sqlite:///{tmp_path}/last.db"):
        monkeypatch.setenv("CONTAINER_IMAGE_STORE", path)
        SecretStore.open().secrets.set("TOKEN", "a")
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.db")) == [
        "a b/store.db",
        "last.db",
        "other.db",
        "store.db",
    ]


def test_a_database_that_answers_not_or_is_none_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(
        StoreError, match=r"the store at postgresql\+psycopg://u:\*\*\*@127.0.0.1:9/d can't be used"
    ) as caught:
        SecretStore.open("postgresql://u:hunter2@127.0.0.1:9/d").secrets.list()
    assert "hunter2" not in str(caught.value)
    (tmp_path / "store.db").write_text("no database at all, but long enough to be looked at " * 20)
    with pytest.raises(
        StoreError, match=f"the store at {tmp_path}/store.db can't be used: file is not a database; .* a backup"
    ):
        SecretStore.open(f"sqlite:///{tmp_path}/store.db").secrets.list()
    with pytest.raises(StoreError, match="the store can't be used: No such file or directory"):
        SecretStore.open("sqlite:////proc/no/store.db").secrets.set("TOKEN", "a")


def test_what_is_not_installed_is_named(store: SecretStore, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.secrets.set("TOKEN", "a")
    key_file.unlink()
    for module in ("psycopg", "keyring"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(StoreError, match=r"pip install 'container-image\[postgresql\]'"):
        SecretStore.open("postgresql://u@h/d")
    with pytest.raises(StoreKeyError, match=r"pip install 'container-image\[keyring\]'"):
        store.secrets.list()


def test_another_sqlite_file_has_a_key_of_its_own(store: SecretStore, tmp_path: Path, key_file: Path) -> None:
    store.secrets.set("TOKEN", "mine")
    other = SecretStore.open(f"sqlite:///{tmp_path}/team.db")
    other.secrets.set("TOKEN", "the team's")
    assert (value(store, "TOKEN"), value(other, "TOKEN")) == (b"mine", b"the team's")
    assert len({path.read_text() for path in key_file.parent.glob("store*.key")}) == 2
    other.rotate_key()
    assert (value(store, "TOKEN"), value(other, "TOKEN")) == (b"mine", b"the team's")


def test_the_migrations_make_the_tables_that_the_code_knows(store: SecretStore) -> None:
    store.secrets.set("TOKEN", "a")
    with Database().writing() as (connection, _):
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert compare_metadata(context, schema.metadata) == []
    assert package.__file__ is not None
    scripts = ScriptDirectory(str(Path(package.__file__).parent / "migrations"))
    assert scripts.get_current_head() == schema.REVISION


def test_a_store_of_a_newer_version_is_left_alone(store: SecretStore) -> None:
    store.secrets.set("TOKEN", "a")
    with Database().writing() as (connection, _):
        connection.execute(sa.text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    for attempt in (store.secrets.list, lambda: store.secrets.set("TOKEN", "b")):
        with pytest.raises(StoreError, match=r"was made by a newer container-image \(.* 9999\); upgrade this one"):
            attempt()


def test_whoever_does_not_use_the_store_does_not_wait_for_its_libraries() -> None:
    script = (
        "import sys, container_image, container_image.cli\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'cryptography', 'dotenv', 'keyring') if name in sys.modules])\n"
        "print(container_image.SecretStore.__name__, 'sqlalchemy' in sys.modules, 'alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, env=dict(os.environ)
    )
    assert done.stdout.splitlines() == ["[]", "SecretStore True False"]
