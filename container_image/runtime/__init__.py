"""Running containers and processes with an environment's secrets: names go in, values go into the child alone.

`given.py` reads the secrets and says what a child gets of them; `container.py` tells docker, with `files.py` where they are
to be files; `local.py` runs a process here, masked by `mask.py`. `listing.py` says which containers hold old values, and
`replace.py` starts one anew.
"""

from container_image.runtime.container import Prepared, Wanted, prepare, run, start, start_in_place
from container_image.runtime.listing import HeldSecret, RunningContainer, containers
from container_image.runtime.local import exec  # noqa: A004
from container_image.runtime.replace import replace

__all__ = [
    "HeldSecret",
    "Prepared",
    "RunningContainer",
    "Wanted",
    "containers",
    "exec",
    "prepare",
    "replace",
    "run",
    "start",
    "start_in_place",
]
