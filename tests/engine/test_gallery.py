"""The leak gallery: each case of `dockerfiles/` is built and audited for real, and says what it is expected to say."""

from __future__ import annotations

import base64
import fnmatch
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from container_image import (
    AuditPolicy,
    AuditReport,
    ContainerImage,
    PreflightError,
    Secret,
    SecretLeakError,
    SourceMap,
    audit,
)
from container_image.gate import build_through
from tests.engine.conftest import exists

GALLERY = Path(__file__).parent.parent.parent / "dockerfiles"
TOKEN = {"TOKEN": "token"}
CASES = sorted(path.parent.name for path in GALLERY.glob("*/expect.json"))


@dataclass(frozen=True)
class Case:
    """A case with a directory, values and names of its own.

    `values` are what `{NAME}` stands for in its texts; `earlier` are former values of its secrets.
    """

    expected: dict[str, Any]
    context: Path
    image: str
    tag: str
    values: dict[str, str]
    earlier: dict[str, str]

    def fill(self, text: str) -> str:
        """The text with each `{NAME}` replaced; `${NAME}` is the Dockerfile's own."""
        return re.sub(r"(?<!\$)\{(\w+)\}", lambda match: self.values.get(match[1], match[0]), text)

    def texts(self, key: str) -> dict[str, str]:
        """What `expect.json` has under a key, filled."""
        return {name: self.fill(text) for name, text in self.expected.get(key, {}).items()}

    @property
    def secrets(self) -> dict[str, Secret]:
        """What the build declares."""
        return {
            name: Secret.from_value(self.values[name]).with_earlier(
                [value for key, value in self.earlier.items() if key == name]
            )
            for name in self.expected.get("secrets", TOKEN)
        }

    @property
    def hidden(self) -> list[str]:
        """What no report may hold."""
        return [*(self.values[name].strip() for name in kinds(self.expected)), *self.earlier.values()]

    def run(self, *command: str | Path) -> None:
        """Runs a command in the context, with every value in its environment."""
        earlier = {f"{name}_EARLIER": value for name, value in self.earlier.items()}
        own = {"BASE_IMAGE": self.image, **self.values, **earlier}
        done = subprocess.run(
            command, cwd=self.context, env={**os.environ, **own}, capture_output=True, check=False, text=True
        )
        assert done.returncode == 0, done.stderr

    def hook(self, name: str) -> None:
        """Runs a script of the case, if it has it."""
        if (self.context / name).exists():
            self.run("./" + name)


@pytest.fixture
def case(
    request: pytest.FixtureRequest, busybox_image: str, base_image: str, tag: str, tmp_path: Path
) -> Iterator[Case]:
    expected = json.loads((GALLERY / request.param / "expect.json").read_text())
    made = {name: make(kind) for name, kind in kinds(expected).items()}
    case = Case(
        expected,
        tmp_path / "context",
        {"busybox": busybox_image, "base": base_image}[expected["image"]],
        tag,
        {**made, "TAG": tag, "PORT": str(free_port())},
        {name: make("token") for name in expected.get("earlier", [])},
    )
    shutil.copytree(GALLERY / request.param, case.context)
    for path, text in case.texts("context").items():
        (case.context / path).parent.mkdir(exist_ok=True)
        (case.context / path).write_text(text)
    yield case
    subprocess.run(["docker", "image", "rm", "--force", f"{tag}-base"], capture_output=True, check=False)


def kinds(expected: Mapping[str, Any]) -> dict[str, str]:
    """The values to make, by name."""
    return {**expected.get("secrets", TOKEN), **expected.get("credentials", {})}


def make(kind: str) -> str:
    """A fresh secret."""
    if kind == "pem":
        body = base64.encodebytes(secrets.token_bytes(1200)).decode()
        return f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"
    return secrets.token_hex(20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_case(case: Case) -> None:
    expected = case.expected
    case.hook("prepare.sh")
    report = with_docker(case) if expected["builder"] == "docker" else through_the_gate(case, expected["verdict"])

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
    assert not any(value in report.model_dump_json() for value in case.hidden)

    if "gate" in expected:
        gate, _, reason = expected["gate"].partition(": ")
        if gate == "refused":
            with pytest.raises(PreflightError, match=reason):
                through_the_gate(case, gate)
        else:
            assert through_the_gate(case, gate).verdict.value == gate


def with_docker(case: Case) -> AuditReport:
    """Where our preflight would refuse to start, or our rules would keep the leak from happening."""
    filled = case.fill((case.context / "Dockerfile").read_text())
    (case.context / "Dockerfile").write_text(filled)
    arguments = {"BASE_IMAGE": case.image, **case.texts("build_args")}
    case.run(
        "docker", "buildx", "build", "--quiet", "--tag", case.tag,
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *(f"--secret=id={name}" for name in case.secrets),
        *case.expected.get("options", []), ".",
    )  # fmt: skip
    case.hook("finish.sh")
    transport, _, path = case.expected.get("reference", "").partition(":")
    reference = f"{transport}:{case.context / path}" if transport else case.tag
    return audit(reference, case.secrets, source=SourceMap(filled, "Dockerfile"))


def through_the_gate(case: Case, verdict: str) -> AuditReport:
    """A secret that no step mounts is one for the audit alone."""
    declared = ContainerImage.from_dockerfile(
        case.context / "Dockerfile",
        context_dir=case.context,
        build_args={"BASE_IMAGE": case.image, **case.texts("build_args")},
        secrets=case.secrets,
        registries={
            host: {"username": "ci", "password": password} for host, password in case.texts("registries").items()
        },
        build_contexts=case.texts("build_contexts"),
        target=case.expected.get("target"),
    )
    options = tuple(case.expected.get("options", []))
    request = replace(declared.request(tags=[case.tag], allow_unused=True), options=options)
    if verdict == "leaked":
        subprocess.run(["docker", "image", "rm", "--force", case.tag], capture_output=True, check=False)
        with pytest.raises(SecretLeakError) as caught:
            build_through(request, policy=AuditPolicy())
        assert not exists(case.tag)
        return caught.value.report
    report = build_through(request, policy=AuditPolicy()).report
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
