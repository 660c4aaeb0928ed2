"""Removes the builder's record of a build, which would replay its log, unredacted.

Which record it is, buildx's own state tells: a file named after it that holds the Dockerfile's path. Listing the
records instead (`buildx history ls`) while another process removes one crashed a Docker Engine 28.5: its BuildKit
sorts records of which one is gone (`filterHistoryEvents`, a nil pointer).
"""

from __future__ import annotations

import os
from pathlib import Path

from container_image.build import client


def forget(dockerfile: str, builder: str | None) -> None:
    """Removes the record of every build of the Dockerfile with this unique name; none of them may be running."""
    chosen = [f"--builder={builder}"] if builder else []
    for file in _references(dockerfile):
        # Once, and not again: a record that is removed twice breaks the engine's list too. Calls that only ask
        # (`--call=outline`) have such a file and no record, which the engine says.
        client.call(["buildx", *chosen, "history", "rm", file.name], check=False)
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
