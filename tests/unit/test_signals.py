"""Signals, from the program's first moment to its last: one line, an exit code, and what is certainly undone."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from container_image import SecretStore
from tests.images import Builder

PROGRAM = [sys.executable, "-m", "container_image"]
TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"


@pytest.fixture
def archive(tmp_path: Path) -> str:
    image = Builder()
    return image.archive(image.manifest([{"file": b"nothing"}]), tmp_path / "image.tar")


@pytest.mark.parametrize("imports", [1, 2, 5, 10, 20, 40, 80, 160, 240, 320, 400, 450, 500, 550, 600])
def test_a_signal_at_any_moment_shows_no_traceback(imports: int, archive: str) -> None:
    # Python tells of each import when it is over: moments are counted in imports, however fast the machine is.
    command = [sys.executable, "-X", "importtime", "-m", "container_image", "audit", archive, "--secret", "id=TOKEN"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TOKEN": TOKEN}
    ) as process:
        assert process.stderr is not None
        # The program's handler is in place when the next module after itself is imported.
        while not process.stderr.readline().endswith(" container_image\n"):
            assert process.poll() is None
        told = [process.stderr.readline() for _ in range(imports)]
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate()
    said = [line for line in [*told, *rest.splitlines()] if line.strip() and not line.startswith("import time:")]
    if process.returncode == 130:
        assert [line.partition(";")[0] for line in said] == ["container-image: interrupted"]
    else:
        # The audit was over.
        assert process.returncode in (0, -signal.SIGINT)
        assert (said, out[:6]) == ([], "clean:")


def test_an_interruption_in_a_finalizer_is_not_lost() -> None:
    script = (
        "import os, signal, time\n"
        "from container_image.cli.signals import Interrupted, listen\n"
        "class Finalized:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(0)\n"
        "listen()\n"
        "try:\n"
        "    Finalized()\n"
        "    time.sleep(600)\n"
        "except Interrupted as error:\n"
        "    print(error.status)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("143\n", "")


def test_a_second_signal_does_not_disturb_the_clean_up() -> None:
    script = (
        "import os, signal\n"
        "from container_image.cli.signals import Interrupted, listen\n"
        # Whoever runs the tests under nohup ignores it.
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "listen()\n"
        "try:\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "except Interrupted as error:\n"
        "    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):\n"
        "        signal.raise_signal(number)\n"
        "    print(error.status)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("129\n", "")


def test_a_signal_waits_for_what_is_being_written() -> None:
    script = (
        "import signal\n"
        "from container_image.cli.signals import Interrupted, held, listen\n"
        "listen()\n"
        "try:\n"
        "    with held():\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        print('written')\n"
        "    print('not reached')\n"
        "except Interrupted as error:\n"
        "    print(error.status)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("written\n143\n", "")


def interrupted_at(question: str, *arguments: str) -> tuple[int, str]:
    """Runs the program on a terminal, types ^C when it asks; its exit code, and all that was shown."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-m", "container_image", *arguments])
    shown = ""
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        asked = question in shown
        shown += data.decode()
        if question in shown and not asked:
            os.write(terminal, b"\x03")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown


def test_an_interrupted_question_says_what_was_not_done() -> None:
    status, shown = interrupted_at("Value of TOKEN: ", "secrets", "set", "TOKEN", "--color=never")
    assert (status, shown.splitlines()[-1]) == (130, "container-image: interrupted; nothing was set")
    SecretStore.open().environments.create("staging")
    status, shown = interrupted_at("Type its name: ", "environments", "delete", "staging", "--color=never")
    assert (status, shown.splitlines()[-1]) == (130, "container-image: interrupted; nothing was deleted")
    assert "staging" in [item.name for item in SecretStore.open().environments.list()]


def test_an_interrupted_audit_promises_nothing(archive: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [*PROGRAM, "audit", archive, "--secret", f"id=TOKEN,src={pipe}"]
    # The pipe opens when the audit reads the secret.
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        pipe.open("wb"),
    ):
        process.send_signal(signal.SIGINT)
        out, said = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert said == "container-image: interrupted; the audit is not over, so nothing is known about the image\n"
