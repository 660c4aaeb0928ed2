"""Hands values to a child process: as sealed anonymous memory where there is such a thing, else as short-lived files.

A memfd is inherited by the child, which reads it as `/proc/self/fd/N`; no file system ever holds the value. A file is
0600 in a 0700 directory.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HAS_MEMORY = sys.platform == "linux" and hasattr(os, "memfd_create")
"""Whether this system has anonymous memory that a child process can open."""

_PR_SET_DUMPABLE = 4
_dumpable_lock = threading.Lock()
_holders = 0


@dataclass(frozen=True, slots=True)
class Handoff:
    """Where each value can be read by the child: a path for each name, and the descriptors that it must inherit."""

    paths: Mapping[str, str]
    descriptors: tuple[int, ...]


@contextlib.contextmanager
def handoff(values: Mapping[str, bytes], directory: Path | None) -> Iterator[Handoff]:
    """Makes values readable for a child process while the context lasts: in memory, or as files in `directory`."""
    if directory is None:
        with _memory(values) as given:
            yield given
        return
    paths: dict[str, str] = {}
    try:
        for name, value in values.items():
            path = directory / os.urandom(8).hex()
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            paths[name] = str(path)
            with os.fdopen(descriptor, "wb") as file:
                file.write(value)
        yield Handoff(paths, ())
    finally:
        for path_name in paths.values():
            Path(path_name).unlink(missing_ok=True)


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
