"""The parts that `run` and `exec` share: their stdout and their exit status are their child's."""

from __future__ import annotations

from collections.abc import Mapping

import click

from container_image.cli import command as base
from container_image.cli.secrets import Command
from container_image.cli.streams import say

FAILURE = 125
"""Exit code of what fails before there is a child, a wrong option included, as Docker's."""


class ChildCommand(base.Command):
    """A command whose exit code is its child's; `failure` is that of its own errors."""

    failure = FAILURE


def only_option(function: Command) -> Command:
    """`--only`, repeatable."""
    return click.option(
        "--only",
        multiple=True,
        metavar="NAME",
        help="Give only this secret, even if it is not exposed by default. Can be repeated.",
    )(function)


def say_if_none(environment: str, values: Mapping[str, object]) -> None:
    """Says so where the child gets no secret, which is rarely what was meant."""
    if not values:
        say(
            f"the environment {environment!r} exposes no secret, so none is given; --only NAME gives one that is not exposed"
        )
