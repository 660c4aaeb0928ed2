"""Text that stands for bytes is decoded: what each byte is written as, and whatever base64 holds."""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import json
import lzma
import quopri
import random
import textwrap
import zlib
from collections.abc import Callable
from functools import lru_cache

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from container_image.audit import carve
from container_image.audit.hits import Gap, Hit, distinct
from container_image.audit.matcher import Matcher
from container_image.audit.needles import targets
from container_image.audit.policy import AuditPolicy
from container_image.audit.scan import Budget, StreamScanner
from container_image.forms import forms

TOKEN = b"tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"


@lru_cache(maxsize=1)
def matcher(value: bytes) -> Matcher:
    return Matcher(targets("TOKEN", 1, value), carve.MAGICS)


def search(value: bytes, stream: bytes, step: int = 1 << 20) -> list[Hit]:
    hits: list[Hit] = []
    gaps: list[Gap] = []
    scanner = StreamScanner(Budget(matcher(value), AuditPolicy()), hits, gaps)
    for start in range(0, len(stream), step):
        scanner.feed(stream[start : start + step])
    scanner.finish()
    assert gaps == []
    return distinct(hits, lambda target: target.secret)


def random_token(seed: int, length: int) -> bytes:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-.~!$&"
    return "".join(random.Random(seed).choices(alphabet, k=length)).encode()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    length=st.integers(8, 120),
    before=st.binary(max_size=40),
    after=st.binary(max_size=40),
    step=st.sampled_from([1 << 20, 700]),
)
def test_every_form_is_found_at_any_offset(seed: int, length: int, before: bytes, after: bytes, step: int) -> None:
    value = random_token(seed, length)
    for form in forms(value):
        hits = search(value, before + b"\0\n" + form.data + b"\n\0" + after, step)
        assert any(hit.run.fraction == 1 for hit in hits), form.name


@pytest.mark.parametrize("written", [form.name for form in forms(TOKEN) if form.spelled])
@pytest.mark.parametrize("split", ["\n", "\r\n    ", '"\n    "', "\\\n", "' +\n  '"])
def test_what_is_spelled_is_found_over_line_breaks(written: str, split: str) -> None:
    form = next(form for form in forms(TOKEN) if form.name == written)
    units = form.data.replace(b"\\", b" \\").replace(b"%", b" %").replace(b"=", b" =").replace(b"&", b" &").split()
    units = units if len(units) > 1 else [form.data[at : at + 3] for at in range(0, len(form.data), 3)]
    joiner = b" " if form.name in ("decimal( )", "hex( )", "hex-upper( )", "decimal(,)", "hex(0x,)") else b""
    lines = [joiner.join(units[at : at + 5]) for at in range(0, len(units), 5)]
    hits = search(TOKEN, b'key = "' + split.encode().join(lines) + b'"\n\0')
    assert [(hit.run.fraction, len(hit.via)) for hit in hits] == [(1.0, 1)]


# The fewest units on the first line, and how they are written.
SPELLED: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "\\u": (2, lambda value: "".join(f"\\u{byte:04x}" for byte in value).encode()),
    "percent": (2, lambda value: "".join(f"%{byte:02X}" for byte in value).encode()),
    "hex(\\x)": (2, lambda value: "".join(f"\\x{byte:02x}" for byte in value).encode()),
    "hex(:)": (4, lambda value: value.hex(":").encode() + b":"),
}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    length=st.integers(8, 100),
    units=st.integers(2, 30),
    encoding=st.sampled_from(sorted(SPELLED)),
    split=st.sampled_from([b"\n", b"\\\n", b'"\n    "', b"'\n'", b'" +\n    "']),
)
def test_an_encoding_that_spells_every_byte_is_found_where_it_breaks_between_two(
    seed: int, length: int, units: int, encoding: str, split: bytes
) -> None:
    value = random_token(seed, length)
    fewest, spell = SPELLED[encoding]
    data = spell(value)
    width = max(units, fewest) * len(data) // length
    stream = b"\0" + split.join(data[at : at + width] for at in range(0, len(data), width)) + b"\0"
    assert [hit.run.fraction for hit in search(value, stream)] == [1.0]


