"""Secrets as files for one container: on the host's tmpfs, for this user alone, and gone when the container is.

BASE/container-image-run-ID/        0700: nobody else on the host gets past it; its lock says that somebody sees to it
├── engine                          which engine the container is on
├── container                       its ID, once it is made
└── files/                          what is mounted: read-only, and readable for any user in the container
    └── NAME
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from container_image.build.client import Client
from container_image.build.leftovers import without_choice
from container_image.errors import ContainerImageError, EngineError, OutputError
from container_image.oci.endpoint import engine_host
from container_image.runtime.watch import CONTAINER, watch
from container_image.secrets import SecretValue

TARGET = "/run/secrets"
LABEL = "container-image.files"
"""The label with the ID of the container's directory."""

_PREFIX = "container-image-run-"
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """The files of a container: what `docker run` is told of them.

    `tracked` is false where docker writes the container's ID to a file of the user's choice instead.
    """

    directory: Path
    tracked: bool = True

    @property
    def cidfile(self) -> Path:
        """The file that docker writes the container's ID to."""
        return self.directory / CONTAINER

    @property
    def label(self) -> str:
        """By which the container is found."""
        return f"{LABEL}={self.directory.name.removeprefix(_PREFIX)}"

    @property
    def mount(self) -> str:
        """The value of `--mount`, which is CSV."""
        source = str(self.directory / "files").replace('"', '""')
        return f'type=bind,"source={source}",target={TARGET},readonly'


@contextlib.contextmanager
def secret_files(values: Mapping[str, SecretValue], client: Client, *, tracked: bool = True) -> Iterator[SecretFiles]:
    """Writes the files; in the end they are removed, or left to a process that does so once the container has ended.

    Raises:
        EngineError: the engine is on another machine, or there is no tmpfs here.
    """
    host = engine_host(client.context)
    if not host.startswith("unix://"):
        raise EngineError(
            f"--secret-files: the engine at {host} can't mount files of this machine; leave the option out, or run it there"
        )
    base = next(iter(_bases()), None)
    if base is None:
        raise EngineError(
            "--secret-files: there is no tmpfs here that this user can write to, in XDG_RUNTIME_DIR or /dev/shm; leave the option out"
        )
    # Whatever context is the current one when the container ends.
    there = Client({**_less_context(client.environment), "DOCKER_HOST": host})
    files = SecretFiles(base / f"{_PREFIX}{secrets.token_hex(16)}", tracked)
    files.directory.mkdir(mode=0o700)
    lock = os.open(files.directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _write(files.directory, values, host)
            yield files
        finally:
            _leave(files, there, lock)
    finally:
        os.close(lock)


def sweep() -> None:
    """Removes what killed runs left: directories that nobody sees to, whose container is gone."""
    for base in _bases():
        for path in base.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError, ValueError, ContainerImageError):
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    if os.fstat(lock).st_uid == os.getuid():
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        _sweep(SecretFiles(path), lock)
                finally:
                    os.close(lock)


def _sweep(files: SecretFiles, lock: int) -> None:
    age = time.time() - files.directory.stat().st_mtime
    try:
        host = (files.directory / "engine").read_text()
    except FileNotFoundError:
        # No value is in it yet. It may be in the making.
        if age > _MINUTE:
            shutil.rmtree(files.directory, ignore_errors=True)
        return
    client = Client({**without_choice(), "DOCKER_HOST": host})
    try:
        gone = not _runs(files, client, starting=age < _MINUTE)
    except EngineError:
        # The engine may come back, and the container may still run: the other process sees to it for a while.
        watch(files.directory, files.label, client, lock)
        return
    if gone:
        shutil.rmtree(files.directory, ignore_errors=True)


def _write(directory: Path, values: Mapping[str, SecretValue], host: str) -> None:
    try:
        inner = directory / "files"
        inner.mkdir()
        # Before any value, so that a directory without it holds none.
        (directory / "engine").write_text(host)
        for name, value in values.items():
            descriptor = os.open(inner / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(descriptor, "wb") as file:
                file.write(value.reveal())
                os.fchmod(descriptor, 0o444)
        # Whatever this process's umask is.
        inner.chmod(0o755)
    except OSError as error:
        raise OutputError(
            f"--secret-files: {directory.parent} can't take the files: {error.strerror}; make room there, or leave the option out"
        ) from None


def _less_context(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "DOCKER_CONTEXT"}


def _leave(files: SecretFiles, client: Client, lock: int) -> None:
    """Removes the files, or leaves them to a process that waits for the container's end."""
    # Where a signal comes in between, the other process finds out.
    runs = True
    try:
        runs = _may_run(files, client)
    finally:
        if runs:
            watch(files.directory, files.label, client, lock)
        else:
            shutil.rmtree(files.directory, ignore_errors=True)


def _may_run(files: SecretFiles, client: Client) -> bool:
    """Whether the container runs, or may run where the engine does not answer: docker writes its ID before the start."""
    try:
        return _runs(files, client)
    except EngineError:
        return not files.tracked or files.cidfile.exists()


def _runs(files: SecretFiles, client: Client, *, starting: bool = False) -> bool:
    """Whether the container runs, or with `starting`, may be about to: its program can run before the engine says so."""
    states = ["running", "paused", "restarting", *(["created"] if starting else [])]
    filters = [f"--filter=status={state}" for state in states]
    return bool(client.call("ps", "--quiet", f"--filter=label={files.label}", *filters).strip())


def _bases() -> list[Path]:
    """Directories in memory that this user can write to, and in which nobody else can replace this user's files."""
    named = dict.fromkeys(filter(None, (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm")))
    return [Path(name) for name in named if Path(name).is_absolute() and _is_safe(Path(name)) and _is_tmpfs(name)]


def _is_safe(path: Path) -> bool:
    """Whether only this user and root can replace this user's files in a directory, by its owner and mode."""
    try:
        status = path.stat()
    except OSError:
        return False
    others = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    return status.st_uid in (0, os.geteuid()) and not others and os.access(path, os.W_OK | os.X_OK)


def _is_tmpfs(path: str) -> bool:
    device = Path(path).stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    # proc(5): `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELDS] - TYPE SOURCE OPTIONS`
    return any(line.split()[2] == number and line.partition(" - ")[2].startswith("tmpfs ") for line in mounts)
