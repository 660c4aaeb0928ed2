"""What an audit may pass over: plain data, as it can be written in `[tool.container-image]` of pyproject.toml."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict, Field


class AcceptedUnread(BaseModel):
    """Unread bytes to accept: those whose reason is `reason` (a glob) at a path that `path` (a glob) matches."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    reason: str = "*"
    path: str = "*"

    def accepts(self, reason: str, path: str | None) -> bool:
        """Whether an unread item falls under this rule."""
        return fnmatchcase(reason, self.reason) and fnmatchcase(path or "", self.path)


class AuditPolicy(BaseModel):
    """What an audit accepts, and how far it goes.

    What is accepted stays in the report, marked. `platforms` limits the audit to these and requires them to be there;
    `("all",)` requires every platform that the image names. The limits are per image, but for `max_ratio`: the bytes that one
    compressed stream may give for each byte that it takes. What lies beyond a limit is unread, so the verdict is
    incomplete, never clean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    accept_unread: tuple[AcceptedUnread, ...] = ()
    accept_unsearchable: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    max_depth: int = Field(default=8, ge=1)
    max_bytes: int = Field(default=256 << 30, ge=1)
    max_ratio: int = Field(default=2000, ge=1)
    max_seconds: float | None = Field(default=None, gt=0)
