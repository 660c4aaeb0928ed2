"""Child processes: in this one's place, or beside it with their output masked."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from container_image.build.redact import Redactor
from container_image.errors import NotStartedError
from container_image.runtime.mask import pump

Child = subprocess.Popen[bytes]

Wait = Callable[[Child], int]
"""Waits for a child, and gives its status as `Popen.wait` does."""


def become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Puts a program in this process's place: terminal, signals and exit status are its own.

    Raises:
        NotStartedError: it can't be started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores them, and what is ignored stays so in the program.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], list(command), dict(environment))
    except (OSError, ValueError) as error:
        raise _not_started(command[0], error) from None


def run_beside(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    redactor: Redactor | None = None,
    wait: Wait = subprocess.Popen.wait,
    directory: str | None = None,
) -> int:
    """Runs a program on this process's stdin, stdout and stderr, the last two through the redactor if there is one.

    Returns its exit status, 128 and the signal's number where one ended it.

    Raises:
        NotStartedError: it can't be started.
    """
    pipe = None if redactor is None else subprocess.PIPE
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        child = subprocess.Popen(command, env=dict(environment), stdout=pipe, stderr=pipe, cwd=directory)
    except (OSError, ValueError) as error:
        raise _not_started(command[0], error) from None
    pumps = []
    try:
        if redactor is not None and child.stdout is not None and child.stderr is not None:
            pumps = [pump(child.stdout, 1, redactor), pump(child.stderr, 2, redactor)]
        status = wait(child)
        for thread in pumps:
            thread.join()
    except BaseException:
        # The child has a terminal's signal too; what it does about it is over before this process goes on.
        if child.poll() is None:
            child.terminate()
            child.wait()
        raise
    return status if status >= 0 else 128 - status


def _not_started(program: str, error: OSError | ValueError) -> NotStartedError:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.E2BIG:
        return NotStartedError(
            "the secrets, with the other variables, are larger than a process's environment can be; choose some with --only",
            126,
        )
    reason = error.strerror if isinstance(error, OSError) else "it holds a NUL byte"
    return NotStartedError(
        f"{program}: can't be started: {reason}", 127 if number in (errno.ENOENT, errno.ENOTDIR) else 126
    )
