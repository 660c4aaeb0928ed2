"""Where the key of a store is: `CONTAINER_IMAGE_KEY`, else a file of this user's alone, else the system's keyring."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import platformdirs

from container_image import private
from container_image.errors import StoreKeyError
from container_image.seal import Key, key_text, new_key, parse_key
from container_image.state import STORE_KEY as VARIABLE

_SERVICE = "container-image"
_HINT = " (which is read where it is installed: pip install 'container-image[keyring]')"


class Place(Protocol):
    """Where a key's text can be kept."""

    def read(self) -> str | None:
        """The text; None where there is none."""

    def write(self, text: str) -> None:
        """Keeps a text, in place of one that is there."""

    def remove(self) -> None:
        """Keeps nothing any more."""


@dataclass(frozen=True)
class KeyFile:
    """A private file, written whole or not at all."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> str | None:
        try:
            # A key that others could read may be known to them: changing its mode would hide that.
            return private.read(self.path, mend=False).decode("ascii", "replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(error, "read") from None

    def write(self, text: str) -> None:
        try:
            private.make_directory(self.path.parent)
            private.write(self.path, f"{text}\n".encode("ascii"))
        except OSError as error:
            raise _unusable(error, "written") from None

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class KeyringEntry:
    """An entry of the system's keyring, where the package `keyring` is installed and finds one."""

    name: str

    def __str__(self) -> str:
        return f"the keyring's entry {_SERVICE} {self.name}"

    def read(self) -> str | None:
        try:
            import keyring
            from keyring.errors import KeyringError, NoKeyringError
        except ImportError:
            return None
        try:
            return keyring.get_password(_SERVICE, self.name)
        except NoKeyringError:
            return None
        except KeyringError as error:
            raise StoreKeyError(
                f"the system's keyring does not tell the store's key: {type(error).__name__}; unlock it, or set {VARIABLE}"
            ) from None

    def write(self, text: str) -> None:
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.set_password(_SERVICE, self.name, text)
        except KeyringError as error:
            raise StoreKeyError(f"the system's keyring does not take the store's key: {type(error).__name__}") from None

    def remove(self) -> None:
        import keyring
        from keyring.errors import KeyringError

        with contextlib.suppress(KeyringError):
            keyring.delete_password(_SERVICE, self.name)


@dataclass(frozen=True)
class Keys:
    """The places where one store's key may be, in their order.

    A rotation leaves the new key beside the old one before it is in force, under the same name with `.new`: a key is
    never in force and nowhere kept.
    """

    given: str | None
    name: str

    @classmethod
    def of(cls, store: str | None, given: str | None) -> Keys:
        """Those of the store with this id; of the default one where it is None. `given` goes before every place."""
        return cls(given, "store" if store is None else f"store-{store}")

    @property
    def file(self) -> KeyFile:
        """The file, whether it is there or not."""
        return KeyFile(platformdirs.user_config_path("container-image") / f"{self.name}.key")

    @property
    def entry(self) -> KeyringEntry:
        """The keyring's entry, whether it is there or not."""
        return KeyringEntry(self.name)

    def find(self, fits: Callable[[Key], bool], *, alone: bool) -> tuple[Key, Place | None]:
        """The key, and where it was; None for one that was given.

        A new key that is in force takes its place, where no other writer can be about (`alone`): else it might take
        that of a still newer one.

        Raises:
            StoreKeyError: there is none, or one that does not fit.
        """
        if (text := self.variable()) is not None:
            key = _parsed(text, VARIABLE)
            if not fits(key):
                raise _wrong(key, VARIABLE)
            return key, None
        for place, new in self._places():
            if (text := place.read()) is None:
                continue
            key = _parsed(text, str(place))
            if fits(key):
                return key, place
            following = new.read()
            if following is not None and fits(latest := _parsed(following, str(new))):
                if alone:
                    place.write(following.strip())
                    new.remove()
                return latest, place
            raise _wrong(key, str(place))
        raise StoreKeyError(
            f"the store is there and its key is not: set {VARIABLE}, or put the key into {self.file} (mode 600) "
            f"or {self.entry}{_HINT if importlib.util.find_spec('keyring') is None else ''}"
        )

    def variable(self) -> str | None:
        """The text that was given, or the variable's; None where there is neither."""
        return self.given if self.given is not None else os.environ.get(VARIABLE)

    def kept(self) -> str | None:
        """The name of the file or entry that holds a key; None where neither does."""
        return next((str(place) for place, _ in self._places() if place.read() is not None), None)

    def first(self) -> tuple[Key, bool]:
        """The key for a new store, and whether it has yet to be kept: the one that was given, else a new one.

        Raises:
            StoreKeyError: what was given is no owner's key.
        """
        if (text := self.variable()) is None:
            return Key(None, new_key()), True
        key = _parsed(text, VARIABLE)
        if key.environment is not None:
            raise StoreKeyError(
                f"{VARIABLE} holds the key of the environment {key.environment!r}, and there is no store yet: its owner makes it"
            )
        return key, False

    def keep(self, key: Key) -> None:
        """Writes the key of a new store to the file."""
        self.file.write(key_text(key))

    def announce(self, place: Place, key: Key) -> None:
        """Leaves a key that is about to be in force beside the one in `place`."""
        self._new(place).write(key_text(key))

    def _places(self) -> Iterator[tuple[Place, Place]]:
        for place in (self.file, self.entry):
            yield place, self._new(place)

    @staticmethod
    def _new(place: Place) -> Place:
        if isinstance(place, KeyFile):
            return KeyFile(place.path.with_name(f"{place.path.name}.new"))
        assert isinstance(place, KeyringEntry)
        return KeyringEntry(f"{place.name}.new")


def _unusable(error: OSError, done: str) -> StoreKeyError:
    return StoreKeyError(
        f"{error.filename}: the store's key can't be {done}: {error.strerror}; the key is a file of yours with mode 600, "
        f"in a directory of yours with mode 700 (chmod, chown); or set {VARIABLE}"
    )


def _parsed(text: str, where: str) -> Key:
    key = parse_key(text)
    if key is None:
        raise StoreKeyError(
            f"{where} holds no key: one is 32 bytes in base64, as `openssl rand -base64 32` prints them, or what `container-image environments key NAME` prints"
        )
    return key


def _wrong(key: Key, where: str) -> StoreKeyError:
    if key.environment is None:
        return StoreKeyError(f"the key in {where} is not this store's, or no longer; put the right one there")
    return StoreKeyError(
        f"the key in {where} is not that of this store's environment {key.environment!r}, or no longer; "
        f"its owner prints it with: container-image environments key {key.environment}"
    )
