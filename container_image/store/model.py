"""What the store tells: never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from container_image.secrets import SecretValue

Use = Literal["build", "run", "exec", "audit", "scope"]
"""What values went into. A scope is that of steps which stay in the build cache when the value changes, by a name of its own."""


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret in an environment. Times are in UTC; `created_at` is that of its first version."""

    name: str
    created_at: datetime
    environment_name: str
    default_exposed: bool
    updated_at: datetime
    version: int


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """A version of a secret whose value is kept."""

    version: int
    created_at: datetime
    current: bool


@dataclass(frozen=True, slots=True)
class RevealedSecret:
    """A secret on its way into a build, a run or an audit: `value.earlier` has the earlier values, newest first."""

    value: SecretValue
    version: int
    default_exposed: bool


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """An environment. `created_at` is None where the store is yet to be made."""

    name: str
    description: str | None
    is_default: bool
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Who did what, when: `actor` is USER@HOST. Of a use, `image` is the image's reference; of an exec, the program."""

    time: datetime
    actor: str
    action: str
    environment_name: str | None
    name: str | None
    version: int | None
    image: str | None


Revealed = Mapping[str, RevealedSecret]
"""By name."""
