"""What is shown of names and output that others chose: nothing that a terminal obeys, nothing that begins a line."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_image import audit
from container_image.cli.streams import say
from container_image.formats import FORMATS
from container_image.printable import printable
from tests.images import Builder

FORGED = "a\n\nclean: searched\x1b[2J\x9b2J.txt"


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = printable(text)
    assert not [character for character in shown if unicodedata.category(character) == "Cc" and character != "\t"]
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["plain", "über 日本 🎉", "a\tb", "back\\slash"])
def test_other_text_is_as_it_was(text: str) -> None:
    assert printable(text) == text


def test_a_file_name_can_write_no_line_of_a_report(tmp_path: Path, token: str) -> None:
    image = Builder()
    reference = image.archive(image.manifest([{FORGED: token.encode()}]), tmp_path / "image.tar")
    report = audit(reference, {"TOKEN": token})
    text = FORMATS["text"](report)
    assert [line for line in text.splitlines() if line.startswith("clean")] == []
    assert r"/a\n\nclean: searched\x1b[2J\x9b2J.txt" in text
    data = FORMATS["json"](report)
    assert not {"\x1b", "\x9b"} & set(text + data)
    assert json.loads(data)["findings"][0]["path"] == FORGED


def test_only_the_first_line_of_a_message_is_at_the_margin(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"{FORGED} can't be read")
    assert capsys.readouterr().err == "container-image: a\n  \n  clean: searched\\x1b[2J\\x9b2J.txt can't be read\n"
