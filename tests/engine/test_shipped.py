"""What real builds ship beside their layers: caches in both of their shapes, with the stages that no image has; provenance."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest

from container_image import audit

STAGES = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS stage
RUN echo SALT
RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /kept
RUN echo SALT > /out
FROM ${BASE_IMAGE}
COPY --from=stage /out /out
"""


def build(directory: Path, text: str, image: str, token: str, *options: str) -> None:
    # BuildKit shares what one value of a secret made with every other.
    text = text.replace("SALT", secrets.token_hex(8))
    (directory / "Dockerfile").write_text(text)
    (directory / "token").write_text(token)
    command = ["docker", "buildx", "build", "--quiet", "--build-arg", f"BASE_IMAGE={image}", *options]
    secret = ["--secret", f"id=TOKEN,src={directory}/token"]
    subprocess.run([*command, *secret, directory], check=True, capture_output=True)


@pytest.mark.parametrize("image_manifest", ["true", "false"])
def test_a_cache_is_searched_with_the_stages_that_it_holds(
    tmp_path: Path, busybox_image: str, token: str, image_manifest: str
) -> None:
    cache = f"type=local,dest={tmp_path}/cache,mode=max,image-manifest={image_manifest}"
    build(
        tmp_path, STAGES, busybox_image, token, "--cache-to", cache, "--output", f"type=oci,dest={tmp_path}/image.tar"
    )
    report = audit(f"oci:{tmp_path}/cache", {"TOKEN": token})
    assert [(finding.surface, finding.path) for finding in report.findings] == [("cache", "kept")]
    assert audit(f"oci-archive:{tmp_path}/image.tar", {"TOKEN": token}).verdict.value == "clean"


def test_the_dockerfile_in_a_provenance_is_searched(tmp_path: Path, busybox_image: str, token: str) -> None:
    value = '"'.join(token[at : at + 5] for at in range(0, 40, 5))
    spelled = value.replace('"', '\\"')
    text = f'ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\n# curl -u "me:{spelled}"\n'
    output = f"type=oci,dest={tmp_path}/image.tar"
    build(tmp_path, text, busybox_image, token, "--provenance", "mode=max", "--output", output)
    findings = audit(f"oci-archive:{tmp_path}/image.tar", {"TOKEN": value}).findings
    assert {(finding.surface, finding.via) for finding in findings} == {("attestation", ("base64",))}
