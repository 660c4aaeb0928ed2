"""The environments of a store: made, listed and deleted, and their keys."""

from __future__ import annotations

from collections.abc import Sequence

from container_image.errors import InvalidInputError
from container_image.seal import Key, key_text
from container_image.store.model import EnvironmentInfo
from container_image.store.names import MAIN, environment_name, unknown_environment
from container_image.store.opened import OpenEnvironment
from container_image.store.session import Access, parse_time, reading, writing


class Environments:
    """The environments of a store, as `store.environments`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def create(self, name: str, description: str | None = None) -> EnvironmentInfo:
        """Adds an environment.

        Raises:
            InvalidInputError: no such name, or there is one of that name.
        """
        meant = environment_name(name)
        with writing(self._access) as session:
            session.owner_key("makes no other")
            if meant in session.ids:
                raise InvalidInputError(f"there is an environment {meant!r} already; choose another name")
            session.create(meant, description or None)
            session.note("create", meant)
            return _described(session.environment(meant))

    def list(self) -> Sequence[EnvironmentInfo]:
        """The environments that the key opens, `main` first."""
        with reading(self._access) as session:
            if session is None:
                return [EnvironmentInfo(MAIN, None, True, None)]
            return [_described(session.environment(name)) for name in sorted(session.ids, key=_main_first)]

    def with_secrets(self) -> Sequence[str]:
        """The names of all environments that have secrets, `main` first.

        Raises:
            StoreKeyError: the key opens one environment alone, so that not all can be told.
        """
        with reading(self._access) as session:
            if session is None:
                return []
            session.owner_key("does not open every environment")
            return [name for name in sorted(session.ids, key=_main_first) if session.environment(name).head.secrets]

    def delete(self, name: str) -> None:
        """Removes an environment with its secrets.

        Raises:
            InvalidInputError: it is `main`, or there is none of that name.
        """
        meant = environment_name(name)
        if meant == MAIN:
            raise InvalidInputError(f"the environment {MAIN!r} stays; `container-image secrets unset` empties it")
        with reading(self._access) as there:
            if there is None:
                raise unknown_environment(meant, [MAIN])
        with writing(self._access) as session:
            session.owner_key("removes none")
            if meant not in session.ids:
                raise unknown_environment(meant, session.ids)
            session.delete(meant)
            session.note("delete", meant)

    def key(self, name: str) -> str:
        """The environment's own key, which opens it and no other: what its CI gets as `CONTAINER_IMAGE_KEY`."""
        meant = environment_name(name)
        with reading(self._access) as there:
            if there is None:
                raise (
                    unknown_environment(meant, [MAIN])
                    if meant != MAIN
                    else InvalidInputError(
                        "there is no store yet, so no key; the first `container-image secrets set` makes both"
                    )
                )
        with writing(self._access) as session:
            opened = session.environment(meant)
            session.note("key", meant)
            return key_text(Key(meant, opened.key))


def _main_first(name: str) -> tuple[bool, str]:
    return name != MAIN, name


def _described(environment: OpenEnvironment) -> EnvironmentInfo:
    return EnvironmentInfo(
        environment.name, environment.description, environment.name == MAIN, parse_time(environment.created_at)
    )
