"""Removes the builder's record of a build, which would replay its log, unredacted.

Which record it is, buildx's own state tells: a file named after it that holds the Dockerfile's path. Listing the
records instead (`buildx history ls`) while another process removes one crashed a Docker Engine 28.5: its BuildKit
sorts records of which one is gone (`filterHistoryEvents`, a nil pointer).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from container_image.build import client
from container_image.errors import EngineError

_TRIES = 10
_PAUSE = 0.1


def forget(dockerfile: str, builder: str | None, *, tries: int = _TRIES) -> None:
    """Removes the record of every build of the Dockerfile with this unique name.

    The record of a build that was cancelled appears a moment after buildx is gone, hence the tries.
    """
    chosen = [f"--builder={builder}"] if builder else []
    for file in _references(dockerfile):
        for attempt in range(tries):
            try:
                client.call(["buildx", *chosen, "history", "rm", file.name])
                break
            except EngineError:
                if attempt + 1 < tries:
                    time.sleep(_PAUSE)
        file.unlink(missing_ok=True)


def _references(dockerfile: str) -> list[Path]:
    """buildx's files about builds of this Dockerfile; each has the name of a record."""
    config = os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker"
    state = Path(os.environ.get("BUILDX_CONFIG") or Path(config) / "buildx")
    found = []
    for file in state.glob("refs/*/*/*"):
        try:
            if file.is_file() and dockerfile in file.read_text(errors="replace"):
                found.append(file)
        except OSError:
            continue
    return found
