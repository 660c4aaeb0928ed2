"""Where a secret's value comes from: declared early, read only when a build or an audit needs it."""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import shlex
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NoReturn

from container_image.errors import InvalidInputError, SecretSourceError, UnknownSecretError
from container_image.secrets.names import is_secret_name, secret_name
from container_image.secrets.value import MAX_SIZE, SecretValue
from container_image.shown import HIDDEN, is_name, quoted, shown
from container_image.state import inherited

Kind = Literal["value", "env", "file", "command", "store"]

_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)
# How a secret's name is written that is no password.
_USUAL = re.compile(r"[A-Z][A-Z0-9_]*")
_SCOPE = re.compile(r"[A-Za-z0-9._/-]{1,255}")
_COMMAND_TIMEOUT = 60


@dataclass(frozen=True)
class StoredName:
    """A secret of the store. `environment` None is the build's.

    Not `showable` is a name that may be no name: what follows the dollar of a string may be a password.
    """

    name: str
    environment: str | None = None
    showable: bool = True


@dataclass(frozen=True, repr=False, eq=False)
class Secret:
    """Where a value comes from. Made by one of the `from_…` class methods; `resolve` reads it.

    One that is not `sensitive` is mounted, and not searched for. With a `cache_scope`, the steps that mount it stay in the
    build cache when its value changes, as a short-lived token's does; each scope has results of its own.

    >>> Secret.from_env("PIP_TOKEN")
    Secret(variable PIP_TOKEN)
    >>> Secret.from_value("hunter2-hunter2")
    Secret(a literal value)
    """

    kind: Kind
    source: str
    sensitive: bool = True
    cache_scope: str | None = None
    variable: str | None = None
    path: Path | None = None
    stored: StoredName | None = None
    _read: Callable[[], bytes] = bytes
    _earlier: tuple[Secret, ...] = ()

    def __post_init__(self) -> None:
        if self.cache_scope is not None:
            checked_scope(self.cache_scope)

    @classmethod
    def from_value(cls, value: str | bytes, *, sensitive: bool = True, cache_scope: str | None = None) -> Secret:
        """A literal. Prefer another source: a literal in code is in that code's history."""
        data = _encode(value)
        return cls("value", "a literal value", sensitive, cache_scope, _read=lambda: data)

    @classmethod
    def from_env(cls, variable: str, *, sensitive: bool = True, cache_scope: str | None = None) -> Secret:
        """The environment variable of that name."""

        def read() -> bytes:
            value = os.environ.get(variable)
            if value is None:
                raise _UnavailableError(_not_set(variable))
            return os.fsencode(value)

        return cls("env", f"variable {shown(variable)}", sensitive, cache_scope, variable=variable, _read=read)

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, sensitive: bool = True, cache_scope: str | None = None
    ) -> Secret:
        """The bytes of a file; `~` is the home directory."""
        resolved = _expanded(path)
        return cls(
            "file", f"file {shown(path)}", sensitive, cache_scope, path=resolved, _read=lambda: _contents(resolved)
        )

    @classmethod
    def from_command(
        cls, command: str | Sequence[str], *, sensitive: bool = True, cache_scope: str | None = None
    ) -> Secret:
        """What a command prints, less one newline at its end. No shell runs it; a string is split as one would.

        It inherits the environment, but neither the build key nor the store's key and URL.
        """
        try:
            arguments = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError:
            raise InvalidInputError("Secret.from_command: a quote is not closed; close it, or give a list") from None
        if not arguments:
            raise InvalidInputError("Secret.from_command needs a command: got an empty one")

        program = shown(arguments[0])

        def read() -> bytes:
            try:
                done = subprocess.run(
                    arguments, capture_output=True, env=inherited(), timeout=_COMMAND_TIMEOUT, check=False
                )
            except (OSError, ValueError) as error:
                raise _UnavailableError(f"the command {program} can't be run: {_reason(error)}") from None
            except subprocess.TimeoutExpired:
                raise _UnavailableError(f"the command {program} took over {_COMMAND_TIMEOUT} s") from None
            if done.returncode:
                # What it printed may hold the value, so it is not shown.
                raise _UnavailableError(f"the command {program} exited with status {done.returncode}")
            return done.stdout.removesuffix(b"\n").removesuffix(b"\r")

        return cls("command", f"command {program}", sensitive, cache_scope, _read=read)

    @classmethod
    def from_dotenv(
        cls, path: str | os.PathLike[str], *, sensitive: bool = True, cache_scope: str | None = None
    ) -> dict[str, Secret]:
        """One secret for each variable of a dotenv file that has a value.

        The names are read now, the values when they are needed, as python-dotenv reads them.

        Raises:
            SecretSourceError: the file is missing, unreadable or not a dotenv file.
        """
        resolved = _expanded(path)
        try:
            names = list(_variables(resolved))
        except _UnavailableError as error:
            raise SecretSourceError(f"dotenv secrets: {error}") from None

        def reader(name: str) -> Callable[[], bytes]:
            return lambda: _variable(resolved, name)

        return {
            name: cls(
                "file", f"{shown(name)} in {shown(path)}", sensitive, cache_scope, path=resolved, _read=reader(name)
            )
            for name in names
        }

    @classmethod
    def from_name(
        cls, name: str, environment: str | None = None, *, sensitive: bool = True, cache_scope: str | None = None
    ) -> Secret:
        """A secret of the store, with its earlier versions; of the build's environment, unless one is named.

        Raises:
            InvalidInputError: no secret of the store can have that name.
        """
        where = "the store" if environment is None else f"the store's environment {shown(environment)}"
        return cls(
            "store",
            f"{shown(name)} in {where}",
            sensitive,
            cache_scope,
            stored=StoredName(secret_name(name), environment),
            _read=_not_read,
        )

    def with_earlier(self, values: Sequence[str | bytes | Secret]) -> Secret:
        """The same, with former values that must not be in the image either."""
        if isinstance(values, str | bytes):
            raise InvalidInputError("with_earlier takes a list of values; put a single one into a list too")
        earlier = [value if isinstance(value, Secret) else Secret.from_value(value) for value in values]
        return replace(self, _earlier=(*self._earlier, *earlier))

    def resolve(self, name: str) -> SecretValue:
        """Reads the value.

        Raises:
            SecretSourceError: the source is missing, unreadable or empty; names the secret and the source.
        """
        earlier = [item.resolve(name).reveal() for item in self._earlier]
        try:
            value = self._read()
        except _UnavailableError as error:
            raise SecretSourceError(f"secret {quoted(name)}: {error}") from None
        if not value.strip():
            what = "its value" if self.kind == "value" else self.source
            raise SecretSourceError(f"secret {quoted(name)}: {what} is empty; give it a value, or leave the secret out")
        return SecretValue(name, value, sensitive=self.sensitive, earlier=earlier, cache_scope=self.cache_scope)

    def resolve_as(self, name: str, found: SecretValue) -> SecretValue:
        """The value that the store has for it, with what is said here of it."""
        earlier = [item.resolve(name).reveal() for item in self._earlier]
        return SecretValue(
            name, found.reveal(), sensitive=self.sensitive, earlier=(*found.earlier, *earlier),
            stored=found.stored, cache_scope=self.cache_scope,
        )  # fmt: skip

    def __eq__(self, other: object) -> bool:
        """Whether both come from the same place, or are the same literal; nothing is read to find out."""
        if not isinstance(other, Secret):
            return NotImplemented
        if self._place() != other._place():
            return False
        if self.kind == "value":
            return hmac.compare_digest(self._read(), other._read())
        return self.kind != "command" or self._read is other._read

    def __hash__(self) -> int:
        return hash(self._place())

    def _place(self) -> tuple[object, ...]:
        return (
            self.kind,
            self.source,
            self.sensitive,
            self.cache_scope,
            self.variable,
            self.path,
            self.stored,
            self._earlier,
        )

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


