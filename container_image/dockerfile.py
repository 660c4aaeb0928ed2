"""A Dockerfile's instructions and flags, with their places in the text; its secret mounts; its COPY sources.

A scanner, not an interpreter: what a Dockerfile *means*, BuildKit says (`--call=outline`). The rules are those of
BuildKit's parser, oddities included, because an instruction that it sees and we don't is a secret left untagged; the
tests compare the two.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from container_image.errors import DockerfileError

KEYWORDS = frozenset(
    [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ]
)
_HEREDOC_KEYWORDS = frozenset({"ADD", "COPY", "RUN"})
_DIRECTIVES = frozenset({"escape", "syntax", "check"})
# White space as Go's unicode.IsSpace has it, and the few of it that separate a keyword, its flags and its words.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_BLANK = "\t\v\f\r "
_DIRECTIVE = re.compile(r"#[\t\n\f\r ]*([A-Za-z][A-Za-z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*")
_KEYWORD = re.compile(rf"([^{_BLANK}]*)[{_BLANK}]*")
_HEREDOC = re.compile(r"[0-9]*<<(-?)[\t\n\f\r ]*([^<]+)")
_VARIABLE = re.compile(r"\d+|[@*#?$!-]|\w*")
_CSV_FIELD = re.compile(r'(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))')


@dataclass(frozen=True, slots=True)
class Located:
    """Characters as BuildKit reads them, continuations joined and quotes off, each with its offset in the text."""

    characters: str
    offsets: tuple[int, ...]

    def __getitem__(self, part: slice) -> Located:
        return Located(self.characters[part], self.offsets[part])

    def pick(self, indexes: Iterable[int]) -> Located:
        """Some of the characters."""
        chosen = tuple(indexes)
        return Located("".join(self.characters[at] for at in chosen), tuple(self.offsets[at] for at in chosen))

    def strip(self) -> Located:
        """Without the white space at both ends."""
        start = len(self.characters) - len(self.characters.lstrip(_SPACE))
        return self[start : max(start, len(self.characters.rstrip(_SPACE)))]

    @property
    def end(self) -> int:
        """The offset behind the last character."""
        return self.offsets[-1] + 1


@dataclass(frozen=True, slots=True)
class Flag:
    """`--name=value` of an instruction; its value has no quotes or escapes any more."""

    name: str
    value: Located | None

    def __str__(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value.characters}"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `args` are its words with continuations joined; lines are 1-based; offsets are in the text.

    What it spans includes its heredocs, whose names are listed.
    """

    keyword: str
    args: str
    line: int
    end_line: int
    start: int
    end: int
    flags: tuple[Flag, ...]
    heredocs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A build stage: its FROM and what follows. `base` is the image, or the name of an earlier stage."""

    name: str | None
    base: str
    index: int
    line: int
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed Dockerfile. `escape` is its continuation character; `syntax` the frontend that it asks for."""

    text: str
    escape: str
    syntax: str | None
    instructions: tuple[Instruction, ...]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in their order; instructions before the first FROM belong to none."""
        starts = [number for number, item in enumerate(self.instructions) if item.keyword == "FROM"]
        found = []
        for index, start in enumerate(starts):
            stop = starts[index + 1] if index + 1 < len(starts) else len(self.instructions)
            words = re.split(f"[{_BLANK}]+", self.instructions[start].args)
            name = words[2] if len(words) == 3 and words[1].upper() == "AS" else None
            found.append(Stage(name, words[0], index, self.instructions[start].line, self.instructions[start:stop]))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Mount:
    """One `--mount=type=…` of a RUN.

    `id` is as written, in a secret's `source` too; `id_end` is the offset behind it, None where there is none. `end`
    is the offset behind all of the mount's fields, where another may be added: the last of a name is the one that holds.
    """

    type: str
    id: str | None
    target: str | None
    env: str | None
    required: bool
    id_end: int | None
    end: int
    instruction: Instruction

    @property
    def effective_id(self) -> str | None:
        """The id that BuildKit looks the mount's source up under; a secret's defaults to its target's base name."""
        if self.id:
            return self.id
        return posixpath.basename(self.target.rstrip("/")) if self.target else None


