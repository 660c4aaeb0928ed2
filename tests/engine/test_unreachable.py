"""An engine that can't be reached: the error says whether it is down, closed to this user, or there is no docker command."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from container_image import ContainerImage, EngineError, audit
from container_image.runtime import containers

NOBODY = 65534
HOMES = ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")


def as_nobody(call: Callable[[], object]) -> str:
    """The error of a call that another user makes, who has modules and files that are open already."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        told = "no error"
        try:
            if not os.getuid():
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            call()
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(process, 0)
    return told


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A socket that its owner's processes alone may open, as DOCKER_HOST; HOME is a directory that all may use."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o777)
    path = directory / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0 if os.getuid() else 0o600)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        for name in HOMES:
            monkeypatch.setenv(name, str(directory))
        monkeypatch.chdir(directory)
        yield str(path)
    shutil.rmtree(directory)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ContainerImage.from_dockerfile_str("FROM scratch\nLABEL a=b\n").build(),
        lambda: audit("docker-daemon:app", {"TOKEN": "8a7b6c5d4e3f2a1b"}),
        lambda: containers(),
    ],
    ids=["build", "audit", "ps"],
)
def test_a_socket_that_may_not_be_opened_is_named_with_its_group(
    closed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[[], object]
) -> None:
    with monkeypatch.context() as patched, contextlib.suppress(EngineError):
        # Everything is imported before: the other user may not read the files.
        patched.setenv("DOCKER_HOST", "unix:///no/such/socket")
        for name in HOMES:
            patched.setenv(name, str(tmp_path))
        call()
    told = as_nobody(call)
    assert told.startswith("EngineError: permission denied: user ")
    assert f"may not open the Docker socket {closed}; join its group (`sudo usermod -aG " in told


@pytest.mark.parametrize("call", [
    lambda image: image.build(),
    lambda _image: containers(),
], ids=["build", "ps"])  # fmt: skip
def test_no_docker_command_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[[ContainerImage], object]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="there is no `docker` command on the PATH; install Docker with buildx"):
        call(ContainerImage.from_dockerfile_str("FROM scratch\nLABEL a=b\n"))


def test_a_docker_without_buildx_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "docker: unknown command: docker $1" >&2\nexit 1\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"docker has no buildx; install the docker-buildx plugin .docker: unknown"):
        ContainerImage.from_dockerfile_str("FROM scratch\nLABEL a=b\n").build()


def test_an_engine_that_is_down_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for call in (lambda: audit("docker-daemon:app", {"TOKEN": "8a7b6c5d4e3f2a1b"}), lambda: containers()):
        with pytest.raises(EngineError, match=r"none\.sock"):
            call()
