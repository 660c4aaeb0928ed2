"""The classic image store, on a second engine, which is also a remote context: builds stay on the engine that was named."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from container_image import (
    EngineError,
    ImageNotFoundError,
    PreflightError,
    SecretLeakError,
    Verdict,
    audit,
)
from tests.engine.conftest import COPIES, declare, lines

LEAKING = COPIES + "RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /leak\n"


@pytest.fixture
def on_classic(classic: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The second engine as the current context."""
    monkeypatch.setenv("DOCKER_CONTEXT", classic)
    return classic


def there(context: str, tag: str) -> bool:
    """Whether the engine of a context has an image of that name."""
    command = ["docker", "--context", context, "image", "inspect", tag]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.usefixtures("on_classic")
def test_the_digest_is_the_configs_and_the_report_says_that_there_are_no_attestations(
    busybox_image: str, tag: str, token: str
) -> None:
    built = declare(COPIES, busybox_image, token).build(tags=[tag])
    assert lines("docker", "image", "inspect", "--format", "{{.Id}}", tag) == [built.digest]
    assert built.report is not None
    assert built.report.image.digest_kind == "config"
    (note,) = [warning for warning in built.report.warnings if warning.code == "no-attestations"]
    assert "keeps no attestations" in note.message
    assert audit(tag, {"TOKEN": token}).image.digest == built.digest


@pytest.mark.usefixtures("on_classic")
@pytest.mark.parametrize(
    ("fields", "options", "named"),
    [
        ({}, {"outputs": ["type=oci,dest=app.tar"]}, "--output type=oci"),
        ({}, {"outputs": ["type=docker,dest=app.tar"]}, "--output type=docker"),
        ({"cache_to": ["type=local,dest=cache"]}, {}, "--cache-to type=local,dest=cache"),
        ({"platforms": ["linux/amd64", "linux/arm64"]}, {}, "--platform linux/amd64,linux/arm64"),
    ],
)
def test_what_that_store_cannot_give_is_refused_with_the_setting_that_changes_it(
    busybox_image: str, tag: str, token: str, fields: dict[str, Any], options: dict[str, Any], named: str
) -> None:
    events: list[object] = []
    with pytest.raises(PreflightError) as caught:
        declare(COPIES, busybox_image, token, **fields).build(tags=[tag], on_event=events.append, **options)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{named}: the engine's classic image store can't give that")
    assert '"features": {"containerd-snapshotter": true}' in problem
    assert not events


@pytest.mark.usefixtures("on_classic")
def test_files_of_the_root_file_system_are_written(busybox_image: str, tag: str, token: str, tmp_path: Path) -> None:
    outputs = [f"type=tar,dest={tmp_path}/rootfs.tar", f"type=local,dest={tmp_path}/rootfs"]
    declare(COPIES, busybox_image, token).build(tags=[tag], outputs=outputs)
    assert (tmp_path / "rootfs" / "other").read_text() == "other \n"
    with tarfile.open(tmp_path / "rootfs.tar") as archive:
        assert "other" in archive.getnames()
    leaked = tmp_path / "leaked.tar"
    with pytest.raises(SecretLeakError):
        declare(LEAKING, busybox_image, token).build(outputs=[f"type=tar,dest={leaked}"])
    assert not leaked.exists()


@pytest.mark.parametrize("chosen", ["builder", "DOCKER_CONTEXT", "DOCKER_HOST"])
def test_the_engine_that_is_named_builds_audits_and_tags(
    classic: str,
    classic_host: str,
    busybox_image: str,
    tag: str,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
) -> None:
    options: dict[str, Any] = {}
    if chosen == "builder":
        options["builder"] = classic
    else:
        monkeypatch.setenv(chosen, classic if chosen == "DOCKER_CONTEXT" else classic_host)
    built = declare(COPIES, busybox_image, token).build(tags=[tag], **options)
    with pytest.raises(SecretLeakError):
        declare(LEAKING, busybox_image, token).build(tags=[f"{tag}-leak"], **options)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert built.report is not None
    assert built.report.verdict is Verdict.CLEAN
    assert there(classic, tag)
    assert not there("default", tag)
    assert not there(classic, f"{tag}-leak")
    with monkeypatch.context() as patched:
        patched.setenv("DOCKER_CONTEXT", classic)
        assert audit(f"docker-daemon:{tag}", {"TOKEN": token}).image.digest == built.digest
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    with pytest.raises(ImageNotFoundError):
        audit(f"docker-daemon:{tag}", {"TOKEN": token})
    lines("docker", "--context", classic, "image", "rm", "--force", tag)


def test_a_named_engine_that_does_not_answer_is_named(classic: str, busybox_image: str, token: str) -> None:
    lines("docker", "context", "create", "gone", "--docker", "host=unix:///no/such/socket")
    with pytest.raises(EngineError, match="no Docker Engine answers at the gone Docker context; start it"):
        declare(COPIES, busybox_image, token).build(builder="gone")


def test_a_named_engine_is_enough(
    classic: str, busybox_image: str, token: str, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("DOCKER_HOST", "unix:///no/such/socket")
        declare(COPIES, busybox_image, token).build(tags=[tag], builder=classic)
    assert there(classic, tag)
    lines("docker", "--context", classic, "image", "rm", "--force", tag)


@pytest.mark.parametrize("chosen", ["builder", "DOCKER_CONTEXT"])
def test_what_a_killed_run_left_is_removed_on_the_engine_where_it_ran(
    classic: str, busybox_image: str, tmp_path: Path, token: str, state: Path, chosen: str
) -> None:
    (tmp_path / "Dockerfile").write_text(COPIES)
    # Killed while it audits: the image is there by then, under its name in quarantine.
    command = [sys.executable, "-c", KILLED, tmp_path, busybox_image]
    environment = {**os.environ, "TOKEN": token}
    if chosen == "builder":
        command.append(classic)
    else:
        environment[chosen] = classic
    killed = subprocess.run(command, env=environment, check=False)
    assert killed.returncode == -9
    quarantine = ["docker", "--context", classic, "image", "ls", "--quiet", "container-image.invalid/q"]
    assert lines(*quarantine)
    # The next run is on another engine.
    declare(COPIES, busybox_image, token).build()
    assert not lines(*quarantine)
    assert not list(state.glob("container-image/runs/*"))


KILLED = """
import os, signal, sys
from container_image import AuditEvent, ContainerImage, Secret

def kill(event):
    if isinstance(event, AuditEvent):
        os.kill(os.getpid(), signal.SIGKILL)

image = ContainerImage.from_dockerfile(
    sys.argv[1] + "/Dockerfile", build_args={"BASE_IMAGE": sys.argv[2]}, secrets={"TOKEN": Secret.from_env("TOKEN")}
)
image.build(on_event=kill, builder="".join(sys.argv[3:]) or None)
"""
