"""A report in the words of its reader: one module for each format.

Each has `render(report)`, and `join(outcomes)` for the audit of several images. Both return text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from container_image.audit import AuditReport
from container_image.formats import html, json, junit, sarif, text
from container_image.formats.words import Outcome

FORMATS: dict[str, Callable[[AuditReport], str]] = {
    "text": text.render,
    "json": json.render,
    "sarif": sarif.render,
    "junit": junit.render,
    "html": html.render,
}
"""The formats by name."""

JOINED: dict[str, Callable[[Sequence[Outcome]], str]] = {
    "text": text.join,
    "json": json.join,
    "sarif": sarif.join,
    "junit": junit.join,
    "html": html.join,
}
"""The same formats, for the outcomes of several audits in one document."""
