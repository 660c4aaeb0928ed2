"""A small process that removes a container's secret files when the container has ended, or its engine is gone.

It is a shell script because it may wait for days beside a container in the background.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from container_image.build.client import Client

PATIENCE = 600
"""Seconds in which an engine that does not answer may come back: a restart can leave containers running (live restore)."""

CONTAINER = "container"
"""The file in the directory with the container's ID, which docker writes (`--cidfile`)."""

# The pause comes first: a container that is restarted is gone for a moment, and one may be about to start.
# While a container runs, its supervisor (containerd's shim, or conmon) has the container's ID among its arguments.
# grep reads the ID from the file, so that grep's own arguments don't hold it.
_SCRIPT = f"""\
directory=$1 label=$2 patience=$3
shift 3
{{
    silent=0
    while sleep 3; do
        silent=$((silent + 3))
        if container=$("$@" ps --quiet --no-trunc --filter "label=$label"); then
            [ -z "$container" ] && break
            "$@" wait $container
            silent=0
        elif [ "$silent" -ge "$patience" ]; then
            grep -qsFf "$directory/{CONTAINER}" /proc/[0-9]*/cmdline || break
        fi
    done
    rm -rf -- "$directory"
}} >/dev/null 2>&1 &
"""


def watch(directory: Path, label: str, client: Client, lock: int) -> None:
    """Starts the process. `label` is the container's, `lock` a descriptor that the process keeps as long as it lives."""
    arguments = [str(directory), label, str(PATIENCE), *client.command()]
    subprocess.run(
        ["/bin/sh", "-c", _SCRIPT, "container-image", *arguments],
        env=dict(client.environment), stdin=subprocess.DEVNULL, cwd="/", start_new_session=True, pass_fds=(lock,),
        check=False,
    )  # fmt: skip
