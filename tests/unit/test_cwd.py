"""A working directory that was removed under the program: an error that says so, or no difference."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import container_image
from container_image import AuditPolicy, ContainerImage, SecretStore
from container_image.cli import _run

MESSAGE = "the working directory was removed"


@pytest.fixture
def removed(tmp_path: Path) -> Iterator[None]:
    """The working directory, which is there no more."""
    before = Path.cwd()
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    yield
    os.chdir(before)


@pytest.fixture
def value(tmp_path: Path, token: str) -> str:
    (tmp_path / "value").write_text(token)
    (tmp_path / "app.py").write_text(
        "from container_image import ContainerImage\nimage = ContainerImage('FROM scratch', context_dir='/')\n"
    )
    return str(tmp_path / "value")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("build .", 2),
        ("build {parent}", 2),
        ("build {parent} --secret id=A,src={value}", 2),
        ("build {parent}/app.py::image", 2),
        ("check {parent}/app.py::image", 2),
        ("check app:image", 2),
        ("audit image --secret id=A,src={value}", 2),
        ("audit oci:directory --secret id=A,src={value}", 2),
        ("secrets missing {parent}/app.py::image", 2),
        ("run --env main image", 125),
        ("run --secret-files image", 125),
    ],
)
def test_a_command_that_needs_it_says_that_it_was_removed(
    value: str, removed: None, line: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = line.format(value=value, parent=Path(value).parent).split()
    assert _run(arguments) == status
    shown = capfd.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert MESSAGE in shown.err
    assert "cd ~" in shown.err


@pytest.mark.parametrize(
    "line", ["secrets list", "secrets set A=b", "secrets log", "environments list", "secrets rotate-key"]
)
def test_the_store_needs_it_only_for_a_relative_path(
    removed: None, line: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(line.split()) == 0
    monkeypatch.setenv("CONTAINER_IMAGE_STORE", "sqlite:///relative.db")
    assert _run(line.split()) == 2
    assert MESSAGE in capfd.readouterr().err


@pytest.mark.parametrize(
    "call",
    [
        AuditPolicy.from_pyproject,
        lambda: ContainerImage("FROM scratch"),
        lambda: SecretStore.open("sqlite:///relative.db"),
        lambda: container_image.run("image"),
    ],
)
def test_the_library_says_so_too(removed: None, call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=MESSAGE):
        call()


def test_a_local_process_runs_there(removed: None, capfd: pytest.CaptureFixture[str]) -> None:
    SecretStore.open().secrets.set("TOKEN", "a")
    assert container_image.exec(["sh", "-c", "echo $TOKEN"]) == 0
    assert capfd.readouterr().out == "a\n"


def test_a_relative_path_of_a_store_stays_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = SecretStore.open("sqlite:///relative.db")
    store.secrets.set("TOKEN", "a")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert store.secrets.reveal()["TOKEN"].value.reveal() == b"a"
