"""The report for a person: the verdict first, then each finding with its place and what to do."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Iterator

from container_image.audit import AuditReport, Finding, Verdict
from container_image.printable import printable


def render(report: AuditReport) -> str:
    """The report as plain text."""
    return "\n".join(map(printable, _lines(report))) + "\n"


def _lines(report: AuditReport) -> Iterator[str]:
    searched = sum(row.searched for row in report.secrets)
    coverage = report.coverage
    yield (
        f"{_verdict(report)}: searched for {_count(searched, 'secret')} in {_size(coverage.bytes)} "
        f"({_count(coverage.layers, 'layer')}, {_count(coverage.files, 'file')}, {_count(coverage.streams, 'stream')} inside)"
    )
    yield f"  image {report.image.reference.removeprefix('docker-daemon:')}  {report.image.digest}"
    for finding in report.findings:
        yield ""
        yield from _finding(finding)
    unsearched = [row for row in report.secrets if row.reason in ("too short", "low entropy")]
    for row in unsearched:
        yield ""
        yield f"NOT SEARCHED FOR  {row.name}: {row.reason}{' (accepted)' if row.accepted else ''}"
        if not row.accepted:
            yield f"  fix    give it a longer, random value, or accept that (--accept-unsearchable {row.name})"
    for row in report.secrets:
        if row.built_with == "different":
            yield ""
            yield f"ANOTHER VALUE  {row.name}: the image was built with one that was not given; give that one too"
    for item in coverage.unread:
        yield ""
        yield f"UNREAD  {item.path or item.digest}: {item.reason}{' (accepted)' if item.accepted else ''}"
        if not item.accepted:
            # A colon ends the reason, so it is written as a glob from there on.
            reason = item.reason.partition(":")[0] + "*" if ":" in item.reason else item.reason
            rule = shlex.quote(f"{reason}:{glob.escape(item.path or item.digest or '*')}")
            yield f"  fix    look into it by other means, and accept that (--accept-unread {rule})"
    public = [row.name for row in report.secrets if row.reason in ("declared public", "public by key")]
    if public:
        yield ""
        yield f"not searched for, as public: {', '.join(public)}"
    if report.image.absent_platforms:
        yield ""
        yield f"not there, not read: {', '.join(report.image.absent_platforms)}"
    for warning in report.warnings:
        yield ""
        yield f"warning: {warning.message}"
        if warning.step:
            yield f"  in {_short(warning.step)}"


def _verdict(report: AuditReport) -> str:
    word = {Verdict.CLEAN: "clean", Verdict.LEAKED: "LEAKED", Verdict.INCOMPLETE: "INCOMPLETE"}[report.verdict]
    return f"{word}, {report.accepted} accepted" if report.accepted and report.verdict is Verdict.CLEAN else word


def _finding(finding: Finding) -> Iterator[str]:
    how = finding.form if finding.match == "full" else f"{finding.form}, at least {finding.fraction:.0%} of it"
    inside = f" inside {' > '.join(finding.via)}" if finding.via else ""
    times = f", {finding.count} times" if finding.count > 1 else ""
    accepted = " (accepted)" if finding.accepted else ""
    former = f", an earlier version ({finding.secret_version})" if finding.secret_version > 1 else ""
    yield f"LEAK  {finding.secret}{former}  ({how}{inside}{times}){accepted}"
    where = finding.surface if finding.layer is None else f"layer {finding.layer}"
    if finding.path:
        slash = "/" if finding.surface == "layer" else ""
        where += f"  {slash}{finding.path}"
    if finding.state in ("deleted", "overwritten"):
        where += f"  ({finding.state} by a later layer, and still in the image)"
    if finding.platform:
        where += f"  [{finding.platform}]"
    yield f"  where  {where}"
    if finding.instruction:
        place = f"{finding.file}:{finding.line}  " if finding.line is not None else ""
        place = "the base image  " if finding.origin == "base" else place
        yield f"  from   {place}{_short(finding.instruction)}"
    yield f"  fix    {finding.advice}"


def _short(text: str, width: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(number: int) -> str:
    size = float(number)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
