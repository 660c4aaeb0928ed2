"""The report for code scanning: SARIF 2.1.0 (OASIS), with what GitHub asks of it.

A leak is a result, under a rule for its secret and surface; a leak that the policy accepts is a suppressed result. What
was not read or searched for is a notification of the run, which then was not successful. A warning about a file in the
image is a result too, of level `warning`; every other warning is a notification.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from container_image.audit import AuditReport, AuditWarning, Finding
from container_image.audit.report import fingerprint
from container_image.formats.words import (
    Failure,
    Outcome,
    clean,
    gaps,
    heading,
    image_name,
    made_by,
    summary,
    warned,
    where,
)

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_IMAGE = "IMAGE"
_NOTIFICATIONS = {
    "unread": "Something in the image could not be read.",
    "unsearched": "A secret can't be searched for.",
    "another-value": "The image was built with another value of a secret.",
    "absent-platform": "A platform of the image is not there.",
    "warning": "Something worth knowing that is not in the image.",
    "not-audited": "The image could not be audited.",
}


def render(report: AuditReport) -> str:
    """The report as indented JSON, in ASCII."""
    return _log([_run(report)])


def join(outcomes: Sequence[Outcome]) -> str:
    """One log with a run for each image. The run of one that could not be audited was not successful."""
    return _log([_failed(outcome) if isinstance(outcome, Failure) else _run(outcome) for outcome in outcomes])


def _log(runs: list[dict[str, Any]]) -> str:
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": runs}, indent=2) + "\n"


def _run(report: AuditReport) -> dict[str, Any]:
    rules: dict[str, Finding] = {}
    for finding in report.findings:
        rules.setdefault(_rule_id(finding), finding)
    order = {name: number for number, name in enumerate(rules)}
    found = list(gaps(report))
    files = [warning for warning in report.warnings if warning.layer is not None]
    codes = list(dict.fromkeys(warning.code for warning in files))
    notifications = [
        _notification(gap.kind, "note" if gap.accepted else "error", f"{gap.what}: {gap.why}") for gap in found
    ]
    for warning, told in warned(report):
        if warning not in files:
            level = "error" if warning in report.failing else "warning"
            notifications.append(_notification("warning", level, told))
    rules_found = [*(_rule(name, finding) for name, finding in rules.items()), *map(_warning_rule, codes)]
    return {
        "tool": _tool(report.engine.version, rules_found),
        "automationDetails": _automation(image_name(report)),
        "invocations": [
            {
                "executionSuccessful": all(gap.accepted for gap in found),
                "toolExecutionNotifications": notifications,
            }
        ],
        "originalUriBaseIds": {_IMAGE: {"description": {"text": "The root of the image's file system."}}},
        "results": [
            *(_result(finding, order[_rule_id(finding)], report) for finding in report.findings),
            *(_warning_result(warning, len(order) + codes.index(warning.code), report) for warning in files),
        ],
        "properties": {
            "verdict": report.verdict.value,
            "summary": clean(summary(report)),
            "image": clean(report.image.reference),
            "digest": clean(report.image.digest),
        },
    }


def _failed(failure: Failure) -> dict[str, Any]:
    notification = _notification("not-audited", "error", f"{failure.reference}: {failure.message}")
    return {
        "tool": _tool(version("container-image"), []),
        "automationDetails": _automation(failure.reference),
        "invocations": [{"executionSuccessful": False, "toolExecutionNotifications": [notification]}],
        "results": [],
    }


def _tool(release: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    notifications = [{"id": name, "shortDescription": {"text": text}} for name, text in _NOTIFICATIONS.items()]
    return {"driver": {"name": "container-image", "version": release, "rules": rules, "notifications": notifications}}


def _automation(image: str) -> dict[str, str]:
    # What comes before the last slash tells the audits of several images in one repository apart.
    return {"id": f"container-image/{_uri(image)}/"}


def _rule_id(finding: Finding) -> str:
    return clean(f"{finding.label}/{finding.surface}")


def _rule(name: str, finding: Finding) -> dict[str, Any]:
    text = f"{finding.label} is in the image ({finding.surface})"
    return {
        "id": name,
        "name": f"SecretIn{finding.surface.capitalize()}",
        "shortDescription": _message(text),
        "fullDescription": _message(f"{text}: whoever can pull it can read the secret."),
        "help": _message("Rebuild without it, and replace the secret if the image was already pushed."),
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["security", "secret"], "security-severity": "9.0", "precision": "very-high"},
    }


def _result(finding: Finding, rule: int, report: AuditReport) -> dict[str, Any]:
    origin = made_by(finding)
    message = f"{heading(finding)} is in {where(finding)}{f', from {origin}' if origin else ''}. Fix: {finding.advice}."
    properties = finding.model_dump(
        include={
            "environment",
            "form",
            "via",
            "match",
            "platform",
            "digest",
            "layer",
            "state",
            "origin",
            "secret_version",
            "accepted",
        },
        exclude_none=True,
    )
    told = finding.fingerprint
    if finding.environment is not None:
        # Two environments may have one value, in one place: closing the one alert must not close the other.
        told = hashlib.sha256(f"{told} {finding.environment}".encode()).hexdigest()
    return {
        "ruleId": _rule_id(finding),
        "ruleIndex": rule,
        "level": "error",
        "message": _message(message),
        "locations": [
            {"physicalLocation": _physical(finding), "logicalLocations": [_logical(finding, image_name(report))]}
        ],
        "occurrenceCount": finding.count,
        # GitHub goes by the second name alone.
        "partialFingerprints": {"containerImage/v1": told, "primaryLocationLineHash": told},
        # Either every result has this property, or none (SARIF 3.27.23).
        "suppressions": [{"kind": "external", "justification": "accepted by the audit's policy"}]
        if finding.accepted
        else [],
        "properties": {
            key: clean(value) if isinstance(value, str) else value for key, value in sorted(properties.items())
        },
    }


def _warning_rule(code: str) -> dict[str, Any]:
    return {
        "id": code,
        "name": "".join(word.capitalize() for word in code.split("-")),
        "shortDescription": _message("A file of credentials is in the image, and no secret was declared for it."),
        "help": _message("Leave the file out of the image, and replace what it holds if the image was already pushed."),
        "defaultConfiguration": {"level": "warning"},
        "properties": {"tags": ["security", "secret"], "security-severity": "7.0", "precision": "medium"},
    }


def _warning_result(warning: AuditWarning, rule: int, report: AuditReport) -> dict[str, Any]:
    origin = made_by(warning)
    message = f"{warning.message}, in {where(warning)}{f', from {origin}' if origin else ''}. Fix: {warning.advice}."
    told = fingerprint(warning.code, "name", "layer", warning.path, warning.instruction)
    properties = warning.model_dump(include={"platform", "digest", "layer", "state"}, exclude_none=True)
    return {
        "ruleId": warning.code,
        "ruleIndex": rule,
        "level": "error" if warning in report.failing else "warning",
        "message": _message(message),
        "locations": [
            {"physicalLocation": _physical(warning), "logicalLocations": [_logical(warning, image_name(report))]}
        ],
        "partialFingerprints": {"containerImage/v1": told, "primaryLocationLineHash": told},
        "suppressions": [],
        "properties": {
            key: clean(value) if isinstance(value, str) else value for key, value in sorted(properties.items())
        },
    }


def _physical(finding: Finding | AuditWarning) -> dict[str, Any]:
    """The Dockerfile's line, else the file in the image: GitHub wants a file and a line of every result."""
    surface = finding.surface if isinstance(finding, Finding) else "layer"
    if finding.file is not None and finding.line is not None:
        prefix = "file://" if finding.file.startswith("/") else ""
        return {
            "artifactLocation": {"uri": prefix + _uri(finding.file)},
            "region": {"startLine": max(1, finding.line)},
        }
    path = finding.path if finding.path and surface == "layer" else f"{surface}{finding.path or ''}"
    return {"artifactLocation": {"uri": _uri(path.lstrip("/")), "uriBaseId": _IMAGE}, "region": {"startLine": 1}}


def _logical(finding: Finding | AuditWarning, image: str) -> dict[str, Any]:
    place = where(finding)
    return {
        "name": clean(finding.path or (finding.surface if isinstance(finding, Finding) else "layer")),
        "fullyQualifiedName": clean(f"{image}  {place}"),
        "kind": "resource",
    }


def _notification(kind: str, level: str, text: str) -> dict[str, Any]:
    return {"descriptor": {"id": kind}, "level": level, "message": _message(text)}


def _message(text: str) -> dict[str, str]:
    # `[text](target)` is a link in a message (SARIF 3.11.6), and a file's name may look like one.
    return {"text": clean(text).replace("](", "]\\(").replace("  ", " ")}


def _uri(path: str) -> str:
    return urllib.parse.quote(clean(path), safe="/")
