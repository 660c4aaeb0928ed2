"""What an audit may pass over, and how far it goes: plain data, as it can be written in pyproject.toml."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from container_image.audit.pyproject import TABLE, find_table, read_table
from container_image.cwd import working_directory
from container_image.errors import InvalidInputError

WarningCode = Literal[
    "buildkit-check",
    "cache-holds-step",
    "cached-with-another-value",
    "credential-file",
    "no-attestations",
    "not-audited",
    "plain-build-arg",
    "secret-in-log",
]
"""The kinds of warnings that a report may have."""


class AcceptedUnread(BaseModel):
    """Unread bytes to accept: those whose reason is `reason` (a glob) at a path that `path` (a glob) matches.

    As a string it is `REASON` or `REASON:PATH`. What has no path goes by its digest. A slash before a path means
    nothing, because an image's paths all begin at its root.

    >>> AcceptedUnread.model_validate("encrypted zip member:/opt/*.zip").accepts("encrypted zip member", "opt/a/b.zip")
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    reason: str = "*"
    path: str = "*"

    @model_validator(mode="before")
    @classmethod
    def _from_string(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        reason, separator, path = given.partition(":")
        if not reason or (separator and not path):
            raise ValueError("expected REASON or REASON:PATH, where each may be a glob")
        return {"reason": reason, "path": path or "*"}

    def accepts(self, reason: str, path: str | None) -> bool:
        """Whether an unread item falls under this rule."""
        return fnmatchcase(reason, self.reason) and fnmatchcase((path or "").lstrip("/"), self.path.lstrip("/"))


class AuditPolicy(BaseModel):
    """What an audit accepts, and how far it goes.

    What is accepted stays in the report, marked: what could not be read (`accept_unread`), secrets that can't be searched
    for (`accept_unsearchable`, by name), what the base image brought along (`accept_base`). `platforms` limits the audit
    to these and requires them to be there; `("all",)` requires every platform that the image names. The limits are per
    image, but for `max_ratio`: the bytes that one compressed stream may give for each byte that it takes. What lies beyond
    a limit is unread, so the verdict is incomplete, never clean. `fail_on_warning` lists codes of warnings that a build or
    an audit fails on, such as `credential-file`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    accept_unread: tuple[AcceptedUnread, ...] = ()
    accept_unsearchable: tuple[str, ...] = ()
    accept_base: bool = False
    fail_on_warning: tuple[WarningCode, ...] = ()
    platforms: tuple[str, ...] = ()
    max_depth: int = Field(default=8, ge=1)
    max_bytes: int = Field(default=256 << 30, ge=1)
    max_ratio: int = Field(default=2000, ge=1)
    max_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @classmethod
    def from_pyproject(cls, path: str | os.PathLike[str] | None = None) -> AuditPolicy:
        """The policy in the table `[tool.container-image]` of a pyproject.toml; the defaults where there is none.

        Without a path, it is the nearest file with such a table, from the working directory upwards.

        Raises:
            InvalidInputError: the file can't be read, or it has an unknown key or a bad value: names file and key.
        """
        file = find_table(working_directory()) if path is None else Path(path)
        if file is None:
            return cls()
        try:
            # As JSON it can be strict: TOML has lists where a policy has tuples, and "3" is no number in either.
            return cls.model_validate_json(json.dumps(read_table(file), default=str), strict=True)
        except ValidationError as error:
            raise InvalidInputError(
                "\n".join(f"{file}: [{TABLE}] {_key(place)}: {message}" for place, message in _problems(error))
            ) from None

    def replaced(self, given: dict[str, Any], names: dict[str, str]) -> AuditPolicy:
        """The same with the fields of `given` in the place of its own. `names` are what messages call them.

        Raises:
            InvalidInputError: a bad value.
        """
        kept = {name: getattr(self, name) for name in self.model_fields_set}
        try:
            return AuditPolicy.model_validate({**kept, **given})
        except ValidationError as error:
            raise InvalidInputError(
                "\n".join(f"{names[str(place[0])]}: {message}" for place, message in _problems(error))
            ) from None


def _problems(error: ValidationError) -> Iterator[tuple[tuple[int | str, ...], str]]:
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        if item["type"] == "extra_forbidden":
            known = AcceptedUnread if item["loc"][0] == "accept_unread" else AuditPolicy
            yield item["loc"], f"there is no such key; there are: {', '.join(known.model_fields)}"
        else:
            message = str(item["msg"]).removeprefix("Value error, ")
            yield item["loc"], message[:1].lower() + message[1:]


def _key(place: tuple[int | str, ...]) -> str:
    key = ""
    for part in place:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key
