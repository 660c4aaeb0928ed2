"""Where a build's results go besides the engine's store: `--output` and `--cache-to`, in Docker's syntax.

Nothing leaves the machine before a clean verdict, so each is exported to a private directory first, and audited there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from container_image.errors import InvalidInputError
from container_image.shown import HIDDEN, is_setting

_FILES = {"oci": "oci-archive", "docker": "docker-archive", "tar": "rootfs", "local": "rootfs"}
# What says how a cache is written, and not where to.
_CACHE_FORMAT = frozenset(
    {
        "mode",
        "compression",
        "compression-level",
        "force-compression",
        "oci-mediatypes",
        "image-manifest",
        "ignore-error",
    }
)


@dataclass(frozen=True, slots=True)
class Export:
    """A file or directory that a build writes: `type` is oci, docker, tar or local, `dest` a path, or `-` for stdout.

    `attributes` are the exporter's own.
    """

    type: str
    dest: str
    attributes: Mapping[str, str]

    @property
    def transport(self) -> str:
        """How the audit reads what is staged."""
        return _FILES[self.type]

    def staged(self, path: Path) -> str:
        """The `--output` that writes it to a private path. A directory is staged as a tar archive of the same files."""
        kind = "tar" if self.type == "local" else self.type
        return join({"type": kind, "dest": str(path), **self.attributes})


@dataclass(frozen=True, slots=True)
class CacheExport:
    """A `--cache-to`. An inline cache is in the image itself, so it has nothing to stage."""

    attributes: Mapping[str, str]

    @property
    def inline(self) -> bool:
        return self.attributes["type"] == "inline"

    def __str__(self) -> str:
        return join(self.attributes)

    def staged(self, path: Path) -> str:
        """The `--cache-to` that writes the same cache to a private directory."""
        kept = {key: value for key, value in self.attributes.items() if key in _CACHE_FORMAT}
        return join({"type": "local", "dest": str(path), **kept})


@dataclass(frozen=True, slots=True)
class Outputs:
    """What `--output`, `--push` and `--load` ask for, taken together.

    `names` are the image's further names, `image` the attributes of the image exporter.
    """

    push: bool
    names: tuple[str, ...]
    image: Mapping[str, str]
    files: tuple[Export, ...]


def parse_outputs(specs: Sequence[str], *, push: bool = False) -> Outputs:
    """Reads `--output` options, as `type=oci,dest=app.tar`; a path alone is a directory, `-` a tar archive on stdout.

    Raises:
        InvalidInputError: an output that BuildKit would not take, or that can't be audited first.
    """
    names: list[str] = []
    image: dict[str, str] = {}
    files: list[Export] = []
    for spec in specs:
        attributes = _parse("--output", spec)
        if set(attributes) == {spec}:
            attributes = {"type": "tar" if spec == "-" else "local", "dest": spec}
        kind, dest = attributes.pop("type", ""), attributes.pop("dest", "")
        if kind in ("image", "registry") or (kind == "docker" and not dest):
            if name := attributes.pop("name", ""):
                names += [item.strip() for item in name.split(",")]
            push |= kind == "registry" or attributes.pop("push", "false").lower() in ("true", "1", "")
            if "push-by-digest" in attributes:
                raise InvalidInputError(
                    f"--output {_told(spec)}: push-by-digest can't be honoured: what is pushed has a tag"
                )
            image |= {key: value for key, value in attributes.items() if key not in ("unpack", "store")}
        elif kind in _FILES:
            if not dest and kind == "local":
                raise InvalidInputError(
                    f"--output {_told(spec)}: dest is missing; name a directory, as in type=local,dest=out"
                )
            files.append(Export(kind, dest or "-", attributes))
        else:
            known = ", ".join(("image", "registry", *_FILES))
            raise InvalidInputError(f"--output {_told(spec)}: the type is one of {known}")
    if sum(file.dest == "-" for file in files) > 1:
        raise InvalidInputError("--output: only one can go to stdout; give the others a dest")
    return Outputs(push, tuple(names), image, tuple(files))


def parse_caches(specs: Sequence[str]) -> tuple[CacheExport, ...]:
    """Reads `--cache-to` options; a name alone is a registry's.

    Raises:
        InvalidInputError: one without a type.
    """
    caches = []
    for spec in specs:
        attributes = _parse("--cache-to", spec)
        if set(attributes) == {spec}:
            attributes = {"type": "registry", "ref": spec}
        if not attributes.get("type"):
            raise InvalidInputError(f"--cache-to {_told(spec)}: the type is missing, as in type=registry,ref=HOST/NAME")
        caches.append(CacheExport(attributes))
    return tuple(caches)


def _told(spec: str) -> str:
    return spec if is_setting(spec) else HIDDEN


def _parse(option: str, spec: str) -> dict[str, str]:
    try:
        fields = next(csv.reader([spec], strict=True), [])
    except csv.Error:
        raise InvalidInputError(
            f"{option} {_told(spec)}: not KEY=VALUE pairs with commas between them; correct it"
        ) from None
    if not fields:
        raise InvalidInputError(f"{option}: it is empty; name a destination")
    return {key.strip().lower() if separator else key: value for key, separator, value in _pairs(fields)}


def _pairs(fields: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for field in fields:
        yield field.partition("=")


def join(attributes: Mapping[str, str]) -> str:
    """Attributes as one CSV record."""
    fields = [f"{key}={value}" for key, value in attributes.items()]
    return ",".join('"' + field.replace('"', '""') + '"' if set(field) & set(',"\n') else field for field in fields)
