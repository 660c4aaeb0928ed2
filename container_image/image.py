"""What users declare: a container image, its build secrets, and how it is built. The library's front door."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import LiteralString, Self, Unpack

from container_image.audit import AuditEvent, AuditPolicy
from container_image.build import (
    BuildEvent,
    BuildRequest,
    Login,
    check_build,
    login_secrets,
    parse_caches,
    parse_outputs,
)
from container_image.build_options import BuildOptions, refuse_unknown
from container_image.cwd import working_directory
from container_image.declared import caller, literal_offset
from container_image.dockerfile import DockerfileParser
from container_image.dockerignore import load_patterns, regexes, to_docker
from container_image.errors import DockerfileError, DockerfileNotFoundError, InvalidInputError
from container_image.gate import BuiltImage, build_through
from container_image.requirements import Installer, Requirements, check_values, read_requirements, with_step
from container_image.secrets import Secret, SecretValue, as_secret, as_written, stored_names
from container_image.shown import quoted, shown
from container_image.stored import Environments

__all__ = ["BuiltImage", "ContainerImage"]

_REFUSALS = {
    "dockerfile": (
        "Invalid dockerfile: Dockerfile is required.\n"
        "Either use ContainerImage.from_dockerfile_str() or ContainerImage.from_dockerfile() to create a container image."
    ),
    "registries": "Username and password are required for each registry",
}
REFUSED: LiteralString = "refused"
"""The type of pydantic's errors on an image: their messages hold no value that was given."""

_BUILDERS = ("depot", "service", "worker")
_DEPRECATED_BUILDERS = ("service", "worker")
_IGNORE_FIELDS = ("context_dir", "dockerignore", "dockerignore_path")


