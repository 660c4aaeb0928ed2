"""The audit: reads every blob of an image once, joins what was found to what the image says of itself, and reports."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from container_image.audit import carve
from container_image.audit.attribution import SourceMap
from container_image.audit.bases import inherited
from container_image.audit.blob import BlobScan, scan_blob
from container_image.audit.conclusion import conclude
from container_image.audit.hunted import hunt
from container_image.audit.matcher import Matcher
from container_image.audit.policy import AuditPolicy
from container_image.audit.report import AuditReport, AuditWarning
from container_image.audit.scan import Budget
from container_image.errors import ImageReadError, InvalidInputError
from container_image.events import receiving
from container_image.oci import Source, again, limit, open_image
from container_image.records import Record, recall, remember
from container_image.secrets import Secret, SecretValue
from container_image.stored import Environments, in_environments, note_use

# Bytes of JSON that are kept until all is read; an image with all its attestations has a few megabytes.
_DOCUMENTS = 128 << 20


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
    environments: Environments = (),
    policy: AuditPolicy | None = None,
    on_event: Callable[[AuditEvent], None] | None = None,
    source: SourceMap | None = None,
    warnings: Iterable[AuditWarning] = (),
) -> AuditReport:
    """Searches every byte of an image for the values of some secrets, in every form they realistically take.

    `reference` is named as in containers-transports(5), whoever built the image; `rootfs:PATH` is a root file system, and a
    path that begins with `/`, `./`, `../` or `~` is recognised by its content. With `environments` of the store (or
    "all"), secrets of the store are searched for as each of them has them; without such secrets, everything that the
    environments hold is.
    `source` is the Dockerfile, where it is known: findings then carry its lines. `warnings` are passed on into the report.

    Raises:
        InvalidInputError: a ValueError: there is no secret to search for, or the reference can't be parsed.
        SecretSourceError: a secret's source is missing, unreadable or empty, or an environment lacks it.
        ImageNotFoundError, ImageReadError, EngineError: the image can't be had.
    """
    if not isinstance(reference, str):
        raise InvalidInputError(f"an image reference is a str, as in 'app:dev'; got {type(reference).__name__}")
    policy = AuditPolicy() if policy is None else policy
    if not isinstance(policy, AuditPolicy):
        raise InvalidInputError(f"policy is an AuditPolicy; got {type(policy).__name__}")
    values = read_values(secrets, environments)
    return audit_reference(reference, values, policy=policy, on_event=on_event, source=source, warnings=warnings)


def read_values(
    secrets: Mapping[str, str | bytes | Secret | SecretValue], environments: Environments = ()
) -> tuple[SecretValue, ...]:
    """The values that an audit searches for, each read once from where it is kept.

    Raises:
        InvalidInputError: there is no secret to search for.
        SecretSourceError: a secret's source is missing, unreadable or empty, or an environment lacks it.
    """
    values = in_environments(secrets, environments)
    _require_one(values)
    return values


def audit_reference(
    reference: str,
    values: Sequence[SecretValue],
    *,
    opener: Callable[[str], Source] = open_image,
    policy: AuditPolicy | None = None,
    on_event: Callable[[AuditEvent], None] | None = None,
    source: SourceMap | None = None,
    warnings: Iterable[AuditWarning] = (),
) -> AuditReport:
    """Audits the image that `opener` opens, and records it: in the store's log before, in the state directory after.

    Raises:
        ImageNotFoundError, ImageReadError, EngineError: the image can't be had.
        StoreError: the use of the store's secrets can't be logged.
    """
    with receiving(on_event), opener(reference) as opened:
        # The image exists, so the reference is not a value in the wrong place, and can be in the log.
        note_use("audit", reference, values)
        report = audit_source(
            opened,
            values,
            policy=policy,
            on_event=on_event,
            source=source,
            warnings=warnings,
        )
    with contextlib.suppress(OSError, InvalidInputError):
        # A machine without a place for state is audited all the same.
        remember("audit", report.image.digest, report.verdict.value, {value.name: value for value in reversed(values)})
    return report


def audit_source(
    opened: Source,
    values: Sequence[SecretValue],
    *,
    policy: AuditPolicy | None = None,
    on_event: Callable[[AuditEvent], None] | None = None,
    source: SourceMap | None = None,
    warnings: Iterable[AuditWarning] = (),
    context: str | None = None,
    unknown: Collection[str] = (),
) -> AuditReport:
    """What `audit` does, on an image that is open already and values that are resolved, in their environments.

    `context` is the engine that may hold the image's base, as in `docker --context`. `unknown` are secrets of which it may
    hold a value that is not known.
    """
    _require_one(values)
    policy = policy or AuditPolicy()
    started = time.monotonic()
    hunted = hunt(values, policy, _recalled(opened.digest), unknown)
    budget = Budget(Matcher(hunted.targets, carve.MAGICS), policy)
    scans: dict[str, BlobScan] = {}
    hits = documents = 0
    times: dict[str, int] = defaultdict(lambda: 1)
    for blob in opened.blobs():
        key = blob.key
        while blob.digest is None and key in scans:
            times[blob.key] += 1
            key = again(blob.key, times[blob.key])
        scan = scan_blob(key, blob.chunks(), budget)
        scans[scan.key] = scan
        documents += len(scan.document or b"")
        if documents > _DOCUMENTS:
            raise ImageReadError(
                f"{opened.reference}: more than {_DOCUMENTS >> 20} MiB of JSON documents; remove what is no part of the image"
            )
        if on_event is not None:
            hits += len(scan.hits)
            on_event(AuditEvent(len(scans), budget.bytes, hits))
    known = {key: scan.document for key, scan in scans.items() if scan.document is not None}
    image = opened.assemble(known, set(scans))
    if policy.platforms and "all" not in policy.platforms:
        image, outside = limit(image, policy.platforms)
        scans = {key: scan for key, scan in scans.items() if key not in outside}
    # A base is needed only to tell where a hit or a file of credentials comes from.
    seen = any(
        scan.hits or scan.strings or scan.shipped or (scan.index is not None and scan.index.credentials.paths)
        for scan in scans.values()
    )
    brought = inherited(opened.reference, image, known, context=context) if seen else {}
    return conclude(
        opened, image, scans, hunted, budget, source, brought,
        environments=tuple(dict.fromkeys(value.environment for value in values if value.environment is not None)),
        warnings=tuple(warnings), started=started,
    )  # fmt: skip


def _recalled(digest: str) -> Record | None:
    with contextlib.suppress(InvalidInputError):
        return recall("build", digest)
    return None


def _require_one(values: Iterable[SecretValue]) -> None:
    if not any(value.sensitive for value in values):
        raise InvalidInputError(
            "there is no secret to search for: give at least one, as --secret id=NAME,env=VARIABLE or --env ENVIRONMENT, or in `secrets`"
        )
