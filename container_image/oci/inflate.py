"""Decompression in steps of bounded size, the same for every format.

gzip RFC 1952, zlib RFC 1950, zstd RFC 8878, xz and bzip2 and lz4 by their own specifications.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import lz4.frame
import zstandard
from isal import isal_zlib

_STEP = 1 << 18
_ZSTD_STEP = 1 << 10
_INPUT_STEP = 1 << 16
_FIRST_INPUT_STEP = 1 << 11
OUTPUT_STEP = 1 << 20
CAREFUL_STEP = 1 << 9
# What is kept of the output: zstd's own limit, and twice what `xz -9` asks for.
_MAX_WINDOW = 1 << 27
_MEMORY = _MAX_WINDOW + (8 << 20)
_TOO_LARGE = f"needs more than {_MAX_WINDOW >> 20} MiB of memory"


class Inflater(Protocol):
    """What every decompressor of the standard library looks like, as far as it is used here."""

    @property
    def eof(self) -> bool:
        """Whether the stream came to its end."""
        ...

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes | memoryview]:
        """Up to `limit` bytes of output, and the input that is left; raises one of `ERRORS` on a broken stream."""
        ...


ERRORS: tuple[type[Exception], ...] = (
    isal_zlib.error,  # type: ignore[assignment]  # annotated as an instance
    zlib.error,
    OSError,
    EOFError,
    lzma.LZMAError,
    zstandard.ZstdError,
    RuntimeError,
    ValueError,
)
"""What the decompressors raise on broken input."""


class WindowError(Exception):
    """A valid stream that needs more memory than is given to one."""


def _too_large(error: Exception) -> Exception:
    """The error itself, unless what it says is that the stream needs too much memory."""
    told = ("Memory usage limit exceeded", "requires too much memory")
    return WindowError(_TOO_LARGE) if any(text in str(error) for text in told) else error


class _Deflate:
    """zlib or raw deflate, by zlib's `wbits`."""

    def __init__(self, wbits: int) -> None:
        self._inner = isal_zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes]:
        out = self._inner.decompress(data, limit)
        return out, self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail


class _Gzip:
    """One gzip member (RFC 1952): its header, deflate data, and its checksum.

    isal's own reading of the header is wrong where the header comes in several pieces, and then gives nothing of what
    is inside. The field's parts are taken in their order: `_parts` are those that are still to come.
    """

    def __init__(self) -> None:
        self._body = _Deflate(-15)
        self._parts = ["fixed"]
        self._head = b""
        self._skip = 0
        self._checksum = 0
        self._size = 0
        self._tail = b""
        self.eof = False

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes | memoryview]:
        rest = memoryview(data)
        while self._parts and rest:
            rest = self._take(rest)
        if self._parts or not rest:
            return b"", rest
        if self._body.eof:
            return b"", self._end(rest)
        out, left = self._body.inflate(rest, limit)
        self._checksum = isal_zlib.crc32(out, self._checksum)
        self._size += len(out)
        return out, self._end(left) if self._body.eof else left

    def _take(self, rest: memoryview) -> memoryview:
        """One part of the header, or what there is of it."""
        part = self._parts[0]
        if self._skip:
            step = min(self._skip, len(rest))
            self._skip -= step
            if not self._skip:
                self._parts.pop(0)
            return rest[step:]
        if part in ("name", "comment"):
            end = bytes(rest).find(b"\0")
            if end < 0:
                return rest[len(rest) :]
            self._parts.pop(0)
            return rest[end + 1 :]
        wanted = {"fixed": 10, "extra": 2, "checksum": 2}[part] - len(self._head)
        self._head += rest[:wanted]
        if len(rest) >= wanted:
            head, self._head = self._head, b""
            if part == "fixed":
                if head[:3] != b"\x1f\x8b\x08":
                    raise ValueError("not a gzip header")
                flags = zip((4, 8, 16, 2), ("extra", "name", "comment", "checksum"), strict=True)
                self._parts = [name for flag, name in flags if head[3] & flag]
            else:
                self._skip = int.from_bytes(head, "little") if part == "extra" else 0
                if not self._skip:
                    self._parts.pop(0)
        return rest[wanted:]

    def _end(self, rest: bytes | memoryview) -> memoryview:
        wanted = 8 - len(self._tail)
        self._tail += bytes(rest[:wanted])
        if len(self._tail) == 8:
            expected = self._checksum.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
            if self._tail != expected:
                raise ValueError("incorrect checksum")
            self.eof = True
        return memoryview(rest)[wanted:]


