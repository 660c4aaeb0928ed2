"""Builds on a real engine: values arrive, the cache keeps them apart, nothing of them is printed or left behind."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from container_image import (
    BuildError,
    BuildEvent,
    ContainerImage,
    DockerfileError,
    EngineError,
    PreflightError,
    Secret,
    SecretLeakError,
    SecretSourceError,
    Verdict,
)
from container_image.build.client import MIN_BUILDX, MIN_ENGINE, require
from tests.engine.conftest import COPIES, Left, declare, exists, forget

Records = Callable[[], list[Path]]


def read(tag: str, path: str) -> str:
    done = subprocess.run(["docker", "run", "--rm", tag, "cat", path], capture_output=True, check=True, text=True)
    return done.stdout


@pytest.fixture(params=["memory", "files"])
def handover(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Path]:
    """The two ways to hand a value to BuildKit."""
    return {} if request.param == "memory" else {"secret_tmpdir": tmp_path}


@pytest.mark.usefixtures("store")
def test_a_value_arrives_whole_and_nothing_of_it_stays(
    left: Left, busybox_image: str, tag: str, handover: dict[str, Path], tmp_path: Path
) -> None:
    value = secrets.token_bytes(300_000)
    image = declare(COPIES, busybox_image, "", secrets={"TOKEN": Secret.from_value(value)})
    built = image.build(tags=[tag], **handover)
    assert read(tag, "/sum").split()[0] == hashlib.md5(value, usedforsecurity=False).hexdigest()
    assert built.report is not None
    assert built.report.verdict is Verdict.CLEAN
    assert list(tmp_path.iterdir()) == []
    assert not left()


@pytest.mark.usefixtures("store")
def test_a_changed_value_rebuilds_its_steps_and_no_other(busybox_image: str, tag: str, token: str) -> None:
    salt = secrets.token_hex(8)

    def build(value: str) -> dict[str, bool]:
        """Whether each step came from the cache."""
        cached: dict[str, bool] = {}

        def note(event: object) -> None:
            if isinstance(event, BuildEvent) and event.kind in ("cached", "done") and "RUN" in event.step:
                step = next(name for name in ("before", "mount", "other") if name in event.step)
                cached[step] = event.kind == "cached"

        declare(COPIES, busybox_image, value, build_args={"SALT": salt}).build(tags=[tag], on_event=note)
        return cached

    assert build(token) == {"before": False, "mount": False, "other": False}
    first = read(tag, "/sum")
    assert build(token) == {"before": True, "mount": True, "other": True}
    # The step after the mount has another parent now, and so runs again.
    assert build(token[::-1]) == {"before": True, "mount": False, "other": False}
    assert read(tag, "/sum") != first
    assert build(token) == {"before": True, "mount": True, "other": True}
    assert read(tag, "/sum") == first


def test_builds_at_once_each_get_their_own_value(busybox_image: str) -> None:
    salt = secrets.token_hex(8)
    names = [f"container-image-test:{secrets.token_hex(8)}" for _ in range(4)]

    def one(name: str) -> str:
        declare(COPIES, busybox_image, secrets.token_hex(20), build_args={"SALT": salt}).build(tags=[name])
        return read(name, "/sum")

    try:
        with ThreadPoolExecutor(len(names)) as pool:
            assert len(set(pool.map(one, names))) == len(names)
    finally:
        subprocess.run(["docker", "image", "rm", "--force", *names], capture_output=True, check=False)


@pytest.mark.usefixtures("store")
def test_what_a_step_prints_is_redacted_and_warned_of(left: Left, busybox_image: str, tag: str, token: str) -> None:
    text = COPIES + "RUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN; base64 /run/secrets/TOKEN; echo done\n"
    shown: list[str] = []
    built = declare(text, busybox_image, token).build(tags=[tag], on_event=lambda event: shown.append(repr(event)))
    assert token not in "".join(shown)
    assert "[TOKEN]" in "".join(shown)
    assert [(item.code, item.secret) for item in built.warnings] == [("secret-in-log", "TOKEN")]
    assert not left()


@pytest.mark.parametrize(
    "command",
    [
        "head -c 39 /run/secrets/TOKEN",
        "tail -c +2 /run/secrets/TOKEN; echo",
        "head -c 20 /run/secrets/TOKEN; echo",
        "base64 /run/secrets/TOKEN | head -c 50",
    ],
)
def test_a_part_of_a_value_that_a_step_prints_is_redacted_and_warned_of(
    busybox_image: str, tag: str, token: str, command: str
) -> None:
    assert len(token) == 40
    text = f"ARG BASE_IMAGE=busybox:1.37\nFROM ${{BASE_IMAGE}}\nRUN --mount=type=secret,id=TOKEN {command}\n"
    shown: list[str] = []
    built = declare(text, busybox_image, token).build(
        tags=[tag], on_event=lambda event: shown.append(getattr(event, "text", ""))
    )
    output = "".join(shown)
    assert "[TOKEN]" in output
    encoded = base64.b64encode(token.encode()).decode()
    assert not any(form[at : at + 16] in output for form in (token, encoded) for at in range(len(form) - 15))
    assert [(item.code, item.secret) for item in built.warnings] == [("secret-in-log", "TOKEN")]


@pytest.mark.usefixtures("store")
def test_a_leak_withholds_the_tag_and_removes_the_image(left: Left, busybox_image: str, tag: str, token: str) -> None:
    text = COPIES + "RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /etc/token\nRUN rm /etc/token\n"
    with pytest.raises(SecretLeakError) as caught:
        declare(text, busybox_image, token).build(tags=[tag])
    (finding,) = caught.value.report.findings
    assert (finding.path, finding.state, finding.layer) == ("etc/token", "deleted", 5)
    assert finding.instruction is not None
    assert finding.instruction.startswith("RUN cp /run/secrets/TOKEN /etc/token")
    assert token not in str(caught.value) + repr(caught.value.report)
    assert not exists(tag)
    assert not left()


def test_a_leak_names_the_python_file_and_line(busybox_image: str, token: str) -> None:
    image = ContainerImage.from_dockerfile_str(
        """\
