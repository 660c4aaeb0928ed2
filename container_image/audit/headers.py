"""Formats whose first bytes say little: whether the header that they begin is a valid one.

LZMA: the .lzma file format specification of liblzma, and lzip's manual. compress: the LZW codes of ncompress. 7z and RAR:
7zFormat.txt of the LZMA SDK, and technote.txt of RAR.
"""

from __future__ import annotations

import zlib

_DICTIONARY = b"\\x00(?:%s)" % b"|".join(
    b"".join(b"\\x%02x" % byte for byte in size.to_bytes(4, "little")[1:])
    for size in sorted({1 << n for n in range(12, 31)} | {3 << n for n in range(11, 30)})
)
LZMA = rb"(?:[\x01-\xe0]%b\xff{8}|\x5d%b.{5}\x00{3})\x00" % (_DICTIONARY, _DICTIONARY)
"""Properties, a dictionary's size (2^n or 2^n + 2^(n-1)), the size of what is inside, and the coder's first byte, 0.

Where that size is given, only the properties that every writer takes unless told otherwise count: with any, 70,000
places in 100 MB of libraries look like a header.
"""

LZMA_LENGTH = 14
_UNKNOWN_SIZE = b"\xff" * 8
_MAX_SIZE = 1 << 38
_LZW_CODES = 64


def lzma_may_begin(data: bytes, offset: int) -> bool:
    """Whether liblzma would take the header, and the first symbol is a literal, as it must be; not all zero."""
    properties = data[offset]
    size = int.from_bytes(data[offset + 5 : offset + 13], "little")
    coded = data[offset + LZMA_LENGTH : offset + LZMA_LENGTH + 4]
    return (
        properties % 9 + properties // 9 % 5 <= 4
        and (0 < size < _MAX_SIZE or lzma_is_certain(data, offset))
        and any(coded)
        and coded[0] < 0x80
    )


def lzma_is_certain(data: bytes, offset: int) -> bool:
    """Whether the header leaves the size open, with eight bytes that chance does not write."""
    return data[offset + 5 : offset + 13] == _UNKNOWN_SIZE


def lzip_as_lzma(data: bytes, offset: int) -> bytes:
    """The .lzma header that says what a lzip member's header says; empty where that one is not valid."""
    coded = data[offset + 5]
    base = 1 << (coded & 31)
    size = base - base // 16 * (coded >> 5)
    return b"\x5d" + size.to_bytes(4, "little") + _UNKNOWN_SIZE if 1 << 12 <= size <= 1 << 29 else b""


def zip_as_lzma(member: bytes, size: int, *, end_marked: bool) -> bytes:
    """The .lzma header that says what the first 9 bytes of a zip member's data say (APPNOTE 5.8.8)."""
    if len(member) < 9 or member[2:4] != b"\x05\x00":
        return b""
    return member[4:9] + (_UNKNOWN_SIZE if end_marked or not size else size.to_bytes(8, "little"))


def compress_may_begin(data: bytes, offset: int) -> bool:
    """Whether the first codes behind the magic are literals, or refer to what was there before them."""
    coded = data[offset + 3 : offset + 3 + _LZW_CODES * 9 // 8]
    bits = int.from_bytes(coded, "little")
    for number in range(len(coded) * 8 // 9):
        if bits >> 9 * number & 511 > (256 + number if number else 255):
            return False
    return len(coded) > 2


SQUASHFS = rb"hsqs.{24}\x04\x00\x00\x00"
"""The superblock of version 4.0, the only one that is written today."""

SQUASHFS_LENGTH = 32
# gzip, xz and zstd blocks have magics of their own, and are found by these.
_SQUASHFS_UNREAD = {2: "lzma", 3: "lzo", 5: "lz4"}


def squashfs_codec(data: bytes, offset: int) -> str | None:
    """The compression of a squashfs image, where its blocks can't be opened."""
    return _SQUASHFS_UNREAD.get(int.from_bytes(data[offset + 20 : offset + 22], "little"))


def is_archive(kind: str, data: bytes, offset: int) -> bool | None:
    """Whether a 7z or RAR archive begins here: its header has a checksum. None for formats that have none."""
    if kind == "7z":
        expected, header = data[offset + 8 : offset + 12], data[offset + 12 : offset + 32]
        return zlib.crc32(header).to_bytes(4, "little") == expected
    if kind == "rar" and data[offset + 6] == 1:
        # RAR 5: a checksum of the header's size, a variable-length number, and of what it says.
        size, at = 0, offset + 12
        for shift in (0, 7, 14):
            size |= (data[at] & 0x7F) << shift
            at += 1
            if not data[at - 1] & 0x80:
                break
        return zlib.crc32(data[offset + 12 : at + size]).to_bytes(4, "little") == data[offset + 8 : offset + 12]
    if kind == "rar":
        size = int.from_bytes(data[offset + 12 : offset + 14], "little")
        checksum = zlib.crc32(data[offset + 9 : offset + 7 + size]) & 0xFFFF
        return data[offset + 9] == 0x73 and checksum.to_bytes(2, "little") == data[offset + 7 : offset + 9]
    # The pattern of a cabinet has ten bytes of zero in their places; other magics are in the programs that know them.
    return True if kind == "cab" else None
