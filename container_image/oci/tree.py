"""A root file system in a directory, read as a tar archive of its files.

Names, the targets of links and extended attributes are in the archive too, so they are searched. Links are not followed;
devices, pipes and sockets are not opened: as in a layer, they have a name and no content.
"""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import stat
import tarfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from container_image.errors import ImageReadError
from container_image.oci.model import CHUNK, Blob, DigestKind, Image, is_digest
from container_image.oci.rootfs import one_layer
from container_image.oci.tar import BLOCK

_KEY = "rootfs"
_CHANGED = "changed while it was read"
_MOUNTED = "another file system is mounted there, not read"
_END = bytes(2 * BLOCK)
_KINDS = {
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    # tar has no sockets.
    stat.S_IFSOCK: tarfile.FIFOTYPE,
}
# A link that was put in a file's place is not followed, and a pipe is not waited for.
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class TreeSource:
    """The files of a directory, as one layer; other file systems that are mounted in it are unread.

    A directory has no digest to be resolved to. `digest` is that of the archive that was read: of paths, kinds, targets,
    attributes and contents, without owners, modes and times. It is empty until everything was read.
    """

    def __init__(self, reference: str, path: Path) -> None:
        self.reference = reference
        self.digest = ""
        self.digest_kind: DigestKind = "manifest"
        self._unread: dict[str, str] = {}
        self._top = path.resolve()
        try:
            self._device = self._top.stat().st_dev
            with os.scandir(self._top) as entries:
                is_empty = next(entries, None) is None
        except OSError as error:
            raise ImageReadError(f"{path}: can't be read: {error.strerror}") from None
        if is_empty:
            raise ImageReadError(f"{path}: the directory is empty; unpack or mount a root file system there first")

    def blobs(self) -> Iterator[Blob]:
        yield Blob(None, _KEY, self._pieces())

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        del documents, seen
        return one_layer(_KEY, self._unread)

    def __enter__(self) -> TreeSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _pieces(self) -> Iterator[bytes]:
        """The archive in pieces of some 1 MiB: its headers alone would make a million small ones."""
        hasher = hashlib.sha256()
        parts: list[bytes] = []
        size = 0
        for part in self._archive():
            hasher.update(part)
            parts.append(part)
            size += len(part)
            if size >= CHUNK:
                yield b"".join(parts)
                parts, size = [], 0
        self.digest = f"sha256:{hasher.hexdigest()}"
        yield b"".join(parts)

    def _archive(self) -> Iterator[bytes]:
        stack = [""]
        while stack:
            below: list[str] = []
            yield from self._directory(stack.pop(), below)
            stack.extend(reversed(below))
        yield _END

    def _directory(self, place: str, below: list[str]) -> Iterator[bytes]:
        """A directory's entry, and those of everything in it but directories, whose paths are added to `below`."""
        try:
            handle = os.open(self._top / place, _OPEN | os.O_DIRECTORY)
        except OSError as error:
            self._note(place, error)
            yield _header(place or ".", stat.S_IFDIR)
            return
        try:
            yield from self._attributes(handle, place)
            yield _header(place or ".", stat.S_IFDIR)
            for name in self._names(handle, place):
                yield from self._entry(handle, name, posixpath.join(place, name), below)
        finally:
            os.close(handle)

    def _names(self, handle: int, place: str) -> list[str]:
        try:
            if os.fstat(handle).st_dev == self._device:
                return sorted(os.listdir(handle))
            self._note(place, _MOUNTED)
        except OSError as error:
            self._note(place, error)
        return []

    def _entry(self, handle: int, name: str, path: str, below: list[str]) -> Iterator[bytes]:
        link = ""
        try:
            kind = stat.S_IFMT(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)
            if kind == stat.S_IFLNK:
                link = os.readlink(name, dir_fd=handle)
        except OSError as error:
            self._note(path, error)
            kind = stat.S_IFREG
        else:
            if kind == stat.S_IFDIR:
                below.append(path)
                return
            if kind == stat.S_IFREG:
                yield from self._file(handle, name, path)
                return
        yield _header(path, kind, link=link)

    def _file(self, handle: int, name: str, path: str) -> Iterator[bytes]:
        try:
            file = os.open(name, _OPEN, dir_fd=handle)
        except OSError as error:
            self._note(path, error)
            yield _header(path, stat.S_IFREG)
            return
        try:
            info = os.fstat(file)
            if not stat.S_ISREG(info.st_mode):
                self._note(path, _CHANGED)
                yield _header(path, stat.S_IFREG)
                return
            yield from self._attributes(file, path)
            size = sum(stop - start for start, stop in _extents(file, info))
            yield _header(path, stat.S_IFREG, size=size)
            left = size
            for piece in self._content(file, info, path):
                yield piece[:left]
                left -= len(piece[:left])
            # The header has promised so many bytes, whatever became of the file since.
            yield from _zeros(left + -size % BLOCK)
        finally:
            os.close(file)

    def _content(self, file: int, info: os.stat_result, path: str) -> Iterator[bytes]:
        """A file's bytes, without the holes of a sparse one; it is unread where they are not what they were."""
        whole = True
        try:
            for start, stop in _extents(file, info):
                while whole and start < stop:
                    piece = os.pread(file, min(CHUNK, stop - start), start)
                    whole = bool(piece)
                    start += len(piece)
                    yield piece
            now = os.fstat(file)
            # Files of /proc and the like have bytes and no size.
            beyond = os.pread(file, 1, info.st_size)
        except OSError as error:
            self._note(path, error)
            return
        if not whole or beyond or (now.st_size, now.st_mtime_ns) != (info.st_size, info.st_mtime_ns):
            self._note(path, _CHANGED)

    def _attributes(self, file: int, path: str) -> Iterator[bytes]:
        """A file's extended attributes, each in a header as GNU tar and Docker write them (pax, SCHILY.xattr)."""
        if not hasattr(os, "listxattr"):
            return
        try:
            found = [(name, os.getxattr(file, name)) for name in sorted(os.listxattr(file))]
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EOPNOTSUPP):
                self._note(path, error)
            return
        for name, value in found:
            data = _record(b"SCHILY.xattr." + os.fsencode(name), value)
            yield _header(path or ".", tarfile.XHDTYPE, size=len(data)) + data + bytes(-len(data) % BLOCK)

    def _note(self, path: str, reason: OSError | str) -> None:
        if isinstance(reason, OSError):
            gone = reason.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
            reason = _CHANGED if gone else f"can't be read: {reason.strerror}"
        # A file whose name is like a digest is no blob of that digest.
        self._unread.setdefault(f"./{path}" if is_digest(path) else path or ".", reason)


