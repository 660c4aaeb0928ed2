"""The rule for needles: however a form is wrapped, indented or cut to half, a hit is found and measured."""

from __future__ import annotations

import base64
import random
import string

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from container_image.audit.hits import Hit, distinct
from container_image.audit.matcher import Matcher
from container_image.audit.needles import targets
from container_image.audit.policy import AuditPolicy
from container_image.audit.scan import Budget, StreamScanner
from container_image.forms import forms, searchable

ALPHABET = string.ascii_letters + string.digits + "/+_-"


def token(seed: int, length: int) -> bytes:
    """A random value, the same for the same seed; hypothesis draws the seed, so that shrinking stays fast."""
    return "".join(random.Random(seed).choices(ALPHABET, k=length)).encode()


def search(value: bytes, stream: bytes, step: int = 1 << 20) -> list[Hit]:
    return hits_of(Matcher(targets("TOKEN", 1, value), ()), *pieces_of(stream, step))


def pieces_of(stream: bytes, step: int) -> list[bytes]:
    return [stream[start : start + step] for start in range(0, len(stream), step)]


def hits_of(matcher: Matcher, *pieces: bytes) -> list[Hit]:
    hits: list[Hit] = []
    scanner = StreamScanner(Budget(matcher, AuditPolicy()), hits, [])
    for piece in pieces:
        scanner.feed(piece)
    scanner.finish()
    return distinct(hits, lambda target: target.secret)


def wrap(data: bytes, width: int, newline: bytes, indent: bytes) -> bytes:
    lines = [indent + data[start : start + width] for start in range(0, len(data), width)]
    return newline.join(lines) + newline


LENGTHS = st.one_of(st.integers(8, 64), st.integers(64, 4096))
ENCODINGS = {
    "raw": lambda value: value,
    "base64": base64.b64encode,
    "base64 of user:token": lambda value: base64.b64encode(b"user:" + value),
    "hex": lambda value: value.hex().encode(),
    "reversed": lambda value: value[::-1],
}


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    length=LENGTHS,
    width=st.integers(4, 200),
    newline=st.sampled_from([b"\n", b"\r\n"]),
    indent=st.sampled_from([b"", b"  ", b"\t", b" " * 12]),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    noise=st.integers(0, 2000),
)
@example(seed=1, length=8, width=4, newline=b"\r\n", indent=b"  ", encoding="raw", noise=0)
@example(seed=1, length=400, width=76, newline=b"\n", indent=b"", encoding="base64", noise=10)
@example(seed=1, length=3072, width=76, newline=b"\r\n", indent=b"    ", encoding="base64", noise=10)
@example(seed=1, length=512_000, width=64, newline=b"\n", indent=b"", encoding="base64", noise=99)
@example(seed=2, length=512_000, width=7, newline=b"\n", indent=b"", encoding="raw", noise=99)
def test_a_wrapped_value_is_found_whole(
    seed: int, length: int, width: int, newline: bytes, indent: bytes, encoding: str, noise: int
) -> None:
    value = token(seed, length)
    before = random.Random(seed + 1).randbytes(noise)
    stream = before + b"\n" + wrap(ENCODINGS[encoding](value), width, newline, indent) + b"\0end"
    hits = search(value, stream)
    assert [hit.run.fraction for hit in hits] == [1.0]


SPLITS = [b"\n", b"\\\n", b'"\n    "', b"'\n'", b'" +\n    "', b"\\n"]
OWN_NOISE = [b"p'4a'Zs'9q'Xw'2e", b"ab cd ef gh ij kl mn", b'a\\b"c+dE5gH7jK9mN', b"correct horse battery staple"]


@settings(max_examples=40, deadline=None)
@given(
    value=st.sampled_from(OWN_NOISE) | st.builds(token, st.integers(0, 2**32), st.integers(8, 200)),
    width=st.integers(4, 20),
    split=st.sampled_from(SPLITS),
    encoding=st.sampled_from(sorted(ENCODINGS)),
)
@example(value=OWN_NOISE[0], width=4, split=b"\n", encoding="raw")
@example(value=OWN_NOISE[1], width=5, split=b"\n", encoding="raw")
@example(value=token(3, 24), width=4, split=b'"\n    "', encoding="raw")
@example(value=token(3, 24), width=6, split=b"\\\n", encoding="base64")
@example(value=token(0, 8), width=10, split=b"\n", encoding="base64 of user:token")
def test_a_value_split_over_quoted_or_continued_lines_is_found_whole(
    value: bytes, width: int, split: bytes, encoding: str
) -> None:
    data = ENCODINGS[encoding](value)
    stream = b'key = "' + split.join(data[at : at + width] for at in range(0, len(data), width)) + b'"\n\0'
    assert [hit.run.fraction for hit in search(value, stream)] == [1.0]


