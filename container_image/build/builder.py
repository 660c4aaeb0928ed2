"""Which BuildKit builds: a buildx builder's driver, the Docker context of its engine, and what its image store can give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from container_image.build.client import Client
from container_image.build.request import BuildRequest
from container_image.errors import EngineError, InvalidInputError, PreflightError
from container_image.shown import masked, shown

_FIELD = re.compile(r"^(Driver|Endpoint):[ \t]*(\S*)", re.MULTILINE)
_CONTAINERD = '"io.containerd.snapshotter.v1"'
_ATTESTS = re.compile(r"(--attest(?!.*,disabled=true)|--provenance|--sbom)(?:=(?!false$|0$).*)?")


@dataclass(frozen=True, slots=True)
class Builder:
    """A builder. With the `docker` driver its images are in the store of the engine at `context`; else they are nowhere."""

    driver: str
    context: str | None

    @property
    def has_store(self) -> bool:
        return self.driver == "docker"


def find_builder(client: Client, name: str | None) -> Builder:
    """The builder of that name, or the one that buildx would choose.

    Raises:
        InvalidInputError: there is none of that name.
    """
    try:
        text = client.call("buildx", "inspect", *([name] if name else []))
    except EngineError as error:
        if name is None:
            raise
        raise InvalidInputError(
            f"--builder {shown(name)}: {masked(str(error), [name])}; `docker buildx ls` lists those there are"
        ) from None
    fields: dict[str, str] = {}
    for key, value in _FIELD.findall(text):
        fields.setdefault(key, value)
    # An engine that doesn't answer tells no driver; only engines, which are builders by their contexts' names, do that.
    driver = fields.get("Driver") or "docker"
    return Builder(driver, fields.get("Endpoint") or name if driver == "docker" else None)


def check_store(client: Client, builder: Builder, request: BuildRequest) -> None:
    """Refuses what the engine's classic image store can't give or take, where that is the store it has.

    Raises:
        PreflightError: names each.
    """
    asked = list(_beyond_classic(request) if builder.has_store else _loaded(builder, request))
    if asked and _CONTAINERD not in client.call("info", "--format", "{{json .DriverStatus}}"):
        setting = 'write "features": {"containerd-snapshotter": true} in its daemon.json and restart it'
        raise PreflightError([f"{what}; {setting}, or {instead}" for what, instead in asked])


def _beyond_classic(request: BuildRequest) -> Iterator[tuple[str, str]]:
    """What the `docker` driver refuses there, and what to do instead."""
    asked = [f"--output type={file.type}" for file in request.exports if file.type in ("oci", "docker")]
    asked += [f"--cache-to {cache}" for cache in request.cache_to if not cache.inline]
    if len(platforms := ",".join(request.platforms).split(",")) > 1:
        asked.append(f"--platform {','.join(platforms)}")
    asked += [match[1] for option in request.options if (match := _ATTESTS.fullmatch(option))]
    for what in asked:
        yield f"{what}: the engine's classic image store can't give that", "choose a --builder of another driver"


def _loaded(builder: Builder, request: BuildRequest) -> Iterator[tuple[str, str]]:
    """The archive that another driver gives, where the engine is to have the image."""
    if request.tags and not request.push:
        yield f"the driver {builder.driver}: the engine's classic image store can't load what it builds", "push it"
