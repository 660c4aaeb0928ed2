"""Options that take one value: a second one is refused, where click would drop the first without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from container_image.errors import InvalidInputError

Command = TypeVar("Command", bound=Callable[..., Any])


def once(*names: str, hint: str = "give it once", **settings: Any) -> Callable[[Command], Command]:
    """`click.option` with one value at most, which is None where the option is not given.

    The same value twice is no contradiction. `hint` is the next step in the error about different ones.
    """

    def check(_context: click.Context, option: click.Parameter, given: tuple[Any, ...]) -> Any:
        if len(set(given)) > 1:
            raise InvalidInputError(f"{option.opts[0]} is given with {len(set(given))} different values; {hint}")
        return given[0] if given else None

    return click.option(*names, multiple=True, callback=check, **settings)
