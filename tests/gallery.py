"""Runs a case of the leak gallery: builds it on the real engine, audits what came out, compares with its `expect.json`."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import string
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from container_image import (
    AuditPolicy,
    AuditReport,
    ContainerImage,
    PreflightError,
    Secret,
    SourceMap,
    audit,
)
from container_image.errors import AuditFailedError
from container_image.gate import build_through
from tests.conftest import BASE, BUSYBOX, TOOLS
from tests.engine.conftest import exists
from tests.services.index.serve import wheel

GALLERY = Path(__file__).parent.parent / "dockerfiles"
CASES = sorted(path.parent.name for path in GALLERY.glob("*/expect.json"))
IMAGES = {"busybox": BUSYBOX, "base": BASE}
TOKEN = {"TOKEN": "token"}
# The services of tests/services, which want the case's secret of that name.
SERVICES = {"INDEX": "index", "GIT": "git"}
OPENSSL = {"rsa": "genrsa 2048", "certificate": "req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=acme"}
_LINE = 16


@dataclass(frozen=True)
class Case:
    """A case with a directory, values and names of its own.

    `values` are what `{NAME}` stands for in its texts; `earlier` are former values of its secrets.
    """

    name: str
    expected: dict[str, Any]
    context: Path
    tag: str
    values: dict[str, str]
    earlier: dict[str, str]

    @property
    def image(self) -> str:
        """What it builds from."""
        return IMAGES[self.expected["image"]]

    @property
    def verdict(self) -> str:
        """What an audit must say."""
        return str(self.expected["verdict"])

    def fill(self, text: str) -> str:
        """The text with each `{NAME}` replaced; `${NAME}` is the Dockerfile's own."""
        return fill(text, self.values)

    def texts(self, key: str) -> dict[str, str]:
        """What `expect.json` has under a key, filled."""
        return {name: self.fill(text) for name, text in self.expected.get(key, {}).items()}

    @property
    def options(self) -> tuple[str, ...]:
        """Options of `docker buildx build`, filled."""
        return tuple(self.fill(option) for option in self.expected.get("options", []))

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
        """The values made for it: what no report may hold, and what any scanner would have to find.

        A value of several lines is there line by line too, without the first and last line that all keys share.
        """
        made = [self.values[name].strip() for name, kind in kinds(self.expected).items() if "{" not in kind]
        lines = [line for value in made if "\n" in value for line in value.splitlines()]
        return [*made, *(line for line in lines if len(line) >= _LINE and "-----" not in line), *self.earlier.values()]

    @property
    def network(self) -> str | None:
        """Where its steps find the services."""
        return "host" if self.expected.get("services") else None

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


@contextmanager
def opened(name: str, directory: Path) -> Iterator[Case]:
    """A case with fresh values, in a directory that does not exist yet; its images are removed at the end."""
    expected = json.loads((GALLERY / name / "expect.json").read_text())
    tag = f"container-image-test:{secrets.token_hex(8)}"
    values = {"TAG": tag, "PORT": str(free_port()), "TOOLS": TOOLS}
    services = {name: f"127.0.0.1:{free_port()}" for name in expected.get("services", [])}
    values |= {**services, "WHEEL_HASH": hashlib.sha256(wheel("acme_greeting", "1.0.0")).hexdigest()}
    # The texts that other values are put into come last.
    for key, kind in sorted(kinds(expected).items(), key=lambda item: "{" in item[1]):
        values[key] = fill(kind, values) if "{" in kind else make(kind)
    case = Case(name, expected, directory, tag, values, {key: make("token") for key in expected.get("earlier", [])})
    shutil.copytree(GALLERY / name, directory)
    for path, text in case.texts("context").items():
        (directory / path).parent.mkdir(exist_ok=True)
        (directory / path).write_text(text)
    try:
        with ExitStack() as stack:
            for service, host in services.items():
                stack.enter_context(served(service, host, values[f"{service}_TOKEN"], directory))
            yield case
    finally:
        for image in (tag, f"{tag}-base"):
            subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True, check=False)


