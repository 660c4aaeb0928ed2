"""Redaction: whatever the pieces, no part that identifies a value gets through in any form, and nothing else is changed."""

from __future__ import annotations

import base64
import itertools
import random
import string
from math import ceil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from container_image import SecretValue
from container_image.build.redact import Redactor
from container_image.evidence import evidence
from container_image.forms import forms, searchable
from container_image.secrets import look_inside

TOKEN = b"tok9aZ8bY7cX6dW5eV4f/+aQ3sK0pLmR2hJ8uNwE"
JWT = (
    base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    + b".eyJzdWIiOiI5MTIzNDU2In0.dozjgNryP4J3jVmNHl0w5N"
)
PEM = b"""\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIDQ7bF1nq0Zb2cXH0mTt5wN7yJ8oV3kRkQ4uG6sLhD1e
-----END PRIVATE KEY-----
"""
ACCOUNT = b"""\
{
  "type": "service_account",
  "project_id": "the-project",
  "client_secret": "Kq3zPw81LmN0aBcD4eF5gHi7",
  "auth_uri": "https://accounts.example.com/o/oauth2/auth"
}
"""
URL = b"postgres://app:S3cr3tPw9aKz7Yq@db.example.com:5432/app"
HOOK = b"https://hooks.example.com/services/T0QX81/B7ZK32/XKq3zPw81LmN0aBcD4eF5gHi"
# Each with a difficulty of its own: words, filling, white space, public parts, no bits, few bytes.
AWKWARD = [
    TOKEN,
    b"correct-horse-battery-staple",
    b"postgres-dev-9aK3jL0xTz",
    b"password1234",
    b"0" * 30 + b"aZ8bY7cX6dW5" + b"0" * 30,
    b"abc" + b"=" * 20 + b"9aZ8bY7cX6dW5e",
    b"abcdabcdabcdabcdabcd",
    b"12345678",
    b"hunter",
    b"two\nlines-of-9aZ8bY7cX6\n",
    b"\x00\x01\x00\x02\xff\xfe\x00\x03" * 3,
    "pässwörd-3jL0xTz🔑".encode(),
    JWT,
    PEM,
    ACCOUNT,
    URL,
    HOOK,
]
CUTS = st.lists(st.integers(0, 2000), max_size=8)


def redactor(*values: bytes) -> Redactor:
    return Redactor([SecretValue(name, value) for name, value in zip("TUVW", values, strict=False)])


def through(redactor: Redactor, data: bytes, cuts: list[int]) -> bytes:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    shown = b"".join(redactor.feed("s", data[a:b]) for a, b in itertools.pairwise(places))
    return shown + redactor.flush("s")


def is_plain(value: bytes) -> bool:
    """Whether the value can be searched for, is no structure, and all its bytes are worth the same."""
    weights = evidence(value)
    plain = (
        searchable(value) is None and value == forms(value)[0].data and not look_inside(SecretValue("T", value)).values
    )
    return plain and weights is not None and weights.uniform


def longest(value: bytes) -> int:
    """Bytes of a value that may be shown together."""
    return min(12, max(8, ceil(len(value) / 2))) - 1


PLAIN = st.one_of(
    st.binary(min_size=8, max_size=60),
    st.text(string.ascii_letters + string.digits, min_size=8, max_size=60).map(str.encode),
    st.text(string.printable + "äß🔑", min_size=8, max_size=60).map(str.encode),
    st.text("0123456789abcdef", min_size=16, max_size=64).map(str.encode),
).filter(is_plain)


@settings(max_examples=200, deadline=None)
@given(PLAIN, st.data())
def test_no_cut_of_any_form_gets_through_whatever_is_around_it(value: bytes, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(forms(value)))
    start = data.draw(st.integers(0, len(form.data) - 1))
    stop = data.draw(st.integers(start + 1, len(form.data)))
    text = data.draw(st.binary(max_size=20)) + form.data[start:stop] + data.draw(st.binary(max_size=20))
    shown = through(redactor(value), text, data.draw(CUTS))
    for other in forms(value):
        run = ceil(round((longest(value) + 1) * len(other.data) / len(value), 6))
        for at in range(len(other.data) - run + 1):
            assert other.data[at : at + run] not in shown, other.name


