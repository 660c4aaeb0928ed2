"""A tar archive as a stream of which no byte is lost: its members, then its headers, then what is behind its end."""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterator
from typing import IO, cast

from container_image.errors import ImageReadError
from container_image.oci.inflate import BrokenStreamError, members, whole_file_codec
from container_image.oci.model import CHUNK, Blob

_BLOB = re.compile(r"(?:\./)?blobs/([a-z0-9]+)/([0-9a-f]{32,})$")
_BLOCK = 512


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
    tape = _Tape(file)
    headers: list[bytes] = []
    try:
        with tarfile.TarFile(name, "r", cast("IO[bytes]", tape)) as archive:
            while (member := archive.next()) is not None:
                # Python's own list of them would keep every member.
                archive.members.clear()  # type: ignore[attr-defined]
                if links is not None and (member.issym() or member.islnk()):
                    links[posixpath.normpath(member.name)] = member.linkname
                headers.append(tape.taken())
                if member.name.encode("utf-8", "surrogateescape") not in headers[-1]:
                    # A long name is in two pieces in its header.
                    headers.append(member.name.encode("utf-8", "surrogateescape"))
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    pieces = _pieces(tape, content, member.size, f"{name}: truncated in {member.name}")
                    yield Blob(blob_digest(member.name), posixpath.normpath(member.name), pieces)
                    for _ in pieces:
                        pass
        last = tape.taken()
        headers.append(last)
        yield Blob(None, "(headers of the archive)", iter([b"\n".join(headers)]))
        if len(last) < _BLOCK or last[-_BLOCK:].strip(b"\0"):
            # Python takes a malformed header, or none at all, for the end.
            raise ImageReadError(f"{name}: truncated: the archive has no end; export the image again")
        yield from _behind(tape)
    except (tarfile.TarError, BrokenStreamError, EOFError, OSError) as error:
        raise ImageReadError(f"{name}: truncated or not a tar archive ({error}); export the image again") from None


def _behind(tape: _Tape) -> Iterator[Blob]:
    """What follows the end of the archive, where it is anything but padding."""
    while piece := tape.read(CHUNK):
        tape.taken()
        if piece.strip(b"\0"):
            rest = iter(lambda: tape.read(CHUNK), b"")
            yield Blob(None, "(behind the end of the archive)", _chain(piece, rest))
            return


def _chain(piece: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield piece
    yield from rest


def _pieces(tape: _Tape, content: IO[bytes], size: int, truncated: str) -> Iterator[bytes]:
    while size:
        piece = content.read(min(CHUNK, size))
        tape.taken()
        if not piece:
            raise ImageReadError(f"{truncated}; export the image again")
        size -= len(piece)
        yield piece


class _Tape:
    """A stream that goes forwards only, as `tarfile` reads one, and remembers what went by."""

    def __init__(self, file: IO[bytes]) -> None:
        head = file.read(_BLOCK)
        kind = whole_file_codec(head)
        pieces = _chain(head, iter(lambda: file.read(CHUNK), b""))
        self._pieces = filter(None, pieces if kind is None else members(pieces, kind))
        self._rest = b""
        self._position = 0
        self._taken: list[bytes] = []

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        parts = []
        while size:
            if not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
            part, self._rest = self._rest[:size], self._rest[size:]
            size -= len(part)
            parts.append(part)
        data = b"".join(parts)
        self._position += len(data)
        self._taken.append(data)
        return data

    def seek(self, position: int) -> None:
        while self._position < position and self.read(min(CHUNK, position - self._position)):
            pass

    def taken(self) -> bytes:
        """What was read since the last call."""
        data = b"".join(self._taken)
        self._taken.clear()
        return data
