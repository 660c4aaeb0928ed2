"""Masks values in a stream that somebody watches: nothing of a value is shown, and nothing else waits for long."""

from __future__ import annotations

import os
import selectors
import signal
import threading
from typing import IO

from container_image.build.redact import HEAD, Redactor

_IDLE = 0.1
"""Seconds without output after which a prompt that happens to end as a value begins is shown."""

_CHUNK = 64 * 1024


class MaskedStream:
    """One stream through a redactor of its own.

    An end that may be the beginning of a value is held back. While nothing follows, `idle` shows one of fewer than 4
    bytes all the same, such as the newline of a line, or a prompt; should it be a value's, the rest of that is masked.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._early = b""

    def feed(self, data: bytes) -> bytes:
        """What can be shown now."""
        return self._less_early(self._redactor.feed(self, data), self._redactor.held(self))

    def idle(self) -> bytes:
        """What can be shown when nothing has come for a while."""
        held = self._redactor.held(self)
        if len(held) >= HEAD:
            return b""
        shown, self._early = held[len(self._early) :], held
        return shown

    def end(self) -> bytes:
        """What is left when the stream is over."""
        return self._less_early(self._redactor.flush(self), b"")

    @property
    def waits(self) -> bool:
        """Whether `idle` would show anything."""
        return len(self._early) < len(self._redactor.held(self)) < HEAD

    def _less_early(self, shown: bytes, held: bytes) -> bytes:
        """What was shown early is the beginning of `shown` and `held`, unless a mask took its place."""
        common = 0
        while common < len(self._early) and shown[common : common + 1] == self._early[common : common + 1]:
            common += 1
        rest = self._early[common:]
        self._early = rest if common == len(shown) and held.startswith(rest) else b""
        return shown[common:]


def pump(source: IO[bytes], target: int, redactor: Redactor) -> threading.Thread:
    """A thread, started, that copies a pipe to a descriptor, masked, until the pipe is over or nobody reads any more."""

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
