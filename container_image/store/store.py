"""`SecretStore`: secrets in environments, named as fal's client names them."""

from __future__ import annotations

from collections.abc import Callable

from container_image.errors import InvalidInputError, StoreKeyError
from container_image.seal import Key, key_text, new_key
from container_image.store.database import Database
from container_image.store.environments import Environments
from container_image.store.log import Log
from container_image.store.secrets import Secrets
from container_image.store.session import Access, writing

KEPT = 10
"""Earlier versions that stay, unless told otherwise."""


class SecretStore:
    """Secrets in environments, encrypted. Made by `open`; each call is a transaction of its own.

    Where a method takes an environment's name, None is the one of `CONTAINER_IMAGE_ENV`, else `main`.

    Every method can raise:
        StoreError: the database can't be used; or StoreKeyError, without the right key; or StoreTamperedError, where
            what stands there is not what was written there.
    """

    def __init__(self, access: Access, keep_versions: int) -> None:
        self.secrets = Secrets(access, keep_versions)
        """The secrets."""
        self.environments = Environments(access)
        """The environments."""
        self.log = Log(access)
        """Who did what, when."""
        self._access = access

    @classmethod
    def open(
        cls,
        url: str | None = None,
        *,
        key: str | None = None,
        keep_versions: int = KEPT,
        on_made: Callable[[str], None] = lambda _: None,
    ) -> SecretStore:
        """The store that `url` names, else `CONTAINER_IMAGE_STORE`, else SQLite in the user's data directory.

        `key` goes before `CONTAINER_IMAGE_KEY`, the key file and the keyring. Nothing is made before the first write;
        `on_made` is then told where database and key are.

        Raises:
            InvalidInputError: no such URL.
        """
        if keep_versions < 0:
            raise InvalidInputError("keep_versions is the number of earlier versions that stay: 0 or more")
        return cls(Access(Database(url), key, on_made), keep_versions)

    def rotate_key(self, announce: Callable[[str], None] | None = None) -> None:
        """Seals everything under new keys. Keys of environments that were handed out open nothing any more.

        The owner's new key takes the old one's place. Where the old one was given, `announce` gets the new one, before
        it is in force.

        Raises:
            StoreKeyError: the key was given, and there is no `announce`; or it is an environment's.
        """
        with writing(self._access) as session:
            session.owner_key("can't be rotated with it")
            key = Key(None, new_key())
            if session.place is not None:
                session.keys.announce(session.place, key)
            elif announce is not None:
                announce(key_text(key))
            else:
                raise StoreKeyError(
                    "the key was given, so the new one has no place to go to: pass rotate_key a function"
                )
            session.rotate(key)
            session.note("rotate-key")
        if session.place is not None:
            # The next writer, which this is, puts the new key in its place.
            with writing(self._access):
                pass

    def __repr__(self) -> str:
        return f"SecretStore({str(self._access.database)!r})"
