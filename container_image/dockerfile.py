"""A Dockerfile's instructions and flags, with their places in the text; its secret mounts; its COPY sources.

A scanner, not an interpreter: what a Dockerfile *means*, BuildKit says (`--call=outline`). The rules are those of the
Dockerfile reference; the tests compare with BuildKit's own parser.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

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
_DIRECTIVE = re.compile(r"^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_DIRECTIVES = frozenset({"escape", "syntax", "check"})
_HEREDOC = re.compile(r"(?<!<)(\d*)<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_.]*)\3")
_FLAG = re.compile(r"--[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Flag:
    """`--name=value` of an instruction. `start` and `end` are offsets in the text; `value_start` is its value's."""

    name: str
    value: str | None
    start: int
    end: int
    value_start: int


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `args` are its words with continuations joined; lines are 1-based; offsets are in the text."""

    keyword: str
    text: str
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
            words = self.instructions[start].args.split()
            name = words[2] if len(words) == 3 and words[1].upper() == "AS" else None
            base = words[0] if words else ""
            found.append(Stage(name, base, index, self.instructions[start].line, self.instructions[start:stop]))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Mount:
    """One `--mount=type=…` of a RUN. `id_start` and `id_end` are offsets of the id's value in the text, or None.

    `options` are the mount's key and value pairs, a key without a value having None. `stage` is the 0-based index.
    """

    type: str
    id: str | None
    target: str | None
    env: str | None
    required: bool
    id_start: int | None
    id_end: int | None
    options: tuple[tuple[str, str | None], ...]
    flag: Flag
    instruction: Instruction
    stage: int

    @property
    def effective_id(self) -> str | None:
        """The id that BuildKit looks the mount's source up under; a secret's defaults to its target's base name."""
        if self.id:
            return self.id
        return self.target.rstrip("/").rsplit("/", 1)[-1] if self.target else None


def parse(text: str) -> Dockerfile:
    """Splits a Dockerfile into instructions.

    Raises:
        DockerfileError: there is no instruction, one is not known, or a heredoc is not closed; names the line.
    """
    # Not str.splitlines, which knows more line ends than Docker does.
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    escape, syntax = _directives(lines)
    instructions: list[Instruction] = []
    offset = number = 0
    while number < len(lines):
        line = lines[number]
        stripped = _content(line, first=number == 0).strip()
        if not stripped or stripped.startswith("#"):
            offset += len(line)
            number += 1
            continue
        instruction, used = _instruction(lines, number, offset, escape)
        instructions.append(instruction)
        offset += sum(len(item) for item in lines[number : number + used])
        number += used
    if not instructions:
        raise DockerfileError("the Dockerfile has no instruction; it needs at least FROM")
    return Dockerfile(text, escape, syntax, tuple(instructions))


def _content(line: str, *, first: bool) -> str:
    return line.removeprefix("\ufeff") if first else line


def _directives(lines: list[str]) -> tuple[str, str | None]:
    escape, syntax, seen = "\\", None, set()
    for number, line in enumerate(lines):
        match = _DIRECTIVE.match(_content(line, first=number == 0).strip())
        if match is None or match[1].lower() not in _DIRECTIVES:
            break
        name, value = match[1].lower(), match[2]
        if name in seen:
            raise DockerfileError(f"line {number + 1}: the directive {name} is there twice; keep one", number + 1)
        seen.add(name)
        if name == "escape":
            if value not in ("\\", "`"):
                raise DockerfileError(f"line {number + 1}: escape must be \\ or `, not {value}", number + 1)
            escape = value
        elif name == "syntax":
            syntax = value
    return escape, syntax


