"""Progress of builds and audits, shown on a terminal, in a log or in a notebook.

>>> from container_image import ContainerImage, progress
>>> image = ContainerImage("FROM scratch")
>>> built = image.build(on_event=progress.console())  # doctest: +SKIP
   done  [1/1] FROM scratch
"""

from __future__ import annotations

import sys
import time
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text
from typing_extensions import Self

from container_image.audit import AuditEvent
from container_image.build import BuildEvent
from container_image.printable import printable
from container_image.terminal import is_terminal, takes_color

_STYLES = {"done": "green", "cached": "cyan", "failed": "bold red", "warning": "bold yellow"}


def console(file: TextIO | None = None, *, live: bool | None = None, color: bool | None = None) -> Display:
    """A receiver of events for `on_event` of `ContainerImage.build` and `audit`, which shows them.

    Each step is one line when it is over, with its output above. On a terminal, a line at the end says what runs.
    `file` is stderr unless one is given. `live` is whether that last line is shown, and `color` whether labels are in
    colour; None chooses what the file is fit for, and heeds `NO_COLOR` and `FORCE_COLOR`. No secret's value is shown:
    events carry redacted text.
    """
    drawn = Console(file=file, stderr=file is None, highlight=False)
    if drawn.is_jupyter:
        # Each line is an element of the page, and a line that is drawn anew would need widgets.
        return Display(drawn)
    shown = sys.stderr if file is None else file
    color = takes_color(shown) if color is None else color
    narrow = is_terminal(shown) if live is None else live
    # Who wants no colour on a terminal wants no animation either.
    live = narrow and color if live is None else live
    drawn = Console(
        file=file, stderr=file is None, highlight=False, force_terminal=color or live or None, no_color=not color,
        color_system="standard" if color else None,
    )  # fmt: skip
    return Display(drawn, live=live, narrow=narrow)


class Display:
    """Shows the events that it is called with. While it is open as a context, a live line says what runs.

    Builds and audits open what they are given as `on_event`. One display shows one build or audit at a time.
    `narrow` cuts lines about steps to the width of the terminal.
    """

    def __init__(self, drawn: Console, *, live: bool = False, narrow: bool = False) -> None:
        self._console = drawn
        self._narrow = narrow
        self._wants_live = live
        self._live: Live | None = None
        self._running: dict[str, float] = {}
        self._unfinished: dict[str, str] = {}
        self._now = ""

    def __enter__(self) -> Self:
        if self._wants_live and self._live is None:
            self._live = Live(get_renderable=self._line_of_now, console=self._console, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._running.clear()
        self._unfinished.clear()
        self._now = ""

    def __call__(self, event: BuildEvent | AuditEvent) -> None:
        """Shows one event."""
        if isinstance(event, AuditEvent):
            self._now = f"{event.blobs} blobs, {event.bytes / 1e6:,.0f} MB read"
        elif event.kind == "started":
            self._now = ""
            self._running[event.step] = time.monotonic()
        elif event.kind == "log":
            self._log(event.step, event.text)
        elif event.kind in ("done", "cached", "failed"):
            self._finish(event)
        elif event.kind == "warning":
            self._print(self._line("warning", event.text))

    def _log(self, step: str, text: str) -> None:
        """Shows whole lines only. Of a line that was overwritten (after a carriage return), the last text is shown."""
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

    def _line_of_now(self) -> Text:
        """The live line: how far the audit is, or the step that has run longest."""
        if self._now:
            return self._line("audit", self._now)
        # A copy: a thread draws this line while events come.
        for step, started in list(self._running.items()):
            return self._line(f"{time.monotonic() - started:.0f} s", step)
        return Text()

    def _line(self, label: str, text: str, end: str = "") -> Text:
        """One line whatever the text is, and on a terminal no longer than the terminal is wide."""
        line = Text.assemble((f"{label:>7}", _STYLES.get(label, "")), f"  {printable(' '.join(text.split()))}")
        if self._narrow:
            line.truncate(self._console.width - len(end), overflow="ellipsis")
        return line.append(end)

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)
