"""The secrets that a build mounts, as far as its Dockerfile alone tells."""

from __future__ import annotations

from dataclasses import dataclass

from container_image.build.frontend import predefined_arguments
from container_image.build.request import BuildRequest
from container_image.build.stages import needed_stages
from container_image.build.tagging import RESERVED, secret_name
from container_image.dockerfile import mounts, parse, scopes


@dataclass(frozen=True, slots=True)
class Mounted:
    """A secret mount. `name` is the secret's id; `line` is the 1-based line of its step, None for one of a base image.

    `place` is where the step finds the secret, None where the mount says so itself. `needed` is whether the target is
    made of the mount's stage.
    """

    name: str
    required: bool
    line: int | None
    place: str | None = None
    needed: bool = True

    def is_given(self, request: BuildRequest) -> bool:
        """Whether the build has this secret, or BuildKit looks it up by itself."""
        return self.name in request.secrets or bool(RESERVED.fullmatch(self.name))


def written_mounts(request: BuildRequest) -> list[Mounted]:
    """Every secret mount that stands in the Dockerfile; an id that can't be told is as written.

    Raises:
        DockerfileError: the Dockerfile can't be parsed.
    """
    dockerfile = parse(request.dockerfile)
    variables = scopes(dockerfile, request.build_args, predefined_arguments(request.platforms, request.target))
    mounted = {item.line: mounts(item.run) for item in dockerfile.instructions if item.run is not None}
    needed = needed_stages(dockerfile, request.target, mounted, variables)
    found = []
    for stage in dockerfile.stages:
        for item in stage.instructions:
            # What stands behind ONBUILD in the stage that is built is for other builds.
            runs = stage.index in needed and not (item.trigger and stage == dockerfile.stage(request.target))
            for mount in mounted.get(item.line, []):
                if mount.type == "secret":
                    name = secret_name(mount, variables[item.line], dockerfile.escape) or mount.effective_id
                    place = None if mount.target or mount.env is not None else name.rstrip("/").rpartition("/")[2]
                    found.append(Mounted(name, mount.required, item.line, place, runs))
    return found
