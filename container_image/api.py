"""The public names, as `container_image` has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from container_image.audit import (
    AcceptedUnread,
    AuditEvent,
    AuditPolicy,
    AuditReport,
    AuditWarning,
    Finding,
    SourceMap,
    Verdict,
    audit,
)
from container_image.build import BuildEvent
from container_image.dockerfile import DockerfileParser
from container_image.dockerignore import DEFAULT_DOCKERIGNORE_PATTERNS
from container_image.errors import (
    AuditFailedError,
    AuditIncompleteError,
    AuditWarnedError,
    BuildError,
    ContainerImageError,
    DigestMismatchError,
    DockerfileError,
    DockerfileNotFoundError,
    EngineError,
    ImageNotFoundError,
    ImageReadError,
    InvalidInputError,
    NotStartedError,
    OutputError,
    PreflightError,
    SecretLeakError,
    SecretSourceError,
    StoreError,
    StoreKeyError,
    StoreTamperedError,
    UnknownEnvironmentError,
    UnknownReferenceError,
    UnknownSecretError,
)
from container_image.image import BuiltImage, ContainerImage
from container_image.secrets import Secret, SecretValue

if TYPE_CHECKING:
    from container_image.runtime import exec as exec  # noqa: A004
    from container_image.runtime import run
    from container_image.store import SecretStore

# `exec` is left out: an import of * would put it in the place of Python's own.
__all__ = [
    "DEFAULT_DOCKERIGNORE_PATTERNS",
    "AcceptedUnread",
    "AuditEvent",
    "AuditFailedError",
    "AuditIncompleteError",
    "AuditPolicy",
    "AuditReport",
    "AuditWarnedError",
    "AuditWarning",
    "BuildError",
    "BuildEvent",
    "BuiltImage",
    "ContainerImage",
    "ContainerImageError",
    "DigestMismatchError",
    "DockerfileError",
    "DockerfileNotFoundError",
    "DockerfileParser",
    "EngineError",
    "Finding",
    "ImageNotFoundError",
    "ImageReadError",
    "InvalidInputError",
    "NotStartedError",
    "OutputError",
    "PreflightError",
    "Secret",
    "SecretLeakError",
    "SecretSourceError",
    "SecretStore",
    "SecretValue",
    "SourceMap",
    "StoreError",
    "StoreKeyError",
    "StoreTamperedError",
    "UnknownEnvironmentError",
    "UnknownReferenceError",
    "UnknownSecretError",
    "Verdict",
    "audit",
    "run",
]


def __getattr__(name: str) -> object:
    """Imports what brings further libraries along: the store a database library, `run` and `exec` Docker's."""
    if name == "SecretStore":
        from container_image.store import SecretStore

        return SecretStore
    if name in ("run", "exec"):
        import container_image.runtime as runtime

        return getattr(runtime, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
