"""The leak gallery: each case of `dockerfiles/` is built and audited for real, and says what it is expected to say."""

from __future__ import annotations

import base64
import fnmatch
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from container_image import AuditReport, ContainerImage, SecretLeakError, SourceMap, audit

GALLERY = Path(__file__).parent.parent.parent / "dockerfiles"
CASES = sorted(path.parent.name for path in GALLERY.glob("*/expect.json"))


def make(kind: str) -> str:
    """A fresh secret."""
    if kind == "pem":
        body = base64.encodebytes(secrets.token_bytes(1200)).decode()
        return f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"
    return secrets.token_hex(20)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each `{NAME}` replaced by the secret's value; `${NAME}` is the Dockerfile's own."""
    return re.sub(r"(?<!\$)\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)


@pytest.mark.parametrize("case", CASES)
def test_case(case: str, busybox_image: str, base_image: str, tag: str, tmp_path: Path) -> None:
    expected = json.loads((GALLERY / case / "expect.json").read_text())
    values = {name: make(kind) for name, kind in expected.get("secrets", {"TOKEN": "token"}).items()}
    context = tmp_path / "context"
    shutil.copytree(GALLERY / case, context)
    for path, text in expected.get("context", {}).items():
        (context / path).write_text(fill(text, values))
    image = {"busybox": busybox_image, "base": base_image}[expected["image"]]
    report = build(expected, context, image, values, tag)

    found = [finding.model_dump(mode="json") for finding in report.findings]
    assert report.verdict.value == expected["verdict"], found
    for wanted in expected["findings"]:
        assert any(matches(finding, wanted) for finding in found), (wanted, found)
    # Nothing else, but for the same occurrence on another surface: history and provenance tell of a step, too.
    paths = [wanted["path"] for wanted in expected["findings"]]
    extra = [
        finding
        for finding in found
        if finding["surface"] == "layer" and not any(fnmatch.fnmatchcase(finding["path"], path) for path in paths)
    ]
    assert extra == []
    assert not any(value.strip() in report.model_dump_json() for value in values.values())


def build(expected: dict[str, Any], context: Path, image: str, values: Mapping[str, str], tag: str) -> AuditReport:
    """Through the gate; or with plain docker, where our preflight would refuse to start."""
    text = (context / "Dockerfile").read_text()
    arguments = {"BASE_IMAGE": image} | {k: fill(v, values) for k, v in expected.get("build_args", {}).items()}
    if expected["builder"] == "docker":
        filled = fill(text, values)
        (context / "Dockerfile").write_text(filled)
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command = [
            "docker",
            "buildx",
            "build",
            "--quiet",
            "--tag",
            tag,
            *options,
            *expected.get("options", []),
            context,
        ]
        subprocess.run(command, check=True, capture_output=True)
        return audit(tag, dict(values), source=SourceMap(filled, "Dockerfile"))
    declared = ContainerImage.from_dockerfile(
        context / "Dockerfile",
        context_dir=context,
        build_args=arguments,
        secrets=dict(values),
        target=expected.get("target"),
    )
    if expected["verdict"] == "leaked":
        with pytest.raises(SecretLeakError) as caught:
            declared.build(tags=[tag])
        assert subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode
        return caught.value.report
    report = declared.build(tags=[tag]).report
    assert report is not None
    return report


def matches(finding: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    globs = {"path", "form"}
    return all(
        fnmatch.fnmatchcase(str(finding[key]), value) if key in globs else finding[key] == value
        for key, value in wanted.items()
    )


def test_the_index_lists_every_case() -> None:
    index = (GALLERY / "README.md").read_text()
    for case in CASES:
        about = (GALLERY / case / "README.md").read_text().strip()
        verdict = json.loads((GALLERY / case / "expect.json").read_text())["verdict"]
        assert f"| [{case}]({case}) | {about} | {verdict} |" in index
