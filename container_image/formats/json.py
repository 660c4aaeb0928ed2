"""The report as JSON, schema version 1."""

from __future__ import annotations

from container_image.audit import AuditReport


def render(report: AuditReport) -> str:
    """The report as indented JSON."""
    return report.model_dump_json(indent=2) + "\n"
