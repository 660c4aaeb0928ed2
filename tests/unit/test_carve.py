"""Which bytes begin a stream: every real one is opened or counted as unread, and what only looks like one is not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

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
        ("cab", b"MSCF" + struct.pack("<IIIIIBB", 0, 4096, 0, 44, 0, 3, 1) + bytes(400)),
    ],
)
def test_what_cannot_be_opened_is_unread_at_the_start_of_a_file(kind: str, packed: bytes) -> None:
    assert scan(bytes(512) + packed)[1] == [Gap(512, f"no decoder for {kind}")]
    assert scan(bytes(500) + packed)[1] == []


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
