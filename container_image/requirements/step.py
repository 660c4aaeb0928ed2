"""Writes the step that installs requirements: one RUN at the end of a Dockerfile, with a secret mount for each name.

The step is a script: a heredoc that begins with `#!`, which every shell starts alike. It holds names and no value, and so
do the cache's keys and the provenance, where its text is; the history has no more than its name.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from importlib.resources import files
from typing import Literal

from container_image.dockerfile import parse
from container_image.errors import DockerfileError
from container_image.requirements.install import PREFIX
from container_image.requirements.template import Requirements

Installer = Literal["pip", "uv"]
"""What installs."""

# In the history, the step is `RUN /dev/pipes/` and this.
_END = "container-image-requirements"


def with_step(dockerfile: str, requirements: Requirements, installer: Installer) -> str:
    """The Dockerfile with the step behind its last instruction, from the line after its own last one on.

    Raises:
        DockerfileError: the Dockerfile can't be parsed, or its end is open.
    """
    before = len(parse(dockerfile).instructions)
    whole = dockerfile.removesuffix("\n") + "\n" + _step(requirements, installer)
    instructions = parse(whole).instructions
    if len(instructions) != before + 1 or instructions[-1].heredocs != (_END,):
        line = dockerfile.rstrip("\n").count("\n") + 1
        raise DockerfileError(
            f"line {line}: the last instruction goes on, so that requirements can't follow; end it", line
        )
    return whole


def _step(requirements: Requirements, installer: Installer) -> str:
    script = files(__package__).joinpath("install.py").read_text(encoding="utf-8")
    flags = "".join(f"--mount={mount} " for mount in _mounts(requirements.names))
    # As JSON, which Python reads alike if it has no escaped surrogate pairs.
    listed = json.dumps(requirements.files, indent=4, ensure_ascii=False)
    return f"RUN {flags}<<'{_END}'\n{script}\n\nsys.exit(install({installer!r}, {listed}))\n{_END}\n"


def _mounts(names: Collection[str]) -> list[str]:
    """A variable can be read whoever the image's USER is; a file only by root."""
    return [f"type=secret,id={name},env={PREFIX}{name},required=true" for name in names]
