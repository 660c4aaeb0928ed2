"""Images for several platforms: each is searched, and one that the daemon does not hold is named."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from container_image import AuditPolicy, AuditReport, ContainerImage, SecretLeakError, Verdict, audit
from tests.engine.conftest import exists

# No step runs, so nothing has to be emulated.
PER_PLATFORM = "FROM scratch\nARG TARGETARCH\nCOPY ${TARGETARCH} /app\n"
PLATFORMS = ["linux/amd64", "linux/arm64"]


def built(context: Path, token: str, tag: str, **files: str) -> AuditReport | None:
    """The audit of a build with each platform's own file, which has the platform's name."""
    for name, text in files.items():
        (context / name).write_text(text)
    image = ContainerImage.from_dockerfile_str(
        PER_PLATFORM, context_dir=context, platforms=PLATFORMS, secrets={"TOKEN": token}
    )
    return image.build(tags=[tag], allow_unused=True).report


def test_a_leak_in_one_platform_is_found_with_its_platform(tmp_path: Path, token: str, tag: str) -> None:
    with pytest.raises(SecretLeakError) as caught:
        built(tmp_path, token, tag, amd64="nothing", arm64=f"token={token}")
    report = caught.value.report
    assert report.image.platforms == tuple(PLATFORMS)
    (finding,) = report.findings
    assert (finding.platform, finding.path, finding.instruction) == ("linux/arm64", "app", "COPY arm64 /app")
    assert not exists(tag)


def test_every_platform_of_a_clean_image_was_read(tmp_path: Path, token: str, tag: str) -> None:
    report = built(tmp_path, token, tag, amd64="nothing", arm64="nothing either")
    assert report is not None
    assert report.verdict is Verdict.CLEAN
    assert (report.image.digest_kind, report.image.platforms) == ("index", tuple(PLATFORMS))
    assert (report.image.absent_platforms, report.coverage.layers) == ((), 2)


def test_a_platform_that_the_daemon_does_not_hold_is_absent(tmp_path: Path, token: str, tag: str) -> None:
    built(tmp_path, token, tag, amd64=f"here {tag}", arm64=f"elsewhere {tag}")
    forget(tag, "arm64", tmp_path / "part.tar")
    report = audit(tag, {"TOKEN": token})
    assert (report.image.platforms, report.image.absent_platforms) == (("linux/amd64",), ("linux/arm64",))
    assert report.verdict is Verdict.CLEAN
    everywhere = audit(tag, {"TOKEN": token}, policy=AuditPolicy(platforms=("all",)))
    assert everywhere.verdict is Verdict.INCOMPLETE


def forget(tag: str, architecture: str, archive: Path) -> None:
    """Leaves the daemon with an image whose index names a platform that it does not hold."""
    saved = subprocess.run(["docker", "image", "save", tag], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(saved)) as source, tarfile.open(archive, "w") as kept:
        (root,) = read(source, "index.json")["manifests"]
        manifests = read(source, blob(root))["manifests"]
        gone = {blob(item) for item in manifests if item["platform"]["architecture"] == architecture}
        for member in source.getmembers():
            if member.name not in gone:
                kept.addfile(member, source.extractfile(member))
    subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, check=True)
    subprocess.run(["docker", "image", "load", "--input", archive], capture_output=True, check=True)


def blob(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def read(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    file = archive.extractfile(name)
    assert file is not None
    document: dict[str, Any] = json.load(file)
    return document
