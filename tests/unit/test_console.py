"""Progress: whole lines of output, one live line for what runs, and no animation where none is wanted."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator

import pytest

from container_image import progress
from container_image.build import BuildEvent
from container_image.progress import Display

LONG = "[b 2/2] RUN <<EOF\nsleep 1\n" + "echo and so on\n" * 20 + "EOF"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def on_terminal(**environment: str) -> Iterator[tuple[Terminal, Display]]:
    """A display on a terminal of 60 columns."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(Terminal()) as terminal:
        for name, value in ({"COLUMNS": "60", "TERM": "xterm", "NO_COLOR": ""} | environment).items():
            patch.setenv(name, value)
        with progress.console() as display:
            yield terminal, display


def test_output_is_shown_by_lines_however_it_arrives(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.console() as display:
        for text in ("one ", "line\r\nclear \x1b[2J", "\x1b[H", "\n 10%\r", " 50%\r", "100%"):
            display(BuildEvent("log", "[2/2] RUN x", text))
        display(BuildEvent("done", "[2/2] RUN x", seconds=3))
    assert capsys.readouterr().err.splitlines() == [
        "    one line",
        r"    clear \x1b[2J\x1b[H",
        "    100%",
        "   done  [2/2] RUN x (3 s)",
    ]


def test_the_live_line_is_the_oldest_step_that_runs() -> None:
    with on_terminal() as (terminal, display):
        display(BuildEvent("started", "[a 2/2] RUN short"))
        display(BuildEvent("started", LONG))
        display(BuildEvent("done", "[a 2/2] RUN short"))
        shown = len(terminal.getvalue())
        time.sleep(0.5)
        lines = terminal.getvalue()[shown:]
    assert "    0 s  [b 2/2] RUN <<EOF sleep 1 echo" in lines
    assert "…" in lines
    assert "[a 2/2]" not in lines
    assert "\n" not in lines


def test_a_line_about_a_step_fits_the_terminal() -> None:
    with on_terminal(NO_COLOR="1") as (terminal, display):
        display(BuildEvent("done", LONG, seconds=12))
    line = terminal.getvalue()
    assert line.endswith("… (12 s)\n")
    assert len(line) == 61


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_nothing_moves_where_none_is_wanted(environment: dict[str, str]) -> None:
    with on_terminal(**environment) as (terminal, display):
        display(BuildEvent("started", "[1/1] RUN x"))
        time.sleep(0.3)
        display(BuildEvent("done", "[1/1] RUN x"))
    assert terminal.getvalue() == "   done  [1/1] RUN x\n"
