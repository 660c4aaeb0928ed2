"""Which BuildKit builds: a buildx builder's driver, and the Docker context of its engine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from container_image.build.client import Client
from container_image.errors import EngineError, InvalidInputError

_FIELD = re.compile(r"^(Name|Driver|Endpoint):\s*(\S+)", re.MULTILINE)


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
        raise InvalidInputError(f"--builder {name}: {error}; `docker buildx ls` lists those there are") from None
    fields: dict[str, str] = {}
    for key, value in _FIELD.findall(text):
        fields.setdefault(key, value)
    driver = fields.get("Driver", "docker")
    return Builder(driver, fields.get("Endpoint") if driver == "docker" else None)
