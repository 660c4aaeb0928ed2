"""Local processes with secrets: what they get and what they don't, their signals and exit codes, their masked output."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import container_image
from container_image import InvalidInputError, NotStartedError, SecretStore, UnknownEnvironmentError, UnknownSecretError
from container_image.cli import _run

PROGRAM = str(Path(sys.executable).with_name("container-image"))
PEM = b"-----BEGIN THING-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END THING-----\n"


@pytest.fixture(autouse=True)
def secrets(token: str) -> SecretStore:
    """TOKEN and a multi-line one, exposed; DEEP, which is not."""
    store = SecretStore.open()
    store.environments.create("staging")
    store.secrets.set_all({"TOKEN": token, "PEM": PEM}, "staging")
    store.secrets.set("DEEP", "deep-" + token, "staging", default_exposed=False)
    return store


def printed(capfd: pytest.CaptureFixture[str], script: str, **options: object) -> str:
    assert container_image.exec(["sh", "-c", script], environment="staging", **options) == 0  # type: ignore[arg-type]
    return capfd.readouterr().out


def test_exposed_secrets_are_variables_and_only_reaches_the_others(
    capfd: pytest.CaptureFixture[str], token: str, secrets: SecretStore
) -> None:
    shown = printed(capfd, 'printf "%s|%s|%s|%s" "$TOKEN" "$PEM" "$DEEP" "$CONTAINER_IMAGE_ENVIRONMENT"')
    assert shown == f"{token}|{PEM.decode()}||staging"
    assert printed(capfd, 'echo "$TOKEN|$DEEP"', only=["DEEP"]) == f"|deep-{token}\n"
    used = [(item.action, item.name, item.version, item.image) for item in secrets.log.list("staging", limit=3)]
    assert sorted(used) == [("exec", "DEEP", 1, "sh"), ("exec", "PEM", 1, "sh"), ("exec", "TOKEN", 1, "sh")]
    with pytest.raises(UnknownSecretError):
        container_image.exec(["true"], environment="staging", only=["GONE"])
    with pytest.raises(UnknownEnvironmentError):
        container_image.exec(["true"], environment="stagin")


def test_neither_key_nor_address_of_the_store_reaches_a_child(
    state: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", (state / "config" / "container-image" / "store.key").read_text().strip())
    monkeypatch.setenv("CONTAINER_IMAGE_STORE", f"sqlite:///{state}/data/container-image/store.db")
    monkeypatch.setenv("CONTAINER_IMAGE_BUILD_KEY", "0123456789abcdef")
    for mask in ([], ["--mask"]):
        script = "env; grep SigIgn /proc/self/status"
        line = [PROGRAM, "exec", "--env=staging", *mask, "--", "sh", "-c", script]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        names = {line.partition("=")[0] for line in done.stdout.splitlines()}
        assert {"TOKEN", "PATH"} <= names
        assert {name for name in names if name.startswith("CONTAINER_IMAGE_")} == {"CONTAINER_IMAGE_ENVIRONMENT"}
        assert (token in done.stdout, "TOKEN=[TOKEN]" in done.stdout) == (not mask, bool(mask))
        assert done.stderr == ""
        # Nor do the signals that Python ignores stay ignored.
        ignored = int(done.stdout.split()[-1], 16)
        assert not any(ignored >> (number - 1) & 1 for number in (signal.SIGPIPE, signal.SIGXFSZ))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PATH", b"/x", "can't take the place of PATH"),
        ("LD_PRELOAD", b"/x", "can't take the place of PATH, LD_"),
        ("DYLD_INSERT_LIBRARIES", b"/x", "can't take the place of PATH, LD_"),
        ("CONTAINER_IMAGE_ENVIRONMENT", b"main", "are not for secrets"),
        ("CONTAINER_IMAGE_KEY", b"main", "are not for secrets"),
        ("NUL", b"hunter2\0", "'NUL': it has a NUL byte"),
        ("LARGE", b"hunter2" * 20_000, "'LARGE': an environment variable has 131,072 bytes at most"),
    ],
)
def test_what_cannot_be_a_variable_is_refused_by_name(
    name: str, value: bytes, message: str, secrets: SecretStore
) -> None:
    secrets.secrets.set(name, value, "main")
    with pytest.raises(InvalidInputError) as error:
        container_image.exec(["true"], environment="main")
    assert message in str(error.value)
    assert "hunter2" not in str(error.value)


def test_the_largest_value_that_can_be_a_variable_is_one(
    capfd: pytest.CaptureFixture[str], secrets: SecretStore
) -> None:
    secrets.secrets.set("L", b"x" * (128 * 1024 - 3), "main")
    assert container_image.exec(["sh", "-c", "echo ${#L}"]) == 0
    assert capfd.readouterr().out == "131069\n"


def test_an_import_of_everything_leaves_python_s_own_exec() -> None:
    names: dict[str, object] = {}
    exec("from container_image import *", names)
    assert (names["run"], names.get("exec")) == (container_image.run, None)


def test_the_exit_status_is_the_childs() -> None:
    assert container_image.exec(["sh", "-c", "exit 3"], environment="staging") == 3
    assert container_image.exec(["sh", "-c", "kill -KILL $$"], environment="staging", mask=True) == 137
    for program, status in (("no-such-program", 127), ("/etc/passwd", 126), ("a\0b", 126)):
        with pytest.raises(NotStartedError) as error:
            container_image.exec([program], environment="staging")
        assert error.value.status == status


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--env=staging", "--", "no-such-program"], 127),
        (["--env=staging", "--mask", "--", "no-such-program"], 127),
        (["--env=staging", "/etc/passwd"], 126),
        (["--env=gone", "true"], 125),
        (["--env=TOKEN=hunter2", "true"], 125),
        (["--only=TOKEN=hunter2", "true"], 125),
        (["--no-such-option", "true"], 125),
        ([], 125),
    ],
)
def test_what_fails_before_there_is_a_child_has_docker_s_codes(
    arguments: list[str], status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _run(["exec", *arguments]) == status
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err
    assert "hunter2" not in shown.err


@pytest.mark.parametrize(
    ("mask", "number"),
    [([], signal.SIGTERM), (["--mask"], signal.SIGINT), (["--mask"], signal.SIGUSR1)],
)
def test_signals_reach_the_child_and_its_status_is_ours(mask: list[str], number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo {name}; exit 7' {name}; echo ready; while :; do sleep 0.05; done"
    with started("exec", "--env=staging", *mask, "--", "sh", "-c", script) as child:
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(number)
        assert child.stdout.read() == f"{name}\n".encode()
        assert child.wait() == 7


def test_a_terminal_s_interrupt_comes_once() -> None:
    script = "trap 'echo INT' INT; echo ready; read x; echo $x"
    process, terminal = pty.fork()
    if process == 0:
        os.execv(PROGRAM, [PROGRAM, "exec", "--env=staging", "--mask", "--", "bash", "-c", script])
    shown = until(terminal, b"ready\r\n")
    os.write(terminal, b"\x03")
    shown += until(terminal, b"INT\r\n")
    time.sleep(0.3)
    os.write(terminal, b"over\n")
    shown += until(terminal, b"over\r\nover\r\n")
    assert shown.count(b"INT") == 1
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    os.close(terminal)


def test_masked_output_is_shown_as_it_comes_and_stdin_is_the_child_s(token: str, secrets: SecretStore) -> None:
    # The prompt ends as a secret of the store begins.
    secrets.secrets.set("ODD", "e: sUp3rs3cr3t", "staging")
    script = 'echo line; printf "Name: "; read x; echo "$x $TOKEN" | rev; echo "$TOKEN" | base64 >&2; echo "$PEM"'
    with started("exec", "--env=staging", "--mask", "--", "sh", "-c", script) as child:
        assert child.stdout.readline() == b"line\n"
        assert child.stdout.read(3) == b"Nam"
        assert child.stdout.read(3) == b"e: "
        child.stdin.write(b"abc\n")
        child.stdin.close()
        out, err = child.stdout.read(), child.stderr.read()
        assert child.wait() == 0
    assert out == b"[TOKEN] cba\n[PEM]\n\n"
    assert err.startswith(b"[TOKEN]")
    assert token.encode() not in out + err


@pytest.mark.parametrize(
    ("program", "shown"),
    [
        # The output ends inside the value.
        ("write(TOKEN[:-1])", "[TOKEN]"),
        ("write('x ' + TOKEN[:len(TOKEN) // 2])", "x [TOKEN]"),
        ("write(TOKEN + TOKEN[:15] + chr(10))", "[TOKEN][TOKEN]\n"),
        ("write(TOKEN[3:20] + '|' + TOKEN[8:] + chr(10))", "[TOKEN]|[TOKEN]\n"),
        ("write(base64.b64encode(TOKEN.encode()).decode()[:-4].rstrip('='))", "[TOKEN]"),
        ("write('https://hooks.example.com/services/another')", "https://hooks.example.com/services/another"),
    ],
)
def test_a_part_of_a_value_is_masked(secrets: SecretStore, program: str, shown: str) -> None:
    secrets.secrets.set("HOOK", "https://hooks.example.com/services/T0QX81/XKq3zPw81LmN0aBcD4eF5gHi", "staging")
    prelude = "import base64, os, sys; write = sys.stdout.write; TOKEN = os.environ['TOKEN']; "
    line = [PROGRAM, "exec", "--env=staging", "--mask", "--", sys.executable, "-c", prelude + program]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (shown, "")


def test_a_value_in_pieces_with_pauses_shows_three_bytes_at_most(token: str) -> None:
    program = """
import os, time
token = os.environ["TOKEN"].encode()
for at in range(0, len(token) - 1, 9):
    os.write(1, token[at : min(at + 9, len(token) - 1)])
    time.sleep(0.4)
"""
    line = [PROGRAM, "exec", "--env=staging", "--mask", "--", sys.executable, "-c", program]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout in {token[:early] + "[TOKEN]" for early in range(4)}


def test_what_is_too_short_to_be_masked_is_told(secrets: SecretStore, capfd: pytest.CaptureFixture[str]) -> None:
    secrets.secrets.set("PIN", "123", "staging")
    assert _run(["exec", "--env=staging", "--mask", "true"]) == 0
    assert capfd.readouterr().err == "container-image: too short to be masked: PIN\n"


def test_an_environment_that_exposes_nothing_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert _run(["exec", "--mask", "--", "true"]) == 0
    assert "the environment 'main' exposes no secret, so none is given" in capfd.readouterr().err


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program, on pipes; it is over at the end."""
    with subprocess.Popen(
        [PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(terminal: int, end: bytes) -> bytes:
    """What is shown on a terminal, up to and with some text."""
    shown = b""
    while not shown.endswith(end):
        data = os.read(terminal, 1000)
        assert data, shown
        shown += data
    return shown
