"""A build's log is searched as an image is, however it is cut into pieces."""

from __future__ import annotations

import base64
import gzip

import pytest

from container_image.audit import LogSearch
from container_image.secrets import SecretValue

VALUE = b"8a1f6c0be4d97352fae01b6cd8395e472f60ab1d"
NOISE = b"#5 0.312 Collecting requests==2.32.3\n" * 20


def searched(data: bytes, value: bytes = VALUE, size: int = 7) -> LogSearch:
    search = LogSearch([SecretValue("TOKEN", value)])
    for start in range(0, len(data), size):
        search.feed("step", data[start : start + size])
        search.feed("other", NOISE[:size])
    return search


@pytest.mark.parametrize(
    "data",
    [
        VALUE,
        VALUE[:30],
        base64.b64encode(VALUE),
        b"\n".join(base64.b64encode(VALUE)[at : at + 9] for at in range(0, 60, 9)),
        gzip.compress(NOISE + VALUE),
        VALUE.hex(" ").encode(),
        VALUE.decode().encode("utf-16-le"),
        "".join(f"%{byte:02x}" for byte in VALUE).encode(),
    ],
    ids=["raw", "part", "base64", "base64 in lines", "gzip", "hexadecimal", "utf-16", "percent"],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_each_form_is_found_in_its_stream(data: bytes, size: int) -> None:
    search = searched(NOISE + data + NOISE, size=size)
    assert not search.is_clean()
    assert (search.found("step"), search.found("other"), search.found("none")) == ({"TOKEN"}, set(), set())


def test_a_log_without_the_value_is_clean() -> None:
    assert searched(NOISE + VALUE[:8] + NOISE).is_clean()
    assert searched(b"").is_clean()


def test_what_cannot_be_searched_for_proves_nothing() -> None:
    assert not searched(NOISE, b"1234").is_clean()
