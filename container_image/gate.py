"""The gate between a build and its name: nothing is tagged, written or sent before a clean verdict.

The image is built under a name that no registry takes, and audited under its digest. (Untagged images of identical
builds share a digest, and `docker image prune` takes them in the middle of an audit, so it always has one name.)
Everything else that is asked for is exported to a private directory, and audited there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from container_image.audit import (
    AuditEvent,
    AuditPolicy,
    AuditReport,
    AuditWarning,
    LogSearch,
    SourceMap,
    Verdict,
    audit_source,
    warned_about,
    with_exports,
)
from container_image.build import (
    BuildEvent,
    BuildRequest,
    Run,
    advice,
    former,
    open_run,
    removal,
    run_build,
    unsearchable,
    with_former,
)
from container_image.errors import AuditIncompleteError, AuditWarnedError, PreflightError, SecretLeakError
from container_image.events import receiving
from container_image.oci import ArchiveSource, DaemonSource, LayoutSource, RootfsSource, Source
from container_image.printable import printable
from container_image.records import remember
from container_image.release import release
from container_image.secrets import SecretValue
from container_image.shown import HIDDEN, is_reference
from container_image.stored import note_use

NOT_AUDITED = "not-audited"
"""The code of the warning that a built image was searched for nothing."""

_CACHE_HOLDS = "cache-holds-step"
_REMEDY = "name another cache scope, in which its steps run again"

OnEvent = Callable[[BuildEvent | AuditEvent], None]

_NO_ATTESTATIONS = AuditWarning(
    code="no-attestations",
    message="the engine's classic image store keeps no attestations, so there were none to read; its digest is the config's",
)


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image that passed the gate: its digest, the names it was given, and the audit's report.

    `report` is None when the audit was declined, or when no secret was there to search for; one of the `warnings` then
    has the code `not-audited`.
    """

    digest: str
    tags: tuple[str, ...]
    report: AuditReport | None
    warnings: tuple[AuditWarning, ...]


def build_through(
    request: BuildRequest, *, policy: AuditPolicy, no_audit: bool = False, on_event: OnEvent | None = None
) -> BuiltImage:
    """Builds, audits, and releases if the verdict is clean.

    Raises:
        SecretLeakError: a secret is in what was built; the image is gone, nothing was tagged, written or sent.
        AuditIncompleteError: something could not be read or searched for; likewise.
        AuditWarnedError: the report has a warning that the policy fails on; likewise.
        PreflightError: the build must not start, or it would not be audited and the policy fails on that.
    """
    request = with_former(request, former(request.secrets))
    with receiving(on_event), open_run(request, LogSearch) as run:
        # With the text of a Dockerfile that had to be fetched.
        request = run.request
        audited = request.has_credentials and not no_audit
        if not audited and (asked := {NOT_AUDITED, "credential-file"}.intersection(policy.fail_on_warning)):
            # Only an audit looks for files of credentials, so the build would pass without the check that was asked for.
            what = ", ".join(sorted(asked))
            raise PreflightError(
                [f"{_not_audited(declined=no_audit).message}. --fail-on-warning {what} needs an audit"]
            )
        named = request.tags[0] if request.tags else request.file
        name = named if is_reference(named) else HIDDEN
        note_use("build", name, request.held.values())
        # The output is redacted of these, and the image is searched for them; no step is given one.
        note_use("audit", name, request.beside)
        started = time.monotonic()
        result = run_build(run, on_event=on_event)
        warnings = tuple(
            AuditWarning(code=item.code, message=item.message, secret=item.secret, step=item.step)
            for item in result.warnings
        )
        warnings += tuple(AuditWarning(code="plain-build-arg", message=message) for message in unsearchable(request))
        # Another build may have used the scopes in the meantime.
        noted = former(request.secrets)
        request = with_former(request, noted)
        used = {name: found.values for name, found in noted.items()}
        unknown = [name for name, found in noted.items() if not found.complete]
        warnings += tuple(
            _of_cached(secret, step, noted[secret.name].complete)
            for secret, step in result.cached
            if noted[secret.name].others or not noted[secret.name].complete
        )
        with _image(run) as image:
            digest, kind = image.digest, image.digest_kind
        remember("build", digest, None, request.held, former=used, unknown=unknown)
        report = None
        if audited:
            reports = [_audit(source, run, request.unwanted, policy, unknown, on_event) for source in _sources(run)]
            told = (*warnings, _NO_ATTESTATIONS) if reports[0].image.digest_kind == "config" else warnings
            report = with_exports(reports[0], reports[1:])
            report = _with_reasons(report.model_copy(update={"warnings": (*told, *report.warnings)}), request)
            if report.verdict is Verdict.LEAKED:
                report = _with_removal(report, run, started)
            for item in reports:
                remember("build", item.image.digest, report.verdict.value, request.held, former=used, unknown=unknown)
            _require_clean(report)
        else:
            warnings += (_not_audited(declined=no_audit),)
        if on_event is not None:
            on_event(BuildEvent("release", ", ".join(request.tags)))
        release(run, digest, kind, result.metadata, on_event=on_event)
        return BuiltImage(digest, request.tags, report, warnings)