class _Line(NamedTuple):
    number: int
    start: int
    end: int
    body: str

    @property
    def is_content(self) -> bool:
        stripped = self.body.lstrip(_SPACE)
        return bool(stripped) and not stripped.startswith("#")


def parse(text: str) -> Dockerfile:
    """Splits a Dockerfile into instructions.

    Raises:
        DockerfileError: there is no instruction, one is not known, or a heredoc is not closed; names the line.
    """
    escape, syntax = _directives(text)
    lines = _lines(text)
    instructions = tuple(_instruction(line, lines, escape) for line in lines if line.is_content)
    if not instructions:
        raise DockerfileError("the Dockerfile has no instruction; it needs at least FROM")
    return Dockerfile(text, escape, syntax, instructions)


def _lines(text: str) -> Iterator[_Line]:
    """The lines without their ends, which are Docker's: str.splitlines knows more."""
    start = int(text.startswith("\ufeff"))
    for number, match in enumerate(re.finditer(r"[^\n]*\n|[^\n]+", text[start:]), 1):
        body = match[0].rstrip("\r\n")
        at = start + match.start()
        yield _Line(number, at, at + len(body), body)


def _directives(text: str) -> tuple[str, str | None]:
    """The escape character, and the frontend that is asked for; only the latter may stand behind a `#!` line."""
    found: dict[str, str] = {}
    shebang = text.removeprefix("\ufeff").startswith("#!")
    for number, _, _, body in islice(_lines(text), int(shebang), None):
        match = _DIRECTIVE.fullmatch(body.lstrip(_SPACE))
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


def _instruction(first: _Line, lines: Iterator[_Line], escape: str) -> Instruction:
    joined, last = _joined(first, lines, escape)
    keyword, flags, args = _split(joined)
    if not keyword.isascii() or keyword.upper() not in KEYWORDS:
        raise DockerfileError(
            f"line {first.number}: unknown instruction {keyword[:40]!r}; correct it, or begin it with #", first.number
        )
    names = []
    for name, strip_tabs in _heredocs(keyword, args, joined.characters, first.number):
        for last in lines:
            if (last.body.lstrip("\t") if strip_tabs else last.body) == name:
                break
        else:
            raise DockerfileError(
                f"line {first.number}: the heredoc {name} is not closed; end it with {name}", first.number
            )
        names.append(name)
    return Instruction(
        keyword.upper(),
        args.characters,
        first.number,
        last.number,
        joined.offsets[0],
        last.end,
        tuple(flags),
        tuple(names),
    )


def _joined(first: _Line, lines: Iterator[_Line], escape: str) -> tuple[Located, _Line]:
    """A line with those that it goes on in, comments and empty lines between them left out; and the last one read."""
    # A doubled escape character at the end is an escaped one, and does not continue the line.
    continued = re.compile(rf"(?<!{re.escape(escape)}){re.escape(escape)}[ \t]*\Z")
    characters, last = "", first
    offsets: list[int] = []
    for last in chain([first], lines):
        if last is first or last.is_content:
            match = continued.search(last.body)
            piece = last.body[: match.start()] if match else last.body
            characters += piece
            offsets += range(last.start, last.start + len(piece))
            if match is None:
                break
    return Located(characters, tuple(offsets)).strip(), last


def _split(line: Located) -> tuple[str, list[Flag], Located]:
    """The keyword, flags and arguments of an instruction."""
    match = _KEYWORD.match(line.characters)
    assert match is not None
    rest = line[match.end() :]
    flags: list[Flag] = []
    at = 0
    while True:
        while rest.characters[at : at + 1] and rest.characters[at] in _BLANK:
            at += 1
        if not rest.characters.startswith("--", at):
            break
        word, at = _word(rest, at)
        if word.characters == "--":
            break
        name, separator, _ = word.characters[2:].partition("=")
        flags.append(Flag(name, word[3 + len(name) :] if separator else None))
    return match[1], flags, rest[at:].strip()


