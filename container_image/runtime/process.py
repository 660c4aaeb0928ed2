"""Child processes: in this one's place, or beside it with their output masked."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from container_image.build.redact import Redactor
from container_image.errors import NotStartedError
from container_image.runtime.mask import pump
from container_image.shown import shown

Child = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a child is waited for. `wait` gives its status as `Popen.wait` does.

    `signals` are those that `wait` takes: blocked in this thread from before there is a child, and not in the child.
    """

    wait: Callable[[Child], int] = subprocess.Popen.wait
    signals: frozenset[int] = frozenset()


def become(command: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Puts a program in this process's place: terminal, signals and exit status are its own.

    Raises:
        NotStartedError: it can't be started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # Python ignores them, and what is ignored stays so in the program.
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
    try:
        os.execvpe(command[0], list(command), dict(environment))
    except (OSError, ValueError) as error:
        raise _not_started(command[0], error) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_beside(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    redactor: Redactor | None = None,
    waiting: Waiting = Waiting(),
) -> int:
    """Runs a program on this process's stdin, stdout and stderr, the last two through the redactor if there is one.

    Returns its exit status, 128 and the signal's number where one ended it.

    Raises:
        NotStartedError: it can't be started.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, waiting.signals)
    try:
        child = _start(command, environment, mask if waiting.signals else None, piped=redactor is not None)
        try:
            pumps = [] if redactor is None else _pumps(child, redactor)
            status = waiting.wait(child)
            # What is left to be copied may take as long as a grandchild lives, and can be interrupted.
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for thread in pumps:
                thread.join()
        except BaseException:
            # The child has a terminal's signal too; what it does about it is over before this process goes on.
            if child.poll() is None:
                child.terminate()
                child.wait()
            raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return status if status >= 0 else 128 - status


def _start(
    command: Sequence[str], environment: Mapping[str, str], mask: set[int | signal.Signals] | None, *, piped: bool
) -> Child:
    pipe = subprocess.PIPE if piped else None
    # Only a program that takes signals itself, and has no threads that this could disturb, asks for a mask.
    unblock = None if mask is None else partial(signal.pthread_sigmask, signal.SIG_SETMASK, mask)
    try:
        return subprocess.Popen(command, env=dict(environment), stdout=pipe, stderr=pipe, preexec_fn=unblock)
    except (OSError, ValueError) as error:
        raise _not_started(command[0], error) from None


def _pumps(child: Child, redactor: Redactor) -> list[threading.Thread]:
    pipes = ((child.stdout, 1), (child.stderr, 2))
    return [pump(source, target, redactor) for source, target in pipes if source is not None]


def _not_started(program: str, error: OSError | ValueError) -> NotStartedError:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.E2BIG:
        return NotStartedError(
            "the secrets, with the other variables, are larger than a process's environment can be; choose some with --only",
            126,
        )
    reason = error.strerror if isinstance(error, OSError) else "it holds a NUL byte"
    return NotStartedError(
        f"{shown(program)}: can't be started: {reason}", 127 if number in (errno.ENOENT, errno.ENOTDIR) else 126
    )
