"""The report for a test runner's page: JUnit's XML, one test case for each secret.

A leak is a failure. A secret that was not found in an image that was not read completely, or that was not searched for,
is an error. What the policy accepts passes, with a note. Each kind of warnings has a test case too: it fails where the
policy fails on that kind, and else passes, with the warnings as its output.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from container_image.audit import AuditReport
from container_image.formats.words import Failure, Outcome, clean, gaps, heading, image_name, made_by, summary, where

# What is left of these once `clean` is done: XML 1.0 has no way to write them (section 2.2).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COUNTS = {
    "tests": "testcase",
    "failures": "testcase/failure",
    "errors": "testcase/error",
    "skipped": "testcase/skipped",
}


def render(report: AuditReport) -> str:
    """The report as XML, in ASCII."""
    return _document([_suite(report)])


def join(outcomes: Sequence[Outcome]) -> str:
    """One document with a test suite for each image. An image that could not be audited is one case, an error."""
    return _document([_failed(outcome) if isinstance(outcome, Failure) else _suite(outcome) for outcome in outcomes])


def _document(suites: Sequence[ElementTree.Element]) -> str:
    totals = {name: str(sum(int(suite.get(name, "0")) for suite in suites)) for name in _COUNTS}
    root = ElementTree.Element("testsuites", totals)
    root.set("time", f"{sum(float(suite.get('time', '0')) for suite in suites):.3f}")
    root.extend(suites)
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return document.decode() + "\n"


def _suite(report: AuditReport) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite")
    for row in report.secrets:
        name = _text(row.label)
        case = ElementTree.SubElement(suite, "testcase", classname=_text(image_name(report)), name=name, time="0")
        _judge(case, row.label, row.reason, report)
    for code in dict.fromkeys(warning.code for warning in report.warnings):
        case = ElementTree.SubElement(
            suite, "testcase", classname=_text(image_name(report)), name=_text(f"warning: {code}"), time="0"
        )
        _warn(case, code, report)
    _count(suite, image_name(report), report.duration_seconds)
    ElementTree.SubElement(suite, "system-out").text = _text(f"{summary(report)}; {report.image.digest}")
    return suite


def _failed(failure: Failure) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite")
    case = ElementTree.SubElement(suite, "testcase", classname=_text(failure.reference), name="audit", time="0")
    _outcome(case, "error", f"not audited: {failure.message}", "error", [failure.message])
    _count(suite, failure.reference, 0)
    return suite


def _count(suite: ElementTree.Element, image: str, seconds: float) -> None:
    """Names a suite and counts its cases."""
    suite.set("name", _text(f"container-image audit {image}"))
    for name, path in _COUNTS.items():
        suite.set(name, str(len(suite.findall(path))))
    suite.set("time", f"{seconds:.3f}")


def _judge(case: ElementTree.Element, secret: str, reason: str | None, report: AuditReport) -> None:
    found = [finding for finding in report.findings if finding.label == secret]
    leaks = [finding for finding in found if not finding.accepted]
    # What is of no secret in particular is of all of them.
    missing = [gap for gap in gaps(report) if gap.what == secret or gap.kind not in ("unsearched", "another-value")]
    open_gaps = sorted((gap for gap in missing if not gap.accepted), key=lambda gap: gap.what != secret)
    if leaks:
        lines = []
        for finding in leaks:
            origin = made_by(finding)
            lines += [heading(finding), f"  where  {where(finding)}", *([f"  from   {origin}"] if origin else [])]
            lines.append(f"  fix    {finding.advice}")
        places = "1 place" if len(leaks) == 1 else f"{len(leaks)} places"
        _outcome(case, "failure", f"{secret} is in the image, in {places}", "leaked", lines)
    elif open_gaps:
        lines = [f"{gap.what}: {gap.why}" for gap in open_gaps]
        _outcome(case, "error", f"not found, and nothing is promised: {lines[0]}", "incomplete", lines)
    elif reason in ("declared public", "public by key"):
        ElementTree.SubElement(case, "skipped", message=f"not searched for: {reason}")
    accepted = [f"accepted: {heading(finding)}  {where(finding)}" for finding in found if finding.accepted]
    accepted += [f"accepted: {gap.what}: {gap.why}" for gap in missing if gap.accepted]
    if accepted:
        ElementTree.SubElement(case, "system-out").text = "\n".join(map(_text, accepted))


def _warn(case: ElementTree.Element, code: str, report: AuditReport) -> None:
    lines = []
    for warning in report.warnings:
        if warning.code == code:
            facts = (
                ("in", warning.step),
                ("where", where(warning)),
                ("from", made_by(warning)),
                ("fix", warning.advice),
            )
            lines += [warning.message, *(f"  {name:<5}  {text}" for name, text in facts if text)]
    if any(warning.code == code for warning in report.failing):
        _outcome(case, "failure", f"{code} fails (--fail-on-warning): {lines[0]}", code, lines)
    else:
        ElementTree.SubElement(case, "system-out").text = "\n".join(map(_text, lines))


def _outcome(case: ElementTree.Element, tag: str, message: str, kind: str, lines: list[str]) -> None:
    outcome = ElementTree.SubElement(case, tag, message=_text(message), type=kind)
    outcome.text = "\n".join(map(_text, lines))


def _text(text: str) -> str:
    return _FORBIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", clean(text))
