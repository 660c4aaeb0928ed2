"""Runs `docker buildx build`: secrets told apart, progress as events, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from container_image.build.alone import HOSTNAME, alone, hostname
from container_image.build.ask import ask
from container_image.build.credentials import PROXY
from container_image.build.exports import CacheExport, join
from container_image.build.frontend import frontend, has_no_outline, outline_arguments, predefined_arguments, unfetched
from container_image.build.handoff import handoff
from container_image.build.history import forget
from container_image.build.preflight import ignore_text, preflight
from container_image.build.process import process
from container_image.build.progress import Progress
from container_image.build.redact import Redactor
from container_image.build.request import BuildEvent, BuildRequest, BuildResult
from container_image.build.run import Run, open_run
from container_image.build.scoped import noting
from container_image.build.tagging import RESERVED, restore, rewrite, tagged_ids, untagged_ids
from container_image.dockerfile import parse
from container_image.errors import BuildError, ContainerImageError, DockerfileError, PreflightError
from container_image.state import build_key

OnEvent = Callable[[BuildEvent], None]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A build whose rewritten Dockerfile is in place: the ids in it, and what redacts its output.

    `untagged` are the ids of secrets that BuildKit can't tell apart by their values, with the secrets' names.
    """

    ids: Mapping[str, str]
    redactor: Redactor
    untagged: Mapping[str, str] = field(default_factory=dict)

    def plain(self, text: str) -> str:
        """A text as the author of the Dockerfile knows it."""
        return restore(text, self.ids)


def run_build(run: Run, *, on_event: OnEvent | None = None) -> BuildResult:
    """Builds the image of a run, under its name in quarantine, in the engine's store.

    Raises:
        PreflightError, DockerfileError: the build must not start; nothing ran.
        BuildError: a step failed; names its line and carries its last output, redacted.
    """
    prepared = _check_mounts(run, _prepare(run))
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
    prepared = _check_mounts(run, _Prepared(tagged_ids(build_key(), request.secrets), _redactor(request)))
    # What is sent is what was audited: without the cache, the steps would run again.
    cached = replace(run, request=replace(request, no_cache=False))
    _solve(cached, prepared, ["--output=type=cacheonly", *(f"--cache-to={cache}" for cache in caches)], on_event)


def _solve(run: Run, prepared: _Prepared, outputs: Sequence[str], on_event: OnEvent | None) -> Progress:
    request = run.request
    values = {prepared.ids[name]: value.reveal() for name, value in request.secrets.items()}
    values |= {name: value.reveal() for name, value in request.secrets.items() if RESERVED.fullmatch(name)}
    values |= {identifier: request.secrets[name].reveal() for identifier, name in prepared.untagged.items()}
    with (
        _apart(request, prepared, on_event) as options,
        handoff(values, run.files) as given,
        noting(prepared.ids, request.secrets) as steps,
    ):
        mounts = [f"--secret=id={identifier},src={path}" for identifier, path in given.paths.items()]
        arguments = [
            "buildx", "build", "--progress=rawjson", *mounts, *options, *_options(request), *outputs,
            f"--file={run.dockerfile}", str(request.context),
        ]  # fmt: skip
        progress = Progress(prepared.redactor, prepared.plain, steps, with_statuses=request.with_statuses)
        try:
            status = _run(run, arguments, given.descriptors, progress, on_event)
        finally:
            # Now, not when the run is over: the audit may take long, and the record replays the log.
            if request.has_credentials and not request.keep_history:
                forget(run.dockerfile.name, run.client)
    if status:
        raise _failure(request, progress)
    return progress


@contextlib.contextmanager
def _apart(request: BuildRequest, prepared: _Prepared, on_event: OnEvent | None) -> Iterator[list[str]]:
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


def check_build(request: BuildRequest) -> list[str]:
    """What can be said before building: the preflight, and BuildKit's own checks, as one message each.

    Raises:
        PreflightError, DockerfileError: as `run_build` would.
    """
    with open_run(request) as run:
        prepared = _check_mounts(run, _prepare(run))
        warnings = _call(run, prepared, "check").get("warnings")
        messages = []
        for warning in warnings if isinstance(warnings, list) else []:
            ranges = (warning.get("location") or {}).get("ranges") or [{}]
            line = (ranges[0].get("start") or {}).get("line")
            text = f"{request.place(line)}: {warning.get('ruleName')}: {warning.get('detail') or warning.get('description')}"
            messages.append(prepared.redactor.text(prepared.plain(text)))
        return messages


