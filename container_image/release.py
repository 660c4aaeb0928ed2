"""What becomes of an image that is clean: names, files, caches, a registry, in this order, as it was audited."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from container_image.build import BuildEvent, BuildRequest, Export, Run, export_cache
from container_image.errors import DigestMismatchError, OutputError
from container_image.oci import DigestKind, RegistrySource, push_archive

_EMPTY_TAR = bytes(1024)
_PUSH_TIMEOUT = None


def release(
    run: Run,
    digest: str,
    kind: DigestKind,
    metadata: Mapping[str, object],
    *,
    on_event: Callable[[BuildEvent], None] | None = None,
) -> None:
    """Gives the image its names, and puts everything that was exported where it was asked for.

    Raises:
        EngineError: the engine refused a name or a push.
        OutputError: a file can't be written.
        DigestMismatchError: a registry serves another image than the one that was pushed.
    """
    request = run.request
    _name(run, digest)
    for export in request.exports:
        _deliver(export, run.staged(export))
    caches = [cache for cache in request.cache_to if not cache.inline]
    if caches:
        export_cache(run, caches, on_event=on_event)
    if request.push:
        for tag in request.tags:
            _push(run, tag, digest, kind)
    if request.iidfile is not None:
        _write(request.iidfile, digest.encode())
    if request.metadata_file is not None:
        named = {**metadata, "containerimage.digest": digest, "image.name": ",".join(request.tags)}
        _write(request.metadata_file, json.dumps(named, indent=2).encode() + b"\n")


def _name(run: Run, digest: str) -> None:
    tags, client = run.request.tags, run.client
    if run.archive is not None:
        if tags and not run.request.push:
            client.call("load", "--quiet", "--input", str(run.archive), timeout=_PUSH_TIMEOUT)
            for tag in tags:
                client.call("tag", digest, tag)
        return
    for tag in tags:
        client.call("tag", run.image, tag)
    if not tags:
        # An image whose name another one takes is kept without a name, as a build without one leaves it.
        client.call("import", "-", run.image, stdin=_EMPTY_TAR)


def _deliver(export: Export, staged: Path) -> None:
    try:
        if export.type == "local":
            target = Path(export.dest).expanduser()
            target.mkdir(parents=True, exist_ok=True)
            with tarfile.open(staged) as archive:
                archive.extractall(target, filter="tar")
        elif export.dest == "-":
            with staged.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
        else:
            target = Path(export.dest).expanduser().resolve()
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists() and not target.is_file():
                # A device or a pipe, such as /dev/null, stays what it is.
                with staged.open("rb") as file, target.open("wb") as device:
                    shutil.copyfileobj(file, device)
                return
            # Written whole under another name first, so that no reader of the file sees half of it.
            draft = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
            try:
                shutil.copyfile(staged, draft)
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)
    except (OSError, tarfile.TarError) as error:
        raise OutputError(f"--output {export.dest}: can't be written: {error}") from None


def _push(run: Run, tag: str, digest: str, kind: DigestKind) -> None:
    login = _login(run.request, tag)
    if run.archive is not None:
        push_archive(run.archive, tag, login)
    else:
        run.client.call("push", "--quiet", tag, timeout=_PUSH_TIMEOUT)
    with RegistrySource(f"docker://{tag}", tag, login) as served:
        found = served.config_digest() if kind == "config" else served.digest
    if found != digest:
        raise DigestMismatchError(
            f"{tag}: the registry serves {found}, and {digest} was audited and pushed; somebody else pushed that name, "
            "or the registry changed the image: don't use it"
        )


def _login(request: BuildRequest, tag: str) -> tuple[str, str] | None:
    for host, (user, password) in request.registries.items():
        if tag.startswith(f"{host}/"):
            return user, password.reveal().decode("utf-8", "surrogateescape")
    return None


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror}; the image is built and tagged") from None
