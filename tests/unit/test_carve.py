"""Which bytes begin a stream: every real one is opened or counted as unread, and what only looks like one is not."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import random
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from container_image.audit import carve
from container_image.audit.hits import Gap, Hit
from container_image.audit.matcher import Matcher
from container_image.audit.needles import targets
from container_image.audit.policy import AuditPolicy
from container_image.audit.scan import Budget, StreamScanner

TOKEN = b"tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
TEXT = b"some text " * 40 + TOKEN + b" and more" * 40
MATCHER = Matcher(targets("TOKEN", 1, TOKEN), carve.MAGICS)
ZLIB = next(magic for magic in carve.MAGICS if magic.kind == "zlib")
LZMA = lzma.compress(TEXT, format=lzma.FORMAT_ALONE)


def scan(*pieces: bytes) -> tuple[list[Hit], list[Gap]]:
    hits: list[Hit] = []
    gaps: list[Gap] = []
    scanner = StreamScanner(Budget(MATCHER, AuditPolicy()), hits, gaps)
    for piece in pieces:
        scanner.feed(piece)
    scanner.finish()
    return hits, gaps


def zip_lzma(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("inner/file.txt", data)
    return out.getvalue()


def lzw(data: bytes) -> bytes:
    """What `compress` writes for data without a string that comes twice: a code of nine bits for each byte."""
    bits = sum(byte << 9 * number for number, byte in enumerate(data[:200]))
    return b"\x1f\x9d\x90" + bits.to_bytes(-(-len(data[:200]) * 9 // 8), "little")


def words(seed: int, size: int) -> bytes:
    return bytes(random.Random(seed).choices(b"abcdefgh ", k=size))


LONG = words(1, 200_000) + TOKEN + words(2, 200_000)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "lz4": lambda data: lz4.frame.compress(data, block_size=lz4.frame.BLOCKSIZE_MAX4MB),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_a_stream_of_any_length_is_opened(kind: str) -> None:
    hits, _ = scan(b"x" * 999 + PACKERS[kind](LONG) + bytes(999))
    assert (kind,) in [hit.via for hit in hits]


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("cut", [100, 700, 5_000])
def test_what_follows_a_stream_that_breaks_off_is_opened(kind: str, cut: int) -> None:
    broken = PACKERS[kind](words(3, 400_000))[:60_000]
    stream = broken + gzip.compress(TEXT) + random.Random(4).randbytes(99_000)
    hits, _ = scan(stream[: len(broken) + cut], stream[len(broken) + cut :])
    assert [hit for hit in hits if hit.via[-1:] == ("gzip",)]


@pytest.mark.parametrize("kind", ["gzip", "zlib", "xz", "lzma"])
def test_what_a_broken_stream_gives_before_it_breaks_is_searched(kind: str) -> None:
    packed = PACKERS[kind](LONG)
    hits, _ = scan(packed[: len(packed) * 3 // 4] + random.Random(5).randbytes(99_000))
    assert [hit.via for hit in hits] == [(kind,)]


@pytest.mark.parametrize("preset", range(10))
def test_lzma_without_a_container_is_opened(preset: int) -> None:
    packed = lzma.compress(TEXT, format=lzma.FORMAT_ALONE, preset=preset)
    hits, _ = scan(b"before" * 77 + packed + b"after" * 77)
    assert [hit.via for hit in hits] == [("lzma",)]


@pytest.mark.parametrize(
    ("kind", "packed"),
    [
        ("lzma", LZMA[:5] + struct.pack("<Q", len(TEXT)) + LZMA[13:]),
        ("lzip", b"LZIP\x01\x17" + LZMA[13:] + bytes(20)),
        ("zip", zip_lzma(TEXT)),
    ],
)
def test_what_lzma_is_inside_of_is_opened(kind: str, packed: bytes) -> None:
    hits, gaps = scan(packed + bytes(100))
    assert [hit.via for hit in hits] == [(kind,)]
    assert gaps == []


@pytest.mark.parametrize(
    ("kind", "packed"),
    [
        ("compress", lzw(bytes(range(32, 127)))),
        ("lz4 (legacy)", b"\x02\x21\x4c\x18" + bytes(400)),
        ("lzop", b"\x89LZO\0\r\n\x1a\n" + bytes(400)),
        ("snappy", b"\xff\6\0\0sNaPpY" + bytes(400)),
    ],
)
def test_what_cannot_be_opened_is_unread_at_the_start_of_a_file(kind: str, packed: bytes) -> None:
    assert scan(bytes(512) + packed)[1] == [Gap(512, f"no decoder for {kind}")]
    assert scan(bytes(500) + packed)[1] == []


RAR_4 = struct.pack("<BHHHI", 0x73, 0, 13, 0, 0)
RAR_5 = bytes([11, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
SEVEN_ZIP = struct.pack("<QQI", 1234, 56, 78)
ARCHIVES = {
    "7z": b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(SEVEN_ZIP)) + SEVEN_ZIP,
    "rar": b"Rar!\x1a\7\0" + struct.pack("<H", zlib.crc32(RAR_4) & 0xFFFF) + RAR_4,
    "rar 5": b"Rar!\x1a\7\1\0" + struct.pack("<I", zlib.crc32(RAR_5)) + RAR_5,
    "cab": b"MSCF" + struct.pack("<IIIIIBB", 0, 4096, 0, 44, 0, 3, 1),
}


@pytest.mark.parametrize("archive", ARCHIVES)
def test_what_cannot_be_opened_is_unread_wherever_its_header_is_whole(archive: str) -> None:
    kind = archive.split()[0]
    assert scan(bytes(501) + ARCHIVES[archive] + bytes(400))[1] == [Gap(501, f"no decoder for {kind}")]
    if kind in ("7z", "rar"):
        damaged = ARCHIVES[archive][:-1] + b"!"
        assert scan(bytes(512) + damaged + bytes(400))[1] == []


@pytest.mark.parametrize(("number", "codec"), [(1, None), (2, "lzma"), (3, "lzo"), (4, None), (5, "lz4"), (6, None)])
def test_a_squashfs_image_is_unread_where_its_blocks_say_nothing(number: int, codec: str | None) -> None:
    block = b"hsqs" + struct.pack("<IIIIHHHHHH", 1, 0, 131072, 0, number, 17, 0, 1, 4, 0) + bytes(64)
    assert scan(bytes(512) + block + bytes(99))[1] == ([Gap(512, f"squashfs with {codec}")] if codec else [])


def png(data: bytes, size: int, *others: tuple[bytes, bytes]) -> bytes:
    pieces = [(b"IDAT", data[at : at + size]) for at in range(0, len(data), size)]
    chunks = [(b"IHDR", bytes(13)), *others, *pieces, (b"IEND", b"")]
    framed = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.parametrize("size", [20, 333, 8192, 1 << 20])
@pytest.mark.parametrize("step", [1 << 20, 97])
def test_the_chunks_of_an_image_are_one_stream(size: int, step: int) -> None:
    image = bytes(77) + png(zlib.compress(LONG), size) + gzip.compress(TEXT)
    hits, gaps = scan(*(image[at : at + step] for at in range(0, len(image), step)))
    assert [hit.via for hit in hits] == [("png", "zlib"), ("gzip",)]
    assert gaps == []


def test_compressed_text_beside_an_image_is_opened() -> None:
    image = png(zlib.compress(words(1, 9000)), 512, (b"zTXt", b"Comment\0\0" + zlib.compress(TEXT)))
    assert [hit.via for hit in scan(image)[0]] == [("png", "zlib")]
    assert [hit.via for hit in scan(image[:-30] + b"\1\2\3\4" * 99 + gzip.compress(TEXT))[0]][-1:] == [("gzip",)]


def pdf(filters: bytes, data: bytes) -> bytes:
    return b"%%PDF-1.4\n5 0 obj\n<< /Length %d /Filter [ %b ] >>\nstream\r\n%b\nendstream\nendobj\n" % (
        len(data),
        filters,
        data,
    )


def test_the_streams_of_a_pdf_are_opened_or_unread() -> None:
    packed = base64.a85encode(zlib.compress(TEXT), wrapcol=70) + b"~>"
    hits, gaps = scan(pdf(b"/ASCII85Decode /FlateDecode", packed))
    assert ([hit.via for hit in hits], gaps) == ([("ascii85", "zlib")], [])
    hits, gaps = scan(pdf(b"/FlateDecode", zlib.compress(TEXT)))
    assert ([hit.via for hit in hits], gaps) == ([("zlib",)], [])
    assert [gap.reason for gap in scan(pdf(b"/LZWDecode", bytes(99)))[1]] == ["PDF stream with LZWDecode"]
    assert [gap.reason for gap in scan(b"trailer << /Encrypt 12 0 R /ID [] >>")[1]] == ["encrypted PDF"]
    assert scan(b"/LZWDecode\0/ASCII85Decode\0/Encrypt \0" * 9) == ([], [])


def git(directory: Path, *arguments: str) -> bytes:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "gc.auto=0"]
    return subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True).stdout


@pytest.mark.parametrize("step", [1 << 20, 97])
def test_what_a_delta_of_a_pack_changes_is_found(tmp_path: Path, step: int) -> None:
    # A value of over 127 bytes is in pieces; one that shares an end with what was there before is only partly in the delta.
    value = "".join(
        random.Random(8).choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", k=900)
    ).encode()
    page = words(6, 30_000)
    git(tmp_path, "init", "--quiet")
    former = value[:300] + words(9, 600)
    for text in (page + value + page[:9000] + b"newest", page + former + page[:9000], page + b"nothing" + page[:9000]):
        (tmp_path / "file").write_bytes(text)
        git(tmp_path, "add", "file")
        git(tmp_path, "commit", "--quiet", "-m", "change")
    git(tmp_path, "repack", "-adfq", "--depth=50")
    listed = git(tmp_path, "verify-pack", "-v", *map(str, tmp_path.glob(".git/objects/pack/*.idx"))).decode()
    assert listed.count(" blob ") == 3
    assert "chain length" in listed
    (packed,) = tmp_path.glob(".git/objects/pack/*.pack")
    stream = bytes(11) + packed.read_bytes() + bytes(11)
    for secret in (value, former):
        hits: list[Hit] = []
        scanner = StreamScanner(Budget(Matcher(targets("TOKEN", 1, secret), carve.MAGICS), AuditPolicy()), hits, [])
        for at in range(0, len(stream), step):
            scanner.feed(stream[at : at + step])
        scanner.finish()
        assert (1.0, ("git-pack",)) in [(hit.run.fraction, hit.via) for hit in hits]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_behind_a_weak_magic_are_no_stream(tail: bytes) -> None:
    noise = random.Random(len(tail)).randbytes(100)
    assert scan(b"\x1f\x9d\x90" + noise)[1] == []
    assert scan(b"MSCF" + noise)[1] == []
    assert scan(b"\x5d" + tail)[1] == []


STRATEGIES = [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED]
CONTENTS: list[Callable[[random.Random, int], bytes]] = [
    lambda rng, size: rng.randbytes(size),
    lambda _rng, size: bytes(size),
    lambda rng, size: bytes([rng.randrange(256)]) * size,
    lambda rng, size: bytes(rng.choices(b"abcdefgh \n", k=size)),
    lambda rng, size: (bytes(rng.choices(range(256), k=3)) * size)[:size],
]


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    size=st.integers(0, 30) | st.integers(30, 40_000),
    content=st.sampled_from(CONTENTS),
    level=st.integers(-1, 9),
    window=st.integers(9, 15),
    memory=st.integers(1, 9),
    strategy=st.sampled_from(STRATEGIES),
    flush=st.sampled_from([None, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_BLOCK]),
)
def test_every_zlib_stream_passes_the_check_of_its_header(
    seed: int,
    size: int,
    content: Callable[[random.Random, int], bytes],
    level: int,
    window: int,
    memory: int,
    strategy: int,
    flush: int | None,
) -> None:
    data = content(random.Random(seed), size)
    packer = zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)
    packed = b"" if flush is None else packer.flush(flush)
    packed += packer.compress(data[: size // 2])
    packed += b"" if flush is None else packer.flush(flush)
    packed += packer.compress(data[size // 2 :]) + packer.flush()
    _, openings = MATCHER.scan(b"xyz" + packed + b"tail" * 9, 0)
    assert 3 in [at for _, at, _ in openings]
    assert carve.opening(ZLIB, b"xyz" + packed, 3) is not None
