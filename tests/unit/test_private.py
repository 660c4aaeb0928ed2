"""The program's own files and directories: private to their user, mended with a word on it, or refused."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from container_image import ContainerImageError, SecretStore, SecretValue
from container_image.build.alone import alone
from container_image.build.scoped import scope_of
from container_image.private import NotPrivateError, check_file, open_file, read, write
from container_image.records import recall, remember
from container_image.state import build_key, state_directory

PROGRAM = str(Path(sys.executable).with_name("container-image"))
DIGEST = "sha256:" + "1" * 64

OWN = {
    "state": "container-image",
    "records": "container-image/records",
    "locks": "container-image/locks",
    "scopes": "container-image/scopes",
    "data": "data/container-image",
    "config": "config/container-image",
}
"""Each directory of the program's own, below the fixture `state`."""

FILES = {
    "build key": "container-image/build.key",
    "record": f"container-image/records/{DIGEST.replace(':', '-')}.build.json",
    "lock": "container-image/locks/untagged-secrets",
    "scope id": "container-image/scopes/id",
    "database": "data/container-image/store.db",
    "journal": "data/container-image/store.db-journal",
    "store key": "config/container-image/store.key",
}
"""Each file that is there twice: made by one call, and used by another one."""


def use_everything() -> None:
    """Reads and writes in every directory."""
    build_key()
    # `remember` replaces a record without reading it.
    recall("build", DIGEST)
    remember("build", DIGEST, "clean", {"T": SecretValue("T", b"tok9aZ8bY7cX6")})
    assert recall("build", DIGEST) is not None
    with alone(lambda: None):
        pass
    scope_of(SecretValue("T", b"tok9aZ8bY7cX6", cache_scope="a"))
    store = SecretStore.open()
    store.secrets.set("TOKEN", "a")
    assert store.secrets.reveal()["TOKEN"].value.reveal() == b"a"


def as_link(path: Path) -> None:
    """Moves a file or directory away, with a link in its place."""
    if not path.exists():
        path.with_name("elsewhere").write_bytes(b"precious")
    else:
        path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def as_pipe(path: Path) -> None:
    as_nothing(path)
    os.mkfifo(path)


def as_socket(path: Path) -> None:
    as_nothing(path)
    # A socket's path can't be as long as a test's directory.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def as_directory(path: Path) -> None:
    as_nothing(path)
    path.mkdir()


def as_foreign(path: Path) -> None:
    """What another user put there."""
    if not path.exists():
        path.touch()
    os.chown(path, 65534, -1)


def as_nothing(path: Path) -> None:
    if path.exists():
        path.rename(path.with_name("elsewhere"))


Change = Callable[[Path], None]
KINDS: list[tuple[Change, str]] = [
    (as_link, "it is a symbolic link, not a"),
    (as_pipe, "it is a named pipe, not a"),
    (as_socket, "it is a socket, not a"),
]
if os.geteuid() == 0:
    KINDS.append((as_foreign, r"it belongs to another user \(uid 65534\)"))


@pytest.mark.parametrize(("change", "reason"), KINDS)
@pytest.mark.parametrize("directory", OWN)
def test_what_is_in_the_place_of_a_directory_is_refused(
    state: Path, directory: str, change: Change, reason: str
) -> None:
    use_everything()
    change(state / OWN[directory])
    with pytest.raises(ContainerImageError, match=f"{state / OWN[directory]}.*: {reason}.*; ") as caught:
        use_everything()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("change", "reason"), [*KINDS, (as_directory, "it is a directory, not a file")])
@pytest.mark.parametrize("file", FILES)
def test_what_is_in_the_place_of_a_file_is_refused_at_once(state: Path, file: str, change: Change, reason: str) -> None:
    use_everything()
    change(state / FILES[file])
    with pytest.raises(ContainerImageError, match=f"{state / FILES[file]}.*: {reason}.*; ") as caught:
        use_everything()
    assert "\n" not in str(caught.value)
    if change is as_link and file == "journal":
        assert (state / FILES[file]).read_bytes() == b"precious"


