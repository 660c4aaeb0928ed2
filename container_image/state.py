"""What outlives a build: this user's state directory, and the build key, which keeps tags of values from being guessed.

The key is `CONTAINER_IMAGE_BUILD_KEY`, or a file in the state directory that is made once. Each use has a key of its
own.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Collection
from pathlib import Path

import platformdirs

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
    """Where this user's state is kept, or a directory of that name in it; made on first use, for this user alone.

    Raises:
        InvalidInputError: it can't be made.
    """
    path = Path(platformdirs.user_state_dir("container-image"), name)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"{path}: the state directory can't be made: {error.strerror}; set XDG_STATE_HOME to a directory that can"
        ) from None
    return path


def build_key() -> bytes:
    """The key: the variable's, else the file's.

    Raises:
        InvalidInputError: the variable, or the file, is too short to keep anything secret; or others can read the file.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        if len(given) < _MIN_LENGTH:
            raise InvalidInputError(f"{VARIABLE} has fewer than {_MIN_LENGTH} characters; set it to a long random text")
        return hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    path = state_directory() / "build.key"
    if path.exists():
        return _read(path)
    # Written whole under another name and then linked, so that two processes that start at once get one key.
    draft = path.with_name(f"build.key.{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    try:
        draft.write_bytes(secrets.token_bytes(_KEY_LENGTH))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return _read(path)


def _read(path: Path) -> bytes:
    try:
        key = path.read_bytes()
        shared = path.stat().st_mode & 0o077
    except OSError as error:
        raise InvalidInputError(
            f"{path}: the build key can't be read: {error.strerror}; remove it, or set {VARIABLE}"
        ) from None
    if len(key) < _KEY_LENGTH or shared:
        reason = "others can read it" if shared else f"it has fewer than {_KEY_LENGTH} bytes"
        raise InvalidInputError(
            f"{path}: the build key keeps nothing secret: {reason}; remove it, and a new one is made"
        )
    return key


def derive(key: bytes, purpose: str) -> bytes:
    """The key for one purpose."""
    return hmac.digest(key, purpose.encode(), "sha256")
