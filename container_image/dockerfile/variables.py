"""What the variables of a Dockerfile hold at each instruction, as far as it and the build's arguments tell.

These are guesses where a base image sets a variable: a caller that relies on one must prove it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile

from container_image.dockerfile.model import Dockerfile, Instruction
from container_image.dockerfile.words import Lexer

Scope = Mapping[str, str]
"""The variables that are set, with their values."""


def expand(text: str, scope: Scope, escape: str = "\\") -> str | None:
    """A word with its variables replaced; None where BuildKit would fail."""
    try:
        return Lexer(text, escape=escape, variables=scope).word()
    except (ValueError, RecursionError):
        return None


def argument_defaults(dockerfile: Dockerfile) -> Iterator[tuple[int, str, str | None]]:
    """Each name that an ARG declares, with its line before it and its default behind it, None where it has none.

    Variables in a default are taken as unset; a default with a substitution that is not plain is given as it is written.
    """
    for item in dockerfile.instructions:
        declaring = item.trigger or item
        if declaring.keyword == "ARG":
            for name, text in _assignments(declaring, dockerfile.escape):
                value = expand(text, {}, dockerfile.escape) if text is not None else None
                yield item.line, name, text if value is None else value


def scopes(dockerfile: Dockerfile, build_args: Mapping[str, str], predefined: Mapping[str, str]) -> dict[int, Scope]:
    """The scope that each FROM, and each instruction with flags, is read in, by its line.

    `predefined` are the arguments that BuildKit declares for all stages, the platform's. What an ONBUILD leads to is
    read in the scope of the stage that is based on it, which begins as this one ends.
    """
    found: dict[int, Scope] = {}
    shared: Scope = {name: build_args.get(name, value) for name, value in predefined.items()}

    def read(instructions: Iterable[Instruction], start: Scope) -> Scope:
        """Notes the scopes of instructions; gives the one behind them."""
        scope = dict(start)
        noted: Scope | None = None
        for item in instructions:
            if item.keyword in ("ARG", "ENV"):
                for name, value in list(_values(item, scope, shared, build_args, dockerfile.escape)):
                    scope[name] = value
                noted = None
            elif item.flags:
                # One copy for all up to the next change.
                noted = dict(scope) if noted is None else noted
                found[item.line] = noted
        return scope

    shared = read(takewhile(lambda item: item.keyword != "FROM", dockerfile.instructions), shared)
    ends: dict[int, Scope] = {}
    for stage in dockerfile.stages:
        found[stage.line] = shared
        base = dockerfile.stage(expand(stage.base, shared, dockerfile.escape) or "", before=stage.index)
        end = read(stage.instructions[1:], ends[base.index] if base is not None else {})
        ends[stage.index] = read([item.trigger for item in stage.instructions if item.trigger is not None], end)
    return found


def _values(
    item: Instruction, scope: Scope, shared: Scope, build_args: Mapping[str, str], escape: str
) -> Iterator[tuple[str, str]]:
    """What an ARG or ENV sets; nothing for what is not plain."""
    for name, text in _assignments(item, escape):
        value = expand(text, scope, escape) if text is not None else shared.get(name)
        if item.keyword == "ARG":
            value = build_args.get(name, value)
        if value is not None:
            yield name, value


def _assignments(item: Instruction, escape: str) -> Iterator[tuple[str, str | None]]:
    """The names that ARG or ENV sets, and the words that they are set to, as written."""
    mark = re.escape(escape)
    # One way to read each character: with two, an open quote before thirty escapes takes minutes.
    words = re.findall(rf"""(?:{mark}.|'[^']*'|"(?:{mark}(?s:.)|[^"{mark}])*"|\S)+""", item.args)
    if item.keyword == "ENV" and words and "=" not in words[0]:
        yield words[0], item.args[len(words[0]) :].strip()
        return
    for word in words:
        name, separator, text = word.partition("=")
        yield name, text if separator else None