@pytest.mark.parametrize("directory", OWN)
def test_an_own_directory_that_others_can_change_is_mended_once(
    state: Path, directory: str, caplog: pytest.LogCaptureFixture
) -> None:
    use_everything()
    path = state / OWN[directory]
    path.chmod(0o777)
    use_everything()
    use_everything()
    assert caplog.messages == [
        f"{path}: other users could change it; their permissions were removed (mode 0777, now 0700)"
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize("file", ["record", "lock", "scope id", "database"])
def test_an_own_file_that_others_can_read_is_mended_once(
    state: Path, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    use_everything()
    path = state / FILES[file]
    path.chmod(0o644)
    use_everything()
    assert caplog.messages == [
        f"{path}: other users could read it; their permissions were removed (mode 0644, now 0600)"
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_directory_that_the_user_chose_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o777)
    store = SecretStore.open(f"sqlite:///{tmp_path}/store.db")
    store.secrets.set("TOKEN", "a")
    assert store.secrets.reveal()["TOKEN"].value.reveal() == b"a"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o777
    # One that is not there is made, for this user alone.
    SecretStore.open(f"sqlite:///{tmp_path}/new/store.db").secrets.set("TOKEN", "a")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert caplog.messages == []


@pytest.mark.parametrize("text", ["127.0.0.1 localhost\n" * 100, "short"])
def test_a_file_that_is_no_store_keeps_its_mode(tmp_path: Path, text: str) -> None:
    (tmp_path / "hosts").write_text(text)
    (tmp_path / "hosts").chmod(0o644)
    store = SecretStore.open(f"sqlite:///{tmp_path}/hosts")
    for attempt in (store.secrets.list, lambda: store.secrets.set("TOKEN", "a")):
        with pytest.raises(ContainerImageError, match="can't be used"):
            attempt()
    assert stat.S_IMODE((tmp_path / "hosts").stat().st_mode) == 0o644
    assert (tmp_path / "hosts").read_text() == text


def test_an_empty_file_becomes_a_private_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch(mode=0o644)
    store = SecretStore.open(f"sqlite:///{path}")
    assert not store.secrets.list()
    store.secrets.set("TOKEN", "a")
    assert store.secrets.reveal()["TOKEN"].value.reveal() == b"a"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_command_line_says_what_it_mended_and_exits_2_where_it_refuses(state: Path) -> None:
    use_everything()
    (state / OWN["data"]).chmod(0o755)
    done = subprocess.run([PROGRAM, "secrets", "list"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        0,
        f"container-image: {state / OWN['data']}: other users could read it; their permissions were removed (mode 0755, now 0700)\n",
    )
    as_pipe(state / FILES["store key"])
    done = subprocess.run([PROGRAM, "secrets", "list"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "it is a named pipe, not a file" in done.stderr


def test_a_journal_of_a_build_that_another_user_wrote_is_not_followed(state: Path) -> None:
    """It may name any directory as one to be removed."""
    from container_image.build import leftovers

    runs = state_directory("runs")
    as_link(runs / "planted.json")
    with pytest.raises(ContainerImageError, match=r"planted.json: .* it is a symbolic link, not a file; remove it"):
        leftovers._sweep()
    assert (runs / "elsewhere").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    directory = tmp_path / "own"
    directory.mkdir(mode=0o700)
    path = directory / "file"
    write(path, b"first")
    with pytest.raises(TypeError):
        write(path, "no bytes")  # type: ignore[arg-type]
    assert read(path) == b"first"
    assert list(directory.iterdir()) == [path]
    with pytest.raises(FileNotFoundError) as caught:
        read(directory / "other")
    assert caught.value.filename == str(directory / "other")
    with pytest.raises(FileExistsError):
        open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)


def test_a_device_is_no_file_and_a_file_that_is_not_there_is_no_error() -> None:
    with pytest.raises(NotPrivateError, match="it is a device, not a file"):
        check_file(Path("/dev/null"))
    assert not check_file(Path("/no/such/file"))
