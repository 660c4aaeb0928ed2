"""Reads requirements, and the files that they name, with a place for each secret where they say `${NAME}`.

The format is pip's (its "Requirements File Format"): joined lines, comments, options. A secret is put in as it is, but
percent-encoded (RFC 3986) where a URL has a component of it alone: in the userinfo, or as the value of a query's field.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from container_image.errors import InvalidInputError, PreflightError
from container_image.secrets import SecretValue

MAIN = "requirements.txt"
"""What the list itself is called in the step; the files that it names have a number before their own names."""

_PLACE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})?")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_FILE = re.compile(r"(?P<option>-[rc]\s*|--(?:requirement|constraint)(?:\s+|\s*=\s*))(?P<path>[^\s=].*)")
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<authority>[^\s/?#'\"]*)[^\s?#]*(?:\?(?P<query>[^\s#]*))?")
# What a URL is made of, without the quote that ends an argument.
_VERBATIM = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&()*+,;=%]*")


@dataclass(frozen=True, slots=True)
class Requirements:
    """What to install: the lines of each file, by its name in the step.

    In a line, `${NAME}` stands for a secret as it is, `${NAME:url}` for a percent-encoded one, `$${` for a literal `${`.
    `verbatim` are the names that stand somewhere as they are.
    """

    files: Mapping[str, Sequence[str]]
    names: tuple[str, ...]
    verbatim: frozenset[str]


def read_requirements(requirements: Sequence[str], directory: Path) -> Requirements:
    """Reads requirements; `-r FILE` and `-c FILE` are relative to `directory`, or to the file that names them.

    Raises:
        InvalidInputError: a file can't be read or names itself, or a `${` begins no name.
        PreflightError: a URL has a password that is written out.
    """
    reader = _Reader()
    reader.add(MAIN, "\n".join(requirements), "requirements", directory, ())
    return Requirements(reader.files, tuple(reader.names), frozenset(reader.verbatim))


def check_values(requirements: Requirements, secrets: Mapping[str, SecretValue]) -> None:
    """Makes sure that no value would change what the requirements say. One line end at its end is no part of a value.

    Raises:
        PreflightError: names each secret that would.
    """
    problems = []
    for name in requirements.names:
        text = secrets[name].reveal().decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
        # Further characters of control are white space to pip, too.
        if any(character.isspace() or not character.isprintable() for character in text):
            problems.append(
                f"secret {name!r} has white space or unprintable characters in it, which would be further options in "
                "the requirements; give the token alone"
            )
        elif name in requirements.verbatim and not _VERBATIM.fullmatch(text):
            problems.append(
                f"secret {name!r} has characters that no URL has, and stands in the requirements as it is; percent-encode "
                "them, or use it where that is done: in a URL's user and password (https://ci:${NAME}@…), or as a whole "
                "value in its query (?token=${NAME})"
            )
    if problems:
        raise PreflightError(problems)


@dataclass
class _Reader:
    """The files read so far, in the order in which they are named."""

    files: dict[str, list[str]] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    verbatim: set[str] = field(default_factory=set)
    _known: dict[Path, str] = field(default_factory=dict)

    def add(self, name: str, text: str, told: str, directory: Path, within: tuple[Path, ...]) -> None:
        """A file by its name in the step and as messages call it; `within` are the files that lead to it."""
        lines = self.files[name] = []
        if not _is_text(text):
            raise InvalidInputError(f"{told}: has characters that no file has: NUL, or half of a surrogate pair")
        for line in _lines(text):
            match = _FILE.fullmatch(line)
            if match and not _REMOTE.match(match["path"].lstrip("'\"")):
                path = directory / _path(told, match["path"])
                lines.append(match["option"].strip().rstrip("= ") + " " + self._file(told, line, path, within))
            else:
                lines.append(self._marked(told, line))

    def _file(self, told: str, line: str, path: Path, within: tuple[Path, ...]) -> str:
        """The name in the step of a file on this machine, which is read unless it was."""
        try:
            resolved = path.resolve(strict=True)
            if resolved in within:
                raise InvalidInputError(f"{told}: {line}: that file leads to itself; drop the line")
            if resolved not in self._known:
                text = resolved.read_text(encoding="utf-8-sig")
                self._known[resolved] = name = f"{len(self.files)}-{re.sub(r'[^A-Za-z0-9._-]', '_', path.name)}"
                self.add(name, text, str(path), path.parent, (*within, resolved))
        except UnicodeDecodeError:
            raise InvalidInputError(f"{told}: {line}: {path} is not UTF-8; save it as that") from None
        except OSError as error:
            raise InvalidInputError(
                f"{told}: {line}: {path} can't be read: {error.strerror}; a path is relative to the build context, or to the file that names it"
            ) from None
        return self._known[resolved]

    def _marked(self, told: str, line: str) -> str:
        """The line with what is to be percent-encoded marked, and its names noted."""
        encoded = list(_components(told, line))

        def mark(match: re.Match[str]) -> str:
            name = match["name"]
            if name is None:
                if match[0] == "$${":
                    return match[0]
                raise InvalidInputError(
                    f"{told}: a secret is written ${{NAME}}, with letters, digits and underscores; for the text ${{ itself write $${{"
                )
            self.names[name] = None
            if any(start <= match.start() < end for start, end in encoded):
                return f"${{{name}:url}}"
            self.verbatim.add(name)
            return match[0]

        return _PLACE.sub(mark, line)


def _lines(text: str) -> Iterator[str]:
    """The logical lines, as pip finds them: joined at backslashes, which a comment ends, and without comments."""
    parts: list[str] = []
    for line in [*text.splitlines(), ""]:
        comment = _COMMENT.match(line)
        if line.endswith("\\") and not comment:
            parts.append(line.strip("\\"))
            continue
        whole = _COMMENT.sub("", "".join([*parts, f" {line}" if comment else line])).strip()
        parts = []
        if whole:
            yield whole


def _is_text(text: str) -> bool:
    """Whether a file can hold it, and be named by a line of it."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _path(told: str, text: str) -> str:
    """The one path that an option is given."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if len(words) != 1 or _PLACE.search(text):
        raise InvalidInputError(f"{told}: {text}: -r and -c take one file on a line, without a secret in its name")
    return words[0]


def _components(told: str, line: str) -> Iterator[tuple[int, int]]:
    """The spans of the line that are one component of a URL: its userinfo, and the values in its query."""
    for url in _URL.finditer(line):
        userinfo, at, host = url["authority"].rpartition("@")
        if at:
            if userinfo.partition(":")[2] and "${" not in userinfo.replace("$${", ""):
                problem = f"{told}: the URL at {host or 'no host'} has a password written in it, which the image's provenance would tell; set it as a secret and write ${{NAME}}"
                raise PreflightError([problem], would_ship=True)
            yield url.start("authority"), url.start("authority") + len(userinfo)
        for pair in re.finditer(r"(?:^|&)[^=&]*=([^&]*)", url["query"] or ""):
            yield url.start("query") + pair.start(1), url.start("query") + pair.end(1)
