"""Which instruction made a layer, and on which line of the Dockerfile it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from container_image.dockerfile import Dockerfile, Instruction, Stage, parse
from container_image.errors import DockerfileError


@dataclass(frozen=True, slots=True)
class SourceMap:
    """The Dockerfile that an image was built from: its text, the file to name, and the lines before it in that file.

    `target` is the stage that was built, the last one when None. `own_lines` is how many lines of the text are the
    author's, where others were added behind them: those have no place in the file.
    """

    text: str
    file: str
    line_offset: int = 0
    target: str | None = None
    own_lines: int | None = None


_FLAGS = re.compile(r"(?:--\S+ +)*")


@dataclass(frozen=True, slots=True)
class Step:
    """A history entry: the instruction as BuildKit recorded it, and its line, where the Dockerfile is known.

    BuildKit records COPY and ADD without some of their flags, `--from` among them; `flags` are all that the Dockerfile
    has.
    """

    instruction: str
    line: int | None = None
    flags: tuple[str, ...] = ()

    @property
    def written(self) -> str:
        """The instruction with all of its flags."""
        keyword, space, rest = self.instruction.partition(" ")
        recorded = {flag.partition("=")[0] for flag in _FLAGS.match(rest)[0].split()}  # type: ignore[index]
        missing = (flag for flag in self.flags if flag.partition("=")[0] not in recorded)
        return " ".join((keyword, *missing)) + space + rest


_SPACE = re.compile(r"\s+")
_SHELL = re.compile(r"^RUN (?:\|\d+ .*?)?/bin/sh -c ", re.DOTALL)
# BuildKit writes these as it read them, but for white space; the legacy builder puts a shell in front.
_NOP = re.compile(r"^/bin/sh -c #\(nop\)\s+")


def steps(created_by: Sequence[str], source: SourceMap | None) -> list[Step]:
    """One step for each history entry of an image, oldest first.

    Lines are found from the last entry backwards, because a base image's entries come first and no Dockerfile of ours
    has them.
    """
    texts = [_display(text) for text in created_by]
    found: dict[int, Step] = {}
    if source is not None:
        instructions = list(_chain(source))
        for index in range(len(texts) - 1, -1, -1):
            place = _find(texts[index], instructions)
            if place is not None:
                item = instructions[place]
                if source.own_lines is None or item.line <= source.own_lines:
                    flags = tuple(map(str, item.flags)) if item.keyword in ("COPY", "ADD") else ()
                    found[index] = Step(texts[index], item.line + source.line_offset, flags)
                del instructions[place:]
    return [found.get(index) or Step(text) for index, text in enumerate(texts)]


def _display(created_by: str) -> str:
    text = created_by.removesuffix(" # buildkit")
    text = _NOP.sub("", text)
    match = _SHELL.match(text)
    if match:
        return "RUN " + text[match.end() :]
    return "RUN " + text.removeprefix("/bin/sh -c ") if text.startswith("/bin/sh -c ") else text


def _chain(source: SourceMap) -> Iterator[Instruction]:
    """The instructions that end up in the built stage, its parents' first."""
    try:
        dockerfile = parse(source.text)
    except DockerfileError:
        return
    stage = _stage(dockerfile, source.target)
    chain: list[Stage] = []
    while stage is not None and stage not in chain:
        chain.append(stage)
        stage = _stage(dockerfile, stage.base, before=stage.index)
    for part in reversed(chain):
        yield from (item for item in part.instructions if item.keyword != "FROM")


def _stage(dockerfile: Dockerfile, name: str | None, before: int | None = None) -> Stage | None:
    stages = dockerfile.stages if before is None else dockerfile.stages[:before]
    if name is None:
        return stages[-1] if stages else None
    for stage in reversed(stages):
        if (stage.name or "").lower() == name.lower() or (before is None and str(stage.index) == name):
            return stage
    return None


def _find(text: str, instructions: Sequence[Instruction]) -> int | None:
    """The last instruction that wrote this history entry: by its words, else by its keyword alone if it is the next."""
    keyword = text.split(" ", 1)[0].upper()
    words = _squeeze(text)
    for index in range(len(instructions) - 1, -1, -1):
        item = instructions[index]
        if item.keyword == keyword and _squeeze(item.args) in words:
            return index
    for index in range(len(instructions) - 1, -1, -1):
        if instructions[index].keyword == keyword:
            return index
        if instructions[index].keyword in ("RUN", "COPY", "ADD"):
            return None
    return None


def _squeeze(text: str) -> str:
    return _SPACE.sub("", text.replace('"', "").replace("'", "").replace("\\", ""))
