"""Where a declaration stands: the Python file and line of a Dockerfile that is a string in it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

_PACKAGES = (str(Path(__file__).parent), "pydantic")


def caller() -> str | None:
    """The file of the nearest caller outside this package, None where there is no such file."""
    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_code.co_filename
        module = str(frame.f_globals.get("__name__", ""))
        if not name.startswith(_PACKAGES[0]) and not module.startswith("pydantic"):
            return name if Path(name).is_file() else None
        frame = frame.f_back
    return None


def literal_offset(file: str, text: str) -> int | None:
    """How many lines of `file` come before the first line of the literal `text`; None unless it is there once."""
    try:
        source = Path(file).read_text(encoding="utf-8")
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return None
    lines = source.splitlines()
    places = {
        node.lineno - 1
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == text and _is_plain(lines, node)
    }
    return places.pop() if len(places) == 1 else None


def _is_plain(lines: list[str], node: ast.Constant) -> bool:
    """Whether each line of the literal is one line of the file: not so with escapes and joined literals."""
    end = node.end_lineno or node.lineno
    return isinstance(node.value, str) and node.value.count("\n") == end - node.lineno and bool(lines)
