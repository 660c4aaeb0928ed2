"""Gives each secret mount an id that carries a keyed tag of its value.

BuildKit takes two builds of one Dockerfile for the same, whatever their secrets hold: the second gets what the first
one's value made. With the tag in the id, a changed value rebuilds the steps that mount it, and no other. The tag is an
HMAC, because the id is in the provenance, where a plain hash could be guessed at.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

from container_image.build.key import derive
from container_image.dockerfile import Mount, cache_mounts, parse, secret_mounts
from container_image.secrets import SecretValue

RESERVED = re.compile(r"(GIT_AUTH_TOKEN|GIT_AUTH_HEADER|HTTP_AUTH_[A-Z]+)(\..+)?")
"""Ids that BuildKit itself looks up; they can't carry a tag."""


def tag(key: bytes, value: SecretValue) -> str:
    """128 bits, in hexadecimal, that only the holder of the key can test a guess against."""
    data = value.name.encode() + b"\0" + value.reveal()
    return hmac.digest(derive(key, "secret mount id"), data, "sha256")[:16].hex()


def tagged_ids(key: bytes, secrets: Mapping[str, SecretValue]) -> dict[str, str]:
    """The id that each secret is mounted under."""
    return {name: name if RESERVED.fullmatch(name) else f"{name}-{tag(key, value)}" for name, value in secrets.items()}


def rewrite(text: str, ids: Mapping[str, str]) -> str:
    """The Dockerfile with tagged ids; its lines are those of the original.

    A mount without a target or variable gets the target that its plain id would have given. A cache mount beside a
    secret is tagged too, as what the step writes there may hold the value.
    """
    dockerfile = parse(text)
    edits: list[tuple[int, int, str]] = []
    tags: dict[tuple[int, int], list[str]] = {}
    for mount in secret_mounts(dockerfile):
        name = mount.effective_id
        if name is None or name not in ids or ids[name] == name:
            continue
        place = "" if mount.target or mount.env else f",target=/run/secrets/{name.rsplit('/', 1)[-1]}"
        edits.append(_edit(text, mount, ids[name] + place))
        tags.setdefault((mount.instruction.start, mount.instruction.end), []).append(ids[name].rsplit("-", 1)[-1])
    for mount in cache_mounts(dockerfile):
        step = tags.get((mount.instruction.start, mount.instruction.end))
        if step:
            edits.append(_edit(text, mount, f"{mount.id or mount.target or ''}-{'-'.join(sorted(set(step)))}"))
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text


def _edit(text: str, mount: Mount, identifier: str) -> tuple[int, int, str]:
    if mount.id_start is not None and mount.id_end is not None:
        return mount.id_start, mount.id_end, identifier
    at = mount.flag.value_start
    if text[at : at + 1] in ("'", '"'):
        at += 1
    return at, at, f"id={identifier},"


def restore(text: str, ids: Mapping[str, str]) -> str:
    """A message of BuildKit's as the author of the Dockerfile knows it: plain ids, no target of ours."""
    for name, identifier in ids.items():
        if identifier != name:
            text = text.replace(f"{identifier},target=/run/secrets/{name.rsplit('/', 1)[-1]}", name)
            text = text.replace(identifier, name)
    return text
