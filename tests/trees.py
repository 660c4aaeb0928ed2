"""Generated contexts: file names that collide in telling ways, and the patterns that meet them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from hypothesis import strategies as st

FILES = [".env", "a", "app/.env", "app/a.log", "b/a/keep", "b/ab", "keep/a.log", "keep/b.txt", "x/y/.env", "x/y/a.txt"]
"""What every generated context has, so that most patterns have something to match."""

_names = st.sampled_from(
    ["a", "ab", "b", ".env", "a.log", "b.txt", "keep", "x", "y", "-", "#a", "!a", "a b", "é", "[a]"]
)
_pieces = st.sampled_from(
    ["a", "b", "*", "?", ".env", "*.log", "keep", "x", "y", "[ab]", "a*", "*b", "\\#a", "é", "**"]
)

files = st.lists(_names, min_size=1, max_size=3).map("/".join)
"""A path in a context."""


def _join(sign: str, start: str, pieces: list[str], end: str) -> str:
    return f"{sign}{start}{'/'.join(pieces)}{end}"


gitignore_patterns = st.builds(
    _join,
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(_pieces, min_size=1, max_size=3),
    st.sampled_from(["", "", "/"]),
)
"""A pattern as gitignore has it."""

_docker_pieces = _pieces | st.sampled_from(["**b", "a**", "[^a]", "\\*", "..", ".", "#a", "!a", "a.log"])
docker_patterns = st.builds(
    _join,
    st.sampled_from(["", "", "!", "! "]),
    st.sampled_from(["", "/", "./", "  "]),
    st.lists(_docker_pieces, min_size=1, max_size=3),
    st.sampled_from(["", "/", " ", "\r"]),
).filter(lambda line: not line.startswith("!") or posixpath.normpath(line[1:].strip()) != "/")
"""A line as Docker's ignore files have it. A `!` that takes back nothing is refused by BuildKit."""


def lay_out(root: Path, paths: Iterable[str]) -> list[str]:
    """Makes files of these names, leaving out those that another one's directory is in the way of. Gives the others."""
    made = []
    for path in dict.fromkeys(paths):
        target = root / path
        if target.exists() or any(parent.is_file() for parent in target.parents):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path)
        made.append(path)
    return made
