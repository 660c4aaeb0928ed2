"""Containers with an environment's secrets: what they get, what changes them, and what their secrets are never in."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import container_image
from container_image import (
    EngineError,
    InvalidInputError,
    NotStartedError,
    SecretStore,
    SecretValue,
    UnknownSecretError,
)
from container_image.build.redact import patterns
from container_image.cli import _run
from container_image.cli.run import OWN_VALUES
from container_image.runtime import containers, replace
from container_image.runtime.files import sweep
from container_image.runtime.options import FLAGS, VALUES
from tests.engine.conftest import lines
from tests.engine.relay import relay

PROGRAM = str(Path(sys.executable).with_name("container-image"))
WAITS = "trap 'exit 7' TERM INT; echo ready; sleep 60 & wait"
MEMORY = Path("/dev/shm")

Name = Callable[[], str]


@pytest.fixture(autouse=True)
def secrets(token: str, monkeypatch: pytest.MonkeyPatch) -> SecretStore:
    """TOKEN, exposed, and DEEP, which is not."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    store = SecretStore.open()
    store.environments.create("staging")
    store.secrets.set("TOKEN", token, "staging")
    store.secrets.set("DEEP", "deep-" + token, "staging", default_exposed=False)
    return store


@pytest.fixture
def name(token: str) -> Iterator[Name]:
    """Gives names for containers, which are removed at the end."""
    made: list[str] = []

    def make() -> str:
        made.append(f"container-image-test-{token[:8]}-{len(made)}")
        return made[-1]

    yield make
    if made:
        subprocess.run(["docker", "rm", "--force", "--volumes", *made], capture_output=True, check=False)


def variable(container: str, variable_name: str = "TOKEN") -> str:
    """What the program in a container has as a variable."""
    environment = lines("docker", "exec", container, "cat", "/proc/1/environ")[0].split("\0")
    return next((item.partition("=")[2] for item in environment if item.startswith(variable_name + "=")), "")


def directories() -> set[Path]:
    """Those of secret files."""
    return set(MEMORY.glob("container-image-run-*"))


def gone(paths: set[Path]) -> bool:
    """Whether all of them are, within some seconds."""
    deadline = time.monotonic() + 60
    while any(path.exists() for path in paths) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(path.exists() for path in paths)


def argument_lists() -> str:
    """Those of all processes."""
    found = ""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += path.read_text(errors="replace")
    return found


