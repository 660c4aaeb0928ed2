"""Lists on stdout: a table that any width of terminal shows whole, or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone

import click

from container_image.printable import printable


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns apart by a bar, each as wide as its widest cell."""
    lines = [titles, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        click.echo(" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_json(key: str, rows: Sequence[dict[str, object]]) -> None:
    """An object with the rows under one key."""
    click.echo(json.dumps({key: rows}, indent=2))


def local(time: datetime | None) -> str:
    """`YYYY-MM-DD HH:MM:SS` in the local zone."""
    return "" if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def utc(time: datetime | None) -> str | None:
    """`YYYY-MM-DDTHH:MM:SSZ`."""
    return None if time is None else time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
