"""Redaction: whatever the chunks, no contiguous form of a value gets through, and nothing else is changed."""

from __future__ import annotations

import base64
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import SecretValue
from container_image.build.redact import Redactor

VALUE = b"tok9aZ8bY7cX6dW5eV4f/+"
FORMS = [
    VALUE,
    base64.b64encode(b"ci:" + VALUE)[4:-4],
    VALUE.hex().encode(),
    VALUE[::-1],
    b"tok9aZ8bY7cX6dW5eV4f%2F%2B",
]
PIECES = st.one_of(st.binary(max_size=12), st.sampled_from(FORMS), st.sampled_from([VALUE[:9], VALUE[3:]]))


def through(redactor: Redactor, data: bytes, cuts: list[int]) -> bytes:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    shown = b"".join(redactor.feed("s", data[a:b]) for a, b in itertools.pairwise(places))
    return shown + redactor.flush("s")


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=6), st.lists(st.integers(0, 500), max_size=8))
def test_no_form_gets_through_however_the_output_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    redactor = Redactor([SecretValue("T", VALUE)])
    shown = through(redactor, data, cuts)
    assert not any(form in shown for form in (VALUE, VALUE.hex().encode(), VALUE[::-1]))
    assert shown == through(Redactor([SecretValue("T", VALUE)]), data, [])
    assert (redactor.seen == {"T"}) == (b"[T]" in shown) or b"[T]" in data


@given(st.binary(max_size=300), st.lists(st.integers(0, 500), max_size=8))
def test_other_output_is_unchanged(data: bytes, cuts: list[int]) -> None:
    assert through(Redactor([SecretValue("T", VALUE)]), data, cuts) == data


def test_long_lines_of_a_multi_line_value_are_redacted_and_short_ones_are_not() -> None:
    redactor = Redactor([SecretValue("K", b"{\nfirst-long-line-of-it\n}\n")])
    assert redactor.text("{ first-long-line-of-it }") == "{ [K] }"
