"""The working directory, or an error that a user understands where it was removed under the program."""

from __future__ import annotations

from pathlib import Path

from container_image.errors import InvalidInputError


def working_directory() -> Path:
    """The path of the working directory.

    Raises:
        InvalidInputError: it was removed, or its path can't be read (getcwd(2)).
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise InvalidInputError(
            f"the working directory was removed, or can't be read ({error.strerror}); change to one that is there, as with `cd ~`"
        ) from None


def absolute(path: Path) -> Path:
    """A path that means the same file when the working directory changes. Raises as `working_directory` does."""
    return path if path.is_absolute() else working_directory() / path
