"""Signals that end the program: each unwinds through every clean-up, as KeyboardInterrupt does."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


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
