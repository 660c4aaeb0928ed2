"""What a parsed Dockerfile is: stages of instructions with flags."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from container_image.dockerfile.located import BLANK, Located


@dataclass(frozen=True, slots=True)
class Flag:
    """`--name=value` of an instruction; its value has no quotes or escapes any more.

    One whose quotes are not `closed` has swallowed all that was behind it.
    """

    name: str
    value: Located | None
    closed: bool = True

    def __str__(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value.characters}"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. `args` are its words with continuations joined; lines are 1-based; offsets are in the text.

    What it spans includes its heredocs, whose names are listed. `trigger` is what stands behind an ONBUILD.
    """

    keyword: str
    args: str
    line: int
    end_line: int
    start: int
    end: int
    flags: tuple[Flag, ...]
    heredocs: tuple[str, ...]
    trigger: Instruction | None = None

    @property
    def run(self) -> Instruction | None:
        """The RUN that this is, here or in a build that is based on this one."""
        found = self.trigger or self
        return found if found.keyword == "RUN" else None

    def flag(self, name: str) -> str | None:
        """The value of the last flag of that name."""
        values = [flag.value.characters for flag in self.flags if flag.name == name and flag.value is not None]
        return values[-1] if values else None


@dataclass(frozen=True, slots=True)
class Stage:
    """A build stage: its FROM and what follows. `base` is the image, or the name of an earlier stage."""

    name: str | None
    base: str
    index: int
    line: int
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Dockerfile:
    """A parsed Dockerfile. `escape` is its continuation character; `syntax` the frontend that it asks for."""

    text: str
    escape: str
    syntax: str | None
    instructions: tuple[Instruction, ...]

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in their order; instructions before the first FROM belong to none."""
        starts = [number for number, item in enumerate(self.instructions) if item.keyword == "FROM"]
        found = []
        for index, start in enumerate(starts):
            stop = starts[index + 1] if index + 1 < len(starts) else len(self.instructions)
            words = re.split(f"[{BLANK}]+", self.instructions[start].args)
            name = words[2] if len(words) == 3 and words[1].upper() == "AS" else None
            found.append(Stage(name, words[0], index, self.instructions[start].line, self.instructions[start:stop]))
        return tuple(found)

    def stage(self, name: str | None, before: int | None = None) -> Stage | None:
        """The stage of that name or number, the last one for None; among those before one, where that is given."""
        stages = self.stages[:before]
        if name is None:
            return stages[-1] if stages else None
        for stage in reversed(stages):
            if name.lower() == (stage.name or "").lower() or name == str(stage.index):
                return stage
        return None
