"""Files and directories of this program's own: private to their user, or refused.

A path is opened without following a link, and the checks look at the descriptor, not at the path: nobody can put another
file in its place between the check and the use. Each function checks the directory of its file, too, and opens the file
relative to that directory's descriptor.

An own file or directory that other users can reach loses their permissions, and a warning on the logger `container_image`
says so. Everything else raises an OSError, whose `filename` is the path and whose `strerror` is the reason.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

_LOG = logging.getLogger("container_image")

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFREG: "a file",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


class NotPrivateError(OSError):
    """A file or directory that another user owns, or can reach; or another kind of file in its place."""


def make_directory(path: Path) -> Path:
    """Makes a directory (0700) with its parents where there is none, and checks it.

    Raises:
        NotPrivateError: another user's, a link, or no directory.
        OSError: it can't be made.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    with _directory(path):
        return path


def check_directory(path: Path) -> None:
    """Checks a directory. Raises as `make_directory` does, FileNotFoundError where there is none."""
    with _directory(path):
        pass


def open_file(path: Path, flags: int, *, mend: bool = True) -> int:
    """A descriptor of a file in a private directory; `flags` are those of open(2), and a new file is 0600.

    Without `mend`, a file that other users can reach is refused.

    Raises:
        NotPrivateError: the file or its directory is another user's, a link, or of another kind.
        OSError: it can't be opened.
    """
    with _directory(path.parent) as directory:
        return _open(path, flags | os.O_NONBLOCK, stat.S_IFREG, mend=mend, directory=directory)


def read(path: Path, *, mend: bool = True) -> bytes:
    """The bytes of a file in a private directory. Raises as `open_file` does, FileNotFoundError where there is none."""
    with os.fdopen(open_file(path, os.O_RDONLY, mend=mend), "rb") as file:
        return file.read()


def write(path: Path, data: bytes) -> None:
    """Writes a file in a private directory, whole or not at all, in place of one that is there.

    Raises:
        NotPrivateError: the directory is another user's, a link, or no directory.
        OSError: the file can't be written.
    """
    with _draft(path, data) as (draft, directory):
        os.replace(draft, path.name, src_dir_fd=directory, dst_dir_fd=directory)


def write_new(path: Path, data: bytes) -> None:
    """Writes a file as `write` does, unless there is one. Of several processes at once, one writes it."""
    with _draft(path, data) as (draft, directory), contextlib.suppress(FileExistsError):
        os.link(draft, path.name, src_dir_fd=directory, dst_dir_fd=directory)


def check_file(path: Path) -> bool:
    """Whether there is a file at a path; checks its owner and kind, but not its directory, which is the user's choice.

    For a file that a library opens by its path. It is not opened here: closing any descriptor of a file drops the locks
    of this process on it (fcntl(2)), and SQLite locks its database so.

    Raises:
        NotPrivateError: another user's, a link, or no regular file.
        OSError: it can't be looked at.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    _check_kind(path, status, stat.S_IFREG)
    return True


def mend_file(path: Path) -> None:
    """Takes other users' permissions from a file that `check_file` has checked, and that is known to be a store.

    Raises:
        NotPrivateError: its file system keeps them.
        OSError: its mode can't be changed.
    """
    status = path.lstat()
    if _others(status):
        path.chmod(_mended(status))
        _say_mended(path, status, path.lstat())


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[int]:
    """The descriptor of a directory that was checked."""
    descriptor = _open(path, os.O_RDONLY | os.O_DIRECTORY, stat.S_IFDIR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int, kind: int, *, mend: bool = True, directory: int | None = None) -> int:
    """Opens and checks a path, or its last part in a directory that is open."""
    with _named(path):
        name = path if directory is None else path.name
        try:
            descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)
        except OSError:
            # The system's reason for a link or a socket is none that a user understands.
            with contextlib.suppress(FileNotFoundError):
                _check_kind(path, os.stat(name, dir_fd=directory, follow_symlinks=False), kind)
            raise
        try:
            status = os.fstat(descriptor)
            _check_kind(path, status, kind)
            if verb := _others(status):
                if not mend:
                    raise NotPrivateError(errno.EPERM, f"other users can {verb} it", str(path))
                os.fchmod(descriptor, _mended(status))
                _say_mended(path, status, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


@contextlib.contextmanager
def _draft(path: Path, data: bytes) -> Iterator[tuple[str, int]]:
    """A file with the data, under another name in the directory, and the directory's descriptor."""
    name = f".draft-{secrets.token_hex(8)}"
    with _directory(path.parent) as directory, _named(path):
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            yield name, directory
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Gives an OSError the whole path: the system's has the name that it was given."""
    try:
        yield
    except NotPrivateError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _check_kind(path: Path, status: os.stat_result, kind: int) -> None:
    if stat.S_IFMT(status.st_mode) != kind:
        wanted = _KINDS[kind]
        raise NotPrivateError(
            errno.EPERM, f"it is {_KINDS.get(stat.S_IFMT(status.st_mode), 'a device')}, not {wanted}", str(path)
        )
    if status.st_uid != os.geteuid():
        raise NotPrivateError(errno.EPERM, f"it belongs to another user (uid {status.st_uid})", str(path))


def _others(status: os.stat_result) -> str | None:
    """What other users can do with a file or directory; None where its mode keeps them out."""
    if status.st_mode & 0o022:
        return "change"
    return "read" if status.st_mode & 0o077 else None


def _mended(status: os.stat_result) -> int:
    return stat.S_IMODE(status.st_mode) & ~0o077


def _say_mended(path: Path, before: os.stat_result, after: os.stat_result) -> None:
    if verb := _others(after):
        # File systems without modes (vfat, some mounts of a virtual machine) take the call and change nothing.
        raise NotPrivateError(errno.EPERM, f"other users can {verb} it, and its file system keeps that", str(path))
    modes = f"mode {stat.S_IMODE(before.st_mode):04o}, now {stat.S_IMODE(after.st_mode):04o}"
    _LOG.warning("%s: other users could %s it; their permissions were removed (%s)", path, _others(before), modes)
