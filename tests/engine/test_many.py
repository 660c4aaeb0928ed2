"""Many builds: twenty at once with different values of one secret, and fifty that are killed at some moment."""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import COPIES, Left, lines

PROGRAM = Path(sys.executable).with_name("container-image")
AT_ONCE = 20
KILLS = 50
MEMORY = 1 << 30

IN_ONE_PROCESS = """
import json, resource, sys
from concurrent.futures import ThreadPoolExecutor
from container_image import ContainerImage

def build(pair):
    tag, token = pair
    image = ContainerImage.from_dockerfile(
        sys.argv[1], build_args={"BASE_IMAGE": sys.argv[2]}, secrets={"TOKEN": token}, context_dir=sys.argv[3]
    )
    return image.build(tags=[tag]).report.verdict.value

pairs = json.load(sys.stdin)
with ThreadPoolExecutor(len(pairs)) as pool:
    verdicts = list(pool.map(build, pairs))
print(json.dumps({"verdicts": verdicts, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A build that no cache holds yet."""
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "Dockerfile").write_text(COPIES + f"RUN echo {secrets.token_hex(8)}\n")
    return tmp_path / "context"


@pytest.fixture
def pairs() -> Iterator[list[tuple[str, str]]]:
    """Names for images, each with the value of its secret."""
    made = [(f"container-image-test:{secrets.token_hex(8)}", secrets.token_hex(20)) for _ in range(AT_ONCE)]
    yield made
    subprocess.run(["docker", "image", "rm", "--force", *(tag for tag, _ in made)], capture_output=True, check=False)


def require_own_results(pairs: list[tuple[str, str]]) -> None:
    for tag, token in pairs:
        (line,) = lines("docker", "run", "--rm", tag, "cat", "/sum")
        assert line.split()[0] == hashlib.md5(token.encode(), usedforsecurity=False).hexdigest()


def test_twenty_builds_at_once_in_one_process(
    context: Path, busybox_image: str, pairs: list[tuple[str, str]], left: Left
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_ONE_PROCESS, context / "Dockerfile", busybox_image, context],
        input=json.dumps(pairs), capture_output=True, check=False, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["verdicts"] == ["clean"] * AT_ONCE
    assert told["memory"] < MEMORY
    require_own_results(pairs)
    assert not left()


def test_twenty_builds_at_once_from_twenty_processes(
    context: Path, busybox_image: str, pairs: list[tuple[str, str]], left: Left
) -> None:
    processes = [
        subprocess.Popen(
            [PROGRAM, "build", context, "--secret", "id=TOKEN", "--build-arg", f"BASE_IMAGE={busybox_image}", "-t", tag],
            env={**os.environ, "TOKEN": token}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for tag, token in pairs
    ]  # fmt: skip
    for process in processes:
        _, stderr = process.communicate(timeout=600)
        assert process.returncode == 0, stderr.decode()
    require_own_results(pairs)
    assert not left()


def test_fifty_builds_killed_at_random_moments_leave_nothing(
    context: Path, busybox_image: str, token: str, tag: str, left: Left, tmp_path: Path, state: Path
) -> None:
    command = [PROGRAM, "build", context, "--secret", "id=TOKEN", "--no-cache", "-t", tag]
    command += ["--build-arg", f"BASE_IMAGE={busybox_image}"]
    environment = {**os.environ, "TOKEN": token}
    begun = time.monotonic()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    whole = time.monotonic() - begun
    for _ in range(KILLS):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, whole))
        process.kill()
        process.wait()
        places = ["/dev/shm", "/tmp", str(state), str(Path.home() / ".docker")]
        found = subprocess.run(["grep", "-rlsF", "--", token, *places], capture_output=True, check=False, text=True)
        assert found.stdout == ""
    deadline = time.monotonic() + 10
    while (stray := running(str(context))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert stray == ""
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert not left()
    assert list((state / "container-image" / "runs").iterdir()) == []


def running(words: str) -> str:
    return subprocess.run(["pgrep", "-af", f"buildx.*{words}"], capture_output=True, check=False, text=True).stdout
