"""Docker's syntax for outputs and caches: what is written is what is read, and what is staged differs in its place only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_image import InvalidInputError
from container_image.build import parse_caches, parse_outputs
from container_image.build.exports import join

VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=20)


@given(VALUES, VALUES)
def test_any_value_survives_the_csv(dest: str, tag: str) -> None:
    (export,) = parse_outputs([join({"type": "oci", "dest": dest, "tag": tag})]).files
    assert (export.type, export.dest, dict(export.attributes)) == ("oci", dest, {"tag": tag})
    staged = parse_outputs([export.staged(Path("/private/0"))]).files
    assert [(item.dest, dict(item.attributes)) for item in staged] == [("/private/0", {"tag": tag})]


def refusal(parse: Callable[[list[str]], object], text: str) -> str:
    try:
        parse([text])
    except InvalidInputError as error:
        return str(error)
    return ""


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused_by_the_options_name(text: str) -> None:
    assert refusal(parse_outputs, text)[:8] in ("", "--output")
    assert refusal(parse_caches, text)[:10] in ("", "--cache-to")


def test_outputs_are_dockers() -> None:
    asked = parse_outputs(["type=image,name=a:1,push=true,compression=zstd", "type=registry,name=b:2", "out", "-"])
    assert (asked.push, asked.names, dict(asked.image)) == (True, ("a:1", "b:2"), {"compression": "zstd"})
    assert [(file.type, file.dest) for file in asked.files] == [("local", "out"), ("tar", "-")]
    assert parse_outputs([], push=True).push
    assert not parse_outputs(["type=image,push=false"]).push


@pytest.mark.parametrize("specs", [["type=oci", "type=tar"], ["-", "type=docker,dest=-"]])
def test_only_one_output_is_stdout(specs: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="only one can go to stdout"):
        parse_outputs(specs)


def test_a_staged_cache_is_the_same_elsewhere() -> None:
    (cache,) = parse_caches(["type=registry,ref=host/name,mode=max,compression=zstd"])
    assert cache.staged(Path("/private/0")) == "type=local,dest=/private/0,mode=max,compression=zstd"
    assert [str(item) for item in parse_caches(["host/name"])] == ["type=registry,ref=host/name"]
    assert parse_caches(["type=inline"])[0].inline
