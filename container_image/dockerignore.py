"""Ignore rules as fal has them, which are gitignore's, in the words of Docker's."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pathspec import GitIgnoreSpec

try:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern as Pattern
except ImportError:
    # pathspec before 1.0, which fal needs.
    from pathspec.patterns.gitwildmatch import GitWildMatchPattern as Pattern

from container_image.errors import InvalidInputError
from container_image.excludes import read_rules

DEFAULT_DOCKERIGNORE_PATTERNS = [
    ".git",
    ".gitignore",
    ".dockerignore",
    "Dockerfile",
    "Dockerfile.*",
    "*.md",
    "__pycache__",
    "*.pyc",
    ".DS_Store",
    ".venv",
    "venv",
    ".env",
    "node_modules",
]
"""What a declared image leaves out of its context when nothing else says what to leave out."""


_TOKEN = re.compile(
    r"\\(?P<escaped>.)|(?P<stars>\*+)|\[(?P<not>[!^]?)(?P<set>\]?(?:\\.|[^\]\\])*)\]|(?P<other>[\[\]^])"
)


def load_patterns(
    context_dir: str | os.PathLike[str] | None,
    dockerignore: Sequence[str] | None,
    dockerignore_path: str | os.PathLike[str] | None,
) -> list[str]:
    """The patterns that hold: the list, else the file at the path, else the context's `.dockerignore`, else defaults.

    Raises:
        FileNotFoundError: there is no file at `dockerignore_path`.
    """
    if dockerignore is not None:
        return list(dockerignore)
    if dockerignore_path is not None:
        path = Path(dockerignore_path)
        if not path.is_file():
            raise FileNotFoundError(f"Specified .dockerignore file not found: {dockerignore_path}")
        return _read(path)
    if context_dir is not None and (Path(context_dir) / ".dockerignore").is_file():
        return _read(Path(context_dir) / ".dockerignore")
    return list(DEFAULT_DOCKERIGNORE_PATTERNS)


def _read(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def regexes(patterns: Sequence[str]) -> list[str]:
    """The regular expression of each gitignore pattern, in order; comments and empty patterns have none.

    fal and Docker strip the white space before a pattern, although gitignore keeps it.
    """
    expressions = (Pattern.pattern_to_regex(pattern.lstrip())[0] for pattern in patterns)
    return [str(expression) for expression in expressions if expression]


def gitignore(patterns: Sequence[str]) -> GitIgnoreSpec:
    """A matcher of gitignore-style patterns.

    pathspec 1.0 brought further backends, which read `*`, `a`, `!a` as a rule that keeps `a/b`. git and the simple
    backend, the only one before, do not.

    Raises:
        ValueError, re.error: a pattern is malformed.
    """
    lines = [pattern.lstrip() for pattern in patterns]
    if "backend" in inspect.signature(GitIgnoreSpec.from_lines).parameters:
        return GitIgnoreSpec.from_lines(lines, backend="simple")
    return GitIgnoreSpec.from_lines(lines)


def to_docker(patterns: Sequence[str], context: str | os.PathLike[str] | None = None) -> str:
    """A Docker ignore file that does what gitignore-style patterns say: order and negations are kept.

    Docker's words can't say all: that a pattern is of directories only, or that `!logs/` leaves `logs/a.tmp` to another
    pattern, where Docker takes back all of a directory. So what is now in `context` and would be decided otherwise is
    named after the rules, path by path.

    Raises:
        InvalidInputError: something that is no pattern.
    """
    rules = "".join(f"{line}\n" for line in map(_rule, patterns) if line)
    if context is None:
        return rules
    try:
        spec = gitignore(patterns)
    except (ValueError, re.error) as error:
        raise InvalidInputError(f"an ignore pattern can't be read: {error}; correct it") from None
    return rules + "".join(f"{line}\n" for line in _corrections(rules, spec, Path(context)))


def _rule(pattern: str) -> str | None:
    text = pattern.strip()
    if not text or text.startswith("#"):
        return None
    sign = "!" if text.startswith("!") else ""
    body = text.removeprefix("!").rstrip("/")
    # A pattern with a slash in it, other than at its end, is anchored at the root; any other holds everywhere.
    anchored = "/" in body
    parts = [part if part == "**" else _TOKEN.sub(_token, part) for part in body.lstrip("/").split("/")]
    if {"", ".", ".."} & set(parts):
        # No file has such a name, and Docker would take the part away.
        return None
    if not anchored and parts != ["**"]:
        parts.insert(0, "**")
    return sign + "/".join(parts)


def _token(match: re.Match[str]) -> str:
    """A part of a name's pattern that the two write differently."""
    if match["stars"]:
        return "*"
    if match["set"]:
        ranges = re.finditer(r"\\?(.)(?:-\\?(.))?", match["set"])
        members = ["-".join(_literal(end) for end in found.groups() if end) for found in ranges]
        return f"[{'^' if match['not'] else ''}{''.join(members)}]"
    return _literal(match["escaped"] or match["other"] or match[0])


def _literal(text: str) -> str:
    """A text as a pattern of itself. White space at an end would be cut off, so any character will do there."""
    escaped = re.sub(r"[!-,\-:-@\[-^`{-~]", r"\\\g<0>", text)
    return re.sub(r"^\s|\s$|\n", "?", escaped)


def _corrections(rules: str, spec: GitIgnoreSpec, context: Path) -> Iterator[str]:
    """The files that the patterns and their rules decide differently."""
    docker = read_rules(rules)
    takes_back = any(pattern.include is False for pattern in spec.patterns)
    pending: list[tuple[str, Sequence[bool]]] = [("", ())]
    while pending:
        directory, parent = pending.pop()
        try:
            entries = sorted(os.scandir(context / directory), key=lambda entry: entry.name)
        except OSError:
            # The build says what can't be read.
            continue
        for entry in entries:
            path = f"{directory}{entry.name}"
            excluded, matched = docker.decide(path, parent)
            if entry.is_dir(follow_symlinks=False):
                if takes_back or not excluded or not spec.match_file(f"{path}/"):
                    pending.append((f"{path}/", matched))
            elif excluded != spec.match_file(path):
                yield ("!" if excluded else "") + _literal(path)