def _instruction(lines: list[str], first: int, offset: int, escape: str) -> tuple[Instruction, int]:
    # A doubled escape character at the end is an escaped one, and does not continue the line.
    continued = re.compile(f"(?<!{re.escape(escape)}){re.escape(escape)}" + r"[ \t]*$")
    logical: list[str] = []
    places: list[int] = []
    number, at = first, offset
    end = offset
    while number < len(lines):
        raw = lines[number]
        body = raw.rstrip("\r\n")
        if number == 0:
            stripped = _content(body, first=True)
            shift = len(body) - len(stripped)
        else:
            stripped, shift = body, 0
        inside = number > first
        if inside and (not stripped.strip() or stripped.lstrip().startswith("#")):
            # Comments, and empty lines (deprecated), may stand between the lines of one instruction.
            at += len(raw)
            number += 1
            continue
        match = continued.search(stripped)
        piece = stripped[: match.start()] if match else stripped
        logical.append(piece)
        places.extend(range(at + shift, at + shift + len(piece)))
        at += len(raw)
        number += 1
        end = at - (len(raw) - len(body))
        if not match:
            break
    joined = "".join(logical)
    start = next(place for character, place in zip(joined, places, strict=True) if not character.isspace())
    line = first + 1
    word = joined.split(None, 1)
    keyword = word[0].upper()
    if keyword not in KEYWORDS:
        raise DockerfileError(f"line {line}: unknown instruction {word[0][:40]}; correct it, or begin it with #", line)
    args_at = joined.index(word[0]) + len(word[0])
    args, args_places = joined[args_at:], places[args_at:]
    flags, consumed = _flags(args, args_places)
    words = args[consumed:].strip()
    heredocs: list[str] = []
    heredoc_keyword = keyword
    if keyword == "ONBUILD" and words:
        heredoc_keyword = words.split(None, 1)[0].upper()
    if heredoc_keyword in _HEREDOC_KEYWORDS and not words.lstrip().startswith("["):
        for match in _HEREDOC.finditer(words):
            if _quoted(words, match.start()):
                continue
            name, strip_tabs = match[4], match[2] == "-"
            while number < len(lines):
                body = lines[number].rstrip("\n").removesuffix("\r")
                at += len(lines[number])
                number += 1
                end = at
                if (body.lstrip("\t") if strip_tabs else body) == name:
                    break
            else:
                raise DockerfileError(f"line {line}: the heredoc {name} is not closed; end it with {name}", line)
            heredocs.append(name)
    return (
        Instruction(
            keyword,
            "".join(lines[first:number]).rstrip("\r\n"),
            words,
            line,
            number,
            start,
            end,
            tuple(flags),
            tuple(heredocs),
        ),
        number - first,
    )


def _quoted(words: str, at: int) -> bool:
    """Whether a place is inside quotes, as a shell reads them."""
    quote = ""
    escaped = False
    for character in words[:at]:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
    return bool(quote)


def _flags(args: str, places: list[int]) -> tuple[list[Flag], int]:
    """The flags before an instruction's arguments, and how much of them was used."""
    flags: list[Flag] = []
    at = 0
    while True:
        while at < len(args) and args[at].isspace():
            at += 1
        if not _FLAG.match(args, at):
            return flags, at
        begin = at
        quote = ""
        while at < len(args) and (quote or not args[at].isspace()):
            character = args[at]
            if character == "\\" and quote != "'" and at + 1 < len(args):
                at += 1
            elif quote:
                quote = "" if character == quote else quote
            elif character in "'\"":
                quote = character
            at += 1
        text = args[begin:at]
        name, separator, value = text[2:].partition("=")
        value_at = begin + 2 + len(name) + len(separator)
        end = places[at - 1] + 1
        value_start = places[value_at] if value_at < len(places) else end
        flags.append(Flag(name, value if separator else None, places[begin], end, value_start))


def mounts(dockerfile: Dockerfile, kind: str) -> list[Mount]:
    """Every mount of one type (`secret`, `cache`, `ssh`), in order; those behind ONBUILD are not among them."""
    found = []
    for stage in dockerfile.stages:
        for item in stage.instructions:
            if item.keyword == "RUN":
                for flag in item.flags:
                    if flag.name == "mount" and flag.value is not None:
                        mount = _mount(dockerfile.text, item, flag, stage.index)
                        if mount.type == kind:
                            found.append(mount)
    return found


def secret_mounts(dockerfile: Dockerfile) -> list[Mount]:
    """Every `--mount=type=secret`."""
    return mounts(dockerfile, "secret")


def cache_mounts(dockerfile: Dockerfile) -> list[Mount]:
    """Every `--mount=type=cache`."""
    return mounts(dockerfile, "cache")


def _mount(text: str, instruction: Instruction, flag: Flag, stage: int) -> Mount:
    value = flag.value or ""
    fields = next(csv.reader([_unquoted(value)]), [])
    options: list[tuple[str, str | None]] = []
    for part in fields:
        key, separator, item = part.partition("=")
        options.append((key.strip().lower(), item if separator else None))
    known = dict(options)
    identifier = known.get("id")
    id_start = id_end = None
    if identifier:
        raw = text[flag.value_start : flag.end]
        match = re.search(r"(?:^|[,\"'])id=", raw, re.IGNORECASE)
        if match and raw[match.end() :].startswith(identifier):
            id_start = flag.value_start + match.end()
            id_end = id_start + len(identifier)
    required = "required" in known and (known["required"] or "true").lower() in ("true", "1")
    return Mount(
        (known.get("type") or "bind").lower(),
        identifier,
        known.get("target") or known.get("dst") or known.get("destination"),
        known.get("env"),
        required,
        id_start,
        id_end,
        tuple(options),
        flag,
        instruction,
        stage,
    )


def _unquoted(value: str) -> str:
    """A flag's value without the shell quotes around it, which BuildKit takes off before it reads the CSV."""
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"" and '"' not in value[1:-1]:
        return value[1:-1]
    return value


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
                print(f"[WARNING] can't read the sources of {rest!r}; this instruction is skipped")
                continue
            yield from sources
