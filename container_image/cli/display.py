"""Progress on stderr: what is running on a live line of a terminal, and what happened in plain lines."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

from container_image.audit import AuditEvent
from container_image.build import BuildEvent
from container_image.errors import BuildError
from container_image.printable import printable


class Display:
    """Shows events while it is open; with `quiet`, nothing.

    `live` says whether it is shown as a terminal has it: None where stderr itself tells.
    """

    def __init__(self, *, quiet: bool, live: bool | None = None) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._terminal = (sys.stderr.isatty() and not self._console.is_dumb_terminal) if live is None else live
        self._live: Live | None = None
        self._running: dict[str, float] = {}
        self._unfinished: dict[str, str] = {}
        self._read = ""

    def __enter__(self) -> Display:
        if self._terminal and not self._console.no_color and not self._console.quiet:
            self._live = Live(get_renderable=self._now, console=self._console, transient=True)
            self._live.start()
        return self

    def __exit__(self, _type: object, error: object, _traceback: object) -> None:
        if self._live is not None:
            self._live.stop()
        if isinstance(error, BuildError) and not self._console.quiet:
            # It was shown as it came.
            error.output = ()

    def show(self, event: BuildEvent | AuditEvent) -> None:
        """One event."""
        if isinstance(event, AuditEvent):
            self._read = f"{event.blobs} blobs, {event.bytes / 1e6:,.0f} MB read"
        elif event.kind == "started":
            self._read = ""
            self._running[event.step] = time.monotonic()
        elif event.kind == "log":
            self._log(event.step, event.text)
        elif event.kind in ("done", "cached", "failed"):
            self._finish(event)
        elif event.kind == "warning":
            self._print(self._line("warning", event.text))

    def _log(self, step: str, text: str) -> None:
        """Shows whole lines only, and of a line that was written over and over, what it came to."""
        *lines, rest = (self._unfinished.pop(step, "") + text).split("\n")
        for line in lines:
            self._print(Text("    " + printable(line.rstrip("\r").rpartition("\r")[2])))
        if rest:
            self._unfinished[step] = rest

    def _finish(self, event: BuildEvent) -> None:
        self._running.pop(event.step, None)
        if event.step in self._unfinished:
            self._log(event.step, "\n")
        if not event.step.startswith("[internal]"):
            took = f" ({event.seconds:.0f} s)" if event.seconds else ""
            self._print(self._line(event.kind, event.step, took))

    def _now(self) -> Text:
        """The live line: how far the audit is, or the step that has run longest."""
        if self._read:
            return self._line("audit", self._read)
        for step, started in self._running.items():
            return self._line(f"{time.monotonic() - started:.0f} s", step)
        return Text()

    def _line(self, label: str, text: str, end: str = "") -> Text:
        """One line whatever the text is, and on a terminal no longer than the terminal is wide."""
        line = Text(f"{label:>7}  {printable(' '.join(text.split()))}")
        if self._terminal:
            line.truncate(self._console.width - len(end), overflow="ellipsis")
        return line.append(end)

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)
