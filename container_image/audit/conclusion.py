"""What an audit comes to: hits, gaps and what the image says of itself, joined into the report."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version

from container_image.audit.advice import FROM_BASE, advise, advise_on_file
from container_image.audit.attribution import SourceMap
from container_image.audit.bases import Inherited
from container_image.audit.blob import BlobScan
from container_image.audit.credential_files import MOST
from container_image.audit.hits import Hit
from container_image.audit.hunted import Hunted, ordered
from container_image.audit.places import Place, Places
from container_image.audit.policy import AuditPolicy
from container_image.audit.redaction import Redaction
from container_image.audit.report import (
    AuditedImage,
    AuditReport,
    AuditWarning,
    Coverage,
    Engine,
    Finding,
    Unread,
    Verdict,
    fingerprint,
)
from container_image.audit.scan import Budget
from container_image.forms import FORMS_VERSION
from container_image.oci import Image, Source, is_digest

_Group = tuple[Place, str, str | None, int, str, tuple[str, ...]]


def conclude(
    opened: Source,
    image: Image,
    scans: Mapping[str, BlobScan],
    hunted: Hunted,
    budget: Budget,
    source: SourceMap | None,
    inherited: Mapping[str, Inherited],
    *,
    environments: tuple[str, ...],
    warnings: tuple[AuditWarning, ...],
    started: float,
) -> AuditReport:
    """The report on an image whose blobs were all scanned. `inherited` is what its manifests have from their bases."""
    policy = budget.policy
    redaction = Redaction(budget)
    places = Places(image, scans, hunted, redaction, source, inherited)
    findings = _findings(places, policy, redaction, source)
    unread = tuple(_unread(image, scans, policy, redaction))
    platforms = [manifest.platform or "unknown" for manifest in image.manifests if manifest.kind == "image"]
    incomplete = (
        hunted.incomplete
        or any(not item.accepted for item in unread)
        or bool(policy.platforms and image.absent_platforms)
    )
    if any(not finding.accepted for finding in findings):
        verdict = Verdict.LEAKED
    else:
        verdict = Verdict.INCOMPLETE if incomplete else Verdict.CLEAN
    layers = {
        layer.digest
        for manifest in image.manifests
        if manifest.kind != "attestation"
        for layer in manifest.layers
        if layer.digest in scans
    }
    indexes = [scans[key].index for key in layers]
    return AuditReport(
        engine=Engine(version=version("container-image"), forms=FORMS_VERSION, policy=policy),
        image=AuditedImage(
            reference=opened.reference,
            digest=opened.digest,
            digest_kind=opened.digest_kind,
            platforms=tuple(map(redaction.text, platforms)),
            absent_platforms=tuple(map(redaction.text, image.absent_platforms)),
        ),
        environments=environments,
        verdict=verdict,
        secrets=ordered(hunted.rows.values()),
        findings=findings,
        coverage=Coverage(
            blobs=len(scans),
            layers=len(layers),
            files=sum(index.files for index in indexes if index is not None),
            bytes=budget.bytes,
            streams=budget.streams,
            truncated=budget.truncated,
            unread=unread,
        ),
        warnings=(*_credential_files(places, findings, redaction, source), *warnings),
        duration_seconds=round(time.monotonic() - started, 3),
    )


def _findings(
    places: Iterable[tuple[Place, Hit]], policy: AuditPolicy, redaction: Redaction, source: SourceMap | None
) -> tuple[Finding, ...]:
    grouped: dict[_Group, list[Hit]] = defaultdict(list)
    for place, hit in places:
        target = hit.run.target
        grouped[place, target.secret, target.environment, target.version, target.form.name, hit.via].append(hit)
    findings = [_finding(group, hits, policy, redaction, source) for group, hits in grouped.items()]
    findings.sort(key=lambda item: (item.label, item.surface, item.layer or 0, item.path or "", item.form))
    return tuple(findings)


def _finding(
    group: _Group, hits: list[Hit], policy: AuditPolicy, redaction: Redaction, source: SourceMap | None
) -> Finding:
    place, secret, environment, secret_version, form, via = group
    best = max(hits, key=lambda hit: hit.run.fraction)
    fraction = 1.0 if best.run.fraction == 1 else 0.75 if best.run.fraction >= 0.75 else 0.5
    instruction, line = _made_by(place, redaction)
    recorded = None if place.step is None else redaction.redact(place.step.instruction)
    # Where a line of ours made it, it is ours, even if the base has the very same step.
    from_base = place.from_base and line is None
    return Finding(
        secret=secret,
        environment=environment,
        secret_version=secret_version,
        form=form,
        via=via,
        match="full" if fraction == 1.0 else "partial",
        fraction=fraction,
        surface=place.surface,
        platform=redaction.redact(place.platform),
        digest=place.digest,
        layer=place.layer,
        path=place.path,
        offset=min(hit.offset for hit in hits),
        count=len(hits),
        state=place.state,
        instruction=instruction,
        line=line,
        file=source.file if source is not None and line is not None else None,
        origin="build" if line is not None else "base" if from_base else "unknown",
        advice=FROM_BASE if from_base else advise(place.surface, instruction, place.path, place.state),
        fingerprint=fingerprint(secret, best.run.target.form.family, place.surface, place.path, recorded),
        accepted=from_base and policy.accept_base,
    )


def _credential_files(
    places: Places, findings: Iterable[Finding], redaction: Redaction, source: SourceMap | None
) -> Iterator[AuditWarning]:
    """A warning for each file of credentials in which nothing was found: no secret was declared for it."""
    told = {(finding.digest, finding.layer, finding.path) for finding in findings}
    seen = set()
    for place in places.credential_files():
        instruction, line = _made_by(place, redaction)
        if (place.path, instruction, line) in seen or (place.digest, place.layer, place.path) in told:
            continue
        seen.add((place.path, instruction, line))
        message = f"a file of credentials that no secret was declared for is in the image: /{place.path}"
        if place.path is None:
            message = f"layer {place.layer} has more than {MOST} files with names of credential files, and the others were not looked into"
        yield AuditWarning(
            code="credential-file",
            message=message,
            path=place.path,
            digest=place.digest,
            layer=place.layer,
            platform=redaction.redact(place.platform),
            state=place.state,
            instruction=instruction,
            line=line,
            file=source.file if source is not None and line is not None else None,
            advice=advise_on_file(instruction, place.state),
        )


def _made_by(place: Place, redaction: Redaction) -> tuple[str | None, int | None]:
    """The instruction that made a place, as it is written, and its line where it is one of the Dockerfile's."""
    return (None, None) if place.step is None else (redaction.redact(place.step.written), place.step.line)


def _unread(image: Image, scans: Mapping[str, BlobScan], policy: AuditPolicy, redaction: Redaction) -> Iterator[Unread]:
    def unread(key: str, path: str | None, reason: str) -> Unread:
        digest = key if is_digest(key) else None
        path = key if digest is None and path is None else path
        accepted = any(rule.accepts(reason, path or digest) for rule in policy.accept_unread)
        return Unread(digest=digest, path=redaction.redact(path), reason=reason, accepted=accepted)

    for key, scan in scans.items():
        if scan.broken:
            yield unread(key, None, scan.broken)
        seen = set()
        for gap in scan.gaps:
            path = None if scan.index is None or gap.offset is None else scan.index.path_at(gap.offset)
            if (path, gap.reason) not in seen:
                seen.add((path, gap.reason))
                yield unread(key, path, gap.reason)
    for digest, reason in (*image.missing, *image.foreign):
        yield unread(digest, None, reason)
