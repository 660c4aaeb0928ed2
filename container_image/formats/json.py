"""The report as JSON, schema version 1."""

from __future__ import annotations

import re

from container_image.audit import AuditReport

# JSON lets these stand as they are, and a terminal obeys them.
_OBEYED = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def render(report: AuditReport) -> str:
    """The report as indented JSON."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", report.model_dump_json(indent=2)) + "\n"
