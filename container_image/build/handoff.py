"""Hands values to BuildKit: as sealed anonymous memory where there is such a thing, else as short-lived files.

A memfd is inherited by the child, which reads it as `/proc/self/fd/N`; no file system ever holds the value. A file is
0600 in a 0700 directory; the next run removes what a killed one left.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from container_image.errors import InvalidInputError

PREFIX = "container-image-"
_LOCK = "lock"
_PR_SET_DUMPABLE = 4
_dumpable_lock = threading.Lock()
_holders = 0


@dataclass(frozen=True, slots=True)
class Handoff:
    """Where each value can be read by the child: a path for each name, and the descriptors that it must inherit."""

    paths: Mapping[str, str]
    descriptors: tuple[int, ...]


@contextlib.contextmanager
def handoff(values: Mapping[str, bytes], tmpdir: Path | None = None) -> Iterator[Handoff]:
    """Makes values readable for a child process while the context lasts. `tmpdir` forces files, in that directory."""
    if tmpdir is None and sys.platform == "linux" and hasattr(os, "memfd_create"):
        with _memory(values) as given:
            yield given
    else:
        with private_directory(tmpdir) as directory:
            paths = {}
            for number, (name, value) in enumerate(values.items()):
                path = directory / str(number)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(value)
                paths[name] = str(path)
            yield Handoff(paths, ())


@contextlib.contextmanager
def _memory(values: Mapping[str, bytes]) -> Iterator[Handoff]:
    descriptors: list[int] = []
    paths: dict[str, str] = {}
    with _not_dumpable():
        try:
            for name, value in values.items():
                descriptor = os.memfd_create("secret", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
                descriptors.append(descriptor)
                view = memoryview(value)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fchmod(descriptor, 0o400)
                seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
                os.lseek(descriptor, 0, os.SEEK_SET)
                paths[name] = f"/proc/self/fd/{descriptor}"
            yield Handoff(paths, tuple(descriptors))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


@contextlib.contextmanager
def _not_dumpable() -> Iterator[None]:
    """While values are held, no other process of this user may read this one's memory or descriptors."""
    global _holders
    prctl = ctypes.CDLL(None).prctl
    with _dumpable_lock:
        _holders += 1
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        yield
    finally:
        with _dumpable_lock:
            _holders -= 1
            if not _holders:
                prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


@contextlib.contextmanager
def private_directory(parent: Path | None = None) -> Iterator[Path]:
    """A directory for this user alone, in memory where there is a file system for that, removed at the end.

    It holds a lock while it is in use, so that `sweep` can tell one that a killed run left.
    """
    base = parent or _memory_directory()
    if not base.is_dir():
        raise InvalidInputError(f"{base}: no such directory for temporary files; make it, or name another")
    if parent is not None:
        sweep(parent)
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    try:
        with (directory / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _memory_directory() -> Path:
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):
        if candidate and Path(candidate).is_dir() and os.access(candidate, os.W_OK | os.X_OK):
            return Path(candidate)
    return Path(tempfile.gettempdir())


def sweep(base: Path | None = None) -> list[str]:
    """Removes the directories of this user that a killed run left; returns the names of the files that were there."""
    base = base or _memory_directory()
    found: list[str] = []
    for directory in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if directory.stat().st_uid != os.getuid():
                continue
            with (directory / _LOCK).open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found += [path.name for path in directory.iterdir()]
                shutil.rmtree(directory, ignore_errors=True)
    return found
