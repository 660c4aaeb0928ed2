"""What the base image brought along is told apart from what the build made, where the base can be had by its digest."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from container_image import AuditPolicy, ContainerImage, Finding, SourceMap, Verdict, audit

PLANTED = "FROM {busybox}\nRUN echo {token} > /planted\nENV OLD={token}\n"
ACCEPTING = AuditPolicy(accept_base=True)

Build = Callable[..., str]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Builds a Dockerfile with `docker buildx build`, and gives the name of the image, which is removed at the end."""
    names: list[str] = []

    def run(text: str, *options: str) -> str:
        names.append(f"container-image-test:{secrets.token_hex(8)}")
        command = ["docker", "buildx", "build", "--quiet", "--tag", names[-1], *options, "--file", "-", tmp_path]
        subprocess.run(command, input=text.encode(), capture_output=True, check=True)
        return names[-1]

    yield run
    subprocess.run(["docker", "image", "rm", "--force", *names], capture_output=True, check=False)


def origins(findings: tuple[Finding, ...]) -> dict[str, str]:
    """The origin by place: a layer's path, or the surface."""
    return {str(item.path if item.surface == "layer" else item.surface): item.origin for item in findings}


def test_what_comes_with_the_base_is_told_apart_and_can_be_accepted(
    build: Build, busybox_image: str, token: str, tmp_path: Path
) -> None:
    base = build(PLANTED.format(busybox=busybox_image, token=token))
    clean = build(f"FROM {base}\nRUN echo nothing > /own\n", "--provenance=mode=min,version=v1")
    leaking = build(f"FROM {base}\nRUN cat /planted > /own\n")
    report = audit(leaking, {"TOKEN": token})
    assert origins(report.findings) == {"planted": "base", "own": "unknown", "history": "base", "config": "base"}
    assert not any(finding.accepted for finding in report.findings)
    accepting = audit(leaking, {"TOKEN": token}, policy=ACCEPTING)
    assert accepting.verdict is Verdict.LEAKED
    assert [finding.path for finding in accepting.findings if not finding.accepted] == ["own"]
    accepted = audit(clean, {"TOKEN": token}, policy=ACCEPTING)
    assert (accepted.verdict, accepted.accepted) == (Verdict.CLEAN, len(accepted.findings))
    assert audit(clean, {"TOKEN": token}).verdict is Verdict.LEAKED
    # An archive of it goes by the engine's base too, until that one is gone.
    archive = tmp_path / "app.tar"
    subprocess.run(["docker", "image", "save", "--output", archive, clean], check=True)
    assert audit(str(archive), {"TOKEN": token}, policy=ACCEPTING).verdict is Verdict.CLEAN
    subprocess.run(["docker", "image", "rm", "--force", base], capture_output=True, check=True)
    gone = audit(str(archive), {"TOKEN": token}, policy=ACCEPTING)
    assert gone.verdict is Verdict.LEAKED
    assert set(origins(gone.findings).values()) == {"unknown"}


def test_files_of_credentials_that_the_base_brought_are_not_told(build: Build, busybox_image: str, token: str) -> None:
    """Nor are they by a build that does not know its base."""
    base = build(f"FROM {busybox_image}\nRUN mkdir /a && echo API_TOKEN={token} > /a/.env\n")
    text = f"FROM {base}\nRUN mkdir /b && echo API_TOKEN={token} > /b/.env\n"
    image = build(text)
    report = audit(image, {"OTHER": secrets.token_hex(20)})
    assert [(item.code, item.path) for item in report.warnings] == [("credential-file", "b/.env")]
    declared = ContainerImage.from_dockerfile_str(text, secrets={"OTHER": secrets.token_hex(20)})
    built = declared.build(tags=[image], allow_unused=True)
    assert built.report is not None
    assert [(item.path, item.line) for item in built.report.warnings] == [("b/.env", 2)]
    # Where the base is gone, the Dockerfile's lines tell.
    report = audit(
        build(text, "--provenance=false"), {"OTHER": secrets.token_hex(20)}, source=SourceMap(text, "Dockerfile")
    )
    assert [(item.path, item.line) for item in report.warnings] == [("b/.env", 2)]


