"""A container with an environment's secrets: what `docker run` is told, and that it is told so."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from container_image.build.client import Client
from container_image.cwd import working_directory
from container_image.errors import EngineError, InvalidInputError, NotStartedError
from container_image.runtime.files import SecretFiles, secret_files, sweep
from container_image.runtime.given import ENVIRONMENT, REFERENCE, Given, reveal, variables
from container_image.runtime.options import Option, parse
from container_image.runtime.process import Waiting, become, run_beside
from container_image.shown import HIDDEN, is_reference
from container_image.state import PRIVATE
from container_image.stored import note_use

if TYPE_CHECKING:
    from container_image.store import SecretStore

LABELS = "container-image."
"""With what our labels begin."""

OF = f"{LABELS}environment"
"""The label with the environment's name."""

MADE = f"{LABELS}environment-made"
"""The label that says which environment of that name it was: when it was made."""

VERSIONS = f"{LABELS}secrets"
"""The label with each secret's version: a JSON object."""

LINE = f"{LABELS}run"
"""The label with the command line, as JSON, from which `replace` makes the container anew."""

# `docker create` has all of `docker run`'s options but these, and the name is given apart.
_NOT_CREATED = frozenset({"detach", "detach-keys", "sig-proxy", "name"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A container as it is asked for; `directory` is where relative paths in docker's options begin."""

    image: str
    command: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    environment: str | None = None
    only: tuple[str, ...] = ()
    secret_files: bool = False
    directory: str = field(default_factory=lambda: str(working_directory()))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A container that can be made: the client without secrets, and the variables of the command that makes it."""

    wanted: Wanted
    given: Given
    client: Client = field(repr=False)
    environment: dict[str, str] = field(repr=False)

    def arguments(self, files: SecretFiles | None = None) -> list[str]:
        """The arguments of `docker run`, which hold no value of a secret."""
        return ["run", *map(str, self.wanted.options), *self._own(files), self.wanted.image, *self.wanted.command]

    def creating(self, name: str, image: str, files: SecretFiles | None) -> list[str]:
        """Those of `docker create`, for a container of that name, from what `image` says."""
        options = [str(option) for option in self.wanted.options if option.name not in _NOT_CREATED]
        return ["create", *options, f"--name={name}", *self._own(files), image, *self.wanted.command]

    def _own(self, files: SecretFiles | None) -> Iterator[str]:
        given = self.given
        yield f"--env={ENVIRONMENT}={given.environment}"
        yield f"--env={REFERENCE}={self.wanted.image}"
        if files is None:
            yield from (f"--env={name}" for name in given.values)
        else:
            yield f"--mount={files.mount}"
            yield f"--label={files.label}"
            if files.tracked:
                yield f"--cidfile={files.cidfile}"
        yield f"--label={OF}={given.environment}"
        yield f"--label={MADE}={given.made or ''}"
        yield f"--label={VERSIONS}={json.dumps(given.versions)}"
        yield f"--label={LINE}={_line(self.wanted, given)}"

    def files(self) -> contextlib.AbstractContextManager[SecretFiles | None]:
        """The files that it mounts, if it does, while the context lasts and the container runs."""
        if self.wanted.secret_files:
            # Docker takes one file for the ID.
            tracked = all(option.name != "cidfile" for option in self.wanted.options)
            return secret_files(self.given.values, self.client, tracked=tracked)
        return contextlib.nullcontext()


def run(
    image: str,
    command: Sequence[str] = (),
    *,
    environment: str | None = None,
    only: Sequence[str] = (),
    options: Sequence[str] = (),
    secret_files: bool = False,
    store: SecretStore | None = None,
) -> int:
    """Runs a container with the exposed secrets of an environment as variables; returns docker's exit status.

    `environment` None is `CONTAINER_IMAGE_ENV`, else `main`. `only` names the secrets instead, also those that are not exposed.
    `options` are `docker run`'s, as `["--detach", "--name=web", "-p", "8080:80"]`. With `secret_files`, the secrets are
    read-only files in /run/secrets.

    Raises:
        InvalidInputError: options that can't be honoured, or a secret that can't be a variable.
        UnknownEnvironmentError, UnknownSecretError: it is not in the store.
        EngineError: there is no docker command; or no engine here, or no tmpfs, for `secret_files`.
    """
    if isinstance(options, str) or isinstance(command, str):
        raise InvalidInputError('options and command are lists of words, as ["--detach"] and ["python", "app.py"]')
    line = parse(options)
    if line.rest:
        raise InvalidInputError("options: a word that is no option; an option's value goes behind it, as in --name=web")
    wanted = Wanted(image, tuple(command), line.docker, environment, tuple(only), secret_files)
    return start(prepare(wanted, store))


def prepare(wanted: Wanted, store: SecretStore | None = None) -> Prepared:
    """Checks what is asked for, reads the secrets, and notes the use in the store's log.

    What killed runs left is removed.
    """
    if not wanted.image or wanted.image.startswith("-"):
        raise InvalidInputError("no image: name one, behind the options or before them")
    client = Client()
    client.command()
    if not is_reference(wanted.image) and not _is_here(client, wanted.image):
        # Docker's own error would repeat it.
        raise InvalidInputError(f"there is no image {HIDDEN} in the engine; write NAME:TAG, or pull it before")
    sweep()
    given = reveal(wanted.environment, wanted.only, store)
    hidden = {} if wanted.secret_files else variables(given, docker=True)
    _check(wanted, {*hidden, ENVIRONMENT, REFERENCE, *PRIVATE})
    note_use("run", wanted.image, given.values.values(), store)
    return Prepared(wanted, given, client, {**client.environment, **hidden})


def _is_here(client: Client, image: str) -> bool:
    try:
        client.call("image", "inspect", "--format={{.Id}}", image)
    except EngineError:
        return False
    return True


def start(prepared: Prepared, waiting: Waiting = Waiting()) -> int:  # noqa: B008
    """Runs the container; returns docker's exit status."""
    with prepared.files() as files, _as_engine_errors():
        command = prepared.client.command(*prepared.arguments(files))
        return run_beside(command, prepared.environment, waiting=waiting)


def start_in_place(prepared: Prepared) -> NoReturn:
    """Runs the container with docker in the place of this process. There can be no files, which somebody must remove."""
    with _as_engine_errors():
        become(prepared.client.command(*prepared.arguments()), prepared.environment)


def _check(wanted: Wanted, taken: set[str]) -> None:
    """Refuses docker's options that would take a secret's place, or ours. No value is repeated.

    Raises:
        InvalidInputError: names the option.
    """
    for option in wanted.options:
        name = option.value.partition("=")[0]
        if option.name == "env" and name in taken:
            raise InvalidInputError(f"-e {name}: {_why(name)}; leave it out")
        if option.name == "label" and name.startswith(LABELS):
            raise InvalidInputError(f"--label {name}: labels that begin with {LABELS} are set by this command")
        if option.name == "restart" and wanted.secret_files and name not in ("", "no"):
            raise InvalidInputError(
                "--restart: a container that is restarted by itself has no secret files any more; use variables, or leave the option out"
            )


def _why(name: str) -> str:
    if name in PRIVATE:
        return "the keys of this program and its store's address stay out of containers"
    if name in (ENVIRONMENT, REFERENCE):
        return "it is set by this command"
    return "the variable is given by the environment's secret of that name"


def _line(wanted: Wanted, given: Given) -> str:
    return json.dumps({
        "image": wanted.image,
        "command": wanted.command,
        "options": [[option.name, option.value] for option in wanted.options],
        "environment": given.environment,
        "only": wanted.only,
        "secret_files": wanted.secret_files,
        "directory": wanted.directory,
    })  # fmt: skip


@contextlib.contextmanager
def _as_engine_errors() -> Iterator[None]:
    """That docker can't be started is no word on the container's command."""
    try:
        yield
    except NotStartedError as error:
        raise EngineError(str(error)) from None