def _prepare(run: Run) -> _Prepared:
    """Writes the Dockerfile with tagged ids, and its ignore file beside it, where BuildKit looks first."""
    request = run.request
    ids = tagged_ids(build_key(), request.secrets)
    predefined = predefined_arguments(request.platforms, request.target)
    try:
        dockerfile = parse(request.dockerfile)
        text = rewrite(
            request.dockerfile, ids, target=request.target, build_args=request.build_args, predefined=predefined
        )
    except DockerfileError as error:
        raise error.placed(request.place(error.line)) from None
    if not dockerfile.stages:
        raise DockerfileError(f"{request.place(1)}: the Dockerfile has no FROM; begin a stage with FROM IMAGE", 1)
    if request.entrypoint is not None or request.cmd is not None:
        text += "\n" + "".join(_override(*pair) for pair in (("ENTRYPOINT", request.entrypoint), ("CMD", request.cmd)))
    run.dockerfile.write_text(text, encoding="utf-8", errors="surrogateescape")
    ignore = run.dockerfile.with_name(run.dockerfile.name + ".dockerignore")
    ignore.write_bytes(ignore_text(request).encode("utf-8", "surrogateescape"))
    return _Prepared(ids, _redactor(request))


def _redactor(request: BuildRequest) -> Redactor:
    return Redactor(request.unwanted)


def _override(keyword: str, value: str | list[str] | None) -> str:
    if value is None:
        return ""
    return f"{keyword} {value if isinstance(value, str) else json.dumps(value)}\n"


def _check_mounts(run: Run, prepared: _Prepared) -> _Prepared:
    """Preflight with what BuildKit says the rewritten build mounts, and the proof that every id there is tagged.

    Raises:
        PreflightError: one is not, and the build is not to be made without the cache; or as `preflight` does.
    """
    request = run.request
    try:
        outlines = [_call(run, prepared, "outline", outline_arguments(name)) for name in request.platforms]
        outlines = outlines or [_call(run, prepared, "outline")]
    except BuildError as error:
        # A frontend or base that has no outline here fails the build itself with a better message.
        preflight(request)
        if not request.secrets:
            return prepared
        if not has_no_outline(str(error)):
            raise
        reason = f"the frontend {frontend(request)} can't say what the build mounts"
        return _without_cache(request, prepared, {name: name for name in request.secrets}, reason, "Use one that can")
    listed = [item for outline in outlines for item in _secrets(outline)]
    untagged = untagged_ids((name for name, _ in listed), prepared.ids)
    plain = {identifier: name for name, identifier in prepared.ids.items()} | untagged
    preflight(request, [(plain.get(name, name), required) for name, required in listed])
    if not untagged:
        return prepared
    reason = "an ONBUILD of a base image mounts it, or an id with a variable that can't be told from this Dockerfile"
    return _without_cache(request, prepared, untagged, reason, "Mount it in this Dockerfile, under a plain id")


def _secrets(outline: Mapping[str, object]) -> list[tuple[str, bool]]:
    """The ids in an outline, and whether each is required."""
    listed = outline.get("secrets")
    found = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return [(str(item.get("name")), bool(item.get("required"))) for item in found]


def _without_cache(
    request: BuildRequest, prepared: _Prepared, untagged: Mapping[str, str], reason: str, remedy: str
) -> _Prepared:
    if request.no_cache:
        return replace(prepared, untagged=untagged)
    raise PreflightError(
        [
            f"{request.file}: secret {name!r} can't be told apart by its value: {reason}. BuildKit could reuse what another "
            f"value made. {remedy}, or build with --no-cache, which waits for other such builds"
            for name in dict.fromkeys(untagged.values())
        ]
    )


def _call(run: Run, prepared: _Prepared, what: str, options: Sequence[str] = ()) -> dict[str, object]:
    request = run.request
    arguments = [*options, *_options(request), f"--file={run.dockerfile}", str(request.context)]
    done = ask(run.client, what, arguments, request.secrets, run.files)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        progress = Progress(prepared.redactor, prepared.plain)
        for line in done.stderr.splitlines():
            for _ in progress.feed(line):
                pass
        raise _failure(request, progress) from None
    return found if isinstance(found, dict) else {}


def _options(request: BuildRequest) -> list[str]:
    options = [f"--build-arg={key}={value}" for key, value in request.build_args.items()]
    options += [f"--label={key}={value}" for key, value in request.labels.items()]
    options += [f"--build-context={key}={value}" for key, value in request.build_contexts.items()]
    options += [f"--ssh={value}" for value in request.ssh]
    options += [f"--cache-from={value}" for value in request.cache_from]
    if request.platforms:
        options.append("--platform=" + ",".join(request.platforms))
    for name, text in (("target", request.target), ("network", request.network), ("builder", request.builder)):
        if text:
            options.append(f"--{name}={text}")
    if request.network == "host":
        options.append("--allow=network.host")
    options += request.options
    options += [f"--{name}" for name, chosen in (("no-cache", request.no_cache), ("pull", request.pull)) if chosen]
    return options


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


def _failure(request: BuildRequest, progress: Progress) -> ContainerImageError:
    malformed = progress.parse_error
    if malformed is not None:
        line, reason = malformed
        return DockerfileError(f"{request.place(line)}: {reason}; correct the Dockerfile", line)
    missing = unfetched(request, progress.error)
    if missing is not None:
        return BuildError(f"{request.place(progress.error_line)}: {missing}")
    place = request.place(progress.error_line)
    message = f"{place}: {progress.failed_step or 'the build'} failed: {progress.error}"
    return BuildError(message, progress.failed_step, progress.error_line, progress.tail)
