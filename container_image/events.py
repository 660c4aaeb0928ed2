"""Receivers of progress events: functions, some of which must be told when the last event has come."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

Event = TypeVar("Event")


def receiving(on_event: Callable[[Event], None] | None) -> contextlib.AbstractContextManager[object]:
    """The context in which events may come: the receiver's own, where it is a context manager."""
    return on_event if isinstance(on_event, contextlib.AbstractContextManager) else contextlib.nullcontext()
