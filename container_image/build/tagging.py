"""Gives each secret mount an id that carries a keyed tag of its value.

BuildKit takes two builds of one Dockerfile for the same, whatever their secrets hold: the second gets what the first
one's value made. With the tag in the id, a changed value rebuilds the steps that mount it, and no other. The tag is an
HMAC, because the id is in the provenance, where a plain hash could be guessed at. (Of a secret with a cache scope it
tells the scope; `scoped.py` keeps track of the values.)

The tag is appended to the text of the id. Where that has variables, a guess at their values says which tag; BuildKit
then lists an id that is none of ours if the guess was wrong.
"""

from __future__ import annotations

import hmac
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter

from container_image.build.caches import tainted_caches
from container_image.build.scoped import scope_of
from container_image.dockerfile import Dockerfile, Instruction, Mount, Scope, expand, mounts, parse, scopes
from container_image.secrets import SecretValue
from container_image.state import derive

RESERVED = re.compile(r"(GIT_AUTH_TOKEN|GIT_AUTH_HEADER)(\..+)?|HTTP_AUTH_(TOKEN|HEADER)_.+")
"""Ids that BuildKit looks up by itself, untagged, to fetch something; what it fetched is told apart by its content."""


def tag(key: bytes, value: SecretValue) -> str:
    """128 bits, in hexadecimal, that only the holder of the key can test a guess against.

    Of a secret with a cache scope, they tell the scope, and not the value.
    """
    purpose, data = "secret mount id", value.name.encode() + b"\0" + value.reveal()
    if value.cache_scope is not None:
        purpose, data = "secret cache scope", scope_of(value).encode()
    return hmac.digest(derive(key, purpose), data, "sha256")[:16].hex()


def tagged_ids(key: bytes, secrets: Mapping[str, SecretValue]) -> dict[str, str]:
    """The id that each secret is mounted under."""
    return {name: f"{name}-{tag(key, value)}" for name, value in secrets.items()}


def untagged_ids(listed: Iterable[str], ids: Mapping[str, str]) -> dict[str, str]:
    """Of the ids that BuildKit mounts, those of our secrets that don't tell its value, with the secret's name.

    One with the tag of another secret is what a wrong guess at a variable leaves.
    """
    tagged = set(ids.values())
    suffixes = _suffixes(ids)
    names = {identifier: re.sub(f"({suffixes})$", "", identifier) for identifier in listed if identifier not in tagged}
    return {identifier: name for identifier, name in names.items() if name in ids and ids[name] != name}


def rewrite(
    text: str,
    ids: Mapping[str, str],
    *,
    target: str | None = None,
    build_args: Mapping[str, str] | None = None,
    predefined: Mapping[str, str] | None = None,
) -> str:
    """The Dockerfile with tagged ids; its lines are those of the original, as something is only ever added to them.

    A mount without a target or variable gets the target that its plain id would have given. A cache mount that may hold
    what a step made of a secret is tagged too. So is an ONBUILD, unless the `target` has it: there it is for other
    builds, and stays in the image as it is written. `predefined` are the arguments that BuildKit sets by itself.
    """
    dockerfile = parse(text)
    variables = scopes(dockerfile, build_args or {}, predefined or {})
    additions: list[tuple[int, str]] = []
    tags: defaultdict[int, set[str]] = defaultdict(set)
    mounted = {run.line: mounts(run) for run in _runs(dockerfile, target)}
    for line, found in mounted.items():
        for mount in found:
            if mount.type == "secret":
                name = _name(mount, variables[line], dockerfile.escape)
                if ids.get(name, name) != name:
                    suffix = ids[name].removeprefix(name)
                    additions.append(_retag(mount, suffix))
                    if not mount.target and mount.env is None:
                        additions.append((mount.end, "," + _field("target", _target(name))))
                    tags[line].add(suffix)
    for mount, suffixes in tainted_caches(dockerfile, mounted, variables, tags):
        additions.append(_retag(mount, "".join(suffixes)))
    parts, done = [], 0
    for offset, addition in sorted(additions, key=itemgetter(0)):
        parts += [text[done:offset], addition]
        done = offset
    return "".join([*parts, text[done:]])


def _runs(dockerfile: Dockerfile, target: str | None) -> list[Instruction]:
    """What the build runs, ONBUILDs of its own stages among it."""
    built = dockerfile.stage(target)
    kept = {item.line for item in built.instructions if item.trigger} if built is not None else set()
    return [item.run for item in dockerfile.instructions if item.run is not None and item.line not in kept]


def _name(mount: Mount, scope: Scope, escape: str) -> str:
    """The secret that a mount asks for; empty where that can't be told, or not so that an appended tag proves it."""
    if mount.id:
        return expand(mount.id, scope, escape) or ""
    name = expand(mount.default_id, scope, escape) or ""
    # The base name of the target's value is then not that of its text.
    return "" if "/" in name else name


def _retag(mount: Mount, suffix: str) -> tuple[int, str]:
    """What to write where, so that the mount's id, the default one if it has none, ends in `suffix`."""
    if mount.id_end is not None:
        return mount.id_end, suffix
    return mount.end, "," + _field("id", mount.default_id + suffix)


def _field(key: str, value: str) -> str:
    """A field of a mount: first a CSV field, then escaped as a Dockerfile's flags are, inside quotes or not."""
    field = f"{key}={value}"
    if re.search('[,"]', field):
        field = '"' + field.replace('"', '""') + '"'
    return re.sub(r"""([\s'"\\])""", r"\\\1", field)


def _target(name: str) -> str:
    return f"/run/secrets/{posixpath.basename(name)}"


def _suffixes(ids: Mapping[str, str]) -> str:
    """A pattern of the tags."""
    tags = [identifier.removeprefix(name) for name, identifier in ids.items() if identifier != name]
    return "|".join(map(re.escape, tags)) or r"\b\B"


def restore(text: str, ids: Mapping[str, str]) -> str:
    """A message of BuildKit's as the author of the Dockerfile knows it: plain ids, no target of ours."""
    for name, identifier in ids.items():
        if identifier != name and identifier in text:
            ours = re.escape("," + _field("target", _target(name)))
            text = re.sub(rf"({re.escape(identifier)}[^\s]*?){ours}", r"\1", text)
    return re.sub(_suffixes(ids), "", text)
