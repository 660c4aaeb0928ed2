"""The checks that come before a build: the preflight, with BuildKit's list of mounts, and the proof that ids are tagged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from container_image.build.arguments import unsearchable, visible
from container_image.build.frontend import frontend, has_no_answer
from container_image.build.mounted import written_mounts
from container_image.build.preflight import check_contexts, not_given, preflight
from container_image.build.prepared import Prepared, prepare, rewritten
from container_image.build.progress import Progress
from container_image.build.questions import faults, outline, refused
from container_image.build.request import BuildRequest
from container_image.build.run import Run, open_run
from container_image.build.tagging import mounted_ids
from container_image.errors import EngineError, PreflightError


def check_build(request: BuildRequest) -> list[str]:
    """Gives one message for each thing that can be said before building.

    These are secrets that a step mounts and that are not given, build arguments that hold a credential, and BuildKit's own
    checks. Without an engine, the last message says what could not be checked.

    Raises:
        PreflightError, DockerfileError, BuildError: as `run_build` would before the first step.
    """
    try:
        with open_run(request) as run:
            prepared = check_mounts(run, prepare(run))
            return [*prepared.notes, *faults(run, prepared), *visible(run.request), *unsearchable(run.request)]
    except EngineError as error:
        if request.fetched is not None:
            raise
        return _check_alone(request, error)


def _check_alone(request: BuildRequest, error: EngineError) -> list[str]:
    check_contexts(request)
    rewritten(request, {})
    mounted = [item for item in written_mounts(request) if item.needed]
    preflight(request, mounted)
    unchecked = "not checked: the base images, and all that BuildKit alone knows of the Dockerfile"
    told = [*not_given(request, mounted), *visible(request), *unsearchable(request)]
    return [*told, f"{unchecked}; {error}"]


def check_mounts(run: Run, prepared: Prepared) -> Prepared:
    """Preflight with the mounts that BuildKit lists for the rewritten build, each of which must be tagged.

    Raises:
        PreflightError: a mount is not tagged, and the build may use the cache; or as `preflight` does.
        BuildError, DockerfileError: BuildKit refuses the build.
    """
    request = run.request
    check_contexts(request)
    listed = outline(run, prepared)
    if isinstance(listed, Progress):
        return _without_outline(run, prepared, listed)
    tagged, untagged = mounted_ids((item.name for item in listed), prepared.ids)
    named = {**tagged, **untagged}
    mounted = [replace(item, name=named.get(item.name) or prepared.plain(item.name)) for item in listed]
    preflight(request, mounted)
    aliases = {identifier: name for identifier, name in tagged.items() if identifier != prepared.ids[name]}
    prepared = replace(prepared, aliases=aliases, notes=tuple(not_given(request, mounted)))
    if not untagged:
        return prepared
    reason = "an ONBUILD of a base image mounts it, or an id with a variable that can't be told from this Dockerfile"
    return _without_cache(request, prepared, untagged, reason, "Mount it in this Dockerfile, under a plain id")


def _without_outline(run: Run, prepared: Prepared, answer: Progress) -> Prepared:
    request = run.request
    if not has_no_answer(answer.error):
        error = refused(run, prepared, answer)
        try:
            preflight(request, None)
        except PreflightError as found:
            raise PreflightError([str(error), *found.problems], would_ship=found.would_ship) from None
        raise error
    mounted = [item for item in written_mounts(request) if item.needed]
    preflight(request, mounted)
    prepared = replace(prepared, notes=tuple(not_given(request, mounted)))
    if not request.secrets:
        return prepared
    reason = f"the frontend {frontend(request)} can't say what the build mounts"
    return _without_cache(request, prepared, {name: name for name in request.secrets}, reason, "Use one that can")


def _without_cache(
    request: BuildRequest, prepared: Prepared, untagged: Mapping[str, str], reason: str, remedy: str
) -> Prepared:
    if request.no_cache:
        return replace(prepared, untagged=untagged)
    raise PreflightError(
        [
            f"{request.file}: secret {name!r} can't be told apart by its value: {reason}. BuildKit could reuse what another "
            f"value made. {remedy}, or build with --no-cache, which waits for other such builds"
            for name in dict.fromkeys(untagged.values())
        ]
    )
