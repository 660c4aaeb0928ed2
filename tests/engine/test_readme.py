"""The README's first screen, run as a newcomer would paste it: the commands and the output that it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import exists

ROOT = Path(__file__).parent.parent.parent
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
# Digests, sizes and the ids of cached steps are others in each build.
VARYING = re.compile(r"sha256:[0-9a-f…]+|[\d.]+ [kM]?B|\(\S+\)\$'|\d+ (?:layers|files|streams)|layer \d+")


@pytest.fixture
def busybox(busybox_image: str) -> Iterator[None]:
    """An image named busybox, as a machine has that can reach Docker Hub."""
    made = not exists("busybox")
    if made:
        subprocess.run(["docker", "tag", busybox_image, "busybox"], check=True)
    yield
    subprocess.run(["docker", "image", "rm", "--force", "first"], capture_output=True, check=False)
    if made:
        subprocess.run(["docker", "image", "rm", "--force", "busybox"], capture_output=True, check=False)


def paste(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "TOKEN": ""}
    return subprocess.run(
        ["bash", "-c", script], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def test_the_first_screen_stops_a_leak_and_then_builds_a_clean_image(busybox: None, tmp_path: Path) -> None:
    screen = (ROOT / "README.md").read_text().split("\n## ", 2)
    blocks = BLOCK.findall(screen[1])
    (_, leaking), (_, leaks), (_, clean), (_, cleans) = blocks[:4]
    # Everything is pasted into one shell, so that the second part has the token of the first.
    done = paste(f"{leaking}\necho status $?\n{clean}\necho status $?\n", tmp_path)
    assert done.stdout.splitlines().count("status 1") == 1, done.stderr
    first, second = done.stdout.split("status 1\n")
    assert VARYING.sub("…", first) == VARYING.sub("…", leaks)
    assert VARYING.sub("…", second.removesuffix("status 0\n")) == VARYING.sub("…", cleans)


@pytest.mark.parametrize(("name", "status"), [("clean", 0), ("leaking", 1)])
def test_the_first_example_is_the_same_in_python(busybox: None, name: str, status: int, tmp_path: Path) -> None:
    script = f"TOKEN=$(python3 -c 'import secrets; print(secrets.token_hex(20))'); export TOKEN; container-image build {ROOT}/examples/first.py::{name} -t first"
    done = paste(script, tmp_path)
    assert done.returncode == status, done.stderr
    assert exists("first") == (name == "clean")
