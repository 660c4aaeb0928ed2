"""Building with BuildKit: a plain request goes in, an image in the engine's store and its digest come out."""

from container_image.build.arguments import advice, unsearchable
from container_image.build.buildkit import export_cache, run_build
from container_image.build.check import check_build
from container_image.build.exports import CacheExport, Export, parse_caches, parse_outputs
from container_image.build.request import (
    BUILDKIT_CHECK,
    BuildEvent,
    BuildRequest,
    BuildResult,
    BuildWarning,
    Login,
    login_secrets,
)
from container_image.build.run import Run, open_run
from container_image.build.scoped import Noted, former, with_former
from container_image.build.step_cache import removal

__all__ = [
    "BUILDKIT_CHECK",
    "BuildEvent",
    "BuildRequest",
    "BuildResult",
    "BuildWarning",
    "CacheExport",
    "Export",
    "Login",
    "Noted",
    "Run",
    "advice",
    "check_build",
    "export_cache",
    "former",
    "login_secrets",
    "open_run",
    "parse_caches",
    "parse_outputs",
    "removal",
    "run_build",
    "unsearchable",
    "with_former",
]
