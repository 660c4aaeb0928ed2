"""dotenv files mean what they mean to python-dotenv, and an error names the line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from container_image.secrets.dotenv import DotenvError, parse
from tests.dotenv_files import FILES


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES)
def test_a_file_means_what_it_means_to_python_dotenv(tmp_path: Path, text: str) -> None:
    # Versions of python-dotenv differ in whether that is a comment.
    assume(not re.search(r"=\s+#", text))
    data = text.encode()
    (tmp_path / ".env").write_bytes(data)
    expected = dotenv_values(tmp_path / ".env")
    try:
        found = parse(data)
    except DotenvError:
        return
    assert found.values == {name: value.encode() for name, value in expected.items() if value and value.strip()}
    assert set(found.empty) == {name for name, value in expected.items() if not (value and value.strip())}
    assert set(found.lines) == set(expected)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB=\nC=  # later\nD='' \nE=\"\"\nF=6\n", {"A": "1", "F": "6"}),
        (r"A='it\'s'" "\n", {"A": "it's"}),
        (r"A='a\\b'" "\n", {"A": r"a\b"}),
        ('A="a\\tb\\$c\\x41"\n', {"A": "a\tb\\$c\\x41"}),
        ('A="one\r\ntwo"\r\nB=3\r\n', {"A": "one\ntwo", "B": "3"}),
        ("  export A = 1\n", {"A": "1"}),
        ("A=1\nB=${A}-${A:-x}-${NOT_SET:-x}-$A\n", {"A": "1", "B": "1-1-x-$A"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("\ufeffA=x#y\nB=x # y\nC=x\t# y\n", {"A": "x#y", "B": "x", "C": "x"}),
        ("A='one\ntwo' # c\nB=\"three\nfour\"\n", {"A": "one\ntwo", "B": "three\nfour"}),
        ("A=http://h/?a=b&c=d\n", {"A": "http://h/?a=b&c=d"}),
    ],
)
def test_values(text: str, values: dict[str, str]) -> None:
    assert parse(text.encode()).values == {name: value.encode() for name, value in values.items()}


def test_bytes_that_are_no_utf_8_come_back() -> None:
    found = parse(b"A=\xff\xfe\n")
    assert found.values == {"A": b"\xff\xfe"}
    assert "bytes that are no UTF-8" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\n\nB='open\nC=2\nD=3\n", "line 3 begins a quote that is not closed"),
        ('A="open\nB=2\nC="3"\n', "line 1 begins a quote that is not closed"),
        ('  A="1" 2\n', "line 1 has more than a comment behind the closing quote"),
        ("A=1\nhunter2 hunter3\n'B=2\n", "line 2 is not NAME=VALUE; line 3 is not NAME=VALUE"),
        ("hunter2\nA=1\n", "line 1 is not NAME=VALUE"),
        ("hunter!2=1\n", "line 1: its name has other characters"),
        ("A=1\n\n\n-----BEGIN KEY-----\nhunter2\n", "line 4 is not NAME=VALUE; line 5 is not NAME=VALUE"),
    ],
)
def test_what_is_no_variable_is_told_by_its_line(text: str, message: str) -> None:
    with pytest.raises(DotenvError, match=message) as caught:
        parse(text.encode())
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("A=1\nB=p$ss\n", "B: docker compose may read another value, for a `$`"),
        ('A="p\\$x"\n', "A: docker compose may read another value, for an escape that it has not"),
        ("A='a\\\\b'\n", "A: docker compose may read another value, for backslashes in single quotes"),
        ("A=1\nB='${A}'\n", "B: docker compose may read another value, for a reference in single quotes"),
        ("A=x\t# c\n", "A: docker compose may read another value, for a comment behind a tab"),
        ('A="1\r\n2"\r\n', "A: docker compose may read another value, for line breaks of Windows in quotes"),
        ("A=${HOME}\n", "A: docker compose may read another value, for a `$`"),
        ("A=1\rB=2\r", "A: docker compose may read another value, for carriage returns that end lines"),
        ("B=x${NOT_SET}y\n", "B: ${NOT_SET} in it is not set, and nothing stands for it"),
        ("B=x${k3J9vQz71LmX}y\n", "B: (not shown: it may be a secret's value) in it is not set"),
    ],
)
def test_notes_name_the_variable(text: str, note: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A", raising=False)
    assert any(found.startswith(note) for found in parse(text.encode()).notes)


def test_usual_files_have_no_notes() -> None:
    text = (
        '# database\nexport DB_HOST=db.example.com\nDB_PASSWORD=\'p@ss "word" #1\'\nDB_URL="postgres://me:${DB_HOST}@h/x"\n'
        'KEY="-----BEGIN KEY-----\\nMIIC\\n-----END KEY-----"\nPEM="-----BEGIN KEY-----\nMIIC\n-----END KEY-----" # c\nEMPTY=\n'
    )
    assert "DB_HOST" not in os.environ
    assert parse(text.encode()).notes == ()


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = parse(data)
    except DotenvError:
        return
    assert all(value.strip() for value in found.values.values())
