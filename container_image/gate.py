"""The gate between a build and its name: nothing is tagged before a clean verdict.

The image is built under a name that no registry takes, audited under its digest, and only then given the names that
were asked for. (Untagged images of identical builds share a digest, and `docker image prune` takes them in the middle
of an audit, so it always has one name.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from container_image.audit import AuditEvent, AuditPolicy, AuditReport, AuditWarning, SourceMap, Verdict, audit
from container_image.build import BuildEvent, BuildRequest, open_run, run_build
from container_image.errors import AuditIncompleteError, SecretLeakError
from container_image.secrets import SecretValue


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
    request: BuildRequest,
    *,
    tags: Sequence[str],
    policy: AuditPolicy,
    no_audit: bool,
    on_event: Callable[[BuildEvent | AuditEvent], None] | None,
) -> BuiltImage:
    """Builds, audits, and tags if the verdict is clean.

    Raises:
        SecretLeakError: a secret is in the image; the image is gone, nothing was tagged.
        AuditIncompleteError: something could not be read or searched for; likewise.
    """
    with open_run(request) as run:
        result = run_build(run, on_event=on_event)
        warnings = tuple(
            AuditWarning(code=item.code, message=item.message, secret=item.secret, step=item.step)
            for item in result.warnings
        )
        searched = _searched(request)
        report = None
        if searched and not no_audit:
            source = SourceMap(request.dockerfile, request.file, request.line_offset, request.target)
            report = audit(
                f"docker-daemon:{run.image}",
                searched,
                policy=policy,
                on_event=on_event,
                source=source,
                warnings=warnings,
            )
            report = _named(report, tags, result.digest)
            _require_clean(report)
        for tag in tags:
            run.client.call("tag", run.image, tag)
        return BuiltImage(result.digest, tuple(tags), report, warnings)


def _searched(request: BuildRequest) -> dict[str, SecretValue]:
    """Every credential that the build held; nothing when none of them is secret."""
    held = dict(request.secrets)
    held |= {f"registry:{host}": password for host, (_, password) in request.registries.items()}
    return held if any(value.sensitive for value in held.values()) else {}


def _named(report: AuditReport, tags: Sequence[str], digest: str) -> AuditReport:
    """The report under the name that was asked for, not the one it was audited under."""
    name = tags[0] if tags else digest
    image = report.image.model_copy(update={"reference": f"docker-daemon:{name}"})
    return report.model_copy(update={"image": image})


def _require_clean(report: AuditReport) -> None:
    if report.verdict is Verdict.LEAKED:
        names = sorted({finding.secret for finding in report.findings if not finding.accepted})
        raise SecretLeakError(
            f"{', '.join(names)} stayed in the image, which was not tagged. The build cache still holds the step: "
            "`docker buildx prune` removes it",
            report,
        )
    if report.verdict is Verdict.INCOMPLETE:
        unsearched = [
            row.name for row in report.secrets if row.reason in ("too short", "low entropy") and not row.accepted
        ]
        reasons = [f"{name} can't be searched for" for name in unsearched]
        reasons += [
            f"{item.path or item.digest}: {item.reason}" for item in report.coverage.unread if not item.accepted
        ]
        raise AuditIncompleteError(
            f"the audit is incomplete, and the image was not tagged: {'; '.join(reasons)}", report
        )
