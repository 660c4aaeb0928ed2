"""What every format says in the same words: the verdict, where a finding is, and what keeps a report from clean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from container_image.audit import AuditReport, AuditWarning, Finding, Verdict
from container_image.printable import printable

_UNSEARCHABLE = ("too short", "low entropy")


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that an audit could not do, so that it promises nothing unless the policy accepts it.

    `what` is a path or a digest, a secret's name, or a platform.
    """

    kind: Literal["unread", "unsearched", "another-value", "absent-platform"]
    what: str
    why: str
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be audited, by the name that it was given, and the error's message."""

    reference: str
    message: str


Outcome = AuditReport | Failure
"""One of several images: its report, or why there is none."""


def gaps(report: AuditReport) -> Iterator[Gap]:
    """Everything that was not read or searched for. What a clean report leaves out without accepting is no gap."""
    for item in report.coverage.unread:
        yield Gap("unread", item.path or item.digest or "a blob", item.reason, item.accepted)
    for row in report.secrets:
        if row.reason in _UNSEARCHABLE and (row.accepted or report.verdict is not Verdict.CLEAN):
            yield Gap("unsearched", row.label, row.reason or "", row.accepted)
        if row.built_with == "different":
            yield Gap("another-value", row.label, "the image was built with a value that was not given")
    if report.engine.policy.platforms:
        for platform in report.image.absent_platforms:
            yield Gap("absent-platform", platform, "this platform is not there")


def clean(text: str) -> str:
    """One line that can be shown and encoded: what a terminal would obey, and what has no bytes, as escapes."""
    return printable(text).encode("utf-8", "backslashreplace").decode()


def summary(report: AuditReport) -> str:
    """The verdict, with how much was searched for what, and how many files of credentials nobody declared."""
    files = sum(warning.code == "credential-file" for warning in report.warnings)
    searched = sum(row.searched for row in report.secrets)
    coverage = report.coverage
    return (
        f"{verdict(report)}: searched for {count(searched, 'secret')} in {size(coverage.bytes)} "
        f"({count(coverage.layers, 'layer')}, {count(coverage.files, 'file')}, {count(coverage.streams, 'stream')} inside)"
        + (f"; {count(files, 'undeclared credential file')}" if files else "")
    )


def verdict(report: AuditReport) -> str:
    """The verdict's word; of a clean one, with how much was accepted."""
    word = {Verdict.CLEAN: "clean", Verdict.LEAKED: "LEAKED", Verdict.INCOMPLETE: "INCOMPLETE"}[report.verdict]
    return f"{word}, {report.accepted} accepted" if report.accepted and report.verdict is Verdict.CLEAN else word


def joint_summary(outcomes: Sequence[Outcome]) -> str:
    """How many of several images came to which verdict; those that are not clean are named."""
    names: dict[str, list[str]] = {"leaked": [], "not audited": [], "incomplete": [], "clean": []}
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            names["not audited"].append(outcome.reference)
        else:
            names[outcome.verdict.value].append(image_name(outcome))
    parts = [
        f"{len(found)} {word}" + ("" if word == "clean" else f" ({', '.join(found)})")
        for word, found in names.items()
        if found
    ]
    return f"{count(len(outcomes), 'image')}: {', '.join(parts)}"


def image_name(report: AuditReport) -> str:
    """The image's reference, without the transport that needs none."""
    return report.image.reference.removeprefix("docker-daemon:")


def heading(finding: Finding) -> str:
    """Which secret it is, and in which form."""
    how = finding.form if finding.match == "full" else f"{finding.form}, at least {finding.fraction:.0%} of it"
    inside = f" inside {' > '.join(finding.via)}" if finding.via else ""
    times = f", {finding.count} times" if finding.count > 1 else ""
    former = f", an earlier version ({finding.secret_version - 1} back)" if finding.secret_version > 1 else ""
    return f"{finding.label}{former}  ({how}{inside}{times})"


def where(item: Finding | AuditWarning) -> str:
    """The place in the image; nothing for a warning that has none."""
    surface = item.surface if isinstance(item, Finding) else "layer"
    if isinstance(item, AuditWarning) and item.layer is None:
        return ""
    place = surface if item.layer is None else f"layer {item.layer}"
    if item.path:
        slash = "/" if surface == "layer" else ""
        place += f"  {slash}{item.path}"
    if item.state in ("deleted", "overwritten"):
        place += f"  ({item.state} by a later layer, and still in the image)"
    if item.platform:
        place += f"  [{item.platform}]"
    return place


def made_by(item: Finding | AuditWarning) -> str | None:
    """The instruction that made it, with its line or the base image, where that is known."""
    from_base = isinstance(item, Finding) and item.origin == "base"
    if not item.instruction:
        return "the base image" if from_base else None
    place = f"{item.file}:{item.line}  " if item.line is not None else ""
    if from_base:
        place = "the base image  "
    return place + short(item.instruction)


def warned(report: AuditReport) -> Iterator[tuple[AuditWarning, str]]:
    """The warnings, each with what it says in one line; marked where the policy fails on it."""
    failing = report.failing
    for warning in report.warnings:
        yield warning, f"{warning.message}{' (fails: --fail-on-warning)' if warning in failing else ''}"


def short(text: str, width: int = 100) -> str:
    """One line of at most so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def count(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number: int) -> str:
    """A number of bytes, as people say it."""
    amount = float(number)
    for unit in ("bytes", "KB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
