"""Which file of a layer an offset belongs to: a tar stream's headers, read as the stream goes by.

Only headers are looked at, and no data is kept: the offset and the path of every entry. The first bytes of the few files
whose names are those of credentials are looked at too. Whiteouts are as in the OCI image layer specification.
"""

from __future__ import annotations

import posixpath
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from container_image.audit.credential_files import CredentialFiles
from container_image.oci.tar import Headers, Member, TarError

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
# No path on Linux is longer; what a header says beyond it is searched, and not shown.
_PATH_MAX = 4096
_PAGE = 1 << 18
_DEPTH = 256


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer. `start` is where its first header block begins."""

    start: int
    path: str
    is_directory: bool


class _Entries:
    """Entries in their order, in compressed pages: a tar of nothing but headers takes a thousand times its room."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._pages: list[bytes] = []
        self._open: list[Entry] = []
        self._size = 0
        self._unpacked: tuple[int, list[Entry]] = (-1, [])

    def append(self, entry: Entry) -> None:
        if not self._open:
            self._firsts.append(entry.start)
        self._open.append(entry)
        self._size += 64 + len(entry.path)
        if self._size >= _PAGE:
            self._pages.append(_pack(self._open))
            self._open, self._size = [], 0

    def __iter__(self) -> Iterator[Entry]:
        for page in self._pages:
            yield from _unpack(page)
        yield from self._open

    def at(self, offset: int) -> Entry | None:
        """The last entry that starts at or before `offset`."""
        number = bisect_right(self._firsts, offset) - 1
        if number < 0:
            return None
        entries = self._page(number)
        return entries[bisect_right(entries, offset, key=lambda entry: entry.start) - 1]

    def _page(self, number: int) -> list[Entry]:
        if number == len(self._pages):
            return self._open
        if self._unpacked[0] != number:
            self._unpacked = (number, _unpack(self._pages[number]))
        return self._unpacked[1]


def _pack(entries: list[Entry]) -> bytes:
    # A slash ends a directory's path, and a zero byte is in none.
    paths = "\0".join(entry.path + "/" * entry.is_directory for entry in entries)
    starts = array("Q", [entry.start for entry in entries])
    return zlib.compress(starts.tobytes() + paths.encode("utf-8", "surrogateescape"), 1) + len(entries).to_bytes(
        4, "big"
    )


def _unpack(page: bytes) -> list[Entry]:
    count = int.from_bytes(page[-4:], "big")
    data = zlib.decompress(page[:-4])
    starts = array("Q", data[: 8 * count])
    paths = data[8 * count :].decode("utf-8", "surrogateescape").split("\0")
    return [Entry(start, path.removesuffix("/"), path.endswith("/")) for start, path in zip(starts, paths, strict=True)]


class LayerIndex:
    """Reads the headers of a tar stream, pushed in pieces of any size.

    `broken` says why reading stopped early: the stream is not a tar archive from there on. `split_names` are the names
    that a header holds in two pieces, so that no contiguous bytes of it hold them, with their offsets. `credentials` are
    the files that hold credentials.
    """

    def __init__(self) -> None:
        self.entries = _Entries()
        self.files = 0
        self.broken: str | None = None
        self.split_names: list[tuple[int, bytes]] = []
        self.credentials = CredentialFiles()
        self._headers = Headers()
        self._position = 0
        self._skip = 0
        self._pending = b""
        self._start: int | None = None
        self._stop: int | None = None

    def feed(self, data: bytes) -> None:
        """Takes the next piece of the stream."""
        at = 0
        if self._skip:
            at = min(self._skip, len(data))
            if self.credentials.watching:
                self.credentials.feed(data[:at])
            self._skip -= at
            self._position += at
        if self._pending:
            data, at = self._pending + data, 0
        headers = self._headers
        while self._stop is None and not self._skip and len(data) - at >= headers.wanted:
            block = data[at : at + headers.wanted]
            if self._start is None:
                self._start = self._position
            try:
                member = headers.take(block)
            except TarError as error:
                self._end(str(error))
                break
            at += len(block)
            self._position += len(block)
            if headers.ended:
                self._end(None)
            elif member is not None:
                self._add(member)
                size = member.size + member.padding
                step = min(size, len(data) - at)
                if self.credentials.watching:
                    self.credentials.feed(data[at : at + step])
                at += step
                self._position += step
                self._skip = size - step
        self._pending = data[at:] if self._stop is None and not self._skip else b""

    def finish(self) -> None:
        """The stream is over; an entry that is not complete makes it broken."""
        if self._stop is None and (self._skip or self._pending or self._start is not None):
            self.broken = "truncated tar archive"

    def path_at(self, offset: int) -> str | None:
        """The path of the entry whose headers or data are at `offset`, None where no entry is."""
        if self._stop is not None and offset >= self._stop:
            return None
        entry = self.entries.at(offset)
        return None if entry is None else entry.path

    def _end(self, broken: str | None) -> None:
        self.broken = broken
        self._stop = self._start

    def _add(self, member: Member) -> None:
        start = self._start or 0
        self._start = None
        if member.split:
            self.split_names.append((start, member.name))
        path = _path(member.name)
        self.entries.append(Entry(start, path, member.kind == "5"))
        self.credentials.begin(path, member)
        self.files += member.is_file


def _path(name: bytes) -> str:
    shown = name[:_PATH_MAX].decode("utf-8", "surrogateescape")
    return posixpath.normpath("/" + shown).lstrip("/").replace("\0", "")


class Overlay:
    """What the layers above do to a path: built from the uppermost layer down.

    Only what may matter to the paths in `wanted` is kept.
    """

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = set(wanted)
        for path in wanted:
            self._wanted.update(_parents(path))
        self._paths: set[str] = set()
        self._files: set[str] = set()
        self._whiteouts: set[str] = set()
        self._opaque: set[str] = set()

    def add(self, index: LayerIndex) -> None:
        """Puts one more layer below those already added."""
        for entry in index.entries:
            directory, name = posixpath.split(entry.path)
            if name == _OPAQUE:
                if directory in self._wanted or not directory:
                    self._opaque.add(directory)
            elif name.startswith(_WHITEOUT):
                hidden = posixpath.join(directory, name[len(_WHITEOUT) :])
                if hidden in self._wanted:
                    self._whiteouts.add(hidden)
            elif entry.path in self._wanted:
                self._paths.add(entry.path)
                if not entry.is_directory:
                    self._files.add(entry.path)

    def state(self, path: str) -> str:
        """`visible`, `deleted` or `overwritten`, for one of the wanted paths, in a layer below those added."""
        if path in self._paths:
            return "overwritten"
        if path in self._whiteouts:
            return "deleted"
        for parent in _parents(path):
            if parent in self._whiteouts or parent in self._opaque or parent in self._files:
                return "deleted"
        return "deleted" if "" in self._opaque else "visible"


def _parents(path: str) -> Iterator[str]:
    """The directories that a path is in, from the root's on: as many as any real path has."""
    end = -1
    for _ in range(_DEPTH):
        end = path.find("/", end + 1)
        if end < 0:
            return
        yield path[:end]
