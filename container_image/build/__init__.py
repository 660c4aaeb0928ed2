"""Building with BuildKit: a plain request goes in, an image in the engine's store and its digest come out."""

from container_image.build.buildkit import check_build, run_build
from container_image.build.request import BuildEvent, BuildRequest, BuildResult, BuildWarning
from container_image.build.run import Run, open_run

__all__ = ["BuildEvent", "BuildRequest", "BuildResult", "BuildWarning", "Run", "check_build", "open_run", "run_build"]
