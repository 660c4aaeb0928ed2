"""A secret's value in memory: bytes that never print."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn, final

from container_image.errors import InvalidInputError
from container_image.shown import quoted

MAX_SIZE = 500 * 1024
"""Bytes that BuildKit takes as one secret, at most."""


Public = Literal["declared public", "public by key"]


@dataclass(frozen=True, slots=True)
class Stored:
    """Where in the store a value is: its environment, its name there, and the number of its version.

    `environment_id` tells environments of one name apart: of other stores, and of former times.
    """

    environment: str
    environment_id: str
    name: str
    version: int


def labelled(name: str, environment: str | None) -> str:
    """A secret's name for people, with the environment of the store that it is from."""
    return name if environment is None else f"{name} of {environment}"


@final
class SecretValue:
    """A named value. Only `reveal()` gives the bytes.

    `repr`, `str` and `format` give `Secret('NAME')`; json and pickle raise TypeError; comparison takes constant time.
    `earlier` holds former values, which must not be in an image either. One that is `public` (a CA bundle, say) is mounted,
    and not searched for: that is why. `stored` says where in the store it is, None where it is not from there. With a
    `cache_scope`, steps that mount it stay in the build cache when the value changes.
    """

    __slots__ = ("_value", "cache_scope", "earlier", "name", "public", "stored")

    def __init__(
        self,
        name: str,
        value: bytes,
        *,
        sensitive: bool = True,
        earlier: Sequence[bytes] = (),
        stored: Stored | None = None,
        cache_scope: str | None = None,
    ) -> None:
        if not all(isinstance(item, bytes) for item in (value, *earlier)):
            raise InvalidInputError(f"secret {quoted(name)}: its values are bytes; give text as text.encode()")
        self.name = name
        self._value = value
        self.public: Public | None = None if sensitive else "declared public"
        self.earlier = tuple(earlier)
        self.stored = stored
        self.cache_scope = cache_scope

    @property
    def sensitive(self) -> bool:
        """Whether it must be in no image."""
        return self.public is None

    @property
    def environment(self) -> str | None:
        """The environment of the store that it is from."""
        return None if self.stored is None else self.stored.environment

    @property
    def label(self) -> str:
        """Its name, and the environment of the store that it is from."""
        return labelled(self.name, self.environment)

    def replaced(
        self,
        *,
        name: str | None = None,
        earlier: Sequence[bytes] | None = None,
        cache_scope: str | None = None,
        public: Public | None = None,
    ) -> SecretValue:
        """The same value under another name, with other former values, in another cache scope, or as a public one."""
        made = SecretValue(
            self.name if name is None else name,
            self._value,
            earlier=self.earlier if earlier is None else earlier,
            stored=self.stored,
            cache_scope=self.cache_scope if cache_scope is None else cache_scope,
        )
        made.public = public or self.public
        return made

    def reveal(self) -> bytes:
        """The value itself."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return f"Secret({quoted(self.name)})"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"the value of secret {quoted(self.name)} can't be pickled or copied")