@contextmanager
def served(service: str, host: str, token: str, directory: Path) -> Iterator[None]:
    """A service on this machine that wants a token, without a container of its own."""
    address, _, port = host.partition(":")
    root = directory.with_name(f"{directory.name}-{service}")
    root.mkdir()
    own = {"PORT": port, f"{service}_TOKEN": token, "GIT_PROJECT_ROOT": str(root)}
    program = GALLERY.parent / "tests" / "services" / SERVICES[service] / "serve.py"
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, program], env={**os.environ, **own}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not listens(address, int(port)):
            assert process.poll() is None, (root / "log").read_text()
            assert time.monotonic() < deadline, f"{service} does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def listens(address: str, port: int) -> bool:
    """Whether anything does there."""
    with socket.socket() as client:
        return client.connect_ex((address, port)) == 0


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each `{NAME}` replaced that there is a value for."""
    return re.sub(r"(?<!\$)\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)


def kinds(expected: Mapping[str, Any]) -> dict[str, str]:
    """The values to make, by name."""
    return {**expected.get("secrets", TOKEN), **expected.get("credentials", {})}


def make(kind: str) -> str:
    """A fresh secret."""
    if kind == "pem":
        body = base64.encodebytes(secrets.token_bytes(1200)).decode()
        return f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----\n"
    if kind in OPENSSL:
        command = ["docker", "run", "--rm", "--network=none", TOOLS, "openssl", *OPENSSL[kind].split()]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout
    if kind == "symbols":
        # What some format must escape, twice: no half of the value is the same raw and escaped.
        return "".join(secrets.choice(string.ascii_letters) + symbol for symbol in 2 * "\"<\\$/'&>%+`")
    if kind == "short":
        return secrets.token_hex(3)
    assert kind == "token", kind
    return secrets.token_hex(20)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def check(case: Case) -> tuple[AuditReport, list[str]]:
    """Builds and audits the case; the report, and in what the outcome differs from what is expected."""
    case.hook("prepare.sh")
    if case.expected["builder"] == "docker":
        with_docker(case)
        report = audited(case)
    else:
        report = through_the_gate(case, case.verdict)
    return report, [*differences(case, report), *gate_differences(case)]


def differences(case: Case, report: AuditReport) -> list[str]:
    """What the report says that is not expected, and the other way round."""
    found = [finding.model_dump(mode="json") for finding in report.findings]
    told = []
    if report.verdict.value != case.verdict:
        told.append(f"the verdict is {report.verdict.value}")
    for wanted in case.expected["findings"]:
        if not any(matches(finding, wanted) for finding in found):
            told.append(f"not found: {wanted}")
    if "warnings" in case.expected:
        warnings = [item.model_dump(mode="json") for item in report.warnings if item.code == "credential-file"]
        wanted_ones = case.expected["warnings"]
        told += [f"no warning: {one}" for one in wanted_ones if not any(matches(item, one) for item in warnings)]
        told += [f"a warning: {item}" for item in warnings if not any(matches(item, one) for one in wanted_ones)]
    # Nothing else, but for the same occurrence on another surface: history and provenance tell of a step, too.
    paths = [wanted["path"] for wanted in case.expected["findings"]]
    for finding in found:
        if finding["surface"] == "layer" and not any(fnmatch.fnmatchcase(finding["path"], path) for path in paths):
            told.append(f"not expected: {finding}")
    if any(value in report.model_dump_json() for value in case.hidden):
        told.append("the report holds a value")
    return told if len(told) < 2 or found == [] else [*told, f"found: {found}"]


def matches(finding: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a finding is the one that is wanted."""
    globs = {"path", "form", "secret"}
    return all(
        fnmatch.fnmatchcase(str(finding[key]), value) if key in globs else finding[key] == value
        for key, value in wanted.items()
    )


def gate_differences(case: Case) -> list[str]:
    """For a case of plain Docker that says what container-image makes of it: in what that differs."""
    if "gate" not in case.expected:
        return []
    wanted, _, reason = case.expected["gate"].partition(": ")
    if wanted != "refused":
        verdict = through_the_gate(case, wanted).verdict.value
        return [] if verdict == wanted else [f"container-image says {verdict}"]
    try:
        through_the_gate(case, wanted)
    except PreflightError as error:
        return [] if re.search(reason, str(error)) else [f"refused: {error}"]
    return ["container-image did not refuse it"]


def with_docker(case: Case, *options: str) -> None:
    """Where our preflight would refuse to start, or our rules would keep the leak from happening."""
    (case.context / "Dockerfile").write_text(case.fill((case.context / "Dockerfile").read_text()))
    if "requirements" in case.expected:
        # With the step that installs them, as any builder could be given it.
        text = declared(case).to_dict(resolve=True)["dockerfile_str"]
        (case.context / "Dockerfile").write_text(text)
    arguments = {"BASE_IMAGE": case.image, **case.texts("build_args")}
    target = case.expected.get("target")
    case.run(
        "docker", "buildx", "build", "--quiet", "--tag", case.tag,
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *(f"--build-context={name}={value}" for name, value in case.texts("build_contexts").items()),
        *(f"--secret=id={name}" for name in case.secrets),
        *([f"--target={target}"] if target else []),
        *([f"--network={case.network}", f"--allow=network.{case.network}"] if case.network else []),
        *case.options, *options, ".",
    )  # fmt: skip
    case.hook("finish.sh")


def reference(case: Case) -> str:
    """What is audited of what plain Docker made."""
    transport, _, path = case.expected.get("reference", "").partition(":")
    return f"{transport}:{case.context / path}" if transport else case.tag


def audited(case: Case) -> AuditReport:
    """The audit of what plain Docker made."""
    source = SourceMap((case.context / "Dockerfile").read_text(), "Dockerfile")
    return audit(reference(case), case.secrets, source=source)


def declared(case: Case) -> ContainerImage:
    """The case's image."""
    return ContainerImage.from_dockerfile(
        case.context / "Dockerfile",
        context_dir=case.context,
        build_args={"BASE_IMAGE": case.image, **case.texts("build_args")},
        secrets=case.secrets,
        registries={
            host: {"username": "ci", "password": password} for host, password in case.texts("registries").items()
        },
        build_contexts=case.texts("build_contexts"),
        target=case.expected.get("target"),
        requirements=[case.fill(line) for line in case.expected.get("requirements", [])],
        installer=case.expected.get("installer", "pip"),
    )


def through_the_gate(case: Case, verdict: str) -> AuditReport:
    """Built by container-image. A secret that no step mounts is one for the audit alone."""
    request = declared(case).request(tags=[case.tag], allow_unused=True, network=case.network)
    request = replace(request, options=case.options)
    if verdict != "clean":
        subprocess.run(["docker", "image", "rm", "--force", case.tag], capture_output=True, check=False)
    try:
        report = build_through(request, policy=AuditPolicy()).report
    except AuditFailedError as error:
        assert not exists(case.tag), "it was tagged without a clean verdict"
        report = error.report
    assert report is not None
    return report
