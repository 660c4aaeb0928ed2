"""Reads dotenv files as python-dotenv does, and tells where docker compose reads otherwise.

The differences are those of compose-go's `dotenv` package: the escapes in quotes, what `$` begins, how a comment begins,
and line breaks of Windows in quotes.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from container_image.shown import HIDDEN, shown

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_HEAD = re.compile(r"\s*(?:export[^\S\n]+)?(?P<name>'[^']+'|[^=#\s]+)[^\S\n]*=(?P<blanks>[^\S\n]*)")
_QUOTED = {quote: re.compile(rf"{quote}(?:\\.|[^{quote}\\])*{quote}", re.DOTALL) for quote in "'\""}
_REFERENCE = re.compile(r"\$\{(?P<name>[^}:]*)(?P<default>:-[^}]*)?\}")
# python-dotenv takes quadratic time for blanks in a row: with fewer than these, two seconds for 500 KB.
_BLANKS = re.compile(r"[^\S\n]{1000}")
_OTHER_BLANKS = re.compile(r"[^\S \t\n]|\0")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LONE_RETURN = re.compile(r"\r(?!\n)")
_NO_UTF8 = re.compile("[\udc80-\udcff]")


class DotenvError(Exception):
    """Lines that are no variables. The message has their numbers and no text of them, which may be a value."""


@dataclass(frozen=True, slots=True, repr=False)
class Dotenv:
    """The variables of a file that have a value, and the names of those that have none, in their order.

    `lines` has the line of each, from 1. Each of `notes` is a sentence about a variable that a user should know.
    """

    values: dict[str, bytes]
    empty: tuple[str, ...]
    lines: dict[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class _Statement:
    """One `NAME=VALUE`. `raw` is the value as it is written, and what is behind it on its line; `read` is the value."""

    name: str
    raw: str
    read: str
    line: int


def parse(data: bytes) -> Dotenv:
    """Reads a file. Of several variables with one name, the last counts.

    `${NAME}` and `${NAME:-default}` stand for the variable that is set above in the file, else for the one of this process's
    environment, else for nothing; in single quotes too.

    Raises:
        DotenvError: a line that is no variable, a quote that is not closed, or 1,000 blanks in a row.
    """
    written = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    # python-dotenv opens a file with universal newlines.
    text = written.replace("\r\n", "\n").replace("\r", "\n")
    if blanks := _BLANKS.search(text):
        raise DotenvError(
            f"line {_line(text, blanks.start())} has 1,000 blanks in a row or more; write the value in another way"
        )
    statements = list(_statements(text))
    read = dict(dotenv_values(stream=io.StringIO(text)))
    # Older versions of python-dotenv take the comment in `NAME=  # comment` for the value.
    written_last = {item.name: item.read for item in statements}
    values = {name: value if written_last[name] else "" for name, value in read.items()}
    return Dotenv(
        {name: value.encode("utf-8", "surrogateescape") for name, value in values.items() if value and value.strip()},
        tuple(name for name, value in values.items() if not (value and value.strip())),
        {item.name: item.line for item in statements},
        tuple(_notes(statements, written)),
    )


def _statements(text: str) -> Iterator[_Statement]:
    """The statements of a text.

    Raises:
        DotenvError: with every line that is none, up to a quote that is not closed.
    """
    problems = []
    at = 0
    for binding in parse_stream(io.StringIO(text)):
        string = binding.original.string
        line = _line(text, at + len(string) - len(string.lstrip()))
        head = _HEAD.match(string)
        if binding.error or (binding.key is not None and (binding.value is None or head is None)):
            closed = _closed(text, at + head.end()) if head else None
            if closed is None:
                problems.append(f"line {line} is not NAME=VALUE")
            elif closed:
                problems.append(f"line {line} has more than a comment behind the closing quote")
            else:
                problems.append(f"line {line} begins a quote that is not closed")
                break
        elif binding.key is not None and head is not None:
            if _NAME.fullmatch(binding.key):
                yield _statement(binding, head, line)
            else:
                problems.append(
                    f"line {line}: its name has other characters than letters, digits, underscores, dots and dashes"
                )
        at += len(string)
    if problems:
        raise DotenvError("; ".join(problems))


def _statement(binding: Binding, head: re.Match[str], line: int) -> _Statement:
    raw = binding.original.string[head.end() :]
    comment = bool(head["blanks"]) and raw.startswith("#")
    return _Statement(str(binding.key), raw, "" if comment else str(binding.value), line)


def _closed(text: str, at: int) -> bool | None:
    """Whether the quote at a place is closed on its line; None where there is no quote."""
    pattern = _QUOTED.get(text[at : at + 1])
    if pattern is None:
        return None
    match = pattern.match(text, at)
    return match is not None and "\n" not in match[0]


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _notes(statements: list[_Statement], written: str) -> Iterator[str]:
    """Sentences about variables that mean something else elsewhere, and references to nothing."""
    windows, old = "\r\n" in written, bool(_LONE_RETURN.search(written))
    alike: set[str] = set()
    known: set[str] = set()
    notes: dict[str, list[str]] = {}
    for item in statements:
        reason = "carriage returns that end lines" if old else _difference(item.raw, alike, windows=windows)
        alike = alike - {item.name} if reason else alike | {item.name}
        said = [f"docker compose may read another value, for {reason}"] if reason else []
        for match in _REFERENCE.finditer(item.read):
            name = match["name"]
            if name not in known and name not in os.environ and match["default"] is None:
                told = shown(name, "")
                said.append(f"{f'${{{told}}}' if told else HIDDEN} in it is not set, and nothing stands for it")
        known.add(item.name)
        # docker compose refuses a file for a statement whose name is set again, too.
        notes.setdefault(item.name, []).extend(said)
    for name, sentences in notes.items():
        yield from (f"{name}: {sentence}" for sentence in dict.fromkeys(sentences))


def _difference(raw: str, alike: Collection[str], *, windows: bool) -> str | None:
    """The reason why docker compose may read a value otherwise; None where it reads the same.

    `alike` are the variables above of which it reads the same value.
    """
    quote = raw[:1] if raw[:1] in _QUOTED else ""
    match = _QUOTED[quote].match(raw) if quote else None
    body = match[0][1:-1] if match else raw.rstrip("\n")
    escaped = set(_ESCAPE.findall(body)) if quote else set()
    rest = _ESCAPE.sub("", body) if quote else body
    if quote != "'":
        # Of what both know, nothing is left.
        rest = _REFERENCE.sub(lambda found: "" if _is_alike(found, alike) else "$", rest)
    reasons = {
        "backslashes in single quotes": quote == "'" and "\\" in escaped,
        "an escape that it has not": quote == '"' and bool(escaped & {"'", "0", "$"}),
        "a reference in single quotes": quote == "'" and bool(_REFERENCE.search(body)),
        "a `$`": quote != "'" and "$" in rest,
        "a comment behind a tab": not quote and "\t#" in body,
        "line breaks of Windows in quotes": windows and bool(quote) and "\n" in body,
        "white space of another kind": bool(_OTHER_BLANKS.search(body)),
        "bytes that are no UTF-8": bool(_NO_UTF8.search(body)),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _is_alike(reference: re.Match[str], alike: Collection[str]) -> bool:
    """Whether docker compose, which prefers the environment to the file, finds the same value for a reference."""
    return reference["default"] is None and reference["name"] in alike and reference["name"] not in os.environ
