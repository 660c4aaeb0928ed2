"""The audit: reads every blob of an image once, joins what was found to what the image says of itself, and reports."""

from __future__ import annotations

import contextlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import cast

from container_image.audit import carve
from container_image.audit.advice import advise
from container_image.audit.attribution import SourceMap, Step, steps
from container_image.audit.blob import BlobScan, scan_blob
from container_image.audit.hunted import Hunted, hunt, ordered
from container_image.audit.layer import Overlay
from container_image.audit.matcher import Matcher
from container_image.audit.policy import AuditPolicy
from container_image.audit.report import (
    AuditedImage,
    AuditReport,
    AuditWarning,
    Coverage,
    Engine,
    Finding,
    State,
    Surface,
    Unread,
    Verdict,
    fingerprint,
)
from container_image.audit.scan import Budget, Hit, StreamScanner, distinct
from container_image.errors import InvalidInputError
from container_image.forms import FORMS_VERSION
from container_image.oci import Image, Manifest, Source, open_image
from container_image.records import Record, recall, remember
from container_image.secrets import Secret, SecretValue, resolve_secrets


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Progress: after each blob, how many blobs and decompressed bytes were read, and how many hits were seen."""

    blobs: int
    bytes: int
    hits: int


def audit(
    reference: str,
    secrets: Mapping[str, str | bytes | Secret | SecretValue],
    *,
    environments: Sequence[str] = (),
    policy: AuditPolicy | None = None,
    on_event: Callable[[AuditEvent], None] | None = None,
    source: SourceMap | None = None,
    warnings: Iterable[AuditWarning] = (),
) -> AuditReport:
    """Searches every byte of an image for the values of some secrets, in every form they realistically take.

    `reference` is named as in containers-transports(5), whoever built the image. `source` is the Dockerfile, where it
    is known: findings then carry its lines. `warnings` are passed on into the report.

    Raises:
        InvalidInputError: a ValueError: there is no secret to search for, or the reference can't be parsed.
        SecretSourceError: a secret's source is missing, unreadable or empty.
        ImageNotFoundError, ImageReadError, EngineError: the image can't be had.
    """
    policy = policy or AuditPolicy()
    values = resolve_secrets(secrets)
    if not any(value.sensitive for value in values.values()):
        raise InvalidInputError(
            "there is no secret to search for: give at least one, as --secret id=NAME,env=VARIABLE or in `secrets`"
        )
    with open_image(reference) as opened:
        report = audit_source(
            opened,
            values,
            environments=environments,
            policy=policy,
            on_event=on_event,
            source=source,
            warnings=warnings,
        )
    with contextlib.suppress(OSError, InvalidInputError):
        # A machine without a place for state is audited all the same.
        remember("audit", report.image.digest, report.verdict.value, values)
    return report


def audit_source(
    opened: Source,
    values: Mapping[str, SecretValue],
    *,
    environments: Sequence[str] = (),
    policy: AuditPolicy,
    on_event: Callable[[AuditEvent], None] | None = None,
    source: SourceMap | None = None,
    warnings: Iterable[AuditWarning] = (),
) -> AuditReport:
    """Audits an image that is open already, for values that were read already."""
    started = time.monotonic()
    hunted = hunt(values, policy, _recalled(opened.digest))
    matcher = Matcher(hunted.targets, carve.MAGICS)
    budget = Budget(matcher, policy)
    scans: dict[str, BlobScan] = {}
    for blob in opened.blobs():
        scan = scan_blob(blob.digest or blob.name, blob.chunks(), budget)
        scans[scan.key] = scan
        if on_event is not None:
            on_event(AuditEvent(len(scans), budget.bytes, sum(len(seen.hits) for seen in scans.values())))
    documents = {key: scan.document for key, scan in scans.items() if scan.document is not None}
    image = opened.assemble(documents, set(scans))
    return _Reporter(image, opened, scans, hunted, budget, source).report(
        environments=tuple(environments), warnings=tuple(warnings), started=started
    )


def _recalled(digest: str) -> Record | None:
    try:
        return recall("build", digest)
    except InvalidInputError:
        return None


@dataclass(frozen=True, slots=True)
class _Role:
    """What a blob is in one manifest."""

    surface: Surface
    manifest: Manifest | None = None
    layer: int | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """A hit with everything that tells where it is; equal places make one finding."""

    surface: Surface
    platform: str | None
    digest: str | None
    layer: int | None
    path: str | None
    state: State | None
    step: Step | None


class _Reporter:
    """Joins hits to the image's own account of itself."""

    def __init__(
        self,
        image: Image,
        opened: Source,
        scans: dict[str, BlobScan],
        hunted: Hunted,
        budget: Budget,
        source: SourceMap | None,
    ) -> None:
        self._image = image
        self._opened = opened
        self._scans = scans
        self._hunted = hunted
        self._budget = budget
        self._source = source
        self._steps: dict[str, list[Step]] = {}
        for manifest in image.manifests:
            if manifest.config is not None:
                texts = [entry.created_by for entry in manifest.config.history]
                self._steps[manifest.digest] = steps(texts, source)

    def report(
        self, *, environments: tuple[str, ...], warnings: tuple[AuditWarning, ...], started: float
    ) -> AuditReport:
        policy = self._budget.policy
        findings = self._findings()
        unread = tuple(self._unread())
        platforms = tuple(
            manifest.platform or "unknown" for manifest in self._image.manifests if manifest.attestation_for is None
        )
        incomplete = (
            self._hunted.incomplete
            or any(not item.accepted for item in unread)
            or ("all" in policy.platforms and bool(self._image.absent_platforms))
        )
        if any(not finding.accepted for finding in findings):
            verdict = Verdict.LEAKED
        else:
            verdict = Verdict.INCOMPLETE if incomplete else Verdict.CLEAN
        layers = {layer.digest for manifest in self._layered() for layer in manifest.layers} & set(self._scans)
        indexes = [self._scans[key].index for key in layers]
        return AuditReport(
            engine=Engine(version=version("container-image"), forms=FORMS_VERSION, policy=policy),
            image=AuditedImage(
                reference=self._opened.reference,
                digest=self._opened.digest,
                digest_kind=self._opened.digest_kind,
                platforms=platforms,
                absent_platforms=self._image.absent_platforms,
            ),
            environments=environments,
            verdict=verdict,
            secrets=ordered(self._hunted.rows.values()),
            findings=findings,
            coverage=Coverage(
                blobs=len(self._scans),
                layers=len(layers),
                files=sum(index.files for index in indexes if index is not None),
                bytes=self._budget.bytes,
                streams=self._budget.streams,
                truncated=self._budget.truncated,
                unread=unread,
            ),
            warnings=warnings,
            duration_seconds=round(time.monotonic() - started, 3),
        )

    def _layered(self) -> list[Manifest]:
        return [manifest for manifest in self._image.manifests if manifest.attestation_for is None]

    def _roles(self) -> dict[str, list[_Role]]:
        roles: dict[str, list[_Role]] = defaultdict(list)
        roles[self._image.root.digest].append(_Role("manifest"))
        for manifest in self._image.manifests:
            if manifest.attestation_for is not None:
                parts = (manifest.digest, manifest.config_digest, *(layer.digest for layer in manifest.layers))
                for digest in parts:
                    roles[digest].append(_Role("attestation", manifest))
                continue
            if manifest.digest != self._image.root.digest:
                roles[manifest.digest].append(_Role("manifest", manifest))
            roles[manifest.config_digest].append(_Role("config", manifest))
            for number, layer in enumerate(manifest.layers):
                roles[layer.digest].append(_Role("layer", manifest, number))
        return roles

    def _findings(self) -> tuple[Finding, ...]:
        roles = self._roles()
        states = self._states({key for key, scan in self._scans.items() if scan.hits})
        grouped: dict[tuple[_Place, str, int, str, tuple[str, ...]], list[Hit]] = defaultdict(list)
        for key, scan in self._scans.items():
            for role in roles.get(key) or [_Role("metadata")]:
                for place, hit in self._placed(scan, role, states):
                    target = hit.run.target
                    group = (place, target.secret, target.version, target.form.name, hit.via)
                    grouped[group].append(hit)
        findings = [
            self._finding(place, secret, secret_version, form, via, hits)
            for (place, secret, secret_version, form, via), hits in grouped.items()
        ]
        findings.sort(key=lambda item: (item.secret, item.surface, item.layer or 0, item.path or "", item.form))
        return tuple(findings)

    def _placed(
        self, scan: BlobScan, role: _Role, states: dict[tuple[str, int, str], State]
    ) -> Iterator[tuple[_Place, Hit]]:
        root_of = self._hunted.root_of
        digest = scan.key if ":" in scan.key else None
        platform = None if role.manifest is None else role.manifest.platform
        if scan.document is not None:
            told: set[str] = set()
            pointed: dict[str, list[Hit]] = defaultdict(list)
            for pointer, hit in scan.strings:
                pointed[pointer].append(hit)
            for pointer, hits in pointed.items():
                for hit in distinct(hits, root_of):
                    told.add(root_of(hit.run.target))
                    surface, step = self._in_config(role, pointer, root_of(hit.run.target), pointed)
                    yield _Place(surface, platform, digest, None, self.redact(pointer), None, step), hit
            for hit in distinct(scan.hits, root_of):
                if root_of(hit.run.target) not in told:
                    yield _Place(role.surface, platform, digest, None, None, None, None), hit
            return
        for hit in distinct([*scan.hits, *self._split_names(scan)], root_of):
            path = None if scan.index is None else scan.index.path_at(hit.offset)
            state: State | None = None
            step = None
            if role.manifest is not None and role.layer is not None:
                if path is not None:
                    state = states.get((role.manifest.digest, role.layer, path), "visible")
                step = self._layer_step(role.manifest, role.layer)
            path = scan.key if path is None and digest is None else path
            yield _Place(role.surface, platform, digest, role.layer, self.redact(path), state, step), hit

    def _split_names(self, scan: BlobScan) -> list[Hit]:
        """Hits in names that a tar header holds in two pieces."""
        if scan.index is None or not scan.index.metadata:
            return []
        found = []
        for offset, name in scan.index.metadata:
            for hit in self._search(name):
                found.append(Hit(hit.run, offset, hit.via))
        return found

    def _search(self, data: bytes) -> list[Hit]:
        hits: list[Hit] = []
        scanner = StreamScanner(self._budget, hits, [], carved=False)
        scanner.feed(data)
        scanner.finish()
        return hits

    def redact(self, text: str | None) -> str | None:
        """The text with every value in it replaced by its secret's name."""
        if text is None:
            return None
        data = text.encode("utf-8", "surrogateescape")
        hits = distinct(self._search(data), lambda _target: "")
        for hit in sorted(hits, key=lambda hit: hit.run.start, reverse=True):
            data = data[: hit.run.start] + f"[{hit.run.target.secret}]".encode() + data[hit.run.stop :]
        return data.decode("utf-8", "backslashreplace")

    def _in_config(
        self, role: _Role, pointer: str, root: str, pointed: Mapping[str, list[Hit]]
    ) -> tuple[Surface, Step | None]:
        if role.surface != "config" or role.manifest is None:
            return role.surface, None
        recorded = self._steps.get(role.manifest.digest, [])
        entry = _HISTORY.match(pointer)
        if entry:
            number = int(entry[1])
            return "history", recorded[number] if number < len(recorded) else None
        keyword = next((word for prefix, word in _CONFIG_KEYWORDS.items() if pointer.startswith(prefix)), None)
        for other, hits in pointed.items():
            entry = _HISTORY.match(other)
            step = recorded[int(entry[1])] if entry and int(entry[1]) < len(recorded) else None
            same = any(self._hunted.root_of(hit.run.target) == root for hit in hits)
            if step is not None and same and keyword and step.instruction.startswith(keyword):
                return "config", step
        return "config", None

    def _layer_step(self, manifest: Manifest, layer: int) -> Step | None:
        if manifest.config is None:
            return None
        recorded = self._steps.get(manifest.digest, [])
        filled = [step for step, entry in zip(recorded, manifest.config.history, strict=True) if not entry.empty_layer]
        return filled[layer] if len(filled) == len(manifest.layers) else None

    def _states(self, wanted: set[str]) -> dict[tuple[str, int, str], State]:
        """What the layers above did to each path that has a hit."""
        found: dict[tuple[str, int, str], State] = {}
        for manifest in self._layered():
            if not any(layer.digest in wanted for layer in manifest.layers):
                continue
            overlay = Overlay()
            for number in range(len(manifest.layers) - 1, -1, -1):
                scan = self._scans.get(manifest.layers[number].digest)
                if scan is None or scan.index is None:
                    continue
                for path in {scan.index.path_at(hit.offset) for hit in scan.hits} - {None}:
                    state = overlay.state(cast(str, path))
                    found[(manifest.digest, number, cast(str, path))] = cast(State, state)
                overlay.add(scan.index)
        return found

    def _finding(
        self, place: _Place, secret: str, secret_version: int, form: str, via: tuple[str, ...], hits: list[Hit]
    ) -> Finding:
        best = max(hits, key=lambda hit: hit.run.fraction)
        fraction = 1.0 if best.run.fraction == 1 else 0.75 if best.run.fraction >= 0.75 else 0.5
        instruction = None if place.step is None else self.redact(place.step.instruction)
        line = None if place.step is None else place.step.line
        return Finding(
            secret=secret,
            secret_version=secret_version,
            form=form,
            via=via,
            match="full" if fraction == 1.0 else "partial",
            fraction=fraction,
            surface=place.surface,
            platform=place.platform,
            digest=place.digest,
            layer=place.layer,
            path=place.path,
            offset=min(hit.offset for hit in hits),
            count=len(hits),
            state=place.state,
            instruction=instruction,
            line=line,
            file=self._source.file if self._source is not None and line is not None else None,
            origin="build" if line is not None else "unknown",
            advice=advise(place.surface, instruction, place.path, place.state),
            fingerprint=fingerprint(secret, best.run.target.form.family, place.surface, place.path, instruction),
        )

    def _unread(self) -> Iterator[Unread]:
        policy = self._budget.policy

        def unread(digest: str | None, path: str | None, reason: str, size: int | None = None) -> Unread:
            accepted = any(rule.accepts(reason, path) for rule in policy.accept_unread)
            return Unread(digest=digest, path=self.redact(path), reason=reason, bytes=size, accepted=accepted)

        for key, scan in self._scans.items():
            if scan.broken:
                yield unread(key, None, scan.broken)
            seen = set()
            for gap in scan.gaps:
                path = None if scan.index is None else scan.index.path_at(gap.offset)
                if (path, gap.reason) not in seen:
                    seen.add((path, gap.reason))
                    yield unread(key, path, gap.reason)
        for digest, reason in (*self._image.missing, *self._image.foreign):
            yield unread(digest, None, reason)


_HISTORY = re.compile(r"/history/(\d+)/")
_CONFIG_KEYWORDS = {
    "/config/Env": "ENV",
    "/config/Labels": "LABEL",
    "/config/Cmd": "CMD",
    "/config/Entrypoint": "ENTRYPOINT",
    "/config/Healthcheck": "HEALTHCHECK",
    "/config/OnBuild": "ONBUILD",
    "/config/User": "USER",
    "/config/WorkingDir": "WORKDIR",
    "/config/Volumes": "VOLUME",
    "/config/ExposedPorts": "EXPOSE",
    "/config/Shell": "SHELL",
}
