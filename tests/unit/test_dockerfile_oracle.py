"""The scanner agrees with BuildKit's own parser on generated Dockerfiles, before and after their mounts are tagged."""

from __future__ import annotations

import contextlib
import csv
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import DockerfileError
from container_image.build.tagging import rewrite
from container_image.dockerfile import KEYWORDS, Instruction, parse

# It has no wheel for Linux on aarch64.
oracle = pytest.importorskip("dockerfile")

# Pieces that mean something to the parser, in any order. Left out is what this version of the oracle reads in another
# way than the engine does: white space between `<<` and a name, `${x/a/b}`, a no-break space in a flag, and escapes in a
# flag where the escape character is not a backslash.
# fmt: off
PIECES = st.sampled_from([
    "RUN ", "run\t", "COPY ", "ADD ", "ONBUILD ", "CMD ", "ENV a=", "HEALTHCHECK ", "LABEL ",
    "--mount=type=secret,id=tok", "--mount=type=secret,id='t k'", '--mount="type=secret,id=tok"', "--network=none",
    '--mount=type=secret,"id=a,b"', "--mount=type=cache,target=/c", "--mount=type=secret,target=/x/tok", "--x", "--",
    "\\\n", "\\ \n", "`\n", "\\\r\n", "\\\\\n", "\n", "\r\n", "\n\n", " ", "\t", "\f", "\v", "\u2003",
    "# c\n", "#\n", "  # c\n", "\n# c\n", "\ufeff", "'", '"', "\\", "$", "${x", "${x}", "${x:-y}", "}", "[", "]",
    "<<EOF", "<<-EOF", "<<'EOF'", '<<"EOF"', "3<<EOF", "<<E$x", "<<<EOF", "\nEOF\n", "\n\tEOF\n", "EOF", "EOF \n",
    '["a", "b"]', "a", "b c", "=", ",", "&&", "|", ";", "é", "x=1", "/p"
])
HEADS = st.sampled_from([
    "", "# escape=`\n", "# escape=\\\n", "#syntax=x\n", "# syntax = docker/dockerfile:1 x\n", "#!/bin/sh\n",
    "#!x\n# escape=`\n", "\ufeff", "# check=skip=all\n", "# a=b\n# escape=`\n", "# ESCAPE=`\n", "\n# escape=`\n"
])
# fmt: on
TEXTS = st.tuples(HEADS, st.lists(PIECES, max_size=14)).map(
    lambda drawn: f"{drawn[0]}FROM scratch\n" + "".join(drawn[1])
)


def buildkit(text: str) -> list[Any] | None:
    """BuildKit's reading; None where it refuses the text, or where this version of it differs from the engine's."""
    try:
        found: list[Any] = list(oracle.parse_string(text))
    except oracle.GoParseError:
        return None
    if any(item.flags for item in found) and oracle_differs(text):
        return None
    if all((item.cmd or "").upper() in KEYWORDS for item in found):
        return found
    # Its parser takes any word for an instruction; the build refuses it afterwards.
    with pytest.raises(DockerfileError):
        parse(text)
    return None


def oracle_differs(text: str) -> bool:
    """Whether there may be an escape in a flag that this version of the oracle reads in another way than the engine."""
    with contextlib.suppress(DockerfileError):
        return parse(text).escape == "`" and bool(re.search(r"\\|`(?![ \t]*\r?\n)", text.partition("FROM")[2]))
    return False


def flags(instruction: Instruction) -> tuple[str, ...]:
    """As BuildKit gives them: it takes each byte of a flag for a character."""
    return tuple(str(flag).encode().decode("latin-1") for flag in instruction.flags)


@settings(max_examples=2000)
@given(TEXTS)
def test_instructions_flags_and_heredocs_are_those_of_buildkit(text: str) -> None:
    expected = buildkit(text)
    if expected is None:
        return
    found = parse(text).instructions
    assert [(item.keyword, item.line, item.end_line, flags(item)) for item in found] == [
        (item.cmd.upper(), item.start_line, item.end_line, item.flags) for item in expected
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert text[ours.start :].upper().startswith(ours.keyword)
        if ours.keyword != "ONBUILD":
            assert list(ours.heredocs) == [heredoc.name for heredoc in theirs.heredocs]
        if ours.keyword in ("RUN", "CMD") and not theirs.json and theirs.value:
            assert (ours.args,) == theirs.value


IDS = {"tok": "tok-0123", "t k": "t k-4567", "a,b": "a,b-89ab"}
PLACES = {"tok": "/run/secrets/tok", "t k": "/run/secrets/t k", "a,b": "/run/secrets/a,b"}


def meaning(flag: str) -> dict[str, str]:
    """A mount's fields, the last of each name, without the escapes that BuildKit takes off when it expands variables."""
    (record,) = csv.reader([flag.replace("\\", "")])
    return dict(field.partition("=")[::2] for field in record)


@settings(max_examples=1000)
@given(TEXTS)
def test_a_rewritten_dockerfile_differs_in_ids_only(text: str) -> None:
    before = buildkit(text)
    if before is None:
        return
    rewritten = rewrite(text, IDS)
    after = oracle.parse_string(rewritten)
    assert rewritten.count("\n") == text.count("\n")
    for old, new in zip(before, after, strict=True):
        assert (old.cmd, old.value, old.start_line, old.end_line, old.heredocs) == (
            (new.cmd, new.value, new.start_line, new.end_line, new.heredocs)
        )
        for was, now in zip(old.flags, new.flags, strict=True):
            if "$" in was:
                # What it means depends on the variables.
                continue
            if old.cmd.upper() == "RUN" and was.startswith("--mount=type=secret"):
                fields, changed = meaning(was), meaning(now)
                name = fields.get("id") or fields.get("target", "").rpartition("/")[2]
                if name in IDS:
                    place = fields.get("target") or PLACES[name]
                    assert changed == {**fields, "id": IDS[name], "target": place}
                    continue
            if not was.startswith("--mount=type=cache"):
                assert now == was
