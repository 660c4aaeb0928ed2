"""A secret's value in memory: bytes that never print."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import NoReturn, final

from container_image.errors import InvalidInputError

MAX_SIZE = 500 * 1024
"""Bytes that BuildKit takes as one secret, at most."""


@final
class SecretValue:
    """A named value. Only `reveal()` gives the bytes.

    `repr`, `str` and `format` give `Secret('NAME')`; json and pickle raise TypeError; comparison takes constant time.
    `earlier` holds former values, which must not be in an image either; a value that is not `sensitive` (a CA bundle,
    say) is mounted, and not searched for.
    """

    __slots__ = ("_value", "earlier", "name", "sensitive")

    def __init__(self, name: str, value: bytes, *, sensitive: bool = True, earlier: Sequence[bytes] = ()) -> None:
        if not all(isinstance(item, bytes) for item in (value, *earlier)):
            raise InvalidInputError(f"secret {name!r}: its values are bytes; give text as text.encode()")
        self.name = name
        self._value = value
        self.sensitive = sensitive
        self.earlier = tuple(earlier)

    def reveal(self) -> bytes:
        """The value itself."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"the value of secret {self.name!r} can't be pickled or copied")
