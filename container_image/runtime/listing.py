"""Which containers have which secrets, and whether those are today's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from container_image.build.client import Client
from container_image.errors import InvalidInputError, StoreKeyError
from container_image.runtime.container import MADE, OF, VERSIONS
from container_image.runtime.given import made

if TYPE_CHECKING:
    from container_image.store import SecretStore

_FORMAT = (
    '{"id":{{json .Id}},"name":{{json .Name}},"image":{{json .Config.Image}},"status":{{json .State.Status}},'
    '"labels":{{json .Config.Labels}}}'
)

State = Literal["current", "old", "unset", "unknown"]
"""A secret in a container against the store: `unset` has none of that name any more, `unknown` can't be told."""


@dataclass(frozen=True, slots=True)
class HeldSecret:
    """A secret that a container was started with; `current` is the version that the store has now."""

    name: str
    version: int
    current: int | None
    state: State


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container that was started with an environment's secrets."""

    id: str
    name: str
    image: str
    environment: str
    status: str
    secrets: tuple[HeldSecret, ...]

    @property
    def stale(self) -> bool:
        """Whether it holds a secret that was set anew since, or unset."""
        return any(secret.state in ("old", "unset") for secret in self.secrets)


def containers(*, stopped: bool = False, store: SecretStore | None = None) -> list[RunningContainer]:
    """The containers of the current context's engine that were started with secrets; with `stopped`, also those.

    Raises:
        EngineError: no engine answers.
        StoreError: the store can't be read.
    """
    from container_image.store import SecretStore

    client = Client()
    ids = client.call("ps", "--quiet", "--no-trunc", "--filter", f"label={OF}", *(["--all"] if stopped else [])).split()
    if not ids:
        return []
    # One that is gone meanwhile is an error, and the others are told of all the same.
    told = client.call("container", "inspect", "--format", _FORMAT, *ids, check=False)
    opened = store or SecretStore.open()
    dates = made(opened)
    versions: dict[str, Mapping[str, int] | None] = {}
    found = []
    for line in told.splitlines():
        container = json.loads(line)
        labels = container["labels"]
        environment = labels[OF]
        if environment not in versions:
            versions[environment] = _versions(opened, environment)
        # One of the same name that was made anew, or is another store's, counts its versions from 1 again.
        same = environment not in dates or labels.get(MADE) == (dates[environment] or "")
        held = _held(labels.get(VERSIONS, ""), versions[environment] if same else {})
        found.append(
            RunningContainer(
                container["id"],
                container["name"].lstrip("/"),
                container["image"],
                environment,
                container["status"],
                held,
            )
        )
    return found


def _versions(store: SecretStore, environment: str) -> Mapping[str, int] | None:
    """Each secret's version now; None where the key does not open the environment."""
    try:
        return {secret.name: secret.version for secret in store.secrets.list(environment)}
    except InvalidInputError:
        return {}
    except StoreKeyError:
        return None


def _held(label: str, now: Mapping[str, int] | None) -> tuple[HeldSecret, ...]:
    try:
        versions = dict(json.loads(label))
    except (ValueError, TypeError):
        # An image can have a label of that name too.
        return ()
    return tuple(
        HeldSecret(str(name), version, None if now is None else now.get(name), _state(version, name, now))
        for name, version in sorted(versions.items())
    )


def _state(version: int, name: str, now: Mapping[str, int] | None) -> State:
    if now is None:
        return "unknown"
    if name not in now:
        return "unset"
    return "current" if now[name] == version else "old"
