"""Asks BuildKit about a build (`--call`): no step runs."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from container_image.build.client import Client
from container_image.build.exports import join
from container_image.build.handoff import handoff
from container_image.build.tagging import RESERVED
from container_image.secrets import SecretValue


def ask(
    client: Client, what: str, arguments: Sequence[str], secrets: Mapping[str, SecretValue], files: Path | None
) -> subprocess.CompletedProcess[bytes]:
    """What buildx prints: JSON on stdout where it has an answer, else its progress on stderr.

    BuildKit may need secrets with reserved ids to fetch the context; it is given no other.
    """
    reserved = {name: value.reveal() for name, value in secrets.items() if RESERVED.fullmatch(name)}
    with handoff(reserved, files) as given:
        mounts = secret_options(given.paths)
        return subprocess.run(
            client.command("buildx", "build", "--progress=rawjson", f"--call={what},format=json", *mounts, *arguments),
            capture_output=True, env=dict(client.environment), check=False, stdin=subprocess.DEVNULL,
            pass_fds=(*given.descriptors, *client.descriptors), start_new_session=True,
        )  # fmt: skip


def secret_options(paths: Mapping[str, str]) -> list[str]:
    """The options that hand secrets to buildx, from their ids and the files of their values; buildx reads them as CSV."""
    return [f"--secret={join({'id': identifier, 'src': path})}" for identifier, path in paths.items()]