PIECES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"\n", b"https://", b"postgres-dev", b"0" * 40, b'{\n  "type": ', b"=" * 25]),
    st.builds(
        lambda value, form, start, stop: (data := (listed := forms(value))[form % len(listed)].data)[
            start % len(data) : stop % (len(data) + 1)
        ],
        st.sampled_from(AWKWARD),
        st.one_of(st.just(0), st.integers(0, 80)),
        st.one_of(st.just(0), st.integers(0, 2000)),
        st.one_of(st.just(-1), st.integers(0, 2000)),
    ),
)
_KEPT: dict[tuple[bytes, ...], Redactor] = {}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(AWKWARD), min_size=1, max_size=3, unique=True), st.lists(PIECES, max_size=6), CUTS)
@example([b"abc" + b"=" * 20 + b"9aZ8bY7cX6dW5e"], [b"abc" + b"=" * 20, b"9aZ8bY7cX6dW5e"], [23])
@example([JWT], [JWT], [30, 36, 40])
def test_the_pieces_make_no_difference(values: list[bytes], pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    key = tuple(values)
    if key not in _KEPT:
        _KEPT[key] = redactor(*values)
    pair = _KEPT[key]
    pair.seen.clear()
    whole = through(pair, data, [])
    names = set(pair.seen)
    pair.seen.clear()
    assert through(pair, data, cuts) == whole
    assert pair.seen == names
    assert through(pair, data, list(range(len(data)))) == whole
    for name in names:
        assert f"[{name}]".encode() in whole


@settings(deadline=None)
@given(st.binary(max_size=300), CUTS)
def test_other_output_is_unchanged(data: bytes, cuts: list[int]) -> None:
    assert through(redactor(TOKEN), data, cuts) == data


@pytest.mark.parametrize("value", AWKWARD, ids=range(len(AWKWARD)))
def test_a_value_is_replaced_as_a_whole(value: bytes) -> None:
    kept = redactor(value)
    whole = value.strip()
    assert kept.text(f"a {whole.decode('latin-1')} z" if whole.isascii() else "") in ("a [T] z", "")
    assert through(kept, b"a " + whole + b" z", [5, 9]) == b"a [T] z"
    assert kept.seen == {"T"}


@pytest.mark.parametrize(
    "shown",
    [
        TOKEN[:-1],
        TOKEN[1:],
        TOKEN[:20],
        TOKEN[7:19],
        TOKEN[::-1][3:],
        TOKEN.hex().encode()[:-3],
        base64.b64encode(TOKEN)[:-4].rstrip(b"="),
        base64.b64encode(b"user:" + TOKEN)[8:-6],
        base64.b64encode(base64.b64encode(TOKEN))[2:50],
        TOKEN.decode().encode("utf-16-le")[4:60],
    ],
    ids=range(10),
)
def test_a_cut_value_is_replaced_and_told(shown: bytes) -> None:
    for text in (shown, b"token: " + shown + b"\nend"):
        kept = redactor(TOKEN)
        result = through(kept, text, [])
        assert b"[T]" in result
        assert len(result) < len(text) - len(shown) + 8
        assert kept.seen == {"T"}


def test_a_part_that_is_repeated_is_replaced_each_time() -> None:
    assert redactor(TOKEN).text(
        f"{TOKEN[:20].decode()} {TOKEN[4:24].decode()}-{TOKEN.decode()}{TOKEN[9:].decode()}"
    ) == ("[T] [T]-[T][T]")


def test_a_run_is_told_by_the_secret_that_shares_most_of_it() -> None:
    first, second = TOKEN, TOKEN[:20] + b"Zz9Yy8Xx7Ww6Vv5Uu4Tt"
    kept = redactor(first, second)
    assert kept.text(second.decode()) == "[U]"
    assert kept.seen == {"U"}
    assert kept.text(f"{first.decode()} {second[22:].decode()}") == "[T] [U]"


def test_values_that_overlap_are_both_told() -> None:
    first, second = TOKEN, TOKEN[-6:] + b"Zz9Yy8Xx7Ww6Vv5U"
    kept = redactor(first, second)
    assert kept.text((first + second[6:]).decode()) == "[T][U]"
    assert kept.seen == {"T", "U"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (ACCOUNT, '{"type": "service_account", "project_id": "another"}'),
        (ACCOUNT, '  "type": "service_account",\n  "project_id": "the-project",\n'),
        (URL, "connecting to postgres://app:***@db.example.com:5432/app"),
        (HOOK, "POST https://hooks.example.com/services/T0QX8 200"),
        (PEM, "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n"),
        (JWT, JWT[: JWT.index(b".")].decode() + ".another"),
        (b"postgres-dev-9aK3jL0xTz", "the pod postgres-dev-0 is ready"),
        (b"InternalServerErrorKey-9aK3jL0x", "500 InternalServerError"),
        (b"password1234", "Enter your password: "),
        (b"0" * 30 + b"aZ8bY7cX6dW5" + b"0" * 30, "0" * 100),
        (b"aZ8bY7cX6dW5\n==============\naZ8bY7cX6dW6", "title\n==============\n"),
        (base64.b64encode(bytes(60) + TOKEN), "A" * 100),
    ],
    ids=range(12),
)
def test_what_many_texts_have_in_common_is_shown(value: bytes, text: str) -> None:
    kept = redactor(value)
    assert kept.text(text) == text
    assert not kept.seen