def test_what_programs_dump_is_found() -> None:
    text = b"line one\npassword: " + TOKEN + b"\nlast line\n"
    hexadecimal = textwrap.wrap(text.hex(" "), 48)
    xxd = "".join(
        f"{at:08x}: {text[at : at + 16].hex(' ', 2):39}  {printable(text[at : at + 16])}\n"
        for at in range(0, len(text), 16)
    )
    canonical = "".join(
        f"{at:08x}  {text[at : at + 8].hex(' '):23}  {text[at + 8 : at + 16].hex(' '):23}  |{printable(text[at : at + 16])}|\n"
        for at in range(0, len(text), 16)
    )
    traced = "".join(
        f"{at:04x}: {text[at : at + 16].hex(' '):47} {printable(text[at : at + 16])}\n"
        for at in range(0, len(text), 16)
    )
    octal = "".join(f"{at:07o} {text[at : at + 16].hex(' ')}\n" for at in range(0, len(text), 16))
    array = ",\n".join(
        "  " + ", ".join(f"0x{byte:02x}" for byte in text[at : at + 12]) for at in range(0, len(text), 12)
    )
    listed = json.dumps({"type": "Buffer", "data": list(text)})
    pretty = json.dumps(list(text), indent=4)
    for dump in (
        "\n".join(hexadecimal),
        xxd,
        canonical,
        traced,
        octal,
        array,
        listed,
        pretty,
        f"[{' '.join(map(str, text))}]",
    ):
        assert [hit.run.fraction for hit in search(TOKEN, dump.encode())] == [1.0], dump


def printable(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "utf-16": lambda data: data.decode().encode("utf-16-le"),
    "base64": base64.b64encode,
    "hex": binascii.hexlify,
    "json": lambda data: json.dumps({"data": base64.b64encode(data).decode()}).encode(),
    "twice": lambda data: base64.b64encode(base64.b64encode(data)),
}
WRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "unpadded": lambda data: base64.urlsafe_b64encode(data).rstrip(b"="),
    "mime": base64.encodebytes,
    "indented": lambda data: b"  data: |\n" + textwrap.indent(base64.encodebytes(data).decode(), "      ").encode(),
    "crlf": lambda data: base64.encodebytes(data).replace(b"\n", b"\r\n"),
    "json string": lambda data: json.dumps(base64.encodebytes(data).decode()).encode(),
    "escaped slashes": lambda data: base64.b64encode(data).replace(b"/", b"\\/"),
    "concatenated": lambda data: b'"' + base64.encodebytes(data).rstrip().replace(b"\n", b'" +\n    "') + b'"',
    "hex": binascii.hexlify,
    "hex lines": lambda data: "\n".join(textwrap.wrap(data.hex(), 60)).encode(),
    "percent": lambda data: "".join(f"%{byte:02x}" for byte in data).encode(),
    "\\x": lambda data: "".join(f"\\x{byte:02x}" for byte in data).encode(),
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("step", [1 << 20, 333])
def test_what_is_packed_and_then_written_as_text_is_found(written: str, packed: str, step: int) -> None:
    noise = "".join(random.Random(3).choices("abcdefgh ", k=3000)).encode()
    text = WRITTEN[written](PACKED[packed](b"some words, and " + TOKEN + b" among them. " + noise))
    hits = search(TOKEN, b"\0before: " + text + b"\nafter " * 3, step)
    assert [hit.run.fraction for hit in hits] == [1.0]


def test_a_value_is_told_once_though_its_text_is_also_decoded() -> None:
    text = base64.b64encode(b"here it is, as JSON would have it: " + TOKEN + b", and no more of it")
    (hit,) = search(TOKEN, text)
    assert (hit.run.target.form.family, hit.via) == ("base64", ())
    assert len(search(TOKEN, text + b"\n\n" + text)) == 2


@settings(max_examples=60, deadline=None)
@given(st.text('0123456789abcdefABCDEF:, -\\x%=&#;u{}\n"+/', max_size=400), st.sampled_from([1 << 20, 17]))
def test_any_text_can_be_decoded(text: str, step: int) -> None:
    assert search(TOKEN, text.encode(), step) == []


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(8, 200), wrapped=st.booleans())
def test_quoted_printable_is_found(seed: int, length: int, wrapped: bool) -> None:
    value = random_token(seed, length).replace(b"+", b"=")
    text = quopri.encodestring(b"x" * (seed % 80) + b" " + value + b"\n")
    assert any(hit.run.fraction == 1 for hit in search(value, text))


def test_a_long_text_takes_no_more_room_than_a_short_one() -> None:
    packed = gzip.compress(random.Random(5).randbytes(6 << 20) + TOKEN + bytes(99))
    for text in (base64.b64encode(packed), base64.encodebytes(packed), packed.hex().encode()):
        assert [hit.via for hit in search(TOKEN, b"x: " + text + b"\n", 1 << 16)] == [(carve_kind(text), "gzip")]


def carve_kind(text: bytes) -> str:
    return "hex" if text[:2] == b"1f" else "base64"
