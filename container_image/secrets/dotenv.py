"""dotenv files: `NAME=value` lines, with `export`, comments, and single or double quotes that may span lines."""

from __future__ import annotations

import re

_LINE = re.compile(rb"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*")
_BLANK = re.compile(rb"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_SINGLE = re.compile(rb"'([^']*)'[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)")
_DOUBLE = re.compile(rb'"((?:[^"\\]|\\.)*)"[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z)', re.DOTALL)
_PLAIN = re.compile(rb"([^\n]*)(?:\n|\Z)")
_COMMENT = re.compile(rb"[ \t]#")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class DotenvError(Exception):
    """A line that is not `NAME=value`. `line` is 1-based; the text is not kept, since it may be a secret."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


def parse(data: bytes) -> dict[str, bytes]:
    """The variables of a dotenv file in their order; the last of two with one name counts."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    values: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        blank = _BLANK.match(data, at)
        if blank and blank.end() > at:
            at = blank.end()
            continue
        name = _LINE.match(data, at)
        if name is None:
            raise DotenvError(data.count(b"\n", 0, at) + 1)
        quote = data[name.end() : name.end() + 1]
        pattern = {b"'": _SINGLE, b'"': _DOUBLE}.get(quote, _PLAIN)
        value = pattern.match(data, name.end()) or _PLAIN.match(data, name.end())
        if value is None or value.end() == at:
            raise DotenvError(data.count(b"\n", 0, at) + 1)
        text = value[1]
        if value.re is _PLAIN:
            # Not in the pattern: looking for the end of white space at each of 500,000 spaces takes for ever.
            comment = _COMMENT.search(text)
            text = text[: comment.start() if comment else None].rstrip(b" \t\r")
        elif value.re is _DOUBLE:
            text = _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text)
        values[name[1].decode()] = text
        at = value.end()
    return values
