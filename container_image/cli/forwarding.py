"""Signals while a child runs: it gets those that this process gets."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from container_image.cli.signals import ENDING
from container_image.runtime.process import Waiting

_TAKEN = frozenset({*ENDING, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD})


def forwarding() -> Waiting:
    """Waits for a child, and sends it the signals that this process is sent meanwhile.

    A terminal sends ^C to both, so that is not sent again.
    """
    # Some systems never deliver an ignored signal, and without a handler SIGCHLD is one.
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return Waiting(_wait, _TAKEN)


def _wait(child: subprocess.Popen[bytes]) -> int:
    while (status := child.poll()) is None:
        number, sent_to_both = _next()
        if number != signal.SIGCHLD and not sent_to_both:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)
    return status


def _next() -> tuple[int, bool]:
    """The next signal, and whether a terminal sent it, to this process and its child."""
    if sys.platform == "linux":
        told = signal.sigwaitinfo(_TAKEN)
        # Above zero, the kernel sent it (sigaction(2), SI_KERNEL).
        return told.si_signo, told.si_code > 0
    number = signal.sigwait(_TAKEN)
    try:
        foreground = os.tcgetpgrp(sys.__stdin__.fileno()) == os.getpgrp() if sys.__stdin__ else False
    except OSError:
        foreground = False
    return number, foreground and number in (signal.SIGINT, signal.SIGQUIT)
