"""One build while it lasts: its private directories, its Docker client, and the journal of what it leaves."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from container_image.build import docker_config
from container_image.build.arguments import passed_apart
from container_image.build.builder import Builder, check_store, find_builder
from container_image.build.client import Client
from container_image.build.exports import CacheExport, Export
from container_image.build.handoff import HAS_MEMORY, handoff
from container_image.build.history import LogSearch
from container_image.build.leftovers import Journal, journal
from container_image.build.remote import with_dockerfile
from container_image.build.request import BuildRequest
from container_image.build.ssh import ssh_problems
from container_image.cwd import absolute
from container_image.errors import InvalidInputError, PreflightError
from container_image.secrets import SecretValue
from container_image.state import inherited

QUARANTINE = "container-image.invalid/q"
"""A name that no registry takes: the image has it until it is audited."""


@dataclass(frozen=True, slots=True)
class Run:
    """A build that is going on.

    `dockerfile` is where the rewritten Dockerfile goes, in `directory`, which is private and in memory where there is
    such a file system; `files` is where values become files, None where they don't. `image` is the name in quarantine.
    `staging` is a private directory on a disk, for what is exported. `searched` makes a search of one build's log; without
    it, nothing proves that the builder's record holds no value.
    """

    request: BuildRequest
    client: Client
    builder: Builder
    image: str
    directory: Path
    files: Path | None
    staging: Path
    dockerfile: Path
    journal: Journal
    searched: Callable[[Sequence[SecretValue]], LogSearch] | None = None

    @property
    def archive(self) -> Path | None:
        """Where the image is exported to, with a builder whose results are in no engine's store."""
        return None if self.builder.has_store else self.staging / "image.tar"

    def staged(self, export: Export | CacheExport) -> Path:
        """Where an export waits for the verdict."""
        waiting: list[Export | CacheExport] = [*self.request.exports, *self.request.cache_to]
        return self.staging / str(waiting.index(export))


@contextlib.contextmanager
def open_run(
    request: BuildRequest, searched: Callable[[Sequence[SecretValue]], LogSearch] | None = None
) -> Iterator[Run]:
    """Makes ready for a build; nothing of it is left when the context is. `searched` is that of the Run.

    Raises:
        EngineError: no engine answers, or it is too old.
        PreflightError: there is no SSH agent or key, or the engine's image store can't give what is asked for.
        InvalidInputError: a directory for temporary files is not there.
    """
    if problems := list(ssh_problems(request.ssh, os.environ)):
        raise PreflightError(problems)
    environment = inherited({source.variable for source in request.sources.values()})
    environment |= {"DOCKER_CLI_HINTS": "false", "BUILDX_METADATA_PROVENANCE": "disabled", **passed_apart(request)}
    client = Client(environment)
    client.check_buildx()
    builder = find_builder(client, request.builder)
    client = replace(client, context=builder.context)
    client.check_engine()
    check_store(client, builder, request)
    name = secrets.token_hex(16)
    directory = _memory_directory() / f"container-image-{name}"
    files = None
    if request.secret_tmpdir is not None:
        if not request.secret_tmpdir.is_dir():
            raise InvalidInputError(
                f"{request.secret_tmpdir}: no such directory for temporary files; make it, or name another"
            )
        files = absolute(request.secret_tmpdir).resolve() / f"container-image-{name}"
    elif not HAS_MEMORY:
        files = directory
    image = f"{QUARANTINE}:{name}"
    dockerfile = directory / f"Dockerfile-{name}"
    staging = Path(tempfile.gettempdir()) / f"container-image-{name}-exports"
    directories = tuple(dict.fromkeys(path for path in (directory, staging, files) if path is not None))
    with journal(name, image, directories, client) as kept:
        for path in directories:
            path.mkdir(mode=0o700)
        with _logged_in(request, client, directory, files) as able:
            whole = with_dockerfile(request, able, files)
            yield Run(whole, able, builder, image, directory, files, staging, dockerfile, kept, searched)


@contextlib.contextmanager
def _logged_in(request: BuildRequest, client: Client, directory: Path, files: Path | None) -> Iterator[Client]:
    """The client with the request's registry logins, which are on no disk."""
    if not request.registries:
        yield client
        return
    user = docker_config.user_directory(client.environment)
    with handoff({docker_config.FILE: docker_config.with_logins(user, request.registries)}, files) as given:
        own = directory / "docker"
        docker_config.link(user, own, given.paths[docker_config.FILE])
        # The builders, and what buildx notes of a build, stay where the user's are.
        state = client.environment.get("BUILDX_CONFIG") or str(user / "buildx")
        environment = {**client.environment, "DOCKER_CONFIG": str(own), "BUILDX_CONFIG": state}
        yield replace(client, environment=environment, descriptors=given.descriptors)


def _memory_directory() -> Path:
    for candidate in (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):
        if candidate and Path(candidate).is_dir() and os.access(candidate, os.W_OK | os.X_OK):
            return Path(candidate)
    return Path(tempfile.gettempdir())