class ContainerImage(BaseModel):
    """A custom image: a Dockerfile, and what its build needs.

    A drop-in for `fal.ContainerImage`, with the same fields, meanings and refusals, that builds locally:

    >>> image = ContainerImage.from_dockerfile_str("FROM scratch", secrets={"TOKEN": Secret.from_env("TOKEN")})
    >>> image.secrets
    {'TOKEN': Secret(variable TOKEN)}

    `secrets` maps an id to a `Secret`, a `SecretValue` or a string. `"$NAME"` and `"${NAME}"` are the store's secret NAME;
    another string is a literal, and a literal `$` at its start is written `$$`. `context_dir` is the build context, filtered by
    `dockerignore`, else by the file at `dockerignore_path`, else by the context's `.dockerignore`, else by the default
    patterns; these are gitignore-style. `entrypoint` and `cmd` replace the Dockerfile's; `compression` and
    `force_compression` are the exporter's; `registries` maps a host to its `username` and `password`, each given as a
    secret is. A build argument whose name or value is a credential's is searched for too, unless `build_args_public` has
    its name. `builder` and
    `use_isolate` have no effect on a local build: they are kept for fal, and the buildx builder is `build(builder=…)`.

    `requirements` are lines as in pip's requirements files, installed in a last step by the `installer`, `pip` or `uv`,
    whichever the image has. `${NAME}` in them is the secret NAME, of `secrets` or else of the store; it is put in within
    that step alone, percent-encoded in a URL's userinfo or query. `$${` is a literal `${`. `-r FILE` and `-c FILE` are
    read here, relative to the context.

    Fields are taken by position too, in fal's order. A refused declaration or assignment raises pydantic's
    ValidationError, a ValueError, which never holds a value that was given.
    """

    model_config = ConfigDict(
        hide_input_in_errors=True, validate_assignment=True, arbitrary_types_allowed=True, extra="forbid"
    )

    dockerfile_str: str
    build_args: dict[str, str] = Field(default_factory=dict)
    registries: dict[str, dict[str, str | InstanceOf[Secret] | InstanceOf[SecretValue]]] = Field(
        default_factory=dict, repr=False
    )
    builder: str | None = None
    compression: str = "gzip"
    force_compression: bool = False
    secrets: dict[str, str | InstanceOf[Secret] | InstanceOf[SecretValue]] = Field(default_factory=dict, repr=False)
    entrypoint: Any = None
    cmd: Any = None
    use_isolate: Any = None
    context_dir: str | os.PathLike[str] = Field(default_factory=working_directory)
    dockerignore: list[str] | None = None
    dockerignore_path: str | os.PathLike[str] | None = None
    target: str | None = None
    platforms: list[str] = Field(default_factory=list)
    ssh: list[str] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)
    build_contexts: dict[str, str] = Field(default_factory=dict)
    cache_from: list[str] = Field(default_factory=list)
    cache_to: list[str] = Field(default_factory=list)
    build_args_public: list[str] = Field(default_factory=list)
    requirements: list[str] = Field(default_factory=list)
    installer: Installer = "pip"

    _dockerignore: list[str] = PrivateAttr(default_factory=list)
    _patterns: list[str] = PrivateAttr(default_factory=list)
    _file: str = PrivateAttr(default="Dockerfile")
    _line_offset: int = PrivateAttr(default=0)
    _environment: str | None = PrivateAttr(default=None)

    def __init__(self, dockerfile_str: str = "", *others: Any, **fields: Any) -> None:
        names = islice(type(self).model_fields, 1, 1 + len(others))
        super().__init__(dockerfile_str=dockerfile_str, **dict(zip(names, others, strict=True)), **fields)
        file = caller()
        offset = literal_offset(file, dockerfile_str) if file is not None else None
        if file is not None and offset is not None:
            self._file, self._line_offset = _relative(file), offset

    @classmethod
    def from_dockerfile_str(cls, text: str, **kwargs: Any) -> Self:
        """An image from a Dockerfile's text."""
        return cls(dockerfile_str=text, **kwargs)

    @classmethod
    def from_dockerfile(cls, path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """An image from a Dockerfile.

        Raises:
            DockerfileNotFoundError: an InvalidInputError and a FileNotFoundError: there is no such file.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise DockerfileNotFoundError(f"{shown(path)}: there is no such Dockerfile; name one that exists") from None
        image = cls(dockerfile_str=text, **kwargs)
        image._file, image._line_offset = _relative(str(path)), 0
        return image

    @classmethod
    def from_requirements(
        cls,
        requirements: Sequence[str],
        *,
        python: str = "3.12",
        base: str | None = None,
        environment: str | None = None,
        installer: Installer = "pip",
        **kwargs: Any,
    ) -> Self:
        """An image of Python with these requirements.

        `base` has Python and pip, or uv; without one it is Docker's `python:{python}-slim`, or `python:{python}`, which
        has git, where a requirement is cloned. `environment` is the store's that secrets are taken from, the build's when
        None.

        >>> image = ContainerImage.from_requirements(["--index-url https://ci:${PIP_TOKEN}@index.example/simple", "acme"])
        >>> image.dockerfile_str
        'FROM python:3.12-slim'
        """
        cloned = any("git+" in line for line in requirements)
        base = base or (f"python:{python}" if cloned else f"python:{python}-slim")
        # A string is refused below, as any other field's.
        given = requirements if isinstance(requirements, str) else list(requirements)
        image = cls(f"FROM {base}", requirements=given, installer=installer, **kwargs)
        image._environment = environment
        return image

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_without_inputs(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(given)
        except ValidationError as error:
            refusal = _without_inputs(error)
        # Not in the `except` block: there, pydantic's error would go along as the context of this one.
        raise refusal

    @field_validator("dockerfile_str", mode="before")
    @classmethod
    def _has_text(cls, text: object) -> object:
        if not text or (isinstance(text, str) and not text.strip()):
            raise ValueError(_REFUSALS["dockerfile"])
        return text

    @field_validator("registries")
    @classmethod
    def _has_logins(cls, registries: dict[str, Login]) -> dict[str, Login]:
        if any("username" not in login or "password" not in login for login in registries.values()):
            raise ValueError(_REFUSALS["registries"])
        stored_names(login_secrets(registries))
        return registries

    @field_validator("secrets")
    @classmethod
    def _has_readable_secrets(
        cls, secrets: dict[str, str | Secret | SecretValue]
    ) -> dict[str, str | Secret | SecretValue]:
        stored_names(secrets)
        return secrets

    @field_validator("builder")
    @classmethod
    def _is_builder(cls, builder: str | None) -> str | None:
        if builder and builder not in _BUILDERS:
            raise ValueError(f"Invalid builder: {shown(str(builder))}, must be one of {set(_BUILDERS)}")
        return builder

    @field_validator("entrypoint", "cmd")
    @classmethod
    def _is_command(cls, value: object, info: Any) -> object:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return value
        raise ValueError(f"{info.field_name} must be a string or list of strings.")

    @field_validator("use_isolate")
    @classmethod
    def _is_bool(cls, value: object) -> object:
        if value is not None and not isinstance(value, bool):
            raise ValueError("use_isolate must be a bool.")
        return value

    def model_post_init(self, _context: object, /) -> None:
        """Reads the ignore rules, and warns of a builder that is no more, as fal does."""
        self._load_ignore_rules()
        if self.builder in _DEPRECATED_BUILDERS:
            prefix = "\033[1;33mWarning:\033[0m" if sys.stderr.isatty() else "Warning:"
            print(
                f"{prefix} builder='{self.builder}' is deprecated and has been removed. All builds now use Depot. "
                "You can safely remove the builder parameter or set builder='depot'.",
                file=sys.stderr,
            )

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _IGNORE_FIELDS:
            self._load_ignore_rules()

    def __eq__(self, other: object) -> bool:
        """Whether the fields are the same, as fal has it: not where the Dockerfile was written."""
        if not isinstance(other, type(self)):
            return False
        return self.__dict__ == other.__dict__ and self._environment == other._environment

    def __repr_args__(self) -> Any:
        """Build arguments and labels by name only: theirs are values too."""
        for name in ("dockerfile_str", "context_dir", "target", "platforms"):
            yield name, getattr(self, name)
        for name in ("build_args", "labels", "secrets", "registries"):
            yield name, sorted(getattr(self, name))

    def __getstate__(self) -> dict[Any, Any]:
        """What pickling keeps: everything but secrets and registries."""
        state = dict(super().__getstate__())
        state["__dict__"] = {**state["__dict__"], "secrets": {}, "registries": {}}
        return state

    def __copy__(self) -> Self:
        copied = super().__copy__()
        copied.__dict__["secrets"], copied.__dict__["registries"] = self.secrets, self.registries
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        # A SecretValue refuses to be copied, so secrets are shared.
        memo = {} if memo is None else memo
        shared = [*self.secrets.values(), *(value for login in self.registries.values() for value in login.values())]
        memo.update({id(value): value for value in shared})
        copied = self.__copy__()
        copied.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        return copied

    def to_dict(self, *, resolve: bool = False) -> dict[str, Any]:
        """What fal's builder takes, under its keys: literals as given, references as `"$NAME"`, in registries too.

        Requirements are a step of the Dockerfile there.

        Raises:
            InvalidInputError: a secret from another source, unless `resolve` reads it.
        """
        requirements = self._requirements()
        image: dict[str, Any] = {
            "dockerfile_str": self._dockerfile(requirements),
            "build_args": self.build_args,
            "registries": {
                host: {key: _as_text(f"registry:{host}", value, resolve) for key, value in login.items()}
                for host, login in self.registries.items()
            },
            "builder": self.builder,
            "compression": self.compression,
            "force_compression": self.force_compression,
            "secrets": {
                name: _as_text(name, secret, resolve)
                for name, secret in self._wanted(self.secrets, requirements).items()
            },
            "docker_context_dir": str(self.context_dir),
            "docker_files_list": self.get_copy_add_sources(),
            "docker_ignore": self._dockerignore,
        }
        optional = {"entrypoint": self.entrypoint, "cmd": self.cmd, "use_isolate": self.use_isolate}
        return image | {key: value for key, value in optional.items() if value is not None}

    def get_copy_add_sources(self) -> list[str]:
        """The context paths and patterns that COPY and ADD name; the file system is not looked at."""
        return DockerfileParser(self.dockerfile_str).parse_copy_add_sources()

    def add_dockerignore(self, patterns: list[str] | None = None, path: str | os.PathLike[str] | None = None) -> None:
        """Replaces the ignore rules, by exactly one of gitignore-style patterns and a file of them."""
        if patterns is not None and path is not None:
            raise ValueError("Cannot specify both 'patterns' and 'path'. Please provide only one.")
        if patterns is None and path is None:
            raise ValueError("Must specify either 'patterns' or 'path'. Please provide one of them.")
        self._ignore(load_patterns(None, patterns, path))

    def _load_ignore_rules(self) -> None:
        self._ignore(load_patterns(self.context_dir, self.dockerignore, self.dockerignore_path))

    def _ignore(self, patterns: list[str]) -> None:
        self._patterns, self._dockerignore = patterns, regexes(patterns)

    def build(
        self,
        *,
        policy: AuditPolicy | None = None,
        no_audit: bool = False,
        on_event: Callable[[BuildEvent | AuditEvent], None] | None = None,
        **options: Unpack[BuildOptions],
    ) -> BuiltImage:
        """Builds the image, audits it, and gives it its tags if no secret stayed in it.

        `options` are those of `request`. Nothing is printed: progress goes to `on_event`, and
        `container_image.progress.console()` is a receiver that shows it.

        >>> from container_image import ContainerImage, progress
        >>> image = ContainerImage("FROM scratch")
        >>> built = image.build(tags=["app:dev"], on_event=progress.console())  # doctest: +SKIP

        Raises:
            SecretLeakError: a secret is in the image; carries the report. Nothing is tagged.
            AuditWarnedError: the policy fails on a warning (`fail_on_warning`); likewise.
            AuditIncompleteError: something could not be read or searched for; likewise.
            PreflightError, SecretSourceError, DockerfileError: the build must not start; no step ran.
            BuildError: a step failed.
            EngineError: no engine answers, or it is too old.
            TypeError: an option that there is not.
        """
        self._refuse_unknown("build", options, ("policy", "no_audit", "on_event"))
        return build_through(
            self.request(**options),
            policy=AuditPolicy() if policy is None else policy,
            no_audit=no_audit,
            on_event=on_event,
        )

    def check(self, **options: Unpack[BuildOptions]) -> list[str]:
        """Gives one message for each thing that can be said before building.

        These are secrets that a step mounts and that are not given, build arguments that hold a credential, and BuildKit's
        own checks. Without an engine, the last message says what could not be checked.

        `options` are those of `request`.

        Raises:
            PreflightError: the build would fail, or a value would ship as written.
            DockerfileError, BuildError: BuildKit would refuse the build; names the line.
            TypeError: an option that there is not.
        """
        self._refuse_unknown("check", options)
        return check_build(self.request(**options))

    def _refuse_unknown(self, method: str, options: Iterable[str], own: Collection[str] = ()) -> None:
        refuse_unknown(method, options, own, self.request, type(self).model_fields)

    def request(
        self,
        *,
        tags: Sequence[str] = (),
        push: bool = False,
        outputs: Sequence[str] = (),
        secrets: Mapping[str, str | Secret | SecretValue] | None = None,
        environment: str | None = None,
        audit_environments: Environments = (),
        builder: str | None = None,
        network: str | None = None,
        no_cache: bool = False,
        pull: bool = False,
        allow_unused: bool = False,
        secret_tmpdir: str | os.PathLike[str] | None = None,
        keep_history: bool = False,
        forget_history: bool = False,
    ) -> BuildRequest:
        """The declaration with every secret read.

        `tags` are the names that a clean image is given, and `push` sends it to their registries; `outputs` are as
        `docker buildx build --output` has them. `secrets` replaces declared ones of the same ids, or adds to them.
        Secrets of the store are those of `environment`: None is the one of `CONTAINER_IMAGE_ENV`, else `main`. The image
        is also searched for everything else that the named `environment` holds, and that `audit_environments` hold: names,
        or "all".
        `allow_unused` accepts secrets that no step mounts; `secret_tmpdir` hands values over in files there instead of
        anonymous memory. The builder's record of the build goes where it holds a value, or nothing proves that it holds
        none; `keep_history` leaves it anyway, and `forget_history` removes it anyway.
        """
        if isinstance(tags, str):
            raise InvalidInputError("tags is a list of names, not a string; write tags=[…]")
        asked = parse_outputs(outputs, push=push)
        context = Path(self.context_dir).expanduser()
        requirements = self._requirements()
        request = BuildRequest(
            dockerfile=self._dockerfile(requirements),
            own_lines=_count(self.dockerfile_str) if requirements is not None else None,
            context=context,
            file=self._file,
            line_offset=self._line_offset,
            ignore=to_docker(self._patterns, context),
            build_args=self.build_args,
            build_args_public=frozenset(self.build_args_public),
            labels=self.labels,
            target=self.target,
            platforms=tuple(self.platforms),
            ssh=tuple(self.ssh),
            build_contexts=self.build_contexts,
            cache_from=tuple(self.cache_from),
            network=network,
            builder=builder,
            no_cache=no_cache,
            pull=pull,
            tags=(*tags, *asked.names),
            push=asked.push,
            image_options={**self._compression(), **asked.image},
            exports=asked.files,
            cache_to=parse_caches(self.cache_to),
            entrypoint=self.entrypoint,
            cmd=self.cmd,
            allow_unused=allow_unused,
            secret_tmpdir=Path(secret_tmpdir) if secret_tmpdir is not None else None,
            keep_history=keep_history,
            forget_history=forget_history,
        )
        wanted = self._wanted({**self.secrets, **(secrets or {})}, requirements)
        request = request.with_secrets(wanted, environment, audit_environments, self.registries)
        if requirements is not None:
            check_values(requirements, request.secrets)
        return request

    def wanted_secrets(self) -> dict[str, str | Secret | SecretValue]:
        """The declared secrets, those of the registries' logins (`registry:HOST` is a password's name), and the store's that
        the requirements name and `secrets` does not have.
        """
        return {**self._wanted(self.secrets, self._requirements()), **login_secrets(self.registries)}

    def _wanted(
        self, secrets: Mapping[str, str | Secret | SecretValue], requirements: Requirements | None
    ) -> dict[str, str | Secret | SecretValue]:
        names = requirements.names if requirements is not None else ()
        return {**secrets, **{name: Secret.from_name(name, self._environment) for name in names if name not in secrets}}

    def _requirements(self) -> Requirements | None:
        if not self.requirements:
            return None
        return read_requirements(self.requirements, Path(self.context_dir).expanduser())

    def _dockerfile(self, requirements: Requirements | None) -> str:
        """The Dockerfile with the step that installs the requirements, if there are any."""
        if requirements is None:
            return self.dockerfile_str
        try:
            return with_step(self.dockerfile_str, requirements, self.installer)
        except DockerfileError as error:
            line = "" if error.line is None else f":{error.line + self._line_offset}"
            raise error.placed(f"{self._file}{line}") from None

    def _compression(self) -> dict[str, str]:
        """The exporter's attributes; its own default is gzip, where a base image's layers stay as they are."""
        if self.compression == "gzip" and not self.force_compression:
            return {}
        return {"compression": self.compression, "force-compression": str(self.force_compression).lower()}


def _as_text(name: str, secret: str | Secret | SecretValue, resolve: bool) -> str:
    if isinstance(secret, str):
        stored = as_secret(secret).stored
        return secret if stored is None else f"${stored.name}"
    if isinstance(secret, Secret):
        if secret.stored is not None:
            return f"${secret.stored.name}"
        if secret.kind != "value" and not resolve:
            raise InvalidInputError(f"secret {quoted(name)} comes from {secret.source}; to_dict(resolve=True) reads it")
        secret = secret.resolve(name)
    return as_written(secret.reveal().decode("utf-8", "surrogateescape"))


def _count(text: str) -> int:
    """How many lines a Dockerfile has."""
    return text.removesuffix("\n").count("\n") + 1


def _relative(file: str) -> str:
    try:
        return str(Path(file).relative_to(working_directory()))
    except ValueError:
        return file


def _without_inputs(error: ValidationError) -> ValidationError:
    """pydantic's error keeps every input, and with it the secrets: here are its messages and places alone."""
    details: list[InitErrorDetails] = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        message = str(item["msg"]).removeprefix("Value error, ")
        refusal = PydanticCustomError(REFUSED, "{message}", {"message": message})
        details.append({"type": refusal, "loc": item["loc"], "input": None})
    return ValidationError.from_exception_data(error.title, details, hide_input=True)