def test_exposed_secrets_are_read_with_getenv(
    base_image: str, token: str, secrets: SecretStore, tmp_path: Path
) -> None:
    value = "two\nlines, 'quotes' and ünïcode =\n"
    secrets.secrets.set("TEXT", value, "staging")
    names = ["TOKEN", "TEXT", "DEEP", "CONTAINER_IMAGE_ENVIRONMENT", "CONTAINER_IMAGE_REFERENCE"]
    script = f"import os, json; print(json.dumps([os.getenv(name) for name in {names}]))"
    # A file of variables does not take their place.
    (tmp_path / "variables").write_text("TOKEN=other\nCONTAINER_IMAGE_ENVIRONMENT=other\nPYTHONUTF8=1\n")
    options = ["--env=staging", "--rm", "--env-file", str(tmp_path / "variables")]
    done = subprocess.run(
        [PROGRAM, "run", base_image, *options, "--", "python3", "-c", script],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [token, value, None, "staging", base_image]
    assert done.stderr == ""
    used = [(item.action, item.name, item.version, item.image) for item in secrets.log.list("staging", limit=2)]
    assert sorted(used) == [("run", "TEXT", 1, base_image), ("run", "TOKEN", 1, base_image)]


def test_only_reaches_what_is_not_exposed(
    busybox_image: str, token: str, secrets: SecretStore, capfd: pytest.CaptureFixture[str]
) -> None:
    # Docker obeys DOCKER_HOST, and not this.
    secrets.secrets.set("DOCKER_PASSWORD", "login-" + token, "staging", default_exposed=False)
    options, only = ["--rm", "-e", "TOKEN=mine"], ["DEEP", "DOCKER_PASSWORD"]
    command = ["sh", "-c", 'echo "$TOKEN|$DEEP|$DOCKER_PASSWORD"; exit 3']
    assert container_image.run(busybox_image, command, environment="staging", only=only, options=options) == 3
    assert capfd.readouterr() == (f"mine|deep-{token}|login-{token}\n", "")
    with pytest.raises(UnknownSecretError, match="GONE"):
        container_image.run(busybox_image, environment="staging", only=["TOKEN", "GONE"])


def test_a_later_set_changes_new_containers_only_and_replace_the_old_one(
    busybox_image: str, token: str, secrets: SecretStore, name: Name, capfd: pytest.CaptureFixture[str]
) -> None:
    old, new = name(), name()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = f"127.0.0.1:{free.getsockname()[1]}:80"
    command = ["sh", "-c", WAITS, "a word"]
    options = ["-d", "--name", old, "-p", port, "-e", "MINE=kept"]
    assert container_image.run(busybox_image, command, environment="staging", options=options) == 0
    assert token not in "".join(lines("docker", "inspect", "--format", "{{json .Config.Labels}}", old))

    secrets.secrets.set("TOKEN", "changed-" + token, "staging")
    assert container_image.run(busybox_image, command, environment="staging", options=["-d", "--name", new]) == 0
    assert variable(old) == token
    assert variable(new) == "changed-" + token
    capfd.readouterr()
    assert _run(["ps"]) == 0
    rows = [[cell.strip() for cell in line.split(" | ")] for line in capfd.readouterr().out.splitlines()]
    assert [row for row in rows if row[0] in (old, new)] == [
        [new, busybox_image, "staging", "running |"],
        [old, busybox_image, "staging", "running", "TOKEN (version 1, now 2)"],
    ]

    before = lines("docker", "inspect", "--format", "{{.Id}}", old)
    assert _run(["run", "--replace", old]) == 0
    assert capfd.readouterr().out.strip() == lines("docker", "inspect", "--format", "{{.Id}}", old)[0] != before[0]
    assert (variable(old), variable(old, "MINE")) == ("changed-" + token, "kept")
    assert lines("docker", "port", old) == [f"80/tcp -> {port[:-3]}"]
    assert json.loads(lines("docker", "inspect", "--format", "{{json .Args}}", old)[0]) == command[1:]
    assert {item.name: item.stale for item in containers() if item.name in (old, new)} == {old: False, new: False}
    assert lines("docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", f"id={before[0]}") == []

    secrets.secrets.unset("TOKEN", "staging")
    held = {item.name: [(held.name, held.state) for held in item.secrets] for item in containers()}
    assert held[new] == [("TOKEN", "unset")]
    # Who has another environment's key can't tell.
    narrow = SecretStore.open(key=secrets.environments.key("main"))
    assert [(item.name, item.stale) for item in containers(store=narrow) if item.name == new] == [(new, False)]
    assert {held.state for item in containers(store=narrow) for held in item.secrets if item.name == new} == {"unknown"}


def test_a_secret_of_an_environment_that_was_made_anew_is_not_current(
    busybox_image: str, secrets: SecretStore, name: Name, capfd: pytest.CaptureFixture[str]
) -> None:
    container = name()
    assert container_image.run(busybox_image, ["true"], environment="staging", options=["--name", container]) == 0
    secrets.environments.delete("staging")
    time.sleep(1.1)
    secrets.environments.create("staging")
    secrets.secrets.set("TOKEN", "another", "staging")
    assert _run(["ps", "--all", "--json"]) == 0
    listed = {item["name"]: item for item in json.loads(capfd.readouterr().out)["containers"]}
    assert listed[container]["secrets"] == [{"name": "TOKEN", "version": 1, "current": None, "state": "unset"}]
    assert listed[container]["stale"] is True
    assert listed[container]["status"] == "exited"


@pytest.mark.parametrize("vanishes", [False, True])
def test_the_old_container_is_back_when_the_new_one_does_not_start(
    busybox_image: str, token: str, secrets: SecretStore, name: Name, vanishes: bool
) -> None:
    container = name()
    options = ["-d", "--name", container, *(["--rm"] if vanishes else [])]
    command = ["sh", "-c", f'[ "$TOKEN" = bad ] && exit 9; {WAITS}']
    assert container_image.run(busybox_image, command, environment="staging", options=options) == 0
    before = lines("docker", "inspect", "--format", "{{.Id}} {{.State.Running}}", container)
    secrets.secrets.set("TOKEN", "bad", "staging")
    with pytest.raises(EngineError, match=r"ended at once.*the old one is back"):
        replace(container)
    assert lines("docker", "inspect", "--format", "{{.Id}} {{.State.Running}}", container) == before
    assert lines("docker", "ps", "--all", "--format", "{{.Names}}", "--filter", f"name={container}") == [container]
    assert variable(container) == token


def test_what_this_program_did_not_start_is_not_replaced(busybox_image: str, name: Name, tag: str) -> None:
    ours, theirs = name(), name()
    assert container_image.run(busybox_image, ["true"], environment="staging", options=["--name", ours]) == 0
    # An image that was made of a container has its labels.
    lines("docker", "commit", ours, tag)
    lines("docker", "run", "--name", theirs, tag)
    with pytest.raises(InvalidInputError, match="did not start it"):
        replace(theirs)
    with pytest.raises(InvalidInputError, match=r"--replace no-such-container: .* No such container"):
        replace("no-such-container")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PATH", b"/x", "can't take the place of PATH"),
        ("LD_PRELOAD", b"/x", "can't take the place of PATH, LD_"),
        ("CONTAINER_IMAGE_REFERENCE", b"x", "are not for secrets"),
        ("DOCKER_HOST", b"tcp://hunter2", "the docker command would obey"),
        ("https_proxy", b"http://hunter2", "the docker command would obey"),
        ("BINARY", b"hunter2\xff", "it is no UTF-8 text"),
        ("NUL", b"hunter2\0", "it has a NUL byte"),
        ("LARGE", b"hunter2" * 20_000, "131,072 bytes at most"),
    ],
)
def test_what_cannot_be_a_variable_is_refused_by_name(
    name: str, value: bytes, message: str, secrets: SecretStore, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets.secrets.set(name, value, "main")
    assert _run(["run", "--rm", "no-such-image"]) == 125
    shown = capfd.readouterr()
    assert f"secret '{name}': " in shown.err
    assert message in shown.err
    assert "--secret-files" in shown.err
    assert (shown.out, "hunter2" in shown.err) == ("", False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-e", "TOKEN=hunter2"], "-e TOKEN: the variable is given by the environment's secret"),
        (["-eCONTAINER_IMAGE_ENVIRONMENT=hunter2"], "-e CONTAINER_IMAGE_ENVIRONMENT: it is set by this command"),
        (["-e", "CONTAINER_IMAGE_KEY"], "-e CONTAINER_IMAGE_KEY: the keys of this program"),
        (["--label", "container-image.run=hunter2"], "--label container-image.run: "),
        (["--env", "A=hunter2"], "a variable for a container is given with -e NAME=VALUE"),
        (["--only", "A=hunter2"], "a secret's name has letters"),
        (["--replace", "x"], "--replace takes everything else from the container"),
        (["--secret-files", "--restart=always"], "--restart: "),
        (["--no-such=hunter2"], "--no-such is no option"),
    ],
)
def test_a_mistake_is_one_line_and_exit_125(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = [] if "--env" in arguments else ["--env=staging"]
    assert _run(["run", *environment, *arguments, "no-such-image", "true"]) == 125
    shown = capfd.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert (shown.out, "hunter2" in shown.err) == ("", False)


def test_no_image_is_a_mistake(capfd: pytest.CaptureFixture[str]) -> None:
    assert _run(["run", "--env=staging"]) == 125
    assert "no image: name one" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "command", "status"),
    [
        ([], ["sh", "-c", "kill -KILL $$"], 137),
        ([], ["no-such-program"], 127),
        ([], ["/etc"], 126),
        (["--memory=none"], ["true"], 125),
    ],
)
def test_the_exit_status_is_docker_s(
    busybox_image: str, options: list[str], command: list[str], status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    # The first process of a container can't be killed by itself.
    options = ["--rm", "--init", *options]
    assert container_image.run(busybox_image, command, environment="staging", options=options) == status
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("files", "number"),
    [([], signal.SIGTERM), (["--secret-files"], signal.SIGINT)],
)
def test_signals_reach_the_container_and_no_argument_list_has_a_value(
    busybox_image: str, token: str, files: list[str], number: int, name: Name
) -> None:
    before = directories()
    line = [PROGRAM, "run", *files, "--env=staging", "--rm", "--name", name(), busybox_image, "sh", "-c", WAITS]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(directories() - before) == len(files)
        shown = argument_lists()
        assert ("docker\0run\0--rm=true" in shown, token in shown) == (True, False)
        process.send_signal(number)
        assert process.wait(timeout=30) == 7
    assert directories() == before


