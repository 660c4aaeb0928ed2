"""The forms of a value: each decodes back to it, and none is missing from what its encoder writes."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
import xml.sax.saxutils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_image.forms import forms, searchable

VALUES = st.binary(min_size=1, max_size=200).filter(lambda value: bool(value.strip(b" \t\r\n\v\f\"'")))
TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'"), min_size=8, max_size=80)


def data(value: bytes) -> list[bytes]:
    return [form.data for form in forms(value)]


@given(TOKENS, st.binary(max_size=8), st.binary(max_size=8))
def test_base64_of_anything_around_a_value_holds_one_of_its_forms(token: str, before: bytes, after: bytes) -> None:
    whole = before + token.encode() + after
    for encoded in (base64.b64encode(whole), base64.urlsafe_b64encode(whole)):
        assert any(form in encoded for form in data(token.encode()))


@given(st.lists(TOKENS, min_size=2, max_size=4), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["\n", "\r\n"]))
def test_lines_may_end_otherwise_before_they_are_encoded(lines: list[str], ends: str, other: str) -> None:
    encoded = base64.b64encode(b"x" * len(lines) + other.join(lines).encode() + b"y")
    assert any(form in encoded for form in data(ends.join(lines).encode()))


@given(TOKENS)
def test_common_encoders_write_a_form(token: str) -> None:
    value = token.encode()
    written = data(value)
    assert value in written
    assert value.hex().encode() in written
    assert value.hex().upper().encode() in written
    assert html.escape(token).encode() in written
    assert html.escape(token).replace("&#x27;", "&#39;").encode() in written
    assert xml.sax.saxutils.escape(token).encode() in written
    assert urllib.parse.quote(token, safe="").encode() in written
    assert urllib.parse.quote(token).encode() in written
    assert urllib.parse.quote_plus(token).encode() in written
    assert json.dumps(token)[1:-1].encode() in written
    assert token.encode("utf-16-le") in written
    assert token.encode("utf-16-be") in written
    assert value[::-1] in written


@pytest.mark.parametrize(
    "quotes", [("&quot;", "&#x27;"), ("&quot;", "&apos;"), ("&#34;", "&#39;"), ("&quot;", "&#039;")]
)
def test_every_writer_of_quotes_in_markup_writes_a_form(quotes: tuple[str, str]) -> None:
    assert f"a&amp;b{quotes[0]}c{quotes[1]}d1234".encode() in data(b"a&b\"c'd1234")


@given(VALUES)
def test_every_form_is_distinct_and_none_shows_the_value_in_its_repr(value: bytes) -> None:
    written = forms(value)
    assert len({form.data for form in written}) == len(written)
    assert all(form.data and form.expansion >= 1 for form in written)
    assert all(repr(form) == f"Form({form.name!r})" for form in written)


@pytest.mark.parametrize("value", [b"token-1234\n", b'"token-1234"', b"  token-1234  ", b"'token-1234'\n"])
def test_white_space_and_quotes_around_a_value_are_not_part_of_it(value: bytes) -> None:
    assert data(value) == data(b"token-1234")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"admin", "too short"),
        (b"1234", "too short"),
        (b"1234567\n", "too short"),
        (b"password", "low entropy"),
        (b"12345678", "low entropy"),
        (b"aaaaaaaaaaaaaaaaaaaaaaaa", "low entropy"),
        (b"aB3$xY9q", None),
        (b"k7f2m9x1", None),
        (bytes(range(8)), None),
    ],
)
def test_what_cannot_be_searched_for_says_why(value: bytes, reason: str | None) -> None:
    assert searchable(value) == reason
