"""A local process with an environment's secrets as its variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from container_image.build.redact import Redactor
from container_image.errors import InvalidInputError
from container_image.runtime.given import ENVIRONMENT, Given, reveal, variables
from container_image.runtime.process import run_beside
from container_image.shown import shown
from container_image.state import inherited
from container_image.stored import note_use

if TYPE_CHECKING:
    from container_image.store import SecretStore


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """A command line, and the whole environment that it is to run in."""

    command: tuple[str, ...]
    given: Given
    environment: dict[str, str] = field(repr=False)


def exec(  # noqa: A001
    command: Sequence[str],
    *,
    environment: str | None = None,
    only: Sequence[str] = (),
    mask: bool = False,
    store: SecretStore | None = None,
) -> int:
    """Runs a command here with the exposed secrets of an environment as variables; returns its exit status.

    `environment` None is `CONTAINER_IMAGE_ENV`, else `main`. `only` names the secrets instead, also those that are not exposed.
    With `mask`, values in its stdout and stderr are replaced by `[NAME]`. Where a signal ends the command, the status is
    128 and the signal's number.

    Raises:
        InvalidInputError: a secret that can't be a variable, or no command.
        UnknownEnvironmentError, UnknownSecretError: it is not in the store.
        NotStartedError: the command can't be started.
    """
    process = prepare(command, environment, only, store)
    redactor = Redactor(process.given.values.values()) if mask else None
    return run_beside(process.command, process.environment, redactor=redactor)


def prepare(
    command: Sequence[str], environment: str | None, only: Sequence[str], store: SecretStore | None = None
) -> LocalProcess:
    """What is to be run, with its secrets, and the use noted in the store's log."""
    if isinstance(command, str) or not command:
        raise InvalidInputError('the command is a list of words, as ["python", "app.py"]')
    given = reveal(environment, only, store)
    whole = {**inherited(), **variables(given, docker=False), ENVIRONMENT: given.environment}
    note_use("exec", shown(command[0]), given.values.values(), store)
    return LocalProcess(tuple(command), given, whole)