def test_a_terminal_is_the_container_s(busybox_image: str) -> None:
    process, terminal = pty.fork()
    if process == 0:
        line = ["run", "--env=staging", "--secret-files", "-it", "--rm", busybox_image]
        os.execv(PROGRAM, [PROGRAM, *line, "sh", "-c", "tty; read x; echo $x$x"])
    os.write(terminal, b"abc\n")
    shown = b""
    # Reading from a terminal that nobody has open any more is an error.
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 1000):
            shown += data
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert b"/dev/pts/" in shown
    assert b"abcabc" in shown


def test_secret_files_are_in_no_record_of_the_container_and_gone_with_it(
    busybox_image: str, token: str, secrets: SecretStore, name: Name, capfd: pytest.CaptureFixture[str]
) -> None:
    binary = b"\xff\0binary\n" + os.urandom(40)
    secrets.secrets.set("BINARY", binary, "staging")
    before = directories()
    with_files, with_variables = name(), name()
    options = ["-d", "-u", "1234:1234", "--name"]
    command = ["sh", "-c", WAITS]
    assert (
        container_image.run(
            busybox_image, command, environment="staging", options=[*options, with_files], secret_files=True
        )
        == 0
    )
    (made,) = directories() - before
    assert made.stat().st_mode & 0o777 == 0o700
    # Another user's program in the container reads them, and nobody writes them.
    cat = subprocess.run(["docker", "exec", with_files, "cat", "/run/secrets/BINARY"], capture_output=True, check=True)
    assert cat.stdout == binary
    write = ["docker", "exec", "-u0", with_files, "sh", "-c", "echo x > /run/secrets/TOKEN"]
    assert subprocess.run(write, capture_output=True, check=False).returncode != 0
    assert lines("docker", "exec", with_files, "ls", "/run/secrets") == ["BINARY", "TOKEN"]
    assert variable(with_files) == ""

    forms = [form for value in (token.encode(), binary) for form in patterns(SecretValue("S", value))]
    assert not any(form in record for record in records(with_files) for form in forms)
    # The same search finds what `docker inspect` has of a variable.
    container_image.run(
        busybox_image, command, environment="staging", only=["TOKEN"], options=[*options, with_variables]
    )
    assert any(form in record for record in records(with_variables) for form in forms)

    # One that is restarted keeps them.
    lines("docker", "restart", "--time", "0", with_files)
    time.sleep(3.5)
    assert lines("docker", "exec", with_files, "cat", "/run/secrets/TOKEN") == [token]
    lines("docker", "kill", with_files)
    assert gone({made})


