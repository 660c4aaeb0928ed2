"""Where a secret's value comes from: declared early, read only when a build or an audit needs it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NoReturn

from container_image.errors import InvalidInputError, SecretSourceError
from container_image.secrets import dotenv
from container_image.secrets.value import SecretValue

Kind = Literal["value", "env", "file", "command"]

_REFERENCE = re.compile(r"\$[A-Za-z_]\w*")
_COMMAND_TIMEOUT = 60


@dataclass(frozen=True, repr=False)
class Secret:
    """Where a value comes from. Made by one of the `from_…` class methods; `resolve` reads it.

    >>> Secret.from_env("PIP_TOKEN")
    Secret(variable PIP_TOKEN)
    >>> Secret.from_value("hunter2-hunter2")
    Secret(a literal value)
    """

    kind: Kind
    source: str
    sensitive: bool = True
    variable: str | None = None
    path: Path | None = None
    _read: Callable[[], bytes] = field(default=bytes, compare=False)
    _earlier: tuple[str | bytes | Secret, ...] = ()

    @classmethod
    def from_value(cls, value: str | bytes, *, sensitive: bool = True) -> Secret:
        """A literal. Prefer another source: a literal in code is in that code's history."""
        data = _encode(value)
        return cls("value", "a literal value", sensitive, _read=lambda: data)

    @classmethod
    def from_env(cls, variable: str, *, sensitive: bool = True) -> Secret:
        """The environment variable of that name."""

        def read() -> bytes:
            value = os.environ.get(variable)
            if value is None:
                raise _UnavailableError(f"the variable {variable} is not set; set it, or name another source")
            return os.fsencode(value)

        return cls("env", f"variable {variable}", sensitive, variable=variable, _read=read)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, sensitive: bool = True) -> Secret:
        """The bytes of a file; `~` is the home directory."""
        resolved = Path(path).expanduser()

        def read() -> bytes:
            try:
                return resolved.read_bytes()
            except OSError as error:
                raise _UnavailableError(f"the file {path} can't be read: {error.strerror}") from None

        return cls("file", f"file {path}", sensitive, path=resolved, _read=read)

    @classmethod
    def from_command(cls, command: str | Sequence[str], *, sensitive: bool = True) -> Secret:
        """What a command prints, less one newline at its end. No shell runs it; a string is split as one would."""
        arguments = shlex.split(command) if isinstance(command, str) else list(command)
        if not arguments:
            raise InvalidInputError("Secret.from_command needs a command: got an empty one")

        def read() -> bytes:
            try:
                done = subprocess.run(arguments, capture_output=True, timeout=_COMMAND_TIMEOUT, check=False)
            except OSError as error:
                raise _UnavailableError(f"the command {arguments[0]} can't be run: {error.strerror}") from None
            except subprocess.TimeoutExpired:
                raise _UnavailableError(f"the command {arguments[0]} took over {_COMMAND_TIMEOUT} s") from None
            if done.returncode:
                # What it printed may hold the value, so it is not shown.
                raise _UnavailableError(f"the command {arguments[0]} exited with status {done.returncode}")
            return done.stdout.removesuffix(b"\n").removesuffix(b"\r")

        return cls("command", f"command {arguments[0]}", sensitive, _read=read)

    @classmethod
    def from_dotenv(cls, path: str | os.PathLike[str], *, sensitive: bool = True) -> dict[str, Secret]:
        """One secret for each variable of a dotenv file. The names are read now, the values when they are needed.

        Raises:
            SecretSourceError: the file is missing, unreadable or not a dotenv file.
        """
        resolved = Path(path).expanduser()
        return {
            name: cls(
                "file",
                f"{name} in {path}",
                sensitive,
                path=resolved,
                _read=lambda name=name: _load(path)[name],  # type: ignore[misc]
            )
            for name in _names(path)
        }

    def with_earlier(self, values: Sequence[str | bytes | Secret]) -> Secret:
        """The same, with former values that must not be in the image either."""
        return replace(self, _earlier=(*self._earlier, *values))

    def resolve(self, name: str) -> SecretValue:
        """Reads the value.

        Raises:
            SecretSourceError: the source is missing, unreadable or empty; names the secret and the source.
        """
        earlier = []
        for item in self._earlier:
            earlier.append(item.resolve(name).reveal() if isinstance(item, Secret) else _encode(item))
        try:
            value = self._read()
        except _UnavailableError as error:
            raise SecretSourceError(f"secret {name!r}: {error}") from None
        if not value.strip():
            raise SecretSourceError(f"secret {name!r}: {self.source} is empty; give it a value, or drop the secret")
        return SecretValue(name, value, sensitive=self.sensitive, earlier=earlier)

    def __repr__(self) -> str:
        return f"Secret({self.source})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret can't be pickled: its value would be in the pickle, or its source elsewhere")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


class _UnavailableError(Exception):
    """A source has no value, with the reason; becomes a SecretSourceError that names the secret."""


def resolve_secrets(secrets: Mapping[str, str | bytes | Secret | SecretValue]) -> dict[str, SecretValue]:
    """Reads every value, or says in one error what is wrong with each source that has none.

    A string is a literal, but `"$NAME"` is a reference to a secret store, and `"$$NAME"` the text `$NAME`.

    Raises:
        InvalidInputError: a reference, as there is no store; lists all of them.
        SecretSourceError: sources that are missing, unreadable or empty.
    """
    references = [name for name, value in secrets.items() if isinstance(value, str) and _REFERENCE.fullmatch(value)]
    if references:
        listed = ", ".join(f"{name} ({secrets[name]!s})" for name in references)
        raise InvalidInputError(
            f"references to a secret store, which is not there yet: {listed}. "
            'Use Secret.from_env("NAME") or another source; a literal that begins with $ is written "$$NAME"'
        )
    values: dict[str, SecretValue] = {}
    problems = []
    for name, given in secrets.items():
        if isinstance(given, SecretValue):
            values[name] = given
            continue
        try:
            values[name] = as_secret(given).resolve(name)
        except SecretSourceError as error:
            problems.append(str(error))
    if problems:
        raise SecretSourceError("\n".join(problems))
    return values


def as_secret(given: str | bytes | Secret) -> Secret:
    """A secret as users give it: a literal becomes one."""
    if isinstance(given, Secret):
        return given
    if isinstance(given, str) and given.startswith("$$") and _REFERENCE.fullmatch(given[1:]):
        given = given[1:]
    return Secret.from_value(given)


def _load(path: str | os.PathLike[str]) -> dict[str, bytes]:
    try:
        data = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise _UnavailableError(f"the file {path} can't be read: {error.strerror}") from None
    try:
        return dotenv.parse(data)
    except dotenv.DotenvError as error:
        raise _UnavailableError(f"the file {path} is not a dotenv file: line {error.line}") from None


def _names(path: str | os.PathLike[str]) -> list[str]:
    try:
        return list(_load(path))
    except _UnavailableError as error:
        raise SecretSourceError(f"dotenv secrets: {error}") from None


def _encode(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
