"""A tar archive as a stream of which no byte is lost: its members, its headers, and what is behind its end."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import IO

from container_image.errors import ImageReadError
from container_image.oci.inflate import BrokenStreamError, members, whole_file_codec
from container_image.oci.model import CHUNK, Blob
from container_image.oci.tar import Headers, Member, TarError

_BLOB = re.compile(r"(?:\./)?blobs/([a-z0-9]+)/([0-9a-f]{32,})$")
_HEAD = 512


def blob_digest(name: str) -> str | None:
    """The digest of a member that is a blob of an OCI layout, by its name."""
    match = _BLOB.match(name)
    return f"{match[1]}:{match[2]}" if match else None


def archive_blobs(file: IO[bytes], name: str, links: dict[str, str] | None = None) -> Iterator[Blob]:
    """Every member of an image's archive, compressed or not, and whatever else is in it, read as a stream.

    Links and their targets are put into `links`.

    Raises:
        ImageReadError: the archive is truncated, malformed or none.
    """
    tape = _Tape(file, name)
    headers = Headers()
    aside = _Aside()
    while not headers.ended:
        block = tape.exactly(headers.wanted)
        aside.add(block)
        try:
            member = headers.take(block)
        except TarError as error:
            raise ImageReadError(f"{name}: malformed or not a tar archive: {error}; export the image again") from None
        if member is not None:
            yield from _member(tape, aside, member, links)
        if aside.is_full:
            yield aside.blob()
    yield aside.blob()
    yield from _behind(tape)


def _member(tape: _Tape, aside: _Aside, member: Member, links: dict[str, str] | None) -> Iterator[Blob]:
    if member.split:
        # A name in two pieces is in no contiguous bytes of its header.
        aside.add(member.name)
    path = _decoded(member.name)
    if not member.has_data:
        if links is not None and member.kind in "12":
            links[posixpath.normpath(path)] = _decoded(member.link)
        return
    pieces = tape.pieces(member.size)
    content = _sparse(tape) if member.stretched else pieces
    yield Blob(blob_digest(path) if member.is_file else None, posixpath.normpath(path), content)
    for _ in pieces:
        pass
    padding = tape.exactly(member.padding)
    if padding.strip(b"\0"):
        aside.add(padding)


def _sparse(tape: _Tape) -> Iterator[bytes]:
    """Raises when a sparse member is read: a blob's digest is that of the file with its holes, which are not there."""
    raise ImageReadError(f"{tape.name}: holds a sparse file; write the archive without --sparse")
    yield b""  # makes it a generator


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _behind(tape: _Tape) -> Iterator[Blob]:
    """What follows the end of the archive, where it is anything but padding."""
    while piece := tape.read(CHUNK):
        if piece.strip(b"\0"):
            rest = iter(lambda: tape.read(CHUNK), b"")
            yield Blob(None, "(behind the end of the archive)", _chain(piece, rest))
            return


def _chain(piece: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield piece
    yield from rest


class _Aside:
    """What is in an archive beside its members' data, given from time to time as a blob of its own."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._number = 0

    def add(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)

    @property
    def is_full(self) -> bool:
        return self._size >= CHUNK

    def blob(self) -> Blob:
        self._number += 1
        data = b"\n".join(self._parts)
        self._parts, self._size = [], 0
        return Blob(None, f"(headers of the archive, {self._number})", iter([data]))


class _Tape:
    """A file that is read forwards only, inflated where it is compressed.

    What goes wrong on the way is an ImageReadError, whoever reads.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self._piece = b""
        self._at = 0
        self._pieces = self._inflated(file)

    def _inflated(self, file: IO[bytes]) -> Iterator[bytes]:
        try:
            head = file.read(_HEAD)
            kind = whole_file_codec(head)
            pieces = _chain(head, iter(lambda: file.read(CHUNK), b""))
            yield from filter(None, pieces if kind is None else members(pieces, kind))
        except BrokenStreamError as error:
            raise ImageReadError(f"{self.name}: {error}; export the image again") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ImageReadError(f"{self.name}: can't be read to its end: {reason}; export the image again") from None

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        parts = []
        while size:
            if self._at == len(self._piece):
                self._piece, self._at = next(self._pieces, b""), 0
                if not self._piece:
                    break
            part = self._piece[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def exactly(self, size: int) -> bytes:
        """`size` bytes."""
        data = self.read(size)
        if len(data) < size:
            raise ImageReadError(f"{self.name}: truncated: the archive has no end; export the image again")
        return data

    def pieces(self, size: int) -> Iterator[bytes]:
        """`size` bytes, a piece at a time."""
        while size:
            piece = self.exactly(min(CHUNK, size))
            size -= len(piece)
            yield piece
