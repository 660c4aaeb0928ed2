"""dotenv files, as python-dotenv reads them, without replacing `${NAME}`."""

from __future__ import annotations

import io
from pathlib import Path

from dotenv.parser import parse_stream

from container_image.errors import InvalidInputError, SecretSourceError
from container_image.secrets import Secret
from container_image.secrets.names import is_secret_name


def read_dotenv(path: Path) -> dict[str, bytes]:
    """The variables in their order; the last of two with one name counts.

    Raises:
        SecretSourceError: the file can't be read, or holds none.
        InvalidInputError: a line that is no variable, or a name that no secret has; names the lines.
    """
    data = Secret.from_file(path).resolve(path.name).reveal().removeprefix(b"\xef\xbb\xbf")
    values: dict[str, bytes] = {}
    problems = []
    for binding in parse_stream(io.StringIO(data.decode("utf-8", "surrogateescape"))):
        line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\n"))
        if binding.error or (binding.key is not None and binding.value is None):
            problems.append(f"line {line} is not NAME=VALUE")
        elif binding.key is None:
            continue
        elif not is_secret_name(binding.key):
            # What stands there may be a value.
            problems.append(f"line {line}: its name has other characters than letters, digits and underscores")
        elif not binding.value or not binding.value.strip():
            problems.append(f"line {line}: {binding.key} has no value")
        else:
            values[binding.key] = binding.value.encode("utf-8", "surrogateescape")
    if problems:
        raise InvalidInputError(f"{path}: nothing was imported: " + "; ".join(problems))
    if not values:
        raise SecretSourceError(f"{path}: there is no variable in it")
    return values