class _Buffered:
    """bzip2, xz, LZMA and lz4: decompressors that keep the input that they have not used yet."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor | lz4.frame.LZ4FrameDecompressor) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes]:
        given, kept = (data, b"") if self._inner.needs_input else (b"", bytes(data))
        try:
            out = self._inner.decompress(given, limit)
        except lzma.LZMAError as error:
            raise _too_large(error) from None
        return out, (self._inner.unused_data or b"") + kept if self._inner.eof else kept


class _Zstandard:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj(write_size=_STEP)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes | memoryview]:
        # zstandard has no limit on output, and four bytes may give 128 KiB of it: small steps of input bound it.
        step = min(len(data), limit, _ZSTD_STEP)
        try:
            out = self._inner.decompress(data[:step])
        except zstandard.ZstdError as error:
            raise _too_large(error) from None
        rest = memoryview(data)[step:]
        return out, self._inner.unused_data + bytes(rest) if self._inner.eof else rest


def lzma_decoder(header: bytes) -> Inflater:
    """What inflates LZMA without a container: its header is `header`, or the first bytes of the stream when empty."""
    inner = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY)
    try:
        inner.decompress(header)
    except lzma.LZMAError as error:
        raise _too_large(error) from None
    return _Buffered(inner)


DECODERS: dict[str, Callable[[], Inflater]] = {
    "gzip": _Gzip,
    "zlib": lambda: _Deflate(15),
    "deflate": lambda: _Deflate(-15),
    "xz": lambda: _Buffered(lzma.LZMADecompressor(memlimit=_MEMORY)),
    "bzip2": lambda: _Buffered(bz2.BZ2Decompressor()),
    "zstd": _Zstandard,
    "lzma": lambda: lzma_decoder(b""),
    "lz4": lambda: _Buffered(lz4.frame.LZ4FrameDecompressor()),
}
"""What inflates each format."""


def inflate_all(
    inflater: Inflater, data: bytes, step: int = OUTPUT_STEP, start: int = 0
) -> Iterator[tuple[bytes | None, int]]:
    """All output that `data` gives from `start` on, in pieces, each with the bytes of input used.

    (None, 0) comes last on a broken stream. What a decoder had of a step in which it fails is lost: `step` is how many
    bytes that may be.

    Raises:
        WindowError: the stream needs more memory than is given to one.
    """
    position = start
    used = size = 0
    pieces: list[bytes] = []
    broken = False
    # A stream may be one of 100,000, each with as little input.
    width = _FIRST_INPUT_STEP
    while not inflater.eof:
        window = data[position : position + width]
        width = min(4 * width, _INPUT_STEP)
        try:
            out, left = inflater.inflate(window, step)
        except ERRORS:
            broken = True
            break
        taken = len(window) - len(left)
        if not out and not taken:
            break
        position += taken
        used += taken
        size += len(out)
        pieces.append(out)
        if size >= OUTPUT_STEP:
            yield b"".join(pieces), used
            pieces, used, size = [], 0, 0
    if pieces:
        yield b"".join(pieces), used
    if broken:
        yield None, 0


def whole_file_codec(head: bytes) -> str | None:
    """The compression of a whole file, by its first bytes; None when it is not compressed."""
    for kind, magic in _MAGICS:
        if head.startswith(magic):
            return kind
    if _BZIP2.match(head):
        return "bzip2"
    # A zstd frame may be preceded by a skippable one (RFC 8878, 3.1.2), as zstd:chunked layers are.
    if len(head) >= 4 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        return "zstd"
    return None


_MAGICS = (
    ("gzip", b"\x1f\x8b\x08"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("xz", b"\xfd7zXZ\0"),
)
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")


class BrokenStreamError(Exception):
    """A compressed stream that can't be inflated to its end; says whether it is corrupt or truncated."""


def members(pieces: Iterator[bytes], kind: str) -> Iterator[bytes]:
    """What a whole file of a format inflates to: one stream or several, one after the other, padded with zero bytes.

    Raises:
        BrokenStreamError: when all that could be inflated was given.
    """
    ready: list[bytes] = []
    size = 0
    try:
        for out in _members(pieces, kind):
            ready.append(out)
            size += len(out)
            # Members may be of a byte each; whoever reads on has work to do for each piece.
            if size >= OUTPUT_STEP:
                yield b"".join(ready)
                ready, size = [], 0
    except (BrokenStreamError, WindowError) as error:
        if ready:
            yield b"".join(ready)
        raise BrokenStreamError(f"{kind} stream {error}" if isinstance(error, WindowError) else str(error)) from None
    if ready:
        yield b"".join(ready)


def _members(pieces: Iterator[bytes], kind: str) -> Iterator[bytes]:
    inflater: Inflater | None = DECODERS[kind]()
    for data in pieces:
        at = 0
        while at < len(data):
            if inflater is None:
                # Zero bytes may pad what is behind a member (RFC 1952 leaves it open; tar writers do it).
                behind = _NOT_ZERO.search(data, at)
                if behind is None:
                    break
                at = behind.start()
                inflater = DECODERS[kind]()
            for out, used in inflate_all(inflater, data, start=at):
                if out is None:
                    raise BrokenStreamError(f"corrupt {kind} stream")
                at += used
                yield out
            if not inflater.eof:
                break
            inflater = None
    if inflater is not None:
        raise BrokenStreamError(f"truncated {kind} stream")


_NOT_ZERO = re.compile(rb"[^\0]")
