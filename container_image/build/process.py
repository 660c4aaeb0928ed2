"""A `docker` command in a process group of its own, which ends whole, and with this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from container_image.build.client import Client
from container_image.build.leftovers import SETTLE, group_lives

_GRACE = 5.0
# Started by a process that is killed, a build would go on by itself: the kernel interrupts it then (prctl(2),
# PR_SET_PDEATHSIG), unless its parent was gone before it could ask for that.
_GUARD = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGINT)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


@contextlib.contextmanager
def process(
    client: Client, arguments: Sequence[str], descriptors: tuple[int, ...]
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the command; it ends with the context."""
    command = client.command(*arguments)
    # In a program that has Python inside (a frozen one, a web server), this is that program.
    if sys.platform == "linux" and Path(sys.executable or "").name.startswith(("python", "pypy")):
        command = [sys.executable, "-ISc", _GUARD, str(os.getpid()), *command]
    started = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=dict(client.environment), pass_fds=(*descriptors, *client.descriptors), start_new_session=True,
    )  # fmt: skip
    try:
        yield started
    finally:
        _stop(started)


def _stop(started: subprocess.Popen[bytes]) -> None:
    """Ends the whole group, buildx included: it is asked first, so that the engine cancels the build."""
    if started.poll() is None or group_lives(started.pid):
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, number)
            deadline = time.monotonic() + _GRACE
            while time.monotonic() < deadline and (started.poll() is None or group_lives(started.pid)):
                time.sleep(0.05)
        time.sleep(SETTLE)
    started.wait()
    if started.stderr is not None:
        started.stderr.close()
