"""Fixtures that tests on an engine share: contexts to build, and what builds must not leave."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from container_image import ContainerImage

COPIES = """\
ARG BASE_IMAGE=busybox:1.37
FROM ${BASE_IMAGE}
ARG SALT
RUN echo before "$SALT" > /before
RUN --mount=type=secret,id=TOKEN md5sum /run/secrets/TOKEN > /sum
RUN echo other "$SALT" > /other
"""


def declare(text: str, image: str, token: str, **fields: object) -> ContainerImage:
    """A declaration from a base image, with one secret, TOKEN."""
    options: dict[str, object] = {"secrets": {"TOKEN": token}, **fields}
    options["build_args"] = {"BASE_IMAGE": image, **options.get("build_args", {})}  # type: ignore[dict-item]
    return ContainerImage.from_dockerfile_str(text, **options)


def exists(tag: str) -> bool:
    """Whether the engine has an image of that name."""
    return subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode == 0


def lines(*command: str) -> list[str]:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()


def leftovers() -> set[str]:
    """The images in quarantine, whoever left them."""
    return set(lines("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "container-image.invalid/q"))


@pytest.fixture
def records(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Path]]:
    """Gives buildx's files about the builds that it has a record of, oldest first; its state is the test's own.

    The records themselves are never listed: an engine 28.5 crashes of that, while another build removes one.
    """
    state = tmp_path_factory.mktemp("buildx")
    monkeypatch.setenv("BUILDX_CONFIG", str(state))
    return lambda: sorted(
        (file for file in state.glob("refs/*/*/*") if file.is_file()), key=lambda file: file.stat().st_mtime_ns
    )


def forget(record: Path) -> bool:
    """Removes a record by its file in buildx's state; whether the engine had it."""
    command = ["docker", "buildx", f"--builder={record.parts[-3]}", "history", "rm", record.name]
    return not subprocess.run(command, capture_output=True, check=False).returncode


class Left(Protocol):
    """What stays, that was not there when the test began; what is gone within `patience` seconds is somebody else's."""

    def __call__(self, patience: float = 60) -> set[str]: ...


@pytest.fixture
def left() -> Left:
    """Looks for what the test's builds left."""
    before = leftovers()

    def look(patience: float = 60) -> set[str]:
        found = leftovers() - before
        deadline = time.monotonic() + patience
        while found and time.monotonic() < deadline:
            time.sleep(0.5)
            found &= leftovers()
        return found

    return look


@pytest.fixture
def classic(classic_host: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The second engine as a Docker context, not the current one, in a configuration of the test's own."""
    configuration = tmp_path_factory.mktemp("docker")
    (configuration / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(configuration))
    lines("docker", "context", "create", "classic", "--docker", f"host={classic_host}")
    return "classic"


@pytest.fixture(params=["containerd", "classic"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The two image stores: everything in the test talks to an engine with the one or the other."""
    if request.param == "classic":
        monkeypatch.setenv("DOCKER_CONTEXT", request.getfixturevalue("classic"))
    return str(request.param)
