"""Where a declaration stands: the Python file and line of a Dockerfile that is a string in it."""

from __future__ import annotations

import ast
import inspect
import threading
from pathlib import Path

_PACKAGE = str(Path(__file__).parent)

# CPython before 3.11.8 and 3.12.2 counts a parse's depth per interpreter, not per thread (its gh-106905): of two
# parses at once from different depths, one ends in a SystemError about the count, though nothing is wrong with it.
_PARSING = threading.Lock()


def caller() -> str | None:
    """The file of the nearest caller outside this package, None where there is no such file."""
    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_code.co_filename
        module = str(frame.f_globals.get("__name__", ""))
        if not name.startswith(_PACKAGE) and not module.startswith("pydantic"):
            return name if Path(name).is_file() else None
        frame = frame.f_back
    return None


def literal_offset(file: str, text: str) -> int | None:
    """How many lines of `file` come before the first line of the literal `text`; None unless it is there once."""
    try:
        source = Path(file).read_text(encoding="utf-8")
        with _PARSING:
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError, SystemError):  # the last: someone else was parsing
        return None
    lines = source.splitlines()
    places = [
        _first_line(lines, node) for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == text
    ]
    return places[0] if len(places) == 1 else None


def _first_line(lines: list[str], node: ast.Constant) -> int | None:
    """The lines before the literal's first, if each of its lines is one line of the file: not so with joined ones."""
    spanned = (node.end_lineno or node.lineno) - node.lineno
    extra = spanned - str(node.value).count("\n")
    if extra == 1 and lines[node.lineno - 1].endswith("\\"):
        return node.lineno
    return node.lineno - 1 if extra == 0 else None
