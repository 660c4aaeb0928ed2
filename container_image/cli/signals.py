"""Signals that end the program. Each unwinds through every clean-up, as KeyboardInterrupt does."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_RETRY = 0.02


class Interrupted(BaseException):
    """A signal arrived. `status` is the exit code that says so.

    `outcome` is what the command left done or undone, where it knows; the command sets it.
    """

    outcome: str | None = None

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.status = 128 + number

    def __str__(self) -> str:
        return "interrupted" + (f"; {self.outcome}" if self.outcome else "")


@contextlib.contextmanager
def undone(outcome: str) -> Iterator[None]:
    """Adds to an interruption what it leaves undone; for questions, behind which the terminal's cursor stands."""
    try:
        yield
    except Interrupted as error:
        error.outcome = outcome
        sys.stderr.write("\n")
        raise


def listen() -> None:
    """From now on, the first of the ending signals raises `Interrupted`; later ones don't disturb the clean-up."""
    global _handler
    sys.unraisablehook = _raise_again
    _handler = _Handler()
    for number in ENDING:
        # An ignored signal stays ignored, as `nohup` and background jobs of a shell want it.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handler)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Holds signals back until the context ends: a line that is interrupted while it is written may be written twice."""
    handler = _handler
    handler.held = True
    try:
        yield
    finally:
        handler.held = False
        if handler.waiting is not None:
            number, handler.waiting = handler.waiting, None
            handler.take(number)


def stop_listening() -> None:
    """From now on, each of the signals that were listened to ends the program at once: there is nothing to clean up."""
    # Python complains on stderr of a signal that arrives while its handler is being replaced.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    for number in ENDING:
        if isinstance(signal.getsignal(number), _Handler):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


class _Handler:
    """Raises `Interrupted` for the first signal. It stays in place, and takes the others too.

    (Python complains on stderr of a signal that arrives before SIG_IGN is in the handler's place.)
    """

    taken = False
    held = False
    waiting: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self.held:
            self.waiting = self.waiting or number
        else:
            self.take(number)

    def take(self, number: int) -> None:
        """Raises, the first time."""
        if not self.taken:
            self.taken = True
            raise Interrupted(number)


_handler = _Handler()


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Raises `Interrupted` anew where it was raised in a place that exceptions don't leave, such as a finalizer.

    A moment later, because such a place calls this function, and exceptions don't leave that either.
    """
    error = unraisable.exc_value
    if not isinstance(error, Interrupted):
        sys.__unraisablehook__(unraisable)
        return
    number = error.number
    signal.signal(signal.SIGALRM, lambda *_: _raise(number))
    signal.setitimer(signal.ITIMER_REAL, _RETRY)


def _raise(number: int) -> NoReturn:
    raise Interrupted(number)
