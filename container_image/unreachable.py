"""Why a Docker Engine can't be reached, and the next step: permission is another problem than an engine that is down."""

from __future__ import annotations

import contextlib
import grp
import os
import re
from pathlib import Path

from container_image.errors import EngineError

_SOCKET = re.compile(r"unix://(/[^\s:'\"]+)")
_DEFAULT = "/var/run/docker.sock"


def is_denied(reason: str) -> bool:
    """Whether a reason that docker or its SDK gave is that the engine's socket may not be opened."""
    told = reason.lower()
    return "permission denied" in told and ("connect" in told or "connection aborted" in told)


def unreachable(where: str, reason: str) -> EngineError:
    """The error of an engine that does not answer. `where` is its address or context, `reason` the words of docker."""
    if is_denied(reason):
        return denied(reason, where)
    detail = f" ({reason})" if reason else ""
    return EngineError(
        f"no Docker Engine answers at {where}; start it, or set DOCKER_HOST or `docker context use`{detail}"
    )


def denied(reason: str, where: str = "") -> EngineError:
    """The error of a socket that this user may not open; it is named in the reason or by `where`."""
    found = _SOCKET.search(reason) or _SOCKET.search(where)
    socket = found[1] if found else _DEFAULT
    group = "docker"
    with contextlib.suppress(OSError, KeyError):
        group = grp.getgrgid(Path(socket).stat().st_gid).gr_name
    return EngineError(
        f"permission denied: user {os.getuid()} may not open the Docker socket {socket}; join its group "
        f"(`sudo usermod -aG {group} $USER`, then log in again), or set DOCKER_HOST to an engine of your own"
    )