def test_of_several_images_that_were_read_the_base_is_the_one_with_most_layers_in_common(
    build: Build, busybox_image: str, token: str
) -> None:
    base = build(PLANTED.format(busybox=busybox_image, token=token))
    on_base = build(f"FROM {busybox_image} AS one\nRUN cp /bin/true /x\nFROM {base}\nCOPY --from=one /x /x\n")
    assert origins(audit(on_base, {"TOKEN": token}).findings) == {
        "planted": "base",
        "history": "base",
        "config": "base",
    }
    # What a stage was built from is no base of the last one, though the copy makes the very layer that the base has.
    copied = build(f"FROM {base} AS one\nFROM {busybox_image}\nCOPY --from=one /planted /planted\n")
    assert origins(audit(copied, {"TOKEN": token}).findings) == {"planted": "unknown"}


def test_an_earlier_build_of_the_same_image_is_not_its_base(build: Build, busybox_image: str, token: str) -> None:
    text = "FROM {0} AS earlier\nFROM {1}\nRUN echo {2} > /own\nCOPY --from=earlier /bin/busybox /copy\n"
    first = build(text.format(busybox_image, busybox_image, token))
    again = build(text.format(first, busybox_image, token))
    found = audit(again, {"TOKEN": token}, policy=ACCEPTING).findings
    assert origins(found) == {"own": "unknown", "history": "unknown"}


def test_a_build_and_its_exports_pass_the_gate_with_what_the_base_brought(
    build: Build, busybox_image: str, token: str, tag: str, tmp_path: Path
) -> None:
    base = build(PLANTED.format(busybox=busybox_image, token=token))
    image = ContainerImage.from_dockerfile_str(f"FROM {base}\nRUN true\n", secrets={"TOKEN": token})
    cached = image.model_copy(update={"cache_to": [f"type=local,dest={tmp_path}/cache,mode=max"]})
    outputs = [f"type=docker,dest={tmp_path}/docker.tar"]
    built = cached.build(tags=[tag], allow_unused=True, policy=ACCEPTING, outputs=outputs)
    assert built.report is not None
    assert (built.report.verdict, built.report.accepted) == (Verdict.CLEAN, len(built.report.findings))
    assert {(finding.origin, finding.line) for finding in built.report.findings} == {("base", None)}


def test_each_platform_has_its_own_base(build: Build, token: str, tmp_path: Path) -> None:
    for architecture in ("amd64", "arm64"):
        (tmp_path / architecture).write_text(f"{architecture} {token}")
    both = ["--platform", "linux/amd64,linux/arm64"]
    base = build("FROM scratch\nARG TARGETARCH\nCOPY ${TARGETARCH} /app\n", *both)
    app = build(f"FROM {base}\nARG TARGETARCH\nCOPY ${{TARGETARCH}} /own\n", *both)
    found = audit(app, {"TOKEN": token}).findings
    assert {(item.platform, item.path, item.origin) for item in found} == {
        ("linux/amd64", "app", "base"),
        ("linux/amd64", "own", "unknown"),
        ("linux/arm64", "app", "base"),
        ("linux/arm64", "own", "unknown"),
    }


def test_an_annotation_names_the_base_as_well(build: Build, busybox_image: str, token: str, tmp_path: Path) -> None:
    base = build(PLANTED.format(busybox=busybox_image, token=token))
    inspected = subprocess.run(["docker", "image", "inspect", base], capture_output=True, check=True).stdout
    digest = json.loads(inspected)[0]["Id"]

    def annotated(digest: str) -> tuple[Finding, ...]:
        options = [
            "--provenance=false",
            "--output",
            "type=image,oci-mediatypes=true",
            "--annotation",
            f"org.opencontainers.image.base.digest={digest}",
        ]
        app = build(f"FROM {base}\nRUN echo nothing > /own\n", *options)
        return audit(app, {"TOKEN": token}).findings

    assert set(origins(annotated(digest)).values()) == {"base"}
    # Another image of the engine, which is none of its bases.
    other = build(f"FROM scratch\nENV X={token[::-1]}\nCOPY . /\n")
    inspected = subprocess.run(["docker", "image", "inspect", other], capture_output=True, check=True).stdout
    assert set(origins(annotated(json.loads(inspected)[0]["Id"])).values()) == {"unknown"}
