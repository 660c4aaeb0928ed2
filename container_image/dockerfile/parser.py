"""Splits a Dockerfile into instructions, as BuildKit's parser does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from container_image.dockerfile.lines import Line, joined, lines_of
from container_image.dockerfile.located import BLANK, SPACE, Located
from container_image.dockerfile.model import Dockerfile, Flag, Instruction
from container_image.dockerfile.words import Lexer
from container_image.errors import DockerfileError

# fmt: off
KEYWORDS = frozenset({
    "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD",
    "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
})
# fmt: on
_HEREDOC_KEYWORDS = frozenset({"ADD", "COPY", "RUN"})
_DIRECTIVES = frozenset({"escape", "syntax", "check"})
_DIRECTIVE = re.compile(r"#[\t\n\f\r ]*([A-Za-z][A-Za-z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*")
_KEYWORD = re.compile(rf"([^{BLANK}]*)[{BLANK}]*")
_HEREDOC = re.compile(r"[0-9]*<<(-?)[\t\n\f\r ]*([^<]+)")


def parse(text: str) -> Dockerfile:
    """Splits a Dockerfile into instructions.

    Raises:
        DockerfileError: there is no instruction, one is not known, or a heredoc is not closed; names the line.
    """
    escape, syntax = _directives(text)
    lines = lines_of(text)
    instructions = tuple(_instruction(line, lines, escape) for line in lines if line.is_content)
    if not instructions:
        raise DockerfileError("the Dockerfile has no instruction; it needs at least FROM")
    return Dockerfile(text, escape, syntax, instructions)


def _directives(text: str) -> tuple[str, str | None]:
    """The escape character, and the frontend that is asked for; only the latter may stand behind a `#!` line."""
    found: dict[str, str] = {}
    shebang = text.removeprefix("\ufeff").startswith("#!")
    for number, _, _, body in islice(lines_of(text), int(shebang), None):
        match = _DIRECTIVE.fullmatch(body.lstrip(SPACE))
        if match is None or match[1].lower() not in _DIRECTIVES:
            break
        name, value = match[1].lower(), match[2]
        if name in found:
            raise DockerfileError(f"line {number}: the directive {name} is there twice; keep one", number)
        if name == "escape" and value not in ("\\", "`"):
            raise DockerfileError(f"line {number}: escape must be \\ or `, not {value}", number)
        found[name] = value
    syntax = found.get("syntax")
    return "\\" if shebang else found.get("escape", "\\"), syntax and syntax.split(" ", 1)[0]


def _instruction(first: Line, lines: Iterator[Line], escape: str) -> Instruction:
    line, last = joined(first, lines, escape)
    keyword, flags, args = _split(line, escape)
    if not keyword.isascii() or keyword.upper() not in KEYWORDS:
        raise DockerfileError(
            f"line {first.number}: unknown instruction {keyword[:40]!r}; correct it, or begin it with #", first.number
        )
    names = []
    for name, strip_tabs in _heredocs(keyword, args, line.characters, first.number, escape):
        for last in lines:
            if (last.body.lstrip("\t") if strip_tabs else last.body) == name:
                break
        else:
            raise DockerfileError(
                f"line {first.number}: the heredoc {name} is not closed; end it with {name}", first.number
            )
        names.append(name)
    found = Instruction(
        keyword.upper(), args.characters, first.number, last.number, line.offsets[0], last.end, flags, tuple(names)
    )
    if found.keyword != "ONBUILD":
        return found
    keyword, flags, words = _split(args, escape)
    return replace(found, trigger=replace(found, keyword=keyword.upper(), args=words.characters, flags=flags))


def _split(line: Located, escape: str) -> tuple[str, tuple[Flag, ...], Located]:
    """The keyword, flags and arguments of an instruction."""
    match = _KEYWORD.match(line.characters)
    assert match is not None
    rest = line[match.end() :]
    flags: list[Flag] = []
    at = 0
    while True:
        while rest.characters[at : at + 1] and rest.characters[at] in BLANK:
            at += 1
        if not rest.characters.startswith("--", at):
            break
        word, at, closed = _word(rest, at, escape)
        if word.characters == "--":
            break
        name, separator, _ = word.characters[2:].partition("=")
        flags.append(Flag(name, word[3 + len(name) :] if separator else None, closed))
    return match[1], tuple(flags), rest[at:].strip()


def _word(line: Located, at: int, escape: str) -> tuple[Located, int, bool]:
    """The word that begins here, without its quotes and escapes; escapes count in single quotes too.

    The second item is where the word ends, the third whether its quotes are closed.
    """
    kept = []
    quote = ""
    while at < len(line.characters) and (quote or line.characters[at] not in BLANK):
        character = line.characters[at]
        if character == escape:
            at += 1
            if at < len(line.characters):
                kept.append(at)
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        else:
            kept.append(at)
        at += 1
    return line.pick(kept), at, not quote


def _heredocs(keyword: str, args: Located, line: str, number: int, escape: str) -> list[tuple[str, bool]]:
    """The names of an instruction's heredocs, and whether tabs may stand before their last line."""
    if keyword.upper() == "ONBUILD":
        keyword, _, args = _split(args, escape)
    if keyword.upper() not in _HEREDOC_KEYWORDS or "<<" not in line or _is_json(args.characters):
        return []
    try:
        words = Lexer(line, raw=True).words()
    except ValueError:
        # An open quote anywhere in the line, say: BuildKit then sees no heredoc in it.
        return []
    except RecursionError:
        raise DockerfileError(
            f"line {number}: its variables are nested too deeply; write them plainly", number
        ) from None
    found = []
    for match in filter(None, map(_HEREDOC.fullmatch, words)):
        try:
            names = Lexer(match[2], raw=False).words()
        except ValueError as error:
            raise DockerfileError(f"line {number}: the heredoc {match[2]}: {error}; correct its name", number) from None
        if len(names) == 1:
            found.append((names[0], match[1] == "-"))
    return found


def _is_json(args: str) -> bool:
    """Whether BuildKit takes the arguments for a JSON list; what is behind its end does not matter to it."""
    try:
        return isinstance(json.JSONDecoder().raw_decode(args)[0], list)
    except (ValueError, RecursionError):
        return False
