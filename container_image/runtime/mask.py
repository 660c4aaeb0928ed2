"""Masks values in a stream that somebody watches: nothing of a value is shown, and nothing else waits for long."""

from __future__ import annotations

import itertools
import os
import selectors
import signal
import threading
from typing import IO

from container_image.build.redact import Redactor

_IDLE = 0.1
"""Seconds without output after which the end of a prompt is shown, even if it may be the beginning of a value."""

_MOST_EARLY = 3
"""Bytes that may be shown then. More than that are more likely a part of a value than not."""

_CHUNK = 64 * 1024


class MaskedStream:
    """One stream through a redactor of its own.

    The redactor holds back an end that may be a part of a value. `idle`, called when nothing has followed for a while,
    shows up to 3 bytes of it all the same: the newline of a line, or the end of a prompt. Should they be a value's, the
    rest of the value is masked.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._early = b""
        self._waits = False

    def feed(self, data: bytes) -> bytes:
        """Takes more output, and gives what can be shown now."""
        self._waits = True
        return self._without_early(self._redactor.feed(self, data))

    def idle(self) -> bytes:
        """Gives what can be shown when nothing has come for a while."""
        self._waits = False
        shown = self._without_early(self._redactor.settle(self))
        held, unsure = self._redactor.held(self)
        if unsure <= _MOST_EARLY:
            shown += held[_common(held, self._early) :]
            self._early = held
        return shown

    def end(self) -> bytes:
        """Gives what is left when the stream is over."""
        return self._without_early(self._redactor.flush(self))

    @property
    def waits(self) -> bool:
        """Whether `idle` may show something."""
        return self._waits

    def _without_early(self, shown: bytes) -> bytes:
        """Leaves out what was shown early, as far as no mask took its place."""
        common = _common(shown, self._early)
        self._early = self._early[common:] if common == len(shown) else b""
        return shown[common:]


def _common(left: bytes, right: bytes) -> int:
    """How many first bytes are the same."""
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    return sum(1 for _ in same)


def pump(source: IO[bytes], target: int, redactor: Redactor) -> threading.Thread:
    """Starts a thread that copies a pipe to a descriptor, masked, until the pipe ends or nobody reads any more."""

    def copy() -> None:
        stream = MaskedStream(redactor)
        with source, selectors.DefaultSelector() as ready:
            ready.register(source, selectors.EVENT_READ)
            try:
                while True:
                    if stream.waits and not ready.select(_IDLE):
                        _write(target, stream.idle())
                    data = os.read(source.fileno(), _CHUNK)
                    if not data:
                        break
                    _write(target, stream.feed(data))
                _write(target, stream.end())
            except OSError:
                # Nobody reads: closing the pipe tells the child, as it would have been told without us.
                return

    thread = threading.Thread(target=copy, daemon=True)
    # Signals are for the thread that waits for the child: a new thread has the mask of the one that starts it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread


def _write(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
