"""The files of a directory that holds an image: every one of them ships, whether a manifest names it or not.

Links are followed inside the directory only: a file elsewhere is no part of the image.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from container_image.errors import ImageReadError
from container_image.oci.model import CHUNK, DOCUMENT_LIMIT, Blob

_OUTSIDE = "a link that leaves the layout, not followed"
_SPECIAL = "not a regular file"


class Files:
    """A directory's files, each as a blob. `digest_of` gives a blob's digest by the file's relative path, if it has one.

    `unread` holds the reason for each file that was not read, by the blob's digest or the file's path.
    """

    def __init__(self, path: Path, digest_of: Callable[[str], str | None]) -> None:
        self.unread: dict[str, str] = {}
        self._path = path
        self._digest_of = digest_of
        self._home = path.resolve()

    def document(self, name: str) -> bytes:
        """The bytes of one file, of at most 4 MiB.

        Raises:
            OSError: there is no such regular file inside the directory, or it is longer.
        """
        return b"".join(_pieces(self._home / name, self._home, DOCUMENT_LIMIT))

    def blobs(self) -> Iterator[Blob]:
        """Every file; then the names of all files and the targets of all links, as a blob of their own.

        Raises:
            ImageReadError: a file or directory can't be read.
        """
        names = []
        for file in self._walk():
            name = file.relative_to(self._home).as_posix()
            names.append(name)
            try:
                if file.is_symlink():
                    names.append(str(file.readlink()))
                reason = self._refused(file)
                is_file = reason is None and file.is_file()
            except OSError as error:
                raise ImageReadError(f"{self._path}: a file in it can't be read: {error.strerror}") from None
            if reason is not None:
                self.unread[self._digest_of(name) or name] = reason
            elif is_file:
                yield Blob(self._digest_of(name), name, self._content(file))
        yield Blob(None, "(names in the layout)", iter(["\n".join(names).encode("utf-8", "surrogateescape")]))

    def _walk(self) -> Iterator[Path]:
        """Everything in the directory, however deep."""
        stack = [self._home]
        while stack:
            try:
                with os.scandir(stack.pop()) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                raise ImageReadError(f"{self._path}: a directory in it can't be read: {error.strerror}") from None
            yield from (Path(entry.path) for entry in found)
            stack.extend(Path(entry.path) for entry in reversed(found) if entry.is_dir(follow_symlinks=False))

    def _refused(self, file: Path) -> str | None:
        """Why an entry is not read; None for a file, a directory, or a link to nothing."""
        if file.is_symlink():
            try:
                target = file.resolve(strict=True)
            except (OSError, RuntimeError):
                return None
            if self._home not in target.parents:
                return _OUTSIDE
        return None if file.is_file() or file.is_dir() else _SPECIAL

    def _content(self, file: Path) -> Iterator[bytes]:
        try:
            yield from _pieces(file, self._home)
        except OSError as error:
            raise ImageReadError(f"{self._path}: a file in it can't be read: {error.strerror}") from None


def _pieces(path: Path, home: Path, limit: int | None = None) -> Iterator[bytes]:
    """The bytes of a regular file in `home`. Whoever can write there might put a pipe or a link in its place."""
    target = path.resolve(strict=True)
    if home not in target.parents:
        raise OSError(errno.ELOOP, _OUTSIDE)
    # Opening a pipe waits for its other end.
    with open(target, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_NOFOLLOW)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, _SPECIAL)
        while piece := file.read(CHUNK):
            yield piece
            if limit is not None and file.tell() > limit:
                raise OSError(errno.EFBIG, f"more than {limit >> 20} MiB")
