"""Finds the credentials among a build's arguments, which BuildKit records in the image's history.

An argument's name and value are judged as an entry of a structured secret is (`secrets/sensitivity.py`). Two things are
different here, because a false alarm fails a build: paths and placeholders under a credential's name are no credentials,
and neither are digests and identifiers under any other name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from container_image.dockerfile import argument_defaults, parse
from container_image.errors import DockerfileError
from container_image.forms import searchable
from container_image.secrets import SecretValue, is_known_token, looks_random, values_at

if TYPE_CHECKING:
    from container_image.build.request import BuildRequest

ARGUMENT = "build-arg:"
"""The names of these credentials begin with this."""

PROXY_VARIABLE = re.compile(r"(?:https?|ftp|no|all)_proxy", re.IGNORECASE)
"""The arguments that BuildKit predefines for proxies: of them, only the userinfo is secret."""

_PLACE = re.compile(
    # A path, a URL, a version, a file's name.
    rb"[~.]{0,2}/.*|[A-Za-z]:\\.*|[A-Za-z][A-Za-z0-9+.-]*://.*|arn:.*|v?\d+(?:\.\d+)+(?:[-+.]?[a-z]+\d{0,3})?|"
    rb"(?:[\w.-]+/)*(?:id_(?:rsa|dsa|ecdsa|ed25519)|[\w.-]+\."
    rb"(?:key|pem|p12|pfx|jks|keystore|crt|cer|json|ya?ml|toml|ini|conf|cfg|env|txt|asc|gpg|sh|py))",
    re.DOTALL,
)
_OBEYED = re.compile(r"DOCKER_|BUILDX_|BUILDKIT_")
# A port, a user's number, a year.
_NUMBER = re.compile(rb"\d{1,5}")
_WORDS = re.compile(rb"[\W_]*[A-Za-z]+(?:[\W_]+[A-Za-z]+)*\d{0,3}[\W_]*")
_PLACEHOLDER = re.compile(
    rb"change|replace|insert|dummy|fake|placeholder|example|sample|default|test|todo|secret|password|token|key|none|"
    rb"here|build|your|unset|not",
    re.IGNORECASE,
)
_DIGEST = re.compile(rb"[0-9a-f]{7,}|[0-9A-F]{7,}")
# A UUID, or a version.
_IDENTIFIER = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<![A-Za-z0-9])v?\d+\.\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class Argument:
    """A value that a build argument has: given to the build, or the default of an ARG. `line` is the first ARG's."""

    name: str
    value: bytes
    is_default: bool
    line: int | None


def arguments(dockerfile: str, build_args: Mapping[str, str]) -> list[Argument]:
    """Every value that the arguments of a build have, but for those of proxies: the given ones first.

    A default is listed although another value was given: it is in the Dockerfile, which an attestation may hold.
    A Dockerfile that can't be parsed has no defaults; the build refuses it.
    """
    try:
        declared = list(argument_defaults(parse(dockerfile)))
    except DockerfileError:
        declared = []
    lines = {name: line for line, name, _ in reversed(declared)}
    found = [Argument(name, _encoded(value), False, lines.get(name)) for name, value in build_args.items()]
    found += [Argument(name, _encoded(value), True, lines[name]) for _, name, value in declared if value is not None]
    unique: dict[tuple[str, bytes], Argument] = {}
    for item in found:
        unique.setdefault((item.name, item.value), item)
    return [item for item in unique.values() if not PROXY_VARIABLE.fullmatch(item.name)]


def argument_credentials(given: Iterable[Argument], public: Iterable[str] = ()) -> dict[str, SecretValue]:
    """The credentials that the arguments hold, as `build-arg:NAME`; further ones of an argument as `build-arg:NAME#2`.

    Those of arguments that are `public` are not sensitive.
    """
    public = frozenset(public)
    held: dict[str, SecretValue] = {}
    for item in given:
        for value in credentials_of(item):
            label = f"{ARGUMENT}{item.name}"
            same = [name for name in held if name == label or name.startswith(f"{label}#")]
            if not any(held[name].reveal() == value for name in same):
                name = f"{label}#{len(same) + 1}" if same else label
                held[name] = SecretValue(name, value, sensitive=item.name not in public)
    return held


