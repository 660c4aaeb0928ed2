"""Nothing leaves before the verdict: names, files and caches, each as it was audited, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from container_image import BuildEvent, PreflightError, Secret, SecretLeakError, Verdict, audit
from container_image.build import export_cache, open_run, run_build
from tests.engine.conftest import COPIES, Left, declare, exists
from tests.engine.test_cli import run

LEAKING = COPIES + "RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /leak\n"
BUILDER_LEAKS = """\
ARG BASE_IMAGE=busybox:1.37
FROM ${BASE_IMAGE} AS builder
RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /leak && echo app > /app
FROM ${BASE_IMAGE}
COPY --from=builder /app /app
"""


def outputs(directory: Path) -> list[str]:
    """One of each kind that writes a file."""
    return [
        f"type=oci,dest={directory}/oci.tar",
        f"type=docker,dest={directory}/docker.tar",
        f"type=tar,dest={directory}/rootfs.tar",
        f"type=local,dest={directory}/rootfs",
    ]


def test_files_are_written_as_they_were_audited(busybox_image: str, tag: str, token: str, tmp_path: Path) -> None:
    image = declare(COPIES, busybox_image, token, cache_to=[f"type=local,dest={tmp_path}/cache,mode=max"])
    built = image.build(tags=[tag], outputs=outputs(tmp_path))
    assert built.report is not None
    assert built.report.verdict is Verdict.CLEAN
    for reference in (f"oci-archive:{tmp_path}/oci.tar", f"docker-archive:{tmp_path}/docker.tar"):
        assert audit(reference, {"TOKEN": token}).verdict is Verdict.CLEAN
    assert (tmp_path / "rootfs" / "other").read_text() == "other \n"
    with tarfile.open(tmp_path / "rootfs.tar") as archive:
        assert "other" in archive.getnames()
    assert (tmp_path / "cache" / "index.json").is_file()
    # Only what was asked for, and nothing half-written.
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "docker.tar", "oci.tar", "rootfs", "rootfs.tar"}


def test_a_file_is_written_through_a_link_and_into_a_pipe(busybox_image: str, token: str, tmp_path: Path) -> None:
    link, pipe = tmp_path / "link.tar", tmp_path / "pipe"
    link.symlink_to(tmp_path / "rootfs.tar")
    os.mkfifo(pipe)
    image = declare(COPIES, busybox_image, token)
    with ThreadPoolExecutor() as reader:
        # It stands for a device such as /dev/null, which must not become a file.
        read = reader.submit(pipe.read_bytes)
        image.build(outputs=[f"type=tar,dest={link}", f"type=tar,dest={pipe}"])
        assert read.result() == (tmp_path / "rootfs.tar").read_bytes()
    assert link.is_symlink()
    assert pipe.is_fifo()


def test_a_leak_writes_nothing(busybox_image: str, tag: str, token: str, tmp_path: Path, left: Left) -> None:
    image = declare(LEAKING, busybox_image, token, cache_to=[f"type=local,dest={tmp_path}/cache"])
    with pytest.raises(SecretLeakError):
        image.build(tags=[tag], outputs=outputs(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert not exists(tag)
    assert not left()


def test_a_leak_names_the_cache_that_holds_the_step(busybox_image: str, token: str) -> None:
    step = f"cp /run/secrets/TOKEN /{token[:8]}"
    text = COPIES + f"RUN --mount=type=secret,id=TOKEN {step}\nRUN rm /{token[:8]}\n"
    with pytest.raises(SecretLeakError, match="the build cache still holds") as caught:
        declare(text, busybox_image, token).build()
    (warning,) = [item for item in caught.value.report.warnings if item.code == "cache-holds-step"]
    assert held(step)
    subprocess.run(shlex.split(warning.message.partition("to remove it: ")[2]), check=True, capture_output=True)
    assert not held(step)


def held(words: str) -> list[str]:
    """The records of the build cache with these words in their descriptions."""
    told = subprocess.run(["docker", "buildx", "du", "--format", "json"], capture_output=True, check=True, text=True)
    return [line for line in told.stdout.splitlines() if words in line]


@pytest.mark.parametrize("copy", ["COPY . /{}", "COPY --from=taken --chown=1 /x/ /{}"])
def test_of_a_copied_leak_the_copy_alone_is_to_be_removed(
    busybox_image: str, token: str, tmp_path: Path, copy: str
) -> None:
    """The same words of another build are no reason to remove that one's results, and never is all of the cache."""
    place = token[:8]
    (tmp_path / "settings").write_text(token)
    text = COPIES.replace("FROM", "FROM ${BASE_IMAGE} AS taken\nCOPY . /x\nFROM", 1) + copy.format(place) + "\n"
    with pytest.raises(SecretLeakError) as caught:
        declare(text, busybox_image, token, context_dir=tmp_path).build()
    assert {finding.instruction for finding in caught.value.report.findings} == {copy.format(place)}
    (warning,) = [item for item in caught.value.report.warnings if item.code == "cache-holds-step"]
    command = warning.message.partition("to remove it: ")[2]
    assert "--filter" in command
    assert held(f"/{place}")
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert not held(f"/{place}")


def test_of_a_leak_that_came_with_the_base_there_is_nothing_to_remove(busybox_image: str, tag: str, token: str) -> None:
    base = subprocess.run(
        ["docker", "buildx", "build", "--quiet", "--tag", tag, "-"],
        input=f"FROM {busybox_image}\nRUN echo {token} > /old\n".encode(), capture_output=True, check=True,
    )  # fmt: skip
    assert base.stdout
    with pytest.raises(SecretLeakError) as caught:
        declare(COPIES.replace("${BASE_IMAGE}", tag), busybox_image, token).build()
    assert {finding.origin for finding in caught.value.report.findings} == {"base"}
    assert [item for item in caught.value.report.warnings if item.code == "cache-holds-step"] == []
    assert "prune" not in str(caught.value)


