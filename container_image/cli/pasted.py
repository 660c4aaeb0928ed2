"""A whole `docker build …` or `docker run …` line, pasted after `container-image`: the same command of this program."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from container_image.errors import InvalidInputError

_COMMANDS = {
    "docker build": "build",
    "docker buildx build": "build",
    "docker buildx b": "build",
    "docker image build": "build",
    "docker builder build": "build",
    "docker run": "run",
    "docker container run": "run",
}
_GROUPS = ("buildx", "image", "builder", "container")

_OPTIONS = {
    "-c": "context", "--context": "context", "-H": "host", "--host": "host", "--config": "config",
    "-D": "debug", "--debug": "debug", "--tlsverify": "tlsverify",
}  # fmt: skip
_BUILDX_OPTIONS = {"--builder": "builder", "-D": "debug", "--debug": "debug"}
_FLAGS = frozenset({"debug", "tlsverify"})

_REFUSED = {
    "--tls": "set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or use a Docker context that has the certificates",
    "--tlscacert": "set DOCKER_CERT_PATH to the directory of the certificates",
    "--tlscert": "set DOCKER_CERT_PATH to the directory of the certificates",
    "--tlskey": "set DOCKER_CERT_PATH to the directory of the certificates",
    "-l": "it is about the docker command's own log; leave it out",
    "--log-level": "it is about the docker command's own log; leave it out",
}


def unwrap(arguments: Sequence[str]) -> list[str]:
    """The arguments without the `docker …` in front, if that is there.

    Docker's options before the subcommand (`--context`, `--host`, `--config`, `--tlsverify`) become the variables that
    docker has for them, in this process. `buildx --builder NAME` becomes the build's option.

    Raises:
        InvalidInputError: another subcommand of docker, or an option that can't be honoured.
    """
    words = list(arguments)
    if not words or words[0] not in ("docker", "buildx"):
        return words
    path = ["docker"]
    options: dict[str, str] = {}
    if words[0] == "docker":
        options, words = _read(words[1:], _OPTIONS)
    if words and words[0] in _GROUPS:
        path.append(words.pop(0))
        if path[-1] == "buildx":
            buildx, words = _read(words, _BUILDX_OPTIONS)
            options |= buildx
    path += words[:1]
    command = _COMMANDS.get(" ".join(path))
    if command is None:
        known = ", ".join(f"`{line}`" for line in _COMMANDS)
        raise InvalidInputError(
            f"`{' '.join(path)}` is nothing that container-image does; of docker's commands it takes {known}"
        )
    _export(options)
    added = ["--debug"] if "debug" in options else []
    added += [f"--builder={options['builder']}"] if "builder" in options else []
    return [command, *added, *words[1:]]


def _read(words: Sequence[str], known: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The options that `words` begin with, by name, and the words behind them."""
    found = {}
    left = list(words)
    while left and left[0].startswith("-"):
        word = left.pop(0)
        option, separator, value = word.partition("=")
        if not word.startswith("--"):
            option, value = word[:2], word[2:].removeprefix("=")
            separator = value
        if option in _REFUSED:
            raise InvalidInputError(f"{option}: can't be honoured here: {_REFUSED[option]}")
        name = known.get(option)
        if name is None:
            raise InvalidInputError(
                f"{option}: no option that container-image takes before docker's command; it takes {', '.join(known)}"
            )
        if name not in _FLAGS and not separator:
            if not left:
                raise InvalidInputError(f"{option} needs a value")
            value = left.pop(0)
        found[name] = value
    return found, left


def _export(options: Mapping[str, str]) -> None:
    """Sets the variables that docker, and everything here, heeds as it heeds the options."""
    if "context" in options and "host" in options:
        raise InvalidInputError("--context and --host exclude each other, as in docker; give one")
    if "context" in options:
        # Docker's option goes before DOCKER_HOST, and that before DOCKER_CONTEXT.
        os.environ.pop("DOCKER_HOST", None)
        os.environ["DOCKER_CONTEXT"] = options["context"]
    if "host" in options:
        os.environ.pop("DOCKER_CONTEXT", None)
        os.environ["DOCKER_HOST"] = options["host"]
    if "config" in options:
        os.environ["DOCKER_CONFIG"] = options["config"]
    if "tlsverify" in options:
        os.environ["DOCKER_TLS_VERIFY"] = "1"
