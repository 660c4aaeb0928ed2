"""The options of one build, which are no part of the declaration: their names and types, for checkers and for errors."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from typing_extensions import TypedDict

from container_image.near import did_you_mean
from container_image.secrets import Secret, SecretValue
from container_image.stored import Environments


class BuildOptions(TypedDict, total=False):
    """The options that `ContainerImage.build`, `check` and `request` take; `request` explains them."""

    tags: Sequence[str]
    push: bool
    outputs: Sequence[str]
    secrets: Mapping[str, str | Secret | SecretValue] | None
    environment: str | None
    audit_environments: Environments
    builder: str | None
    network: str | None
    no_cache: bool
    pull: bool
    allow_unused: bool
    secret_tmpdir: str | os.PathLike[str] | None
    keep_history: bool
    forget_history: bool


def refuse_unknown(
    method: str, given: Iterable[str], own: Collection[str], request: Callable[..., object], fields: Collection[str]
) -> None:
    """Refuses options that neither the method itself nor `request`, which it passes them on to, has.

    Raises:
        TypeError: as Python has it; names the option, what is near to it, and all that there are.
    """
    parameters = inspect.signature(request).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    known = [*parameters, *own]
    for name in given:
        if name in known:
            continue
        if name in fields:
            raise TypeError(
                f"{method}() has no option {name}: it is a part of the declaration; write ContainerImage(…, {name}=…)"
            )
        raise TypeError(
            f"{method}() has no option {name}{did_you_mean(name, known)}; its options are {', '.join(known)}"
        )
