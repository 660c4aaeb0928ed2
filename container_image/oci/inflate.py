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
OUTPUT_STEP = 1 << 20
CAREFUL_STEP = 1 << 9


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


class _Deflate:
    """gzip, zlib or raw deflate, by zlib's `wbits`."""

    def __init__(self, wbits: int) -> None:
        self._inner = isal_zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes]:
        out = self._inner.decompress(data, limit)
        return out, self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail


class _Buffered:
    """bzip2, xz, LZMA and lz4: decompressors that keep the input that they have not used yet."""

    def __init__(self, inner: bz2.BZ2Decompressor | lzma.LZMADecompressor | lz4.frame.LZ4FrameDecompressor) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes]:
        given, kept = (data, b"") if self._inner.needs_input else (b"", bytes(data))
        out = self._inner.decompress(given, limit)
        return out, (self._inner.unused_data or b"") + kept if self._inner.eof else kept


class _Zstandard:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj(write_size=_STEP)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes | memoryview]:
        # zstandard has no limit on output, and four bytes may give 128 KiB of it: small steps of input bound it.
        step = min(len(data), limit, _ZSTD_STEP)
        out = self._inner.decompress(data[:step])
        rest = memoryview(data)[step:]
        return out, self._inner.unused_data + bytes(rest) if self._inner.eof else rest


def lzma_decoder(header: bytes) -> Inflater:
    """What inflates LZMA without a container: its header is `header`, or the first bytes of the stream when empty."""
    inner = lzma.LZMADecompressor(lzma.FORMAT_ALONE)
    inner.decompress(header)
    return _Buffered(inner)


DECODERS: dict[str, Callable[[], Inflater]] = {
    "gzip": lambda: _Deflate(31),
    "zlib": lambda: _Deflate(15),
    "deflate": lambda: _Deflate(-15),
    "xz": lambda: _Buffered(lzma.LZMADecompressor()),
    "bzip2": lambda: _Buffered(bz2.BZ2Decompressor()),
    "zstd": _Zstandard,
    "lzma": lambda: lzma_decoder(b""),
    "lz4": lambda: _Buffered(lz4.frame.LZ4FrameDecompressor()),
}
"""What inflates each format."""


def inflate_all(inflater: Inflater, data: bytes, step: int = OUTPUT_STEP) -> Iterator[tuple[bytes | None, int]]:
    """All output that `data` gives, in pieces, each with the bytes of input used; (None, 0) last on a broken stream.

    What a decoder had of a step in which it fails is lost: `step` is how many bytes that may be.
    """
    position = used = size = 0
    pieces: list[bytes] = []
    broken = False
    while not inflater.eof:
        window = data[position : position + _INPUT_STEP]
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
    inflater: Inflater | None = DECODERS[kind]()
    for piece in pieces:
        data = piece
        while data:
            if inflater is None:
                # Zero bytes may pad what is behind a member (RFC 1952 leaves it open; tar writers do it).
                data = data.lstrip(b"\0")
                if not data:
                    break
                inflater = DECODERS[kind]()
            used = 0
            for out, step in inflate_all(inflater, data):
                if out is None:
                    raise BrokenStreamError(f"corrupt {kind} stream")
                used += step
                yield out
            data = data[used:]
            if not inflater.eof:
                break
            inflater = None
    if inflater is not None:
        raise BrokenStreamError(f"truncated {kind} stream")
