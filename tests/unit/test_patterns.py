"""Shell patterns match what the regular expressions match that BuildKit makes of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_image.dockerfile.patterns import replaced, without_prefix, without_suffix

TEXTS = st.text("ab*?\n/.", max_size=8)
PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "?", "\\*", "\\?", "\\\\", "\\}", "\\/", ".", "/"]), max_size=6)


def expression(pattern: list[str], *, longest: bool) -> str:
    """A regular expression, as BuildKit writes it."""
    star = ".*" if longest else ".*?"
    return "".join({"*": star, "?": "."}.get(part) or re.escape(part[-1]) for part in pattern)


@given(TEXTS, PATTERNS, st.booleans())
def test_a_prefix_is_what_the_expression_matches(text: str, pattern: list[str], longest: bool) -> None:
    match = re.match(expression(pattern, longest=longest), text)
    assert without_prefix(text, "".join(pattern), longest=longest) == (text[match.end() :] if match else text)


@given(TEXTS, PATTERNS, st.booleans())
def test_a_suffix_is_what_the_reversed_expression_matches(text: str, pattern: list[str], longest: bool) -> None:
    match = re.match(expression(pattern[::-1], longest=longest), text[::-1])
    expected = text[::-1][match.end() :][::-1] if match else text
    assert without_suffix(text, "".join(pattern), longest=longest) == expected


def test_a_backslash_at_the_end_of_a_suffix_escapes_what_comes_before() -> None:
    # Seen on Docker Engine 28.5: BuildKit turns the pattern around before it reads the escapes.
    assert without_suffix("a/b/c.tar.gz", ".*\\", longest=True) == "a/b/c.tar.gz"
    assert without_suffix("a.*", ".*\\", longest=True) == "a"


@given(TEXTS, PATTERNS)
def test_the_first_match_is_replaced(text: str, pattern: list[str]) -> None:
    expected = re.sub(expression(pattern, longest=True), "<>", text, count=1)
    assert replaced(text, "".join(pattern), "<>", everywhere=False) == expected


@pytest.mark.parametrize(
    ("text", "pattern", "new", "expected"),
    [
        ("abc", "*", "x", "x"),
        ("abc", "", "-", "-a-b-c-"),
        ("aXbXc", "X", "$0$0", "aXXbXXc"),
        ("aXb", "X", "${0}$1$$", "aX$b"),
        ("aa\nb", "*", "x", "x\nx"),
    ],
)
def test_every_match_is_replaced_as_gos_regexp_does(text: str, pattern: str, new: str, expected: str) -> None:
    assert replaced(text, pattern, new, everywhere=True) == expected


@pytest.mark.parametrize("pattern", ["\\x", "a\\"])
def test_what_buildkit_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="invalid escape"):
        without_prefix("a", pattern, longest=True)


def test_a_pattern_that_would_backtrack_ends() -> None:
    text = "a" * 2_000
    assert without_prefix(text, "*a" * 20 + "b", longest=True) == text
