"""The report as JSON, schema version 1."""

from __future__ import annotations

import re
from collections.abc import Sequence

from container_image.audit import AuditReport
from container_image.formats.words import Outcome

# JSON lets these stand as they are, and a terminal obeys them.
_OBEYED = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def render(report: AuditReport) -> str:
    """The report as indented JSON."""
    return _escaped(report.model_dump_json(indent=2))


def join(outcomes: Sequence[Outcome]) -> str:
    """JSON Lines: each report as one line of JSON. An image that could not be audited has none."""
    return "".join(_escaped(outcome.model_dump_json()) for outcome in outcomes if isinstance(outcome, AuditReport))


def _escaped(document: str) -> str:
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", document) + "\n"
