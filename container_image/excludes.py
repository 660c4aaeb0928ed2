"""What Docker's ignore rules leave out of a context, decided as the client that sends the context decides it.

The rules are those of moby/patternmatcher: a pattern is anchored at the context's root, `**` is any number of
directories, the last pattern that matches a path or one of its parents decides, and `!` takes back. Its quirks are kept,
because they say what is sent: `**x` is whatever ends in `x`, and a `!` that had nothing to take back when a directory
was decided does not count for what is in it.
"""

from __future__ import annotations

import posixpath
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache


def docker_excludes(ignore_text: str, path: str) -> bool:
    """Whether Docker leaves `path`, relative to the context with `/` between names, out of the context.

    >>> docker_excludes(".env", ".env"), docker_excludes(".env", "app/.env")
    (True, False)
    """
    rules = read_rules(ignore_text)
    excluded = False
    matched: Sequence[bool] = ()
    parts = path.split("/")
    for count in range(len(parts)):
        excluded, matched = rules.decide("/".join(parts[: count + 1]), matched)
    return excluded


@dataclass(frozen=True, slots=True)
class Rules:
    """An ignore file: for each pattern, whether it takes back, and what it matches."""

    patterns: Sequence[tuple[bool, Callable[[str], bool]]]

    def decide(self, path: str, parent: Sequence[bool]) -> tuple[bool, tuple[bool, ...]]:
        """Whether a path is excluded, and which patterns match it; `parent` is the latter of its directory."""
        excluded = False
        matched = []
        for index, (takes_back, matches) in enumerate(self.patterns):
            match = bool(parent) and parent[index]
            if not match and takes_back is excluded:
                match = matches(path)
            matched.append(match)
            if match:
                excluded = not takes_back
        return excluded, tuple(matched)


@lru_cache(maxsize=64)
def read_rules(ignore_text: str) -> Rules:
    """The rules of an ignore file."""
    return Rules(tuple(_patterns(ignore_text)))


def _patterns(ignore_text: str) -> Iterator[tuple[bool, Callable[[str], bool]]]:
    for line in ignore_text.removeprefix("\ufeff").split("\n"):
        text = line.strip()
        if line.startswith("#") or not text:
            continue
        sign = "!" if text.startswith("!") else ""
        text = text.removeprefix("!").strip()
        text = posixpath.normpath(text).lstrip("/") if text else ""
        # The matcher reads again what the reader of the file made, sign and all: `/!a` takes back, `!../../a` does not.
        text = posixpath.normpath(sign + text)
        yield text.startswith("!"), _matcher(text.removeprefix("!"))


def _matcher(pattern: str) -> Callable[[str], bool]:
    """A pattern's own test, without parents: a comparison where that will do, else a regular expression."""
    kind, expression, at = "exact", "", 0
    while at < len(pattern):
        first, character = at == 0, pattern[at]
        at += 1
        if pattern.startswith("**", at - 1):
            at += 2 if pattern.startswith("/", at + 1) else 1
            if at < len(pattern):
                kind, expression = "regex", expression + "(?:.*/)?"
            elif kind == "exact":
                kind = "prefix"
            else:
                kind, expression = "regex", expression + ".*"
            if first:
                kind = "suffix"
        elif character in "*?":
            kind, expression = "regex", expression + ("[^/]*" if character == "*" else "[^/]")
        elif character == "\\" and at < len(pattern):
            kind, expression = "regex", expression + "\\" + pattern[at]
            at += 1
        elif character in "[]":
            kind, expression = "regex", expression + character
        else:
            # Those that the matcher escapes; `^` and `-` are not among them.
            expression += f"\\{character}" if character in ".+()|{}$" else character
    if kind == "exact":
        return pattern.__eq__
    if kind == "prefix":
        return lambda path: path.startswith(pattern[:-2])
    if kind == "suffix":
        return lambda path: path.endswith(pattern[2:]) or f"/{path}" == pattern[2:]
    return _expression(expression)


def _expression(text: str) -> Callable[[str], bool]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(text, re.ASCII)
    except re.error:
        # BuildKit refuses the pattern, and says so.
        return lambda _path: False
    return lambda path: compiled.fullmatch(path) is not None
