"""Names in the store: which environment is meant, and what is near to a name that is not there."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable

from container_image.errors import InvalidInputError, UnknownEnvironmentError, UnknownSecretError
from container_image.near import did_you_mean
from container_image.shown import quoted, shown

MAIN = "main"
"""The environment that every store has."""

VARIABLE = "CONTAINER_IMAGE_ENV"

_LISTED = 20

_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def environment_name(given: str | None) -> str:
    """The environment that is meant: the one given, else the variable's, else `main`.

    Raises:
        InvalidInputError: it can't be the name of one; it is not repeated, as it may be a value in the wrong place.
    """
    name = given if given is not None else os.environ.get(VARIABLE) or MAIN
    if "=" in name:
        raise InvalidInputError(
            "--env names an environment, and what was given holds a `=`; a variable for a container is given with -e NAME=VALUE, for a build with --build-arg NAME=VALUE"
        )
    if not _ENVIRONMENT.fullmatch(name):
        where = "" if given is not None else f" in {VARIABLE}"
        raise InvalidInputError(
            f"an environment's name has letters, digits, - and _, and 63 characters at most; what was given as one{where} has others"
        )
    return name


def unknown_environment(name: str, known: Iterable[str]) -> UnknownEnvironmentError:
    """The error of a name that no environment has."""
    listed = sorted(known)
    return UnknownEnvironmentError(
        f"there is no environment {quoted(name)}{did_you_mean(name, listed)}; there are: {', '.join(listed)}. "
        f"`container-image environments create {shown(name, 'NAME')}` makes one"
    )


def unknown_secrets(names: Iterable[str], environment: str, known: Collection[str]) -> UnknownSecretError:
    """The error of names that an environment lacks, with the command that sets each."""
    missing = tuple(names)
    lines = [
        f"there is no secret {quoted(name)} in the environment {environment!r}{_nearest_or_all(name, known)}; "
        f"set it with: {set_command(shown(name, 'NAME'), environment)}"
        for name in missing
    ]
    return UnknownSecretError("\n".join(lines), missing)


def set_command(name: str, environment: str) -> str:
    """The command that sets a secret, asking for its value."""
    return f"container-image secrets set {name} --env {environment}"


def _nearest_or_all(name: str, known: Collection[str]) -> str:
    """The names that a misspelled one is near to; where there are none, the names that there are."""
    if (hint := did_you_mean(name, known)) or not known:
        return hint
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f" (there are: {', '.join(sorted(known)[:_LISTED])}{more})"
