"""The report for a person: the verdict first, then each finding with its place and what to do."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Iterator, Sequence

from container_image.audit import AuditReport, AuditWarning, Finding
from container_image.formats.words import (
    Outcome,
    heading,
    image_name,
    joint_summary,
    made_by,
    short,
    summary,
    warned,
    where,
)
from container_image.printable import printable


def render(report: AuditReport) -> str:
    """The report as plain text."""
    return "\n".join(map(printable, _lines(report))) + "\n"


def join(outcomes: Sequence[Outcome]) -> str:
    """The reports one after another, then one line that sums them up and names what was not audited."""
    reports = [render(outcome) for outcome in outcomes if isinstance(outcome, AuditReport)]
    return "\n".join([*reports, printable(joint_summary(outcomes)) + "\n"])


def _lines(report: AuditReport) -> Iterator[str]:
    yield summary(report)
    yield f"  image {image_name(report)}  {report.image.digest}"
    for finding in report.findings:
        yield ""
        yield from _finding(finding)
    unsearched = [row for row in report.secrets if row.reason in ("too short", "low entropy", "too many")]
    for row in unsearched:
        yield ""
        yield f"NOT SEARCHED FOR  {row.label}: {row.reason}{' (accepted)' if row.accepted else ''}"
        if not row.accepted and row.reason == "too many":
            name = row.name.rsplit(":", 1)[0]
            yield f"  fix    give what the build needs in smaller secrets, or accept that (--accept-unsearchable {name})"
        elif not row.accepted:
            yield f"  fix    give it a longer, random value, or accept that (--accept-unsearchable {row.name})"
    for row in report.secrets:
        if row.built_with == "different":
            yield ""
            yield f"ANOTHER VALUE  {row.label}: the image was built with one that was not given; give that one too, or build in another cache scope"
    for item in report.coverage.unread:
        yield ""
        yield f"UNREAD  {item.path or item.digest}: {item.reason}{' (accepted)' if item.accepted else ''}"
        if not item.accepted:
            # A colon ends the reason, so it is written as a glob from there on.
            reason = item.reason.partition(":")[0] + "*" if ":" in item.reason else item.reason
            rule = shlex.quote(f"{reason}:{glob.escape(item.path or item.digest or '*')}")
            yield f"  fix    look into it by other means, and accept that (--accept-unread {rule})"
    public = [row.label for row in report.secrets if row.reason in ("declared public", "public by key")]
    if public:
        yield ""
        yield f"not searched for, as public: {', '.join(public)}"
    if report.image.absent_platforms:
        yield ""
        yield f"not there, not read: {', '.join(report.image.absent_platforms)}"
    for warning, told in warned(report):
        yield ""
        yield from _warning(warning, told)


def _finding(finding: Finding) -> Iterator[str]:
    yield f"LEAK  {heading(finding)}{' (accepted)' if finding.accepted else ''}"
    yield f"  where  {where(finding)}"
    origin = made_by(finding)
    if origin:
        yield f"  from   {origin}"
    if not finding.accepted:
        yield f"  fix    {finding.advice}"


def _warning(warning: AuditWarning, told: str) -> Iterator[str]:
    yield f"warning: {told}"
    if warning.step:
        yield f"  in {short(warning.step)}"
    for name, text in (("where", where(warning)), ("from", made_by(warning)), ("fix", warning.advice)):
        if text:
            yield f"  {name:<5}  {text}"
