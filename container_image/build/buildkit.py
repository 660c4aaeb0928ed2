"""Runs `docker buildx build`: its own process group, its progress as events, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from container_image.build.client import Client
from container_image.build.exports import CacheExport, join
from container_image.build.handoff import handoff
from container_image.build.history import forget
from container_image.build.leftovers import group_lives
from container_image.build.preflight import ignore_text, preflight
from container_image.build.progress import Progress
from container_image.build.redact import Redactor
from container_image.build.request import BuildEvent, BuildRequest, BuildResult
from container_image.build.run import Run, open_run
from container_image.build.tagging import RESERVED, restore, rewrite, tagged_ids
from container_image.dockerfile import parse
from container_image.errors import BuildError, ContainerImageError, DockerfileError, PreflightError
from container_image.state import build_key

_GRACE = 5.0
_SETTLE = 0.5
# Started by a process that is killed, a build would go on by itself: the kernel interrupts it then (prctl(2),
# PR_SET_PDEATHSIG), unless its parent was gone before it could ask for that.
_GUARD = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGINT)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""

OnEvent = Callable[[BuildEvent], None]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A build whose rewritten Dockerfile is in place: the ids in it, and what redacts its output."""

    ids: Mapping[str, str]
    redactor: Redactor

    def plain(self, text: str) -> str:
        """A text as the author of the Dockerfile knows it."""
        return restore(text, self.ids)


def run_build(run: Run, *, on_event: OnEvent | None = None) -> BuildResult:
    """Builds the image of a run, under its name in quarantine, in the engine's store.

    Raises:
        PreflightError, DockerfileError: the build must not start; nothing ran.
        BuildError: a step failed; names its line and carries its last output, redacted.
    """
    prepared = _prepare(run)
    _check_mounts(run, prepared)
    metadata = run.directory / "metadata.json"
    progress = _solve(run, prepared, [f"--metadata-file={metadata}", *_outputs(run)], on_event)
    try:
        found = json.loads(metadata.read_bytes())
    except (OSError, ValueError):
        found = {}
    return BuildResult(found, tuple(progress.warnings))


def export_cache(run: Run, caches: Sequence[CacheExport], *, on_event: OnEvent | None = None) -> None:
    """Solves a build that was audited once more, out of its cache, to send that cache where it was asked for.

    Raises:
        BuildError: the cache could not be sent.
    """
    request = run.request
    prepared = _Prepared(tagged_ids(build_key(), request.secrets), _redactor(request))
    _solve(run, prepared, ["--output=type=cacheonly", *(f"--cache-to={cache}" for cache in caches)], on_event)


def _solve(run: Run, prepared: _Prepared, outputs: Sequence[str], on_event: OnEvent | None) -> Progress:
    request = run.request
    values = {prepared.ids[name]: value.reveal() for name, value in request.secrets.items()}
    with handoff(values, run.files) as given:
        mounts = [f"--secret=id={identifier},src={path}" for identifier, path in given.paths.items()]
        arguments = [
            "buildx", "build", "--progress=rawjson", *mounts, *_options(request), *outputs,
            f"--file={run.dockerfile}", str(request.context),
        ]  # fmt: skip
        progress = Progress(prepared.redactor, prepared.plain)
        try:
            status = _run(run, arguments, given.descriptors, progress, on_event)
        finally:
            # Now, not when the run is over: the audit may take long, and the record replays the log.
            if request.has_credentials and not request.keep_history:
                forget(run.dockerfile.name, run.client)
    if status:
        raise _failure(request, progress)
    return progress


def check_build(request: BuildRequest) -> list[str]:
    """What can be said before building: the preflight, and BuildKit's own checks, as one message each.

    Raises:
        PreflightError, DockerfileError: as `run_build` would.
    """
    with open_run(request) as run:
        prepared = _prepare(run)
        _check_mounts(run, prepared)
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
    try:
        dockerfile = parse(request.dockerfile)
    except DockerfileError as error:
        reason = str(error).removeprefix(f"line {error.line}: ")
        raise DockerfileError(f"{request.place(error.line)}: {reason}", error.line) from None
    if not dockerfile.stages:
        raise DockerfileError(f"{request.place(1)}: the Dockerfile has no FROM; begin a stage with FROM IMAGE", 1)
    ids = tagged_ids(build_key(), request.secrets)
    text = rewrite(request.dockerfile, ids)
    if request.entrypoint is not None or request.cmd is not None:
        text += "\n" + "".join(_override(*pair) for pair in (("ENTRYPOINT", request.entrypoint), ("CMD", request.cmd)))
    run.dockerfile.write_text(text, encoding="utf-8", errors="surrogateescape")
    ignore = run.dockerfile.with_name(run.dockerfile.name + ".dockerignore")
    ignore.write_bytes(ignore_text(request).encode("utf-8", "surrogateescape"))
    return _Prepared(ids, _redactor(request))


