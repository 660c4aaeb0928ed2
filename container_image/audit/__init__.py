"""The audit: an image and some secrets' values go in, a report of where the values are comes out."""

from container_image.audit.attribution import SourceMap
from container_image.audit.engine import AuditEvent, audit, audit_reference, audit_source, read_values
from container_image.audit.log import LogSearch
from container_image.audit.policy import AcceptedUnread, AuditPolicy, WarningCode
from container_image.audit.report import AuditReport, AuditWarning, Finding, Verdict, warned_about, with_exports
from container_image.audit.selftest import Recall, self_test

__all__ = [
    "AcceptedUnread",
    "AuditEvent",
    "AuditPolicy",
    "AuditReport",
    "AuditWarning",
    "Finding",
    "LogSearch",
    "Recall",
    "SourceMap",
    "Verdict",
    "WarningCode",
    "audit",
    "audit_reference",
    "audit_source",
    "read_values",
    "self_test",
    "warned_about",
    "with_exports",
]
