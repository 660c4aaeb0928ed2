"""Suggestions are near: a slip of the keyboard is found, and another word of the same kind is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_image.near import did_you_mean, near


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PIP_TOKN", "PIP_TOKEN"), ("PIPTOKEN", "PIP_TOKEN"), ("PIP-TOKEN", "PIP_TOKEN"), ("pip_token", "PIP_TOKEN"),
        ("DB_PASWORD", "DB_PASSWORD"), ("stagin", "staging"), ("tag", "tags"), ("--no-cahce", "--no-cache"),
        ("lst", "list"),
    ],
)  # fmt: skip
def test_a_slip_is_found(name: str, meant: str) -> None:
    assert near(name, [meant, "SOMETHING_ELSE"]) == [meant]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("PIP_TOKEN", "HF_TOKEN"), ("GH_TOKEN", "HF_TOKEN"), ("A_TOKEN", "B_TOKEN"), ("NPM_TOKEN", "PIP_TOKEN"),
        ("DB_PASSWORD", "MY_PASSWORD"), ("staging", "main"), ("run", "build"), ("", "A"), ("_", "-"),
    ],
)  # fmt: skip
def test_another_word_is_no_slip(name: str, other: str) -> None:
    assert did_you_mean(name, [other]) == ""


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=5))
def test_what_is_near_is_known_and_no_more_than_three(name: str, known: list[str]) -> None:
    found = near(name, known)
    assert set(found) <= set(known) - {name}
    assert len(found) <= 3
    assert all(name in near(other, [name]) for other in found)
