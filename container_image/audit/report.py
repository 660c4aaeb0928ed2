"""What an audit tells: the report, as data whose JSON other people's scripts rely on (schema version 1).

Keys may be added under version 1; none is renamed or removed, and a reader ignores what it does not know. A key that
has no meaning in a case is null. Nothing in a report holds a secret's value, nor anything that a guess at one could be
tested against.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Sequence
from enum import Enum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from container_image.audit.policy import AuditPolicy
from container_image.printable import printable
from container_image.secrets.value import labelled

Surface = Literal["layer", "config", "history", "manifest", "attestation", "metadata", "cache"]
State = Literal["visible", "deleted", "overwritten"]
Unsearched = Literal["too short", "low entropy", "too many", "declared public", "public by key"]


class Verdict(str, Enum):
    """The one word that an audit comes to. `leaked` wins over `incomplete`."""

    CLEAN = "clean"
    LEAKED = "leaked"
    INCOMPLETE = "incomplete"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Engine(_Record):
    """What made the report: `forms` is the version of the list of forms that were searched for."""

    version: str
    forms: int
    policy: AuditPolicy


class AuditedImage(_Record):
    """The image, under the digest that its name was resolved to before anything was read."""

    reference: str
    digest: str
    digest_kind: Literal["index", "manifest", "config"]
    platforms: tuple[str, ...]
    absent_platforms: tuple[str, ...]


class SearchedSecret(_Record):
    """One secret, or one value inside a structured secret (`npmrc:_authToken`), and whether it was searched for."""

    name: str
    environment: str | None = None
    versions: int = 1
    searched: bool
    reason: Unsearched | None = None
    built_with: Literal["same", "different", "unknown"] = "unknown"
    accepted: bool = False

    @property
    def label(self) -> str:
        """Its name, and the environment of the store that it is from."""
        return labelled(self.name, self.environment)


class Finding(_Record):
    """One place where a secret is: (secret, form, via, surface, platform, layer, path). `count` says how often.

    `environment` is the store's that the secret is from; `secret_version` is 1 for its current value, 2 for the one before.
    `offset` counts bytes in the decompressed blob; `layer` is the 0-based index in its manifest; `via` lists the
    containers that were opened on the way, outermost first; `line` is 1-based, in `file`;
    `fraction` is 1.0, 0.75 or 0.5: the least part of the form that is there.
    """

    secret: str
    environment: str | None = None
    secret_version: int = 1
    form: str
    via: tuple[str, ...] = ()
    match: Literal["full", "partial"]
    fraction: float
    surface: Surface
    platform: str | None = None
    digest: str | None = None
    layer: int | None = None
    path: str | None = None
    offset: int | None = None
    count: int = 1
    state: State | None = None
    instruction: str | None = None
    line: int | None = None
    file: str | None = None
    origin: Literal["build", "base", "unknown"] = "unknown"
    advice: str
    fingerprint: str
    accepted: bool = False

    @property
    def label(self) -> str:
        """The secret's name, and the environment of the store that it is from."""
        return labelled(self.secret, self.environment)


class Unread(_Record):
    """Bytes that a better tool could have read and this one did not, with the reason."""

    digest: str | None = None
    path: str | None = None
    reason: str
    bytes: int | None = None
    accepted: bool = False


class Coverage(_Record):
    """What was read. `bytes` are decompressed bytes of blobs; `streams` are streams found inside them."""

    blobs: int
    layers: int
    files: int
    bytes: int
    streams: int
    truncated: int
    unread: tuple[Unread, ...]


class AuditWarning(_Record):
    """Something worth knowing beside the findings, such as a secret that a step printed.

    `code` says which kind it is: one of `WarningCode`. A warning about a file in the image (`credential-file`) has the
    file's `path`, `digest`, `layer` (the 0-based index in its manifest), `platform` and `state`, the `instruction` that
    made that layer, with its `line` (1-based) in `file`, and `advice`: the next step.
    """

    code: str
    message: str
    secret: str | None = None
    step: str | None = None
    path: str | None = None
    digest: str | None = None
    layer: int | None = None
    platform: str | None = None
    state: State | None = None
    instruction: str | None = None
    line: int | None = None
    file: str | None = None
    advice: str | None = None