def _word(line: Located, at: int) -> tuple[Located, int]:
    """The word that begins here, without its quotes and escapes (a backslash in any quotes); and where it ends."""
    kept = []
    quote = ""
    while at < len(line.characters) and (quote or line.characters[at] not in _BLANK):
        character = line.characters[at]
        if character == "\\":
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
    return line.pick(kept), at


def _heredocs(keyword: str, args: Located, line: str, number: int) -> list[tuple[str, bool]]:
    """The names of an instruction's heredocs, and whether tabs may stand before their last line."""
    if keyword.upper() == "ONBUILD":
        keyword, _, args = _split(args)
    if keyword.upper() not in _HEREDOC_KEYWORDS or "<<" not in line or _is_json(args.characters):
        return []
    try:
        words = _Lexer(line, raw=True).words()
    except ValueError:
        # An open quote anywhere in the line, say: BuildKit then sees no heredoc in it.
        return []
    found = []
    for match in filter(None, map(_HEREDOC.fullmatch, words)):
        try:
            names = _Lexer(match[2], raw=False).words()
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


class _Lexer:
    """BuildKit's splitting of a line into words, with no variable set; only heredocs are found by it.

    With `raw`, quotes and backslashes stay. ValueError where it would fail.
    """

    def __init__(self, text: str, *, raw: bool) -> None:
        self._text = text
        self._raw = raw
        self._at = 0

    def words(self) -> list[str]:
        words = [""]
        for piece, splits in self._pieces("", self._raw):
            first, *more = re.split(f"[{_SPACE}]", piece) if splits else [piece]
            words[-1] += first
            words += more
        return [word for word in words if word]

    def _take(self, count: int = 1) -> str:
        self._at += count
        return self._text[self._at - count : self._at]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _pieces(self, stop: str, raw: bool) -> Iterator[tuple[str, bool]]:
        """What is read up to `stop`, and whether white space in it ends a word."""
        while character := self._peek():
            if character == stop:
                self._take()
                return
            if character == "$":
                yield self._variable(), True
            elif character == "'":
                yield self._single(), False
            elif character == '"':
                yield self._double(raw), False
            elif character == "<":
                yield self._angle(), False
            elif character == "\\":
                backslash, escaped = self._take(), self._take()
                yield (backslash if raw else "") + escaped, False
            else:
                yield self._take(), True
        if stop:
            raise ValueError(f"{stop} is missing")

    def _until(self, stop: str, raw: bool) -> str:
        return "".join(piece for piece, _ in self._pieces(stop, raw))

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1) + 1
        if not end:
            raise ValueError("' is missing")
        quoted = self._take(end - self._at)
        return quoted if self._raw else quoted[1:-1]

    def _double(self, raw: bool) -> str:
        quote = self._take()
        inside = ""
        while (character := self._peek()) != '"':
            if not character:
                raise ValueError('" is missing')
            if character == "$":
                inside += self._variable()
            elif character == "\\":
                backslash = self._take()
                inside += backslash if raw else ""
                inside += self._take() if self._peek() in ('"', "$", "\\") else backslash
            else:
                inside += self._take()
        self._take()
        return quote + inside + quote if self._raw else inside

    def _angle(self) -> str:
        """`<`, or `<<` with the white space behind it, which belongs to the heredoc's word."""
        taken = self._take()
        if self._peek() == "<":
            taken += self._take()
            while self._peek() and self._peek() in "\t\n\r ":
                taken += self._take()
        return taken

    def _variable(self) -> str:
        """`$name` or `${name…}`, as it is: it has no value."""
        self._take()
        if self._peek() != "{":
            return "$" + self._name()
        self._take()
        if self._peek() in ("", "{", "}", ":"):
            raise ValueError("bad substitution")
        name = self._name()
        modifier = self._take()
        if modifier == "}":
            return f"${{{name}}}"
        if modifier == "/":
            modifier += self._take() if self._peek() == "/" else ""
            return f"${{{name}/{self._until('/', True)}/{self._until('}', True)}}}"
        if modifier == ":":
            modifier += self._take()
        elif modifier not in ("+", "-", "?", "#", "%"):
            raise ValueError("unsupported modifier in substitution")
        return f"${{{name}{modifier}{self._until('}', modifier[-1] in '#%')}}}"

    def _name(self) -> str:
        match = _VARIABLE.match(self._text, self._at)
        return self._take(len(match[0])) if match else ""


