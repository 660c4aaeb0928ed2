"""The errors that container-image raises, in one hierarchy.

    ContainerImageError
    ├── InvalidInputError                also a ValueError: an argument, option or declaration that cannot be used
    │   ├── DockerfileError              the Dockerfile cannot be parsed; names the line
    │   ├── UnknownReferenceError        an image reference that names no transport or cannot be parsed
    │   ├── DockerfileNotFoundError      also a FileNotFoundError: no Dockerfile at that path
    │   ├── PreflightError               what can be said before a build starts; carries the problems
    │   └── UnknownEnvironmentError      the store has no environment of that name
    ├── SecretSourceError                a secret's source is missing, unreadable or empty
    │   └── UnknownSecretError           an environment of the store lacks secrets; carries their names
    ├── StoreError                       the secret store can't be reached, or is not to be used by this version
    │   ├── StoreKeyError                its key is missing, or another one's
    │   └── StoreTamperedError           a row of it was changed, moved, dropped or put back
    ├── EngineError                      no engine, one that is too old, or one that refused
    ├── NotStartedError                  a program can't be started; carries the exit status for that, 126 or 127
    ├── BuildError                       a build step failed; carries the step and its (redacted) last output
    ├── ImageNotFoundError               the reference is well formed, and nothing is there
    ├── ImageReadError                   an image's bytes are truncated, malformed or unreadable
    │   └── DigestMismatchError          a blob's bytes do not hash to its name
    ├── OutputError                      a report could not be written
    └── AuditFailedError                 the gate stayed shut; carries the report
        ├── SecretLeakError              a secret is in the image
        ├── AuditWarnedError             the report has a warning that the policy fails on
        └── AuditIncompleteError         something could not be read or searched for

No message, attribute or cause of these holds a secret's value. Every message names the offending thing and the next
step. The command line turns each into one line on stderr and an exit code (SecretLeakError and AuditWarnedError 1, AuditIncompleteError 3,
every other one 2; of `run` and `exec`, whose status is the child's, 125).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from container_image.audit.report import AuditReport


class ContainerImageError(Exception):
    """The root of every error that this package raises on purpose."""


class InvalidInputError(ContainerImageError, ValueError):
    """An argument, option or declaration that cannot be used as it is."""


class DockerfileError(InvalidInputError):
    """A Dockerfile that cannot be parsed. `line` is 1-based, or None where no single line is at fault."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line

    def placed(self, place: str) -> DockerfileError:
        """The same, with a place in a file where the message has no more than the line."""
        return DockerfileError(f"{place}: {str(self).removeprefix(f'line {self.line}: ')}", self.line)


class UnknownReferenceError(InvalidInputError):
    """An image reference that cannot be parsed, or whose transport does not exist."""


class DockerfileNotFoundError(InvalidInputError, FileNotFoundError):
    """There is no Dockerfile at the path that was given."""


class PreflightError(InvalidInputError):
    """A build that must not start. `problems` holds one message for each reason.

    `would_ship` is true where one of them is a value that would be in the image as it is written.
    """

    def __init__(self, problems: Sequence[str], *, would_ship: bool = False) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
        self.would_ship = would_ship


class SecretSourceError(ContainerImageError):
    """A secret whose source is missing, unreadable or empty. The message names the secret and the source."""


class UnknownEnvironmentError(InvalidInputError):
    """The secret store has no environment of that name."""


class UnknownSecretError(SecretSourceError):
    """Environments lack secrets; `names` are theirs."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


class StoreError(ContainerImageError):
    """The secret store can't be reached, read or written, or a newer version of this program made it."""


class StoreKeyError(StoreError):
    """The store's key is missing, is not this store's, or opens one environment only."""


class StoreTamperedError(StoreError):
    """What the store holds is not what was written there: a row was changed, moved, dropped or put back."""


class EngineError(ContainerImageError):
    """No Docker Engine answers, it is too old, or it refused a request."""


class NotStartedError(ContainerImageError):
    """A program that can't be started. `status` is what shells and Docker exit with: 127 if it isn't there, else 126."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class BuildError(ContainerImageError):
    """A build that failed. `step` and `line` (1-based) say where, when BuildKit told; `output` is the step's last."""

    def __init__(
        self, message: str, step: str | None = None, line: int | None = None, output: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.step = step
        self.line = line
        self.output = tuple(output)

    def __str__(self) -> str:
        lines = ["its last output:", *(f"  {line}" for line in self.output)] if self.output else []
        return "\n".join([super().__str__(), *lines])


class ImageNotFoundError(ContainerImageError):
    """A well-formed reference that names no image."""


class ImageReadError(ContainerImageError):
    """An image whose bytes are truncated, malformed or unreadable."""


class DigestMismatchError(ImageReadError):
    """A blob whose bytes do not hash to the digest that names it."""


class OutputError(ContainerImageError):
    """A report or other output that could not be written."""


class AuditFailedError(ContainerImageError):
    """The gate stayed shut: nothing was tagged. `report` says why."""

    def __init__(self, message: str, report: AuditReport) -> None:
        super().__init__(message)
        self.report = report


class SecretLeakError(AuditFailedError):
    """A secret is in the image."""


class AuditWarnedError(AuditFailedError):
    """The report has a warning of a kind that the policy fails on (`fail_on_warning`)."""


class AuditIncompleteError(AuditFailedError):
    """Something could not be read or searched for, so nothing is promised."""