def credentials_of(argument: Argument) -> list[bytes]:
    """The credentials in one value: all of it, or what is inside it, such as a URL's userinfo."""
    return [value for value in _candidates(argument) if _is_searched_for(argument, value)]


def unsearchable(request: BuildRequest) -> list[str]:
    """One message for each argument with a credential that can't be searched for, such as a word or a placeholder."""
    found = {
        item.name: item.line
        for item in arguments(request.dockerfile, request.build_args)
        if item.name not in request.build_args_public
        and any(not _NUMBER.fullmatch(value) and not _is_searched_for(item, value) for value in _candidates(item))
    }
    return [
        f"{request.place(line)}: the build argument {name} names a credential, and its value is too short or too plain to be "
        f"searched for; a step that uses it records it in the image's history. {_remedy(name)}"
        for name, line in found.items()
    ]


def visible(request: BuildRequest) -> list[str]:
    """One message for each argument that holds a credential that the image will be searched for."""
    found = {
        item.name: item.line
        for item in arguments(request.dockerfile, request.build_args)
        if item.name not in request.build_args_public and credentials_of(item)
    }
    return [
        f"{request.place(line)}: the build argument {name} holds a credential; a step that uses it records it in the image's "
        f"history, which is a leak. {_remedy(name)}"
        for name, line in found.items()
    ]


def _remedy(name: str) -> str:
    return f"Mount it (RUN --mount=type=secret,id={name}), or say that it is no secret (--build-arg-public {name})"


def advice(secret: str) -> str | None:
    """What to do about a finding of a build argument's credential; None for a finding of any other secret."""
    if not secret.startswith(ARGUMENT):
        return None
    name = re.split("[#:]", secret.removeprefix(ARGUMENT))[0]
    remedy = _remedy(name)
    return remedy[:1].lower() + remedy[1:]


def argument_options(request: BuildRequest) -> list[str]:
    """The `--build-arg` options of a build. buildx reads the values of `passed_apart` from its environment."""
    apart = passed_apart(request)
    return [
        f"--build-arg={name}" if name in apart else f"--build-arg={name}={value}"
        for name, value in request.build_args.items()
    ]


def passed_apart(request: BuildRequest) -> dict[str, str]:
    """The build arguments that hold a credential: every user of the machine can read a process's arguments.

    Leaves out the variables that the docker command obeys itself.
    """
    given = arguments("", request.build_args)
    return {
        item.name: request.build_args[item.name]
        for item in given
        if not _OBEYED.match(item.name) and any(_candidates(item))
    }


def _candidates(argument: Argument) -> Iterator[bytes]:
    """What a name says is a credential, the argument's or a key's inside the value, and what looks like a token."""
    found = values_at(argument.name, argument.value)
    if not found:
        return
    itself, *inside = found
    if itself.credential:
        is_one = not _is_place(itself.value)
    else:
        # A private key is searched for as a whole: the audit takes it apart.
        is_key = b"-----BEGIN " in itself.value and any(not item.public for item in inside)
        is_one = is_key or (not itself.public and _is_token(itself.value))
    if is_one:
        yield itself.value
        return
    for item in inside:
        if not item.public and not item.whole and (item.credential or _is_token(item.value)):
            yield item.value


def _is_searched_for(argument: Argument, value: bytes) -> bool:
    return searchable(value) is None and not (argument.is_default and _is_placeholder(value))


def _is_place(value: bytes) -> bool:
    """Whether a value under a credential's name is where something is, or a version. A token in base64 may begin as a path."""
    is_token = value.startswith(b"/") and looks_random(value.replace(b"/", b""))
    return _PLACE.fullmatch(value) is not None and not is_token


def _is_token(value: bytes) -> bool:
    """Whether a value under a name that says nothing is a token. Digests, UUIDs and versions are none, alone or in a name."""
    if is_known_token(value):
        return True
    return looks_random(value) and not _IDENTIFIER.search(value) and looks_random(_DIGEST.sub(b"", value))


def _is_placeholder(value: bytes) -> bool:
    return _WORDS.fullmatch(value) is not None and _PLACEHOLDER.search(value) is not None


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
