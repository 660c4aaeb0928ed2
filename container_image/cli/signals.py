"""Signals that end the program: each unwinds through every clean-up, as KeyboardInterrupt does. A child gets its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn

from container_image.runtime.process import Waiting

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_TAKEN = frozenset({*_ENDING, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD})


class Interrupted(BaseException):
    """A signal arrived; `status` is the exit code that says so."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


def listen() -> None:
    """From now on, the first of these signals raises `Interrupted`; more of them don't disturb the clean-up."""
    for number in _ENDING:
        # What is ignored stays so: `nohup`, and what a shell runs in the background.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


def forwarding() -> Waiting:
    """Waits for a child, which is sent what this process is sent meanwhile.

    A terminal sends ^C to both, so that is not sent again.
    """
    # With a handler it is no ignored signal, which some systems never deliver.
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
