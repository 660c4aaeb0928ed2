"""The scanner agrees with BuildKit's own parser, and its offsets are those of the text."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import DockerfileError, DockerfileParser
from container_image.build.tagging import rewrite
from container_image.dockerfile import KEYWORDS, parse, secret_mounts

# No wheel for Linux on aarch64: there, these comparisons are left out, and the rest runs.
oracle = pytest.importorskip("dockerfile")

WORDS = st.sampled_from(["a", "/b", "--c", "'d e'", '"f"', "$G", "h=i", "\\\\", "&&", "<x", "#j", "[k", "l,m"])
FLAGS = st.sampled_from(
    ["--mount=type=secret,id=tok", '--mount="type=secret,id=tok"', "--mount=type=cache,target=/c", "--network=none"]
)
BREAKS = st.sampled_from([" ", "  ", " \\\n", "\\\n  ", " \\ \n# comment\n", "\t"])
ENDS = st.sampled_from(["\n", "\n\n", "\r\n", "\n# a comment\n", "\n  \n"])


@st.composite
def instructions(draw: st.DrawFn) -> str:
    keyword = draw(
        st.sampled_from(["RUN", "run", "COPY", "ENV", "LABEL", "CMD", "ARG", "USER", "WORKDIR", "ENTRYPOINT"])
    )
    flags = draw(st.lists(FLAGS, max_size=3)) if keyword.upper() == "RUN" else []
    words = draw(st.lists(WORDS, min_size=1, max_size=4))
    if keyword.upper() in ("ENV", "LABEL", "ARG"):
        words = [f"k{number}=v" for number, _ in enumerate(words)][: 1 if keyword == "ARG" else None]
    elif keyword.upper() in ("COPY",):
        words = ["a", *["/b"] * len(words)]
    text = keyword + " "
    for part in [*flags, *words]:
        text += part + draw(BREAKS)
    if keyword.upper() == "RUN" and draw(st.booleans()):
        return f"{keyword} cat <<EOF\nRUN not one\n  # {keyword}\nEOF"
    return text.rstrip(" \\\n\t") if "#" not in text.rsplit("\n", 1)[-1] else text.rstrip("\n")


def buildkit(text: str) -> list[Any] | None:
    """BuildKit's reading; None where it refuses the text, which we then do too."""
    try:
        found: list[Any] = list(oracle.parse_string(text))
    except oracle.GoParseError:
        return None
    if all(item.cmd.upper() in KEYWORDS for item in found):
        return found
    # Its parser takes any word for an instruction; the build refuses it afterwards.
    with pytest.raises(DockerfileError):
        parse(text)
    return None


@settings(max_examples=300)
@given(st.lists(st.tuples(instructions(), ENDS), min_size=1, max_size=5), st.booleans())
def test_instructions_and_flags_are_those_of_buildkit(parts: list[tuple[str, str]], directive: bool) -> None:
    text = ("# escape=\\\n" if directive else "") + "FROM scratch\n" + "".join(a + b for a, b in parts)
    expected = buildkit(text)
    if expected is None:
        return
    found = parse(text).instructions
    assert [(item.keyword, item.line) for item in found] == [(item.cmd.upper(), item.start_line) for item in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert text[ours.start :].upper().startswith(ours.keyword)
        given_flags = tuple(
            f"--{flag.name}" + (f"={flag.value}" if flag.value is not None else "") for flag in ours.flags
        )
        assert [flag.replace('"', "") for flag in given_flags] == [flag.replace('"', "") for flag in theirs.flags]
        assert list(ours.heredocs) == [heredoc.name for heredoc in theirs.heredocs]


@settings(max_examples=200)
@given(st.lists(st.tuples(instructions(), ENDS), min_size=1, max_size=5))
def test_a_rewritten_dockerfile_differs_in_ids_only(parts: list[tuple[str, str]]) -> None:
    text = "FROM scratch\n" + "".join(a + b for a, b in parts)
    before = buildkit(text)
    if before is None:
        return
    rewritten = rewrite(text, {"tok": "tok-0123"})
    after = oracle.parse_string(rewritten)
    assert rewritten.count("\n") == text.count("\n")
    assert [(item.cmd, item.value, item.start_line) for item in before] == [
        (item.cmd, item.value, item.start_line) for item in after
    ]
    assert all(mount.id == "tok-0123" for mount in secret_mounts(parse(rewritten)))


@given(st.text(max_size=200))
def test_any_text_parses_or_names_what_is_wrong(text: str) -> None:
    with contextlib.suppress(DockerfileError):
        assert parse("FROM scratch\n" + text).stages


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        ("type=secret,id=tok", "type=secret,id=tok-9,target=/run/secrets/tok"),
        ("type=secret,id=tok,target=/x", "type=secret,id=tok-9,target=/x"),
        ("type=secret,id=tok,env=T", "type=secret,id=tok-9,env=T"),
        ("type=secret,target=/etc/tok", "id=tok-9,type=secret,target=/etc/tok"),
        ("id=tok,type=secret", "id=tok-9,target=/run/secrets/tok,type=secret"),
        ("type=secret,id=other", "type=secret,id=other"),
    ],
)
def test_mounts_are_tagged_wherever_their_id_comes_from(mount: str, expected: str) -> None:
    text = f"FROM scratch\nRUN --mount={mount} true\n"
    assert rewrite(text, {"tok": "tok-9"}) == f"FROM scratch\nRUN --mount={expected} true\n"


def test_a_cache_mount_beside_a_secret_is_tagged_too() -> None:
    text = "FROM scratch\nRUN --mount=type=secret,id=tok --mount=type=cache,target=/c true\nRUN --mount=type=cache,target=/c x\n"
    assert "--mount=id=/c-9,type=cache,target=/c true" in rewrite(text, {"tok": "tok-9"})
    assert rewrite(text, {"tok": "tok-9"}).endswith("RUN --mount=type=cache,target=/c x\n")


def test_copy_sources_are_read_leniently() -> None:
    text = (
        'COPY requirements.txt /app/\nCOPY --from=builder /x /y\nADD https://example.com/a /b\nCOPY ["a b", "/dest"]\n'
        "ADD --chown=1:1 /src \\\n    *.py dest/\ncopy only\n"
    )
    parser = DockerfileParser(text)
    assert parser.parse_copy_add_sources() == ["requirements.txt", "a b", "src", "*.py"]
    assert parser.content == text
