"""A report in the words of its reader: one module for each format, each with `render(report) -> str`."""

from __future__ import annotations

from collections.abc import Callable

from container_image.audit import AuditReport
from container_image.formats import json, text

FORMATS: dict[str, Callable[[AuditReport], str]] = {"text": text.render, "json": json.render}
"""The formats by name."""
