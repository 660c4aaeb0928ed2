"""Progress on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.status import Status
from rich.text import Text

from container_image.audit import AuditEvent
from container_image.build import BuildEvent


class Display:
    """Shows events while it is open; with `quiet`, nothing. `live` says whether a line moves, None where a terminal tells."""

    def __init__(self, *, quiet: bool, live: bool | None = None) -> None:
        self._live = sys.stderr.isatty() if live is None else live
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._status: Status | None = None

    def __enter__(self) -> Display:
        if self._live and not self._console.quiet:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def show(self, event: BuildEvent | AuditEvent) -> None:
        """One event."""
        if isinstance(event, AuditEvent):
            if self._status is not None:
                self._status.update(Text(f"audit: {event.blobs} blobs, {event.bytes / 1e6:,.0f} MB read"))
            return
        if event.kind == "started" and self._status is not None:
            self._status.update(Text(event.step))
        elif event.kind == "log":
            for line in event.text.splitlines():
                self._print(f"    {line}")
        elif event.kind in ("done", "cached", "failed") and not event.step.startswith("[internal]"):
            took = f" ({event.seconds:.0f} s)" if event.seconds else ""
            self._print(f"{event.kind:>7}  {event.step}{took}")
        elif event.kind == "warning":
            self._print(f"warning  {event.text}")

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)
