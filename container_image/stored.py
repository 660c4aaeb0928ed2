"""Secrets of the store that a declaration names, read all at once, of the build's environment unless it says another."""

from __future__ import annotations

from collections.abc import Mapping

from container_image.errors import UnknownSecretError
from container_image.secrets import SecretValue, StoredName


def from_store(references: Mapping[str, StoredName], environment: str | None = None) -> dict[str, SecretValue]:
    """The values, by the names that they are declared under. `environment` None is `CONTAINER_IMAGE_ENV`, else `main`.

    Raises:
        UnknownSecretError: some are not there; lists all that aren't, each with the command that sets it.
    """
    # Here, so that whoever names no secret of the store does not wait for its libraries.
    from container_image.store import SecretStore

    secrets = SecretStore.open().secrets
    values: dict[str, SecretValue] = {}
    problems: list[str] = []
    unknown: list[str] = []
    for place in dict.fromkeys(item.environment or environment for item in references.values()):
        asked = {id_: item for id_, item in references.items() if (item.environment or environment) == place}
        missing = set(secrets.missing([item.name for item in asked.values()], place))
        problems += [
            f"secret {id_!r}: the store has none of the name that follows the $; a literal that begins with $ is written $$"
            for id_, item in asked.items()
            if item.name in missing and not item.showable
        ]
        try:
            found = secrets.reveal(
                place,
                list(dict.fromkeys(item.name for item in asked.values() if item.showable or item.name not in missing)),
            )
        except UnknownSecretError as error:
            problems.append(str(error))
            unknown += error.names
            continue
        values |= {id_: found[item.name].value for id_, item in asked.items() if item.name in found}
    if problems:
        raise UnknownSecretError("\n".join(problems), unknown)
    return values
