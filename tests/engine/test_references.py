"""References to what Docker itself writes: saved images and exported containers, piped and in files, and several at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from container_image import audit
from tests.engine.conftest import exists

PROGRAM = [sys.executable, "-c", "from container_image.cli import main; main()", "audit", "--secret", "id=TOKEN"]


@pytest.fixture
def leaking(busybox_image: str, token: str, tag: str) -> str:
    """An image with the token in a file of its own layer."""
    dockerfile = f"FROM {busybox_image}\nRUN mkdir -p /srv && echo {token} > /srv/token\n"
    subprocess.run(["docker", "build", "--quiet", "--tag", tag, "-"], input=dockerfile.encode(), check=True)
    assert exists(tag)
    return tag


@pytest.fixture
def container(leaking: str) -> Iterator[str]:
    """A container of that image, which never ran."""
    made = subprocess.run(["docker", "create", leaking, "true"], check=True, capture_output=True, text=True)
    yield made.stdout.strip()
    subprocess.run(["docker", "rm", made.stdout.strip()], check=True, capture_output=True)


def pipe(command: list[str], token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`COMMAND | container-image audit -`."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as producer:
        return subprocess.run(
            [*PROGRAM, "-", *arguments], stdin=producer.stdout, env={**os.environ, "TOKEN": token}, text=True,
            capture_output=True, check=False,
        )  # fmt: skip


@pytest.mark.parametrize("producer", ["save", "export"])
def test_what_docker_writes_is_audited_from_a_pipe(leaking: str, container: str, token: str, producer: str) -> None:
    given = ["docker", "save", leaking] if producer == "save" else ["docker", "export", container]
    done = pipe(given, token, "--format", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert ("layer", "srv/token") in {(item["surface"], item["path"]) for item in report["findings"]}
    assert report["image"]["reference"] == ("oci-archive:-" if producer == "save" else "rootfs:-")
    assert pipe(given, "another-value-1h2G3f4D5s6A").returncode == 0


def test_what_docker_cannot_write_is_an_error_on_the_other_side_of_the_pipe(token: str) -> None:
    done = pipe(["docker", "save", "no-such-image:at-all"], token)
    assert (done.returncode, done.stdout) == (2, "")
    assert "stdin is empty; pipe an image in" in done.stderr


def test_an_exported_container_is_searched_in_a_file_and_unpacked(container: str, token: str, tmp_path: Path) -> None:
    subprocess.run(["docker", "export", "--output", tmp_path / "export.tar", container], check=True)
    (tmp_path / "rootfs").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "export.tar", "-C", tmp_path / "rootfs"], check=True)
    for reference in (f"{tmp_path}/export.tar", f"rootfs:{tmp_path}/rootfs"):
        report = audit(reference, {"TOKEN": token})
        assert [(item.surface, item.layer, item.path) for item in report.findings] == [("layer", 0, "srv/token")]
        assert report.coverage.unread == ()


def test_several_images_of_the_engine_one_of_which_is_not_there(leaking: str, busybox_image: str, token: str) -> None:
    done = subprocess.run(
        [*PROGRAM, busybox_image, "no-such-image:at-all", leaking], env={**os.environ, "TOKEN": token}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.endswith(f"3 images: 1 leaked ({leaking}), 1 not audited (no-such-image:at-all), 1 clean\n")
    assert done.stderr.count("\n") == 1
    assert "no image 'no-such-image:at-all' in the daemon" in done.stderr
