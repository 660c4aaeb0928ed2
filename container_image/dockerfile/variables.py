"""What the variables of a Dockerfile hold at each instruction, as far as it and the build's arguments tell.

A guess where a base image sets them, or where one is set in a way that is not plain: whoever relies on it must prove it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from container_image.dockerfile.model import Dockerfile, Instruction
from container_image.dockerfile.words import Lexer

Scope = Mapping[str, str]
"""The variables that are set, with their values."""


def expand(text: str, scope: Scope, escape: str = "\\") -> str | None:
    """A word with its variables replaced; None where that is not plain."""
    try:
        return Lexer(text, escape=escape, variables=scope).word()
    except (ValueError, RecursionError):
        return None


def scopes(dockerfile: Dockerfile, build_args: Mapping[str, str], predefined: Mapping[str, str]) -> dict[int, Scope]:
    """The scope that each instruction is read in, by its line.

    `predefined` are the arguments that BuildKit declares for all stages, the platform's. What an ONBUILD leads to is
    read in the scope of the stage that is based on it, which begins as this one ends.
    """
    shared: Scope = {name: build_args.get(name, value) for name, value in predefined.items()}
    found: dict[int, Scope] = {}
    ends: dict[int, Scope] = {}
    first = dockerfile.stages[0].line if dockerfile.stages else 0
    for item in dockerfile.instructions:
        if item.line < first:
            found[item.line] = shared
            shared = _after(item, shared, shared, build_args, dockerfile.escape)
    for stage in dockerfile.stages:
        found[stage.line] = shared
        base = dockerfile.stage(expand(stage.base, shared, dockerfile.escape) or "", before=stage.index)
        scope = ends[base.index] if base is not None else {}
        for item in stage.instructions[1:]:
            found[item.line] = scope
            scope = _after(item, scope, shared, build_args, dockerfile.escape)
        for item in stage.instructions:
            if item.trigger is not None:
                found[item.line] = scope
                scope = _after(item.trigger, scope, shared, build_args, dockerfile.escape)
        ends[stage.index] = scope
    return found


def _after(item: Instruction, scope: Scope, shared: Scope, build_args: Mapping[str, str], escape: str) -> Scope:
    """The scope behind an instruction."""
    if item.keyword not in ("ARG", "ENV"):
        return scope
    values: dict[str, str | None] = {}
    for name, text in _assignments(item, escape):
        if item.keyword == "ARG" and name in build_args:
            values[name] = build_args[name]
        elif text is not None:
            values[name] = expand(text, scope, escape)
        elif name in shared:
            values[name] = shared[name]
    changed = {**scope, **values}
    return {name: value for name, value in changed.items() if value is not None}


def _assignments(item: Instruction, escape: str) -> Iterator[tuple[str, str | None]]:
    """The names that ARG or ENV sets, and the words that they are set to, as written."""
    escaped = re.escape(escape) + "."
    words = re.findall(rf"""(?:{escaped}|'[^']*'|"(?:{escaped}|[^"])*"|\S)+""", item.args)
    if item.keyword == "ENV" and words and "=" not in words[0]:
        yield words[0], item.args[len(words[0]) :].strip()
        return
    for word in words:
        name, separator, text = word.partition("=")
        yield name, text if separator else None
