"""Runs `docker buildx build`: its own process group, its progress as events, and nothing of it left behind."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from container_image.build import client
from container_image.build import key as keys
from container_image.build.handoff import handoff, private_directory, sweep
from container_image.build.history import forget
from container_image.build.preflight import ignore_text, preflight
from container_image.build.progress import Progress
from container_image.build.redact import Redactor
from container_image.build.request import BuildEvent, BuildRequest, BuildResult
from container_image.build.tagging import RESERVED, restore, rewrite, tagged_ids
from container_image.dockerfile import parse
from container_image.errors import BuildError, ContainerImageError, DockerfileError, InvalidInputError, PreflightError

_GRACE = 5.0
_SETTLE = 0.5
_DOCKERFILE = "Dockerfile-"

OnEvent = Callable[[BuildEvent], None]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A build whose Dockerfile copy is written: where it is, under which ids, and in which environment."""

    dockerfile: Path
    ids: Mapping[str, str]
    env: Mapping[str, str]
    redactor: Redactor


def run_build(request: BuildRequest, *, tag: str, on_event: OnEvent | None = None) -> BuildResult:
    """Builds an image under the name `tag` in the engine's store.

    Raises:
        PreflightError, DockerfileError: the build must not start; nothing ran.
        BuildError: a step failed; names its line and carries its last output, redacted.
        EngineError: no engine answers, or it is too old.
    """
    client.check_versions()
    for name in sweep():
        # A killed run could not remove its record, which replays its log.
        if name.startswith(_DOCKERFILE) and not name.endswith(".dockerignore"):
            forget(name, request.builder)
    with private_directory() as directory, _prepare(request, directory) as prepared:
        _check_mounts(request, prepared)
        metadata = directory / "metadata.json"
        values = {prepared.ids[name]: value.reveal() for name, value in request.secrets.items()}
        configured = _docker_config(request)
        if configured is not None:
            values["config.json"] = configured
        with handoff(values, request.secret_tmpdir) as given:
            env = dict(prepared.env)
            if configured is not None:
                env["DOCKER_CONFIG"] = str(_link_config(directory / "docker", given.paths["config.json"]))
            mounts = [
                f"--secret=id={identifier},src={path}"
                for identifier, path in given.paths.items()
                if identifier != "config.json"
            ]
            arguments = [
                *client.command(), "buildx", "build", "--progress=rawjson", f"--metadata-file={metadata}", *mounts,
                *_options(request), *_output(request, tag), f"--file={prepared.dockerfile}", str(request.context),
            ]  # fmt: skip
            progress = Progress(prepared.redactor, lambda text: restore(text, prepared.ids))
            try:
                status = _run(arguments, env, given.descriptors, progress, on_event)
            finally:
                if request.secrets and not request.keep_history:
                    forget(prepared.dockerfile.name, request.builder)
        if status:
            raise _failure(request, progress)
        return _result(metadata, progress)


def check_build(request: BuildRequest) -> list[str]:
    """What can be said before building: the preflight, and BuildKit's own checks, as one message each.

    Raises:
        PreflightError, DockerfileError: as `run_build` would.
    """
    client.check_versions()
    with private_directory() as directory, _prepare(request, directory) as prepared:
        _check_mounts(request, prepared)
        found = _call(request, prepared, "check")
        warnings = found.get("warnings")
        messages = []
        for warning in warnings if isinstance(warnings, list) else []:
            ranges = (warning.get("location") or {}).get("ranges") or [{}]
            line = (ranges[0].get("start") or {}).get("line")
            text = f"{request.place(line)}: {warning.get('ruleName')}: {warning.get('detail') or warning.get('description')}"
            messages.append(prepared.redactor.text(restore(text, prepared.ids)))
        return messages


@contextlib.contextmanager
def _prepare(request: BuildRequest, directory: Path) -> Iterator[_Prepared]:
    try:
        dockerfile = parse(request.dockerfile)
    except DockerfileError as error:
        reason = str(error).removeprefix(f"line {error.line}: ")
        raise DockerfileError(f"{request.place(error.line)}: {reason}", error.line) from None
    if not dockerfile.stages:
        raise DockerfileError(f"{request.place(1)}: the Dockerfile has no FROM; begin a stage with FROM IMAGE", 1)
    ids = tagged_ids(keys.build_key(), request.secrets)
    path = directory / f"{_DOCKERFILE}{secrets.token_hex(8)}"
    text = rewrite(request.dockerfile, ids)
    if request.entrypoint is not None or request.cmd is not None:
        text += "\n" + "".join(_override(*pair) for pair in (("ENTRYPOINT", request.entrypoint), ("CMD", request.cmd)))
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    path.with_name(path.name + ".dockerignore").write_text(ignore_text(request), errors="surrogateescape")
    hidden = request.secret_variables | {keys.VARIABLE}
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {"DOCKER_CLI_HINTS": "false", "BUILDX_METADATA_PROVENANCE": "disabled"}
    yield _Prepared(
        path, ids, env, Redactor([*request.secrets.values(), *(login for _, login in request.registries.values())])
    )