def test_a_leak_in_a_builder_stage_blocks_the_cache_alone(
    busybox_image: str, tag: str, token: str, tmp_path: Path
) -> None:
    cached = declare(BUILDER_LEAKS, busybox_image, token, cache_to=[f"type=local,dest={tmp_path}/cache,mode=max"])
    with pytest.raises(SecretLeakError, match="though not in the image") as caught:
        cached.build(tags=[tag])
    assert {(finding.surface, finding.path) for finding in caught.value.report.findings} == {("cache", "leak")}
    assert not exists(tag)
    assert list(tmp_path.iterdir()) == []
    declare(BUILDER_LEAKS, busybox_image, token).build(tags=[tag])
    assert exists(tag)


@pytest.mark.usefixtures("store")
def test_an_image_without_a_name_is_kept_as_docker_keeps_it(busybox_image: str, token: str) -> None:
    digest = declare(COPIES, busybox_image, token).build().digest
    try:
        done = subprocess.run(["docker", "run", "--rm", digest, "cat", "/other"], capture_output=True, check=True)
        assert done.stdout == b"other \n"
        listed = json.loads(subprocess.run(["docker", "inspect", digest], capture_output=True, check=True).stdout)
        assert listed[0]["RepoTags"] == []
    finally:
        subprocess.run(["docker", "image", "rm", "--force", digest], capture_output=True, check=False)


@pytest.mark.parametrize("name", ["UPPER:x", "", "-x", "a/b:c:d", "name@sha256:" + "0" * 64])
def test_a_name_that_is_none_is_refused_before_anything_runs(
    busybox_image: str, tag: str, token: str, name: str
) -> None:
    with pytest.raises(PreflightError, match="is no name for an image"):
        declare(COPIES, busybox_image, token).build(tags=[tag, name])
    assert not exists(tag)


def test_identity_and_metadata_files_are_those_of_the_audited_image(
    busybox_image: str, tag: str, token: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(COPIES)
    done = run(
        "build", tmp_path, "--secret", "id=TOKEN", "--build-arg", f"BASE_IMAGE={busybox_image}", "-t", tag,
        "--iidfile", tmp_path / "iid", "--metadata-file", tmp_path / "metadata.json", "-o", f"type=tar,dest={tmp_path}/x.tar",
        token=token,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    listed = json.loads(subprocess.run(["docker", "inspect", tag], capture_output=True, check=True).stdout)
    assert (tmp_path / "iid").read_text() == listed[0]["Id"]
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert (metadata["containerimage.digest"], metadata["image.name"]) == (listed[0]["Id"], tag)
    assert "container-image.invalid" not in (tmp_path / "metadata.json").read_text()


def test_an_audit_with_another_value_than_the_builds_is_incomplete(
    busybox_image: str, tag: str, token: str, state: Path
) -> None:
    built = declare(COPIES, busybox_image, token).build(tags=[tag])
    assert built.report is not None
    assert [row.built_with for row in built.report.secrets] == ["same"]
    assert audit(tag, {"TOKEN": token}).secrets[0].built_with == "same"
    other = audit(tag, {"TOKEN": token[::-1]})
    assert (other.verdict, other.secrets[0].built_with) == (Verdict.INCOMPLETE, "different")
    both = audit(tag, {"TOKEN": Secret.from_value(token[::-1]).with_earlier([token])})
    assert (both.verdict, both.secrets[0].built_with) == (Verdict.CLEAN, "same")
    assert audit(tag, {"OTHER": token[::-1]}).secrets[0].built_with == "unknown"
    # What was remembered tells nothing to whoever has no key: no value, and no plain hash of one.
    kept = b"".join(path.read_bytes() for path in (state / "container-image" / "records").iterdir())
    for told in (
        token.encode(),
        hashlib.sha256(token.encode()).hexdigest().encode(),
        hashlib.sha1(token.encode()).digest(),
    ):
        assert told not in kept


def test_without_the_cache_what_is_sent_is_still_what_was_audited(
    busybox_image: str, token: str, tmp_path: Path
) -> None:
    kinds: list[str] = []

    def note(event: object) -> None:
        if isinstance(event, BuildEvent) and event.kind in ("cached", "done") and "mount=" in event.step:
            kinds.append(event.kind)

    image = declare(COPIES, busybox_image, token, cache_to=[f"type=local,dest={tmp_path}/cache,mode=max"])
    with open_run(image.request(no_cache=True)) as build:
        run_build(build, on_event=note)
        export_cache(build, build.request.cache_to, on_event=note)
    assert kinds == ["done", "cached"]


def test_a_changed_proxy_password_never_meets_the_cache_of_the_one_before(busybox_image: str, token: str) -> None:
    text = COPIES + f"RUN test -n {token[:6]} && echo $http_proxy > /proxy\n"
    for password in (token, token[::-1]):
        proxy = {"http_proxy": f"http://ci:{password}@proxy.example.com:3128"}
        with pytest.raises(SecretLeakError) as caught:
            declare(text, busybox_image, "an-unrelated-token", build_args=proxy).build()
        assert {(item.secret, item.path) for item in caught.value.report.findings} == {("proxy:http_proxy", "proxy")}
