"""Which file of a layer an offset belongs to: a tar stream's headers, read as the stream goes by.

Only headers are looked at, and no data is kept: (offset of the header, offset of the data, path) for every entry.
Formats: POSIX ustar and pax, GNU long names, base-256 numbers; whiteouts as in the OCI image layer specification.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_right
from dataclasses import dataclass, field

_BLOCK = 512
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_METADATA_LIMIT = 1 << 24


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer. `start` is where its first header block begins, `data` where its data begins."""

    start: int
    data: int
    path: str
    is_directory: bool


@dataclass
class LayerIndex:
    """Reads the headers of a tar stream, pushed in pieces of any size.

    `broken` says why reading stopped early: the stream is not a tar archive from there on.
    """

    entries: list[Entry] = field(default_factory=list)
    files: int = 0
    broken: str | None = None
    ended: bool = False
    metadata: list[tuple[int, bytes]] = field(default_factory=list)
    _position: int = 0
    _skip: int = 0
    _pending: bytes = b""
    _start: int | None = None
    _overrides: dict[str, bytes] = field(default_factory=dict)
    _global: dict[str, bytes] = field(default_factory=dict)
    _collect: tuple[str, int] | None = None

    def feed(self, data: bytes) -> None:
        """Takes the next piece of the stream."""
        if self.broken or self.ended:
            return
        view = memoryview(data)
        if self._skip:
            step = min(self._skip, len(view))
            self._skip -= step
            self._position += step
            view = view[step:]
            if not view:
                return
        buffer = self._pending + bytes(view) if self._pending else bytes(view)
        at = 0
        while not self.broken and not self.ended:
            if self._collect is not None:
                kind, size = self._collect
                padded = -(-size // _BLOCK) * _BLOCK
                if len(buffer) - at < padded:
                    break
                self._extend(kind, buffer[at : at + size])
                self._collect = None
                at += padded
                self._position += padded
                continue
            if len(buffer) - at < _BLOCK:
                break
            size = self._header(buffer[at : at + _BLOCK])
            at += _BLOCK
            self._position += _BLOCK
            if size:
                available = min(size, len(buffer) - at)
                at += available
                self._position += available
                self._skip = size - available
        self._pending = buffer[at:] if not self._skip else b""

    def finish(self) -> None:
        """The stream is over; an entry that is not complete makes it broken."""
        if not self.broken and not self.ended and (self._skip or self._pending or self._collect):
            self.broken = "truncated tar archive"

    def path_at(self, offset: int) -> str | None:
        """The path of the entry whose headers or data are at `offset`, None before the first."""
        index = bisect_right(self.entries, offset, key=lambda entry: entry.start) - 1
        return self.entries[index].path if index >= 0 else None

    def _header(self, block: bytes) -> int:
        """Reads one header block; returns how many bytes of data to skip."""
        if not block.strip(b"\0"):
            self.ended = True
            return 0
        try:
            size = _number(block[124:136])
            checksum = _number(block[148:156])
        except ValueError:
            self.broken = "malformed tar header"
            return 0
        if checksum != sum(block) - sum(block[148:156]) + 8 * 32:
            self.broken = "malformed tar header"
            return 0
        if self._start is None:
            self._start = self._position
        kind = chr(block[156])
        if kind in "xgLK":
            if size > _METADATA_LIMIT:
                self.broken = "oversized tar header"
                return 0
            self._collect = (kind, size)
            return 0
        name, prefix = block[:100].split(b"\0", 1)[0], b""
        if block[257:263] == b"ustar\0":
            prefix = block[345:500].split(b"\0", 1)[0]
        if prefix:
            # The two halves are apart in the header, so a value across them is in no contiguous bytes of it.
            name = prefix + b"/" + name
            self.metadata.append((self._start, name))
        overrides = {**self._global, **self._overrides}
        name = overrides.get("path", name)
        if "size" in overrides:
            try:
                size = int(overrides["size"])
            except ValueError:
                self.broken = "malformed pax header"
                return 0
        path = posixpath.normpath("/" + name.decode("utf-8", "surrogateescape")).lstrip("/")
        self.entries.append(Entry(self._start, self._position + _BLOCK, path, kind == "5"))
        if kind in "0\x007S":
            self.files += 1
        self._start, self._overrides = None, {}
        if kind in "123456":
            # Links, devices, directories and FIFOs have no data, whatever their size field says (POSIX pax).
            return 0
        if kind == "S":
            # GNU sparse: further map blocks follow a header that says so.
            self._skip_sparse = block[482:483] == b"\x01"
            if self._skip_sparse:
                self.broken = "sparse tar entry with an extended map"
                return 0
        return -(-size // _BLOCK) * _BLOCK

    def _extend(self, kind: str, data: bytes) -> None:
        if kind == "L":
            self._overrides["path"] = data.rstrip(b"\0")
        elif kind in "xg":
            (self._overrides if kind == "x" else self._global).update(_pax(data))
        if kind == "g":
            self._start = None


def _number(field_: bytes) -> int:
    """A tar header's number: octal digits, or base 256 when the first bit is set (GNU)."""
    if field_[0] & 0x80:
        return int.from_bytes(field_, "big") & ((1 << (8 * len(field_) - 1)) - 1)
    digits = field_.strip(b" \0")
    if not digits:
        return 0
    if not digits.isdigit():
        raise ValueError
    return int(digits, 8)


def _pax(data: bytes) -> dict[str, bytes]:
    records: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        if space < 0 or not data[at:space].isdigit():
            break
        length = int(data[at:space])
        record = data[space + 1 : at + length].rstrip(b"\n")
        key, _, value = record.partition(b"=")
        records[key.decode("utf-8", "replace")] = value
        if length <= 0:
            break
        at += length
    return records


@dataclass
class Overlay:
    """What the layers above do to a path: built from the uppermost layer down."""

    _paths: set[str] = field(default_factory=set)
    _files: set[str] = field(default_factory=set)
    _whiteouts: set[str] = field(default_factory=set)
    _opaque: set[str] = field(default_factory=set)

    def add(self, index: LayerIndex) -> None:
        """Puts one more layer below those already added."""
        for entry in index.entries:
            directory, name = posixpath.split(entry.path)
            if name == _OPAQUE:
                self._opaque.add(directory)
            elif name.startswith(_WHITEOUT):
                self._whiteouts.add(posixpath.join(directory, name[len(_WHITEOUT) :]))
            else:
                self._paths.add(entry.path)
                if not entry.is_directory:
                    self._files.add(entry.path)

    def state(self, path: str) -> str:
        """`visible`, `deleted` or `overwritten`, for a path of a layer below those added."""
        if path in self._paths:
            return "overwritten"
        if path in self._whiteouts:
            return "deleted"
        parent = posixpath.dirname(path)
        while parent:
            if parent in self._whiteouts or parent in self._opaque or parent in self._files:
                return "deleted"
            parent = posixpath.dirname(parent)
        return "deleted" if "" in self._opaque else "visible"
