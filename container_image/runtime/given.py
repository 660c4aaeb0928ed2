"""What a container or a process is given of an environment: which secrets, and as which variables."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from container_image.errors import InvalidInputError
from container_image.secrets import SecretValue
from container_image.secrets.names import secret_name

if TYPE_CHECKING:
    from container_image.store import SecretStore

ENVIRONMENT = "CONTAINER_IMAGE_ENVIRONMENT"
"""The variable with the name of the environment."""

REFERENCE = "CONTAINER_IMAGE_REFERENCE"
"""The variable with the image's reference, in a container."""

_MAX_VARIABLE = 128 * 1024
"""Bytes of `NAME=VALUE` and the NUL behind it that Linux takes, at most: MAX_ARG_STRLEN in execve(2)."""

# What choose which program runs, and with which code in it: the linker's variables, of Linux and of macOS.
_LOADER = ("LD_", "DYLD_")
_PLATFORM = "CONTAINER_IMAGE_"
# The docker command obeys these itself: one of them could send the others to another engine.
_DOCKERS = frozenset({
    "DOCKER_API_VERSION", "DOCKER_AUTH_CONFIG", "DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_CONTEXT",
    "DOCKER_CUSTOM_HEADERS", "DOCKER_DEFAULT_PLATFORM", "DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "GODEBUG", "HOME",
    "SSH_AUTH_SOCK", "SSL_CERT_DIR", "SSL_CERT_FILE",
})  # fmt: skip
_DOCKERS_TOO = ("DOCKER_CLI_", "DOCKER_CONTENT_TRUST")
_PROXIES = frozenset({"ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})


@dataclass(frozen=True, slots=True)
class Given:
    """Secrets of an environment.

    `made` says which environment of that name it was: when it was made, in UTC, or None before the store is.
    """

    environment: str
    made: str | None
    values: Mapping[str, SecretValue]

    @property
    def versions(self) -> dict[str, int]:
        """The number of each one's version."""
        return {name: value.stored.version for name, value in self.values.items() if value.stored is not None}


def reveal(environment: str | None, only: Sequence[str], store: SecretStore | None = None) -> Given:
    """The secrets of an environment that are exposed by default; with `only`, those named, exposed or not.

    Raises:
        InvalidInputError: a name that can't be one.
        UnknownEnvironmentError, UnknownSecretError: it is not there.
    """
    from container_image.store import SecretStore
    from container_image.store.names import environment_name

    opened = store or SecretStore.open()
    meant = environment_name(environment)
    names = [secret_name(name) for name in dict.fromkeys(only)]
    found = opened.secrets.reveal(meant, names or None)
    taken = {name: secret.value for name, secret in found.items() if names or secret.default_exposed}
    return Given(meant, made(opened).get(meant), taken)


def made(store: SecretStore) -> dict[str, str | None]:
    """When each environment that the key opens was made, by name."""
    return {item.name: item.created_at.isoformat() if item.created_at else None for item in store.environments.list()}


def variables(given: Given, *, docker: bool) -> dict[str, str]:
    """The secrets as environment variables; with `docker`, of the docker command, which hands them on.

    Raises:
        InvalidInputError: a secret that can't be one, by its name or its value.
    """
    as_file = "; use --secret-files, which makes it a file" if docker else "; name the others with --only"
    found = {}
    for name, value in given.values.items():
        if reason := _refused(name, value.reveal(), docker=docker):
            raise InvalidInputError(f"secret {name!r}: {reason}{as_file}")
        found[name] = os.fsdecode(value.reveal())
    return found


def _refused(name: str, value: bytes, *, docker: bool) -> str | None:
    if name == "PATH" or name.startswith(_LOADER):
        return "a secret can't take the place of PATH, LD_* or DYLD_*, which decide what is run"
    if name.startswith(_PLATFORM):
        return f"variables that begin with {_PLATFORM} are not for secrets"
    if docker and (name in _DOCKERS or name.startswith(_DOCKERS_TOO) or name.upper() in _PROXIES):
        return "the docker command would obey a variable of this name itself"
    if b"\0" in value:
        return "it has a NUL byte, which no environment variable can have"
    if docker and not _is_text(value):
        return "it is no UTF-8 text, and Docker would change it"
    if sys.platform == "linux" and len(name) + len(value) + 2 > _MAX_VARIABLE:
        return f"an environment variable has {_MAX_VARIABLE:,} bytes at most"
    return None


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
