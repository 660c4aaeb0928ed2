"""Finds and reads the table `[tool.container-image]` of a project's pyproject.toml."""

from __future__ import annotations

import sys
from pathlib import Path

from container_image.errors import InvalidInputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = "tool.container-image"


def find_table(directory: Path) -> Path | None:
    """The nearest pyproject.toml with the table, from a directory upwards; files without it are passed over.

    Raises:
        InvalidInputError: a file on the way can't be read, so that nobody knows whether it has one.
    """
    for parent in (directory, *directory.parents):
        path = parent / "pyproject.toml"
        if path.is_file() and _table(path) is not None:
            return path
    return None


def read_table(path: Path) -> dict[str, object]:
    """The table of one file, empty where it has none.

    Raises:
        InvalidInputError: the file can't be read, or is not TOML.
    """
    return _table(path) or {}


def _table(path: Path) -> dict[str, object] | None:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InvalidInputError(f"{path}: not a TOML file; correct it, or work in another directory") from None
    tool = document.get("tool")
    table = tool.get("container-image") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise InvalidInputError(f"{path}: tool.container-image: not a table; write [{TABLE}]")
    return table
