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

_ESCAPES = r"[\\`]*"


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


def mounted_ids(listed: Iterable[str], ids: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The secrets behind the ids that BuildKit lists for a rewritten Dockerfile: tagged ones, then untagged ones.

    Both map an id to the name of one of our secrets. An untagged id does not tell the secret's value. An id with the
    tag of another secret than the one that it names comes from a wrong guess at a variable, and is untagged as well.
    """
    tagged: dict[str, str] = {}
    untagged: dict[str, str] = {}
    ours = {name for name, identifier in ids.items() if identifier != name}
    owners = {identifier.removeprefix(name): name for name, identifier in ids.items() if name in ours}
    for identifier in listed:
        match = re.fullmatch(rf"(.*?)({_suffixes(ids)})?", identifier, re.DOTALL)
        assert match is not None
        written, owner = match[1], owners.get(match[2])
        # `rewrite` ends the id in a slash where its last part is the name, and leaves it empty where the target names it.
        if owner is not None and (written in ("", owner) or (written[-1] == "/" and _base(written) == owner)):
            tagged[identifier] = owner
            continue
        # Without a tag, an id is what it says. With the wrong one, it may name its secret by its last part too.
        names = (written,) if owner is None else (written, _base(written))
        untagged.update((identifier, name) for name in reversed(names) if name in ours)
    return tagged, untagged


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
    escape = dockerfile.escape
    variables = scopes(dockerfile, build_args or {}, predefined or {})
    additions: list[tuple[int, str]] = []
    tags: defaultdict[int, set[str]] = defaultdict(set)
    built = dockerfile.stage(target)
    kept = {item.line for item in built.instructions if item.trigger} if built is not None else set()
    mounted = {run.line: mounts(run) for run in _runs(dockerfile) if run.line not in kept}
    for line, found in mounted.items():
        for mount in found:
            name = secret_name(mount, variables[line], escape) if mount.type == "secret" else None
            if name is None or ids.get(name, name) == name:
                continue
            target_field = _target_field(mount, name, variables[line], escape)
            if target_field is not None:
                suffix = ids[name].removeprefix(name)
                additions += [_retag(mount, suffix, variables[line], escape), (mount.end, target_field)]
                tags[line].add(suffix)
    for mount, suffixes in tainted_caches(dockerfile, mounted, variables, tags):
        additions.append(_retag(mount, "".join(suffixes), variables[mount.line], escape))
    parts, done = [], 0
    for offset, addition in sorted(additions, key=itemgetter(0)):
        parts += [text[done:offset], addition]
        done = offset
    return "".join([*parts, text[done:]])


def _runs(dockerfile: Dockerfile) -> list[Instruction]:
    """Every RUN, those behind ONBUILD among them."""
    return [item.run for item in dockerfile.instructions if item.run is not None]


def secret_name(mount: Mount, scope: Scope, escape: str) -> str | None:
    """The id of the secret that a mount asks for, as Docker has it; None where this Dockerfile does not tell.

    An id that comes out empty is none: then the last part of the target is the id.
    """
    written = expand(mount.id, scope, escape) if mount.id else ""
    if written or written is None:
        return written
    # An empty id proves nothing about the variables of the target.
    if mount.id and "$" in (mount.target or ""):
        return None
    return _base(expand(mount.default_id, scope, escape) or "") or None


def _base(path: str) -> str:
    """The last part of a path, as Go's path.Base has it."""
    return path.rstrip("/").rpartition("/")[2]


def _retag(mount: Mount, suffix: str, scope: Scope, escape: str) -> tuple[int, str]:
    """The text to add, and its offset, so that the mount's id, the default one if it has none, ends in `suffix`."""
    if mount.id_end is not None:
        return mount.id_end, suffix
    if mount.type == "secret" and "/" in (expand(mount.default_id, scope, escape) or ""):
        # The secret's name is the last part of what the variables hold. The slash tells `mounted_ids` so.
        suffix = "/" + suffix
    return mount.end, _field("id", mount.default_id + suffix, escape)


def _field(key: str, value: str, escape: str) -> str:
    """One more field of a mount: first a CSV field, then escaped as a Dockerfile's flags are, inside quotes or not."""
    field = f"{key}={value}"
    if re.search('[,"]', field):
        field = '"' + field.replace('"', '""') + '"'
    return "," + re.sub(rf"""([\s'"{re.escape(escape)}])""", lambda found: escape + found[1], field)


def _target_field(mount: Mount, name: str, scope: Scope, escape: str) -> str | None:
    """The field that keeps a mount's target what it is with its plain id, empty where none is needed; None if there is none."""
    if mount.target:
        # A target that comes out empty depends on the id after all, and a base image may set its variables.
        return "" if expand(mount.target, scope, escape) else None
    if mount.env is not None:
        return ""
    if name.isascii():
        return _target(name, escape)
    # BuildKit reads each byte of a flag as a character. So other characters must come from the variables of the id.
    return None if "/" in name else _field("target", f"/run/secrets/{mount.id}", escape)


def _target(name: str, escape: str) -> str:
    """The field of the target that a secret of this name has in Docker, if its mount says nothing else."""
    literal = re.sub(rf"""([$'"{re.escape(escape)}])""", lambda found: escape + found[1], _base(name))
    return _field("target", f"/run/secrets/{literal}", escape)


def _suffixes(ids: Mapping[str, str]) -> str:
    """A pattern of the tags."""
    tags = [identifier.removeprefix(name) for name, identifier in ids.items() if identifier != name]
    return "|".join(map(re.escape, tags)) or r"\b\B"


def restore(text: str, ids: Mapping[str, str]) -> str:
    """A message of BuildKit's as the author of the Dockerfile knows it: plain ids, no target of ours."""
    for name, identifier in ids.items():
        suffix = identifier.removeprefix(name)
        if suffix in text and identifier != name:
            # BuildKit shows it with some of its escapes, or without.
            characters = [
                f'(?:{_ESCAPES}")+' if character == '"' else re.escape(character) for character in _base(name)
            ]
            ours = rf"target=/run/secrets/{_ESCAPES}{_ESCAPES.join(characters)}"
            quoted = rf'{_ESCAPES}"{ours}{_ESCAPES}"'
            text = re.sub(rf"({re.escape(suffix)}\S*?),(?:{ours}|{quoted})", r"\1", text)
    return re.sub(f"/?(?:{_suffixes(ids)})", "", text)
