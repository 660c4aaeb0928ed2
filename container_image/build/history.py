"""Removes the builder's record of a build, which would replay its log, unredacted.

Which record it is, buildx's own state tells: a file named after it, in directories named after the builder and its
node, that holds the Dockerfile's path. Listing the records instead (`buildx history ls`) while another process removes
one crashed a Docker Engine 28.5: its BuildKit sorts records of which one is gone (`filterHistoryEvents`, a nil pointer).
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from container_image.build.client import Client


def forget(dockerfile: str, client: Client) -> None:
    """Removes the record of every build of the Dockerfile with this unique name; none of them may be running."""
    for file in _references(dockerfile, client):
        with contextlib.suppress(OSError), file.open() as reference:
            # Once, and not again, whoever else is at it: a record that is removed twice breaks the engine's list too.
            fcntl.flock(reference, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.exists():
                # Calls that only ask (`--call=outline`) have such a file and no record, which the engine says.
                client.call("buildx", f"--builder={file.parts[-3]}", "history", "rm", file.name, check=False)
                file.unlink(missing_ok=True)


def _references(dockerfile: str, client: Client) -> Iterator[Path]:
    """buildx's files about builds of this Dockerfile; each has the name of a record."""
    config = client.environment.get("DOCKER_CONFIG") or Path.home() / ".docker"
    state = Path(client.environment.get("BUILDX_CONFIG") or Path(config) / "buildx")
    for file in state.glob("refs/*/*/*"):
        with contextlib.suppress(OSError):
            if file.is_file() and dockerfile in file.read_text(errors="replace"):
                yield file