ARG BASE_IMAGE=busybox:1.37
FROM ${BASE_IMAGE}
RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /leaked-by-this-line
""",
        build_args={"BASE_IMAGE": busybox_image},
        secrets={"TOKEN": token},
    )
    with pytest.raises(SecretLeakError) as caught:
        image.build()
    (finding,) = caught.value.report.findings
    assert finding.file is not None
    assert finding.line is not None
    source = Path(__file__).read_text().splitlines()
    assert Path(finding.file).name == "test_build.py"
    assert source[finding.line - 1].endswith("/leaked-by-this-line")


@pytest.mark.usefixtures("store")
def test_no_audit_is_explicit(busybox_image: str, tag: str, token: str) -> None:
    text = COPIES + "RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /leak\n"
    built = declare(text, busybox_image, token).build(tags=[tag], no_audit=True)
    assert built.report is None
    assert read(tag, "/leak") == token


@pytest.mark.usefixtures("store")
def test_a_failing_step_shows_its_line_and_its_last_output(left: Left, busybox_image: str, token: str) -> None:
    text = COPIES + "RUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN; echo the reason; exit 3\n"
    with pytest.raises(BuildError, match="the reason") as caught:
        declare(text, busybox_image, token).build()
    assert caught.value.line == 7
    assert token not in str(caught.value)
    assert not left()


@pytest.mark.parametrize(
    "text", ["FROM scratch\nRUNN x\n", "FROM scratch\nCOPY <<EOF /x\nopen\n", "FROM scratch\nENV\n"]
)
def test_a_malformed_dockerfile_names_the_line(text: str) -> None:
    with pytest.raises(DockerfileError, match=r":\d+: "):
        ContainerImage.from_dockerfile_str(text).build()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"secrets": {}}, "'TOKEN' is required by a mount and not given"),
        ({"secrets": {"TOKEN": "x" * 40, "OTHER": "y" * 40}}, "'OTHER' is given and never mounted"),
        ({"secrets": {"TOKEN": "z" * 512_001}}, "'TOKEN' is 512001 bytes"),
        ({"build_args": {"X": "a9b8c7d6e5f4"}, "secrets": {"TOKEN": "a9b8c7d6e5f4"}}, "in the build argument X"),
        ({"labels": {"x": "YTliOGM3ZDZlNWY0"}, "secrets": {"TOKEN": "a9b8c7d6e5f4"}}, "in the label x"),
        ({"secrets": {"TOKEN": "w1r2i3t4t5e6n7"}}, "is written in the Dockerfile"),
    ],
)
def test_preflight_says_what_is_wrong_before_any_step(
    busybox_image: str, fields: dict[str, object], message: str
) -> None:
    text = COPIES.replace("id=TOKEN", "id=TOKEN,required") + "# w1r2i3t4t5e6n7\n"
    with pytest.raises(PreflightError, match=message):
        declare(text, busybox_image, "unused", **fields).build()


def test_a_secret_file_in_the_context_must_be_ignored(busybox_image: str, tmp_path: Path, token: str, tag: str) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "token").write_text(token)
    text = COPIES + "COPY . /app\n"
    held = {"TOKEN": Secret.from_file(tmp_path / "conf" / "token")}
    with pytest.raises(PreflightError, match="conf/token in the build context"):
        declare(text, busybox_image, "", secrets=held, context_dir=tmp_path).build()
    declare(text, busybox_image, "", secrets=held, context_dir=tmp_path, dockerignore=["token"]).build(tags=[tag])
    assert exists(tag)


def test_missing_sources_are_all_named_before_any_step(busybox_image: str) -> None:
    sources = {"A": Secret.from_env("NO_SUCH_VARIABLE_1"), "B": Secret.from_file("/no/such/file")}
    with pytest.raises(SecretSourceError, match=r"(?s)'A'.*NO_SUCH_VARIABLE_1.*'B'.*/no/such/file"):
        declare(COPIES, busybox_image, "", secrets=sources).build()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_build_and_cleans_up(
    left: Left, records: Records, busybox_image: str, tmp_path: Path, token: str, number: signal.Signals, status: int
) -> None:
    (tmp_path / "Dockerfile").write_text(COPIES + f"RUN echo {token[:5]} && sleep 97\n")
    process = start(tmp_path, busybox_image, token)
    wait_for(lambda: b"other" in os.read(process.stderr.fileno(), 65536))  # type: ignore[union-attr]
    time.sleep(1)
    process.send_signal(number)
    assert process.wait(30) == status
    assert not left()
    assert records() == []
    assert not subprocess.run(["pgrep", "-f", f"buildx.*{tmp_path}"], capture_output=True, check=False).stdout


def test_kill_leaves_no_value_on_any_file_system(
    left: Left, records: Records, busybox_image: str, tmp_path: Path, token: str
) -> None:
    (tmp_path / "Dockerfile").write_text(COPIES + "RUN sleep 96\n")
    process = start(tmp_path, busybox_image, token)
    wait_for(lambda: b"other" in os.read(process.stderr.fileno(), 65536))  # type: ignore[union-attr]
    process.kill()
    process.wait()
    for directory in ("/dev/shm", "/tmp", os.environ.get("XDG_RUNTIME_DIR", "/run/user")):
        found = subprocess.run(["grep", "-rls", "--", token, directory], capture_output=True, check=False, text=True)
        # The test's own directories hold what the test wrote.
        assert [path for path in found.stdout.split() if "pytest-" not in path] == []
    # The build dies with the process that began it; its record is left, and the next run removes that.
    wait_for(
        lambda: not subprocess.run(["pgrep", "-f", f"buildx.*{tmp_path}"], capture_output=True, check=False).stdout
    )
    (killed,) = records()
    declare(COPIES, busybox_image, token).build()
    assert not left()
    (clean,) = records()
    assert clean != killed
    assert (forget(killed), forget(clean)) == (False, True)


PRINTS = [
    "cat /run/secrets/TOKEN",
    "cat /run/secrets/TOKEN | base64 | fold -w 7",
    "gzip -c < /run/secrets/TOKEN",
    "for i in 1 2 3 4 5 6 7 8; do dd if=/run/secrets/TOKEN bs=5 skip=$((i-1)) count=1 2>/dev/null; sleep 0.2; done",
    "cut -c1-30 /run/secrets/TOKEN",
]


@pytest.mark.parametrize("command", PRINTS)
@pytest.mark.parametrize("status", [0, 3])
def test_a_record_goes_where_its_log_holds_a_value(
    records: Records, busybox_image: str, token: str, command: str, status: int
) -> None:
    text = f"{COPIES}RUN --mount=type=secret,id=TOKEN {command}; exit {status} # {secrets.token_hex(8)}\n"
    with contextlib.suppress(BuildError):
        built = declare(text, busybox_image, token).build()
        assert {(warning.code, warning.secret) for warning in built.warnings} == {("secret-in-log", "TOKEN")}
    assert records() == []


@pytest.mark.parametrize(("status", "options", "kept"), [
    (0, {}, True), (3, {}, True), (0, {"forget_history": True}, False), (3, {"forget_history": True}, False),
])  # fmt: skip
def test_a_record_stays_where_its_log_holds_no_value(
    records: Records, busybox_image: str, token: str, status: int, options: dict[str, bool], kept: bool
) -> None:
    text = f"{COPIES}RUN --mount=type=secret,id=TOKEN echo done; exit {status} # {secrets.token_hex(8)}\n"
    with contextlib.suppress(BuildError):
        declare(text, busybox_image, token).build(**options)
    assert [forget(record) for record in records()] == [True] * kept


def test_a_record_stays_with_a_value_in_its_log_where_that_is_asked(
    records: Records, busybox_image: str, token: str
) -> None:
    text = f"{COPIES}RUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN # {secrets.token_hex(8)}\n"
    image = declare(text, busybox_image, token)
    image.build(keep_history=True)
    (record,) = records()
    assert forget(record)
    with pytest.raises(PreflightError, match="--keep-history and --forget-history contradict each other"):
        image.build(keep_history=True, forget_history=True)


@pytest.mark.parametrize(
    "fields",
    [
        {"build_args": {"HTTP_PROXY": "http://me:8a7b6c5d4e3f2a1b@127.0.0.1:9"}},
        {"build_contexts": {"other": "https://8a7b6c5d4e3f2a1b@git.example/other.git"}},
    ],
)
def test_a_record_goes_where_the_builds_arguments_hold_a_value(
    records: Records, busybox_image: str, fields: dict[str, dict[str, str]]
) -> None:
    text = f"ARG BASE_IMAGE\nFROM $BASE_IMAGE\nRUN echo {secrets.token_hex(8)}\n"
    declare(text, busybox_image, "", secrets={}, **fields).build()
    assert records() == []


def test_without_secrets_a_record_is_removed_where_that_is_asked_alone(records: Records, busybox_image: str) -> None:
    for number, forgotten in enumerate([False, True]):
        text = COPIES.replace("RUN --mount", f"RUN echo {number} --mount")
        declare(text, busybox_image, "", secrets={}).build(forget_history=forgotten)
    (record,) = records()
    assert forget(record)


def start(context: Path, image: str, token: str) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name("container-image")
    return subprocess.Popen(
        [program, "build", context, "--secret", "id=TOKEN", "--build-arg", f"BASE_IMAGE={image}", "--no-cache"],
        env={**os.environ, "TOKEN": token},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return
    raise AssertionError("it never happened")


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_the_error_says_what_to_do() -> None:
    with pytest.raises(EngineError, match="no Docker Engine answers at unix:///no/such/socket; start it"):
        ContainerImage.from_dockerfile_str("FROM scratch\nLABEL a=b\n").build()


def test_an_engine_that_is_too_old_is_named() -> None:
    with pytest.raises(EngineError, match=r"Docker Engine 20\.10\.24 is too old; install 25\.0 or newer"):
        require("Docker Engine", "20.10.24", MIN_ENGINE)
    with pytest.raises(EngineError, match=r"buildx v0\.10\.4 is too old; install 0\.21"):
        require("buildx", "v0.10.4", MIN_BUILDX)


@pytest.mark.usefixtures("store")
def test_entrypoint_cmd_and_compression_take_effect(busybox_image: str, tag: str, token: str) -> None:
    image = declare(
        COPIES, busybox_image, token, entrypoint=["echo"], cmd=["hello"], compression="zstd", force_compression=True
    )
    built = image.build(tags=[tag])
    assert built.report is not None
    done = subprocess.run(["docker", "run", "--rm", tag], capture_output=True, check=True, text=True)
    assert done.stdout == "hello\n"
