"""The console script: it minds signals before it imports the rest, which takes a while."""

from __future__ import annotations

import contextlib
import os
import signal


def main() -> None:
    """Runs the command line and exits."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # What is ignored stays so: `nohup`, and what a shell runs in the background.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from container_image.cli import main as run

    run()


def _end(number: int, _frame: object) -> None:
    """Nothing has begun, so there is nothing to clean up."""
    with contextlib.suppress(OSError):
        os.write(2, b"container-image: interrupted; nothing was tagged\n")
    os._exit(128 + number)
