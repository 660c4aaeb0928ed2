"""The command line as a user runs it: exit codes, what is on stdout, and that every error is one clear message."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from container_image import AuditEvent, BuildError, BuildEvent, ContainerImage, progress
from container_image.cli.build import _Watch
from container_image.cli.buildx import REFUSED
from tests.engine.conftest import exists
from tests.images import Builder

PROGRAM = Path(sys.executable).with_name("container-image")
CLEAN = "ARG BASE_IMAGE=busybox:1.37\nFROM ${BASE_IMAGE}\nRUN --mount=type=secret,id=TOKEN test -s /run/secrets/TOKEN\n"
LEAKING = CLEAN + "RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /leak\n"


def run(*arguments: str | Path, token: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments], capture_output=True, text=True, check=False, env={**os.environ, "TOKEN": token, **env}
    )


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text(CLEAN)
    (directory / "Leaking").write_text(LEAKING)
    return directory


def test_build_then_audit(context: Path, busybox_image: str, tag: str, token: str, tmp_path: Path) -> None:
    arguments = ["--build-arg", f"BASE_IMAGE={busybox_image}", "--secret", "id=TOKEN", "-t", tag]
    report = tmp_path / "report.json"
    built = run("build", context, *arguments, "--report", f"json={report}", token=token)
    assert built.returncode == 0, built.stderr
    assert built.stdout.startswith("clean: searched for 1 secret in ")
    assert json.loads(report.read_text())["verdict"] == "clean"
    audited = run("audit", tag, "--secret", "id=TOKEN", "--format", "json", token=token)
    assert audited.returncode == 0
    assert json.loads(audited.stdout)["image"]["digest"] == json.loads(report.read_text())["image"]["digest"]
    quiet = run("build", context, *arguments, "--quiet", token=token)
    assert (quiet.stdout.count("\n"), quiet.stdout[:7], quiet.stderr) == (1, "sha256:", "")


def test_a_leak_is_exit_1_with_the_report(context: Path, busybox_image: str, tag: str, token: str) -> None:
    arguments = ["--build-arg", f"BASE_IMAGE={busybox_image}", "--secret", "id=TOKEN,env=TOKEN", "-t", tag]
    done = run("build", context, "-f", context / "Leaking", *arguments, token=token)
    assert done.returncode == 1
    assert "/leak" in done.stdout
    assert "Leaking:4" in done.stdout
    assert "TOKEN stayed in the image, which was not tagged" in done.stderr
    assert token not in done.stdout + done.stderr


def test_an_undeclared_credential_file_is_told_and_fails_where_that_is_asked_for(
    context: Path, busybox_image: str, tag: str, token: str
) -> None:
    (context / ".env").write_text("API_TOKEN=Qx5R8vT2mK9pL4wZ7nB3\n")
    (context / "Copying").write_text(CLEAN + "COPY . /app\n")
    arguments = ["--build-arg", f"BASE_IMAGE={busybox_image}", "--secret", "id=TOKEN", "-t", tag]
    arguments = [str(context), "-f", str(context / "Copying"), *arguments]
    refused = run("build", *arguments, "--fail-on-warning", "credential-file", token=token)
    assert refused.returncode == 1
    assert "the image was not tagged: " in refused.stderr
    assert "/app/.env (credential-file" in refused.stderr
    assert not exists(tag)
    built = run("build", *arguments, token=token)
    assert built.returncode == 0, built.stderr
    assert "; 1 undeclared credential file\n" in built.stdout
    assert f"from   {context}/Copying:4  COPY . /app" in built.stdout
    assert exists(tag)


def test_what_cannot_be_searched_for_is_exit_3(busybox_image: str) -> None:
    done = run("audit", busybox_image, "--secret", "id=TOKEN", token="1234")
    assert done.returncode == 3
    assert done.stdout.startswith("INCOMPLETE")
    accepted = run("audit", busybox_image, "--secret", "id=TOKEN", "--accept-unsearchable", "TOKEN", token="1234")
    assert accepted.returncode == 0
    assert run("audit", busybox_image, "--secret", "id=TOKEN", "--fail-on", "leaked", token="1234").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit"], "no image: name one"),
        (["audit", "app:dev"], "no secret to search for: give one, as in --secret"),
        (["audit", "app:dev", "--secret", "id=UNSET_VARIABLE"], "the variable UNSET_VARIABLE is not set"),
        (["audit", "no-such-image:at-all", "--secret", "id=TOKEN"], "no image 'no-such-image:at-all' in the daemon"),
        (["audit", "app:dev", "--secret", "sUp3rs3cr3t"], "--secret number 1: expected id=NAME"),
        (["audit", "app:dev", "--secret", "id=TOKEN", "--report", "json=/no/such/dir/r"], "can't be written"),
        (["audit", "app:dev", "--secret", "id=TOKEN", "--report", "xml=r"], "expected FORMAT=PATH"),
        (["audit", "app:dev", "--secret", "id=TOKEN", "--report", "json=-"], "write --format json"),
        (["audit", "app:dev", "--secret", "id=x\n,src=a"], "--secret number 1: expected id=NAME"),
        (["audit", "app:dev", "--secret", "id=\udcff,src=a"], "--secret number 1: its id can't be printed"),
        (["audit", "app:dev", "--secret", "id=x,src=/dev/zero"], "neither a file nor a pipe"),
        (["audit", "app:dev", "--secret", "id=x,src=~no-such-user/a"], "no such user's home directory"),
        (["audit", "s3://x", "--secret", "id=TOKEN"], "unknown transport"),
        (["build", "no-such-directory"], "not a directory"),
        (["build", "no_such.py::image"], "there is no file no_such.py"),
        (["build", "no_such_module:image"], "there is no module no_such_module"),
        (["build", "examples/app.py::nothing"], "no ContainerImage of that name; there are: greeting, leaking"),
        (["build", ".", "--no-such-option"], "No such option"),
        (["build", ".", "-f", "/no/such/Dockerfile"], "the Dockerfile can't be read"),
    ],
)
def test_a_mistake_is_one_message_and_exit_2(arguments: list[str], message: str) -> None:
    done = run(*arguments, token="tok9aZ8bY7cX6dW5eV4f")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "sUp3rs3cr3t" not in done.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("print('said')\nimport sys; sys.exit(0)", "importing {0} ended the program at {0}:2"),
        ("raise RuntimeError('sUp3rs3cr3t')", "importing {0} failed at {0}:1 with RuntimeError; run it to see why"),
        ("import no_such_module", "there is no module no_such_module at {0}:1"),
        ("x = (", "importing {0} failed at {0}:1 with SyntaxError"),
        ("from container_image import ContainerImage\n\nContainerImage('')", "failed at {0}:3 with ValidationError: 1"),
        (
            "from container_image import ContainerImage\nContainerImage.from_dockerfile('no-such-file')",
            "failed at {0}:2 with DockerfileNotFoundError: no-such-file: there is no such Dockerfile",
        ),
    ],
)
def test_a_module_that_fails_says_where_and_not_what(source: str, message: str, tmp_path: Path) -> None:
    module = tmp_path / "app.py"
    module.write_text(source)
    done = run("build", f"{module}::image")
    assert (done.returncode, done.stdout) == (2, "")
    assert message.format(module) in done.stderr
    assert "sUp3rs3cr3t" not in done.stderr


@pytest.fixture
def archives(tmp_path: Path, token: str) -> dict[str, str]:
    """The arguments that audit an image without the token, and one with it."""
    found = {}
    for name, data in (("clean", b"nothing"), ("leaking", token.encode())):
        image = Builder()
        reference = image.archive(image.manifest([{"file": data}]), tmp_path / f"{name}.tar")
        found[name] = f"audit {reference} --secret id=TOKEN"
    return found


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("{program} {clean} | true; exit ${{PIPESTATUS[0]}}", 0, ""),
        ("{program} {leaking} | true; exit ${{PIPESTATUS[0]}}", 1, ""),
        ("{program} {clean} >/dev/full", 2, "stdout can't be written: No space left on device"),
        ("{program} {leaking} >/dev/full", 2, "stdout can't be written"),
        ("{program} {clean} >&-", 2, "stdout or stderr is closed"),
        ("{program} {clean} 2>&-", 2, "stdout or stderr is closed"),
        ("{program} {clean} 2>/dev/full", 0, "clean: "),
        ("{program} audit 2>/dev/full", 2, ""),
        ("{program} {leaking} --report json=/dev/full", 2, "/dev/full: the report can't be written"),
    ],
)
def test_what_becomes_of_the_output_makes_no_verdict(
    line: str, status: int, message: str, archives: dict[str, str], token: str
) -> None:
    command = line.format(program=PROGRAM, **archives)
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, env={**os.environ, "TOKEN": token}
    )
    assert done.returncode == status, done.stderr
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_leak_is_told_before_a_report_that_cannot_be_written(context: Path, busybox_image: str, token: str) -> None:
    arguments = ["--build-arg", f"BASE_IMAGE={busybox_image}", "--secret", "id=TOKEN", "--report", "json=/dev/full"]
    done = run("build", context, "-f", context / "Leaking", *arguments, token=token)
    assert done.returncode == 2
    assert done.stdout.startswith("LEAKED")
    leak, failure = done.stderr.splitlines()[-2:]
    assert "TOKEN stayed in the image, which was not tagged" in leak
    assert "/dev/full: the report can't be written" in failure


def test_what_a_module_prints_is_not_on_stdout(busybox_image: str, token: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from container_image import ContainerImage\nprint('said')\n"
        f"image = ContainerImage('FROM {busybox_image}\\nRUN --mount=type=secret,id=TOKEN true\\n')\n"
    )
    done = run("build", f"{tmp_path}/app.py::image", "--secret", "id=TOKEN", "--format", "json", token=token)
    assert json.loads(done.stdout)["verdict"] == "clean", done.stderr
    assert "said" in done.stderr


def test_a_closed_terminal_interrupts_a_build(context: Path, busybox_image: str, tag: str, token: str) -> None:
    (context / "Dockerfile").write_text(f"{CLEAN}RUN echo going; sleep 3600\n")
    command = [PROGRAM, "build", context, "--build-arg", f"BASE_IMAGE={busybox_image}", "--secret", "id=TOKEN"]
    with subprocess.Popen(
        [*command, "--no-cache", "-t", tag], stderr=subprocess.PIPE, text=True, env={**os.environ, "TOKEN": token}
    ) as process:
        assert process.stderr is not None
        # The step prints this and goes on, until it is interrupted.
        assert any(line.strip() == "going" for line in iter(process.stderr.readline, ""))
        for _ in range(3):
            process.send_signal(signal.SIGHUP)
        assert process.stderr.read() == "container-image: interrupted; nothing was tagged\n"
    assert process.returncode == 129
    assert subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode


def test_an_interruption_behind_the_audit_does_not_say_that_nothing_was_tagged() -> None:
    watch = _Watch(None)
    for event in (BuildEvent("done", "[1/1] RUN x"), AuditEvent(1, 2, 0)):
        watch(event)
    assert watch.outcome == "nothing was tagged"
    watch(BuildEvent("release", "app:dev"))
    assert watch.outcome == "the image had passed, and may be tagged, written or pushed in part"


def test_an_unforeseen_error_is_one_line_without_its_text(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from container_image import ContainerImage\n"
        "class Broken(ContainerImage):\n"
        "    def request(self, **_): raise RuntimeError('sUp3rs3cr3t')\n"
        "image = Broken('FROM scratch')\n"
    )
    done = run("build", f"{tmp_path}/app.py::image")
    assert done.returncode == 2
    assert done.stderr.startswith("container-image: unexpected RuntimeError")
    assert done.stderr.count("\n") == 1
    assert "sUp3rs3cr3t" not in done.stderr


def test_check_says_what_would_fail(context: Path, busybox_image: str, token: str) -> None:
    (context / "Dockerfile").write_text(CLEAN + "MAINTAINER someone\n")
    arguments = ["--build-arg", f"BASE_IMAGE={busybox_image}"]
    done = run("check", context, *arguments, "--secret", "id=TOKEN", token=token)
    assert done.returncode == 0, done.stderr
    assert "MaintainerDeprecated" in done.stdout
    assert f"{context}/Dockerfile:4" in done.stdout
    written = run("check", context, *arguments, "--label", f"x={token}", "--secret", "id=TOKEN", token=token)
    assert (written.returncode, written.stdout) == (1, "")
    assert "'TOKEN' is in the label x, which ships" in written.stderr
    unused = run("check", context, *arguments, "--secret", "id=TOKEN", "--secret", "id=HOME", token=token)
    assert unused.returncode == 2
    assert "'HOME' is given and never mounted" in unused.stderr


def test_the_schema_is_the_reports(busybox_image: str) -> None:
    schema = json.loads(run("audit", "--schema").stdout)
    report = json.loads(
        run("audit", busybox_image, "--secret", "id=TOKEN", "--format=json", token="tok9aZ8bY7cX").stdout
    )
    assert set(schema["properties"]) == set(report)


def test_every_option_of_docker_is_taken_or_refused_by_name() -> None:
    told = subprocess.run(["docker", "buildx", "build", "--help"], capture_output=True, check=True, text=True).stdout
    theirs = set(re.findall(r"^\s+(?:-\w, )?(--[a-z][a-z-]+)", told, re.MULTILINE)) - {"--help"}
    ours = set(re.findall(r"--[a-z][a-z-]+", run("build", "--help").stdout))
    assert len(theirs) > 30
    assert theirs - ours == {f"--{name}" for name in REFUSED}
    for name, reason in REFUSED.items():
        done = run("build", ".", f"--{name}=x")
        assert (done.returncode, done.stderr) == (2, f"container-image: --{name}: can't be honoured here: {reason}\n")


def test_a_pasted_docker_line_builds(context: Path, busybox_image: str, tag: str, token: str, tmp_path: Path) -> None:
    line = [
        "build", "--no-cache", "--pull=false", "--add-host", "index.test:127.0.0.9", "--label", "a=b",
        "--annotation", "org.example.note=c", "--build-context", f"other={tmp_path}", "--network", "none",
        "--ulimit", "nofile=64:64", "--shm-size", "8m", "--provenance", "mode=max", "--progress", "plain",
        "--platform", "linux/amd64", "--build-arg", f"BASE_IMAGE={busybox_image}", "--secret", "id=TOKEN", "-t", tag, context,
    ]  # fmt: skip
    (context / "Dockerfile").write_text(
        CLEAN + "RUN grep index.test /etc/hosts > /hosts; ulimit -n > /files; df -k /dev/shm | tail -n 1 > /shm\n"
    )
    done = run(*line, token=token)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        ["docker", "run", "--rm", tag, "cat", "/hosts", "/files", "/shm"], capture_output=True, check=True, text=True
    ).stdout
    assert "127.0.0.9" in shown
    assert "\n64\n" in shown
    assert " 8192 " in shown
    (image,) = json.loads(subprocess.run(["docker", "inspect", tag], capture_output=True, check=True).stdout)
    assert image["Config"]["Labels"] == {"a": "b"}


@pytest.mark.parametrize("words", ["docker --context default build", "docker buildx --builder default build"])
def test_a_line_is_pasted_with_docker_in_front(
    words: str, context: Path, busybox_image: str, tag: str, token: str
) -> None:
    line = ["--build-arg", f"BASE_IMAGE={busybox_image}", "--secret", "id=TOKEN", "--rm", "-t", tag, context]
    done = run(*words.split(), *line, token=token)
    assert (done.returncode, done.stdout[:7]) == (0, "clean: "), done.stderr
    elsewhere = run("docker", "--context", "no-such-context", *words.split()[-1:], *line, token=token)
    assert (elsewhere.returncode, "no-such-context" in elsewhere.stderr) == (2, True)


def test_buildkits_records_are_redacted(context: Path, busybox_image: str, token: str) -> None:
    (context / "Dockerfile").write_text(
        f"{CLEAN}RUN --mount=type=secret,id=TOKEN head -c 20 /run/secrets/TOKEN; sleep 1; tail -c +21 /run/secrets/TOKEN\n"
        "MAINTAINER someone\n"
    )
    arguments = ["--build-arg", f"BASE_IMAGE={busybox_image}", "--secret", "id=TOKEN", "--no-cache"]
    done = run("build", context, *arguments, "--progress=rawjson", token=token)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert {key for record in records for key in record} == {"vertexes", "statuses", "logs", "warnings"}
    logs = b"".join(base64.b64decode(log["data"]) for record in records for log in record.get("logs", []))
    assert logs == b"[TOKEN]"
    names = {vertex["name"] for record in records for vertex in record.get("vertexes", [])}
    assert any("RUN --mount=type=secret,id=TOKEN head" in name for name in names)
    warned = [base64.b64decode(item["short"]) for record in records for item in record.get("warnings", [])]
    assert any(text.startswith(b"MaintainerDeprecated") for text in warned)


def test_progress_is_shown_from_python(context: Path, busybox_image: str, tag: str, token: str) -> None:
    shown = io.StringIO()
    image = ContainerImage(
        LEAKING.replace("cp", "cat"),
        build_args={"BASE_IMAGE": busybox_image},
        secrets={"TOKEN": token},
        context_dir=context,
    )
    (context / ".dockerignore").write_text("*")
    with pytest.raises(BuildError):
        image.build(on_event=progress.console(shown))
    assert "  failed  [stage-0 3/3] RUN --mount" in shown.getvalue().replace(" failed", "  failed")
    events: list[object] = []
    clean = ContainerImage(
        CLEAN, build_args={"BASE_IMAGE": busybox_image}, secrets={"TOKEN": token}, context_dir=context
    )
    built = clean.build(tags=[tag], on_event=events.append)
    assert built.tags == (tag,)
    assert events[-1] == BuildEvent("release", tag)
    assert sum(isinstance(event, AuditEvent) for event in events) > 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--output=type=nothing", "the type is one of image, registry, oci, docker, tar, local"),
        ("--output=type=local", "dest is missing"),
        ("--output=type=image,push-by-digest=true", "push-by-digest can't be honoured"),
        ("--cache-to=mode=max", "the type is missing"),
        ("--builder=no-such-builder", "--builder no-such-builder: "),
    ],
)
def test_an_output_that_cannot_be_honoured_is_named(
    context: Path, busybox_image: str, token: str, option: str, message: str
) -> None:
    done = run(
        "build", context, "--secret", "id=TOKEN", "--build-arg", f"BASE_IMAGE={busybox_image}", option, token=token
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_build_takes_the_projects_policy_and_former_values(
    context: Path, busybox_image: str, tag: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    policy = tmp_path / "pyproject.toml"
    policy.write_text('[tool.container-image]\naccept_unsearchable = ["PIN"]\nplatforms = ["linux/s390x"]\n')
    former = "f" + token[::-1]
    (context / "Dockerfile").write_text(CLEAN + "RUN --mount=type=secret,id=PIN cat /run/secrets/PIN\nCOPY old /old\n")
    (context / "old").write_text("nothing")
    arguments = ["build", context, "--build-arg", f"BASE_IMAGE={busybox_image}", "-t", tag, "--secret", "id=TOKEN"]
    arguments += ["--secret", "id=PIN", "--earlier", "id=TOKEN,env=FORMER"]
    done = run(*arguments, token=token, PIN="1234", FORMER=former)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("clean, 1 accepted: ")
    (context / "old").write_text(former)
    leaked = run(*arguments, token=token, PIN="1234", FORMER=former)
    assert (leaked.returncode, "LEAK  TOKEN, an earlier version (1 back)" in leaked.stdout) == (1, True)
    policy.write_text("[tool.container-image]\naccept_unsearchables = []\n")
    mistaken = run(*arguments, token=token, PIN="1234", FORMER=former)
    assert mistaken.returncode == 2
    assert f"{policy}: [tool.container-image] accept_unsearchables: there is no such key" in mistaken.stderr
    assert run(*arguments, "--accept-base=false", "--max-depth=0", token=token).returncode == 2


def test_a_self_test_finds_what_it_planted_and_leaves_the_image_alone(busybox_image: str) -> None:
    def identity() -> bytes:
        return subprocess.run(["docker", "image", "inspect", busybox_image], capture_output=True, check=True).stdout

    before = identity()
    done = run("audit", "--self-test", busybox_image)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("all found: ")
    assert identity() == before