def records(container: str) -> Iterator[bytes]:
    """All that the engine tells of a container."""
    for command in ("inspect", "diff", "export"):
        yield subprocess.run(["docker", command, container], capture_output=True, check=True).stdout


def test_what_a_killed_run_left_is_removed_by_the_next_one_once_the_container_is_gone(
    busybox_image: str, name: Name
) -> None:
    before, container = directories(), name()
    line = [PROGRAM, "run", "--secret-files", "--env=staging", "--name", container, busybox_image, "sh", "-c", WAITS]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
    (made,) = directories() - before
    assert container_image.run(busybox_image, ["true"], environment="staging", options=["--rm"]) == 0
    assert made.exists()
    lines("docker", "rm", "--force", container)
    # One that is yet to start, as the engine may say of one whose program runs already.
    label = f"container-image.files={made.name.rpartition('-')[2]}"
    lines("docker", "create", "--name", container, "--label", label, busybox_image, "true")
    sweep()
    assert made.exists()
    lines("docker", "rm", "--force", container)
    assert container_image.run(busybox_image, ["true"], environment="staging", options=["--rm"]) == 0
    assert not made.exists()


def test_secret_files_are_refused_where_they_would_not_be_in_memory_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busybox_image: str, capfd: pytest.CaptureFixture[str]
) -> None:
    # A directory on a disk is passed over.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    command = ["sh", "-c", "mount | grep secrets"]
    assert container_image.run(busybox_image, command, environment="staging", options=["--rm"], secret_files=True) == 0
    assert capfd.readouterr().out.startswith("tmpfs on /run/secrets type tmpfs (ro")
    assert list(tmp_path.iterdir()) == []
    for host in ("tcp://192.0.2.1:2376", "ssh://user@192.0.2.1"):
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(
            EngineError, match=f"--secret-files: the engine at {host} can't mount files of this machine"
        ):
            container_image.run(busybox_image, environment="staging", secret_files=True)