Lookup = Callable[[Mapping[str, StoredName]], Mapping[str, SecretValue]]
"""Reads secrets of the store, all at once: by the names that they are declared under."""


def resolve_secrets(
    secrets: Mapping[str, str | bytes | Secret | SecretValue], lookup: Lookup | None = None
) -> dict[str, SecretValue]:
    """Reads every value, or says in one error what is wrong with each source that has none.

    Strings are read by the rules of `as_secret`; `lookup` reads the secrets of the store.

    Raises:
        InvalidInputError: not such a mapping, or a value that `as_secret` refuses; names its secret.
        SecretSourceError: sources that are missing, unreadable or empty, or secrets that the store lacks.
    """
    references = stored_names(secrets)
    values: dict[str, SecretValue] = {}
    problems = []
    given = {
        name: value if isinstance(value, SecretValue) else named_secret(name, value) for name, value in secrets.items()
    }
    found: Mapping[str, SecretValue] = {}
    unknown: tuple[str, ...] = ()
    if references and lookup is not None:
        try:
            found = lookup(references)
        except UnknownSecretError as error:
            problems.append(str(error))
            unknown = error.names
    for name, source in given.items():
        if isinstance(source, SecretValue):
            values[name] = source
        elif name not in references or lookup is None:
            try:
                values[name] = source.resolve(name)
            except SecretSourceError as error:
                problems.append(str(error))
        elif name in found:
            values[name] = source.resolve_as(name, found[name])
    if problems:
        text = "\n".join(problems)
        raise UnknownSecretError(text, unknown) if unknown else SecretSourceError(text)
    return values


