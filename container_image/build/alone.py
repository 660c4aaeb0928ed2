"""One build at a time, of those whose secrets BuildKit can't tell apart.

Where a mount's id carries no tag, two builds at once are merged, without the cache too: both get what the first one's
value made. So such builds wait for each other, under a lock in the state directory. It holds for one user of one machine;
the sandbox's host name, a keyed tag of the values, keeps what a step made from all other builds: BuildKit takes steps
with another host name for other steps. A frontend need not heed that name, and the build may set its own, so the lock is
needed all the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator

from container_image import private
from container_image.state import state_directory, state_errors

HOSTNAME = "BUILDKIT_SANDBOX_HOSTNAME"
"""The build argument with which a step's host name is set."""


@contextlib.contextmanager
def alone(on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds the lock; calls `on_wait` before it waits for another build."""
    path = state_directory("locks") / "untagged-secrets"
    with state_errors():
        lock = private.open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def hostname(tagged: Iterable[str]) -> str:
    """A host name that tells the values, for the holder of the key only, by the tagged ids of the secrets."""
    return hashlib.sha256("\0".join(sorted(tagged)).encode()).hexdigest()[:32]
