"""Fixtures that tests of every kind share."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# On every change the same examples; new ones wherever the tests are run by hand.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


BASE = "container-image-base:bookworm"
BUSYBOX = "container-image-busybox:test"
TOOLS = "container-image-tools:bookworm"


@pytest.fixture(autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of the test's own, so that no build key of the user's is made or used; nor is a secret store."""
    directory = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(directory))
    monkeypatch.setenv("XDG_DATA_HOME", str(directory / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    for name in ("BUILD_KEY", "KEY", "STORE", "ENV"):
        monkeypatch.delenv(f"CONTAINER_IMAGE_{name}", raising=False)
    return directory


@pytest.fixture
def token() -> str:
    """A secret of this test alone: 40 letters and digits."""
    return secrets.token_hex(20)


@pytest.fixture(scope="session")
def base_image() -> str:
    """Debian with Python, pip and git."""
    return _present(BASE)


@pytest.fixture(scope="session")
def busybox_image() -> str:
    """busybox alone."""
    return _present(BUSYBOX)


@pytest.fixture(scope="session")
def tools_image() -> str:
    """The base with the tools that leak: npm, gcc, openssl, sqlite3, curl and so on."""
    return _present(TOOLS)


@pytest.fixture(scope="session")
def classic_host(busybox_image: str) -> str:
    """Where the second engine answers, which has the classic image store, and busybox in it."""
    script = Path(__file__).parents[1] / "scripts" / "engine.sh"
    host = subprocess.run([script, "host"], capture_output=True, check=True, text=True).stdout.strip()
    if subprocess.run(["docker", "--host", host, "info"], capture_output=True, check=False).returncode:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse("no engine with the classic image store answers; run `make classic`")
    with subprocess.Popen(["docker", "image", "save", busybox_image], stdout=subprocess.PIPE) as saved:
        subprocess.run(["docker", "--host", host, "image", "load"], stdin=saved.stdout, capture_output=True, check=True)
    return host


@pytest.fixture
def tag() -> Iterator[str]:
    """A name for an image, which is removed at the end."""
    name = f"container-image-test:{secrets.token_hex(8)}"
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def _present(image: str) -> str:
    done = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False)
    assert done.returncode == 0, f"{image} is missing; run `make base`"
    return image
