"""Colour: on terminals, unless somebody wants none; never in files and pipes, unless somebody wants it there."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from container_image import progress
from container_image.build import BuildEvent
from tests.images import Builder

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
RED, GREEN = "\x1b[31m\x1b[1m", "\x1b[32m\x1b[1m"


def reference(directory: Path, content: bytes) -> str:
    image = Builder()
    return image.archive(image.manifest([{"file": content}]), directory / "image.tar")


def run(*arguments: str, terminal: bool, **environment: str) -> str:
    """All that the program shows, on a terminal or through a pipe."""
    theirs = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    theirs |= {"TERM": "xterm", "TOKEN": TOKEN, **environment}
    command = [sys.executable, "-m", "container_image", *arguments]
    if not terminal:
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=theirs, check=False
        ).stdout
    process, shown = pty.fork()
    if process == 0:
        os.execve(sys.executable, command, theirs)
    text = b""
    while True:
        try:
            data = os.read(shown, 4096)
        except OSError:
            break
        if not data:
            break
        text += data
    os.close(shown)
    os.waitpid(process, 0)
    return text.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("terminal", "option", "environment", "colored"),
    [
        (True, (), {}, True),
        (True, (), {"NO_COLOR": "1"}, False),
        (True, (), {"NO_COLOR": ""}, True),
        (True, (), {"TERM": "dumb"}, False),
        (True, (), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (True, ("--color", "never"), {}, False),
        (True, ("--color", "never"), {"FORCE_COLOR": "1"}, False),
        (False, (), {}, False),
        (False, (), {"FORCE_COLOR": "1"}, True),
        (False, (), {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        (False, ("--color=always",), {}, True),
        (False, ("--color=always",), {"NO_COLOR": "1"}, True),
        (False, ("--color=auto",), {}, False),
    ],
)
def test_a_report_is_coloured_where_it_is_wanted(
    terminal: bool, option: tuple[str, ...], environment: dict[str, str], colored: bool, tmp_path: Path
) -> None:
    line = ["audit", reference(tmp_path, TOKEN.encode()), "--secret", "id=TOKEN"]
    shown = run(*line, *option, terminal=terminal, **environment)
    assert shown.startswith(f"{RED}LEAKED" if colored else "LEAKED: ")
    assert (f"{RED}LEAK\x1b[0m  TOKEN" in shown) == colored
    assert bool(ESCAPE.search(shown)) == colored
    # Before the command too; and the text is the same.
    plain = ESCAPE.sub("", shown)
    assert ESCAPE.sub("", run(*option, *line, terminal=terminal, **environment)) == plain
    assert "LEAK  TOKEN  (raw)\n  where  layer 0  /file" in plain


def test_only_text_is_coloured_and_files_never_are(tmp_path: Path) -> None:
    line = ["audit", reference(tmp_path, b"nothing"), "--secret", "id=TOKEN", "--color=always"]
    report = tmp_path / "report"
    shown = run(*line, "--report", f"text={report}", terminal=False)
    assert shown.startswith(f"{GREEN}clean\x1b[0m: searched")
    assert report.read_text() == ESCAPE.sub("", shown)
    for form in ("json", "sarif", "junit", "html"):
        assert not ESCAPE.search(run(*line, "--format", form, terminal=True))


def test_errors_and_headings_are_coloured() -> None:
    assert run("audit", "--color", "always", terminal=False).startswith(f"{RED}container-image:\x1b[0m no image")
    assert f"{RED}Error:\x1b[0m No such command" in run("--color", "always", "nothing", terminal=False)
    assert "\x1b[1mExamples:\x1b[0m\n" in run("--color", "always", "build", "--help", terminal=False)
    assert "\x1b[1mExamples:\x1b[0m\n" in run("build", "--help", terminal=True)
    assert not ESCAPE.search(run("build", "--help", terminal=False))


def test_labels_of_progress_are_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    for color, label in ((True, "\x1b[1;31m failed\x1b[0m"), (False, " failed"), (None, " failed")):
        with progress.console(color=color) as show:
            show(BuildEvent("failed", "[1/1] RUN [red]x[/red]"))
        assert capsys.readouterr().err == f"{label}  [1/1] RUN [red]x[/red]\n"
