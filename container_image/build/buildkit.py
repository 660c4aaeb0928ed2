"""Runs `docker buildx build`: secrets told apart, progress as events, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from container_image.build.alone import HOSTNAME, alone, hostname
from container_image.build.ask import secret_options
from container_image.build.check import check_mounts
from container_image.build.credentials import PROXY
from container_image.build.exports import CacheExport, join
from container_image.build.failure import failure
from container_image.build.handoff import handoff
from container_image.build.options import build_options
from container_image.build.prepared import Prepared, prepare, unwritten
from container_image.build.process import process
from container_image.build.progress import Progress
from container_image.build.record import log_search, recorded
from container_image.build.request import BuildEvent, BuildRequest, BuildResult
from container_image.build.run import Run
from container_image.build.scoped import noting
from container_image.build.tagging import RESERVED, tagged_ids
from container_image.state import build_key

OnEvent = Callable[[BuildEvent], None]


def run_build(run: Run, *, on_event: OnEvent | None = None) -> BuildResult:
    """Builds the image of a run, under its name in quarantine, in the engine's store.

    Raises:
        PreflightError, DockerfileError: the build must not start; nothing ran.
        BuildError: a step failed; names its line and carries its last output, redacted.
    """
    prepared = check_mounts(run, prepare(run))
    if on_event is not None:
        for note in prepared.notes:
            on_event(BuildEvent("warning", "", note))
    metadata = run.directory / "metadata.json"
    progress = _solve(run, prepared, [f"--metadata-file={metadata}", *_outputs(run)], on_event)
    try:
        found = json.loads(metadata.read_bytes())
    except (OSError, ValueError):
        found = {}
    return BuildResult(found, tuple(progress.warnings), tuple(progress.scoped.from_cache()))


def export_cache(run: Run, caches: Sequence[CacheExport], *, on_event: OnEvent | None = None) -> None:
    """Solves a build that was audited once more, out of its cache, to send that cache where it was asked for.

    Raises:
        BuildError: the cache could not be sent.
    """
    request = run.request
    prepared = check_mounts(run, unwritten(request))
    # What is sent is what was audited: without the cache, the steps would run again.
    cached = replace(run, request=replace(request, no_cache=False))
    _solve(cached, prepared, ["--output=type=cacheonly", *(f"--cache-to={cache}" for cache in caches)], on_event)


def _solve(run: Run, prepared: Prepared, outputs: Sequence[str], on_event: OnEvent | None) -> Progress:
    request = run.request
    reserved = {name: name for name in request.secrets if RESERVED.fullmatch(name)}
    ids = {**prepared.tagged, **reserved, **prepared.untagged}
    values = {identifier: request.secrets[name].reveal() for identifier, name in ids.items()}
    with (
        _apart(request, prepared, on_event) as options,
        handoff(values, run.files) as given,
        noting(prepared.tagged, request.secrets) as steps,
    ):
        mounts = secret_options(given.paths)
        arguments = [
            "buildx", "build", "--progress=rawjson", *mounts, *options, *build_options(request), *outputs,
            f"--file={run.dockerfile}", str(request.context),
        ]  # fmt: skip
        searched = log_search(run, arguments)
        progress = Progress(prepared.redactor, prepared.plain, steps, searched, with_statuses=request.with_statuses)
        with recorded(run, progress) as record:
            status = _run(run, arguments, given.descriptors, progress, on_event)
            # Where no step failed, the connection may have, with the end of the log.
            record.whole = status == 0 or progress.failed_step is not None
    if status:
        raise failure(request, progress)
    return progress


@contextlib.contextmanager
def _apart(request: BuildRequest, prepared: Prepared, on_event: OnEvent | None) -> Iterator[list[str]]:
    """Keeps a build from others where ids don't; gives the options for that.

    Proxies are no part of BuildKit's cache keys either: a step that wrote down a proxy's password would come from the
    cache with the one before.
    """
    proxies = [value for name, value in request.held.items() if name.startswith(PROXY)]
    told = [prepared.ids[name] for name in prepared.untagged.values()]
    told += tagged_ids(build_key(), {value.name: value for value in proxies}).values()
    options = [f"--build-arg={HOSTNAME}={hostname(told)}"] if told else []
    if not prepared.untagged:
        yield options
        return

    def tell() -> None:
        if on_event is not None:
            on_event(BuildEvent("message", "", "waiting for another build with secrets that can't be told apart"))

    with alone(tell):
        yield options


def _outputs(run: Run) -> list[str]:
    """The image, in the engine's store or as an archive, and everything else in the private staging directory."""
    image = {"type": "image", "name": run.image, "unpack": "true"}
    if run.archive is not None:
        image = {"type": "oci", "dest": str(run.archive)}
    outputs = [f"--output={join({**image, **run.request.image_options})}"]
    outputs += [f"--output={export.staged(run.staged(export))}" for export in run.request.exports]
    for cache in run.request.cache_to:
        outputs.append(f"--cache-to={cache if cache.inline else cache.staged(run.staged(cache))}")
    return outputs


def _run(
    run: Run, arguments: Sequence[str], descriptors: tuple[int, ...], progress: Progress, on_event: OnEvent | None
) -> int:
    with process(run.client, arguments, descriptors) as started:
        run.journal.started(started.pid)
        assert started.stderr is not None
        for line in started.stderr:
            for event in progress.feed(line):
                if on_event is not None:
                    on_event(event)
        return started.wait()