def _sources(run: Run) -> Iterator[Source]:
    """The image, and everything that was exported beside it."""
    yield _image(run)
    for export in run.request.exports:
        path = run.staged(export)
        reference = f"{export.transport}:{export.dest}"
        yield RootfsSource(reference, path) if export.transport == "rootfs" else ArchiveSource(reference, path, None)
    for cache in run.request.cache_to:
        if not cache.inline:
            yield LayoutSource(f"cache:{cache}", run.staged(cache), None)


def _image(run: Run) -> Source:
    name = run.request.shown
    if run.archive is not None:
        return ArchiveSource(f"oci-archive:{name}", run.archive, None)
    return DaemonSource(f"docker-daemon:{name}", run.image, run.client.context)


def _of_cached(secret: SecretValue, step: str, complete: bool) -> AuditWarning:
    searched = "all values that were used in its cache scope were searched for"
    told = searched if complete else f"not all values that were used in its cache scope are known here; {_REMEDY}"
    return AuditWarning(
        code="cached-with-another-value",
        message=f"a cached step may have run with a former value of {secret.label}: {told}",
        secret=secret.name,
        step=step,
    )


def _audit(
    source: Source,
    run: Run,
    values: Sequence[SecretValue],
    policy: AuditPolicy,
    unknown: Collection[str],
    on_event: OnEvent | None,
) -> AuditReport:
    request = run.request
    lines = SourceMap(request.dockerfile, request.file, request.line_offset, request.target, request.own_lines)
    with source as opened:
        return audit_source(
            opened, values, policy=policy, on_event=on_event, source=lines, context=run.client.context, unknown=unknown
        )


def _not_audited(*, declined: bool) -> AuditWarning:
    if declined:
        message = "NOT AUDITED: the image was searched for nothing, as --no-audit (no_audit=True) asks; leave that out to search it"
    else:
        message = (
            "NOT AUDITED: the image was searched for nothing, because the build was given no secret. Give the secrets that the "
            "image must not hold, as --secret id=NAME,env=VARIABLE, or an environment of the store that holds them, as --env NAME "
            "(in Python, `secrets` or `environment`)"
        )
    return AuditWarning(code=NOT_AUDITED, message=message)


def _with_reasons(report: AuditReport, request: BuildRequest) -> AuditReport:
    """The report, whose advice tells what this build knows: how a value was passed, or that it was not passed at all."""
    given = {(value.name, value.environment) for value in request.held.values()}
    others = {(value.name, value.environment) for value in request.beside} - given
    findings = []
    for finding in report.findings:
        root = finding.secret, finding.environment
        inside = finding.secret.partition(":")[0], finding.environment
        told = finding.advice
        if finding.origin != "base":
            told = advice(finding.secret) or told
        if root in others or (root not in given and inside in others):
            told = f"the build was not given this secret, so its context, its cache or its base image held it: {told}"
        findings.append(finding.model_copy(update={"advice": told}))
    return report.model_copy(update={"findings": tuple(findings)})


def _with_removal(report: AuditReport, run: Run, started: float) -> AuditReport:
    """The report with the command that removes the leaking steps' results from the build cache, where it holds some.

    What came with the base image was made by no step of this build.
    """
    steps = {
        finding.instruction
        for finding in report.findings
        if finding.instruction and finding.origin != "base" and not finding.accepted
    }
    # The engine rounds to seconds.
    within = time.monotonic() - started + 1
    command = removal(run.client, run.request.builder, steps, within) if steps else None
    if command is None:
        return report
    warning = AuditWarning(
        code=_CACHE_HOLDS, message=f"the build cache still holds what the step made; to remove it: {command}"
    )
    return report.model_copy(update={"warnings": (*report.warnings, warning)})


def _require_clean(report: AuditReport) -> None:
    if report.verdict is Verdict.LEAKED:
        leaked = [finding for finding in report.findings if not finding.accepted]
        names = ", ".join(sorted({finding.label for finding in leaked}))
        if all(finding.surface == "cache" for finding in leaked):
            where = "the cache to export, though not in the image; nothing was tagged or sent. Build without --cache-to, or with mode=min"
        else:
            where = "the image, which was not tagged"
        held = "".join(f"; {warning.message}" for warning in report.warnings if warning.code == _CACHE_HOLDS)
        raise SecretLeakError(f"{names} stayed in {where}{held}", report)
    if report.failing:
        raise AuditWarnedError(f"the image was not tagged: {warned_about(report)}", report)
    if report.verdict is Verdict.INCOMPLETE:
        unsearched = [
            row.label for row in report.secrets if row.reason in ("too short", "low entropy") and not row.accepted
        ]
        reasons = [f"{name} can't be searched for" for name in unsearched]
        reasons += [
            f"not all values of {row.label} that were used in its cache scope are known here; {_REMEDY}"
            for row in report.secrets
            if row.built_with == "different"
        ]
        reasons += [
            f"{printable(item.path or str(item.digest))}: {item.reason}"
            for item in report.coverage.unread
            if not item.accepted
        ]
        raise AuditIncompleteError(
            f"the audit is incomplete, and the image was not tagged: {'; '.join(reasons)}", report
        )
