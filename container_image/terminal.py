"""Whether a stream is shown in colour: NO_COLOR (no-color.org), FORCE_COLOR (force-color.org), else what it is."""

from __future__ import annotations

import os
from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads the stream on a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def takes_color(stream: TextIO) -> bool:
    """Whether the stream is shown in colour; a variable counts unless it is empty, and NO_COLOR before FORCE_COLOR."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)
