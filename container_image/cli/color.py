"""Colour, which the command line adds to texts that are plain: where a terminal shows them, or `--color` asks for it."""

from __future__ import annotations

import re
from functools import partial
from typing import TextIO

import click

from container_image.terminal import takes_color

_choice: bool | None = None

_STYLES: tuple[tuple[str, str, bool], ...] = (
    (r"^clean(?:, [\d,]+ accepted)?(?=:)|^all found(?=:)", "green", True),
    (r"^LEAKED(?=:)|^LEAK(?=  )|^MISSED [\d,]+(?=:)", "red", True),
    (r"^INCOMPLETE(?=:)|^(?:UNREAD|NOT SEARCHED FOR|ANOTHER VALUE|NOT AUDITED)(?=[: ])|^warning(?=:)", "yellow", True),
    (r"^  fix(?= )", "cyan", False),
)


def choose(choice: str | None) -> None:
    """Takes `--color`: `always`, `never`, or `auto`, which leaves it to each stream."""
    global _choice
    _choice = {"always": True, "never": False}.get(choice or "auto")


def chosen() -> bool | None:
    """Whether `--color` asks for colour; None where it leaves that to each stream."""
    return _choice


def styled(text: str, stream: TextIO, color: str | None, *, bold: bool = False) -> str:
    """The text in a colour, if the stream takes any."""
    if not (takes_color(stream) if _choice is None else _choice):
        return text
    return click.style(text, fg=color, bold=bold or None)


def report(text: str, stream: TextIO) -> str:
    """A report in the text format, with its verdict, its findings and its warnings in colour if the stream takes any."""
    for pattern, color, bold in _STYLES:
        text = re.sub(pattern, partial(_styled_match, stream, color, bold), text, flags=re.MULTILINE)
    return text


def _styled_match(stream: TextIO, color: str, bold: bool, match: re.Match[str]) -> str:
    return styled(match[0], stream, color, bold=bold)
