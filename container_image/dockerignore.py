"""Ignore rules: fal's, which are gitignore's, in the words of Docker's, and what Docker's exclude from a context.

Docker's rules are those of moby/patternmatcher: patterns are anchored at the context's root, `**` is any number of
directories, the last pattern that matches a path or one of its parents decides, and `!` takes back.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

DEFAULT_DOCKERIGNORE_PATTERNS = [
    ".git",
    ".gitignore",
    ".dockerignore",
    "Dockerfile",
    "Dockerfile.*",
    "*.md",
    "__pycache__",
    "*.pyc",
    ".DS_Store",
    ".venv",
    "venv",
    ".env",
    "node_modules",
]
"""What a declared image leaves out of its context when nothing else says what to leave out."""


def load_patterns(
    context_dir: str | os.PathLike[str] | None,
    dockerignore: Sequence[str] | None,
    dockerignore_path: str | os.PathLike[str] | None,
) -> list[str]:
    """The patterns that hold: the list, else the file at the path, else the context's `.dockerignore`, else defaults.

    Raises:
        FileNotFoundError: there is no file at `dockerignore_path`.
    """
    if dockerignore is not None:
        return list(dockerignore)
    if dockerignore_path is not None:
        path = Path(dockerignore_path)
        if not path.is_file():
            raise FileNotFoundError(f"Specified .dockerignore file not found: {dockerignore_path}")
        return _read(path)
    if context_dir is not None and (Path(context_dir) / ".dockerignore").is_file():
        return _read(Path(context_dir) / ".dockerignore")
    return list(DEFAULT_DOCKERIGNORE_PATTERNS)


def _read(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def regexes(patterns: Sequence[str]) -> list[str]:
    """The regular expression of each gitignore pattern, in order; comments and empty patterns have none.

    White space before a pattern is no part of it: gitignore says otherwise, fal and Docker agree on this.
    """
    found = []
    for pattern in patterns:
        regex, _ = GitIgnoreSpecPattern.pattern_to_regex(pattern.lstrip())
        if regex:
            found.append(str(regex))
    return found


def to_docker(patterns: Sequence[str]) -> str:
    """A Docker ignore file that does what gitignore-style patterns say: order and negations are kept."""
    lines = []
    for pattern in patterns:
        text = pattern.strip()
        if not text or text.startswith("#"):
            continue
        negated = text.startswith("!")
        text = text.removeprefix("!").removeprefix("\\")
        body = text.rstrip("/")
        if not body:
            continue
        # A pattern with a slash in it, other than at its end, is anchored at the root; any other holds everywhere.
        anchored = "/" in body
        body = body.lstrip("/")
        line = body if anchored or body.startswith("**/") else f"**/{body}"
        lines.append(("!" if negated else "") + line)
    return "".join(f"{line}\n" for line in lines)


def docker_excludes(ignore_text: str, path: str) -> bool:
    """Whether Docker leaves `path`, relative to the context with `/` between names, out of the context."""
    excluded = False
    parts = path.split("/")
    candidates = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    for negated, regex in _rules(ignore_text):
        if any(regex.fullmatch(candidate) for candidate in candidates):
            excluded = not negated
    return excluded


@lru_cache(maxsize=64)
def _rules(ignore_text: str) -> tuple[tuple[bool, re.Pattern[str]], ...]:
    rules = []
    for number, line in enumerate(ignore_text.splitlines()):
        text = line.removeprefix("\ufeff") if number == 0 else line
        if text.startswith("#") or not text.strip():
            continue
        text = text.strip()
        negated = text.startswith("!")
        text = text[1:].strip() if negated else text
        text = posixpath.normpath(text) if text else text
        text = text.lstrip("/")
        if not text or text == ".":
            continue
        rules.append((negated, re.compile(_translate(text), re.DOTALL)))
    return tuple(rules)


def _translate(pattern: str) -> str:
    """A pattern of moby/patternmatcher as a regular expression."""
    out = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            if pattern[at : at + 1] == "*":
                at += 1
                if pattern[at : at + 1] == "/":
                    at += 1
                out.append(".*" if at >= len(pattern) else "(?:.*/)?")
            else:
                out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            close = pattern.find("]", at + 1)
            if close < 0:
                out.append(re.escape(character))
                continue
            body = pattern[at:close].replace("\\", "\\\\")
            out.append(f"[{body}]")
            at = close + 1
        elif character == "\\" and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(character))
    return "".join(out)
