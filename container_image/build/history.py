"""Removes the builder's record of a build, which replays its log unredacted.

buildx's own state tells which record it is: a file named after the record, in directories named after the builder and
its node, holds the Dockerfile's path. Engine 28.5 crashes when one client lists the records (`buildx history ls`, and
Docker Desktop all the time) while another removes one: BuildKit's `filterHistoryEvents` meets a nil pointer. So nothing
is listed here, and a record stays unless it holds a value, or nothing proves that it holds none.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from container_image.build.client import Client


class LogSearch(Protocol):
    """Searches the log of a build, which the builder's record replays, for secrets' values."""

    def feed(self, stream: str, data: bytes) -> None:
        """Takes the next piece of a stream, such as the output of one step."""

    def is_clean(self) -> bool:
        """Whether the log, which is over, was searched whole and holds no value."""

    def found(self, stream: str) -> set[str]:
        """The names of the secrets that a stream holds."""


def forget(dockerfile: str, client: Client) -> None:
    """Removes the record of every build of the Dockerfile with this unique name; none of them may be running."""
    for file in _references(dockerfile, client):
        with contextlib.suppress(OSError), file.open() as reference:
            # Under a lock, because a record that two processes remove breaks the engine's list too.
            fcntl.flock(reference, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.exists():
                # The engine has no record of a call that only asks (`--call=outline`), and says so.
                client.call("buildx", f"--builder={file.parts[-3]}", "history", "rm", file.name, check=False)
                file.unlink(missing_ok=True)


@contextlib.contextmanager
def asking(dockerfile: str, client: Client) -> Iterator[None]:
    """Removes the files that buildx writes about calls in the context: they only ask, and have no record."""
    before = set(_files(client))
    try:
        yield
    finally:
        for file in set(_files(client)) - before:
            if _names(file, dockerfile):
                file.unlink(missing_ok=True)


def _references(dockerfile: str, client: Client) -> Iterator[Path]:
    """buildx's files about builds of this Dockerfile; each has the name of a record."""
    return (file for file in _files(client) if _names(file, dockerfile))


def _files(client: Client) -> Iterator[Path]:
    config = client.environment.get("DOCKER_CONFIG") or Path.home() / ".docker"
    state = Path(client.environment.get("BUILDX_CONFIG") or Path(config) / "buildx")
    return state.glob("refs/*/*/*")


def _names(file: Path, dockerfile: str) -> bool:
    try:
        return dockerfile in file.read_text(errors="replace")
    except OSError:
        return False
