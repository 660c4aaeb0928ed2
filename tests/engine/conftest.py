"""Fixtures that tests on an engine share: contexts to build, and what builds must not leave."""

from __future__ import annotations

import json
import subprocess
import time
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
    """The images in quarantine and the builder's records of our builds, whoever left them."""
    images = lines("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "container-image.invalid/q")
    records = lines("docker", "buildx", "history", "ls", "--format", "json")
    return {*images, *(json.loads(line)["ref"] for line in records if "Dockerfile-" in line)}


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
