"""The gate between a build and its name: nothing is tagged, written or sent before a clean verdict.

The image is built under a name that no registry takes, and audited under its digest. (Untagged images of identical
builds share a digest, and `docker image prune` takes them in the middle of an audit, so it always has one name.)
Everything else that is asked for is exported to a private directory, and audited there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from container_image.audit import (
    AuditEvent,
    AuditPolicy,
    AuditReport,
    AuditWarning,
    SourceMap,
    Verdict,
    audit_source,
    with_exports,
)
from container_image.build import BuildEvent, BuildRequest, Run, former, open_run, removal, run_build, with_former
from container_image.errors import AuditIncompleteError, SecretLeakError
from container_image.oci import ArchiveSource, DaemonSource, LayoutSource, RootfsSource, Source
from container_image.printable import printable
from container_image.records import remember
from container_image.release import release
from container_image.secrets import SecretValue
from container_image.shown import HIDDEN, is_reference
from container_image.stored import note_use

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

    `report` is None when the audit was declined, or when no secret was there to search for.
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
    """
    request = with_former(request, former(request.secrets))
    with open_run(request) as run:
        named = request.tags[0] if request.tags else request.file
        note_use("build", named if is_reference(named) else HIDDEN, request.unwanted)
        result = run_build(run, on_event=on_event)
        warnings = tuple(
            AuditWarning(code=item.code, message=item.message, secret=item.secret, step=item.step)
            for item in result.warnings
        )
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
        if request.has_credentials and not no_audit:
            reports = [_audit(source, run, request.unwanted, policy, unknown, on_event) for source in _sources(run)]
            told = (*warnings, _NO_ATTESTATIONS) if reports[0].image.digest_kind == "config" else warnings
            report = with_exports(reports[0], reports[1:]).model_copy(update={"warnings": told})
            if report.verdict is Verdict.LEAKED:
                report = _with_removal(report, run)
            for item in reports:
                remember("build", item.image.digest, report.verdict.value, request.held, former=used, unknown=unknown)
            _require_clean(report)
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
    name = run.request.tags[0] if run.request.tags else run.image
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


def _with_removal(report: AuditReport, run: Run) -> AuditReport:
    """The report with the command that removes the leaking steps from the build cache, which holds them still."""
    steps = {finding.instruction for finding in report.findings if finding.instruction and not finding.accepted}
    command = removal(run.client, run.request.builder, steps)
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