def _redactor(request: BuildRequest) -> Redactor:
    return Redactor(request.held.values())


def _override(keyword: str, value: str | list[str] | None) -> str:
    if value is None:
        return ""
    return f"{keyword} {value if isinstance(value, str) else json.dumps(value)}\n"


def _check_mounts(run: Run, prepared: _Prepared) -> None:
    """Preflight with what BuildKit says the rewritten build mounts, and the proof that every id there is tagged."""
    request = run.request
    plain = {identifier: name for name, identifier in prepared.ids.items()}
    try:
        outline = _call(run, prepared, "outline")
    except BuildError:
        # A frontend or base that has no outline here fails the build itself with a better message.
        preflight(request)
        if request.secrets:
            raise
        return
    listed = outline.get("secrets")
    found = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    mounted = [(str(item.get("name")), bool(item.get("required"))) for item in found]
    preflight(request, [(plain.get(name, name), required) for name, required in mounted])
    loose = [
        name for name, _ in mounted if name not in plain and name in request.secrets and not RESERVED.fullmatch(name)
    ]
    if loose:
        raise PreflightError(
            [
                f"{request.file}: the mount of secret {name!r} can't be told apart by its value (an ONBUILD of a base image, or "
                f"an id with a variable): BuildKit could reuse what another value made. Mount it in this Dockerfile as id={name}"
                for name in loose
            ]
        )


def _call(run: Run, prepared: _Prepared, what: str) -> dict[str, object]:
    request = run.request
    # No step runs, but BuildKit may need these to fetch the context.
    reserved = {name: value.reveal() for name, value in request.secrets.items() if RESERVED.fullmatch(name)}
    with handoff(reserved, run.files) as given:
        mounts = [f"--secret=id={name},src={path}" for name, path in given.paths.items()]
        arguments = run.client.command(
            "buildx", "build", "--progress=rawjson", f"--call={what},format=json", *mounts, *_options(request),
            f"--file={run.dockerfile}", str(request.context),
        )  # fmt: skip
        done = subprocess.run(
            arguments, capture_output=True, env=dict(run.client.environment), check=False, stdin=subprocess.DEVNULL,
            pass_fds=(*given.descriptors, *run.client.descriptors), start_new_session=True,
        )  # fmt: skip
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
    with _process(run.client, arguments, descriptors) as process:
        run.journal.started(process.pid)
        assert process.stderr is not None
        for line in process.stderr:
            for event in progress.feed(line):
                if on_event is not None:
                    on_event(event)
        return process.wait()


@contextlib.contextmanager
def _process(
    client: Client, arguments: Sequence[str], descriptors: tuple[int, ...]
) -> Iterator[subprocess.Popen[bytes]]:
    """A `docker` command in a process group of its own, which ends with the context, and with this process."""
    command = client.command(*arguments)
    if sys.platform == "linux" and sys.executable:
        command = [sys.executable, "-ISc", _GUARD, str(os.getpid()), *command]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=dict(client.environment), pass_fds=(*descriptors, *client.descriptors), start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group, buildx included: it is asked first, so that the engine cancels the build."""
    if process.poll() is None or group_lives(process.pid):
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            deadline = time.monotonic() + _GRACE
            while time.monotonic() < deadline and (process.poll() is None or group_lives(process.pid)):
                time.sleep(0.05)
        # The engine writes the record of a cancelled build now; removing it before that breaks the engine's list.
        time.sleep(_SETTLE)
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _failure(request: BuildRequest, progress: Progress) -> ContainerImageError:
    malformed = progress.parse_error
    if malformed is not None:
        line, reason = malformed
        return DockerfileError(f"{request.place(line)}: {reason}; correct the Dockerfile", line)
    place = request.place(progress.error_line)
    message = f"{place}: {progress.failed_step or 'the build'} failed: {progress.error}"
    return BuildError(message, progress.failed_step, progress.error_line, progress.tail)
