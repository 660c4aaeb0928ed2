"""Sealing: AES-256-GCM under a random 96-bit nonce (NIST SP 800-38D), bound to the place that the bytes belong in.

What is bound is authenticated and not stored: the same bytes anywhere else don't open.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from typing import NamedTuple

_KEY_LENGTH = 32
_NONCE_LENGTH = 12
_LENGTH_BYTES = 4
_SMALLEST = 256


class NotSealedHereError(Exception):
    """The bytes are not what was sealed with this key for this place."""


class Key(NamedTuple):
    """An owner's key, where `environment` is None, or that environment's own."""

    environment: str | None
    key: bytes


def new_key() -> bytes:
    """32 random bytes."""
    return os.urandom(_KEY_LENGTH)


def seal(key: bytes, data: bytes, *bound: str | int) -> bytes:
    """The nonce and the ciphertext."""
    # Here, and below, so that whoever seals nothing does not wait for the library.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_LENGTH)
    return nonce + AESGCM(key).encrypt(nonce, data, _associated(bound))


def unseal(key: bytes, sealed: bytes, *bound: str | int) -> bytes:
    """What was sealed.

    Raises:
        NotSealedHereError: with another key, for another place, or changed since.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], _associated(bound))
    except (InvalidTag, ValueError):
        raise NotSealedHereError from None


def key_check(key: bytes, *bound: str | int) -> bytes:
    """What tells a key from a wrong one, and is of no help in finding it: a key is random."""
    return hmac.digest(key, b"key check" + _associated(bound), "sha256")[:16]


def pad(value: bytes) -> bytes:
    """The value with its length before it, and zeroes up to the next power of two, 256 at least."""
    size = max(_SMALLEST, 1 << (len(value) + _LENGTH_BYTES - 1).bit_length())
    return (len(value).to_bytes(_LENGTH_BYTES, "big") + value).ljust(size, b"\0")


def unpad(padded: bytes) -> bytes:
    """The value that was padded."""
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    return padded[_LENGTH_BYTES : _LENGTH_BYTES + length]


def key_text(key: Key) -> str:
    """A key in letters: base64, after the environment's name and a dot where it is an environment's."""
    text = base64.urlsafe_b64encode(key.key).decode()
    return text if key.environment is None else f"{key.environment}.{text}"


def parse_key(text: str) -> Key | None:
    """The key of such a text; None where it is none. An owner's may be what `openssl rand -base64 32` prints."""
    environment, dot, encoded = text.strip().rpartition(".")
    try:
        key = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Key(environment if dot else None, key) if len(key) == _KEY_LENGTH else None


def _associated(bound: tuple[str | int, ...]) -> bytes:
    """JSON, in which no two lists are written alike."""
    return json.dumps(["container-image store", 1, *bound]).encode()
