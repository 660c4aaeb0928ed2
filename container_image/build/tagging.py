"""Gives each secret mount an id that carries a keyed tag of its value.

BuildKit takes two builds of one Dockerfile for the same, whatever their secrets hold: the second gets what the first
one's value made. With the tag in the id, a changed value rebuilds the steps that mount it, and no other. The tag is an
HMAC, because the id is in the provenance, where a plain hash could be guessed at.
"""

from __future__ import annotations

import hmac
import posixpath
import re
from collections import defaultdict
from collections.abc import Mapping
from operator import itemgetter

from container_image.dockerfile import Mount, cache_mounts, parse, secret_mounts
from container_image.secrets import SecretValue
from container_image.state import derive

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
    """The Dockerfile with tagged ids; its lines are those of the original, as something is only ever added to them.

    A mount without a target or variable gets the target that its plain id would have given. A cache mount beside a
    secret is tagged too, as what the step writes there may hold the value.
    """
    dockerfile = parse(text)
    additions: list[tuple[int, str]] = []
    steps: defaultdict[int, set[str]] = defaultdict(set)
    for mount in secret_mounts(dockerfile):
        name = mount.effective_id
        if name is None or ids.get(name, name) == name:
            continue
        additions.append(_retag(mount, name, ids[name].removeprefix(name)))
        if not mount.target and mount.env is None:
            additions.append((mount.end, "," + _field("target", _target(name))))
        steps[mount.instruction.line].add(ids[name].rsplit("-", 1)[-1])
    for mount in cache_mounts(dockerfile):
        if step := steps.get(mount.instruction.line):
            default = posixpath.normpath(mount.target or "/")
            additions.append(_retag(mount, default, "-" + "-".join(sorted(step))))
    parts, done = [], 0
    for offset, addition in sorted(additions, key=itemgetter(0)):
        parts += [text[done:offset], addition]
        done = offset
    return "".join([*parts, text[done:]])


def _retag(mount: Mount, default: str, suffix: str) -> tuple[int, str]:
    """What to write where, so that the mount's id, which is `default` if it has none, ends in `suffix`."""
    if mount.id_end is not None:
        return mount.id_end, suffix
    return mount.end, "," + _field("id", default + suffix)


def _field(key: str, value: str) -> str:
    """A field of a mount: first a CSV field, then escaped as a Dockerfile's flags are, inside quotes or not."""
    field = f"{key}={value}"
    if re.search('[,"]', field):
        field = '"' + field.replace('"', '""') + '"'
    return re.sub(r"""([\s'"\\])""", r"\\\1", field)


def _target(name: str) -> str:
    return f"/run/secrets/{posixpath.basename(name)}"


def restore(text: str, ids: Mapping[str, str]) -> str:
    """A message of BuildKit's as the author of the Dockerfile knows it: plain ids, no target of ours."""
    for name, identifier in ids.items():
        if identifier != name and identifier in text:
            ours = re.escape("," + _field("target", _target(name)))
            text = re.sub(rf"({re.escape(identifier)}[^\s]*?){ours}", r"\1", text).replace(identifier, name)
    return text
