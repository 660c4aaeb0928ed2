"""Streams inside streams: the formats that are recognised by their first bytes, and how each is inflated.

A candidate whose header is invalid, or that fails before 256 bytes came out of it, is a stray magic. Formats: gzip
RFC 1952, zlib RFC 1950, zip APPNOTE 4.3.7, zstd RFC 8878, xz and bzip2 and lz4 by their own specifications.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from container_image.audit import headers, pack, png
from container_image.audit.matcher import Magic
from container_image.audit.spelled import SPELLINGS, Ascii85, Decoder, Digits, Spelled, digits_at, is_spelled
from container_image.oci.inflate import DECODERS, Inflater, lzma_decoder

MIN_OUTPUT = 256
"""Bytes that a broken stream must give before it counts as one: 9,513 magics in a Go binary gave none this much."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A place where a stream begins: `skip` bytes of header before what `make()` inflates.

    `unreadable` says why nothing here can inflate it; then `make` is None. `at_start` is true for what counts at the
    start of a file only: elsewhere, it is in a program that knows the format. For text, `decode()` is there instead.
    """

    kind: str
    skip: int
    make: Callable[[], Inflater] | None
    unreadable: str | None = None
    at_start: bool = False
    decode: Callable[[], Decoder] | None = None


def _zlib_magics() -> list[Magic]:
    """Every valid CMF and FLG pair without a dictionary, with the first byte of deflate data behind it.

    That byte's block type is not 3, and with dynamic Huffman codes there are at most 286 of them (RFC 1951, 3.2.7);
    a fixed Huffman block does not begin with a match, as there is nothing yet to copy.
    """
    magics = []
    for cmf in range(0x08, 0x80, 0x10):
        flags = [flag for flag in range(256) if (cmf * 256 + flag) % 31 == 0 and not flag & 0x20]
        thirds = [byte for byte in range(256) if _starts_deflate(byte)]
        magics.append(Magic("zlib", b"\\x%02x" % cmf + _one_of(flags) + _one_of(thirds), 3, _zlib_may_begin))
    return magics


def _starts_deflate(byte: int) -> bool:
    block_type, rest = byte >> 1 & 3, byte >> 3
    if block_type == 2:
        return rest <= 29
    if block_type == 1:
        return int(f"{rest:05b}"[::-1], 2) not in range(1, 6)
    return block_type == 0


def _kraft_sums() -> list[int]:
    """For every four code lengths of 3 bits each: the sum of 2^-length, in 128ths; an unused code has length 0."""
    shares = [0, *(128 >> length for length in range(1, 8))]
    return [sum(shares[four >> shift & 7] for shift in (0, 3, 6, 9)) for four in range(1 << 12)]


_KRAFT_SUMS = _kraft_sums()
_ZLIB_ROOM = 12


def _zlib_may_begin(data: bytes, offset: int) -> bool:
    """Whether the first deflate block's header is valid (RFC 1951, 3.2.4 and 3.2.7).

    The magic's two bytes are the commonest instruction of x86-64: in 350 MB of programs they are there 650,000 times,
    and nearly all of them fail here.
    """
    if len(data) < offset + _ZLIB_ROOM:
        return True
    bits = int.from_bytes(data[offset + 2 : offset + _ZLIB_ROOM], "little")
    if bits & 4:
        # The code lengths' own code, of 4 to 19 lengths, is complete: nothing less is accepted by zlib.
        codes = bits >> 17 & (1 << 3 * ((bits >> 13 & 15) + 4)) - 1
        sums = _KRAFT_SUMS
        return (
            sums[codes & 4095]
            + sums[codes >> 12 & 4095]
            + sums[codes >> 24 & 4095]
            + sums[codes >> 36 & 4095]
            + sums[codes >> 48]
        ) == 128
    if bits & 2:
        return _fixed_codes_may_begin(bits >> 3)
    # A stored block has its length twice, the second one inverted.
    return (bits >> 8 ^ bits >> 24) & 0xFFFF == 0xFFFF


def _reverse(number: int, width: int) -> int:
    return int(f"{number:0{width}b}"[::-1], 2)


def _fixed_codes() -> list[tuple[int, int, int]]:
    """For every nine bits to come: the fixed code's width, its symbol, and that one's extra bits (RFC 1951, 3.2.5-6)."""
    table = [(0, 0, 0)] * 512
    for width, first, symbols in (
        (7, 0b0000000, range(256, 280)),
        (8, 0b00110000, range(144)),
        (8, 0b11000000, range(280, 288)),
        (9, 0b110010000, range(144, 256)),
    ):
        for code, symbol in enumerate(symbols, first):
            extra = (symbol - 261) // 4 if 265 <= symbol < 285 else 0
            # Huffman codes come with their most significant bit first, unlike everything else.
            for high in range(0, 512, 1 << width):
                table[high | _reverse(code, width)] = (width, symbol, extra)
    return table


_FIXED_CODES = _fixed_codes()
# The least distance of each distance code; the last two are not valid.
_DISTANCES = [1, 2, *(((2 + code % 2) << (code // 2 - 1)) + 1 for code in range(2, 30)), 1 << 16, 1 << 16]
_LEAST_DISTANCE = [_DISTANCES[_reverse(bits, 5)] for bits in range(32)]


def _fixed_codes_may_begin(bits: int) -> bool:
    """Whether the first match of a block with fixed codes copies what is there to copy."""
    for produced in range(7):
        width, symbol, extra = _FIXED_CODES[bits & 511]
        bits >>= width
        if symbol > 256:
            return symbol < 286 and _LEAST_DISTANCE[bits >> extra & 31] <= produced
        if symbol == 256:
            break
    return True


def _one_of(values: list[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % value for value in values) + b"]"


_STREAMS: tuple[Magic, ...] = (
    Magic("gzip", rb"\x1f\x8b\x08[\x00-\x1f]", 4),
    Magic("zip", rb"PK\x03\x04", 4),
    Magic("xz", rb"\xfd7zXZ\x00", 6),
    Magic("bzip2", rb"BZh[1-9]1AY&SY", 10),
    Magic("zstd", rb"\x28\xb5\x2f\xfd", 4),
    Magic("lz4", rb"\x04\x22\x4d\x18", 4),
    Magic("7z", rb"7z\xbc\xaf\x27\x1c\x00[\x00-\x04]", 8),
    Magic("rar", rb"Rar!\x1a\x07[\x00\x01]", 7),
    Magic("png", png.BEGINS, png.LENGTH),
    Magic("git-pack", pack.BEGINS, pack.LENGTH),
    Magic("squashfs", headers.SQUASHFS, headers.SQUASHFS_LENGTH),
    Magic("pdf", rb"/LZWDecode", 10),
    Magic("pdf", rb"/ASCII85Decode", 14),
    Magic("pdf", rb"/Encrypt ", 9),
    Magic("lzop", rb"\x89LZO\x00\r\n\x1a\n", 9),
    Magic("snappy", rb"\xff\x06\x00\x00sNaPpY", 10),
    Magic("lz4 (legacy)", rb"\x02\x21\x4c\x18", 4),
    Magic("compress", rb"\x1f\x9d[\x09-\x10\x89-\x90]", 3),
    Magic("cab", rb"MSCF\x00{4}.{4}\x00{4}.{4}\x00{4}\x03\x01", 26),
    Magic("lzma", headers.LZMA, headers.LZMA_LENGTH, headers.lzma_may_begin),
    Magic("lzip", rb"LZIP\x01[\x0c-\xfd]", 6),
    *_zlib_magics(),
)
MAGICS = (
    *_STREAMS,
    *(Magic(item.kind, item.begins, item.length, spelling=item) for item in SPELLINGS),
)
DIGITS = Magic("base64", b"", 0)
"""What runs of base64 and hexadecimal digits go by; they are not found by a magic."""
TEXT_KINDS = frozenset({DIGITS.kind, "ascii85", *(item.kind for item in SPELLINGS)})
"""What `via` calls text that was decoded."""

_BEGINS_STREAM = re.compile(b"|".join(magic.pattern for magic in _STREAMS), re.DOTALL)


def opening(magic: Magic, data: bytes, offset: int) -> Opening | None:
    """What begins at `offset` of `data`, or None where it is a stray magic by its header alone."""
    kind = magic.kind
    if magic is DIGITS:
        return _digits(data, offset)
    if (spelling := magic.spelling) is not None:
        if not is_spelled(spelling, data, offset):
            return None
        return Opening(kind, 0, None, decode=lambda: Spelled(spelling))
    if kind == "zlib":
        return Opening(kind, 0, DECODERS["zlib"]) if _zlib_may_begin(data, offset) else None
    if kind == "zip":
        return _zip_member(data, offset)
    if kind == "lzip":
        header = headers.lzip_as_lzma(data, offset)
        return Opening(kind, 6, lambda: lzma_decoder(header)) if header else None
    if kind == "compress" and not headers.compress_may_begin(data, offset):
        return None
    if kind == "gzip" and not data[offset + 3] and not _zlib_may_begin(data, offset + 8):
        # Without optional fields, deflate data begin behind ten bytes; zlib's behind two.
        return None
    if kind == "squashfs":
        codec = headers.squashfs_codec(data, offset)
        return Opening(kind, 0, None, f"squashfs with {codec}") if codec else None
    if kind == "pdf":
        return _pdf(data, offset)
    if kind in _CHUNKED:
        return Opening(kind, 0, _CHUNKED[kind])
    if kind not in DECODERS:
        certain = headers.is_archive(kind, data, offset)
        if certain is False:
            return None
        return Opening(kind, 0, None, f"no decoder for {kind}", at_start=certain is None)
    if kind == "lzma":
        return Opening(kind, 0, DECODERS[kind], at_start=not headers.lzma_is_certain(data, offset))
    return Opening(kind, 0, DECODERS[kind])


_CHUNKED: dict[str, Callable[[], Inflater]] = {"png": png.Png, "git-pack": pack.Pack}


def _digits(data: bytes, offset: int) -> Opening | None:
    found = digits_at(data, offset, lambda head: _BEGINS_STREAM.match(head) is not None)
    if found is None:
        return None
    kind, skip = found
    return Opening(kind, skip, None, decode=lambda: Digits(kind))


# What names a filter stands before the stream, or the next filter's name does; programs hold the names alone.
_PDF = re.compile(rb"/(LZWDecode|ASCII85Decode)\b[^\0]{0,512}?>>\s{0,4}stream\r?\n|/(Encrypt) \d+ \d+ R\b")


def _pdf(data: bytes, offset: int) -> Opening | None:
    """What of a PDF's streams no magic is found in (ISO 32000, 7.4 and 7.6); Flate ones are zlib's."""
    match = _PDF.match(data, offset)
    if match is None:
        return None
    if match[1] == b"ASCII85Decode":
        return Opening("ascii85", match.end() - offset, None, decode=Ascii85)
    return Opening("pdf", 0, None, "encrypted PDF" if match[2] else "PDF stream with LZWDecode")


_ZIP_HEADER = 30
_ZIP_STORED, _ZIP_DEFLATE, _ZIP_LZMA = 0, 8, 14
# Methods whose data begin with a magic of their own, so that they are found there: bzip2, zstd, xz.
_ZIP_SELF_DESCRIBING = frozenset({12, 93, 95})
_ZIP_METHODS = frozenset({1, 2, 3, 4, 5, 6, 9, 10, 12, 14, 16, 18, 19, 20, 93, 94, 95, 96, 97, 98, 99})


def _zip_member(data: bytes, offset: int) -> Opening | None:
    header = data[offset : offset + _ZIP_HEADER]
    if len(header) < _ZIP_HEADER:
        return None
    version, flags, method = (int.from_bytes(header[at : at + 2], "little") for at in (4, 6, 8))
    name_length = int.from_bytes(header[26:28], "little")
    extra_length = int.from_bytes(header[28:30], "little")
    name = data[offset + _ZIP_HEADER : offset + _ZIP_HEADER + name_length]
    if version & 0xFF > 63 or not 0 < name_length <= 4096 or b"\0" in name:
        return None
    if method not in _ZIP_METHODS and method not in (_ZIP_STORED, _ZIP_DEFLATE):
        return None
    skip = _ZIP_HEADER + name_length + extra_length
    if flags & 1:
        return Opening("zip", skip, None, "encrypted zip member")
    if method == _ZIP_DEFLATE:
        return Opening("zip", skip, DECODERS["deflate"])
    if method == _ZIP_STORED or method in _ZIP_SELF_DESCRIBING:
        return None
    if method == _ZIP_LZMA:
        begin = offset + skip
        header = headers.zip_as_lzma(
            data[begin : begin + 9], int.from_bytes(header[22:26], "little"), end_marked=bool(flags & 2)
        )
        return Opening("zip", skip + 9, lambda: lzma_decoder(header)) if header else None
    return Opening("zip", skip, None, f"zip method {method}")