@pytest.mark.parametrize(
    ("value", "inner"),
    [(ACCOUNT, b"Kq3zPw81LmN0aBcD4eF5gHi7"), (URL, b"S3cr3tPw9aKz7Yq"), (HOOK, b"XKq3zPw81LmN0aBcD4eF5gHi")],
)
def test_the_secret_in_a_cut_structure_is_replaced(value: bytes, inner: bytes) -> None:
    encoded = base64.b64encode(value)
    for cut in (value[:-3], value[5:], encoded[:-5], encoded[7:], value.hex().encode()[10:], b"'%s" % value):
        result = through(redactor(value), cut, [40])
        assert b"[T]" in result
        assert inner[:12] not in result
        for at in range(3):
            digits = base64.b64encode(bytes(at) + inner)[4:20]
            assert digits not in result


def test_words_of_a_passphrase_are_shown_and_half_of_it_is_not() -> None:
    kept = redactor(b"correct-horse-battery-staple")
    assert kept.text("a horse, a battery, correct-horse") == "a horse, a battery, correct-horse"
    assert kept.text("correct-horse-battery-stapl") == "[T]"


def test_long_lines_of_a_multi_line_value_are_redacted_and_short_ones_are_not() -> None:
    kept = Redactor([SecretValue("K", b"{\nfirst-long-line-of-it\n}\n")])
    assert kept.text("{ first-long-line-of-it }") == "{ [K] }"


def test_a_public_value_is_shown() -> None:
    assert Redactor([SecretValue("T", TOKEN, sensitive=False)]).text(TOKEN.decode()) == TOKEN.decode()


@pytest.mark.parametrize("size", [3_000, 60_000])
def test_of_a_large_value_long_parts_are_replaced_and_what_is_held_is_little(size: int) -> None:
    value = random.Random(size).randbytes(size)
    kept = redactor(value)
    for form in (value, base64.b64encode(value), value.hex().encode()):
        part = form[size // 3 : size // 3 + 400]
        shown = through(kept, b"before\n" + part + b"\nafter", list(range(0, 400, 7)))
        assert shown in (b"before\n[T]\nafter", b"before\n[T]", b"[T]\nafter")
    kept.feed("s", b"a line\n" * 100)
    assert len(kept.feed("s", b"a line\n" * 100)) + kept.held("s")[1] > 600
    assert kept.settle("s") + kept.held("s")[0] + kept.flush("s")


def test_very_much_output_of_filling_is_passed() -> None:
    kept = redactor(b"0" * 30 + b"aZ8bY7cX6dW5" + b"0" * 30)
    assert through(kept, b"0" * 1_000_000, list(range(0, 1_000_000, 65536))) == b"0" * 1_000_000