def test_without_an_engine_no_secret_file_stays_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busybox_image: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = directories()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    for options in ([], ["-d"], ["--rm", "-i"]):
        assert _run(["run", "--secret-files", "--env=staging", *options, busybox_image, "true"]) == 125
        assert f"{tmp_path}/dead.sock" in capfd.readouterr().err
        assert directories() == before
    assert str(MEMORY / "container-image-run-") not in argument_lists()


def test_without_the_docker_command_run_and_ps_say_so_and_exec_works(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = directories()
    monkeypatch.setenv("PATH", "/no/such/directory")
    for line, status in (
        (["run", "--env=staging", "image"], 125),
        (["run", "--env=staging", "--secret-files", "image"], 125),
        (["run", "--replace", "container"], 125),
        (["ps"], 2),
    ):
        assert _run(line) == status
        shown = capfd.readouterr()
        assert (shown.out, shown.err.count("\n")) == ("", 1)
        assert "there is no `docker` command on the PATH; install Docker" in shown.err
    assert directories() == before
    assert container_image.exec(["/bin/sh", "-c", "echo $TOKEN"], environment="staging") == 0
    with pytest.raises(NotStartedError, match=r"docker: can't be started: No such file"):
        container_image.exec(["docker", "ps"], environment="staging")


def test_without_the_engine_secret_files_stay_as_long_as_the_container_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busybox_image: str, token: str, name: Name
) -> None:
    monkeypatch.setattr("container_image.runtime.watch.PATIENCE", 1)
    before, container = directories(), name()
    with relay(tmp_path / "engine.sock") as host, monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", host)
        options = ["-d", "--name", container]
        command = ["sh", "-c", WAITS]
        assert (
            container_image.run(busybox_image, command, environment="staging", options=options, secret_files=True) == 0
        )
        (made,) = directories() - before
    # Two looks of the process that waits.
    time.sleep(7)
    assert lines("docker", "exec", container, "cat", "/run/secrets/TOKEN") == [token]
    lines("docker", "kill", container)
    assert gone({made})


def test_without_the_engine_what_a_killed_run_left_is_removed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busybox_image: str, name: Name
) -> None:
    monkeypatch.setattr("container_image.runtime.watch.PATIENCE", 1)
    before, container = directories(), name()
    line = [PROGRAM, "run", "--secret-files", "--env=staging", "--name", container, busybox_image, "sh", "-c", WAITS]
    with relay(tmp_path / "engine.sock") as host:
        environment = {**os.environ, "DOCKER_HOST": host}
        with subprocess.Popen(line, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.kill()
        (made,) = directories() - before
    sweep()
    time.sleep(7)
    assert made.exists()
    lines("docker", "kill", container)
    assert gone({made})


def test_every_option_of_docker_run_is_known() -> None:
    told = "\n".join(lines("docker", "run", "--help"))
    listed = re.findall(r"^\s+(?:-(\w), |)--([a-z][a-z0-9-]+)( [a-z]|)", told, re.MULTILINE)
    assert len(listed) > 90
    older = {"dns-opt", "net", "net-alias"}
    theirs = {name: letter for letter, name, _ in listed if name != "help"}
    assert theirs == {name: letter for name, letter in (FLAGS | VALUES).items() if name not in older}
    assert {name for _, name, value in listed if value} == set(VALUES) - older
    # But for --env, this command's own are none of docker's.
    assert set(OWN_VALUES) & set(theirs) == {"env"}
