"""What a build leaves on the machine and in the engine while it runs: written down first, so that it is removed whatever happens.

A run that ends removes its own; one that was killed has its removed by the next run, which finds what it wrote down in
the state directory, under a lock that died with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from container_image import private
from container_image.build.client import Client
from container_image.build.history import forget
from container_image.errors import EngineError
from container_image.state import inherited, state_directory, state_errors

# What chooses an engine and a builder. The image and the record of a killed run are where it ran.
_CHOOSES = (
    "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION",
    "BUILDX_CONFIG", "BUILDX_BUILDER",
)  # fmt: skip
_PATIENCE = 10.0
SETTLE = 0.5
"""Seconds in which the engine writes the record of a build that was cancelled: removed before that, it breaks the list."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """A run's image in quarantine, the unique name of its Dockerfile, its directories, and the engine it ran on.

    `dockerfile` is None unless the builder has a record that is to go. `process` is the group that builds, once there is
    one.
    """

    image: str
    dockerfile: str | None
    directories: tuple[str, ...]
    engine: dict[str, str]
    context: str | None
    process: int | None = None


class Journal:
    """What one run has written down, in a file that it keeps locked."""

    def __init__(self, leftovers: Leftovers, path: Path, file: IO[str]) -> None:
        self.leftovers = leftovers
        self._path = path
        self._file = file
        self._write()

    def started(self, process: int) -> None:
        """Adds the process group that builds now."""
        self.leftovers = replace(self.leftovers, process=process)
        self._write()

    def recorded(self, dockerfile: str | None) -> None:
        """Notes that the builder makes a record, which goes unless it is proved clean; None when that is decided."""
        self.leftovers = replace(self.leftovers, dockerfile=dockerfile)
        self._write()

    def close(self) -> None:
        """Nothing is left."""
        self._path.unlink(missing_ok=True)
        self._file.close()

    def _write(self) -> None:
        self._file.seek(0)
        self._file.write(json.dumps(asdict(self.leftovers)))
        self._file.truncate()
        self._file.flush()


@contextlib.contextmanager
def journal(name: str, image: str, directories: tuple[Path, ...], client: Client) -> Iterator[Journal]:
    """Writes down what the run of that name will leave, and removes it in the end, with what killed runs left."""
    _sweep()
    engine = {key: client.environment[key] for key in _CHOOSES if key in client.environment}
    leftovers = Leftovers(image, None, tuple(map(str, directories)), engine, client.context)
    path = state_directory("runs") / f"{name}.json"
    with state_errors():
        descriptor = private.open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = Journal(leftovers, path, file)
        try:
            yield kept
        finally:
            _remove(kept.leftovers, client)
            kept.close()


def _sweep() -> None:
    """Removes what killed runs left. An entry whose lock is held belongs to a run that goes on.

    Raises:
        InvalidInputError: an entry is another user's: it may name any directory, and must not be followed.
    """
    for path in state_directory("runs").glob("*.json"):
        with state_errors(), contextlib.suppress(FileNotFoundError):
            descriptor = private.open_file(path, os.O_RDWR)
            with os.fdopen(descriptor, encoding="utf-8") as file:
                _sweep_entry(path, file)


def _sweep_entry(path: Path, file: IO[str]) -> None:
    with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another run may have swept it between the listing and the lock.
        if not path.exists():
            return
        fields = json.load(file)
        leftovers = Leftovers(**{**fields, "directories": tuple(fields["directories"])})
        if leftovers.process is not None:
            # What is being built can't be removed; a record that is, while its build goes on, breaks the engine's list.
            _outlive(leftovers.process)
        _remove(leftovers, Client({**without_choice(), **leftovers.engine}, leftovers.context))
        path.unlink(missing_ok=True)


def without_choice() -> dict[str, str]:
    """The variables that a child of this process gets, but for those that choose an engine or a builder."""
    return inherited(_CHOOSES)


def _outlive(group: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and group_lives(group):
        time.sleep(0.05)
    time.sleep(SETTLE)


def group_lives(group: int) -> bool:
    """Whether a process group has a member."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _remove(leftovers: Leftovers, client: Client) -> None:
    with contextlib.suppress(EngineError):
        if leftovers.dockerfile is not None:
            forget(leftovers.dockerfile, client)
        # Also the image, where no other name holds it: after a leak, nothing of it stays under any name.
        client.call("image", "rm", "--force", leftovers.image, check=False)
    for directory in leftovers.directories:
        shutil.rmtree(directory, ignore_errors=True)
