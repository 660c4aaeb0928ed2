"""This user's state directory, and the build key in it, without which nobody can test a guess against a value's tag.

The key is `CONTAINER_IMAGE_BUILD_KEY`, or a file in the state directory that is made once. Each use has a key of its
own.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Collection, Iterator
from pathlib import Path

import platformdirs

from container_image import private
from container_image.errors import InvalidInputError

VARIABLE = "CONTAINER_IMAGE_BUILD_KEY"
STORE_KEY = "CONTAINER_IMAGE_KEY"
STORE = "CONTAINER_IMAGE_STORE"
PRIVATE = frozenset({VARIABLE, STORE_KEY, STORE})
"""Variables that no child process inherits: the keys, and the store's URL, which may hold a password."""

_MIN_LENGTH = 16
_KEY_LENGTH = 32


def inherited(hidden: Collection[str | None] = ()) -> dict[str, str]:
    """The variables of this process that a child gets: none of the private ones, nor of those that are `hidden`."""
    return {name: value for name, value in os.environ.items() if name not in PRIVATE and name not in hidden}


def state_directory(name: str = "") -> Path:
    """This user's state directory, or a directory of that name in it. It is made on first use, and private (0700).

    Raises:
        InvalidInputError: it can't be made; or it is another user's, a link, or no directory.
    """
    path = Path(platformdirs.user_state_dir("container-image"))
    try:
        private.make_directory(path)
        return private.make_directory(path / name) if name else path
    except OSError as error:
        raise InvalidInputError(
            f"{error.filename}: the state directory can't be used: {error.strerror}; remove it, or set XDG_STATE_HOME to another directory"
        ) from None


@contextlib.contextmanager
def state_errors() -> Iterator[None]:
    """Raises an OSError about a file in the state directory as an InvalidInputError that names the file."""
    try:
        yield
    except OSError as error:
        raise InvalidInputError(
            f"{error.filename}: this file of the state directory can't be used: {error.strerror}; remove it, or set XDG_STATE_HOME to another directory"
        ) from None


def build_key() -> bytes:
    """The build key: the variable's, else the file's, which is made on first use.

    Raises:
        InvalidInputError: the variable or the file is too short to keep anything secret; or the file is not private.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        if len(given) < _MIN_LENGTH:
            raise InvalidInputError(f"{VARIABLE} has fewer than {_MIN_LENGTH} characters; set it to a long random text")
        return hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    path = state_directory() / "build.key"
    try:
        with contextlib.suppress(FileNotFoundError):
            return _key(path)
        private.write_new(path, secrets.token_bytes(_KEY_LENGTH))
        return _key(path)
    except OSError as error:
        raise InvalidInputError(
            f"{path}: the build key can't be used: {error.strerror}; remove it, and a new one is made, or set {VARIABLE}"
        ) from None


def _key(path: Path) -> bytes:
    # A key that others could read is no key any more: changing its mode would not help.
    key = private.read(path, mend=False)
    if len(key) < _KEY_LENGTH:
        raise InvalidInputError(
            f"{path}: the build key keeps nothing secret: it has fewer than {_KEY_LENGTH} bytes; remove it, and a new one is made"
        )
    return key


def derive(key: bytes, purpose: str) -> bytes:
    """The key for one purpose."""
    return hmac.digest(key, purpose.encode(), "sha256")