def _extents(file: int, info: os.stat_result) -> Iterator[tuple[int, int]]:
    """Where a file has data, as (start, stop): all of it, or what is between the holes of a sparse one (lseek(2))."""
    if info.st_blocks * 512 >= info.st_size or not hasattr(os, "SEEK_DATA"):
        yield 0, info.st_size
        return
    at = 0
    while at < info.st_size:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
            stop = min(os.lseek(file, start, os.SEEK_HOLE), info.st_size)
        except OSError as error:
            # ENXIO: there is nothing but a hole from here on. Where holes can't be told, everything is data.
            if error.errno != errno.ENXIO:
                yield at, info.st_size
            return
        yield start, stop
        at = stop


def _header(path: str, kind: int | bytes, *, size: int = 0, link: str = "") -> bytes:
    info = tarfile.TarInfo(path)
    info.type = kind if isinstance(kind, bytes) else _KINDS.get(kind, tarfile.REGTYPE)
    info.size, info.linkname = size, link
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _record(key: bytes, value: bytes) -> bytes:
    """A pax record, which begins with its own length in decimal digits (POSIX pax, extended headers)."""
    rest = len(key) + len(value) + 3
    size = rest + len(str(rest))
    size = rest + len(str(size))
    return b"%d %b=%b\n" % (size, key, value)


def _zeros(size: int) -> Iterator[bytes]:
    while size > 0:
        yield bytes(min(size, CHUNK))
        size -= CHUNK
