"""Building with BuildKit: a plain request goes in, an image in the engine's store and its digest come out."""

from container_image.build.buildkit import export_cache, run_build
from container_image.build.check import check_build
from container_image.build.exports import CacheExport, Export, parse_caches, parse_outputs
from container_image.build.request import BuildEvent, BuildRequest, BuildResult, BuildWarning
from container_image.build.run import Run, open_run
from container_image.build.scoped import Noted, former, with_former
from container_image.build.step_cache import removal

__all__ = [
    "BuildEvent",
    "BuildRequest",
    "BuildResult",
    "BuildWarning",
    "CacheExport",
    "Export",
    "Noted",
    "Run",
    "check_build",
    "export_cache",
    "former",
    "open_run",
    "parse_caches",
    "parse_outputs",
    "removal",
    "run_build",
    "with_former",
]
