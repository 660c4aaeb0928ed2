"""A container made anew with today's secrets. The old one is gone only when the new one runs."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING

from container_image.build.client import Client
from container_image.errors import EngineError, InvalidInputError
from container_image.runtime.container import LINE, Wanted, prepare
from container_image.runtime.options import Option

if TYPE_CHECKING:
    from container_image.store import SecretStore

_SETTLED = 1.0
"""Seconds after which a container that was started counts as one that runs."""

_PATIENCE = 10.0

_FORMAT = (
    '{"id":{{json .Id}},"name":{{json .Name}},"image":{{json .Image}},"running":{{json .State.Running}},'
    '"vanishes":{{json .HostConfig.AutoRemove}},"labels":{{json .Config.Labels}}}'
)


@dataclass(frozen=True, slots=True)
class _Old:
    """A container as it is. `image` is the ID of its image, `vanishes` whether the engine removes it when it stops."""

    id: str
    name: str
    image: str
    running: bool
    vanishes: bool
    labels: dict[str, str]


def replace(name: str, *, store: SecretStore | None = None) -> str:
    """Makes the container of that name anew, in the background; returns the new one's ID.

    It has the image, options, command and environment that the old one was started with, and the values of now. The
    image is the old one's also where its tag has moved, unless `--pull=always` asks for the newest. The old one is
    stopped when the new one is made, and is back, running, where that does not start. One that the engine removes when
    it stops (`--rm`) can't come back, so it is stopped only when the new one runs. What is in volumes without a name stays
    with the old one.

    Raises:
        InvalidInputError: there is no such container, or `run` did not start it.
        UnknownEnvironmentError, UnknownSecretError: the store has no longer what it was started with.
        EngineError: the new one can't be made, or does not start; the old one is as it was.
    """
    client = Client()
    old = _inspect(client, name)
    wanted = _wanted(client, old)
    prepared = prepare(wanted, store)
    aside = f"{old.name}-{secrets.token_hex(4)}"
    with prepared.files() as files, ExitStack() as undo:
        client.call("rename", old.id, aside)
        undo.callback(_rename_back, client, old)
        if old.running:
            # Behind the removal of the new one, which may have its ports.
            undo.callback(client.call, "start", old.id)
        line = prepared.creating(old.name, _image(client, wanted, old), files)
        new = (
            changed(client, environment=prepared.environment)
            .call(*line, timeout=None, directory=wanted.directory)
            .strip()
        )
        undo.callback(client.call, "rm", "--force", "--volumes", new, check=False)
        if not old.vanishes:
            client.call("stop", old.id, timeout=None)
        client.call("start", new)
        _settle(client, new)
        undo.pop_all()
    # Asked first, as by `docker stop`; then it is gone by itself, if it vanishes.
    client.call("stop", old.id, timeout=None, check=False)
    client.call("rm", "--force", old.id, check=False)
    return new


def _inspect(client: Client, name: str) -> _Old:
    try:
        told = client.call("container", "inspect", "--format", _FORMAT, name)
    except EngineError as error:
        raise InvalidInputError(
            f"--replace {name}: {error}; `container-image ps --all` lists those that there are"
        ) from None
    fields = json.loads(told)
    return _Old(**{**fields, "name": fields["name"].lstrip("/"), "labels": fields["labels"] or {}})


def _wanted(client: Client, old: _Old) -> Wanted:
    """What the old container was started with."""
    line = old.labels.get(LINE)
    # An image that was made of a container has its labels, and whoever makes an image can write what they like into it.
    images = client.call("image", "inspect", "--format", "{{json .Config.Labels}}", old.image, check=False).strip()
    if line is None or (json.loads(images or "null") or {}).get(LINE) == line:
        raise InvalidInputError(
            f"--replace {old.name}: `container-image run` did not start it; stop it, and start it with that"
        )
    fields = json.loads(line)
    if not Path(fields["directory"]).is_dir():
        raise InvalidInputError(
            f"--replace {old.name}: {fields['directory']}, where it was started, is no directory any more; make it, or start a new container"
        )
    return Wanted(
        fields["image"],
        tuple(fields["command"]),
        tuple(Option(*pair) for pair in fields["options"]),
        fields["environment"],
        tuple(fields["only"]),
        fields["secret_files"],
        fields["directory"],
    )


def _image(client: Client, wanted: Wanted, old: _Old) -> str:
    """The reference that the old container was started with, or its image's ID where that is not what it names now."""
    if Option("pull", "always") in wanted.options:
        return wanted.image
    now = client.call("image", "inspect", "--format", "{{.Id}}", wanted.image, check=False).strip()
    return wanted.image if now == old.image else old.image


def _rename_back(client: Client, old: _Old) -> None:
    """Gives the old container its name, which one that the engine is still removing may have."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            client.call("rename", old.id, old.name)
        except EngineError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _settle(client: Client, container: str) -> None:
    """Gives a container that was started a moment in which it may fail.

    Raises:
        EngineError: it did.
    """
    try:
        done = subprocess.run(
            client.command("wait", container), env=dict(client.environment), capture_output=True, text=True, check=False,
            timeout=_SETTLED, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return
    if (status := done.stdout.strip()) != "0":
        raise EngineError(
            f"the new container ended at once{f', with status {status}' if status else ''}; the old one is back"
        )