def _override(keyword: str, value: str | list[str] | None) -> str:
    if value is None:
        return ""
    return f"{keyword} {value if isinstance(value, str) else json.dumps(value)}\n"


def _check_mounts(request: BuildRequest, prepared: _Prepared) -> None:
    """Preflight with what BuildKit says the rewritten build mounts, and the proof that every id there is tagged."""
    plain = {identifier: name for name, identifier in prepared.ids.items()}
    try:
        outline = _call(request, prepared, "outline")
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


def _call(request: BuildRequest, prepared: _Prepared, what: str) -> dict[str, object]:
    arguments = [
        *client.command(), "buildx", "build", "--progress=rawjson", f"--call={what},format=json", *_options(request),
        f"--file={prepared.dockerfile}", str(request.context),
    ]  # fmt: skip
    done = subprocess.run(arguments, capture_output=True, env=prepared.env, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        progress = Progress(prepared.redactor, lambda text: restore(text, prepared.ids))
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
    options += [f"--{name}" for name, chosen in (("no-cache", request.no_cache), ("pull", request.pull)) if chosen]
    return options


def _output(request: BuildRequest, tag: str) -> list[str]:
    if request.compression == "gzip" and not request.force_compression:
        return [f"--tag={tag}"]
    forced = ",force-compression=true" if request.force_compression else ""
    return [f"--output=type=image,name={tag},unpack=true,compression={request.compression}{forced}"]


def _run(
    arguments: Sequence[str],
    env: Mapping[str, str],
    descriptors: tuple[int, ...],
    progress: Progress,
    on_event: OnEvent | None,
) -> int:
    process = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(env),
        pass_fds=descriptors, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        for line in process.stderr:
            for event in progress.feed(line):
                if on_event is not None:
                    on_event(event)
        return process.wait()
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group, buildx included: it is asked first, so that the engine cancels the build."""
    if process.poll() is None or _group_lives(process.pid):
        for number in (signal.SIGINT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            deadline = time.monotonic() + _GRACE
            while time.monotonic() < deadline and (process.poll() is None or _group_lives(process.pid)):
                time.sleep(0.05)
        # The engine writes the record of a cancelled build now; removing it before that breaks the engine's list.
        time.sleep(_SETTLE)
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _failure(request: BuildRequest, progress: Progress) -> ContainerImageError:
    malformed = progress.parse_error
    if malformed is not None:
        line, reason = malformed
        return DockerfileError(f"{request.place(line)}: {reason}; correct the Dockerfile", line)
    place = request.place(progress.error_line)
    parts = [f"{place}: {progress.failed_step or 'the build'} failed: {progress.error}"]
    if progress.tail:
        parts.append("its last output:")
        parts += [f"  {line}" for line in progress.tail]
    return BuildError("\n".join(parts), progress.failed_step, progress.error_line)


def _result(metadata: Path, progress: Progress) -> BuildResult:
    try:
        found = json.loads(metadata.read_bytes())
        digest = str(found["containerimage.digest"])
    except (OSError, ValueError, KeyError):
        raise BuildError("buildx named no image digest; the builder exported no image") from None
    media_type = str((found.get("containerimage.descriptor") or {}).get("mediaType"))
    kind = "index" if "index" in media_type or "list" in media_type else "manifest"
    if found.get("containerimage.config.digest") == digest:
        return BuildResult(digest, "config", tuple(progress.warnings))
    return BuildResult(digest, "index" if kind == "index" else "manifest", tuple(progress.warnings))


def _docker_config(request: BuildRequest) -> bytes | None:
    """The user's Docker configuration with the request's logins in it; None when there are none."""
    if not request.registries:
        return None
    try:
        config = json.loads((_user_config() / "config.json").read_bytes())
    except FileNotFoundError:
        config = {}
    except (OSError, ValueError):
        raise InvalidInputError(f"{_user_config() / 'config.json'}: not a Docker configuration; correct it") from None
    auths = config.setdefault("auths", {})
    helpers = config.get("credHelpers") or {}
    for host, (user, password) in request.registries.items():
        login = user.encode() + b":" + password.reveal()
        auths[host] = {"auth": base64.b64encode(login).decode()}
        helpers.pop(host, None)
    # A store would be asked instead of the logins here.
    config.pop("credsStore", None)
    return json.dumps(config).encode()


def _user_config() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _link_config(directory: Path, config: str) -> Path:
    """A configuration directory with everything of the user's (contexts, builders, plugins) but another config.json."""
    directory.mkdir(mode=0o700)
    if _user_config().is_dir():
        for item in _user_config().iterdir():
            if item.name != "config.json":
                (directory / item.name).symlink_to(item)
    (directory / "config.json").symlink_to(config)
    return directory
