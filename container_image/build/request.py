"""What a build is asked to do, as plain data, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from container_image.build.credentials import credentials
from container_image.build.exports import CacheExport, Export
from container_image.secrets import Secret, SecretValue
from container_image.stored import Environments, beside, resolved_in

BUILDKIT_CHECK = "buildkit-check"
"""The code of the warnings that are BuildKit's own: a build tells them as events too."""

Login = Mapping[str, str | Secret | SecretValue]
"""A `username` and a `password`, each as a declaration's secrets are given."""


@dataclass(frozen=True, slots=True, repr=False)
class BuildRequest:
    """One build.

    `dockerfile` is the text; messages name it `file` and add `line_offset` to its lines, for a Dockerfile that is a
    string in a Python file. `ignore` is the text of the ignore file that BuildKit is to use; None means Docker's own
    rules for `dockerfile_path`. `context` is a directory, or what BuildKit fetches by itself: a Git or http URL.
    `fetched` is the Dockerfile that BuildKit fetches too, a path in such a context or a URL: `dockerfile` is empty until
    the build begins. Of its lines `own_lines` are the author's, where a step was added behind them: that installs
    requirements.
    `image_options` are attributes of the image exporter; `exports` and `cache_to` are what leaves the machine besides
    the image, `tags` the names that it is given if it is clean, and `push` sends it to their registries; `iidfile` and
    `metadata_file` are Docker's. `options` are further ones of `docker buildx build`, passed on as they are.
    `build_args_public` are the names of build arguments that hold no credential, whatever they look like.
    The builder's record of a build with secrets stays where its log is proved to hold none of their values;
    `keep_history` leaves every record, and `forget_history` removes every one.
    `sources` are where secrets come from, as far as that is known: the variables among them are inherited by no child
    process. `beside` are values of environments that the build is not given, and that must not be in the image either.
    The representation of a request names its Dockerfile alone: arguments, URLs and the Dockerfile may hold credentials.
    `with_statuses` asks for events with BuildKit's own progress records, redacted.
    """

    dockerfile: str
    context: Path | str
    file: str = "Dockerfile"
    fetched: str | None = None
    line_offset: int = 0
    own_lines: int | None = None
    dockerfile_path: Path | None = None
    ignore: str | None = None
    secrets: Mapping[str, SecretValue] = field(default_factory=dict)
    sources: Mapping[str, Secret] = field(default_factory=dict)
    beside: tuple[SecretValue, ...] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    build_args_public: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    registries: Mapping[str, tuple[str, SecretValue]] = field(default_factory=dict)
    target: str | None = None
    platforms: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    build_contexts: Mapping[str, str] = field(default_factory=dict)
    cache_from: tuple[str, ...] = ()
    network: str | None = None
    builder: str | None = None
    no_cache: bool = False
    pull: bool = False
    image_options: Mapping[str, str] = field(default_factory=dict)
    exports: tuple[Export, ...] = ()
    cache_to: tuple[CacheExport, ...] = ()
    tags: tuple[str, ...] = ()
    push: bool = False
    iidfile: Path | None = None
    metadata_file: Path | None = None
    options: tuple[str, ...] = ()
    entrypoint: str | list[str] | None = None
    cmd: str | list[str] | None = None
    allow_unused: bool = False
    secret_tmpdir: Path | None = None
    keep_history: bool = False
    forget_history: bool = False
    with_statuses: bool = False

    def with_secrets(
        self,
        declared: Mapping[str, str | Secret | SecretValue],
        environment: str | None = None,
        audit_environments: Environments = (),
        logins: Mapping[str, Login] = MappingProxyType({}),
    ) -> BuildRequest:
        """The same build with these secrets and registry logins, read now: those of the store as `environment` has them.

        The image is also searched for every other secret of `environment`, where one is named, and of
        `audit_environments`. `logins` are by host.

        Raises:
            InvalidInputError: a string begins with `$` and is no reference.
            SecretSourceError: sources are missing, unreadable or empty; names each secret and its source.
        """
        everything = {**declared, **login_secrets(logins)}
        sources = {name: given for name, given in everything.items() if isinstance(given, Secret)}
        values = resolved_in(environment, everything)
        more = beside(values, audit_environments, environment)
        registries = {host: _resolved_login(host, values) for host in logins}
        return replace(self, secrets=values, sources=sources, beside=more, registries={**self.registries, **registries})

    @property
    def held(self) -> dict[str, SecretValue]:
        """Every credential that the build holds, by name: its secrets, and those that it needs beside them."""
        return {**self.secrets, **credentials(self)}

    @property
    def unwanted(self) -> tuple[SecretValue, ...]:
        """Every value that must not be in the image."""
        return (*self.held.values(), *self.beside)

    @property
    def has_credentials(self) -> bool:
        """Whether there is something secret that the build's log may hold, or the image."""
        return any(value.sensitive for value in self.unwanted)

    def __repr__(self) -> str:
        return f"BuildRequest({self.file!r})"

    @property
    def shown(self) -> str:
        """The image's name in messages and reports: the first one that it is to get."""
        return self.tags[0] if self.tags else "(untagged)"

    def place(self, line: int | None) -> str:
        """`file:line` of a line of the Dockerfile, for a message."""
        if line is not None and self.own_lines is not None and line > self.own_lines:
            return "requirements"
        return self.file if line is None else f"{self.file}:{line + self.line_offset}"


def login_secrets(logins: Mapping[str, Login]) -> dict[str, str | Secret | SecretValue]:
    """The user names and passwords of registry logins, under the names that errors and reports give them."""
    return {
        name: login[key]
        for host, login in logins.items()
        for key, name in (("username", _user(host)), ("password", _password(host)))
    }


def _resolved_login(host: str, values: dict[str, SecretValue]) -> tuple[str, SecretValue]:
    """The login to a host, taken out of the values that were read."""
    user, password = values.pop(_user(host)), values.pop(_password(host))
    return user.reveal().decode("utf-8", "surrogateescape"), password.replaced(name=_password(host))


def _user(host: str) -> str:
    return f"registry-user:{host}"


def _password(host: str) -> str:
    return f"registry:{host}"


@dataclass(frozen=True, slots=True)
class BuildWarning:
    """Something a build did that is worth knowing: a step that printed a secret, a check of BuildKit's."""

    code: str
    message: str
    secret: str | None = None
    step: str | None = None


@dataclass(frozen=True, slots=True)
class BuildEvent:
    """Progress of a build.

    `text` is a log's text, redacted, or a warning's; `seconds` is how long a finished step took. `release` comes once,
    when the audit is over: the image is about to get the names in `step`, and to be written and pushed if asked for.
    `status` has in `text` a record of BuildKit's (SolveStatus in JSON), redacted, if the request asks for them.
    """

    kind: Literal["started", "log", "done", "cached", "failed", "warning", "message", "release", "status"]
    step: str
    text: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What BuildKit made, and its metadata (`--metadata-file`).

    `cached` are the steps that came from the cache and mount a secret with a cache scope, each with that.
    """

    metadata: Mapping[str, object]
    warnings: tuple[BuildWarning, ...]
    cached: tuple[tuple[SecretValue, str], ...] = ()
