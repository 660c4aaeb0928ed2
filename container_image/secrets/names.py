"""The names that secrets of the store can have."""

from __future__ import annotations

import re

from container_image.errors import InvalidInputError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def is_secret_name(text: str) -> bool:
    """Whether a secret of the store can have this name: that of an environment variable."""
    return bool(_NAME.fullmatch(text))


def secret_name(text: str) -> str:
    """The name itself.

    Raises:
        InvalidInputError: it is none; it is not repeated, as it may be a value in the wrong place.
    """
    if not is_secret_name(text):
        raise InvalidInputError(
            "a secret's name has letters, digits and underscores, begins with no digit, and has 255 characters at most; what was given as one has others"
        )
    return text