def mounts(dockerfile: Dockerfile, kind: str) -> list[Mount]:
    """Every mount of one type (`secret`, `cache`, `ssh`), in order; those behind ONBUILD are not among them."""
    found = [
        _mount(item, flag.value)
        for item in dockerfile.instructions
        if item.keyword == "RUN"
        for flag in item.flags
        if flag.name == "mount" and flag.value is not None and flag.value.characters
    ]
    return [mount for mount in found if mount.type == kind]


def secret_mounts(dockerfile: Dockerfile) -> list[Mount]:
    """Every `--mount=type=secret`."""
    return mounts(dockerfile, "secret")


def cache_mounts(dockerfile: Dockerfile) -> list[Mount]:
    """Every `--mount=type=cache`."""
    return mounts(dockerfile, "cache")


def _mount(instruction: Instruction, value: Located) -> Mount:
    fields: dict[str, Located | None] = {}
    for field in _csv(value):
        key, separator, _ = field.characters.partition("=")
        name = {"src": "source", "dst": "target", "destination": "target"}.get(key.lower(), key.lower())
        fields[name] = field[len(key) + 1 :] if separator else None
    known = {name: item.characters for name, item in fields.items() if item is not None}
    kind = known.get("type", "bind").lower()
    place = fields["source"] if kind == "secret" and known.get("source") else fields.get("id")
    identifier = place.characters if place is not None else None
    return Mount(
        kind,
        identifier,
        known.get("target"),
        known.get("env"),
        "required" in fields and known.get("required", "true") in ("1", "t", "T", "true", "TRUE", "True"),
        place.end if place is not None and identifier else None,
        value.end,
        instruction,
    )


def _csv(value: Located) -> Iterator[Located]:
    """The fields of a mount, which is a CSV record."""
    for match in _CSV_FIELD.finditer(value.characters):
        if match[1] is None:
            yield value[match.start(2) : match.end(2)]
        else:
            quoted = value[match.start(1) : match.end(1)]
            yield quoted.pick(pair.start() for pair in re.finditer('""|.', quoted.characters, re.DOTALL))


class DockerfileParser:
    """COPY and ADD sources of a Dockerfile that need not parse: fal's lenient reading, and its results.

    `normalized_content` is `content` with continued lines joined.
    """

    def __init__(self, content: str) -> None:
        self.content = content
        self.normalized_content = re.sub(r"\\\n\s*", " ", content)

    def parse_copy_add_sources(self) -> list[str]:
        """The sources that are paths of the context, without a leading slash.

        `COPY --from` and `ADD` of an http URL have none. An instruction that can't be split is warned of and skipped.
        """
        return list(self._sources())

    def _sources(self) -> Iterator[str]:
        pattern = re.compile(r"^(COPY|ADD)\s+(.+?)(?:\s*\\)?$", re.MULTILINE | re.IGNORECASE)
        for match in pattern.finditer(self.normalized_content):
            keyword, rest = match[1].upper(), match[2].strip()
            if keyword == "COPY" and rest.lower().startswith("--from="):
                continue
            if keyword == "ADD" and re.search("https?://", rest, re.IGNORECASE):
                continue
            bare = re.sub(r'--\w+(?:=[^\s\]]+|="[^"]*")?', "", rest).strip()
            if not bare:
                continue
            try:
                words = json.loads(bare) if bare.endswith("]") else shlex.split(bare)
                sources = [word.lstrip("/") for word in words[:-1]]
            except (ValueError, TypeError, AttributeError):
                print(
                    f"[WARNING] Failed to parse instruction arguments: {rest}. Skipping this instruction. "
                    "Please check the Dockerfile syntax and try again."
                )
                continue
            yield from sources