SEPARATORS = "\\nrt\t\n\r \"'+=\0"
"""Every character of what may stand between two pieces of a value (`audit/noise.py`)."""


@settings(max_examples=50, deadline=None)
@given(
    value=st.text(st.sampled_from(SEPARATORS + "abXY019$&^#"), min_size=8, max_size=40).map(str.encode),
    before=st.text(st.sampled_from(SEPARATORS + "a"), max_size=8).map(str.encode),
    after=st.text(st.sampled_from(SEPARATORS + "a"), max_size=8).map(str.encode),
    cuts=st.lists(st.integers(1, 100), min_size=1, max_size=4),
)
@example(value=rb"XA&$UQA\r2v^sbZv#", before=b"", after=b"", cuts=[])
@example(value=rb"XA&$UQA\r2v^sbZv#", before=b"\\", after=b"n", cuts=[])
@example(value=rb"r2v^sbZv#XA&$UQA", before=b"\\", after=b"", cuts=[])
@example(value=rb"n\n\r\t2v^s\n", before=b"\\", after=b"\\n", cuts=[])
def test_a_value_of_separators_is_found_whole_in_every_form_at_every_split(
    value: bytes, before: bytes, after: bytes, cuts: list[int]
) -> None:
    assume(searchable(value) is None)
    matcher = Matcher(targets("TOKEN", 1, value), ())
    for form in forms(value):
        if form.spelled:
            continue
        codec = form.name if form.name.startswith("utf-") else "ascii"
        stream = before.decode().encode(codec) + form.data + after.decode().encode(codec)
        for split in {0, *cuts} if cuts else range(len(stream)):
            hits = hits_of(matcher, stream[:split], stream[split:])
            assert any(hit.run.fraction == 1.0 for hit in hits), (form.name, form.data, stream, split)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    length=st.integers(8, 200),
    width=st.integers(4, 100),
    split=st.sampled_from(["\n", "\r\n", '"\n    "', "\\\r\n\t"]),
    codec=st.sampled_from(["utf-16-le", "utf-16-be"]),
)
def test_wrapped_text_of_wide_characters_is_found_whole(
    seed: int, length: int, width: int, split: str, codec: str
) -> None:
    text = token(seed, length).decode()
    stream = f"key: {split.join(text[at : at + width] for at in range(0, length, width))} end".encode(codec)
    assert [hit.run.fraction for hit in search(text.encode(), stream)] == [1.0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(24, 600), data=st.data())
def test_half_of_a_value_is_found_wherever_it_begins(seed: int, length: int, data: st.DataObject) -> None:
    value = token(seed, length)
    size = data.draw(st.integers((length + 1) // 2, length - 1))
    start = data.draw(st.integers(0, length - size))
    hits = search(value, b"\0\0\n" + value[start : start + size] + b"\n\0\0")
    assert len(hits) == 1
    # White space, quotes and plus signs are not counted, hence the tolerance.
    assert size / length == pytest.approx(hits[0].run.fraction, abs=0.06)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(16, 300), step=st.integers(1, 64))
def test_how_a_stream_is_cut_into_pieces_makes_no_difference(seed: int, length: int, step: int) -> None:
    value = token(seed, length)
    stream = random.Random(seed).randbytes(700) + value + b"\0" + base64.b64encode(value) + bytes(90)
    whole = [(hit.run.target.form.name, hit.offset) for hit in search(value, stream)]
    pieces = [(hit.run.target.form.name, hit.offset) for hit in search(value, stream, step)]
    assert whole == pieces
    assert len(whole) == 2


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(12, 200), data=st.data())
def test_another_value_that_differs_in_one_character_is_not_a_hit(seed: int, length: int, data: st.DataObject) -> None:
    value = bytes(byte for byte in token(seed, length * 2) if chr(byte).isalnum())[:length]
    place = data.draw(st.integers(0, len(value) - 1))
    other = value[:place] + (b"x" if value[place : place + 1] != b"x" else b"y") + value[place + 1 :]
    assert search(value, b"\0token=" + other + b"\n\0") == []


@given(st.binary(max_size=3000))
@settings(deadline=None)
def test_any_bytes_can_be_searched(stream: bytes) -> None:
    assert search(b"sUp3r-s3cret-t0ken", stream) == []


@pytest.mark.parametrize("quoted", [b'"%s" \\\n  "%s"', b"'%s' +\n    '%s'", b"%s\\\n%s", b"%s\\n%s"])
def test_a_value_split_over_two_lines_of_source_code_is_found(quoted: bytes) -> None:
    value = token(5, 60)
    hits = search(value, b"key = " + quoted % (value[:31], value[31:]) + b"\n")
    assert [hit.run.fraction for hit in hits] == [1.0]


def test_each_occurrence_counts() -> None:
    value = token(6, 40)
    assert len(search(value, b"\n".join([value] * 50_000))) == 50_000