class AuditReport(_Record):
    """The evidence: what was searched for, in what, and what was found."""

    schema_version: Literal[1] = 1
    engine: Engine
    image: AuditedImage
    environments: tuple[str, ...] = ()
    verdict: Verdict
    secrets: tuple[SearchedSecret, ...]
    findings: tuple[Finding, ...]
    coverage: Coverage
    warnings: tuple[AuditWarning, ...] = ()
    duration_seconds: float

    @property
    def accepted(self) -> int:
        """How many findings, unread items and unsearchable secrets the policy accepts."""
        return sum(item.accepted for group in (self.findings, self.coverage.unread, self.secrets) for item in group)

    @property
    def failing(self) -> tuple[AuditWarning, ...]:
        """The warnings that the policy fails on (`fail_on_warning`)."""
        return tuple(warning for warning in self.warnings if warning.code in self.engine.policy.fail_on_warning)


_TOLD = 3
"""Warnings that an error tells of; the report has all of them."""


def warned_about(report: AuditReport) -> str:
    """The warnings that the policy fails on, as one message for people."""
    codes = ", ".join(dict.fromkeys(warning.code for warning in report.failing))
    messages = list(dict.fromkeys(printable(warning.message) for warning in report.failing))
    more = f"; and {len(messages) - _TOLD} more" if len(messages) > _TOLD else ""
    return f"{'; '.join(messages[:_TOLD])}{more} ({codes}, which --fail-on-warning or fail_on_warning names)"


def with_exports(report: AuditReport, exports: Sequence[AuditReport]) -> AuditReport:
    """An image's report with what was found in, and counted of, the files and caches that were exported beside it.

    A place that both are made of is told once, as it is in the image: what is accepted there is accepted here, because
    equal digests are equal bytes.
    """
    reports = [report, *exports]
    findings: dict[tuple[object, ...], Finding] = {}
    for finding in (finding for item in reports for finding in item.findings):
        key = (finding.label, finding.form, finding.via, finding.digest, finding.path)
        known = findings.setdefault(key, finding)
        if known.accepted and not finding.accepted and finding.digest is None:
            findings[key] = finding
    warnings: dict[tuple[object, ...], AuditWarning] = {}
    for warning in (warning for item in reports for warning in item.warnings):
        # An export may be compressed otherwise than the image, and then has other digests.
        warnings.setdefault((warning.code, warning.message, warning.step, warning.instruction, warning.line), warning)
    coverages = [item.coverage for item in reports]
    unread = tuple(dict.fromkeys(row for item in coverages for row in item.unread))
    incomplete = any(item.verdict is Verdict.INCOMPLETE for item in reports)
    if any(not finding.accepted for finding in findings.values()):
        verdict = Verdict.LEAKED
    elif incomplete or any(not item.accepted for item in unread):
        verdict = Verdict.INCOMPLETE
    else:
        verdict = Verdict.CLEAN
    totals = {
        name: sum(getattr(item, name) for item in coverages)
        for name in ("blobs", "layers", "files", "bytes", "streams")
    }
    return report.model_copy(
        update={
            "findings": tuple(findings.values()),
            "verdict": verdict,
            "warnings": tuple(warnings.values()),
            "coverage": Coverage(
                **totals,
                truncated=sum(item.truncated for item in coverages),
                unread=unread,
            ),
            "duration_seconds": round(sum(item.duration_seconds for item in reports), 3),
        }
    )


_HEXADECIMAL = re.compile(r"[0-9a-f]{8,}")
_VERSION = re.compile(r"\d+(\.\d+)+")


def fingerprint(secret: str, family: str, surface: str, path: str | None, instruction: str | None) -> str:
    """The SHA-256 that recognises a finding in the next image.

    No value, matched byte, offset or digest goes into it: content hashes and versions in the path are replaced, so
    that an unrelated rebuild does not make a new finding.
    """
    normal = "" if path is None else posixpath.normpath(path)
    normal = _VERSION.sub("*", _HEXADECIMAL.sub("*", normal))
    fields = (secret, family, surface, normal, instruction or "")
    return hashlib.sha256("\0".join(fields).encode("utf-8", "surrogatepass")).hexdigest()
