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
from pathlib import Path

import platformdirs

from container_image.errors import InvalidInputError

VARIABLE = "CONTAINER_IMAGE_BUILD_KEY"
_MIN_LENGTH = 16


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
        InvalidInputError: the variable is too short to keep anything secret.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        if len(given) < _MIN_LENGTH:
            raise InvalidInputError(f"{VARIABLE} has fewer than {_MIN_LENGTH} characters; set it to a long random text")
        return hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
    path = state_directory() / "build.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    # Written whole under another name and then linked, so that two processes that start at once get one key.
    draft = path.with_name(f"build.key.{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    try:
        draft.write_bytes(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_bytes()


def derive(key: bytes, purpose: str) -> bytes:
    """The key for one purpose."""
    return hmac.digest(key, purpose.encode(), "sha256")
