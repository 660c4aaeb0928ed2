"""A report in the words of its reader: one module for each format, each with `render(report) -> str`."""

from __future__ import annotations

from collections.abc import Callable

from container_image.audit import AuditReport
from container_image.formats import html, json, junit, sarif, text

FORMATS: dict[str, Callable[[AuditReport], str]] = {
    "text": text.render,
    "json": json.render,
    "sarif": sarif.render,
    "junit": junit.render,
    "html": html.render,
}
"""The formats by name."""