def stored_names(secrets: Mapping[str, str | bytes | Secret | SecretValue]) -> dict[str, StoredName]:
    """The secrets of the store among these, by the names that they are declared under.

    Raises:
        InvalidInputError: not such a mapping, or a value that `as_secret` refuses; names its secret.
    """
    if not isinstance(secrets, Mapping):
        raise InvalidInputError(f"secrets are given by name, as in {{'TOKEN': …}}; got a {type(secrets).__name__}")
    sources = {name: named_secret(name, given) for name, given in secrets.items() if isinstance(given, str | Secret)}
    return {name: source.stored for name, source in sources.items() if source.stored is not None}


def named_secret(name: str, given: str | bytes | Secret) -> Secret:
    """Does what `as_secret` does; its errors name the secret.

    Raises:
        InvalidInputError: `as_secret` refuses the value.
    """
    try:
        return as_secret(given)
    except InvalidInputError as error:
        raise InvalidInputError(f"secret {quoted(name)}: {error}") from None


def _not_read() -> bytes:
    raise _UnavailableError("it is in the store, which is read for a build or an audit only")


def checked_scope(text: str) -> str:
    """The name of a cache scope.

    Raises:
        InvalidInputError: it is none; it is not repeated, as it may be a value in the wrong place.
    """
    if not isinstance(text, str) or not _SCOPE.fullmatch(text):
        raise InvalidInputError(
            "a cache scope has letters, digits, and . _ - / only, and 255 of them at most; what was given as one has others"
        )
    return text


def as_secret(given: str | bytes | Secret) -> Secret:
    """A secret as users write it.

    `"$NAME"` and `"${NAME}"` are the store's secret NAME. `$$` at the start of a string stands for one literal `$`.
    Every other string is a literal, unless it begins with `$`. Bytes are always a literal.

    >>> as_secret("${PIP_TOKEN}").stored
    StoredName(name='PIP_TOKEN', environment=None, showable=True)
    >>> as_secret("$$5-off").resolve("CODE").reveal()
    b'$5-off'

    Raises:
        InvalidInputError: the string begins with `$` and is no reference. The message does not repeat the string,
            which may be a password.
    """
    if isinstance(given, Secret):
        return given
    if not isinstance(given, str) or not given.startswith("$"):
        return Secret.from_value(given)
    if given.startswith("$$"):
        return Secret.from_value(given[1:])
    match = _REFERENCE.fullmatch(given)
    name = (match[1] or match[2]) if match else ""
    if not is_secret_name(name):
        raise InvalidInputError(
            "its value begins with $ and is no name of a secret; write $$ in the place of that $ for a literal, "
            "or $NAME alone for the store's secret NAME"
        )
    return Secret("store", "the store", stored=StoredName(name, showable=bool(_USUAL.fullmatch(name))), _read=_not_read)


def as_written(literal: str) -> str:
    """The string that `as_secret` reads as this literal."""
    return f"${literal}" if literal.startswith("$") else literal


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file or a pipe; `~` is the home directory.

    Raises:
        SecretSourceError: it can't be read, or has more bytes than a secret.
    """
    try:
        return _contents(_expanded(path))
    except _UnavailableError as error:
        raise SecretSourceError(str(error)) from None


def _expanded(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InvalidInputError(f"{shown(path)}: there is no such user's home directory; write the path out") from None


def _contents(path: Path) -> bytes:
    """The bytes of a file or a pipe, read once; a device may have no end, so it is refused."""
    try:
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise _UnavailableError(f"the file {shown(path)} can't be read: it is neither a file nor a pipe")
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        raise _UnavailableError(f"the file {shown(path)} can't be read: {_reason(error)}") from None
    if len(data) > MAX_SIZE:
        raise _UnavailableError(f"the file {shown(path)} is too large; a secret has {MAX_SIZE} bytes at most")
    return data


def _variables(path: Path) -> dict[str, bytes]:
    # Here, so that python-dotenv is imported by those alone who read such a file.
    from container_image.secrets import dotenv

    data = _contents(path)
    try:
        return dotenv.parse(data).values
    except dotenv.DotenvError as error:
        raise _UnavailableError(f"the file {shown(path)} is not a dotenv file: {error}") from None


def _variable(path: Path, name: str) -> bytes:
    try:
        return _variables(path)[name]
    except KeyError:
        raise _UnavailableError(f"there is no {shown(name)} in {shown(path)} any more") from None


def _not_set(variable: str) -> str:
    if is_name(variable):
        return f"the variable {variable} is not set; set it, or name another source"
    return f"the variable {HIDDEN} is not set; give the name of a variable, as in env=PIP_TOKEN, not its value"


def _reason(error: OSError | ValueError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "there is a NUL character in it"


def _encode(value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise InvalidInputError(f"a value is a str or bytes; got {type(value).__name__}")
    with contextlib.suppress(UnicodeEncodeError):
        return value.encode("utf-8", "surrogateescape")
    # Python's own error holds the text.
    raise InvalidInputError("a value has half of a surrogate pair in it, which has no bytes; give bytes")
