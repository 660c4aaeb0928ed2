"""A Dockerfile's lines, and how they go on in the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from container_image.dockerfile.located import SPACE, Located


class Line(NamedTuple):
    """One line; `number` is 1-based, `body` is without its end, and `start` and `end` are where that stands in the text."""

    number: int
    start: int
    end: int
    body: str

    @property
    def is_content(self) -> bool:
        """Whether there is more on it than a comment."""
        stripped = self.body.lstrip(SPACE)
        return bool(stripped) and not stripped.startswith("#")


def lines_of(text: str) -> Iterator[Line]:
    """The lines without their ends, which are Docker's: str.splitlines knows more."""
    start = int(text.startswith("\ufeff"))
    for number, match in enumerate(re.finditer(r"[^\n]*\n|[^\n]+", text[start:]), 1):
        body = match[0].rstrip("\r\n")
        at = start + match.start()
        yield Line(number, at, at + len(body), body)


def joined(first: Line, rest: Iterator[Line], escape: str) -> tuple[Located, Line]:
    """A line with those that it goes on in, comments and empty lines between them left out; and the last one read."""
    # A doubled escape character at the end is an escaped one, and does not continue the line.
    continued = re.compile(rf"(?<!{re.escape(escape)}){re.escape(escape)}[ \t]*\Z")
    characters, last = "", first
    offsets: list[int] = []
    for last in chain([first], rest):
        if last is first or last.is_content:
            match = continued.search(last.body)
            piece = last.body[: match.start()] if match else last.body
            characters += piece
            offsets += range(last.start, last.start + len(piece))
            if match is None:
                break
    return Located(characters, tuple(offsets)).strip(), last
