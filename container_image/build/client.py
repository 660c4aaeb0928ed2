"""The `docker` command: which one, whether an engine answers it, and calls that print JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache

from python_on_whales import DockerClient

from container_image.errors import EngineError

MIN_ENGINE = (25, 0)
MIN_BUILDX = (0, 21)
_TIMEOUT = 120


@lru_cache(maxsize=1)
def command() -> tuple[str, ...]:
    """The client command; the user's context, host and configuration hold for it."""
    return tuple(str(part) for part in DockerClient().client_config.docker_cmd)


def call(arguments: Sequence[str], *, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """What `docker ARGUMENTS…` prints on stdout.

    Raises:
        EngineError: there is no such command, it failed, or it took too long.
    """
    try:
        done = subprocess.run(
            [*command(), *arguments], capture_output=True, env=env, timeout=_TIMEOUT, check=False, text=True
        )
    except FileNotFoundError:
        raise EngineError("there is no `docker` command; install Docker with buildx") from None
    except subprocess.TimeoutExpired:
        raise EngineError(f"`docker {arguments[0]}` did not answer within {_TIMEOUT} s") from None
    if check and done.returncode:
        detail = done.stderr.strip().splitlines()
        raise EngineError(f"`docker {' '.join(arguments[:2])}` failed: {detail[-1] if detail else 'no message'}")
    return done.stdout


def check_versions() -> None:
    """Makes sure that an engine and a buildx answer that can do what builds need.

    Raises:
        EngineError: none answers, or one is too old; names the version that was found.
    """
    try:
        versions = json.loads(call(["version", "--format", "{{json .}}"]))
        engine = str((versions.get("Server") or {}).get("Version") or "")
    except (ValueError, EngineError) as error:
        where = os.environ.get("DOCKER_HOST", "the current Docker context")
        raise EngineError(f"no Docker Engine answers at {where}; start it, or set DOCKER_HOST ({error})") from None
    require("Docker Engine", engine, MIN_ENGINE)
    try:
        buildx = call(["buildx", "version"])
    except EngineError:
        raise EngineError("docker has no buildx; install the docker-buildx plugin") from None
    found = re.search(r"\bv?(\d+\.\d+[^\s]*)", buildx)
    require("buildx", found[1] if found else buildx, MIN_BUILDX)


def require(what: str, found: str, least: tuple[int, int]) -> None:
    """Raises EngineError where a version is too old or can't be read."""
    match = re.match(r"v?(\d+)\.(\d+)", found)
    if match is None or (int(match[1]), int(match[2])) < least:
        raise EngineError(f"{what} {found or '(unknown)'} is too old; install {least[0]}.{least[1]} or newer")
