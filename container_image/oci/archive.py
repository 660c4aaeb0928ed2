"""Images in tar archives: what `docker save` writes, in both its layouts, and OCI archives, from files and streams."""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO

from container_image.errors import ImageNotFoundError, ImageReadError
from container_image.oci.model import (
    CHUNK,
    INDEX_TYPES,
    Blob,
    Descriptor,
    DigestKind,
    Image,
    Manifest,
    assemble,
    children,
    parse_config,
    read_document,
)

_BLOB = re.compile(r"(?:\./)?blobs/([a-z0-9]+)/([0-9a-f]{32,})$")
_DOCUMENT_LIMIT = 1 << 26


class ArchiveSource:
    """A tar archive that holds an image. `select` picks one of several images in it, by tag or digest."""

    def __init__(self, reference: str, path: Path, select: str | None) -> None:
        self.reference = reference
        self._path = path
        root, self._legacy = find_root(path, select)
        self._root = root
        self.digest = root.digest
        self.digest_kind: DigestKind = (
            "config" if self._legacy is not None else "index" if root.media_type in INDEX_TYPES else "manifest"
        )

    def blobs(self) -> Iterator[Blob]:
        with self._path.open("rb") as file:
            yield from members(file, str(self._path))

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        if self._legacy is not None:
            return _assemble_legacy(self._legacy, documents, seen)
        return assemble(self._root, documents, seen)

    def __enter__(self) -> ArchiveSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def members(file: IO[bytes], name: str) -> Iterator[Blob]:
    """Every member of an image's archive, read as a stream.

    Raises:
        ImageReadError: the archive is truncated or is none.
    """
    try:
        with tarfile.open(fileobj=file, mode="r|*", bufsize=CHUNK) as archive:
            for member in archive:
                if not member.isfile():
                    continue
                match = _BLOB.match(member.name)
                digest = f"{match[1]}:{match[2]}" if match else None
                content = archive.extractfile(member)
                if content is not None:
                    yield Blob(
                        digest, posixpath.normpath(member.name), _pieces(content, member.size, name, member.name)
                    )
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ImageReadError(f"{name}: truncated or not a tar archive ({error}); export the image again") from None


def _pieces(content: IO[bytes], size: int, archive: str, name: str) -> Iterator[bytes]:
    left = size
    while left:
        piece = content.read(min(CHUNK, left))
        if not piece:
            raise ImageReadError(f"{archive}: truncated in {name}; export the image again")
        left -= len(piece)
        yield piece


def read_documents(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """The members of these names; those that are not there are left out."""
    found: dict[str, bytes] = {}
    try:
        with path.open("rb") as file:
            for blob in members(file, str(path)):
                if blob.name in names:
                    found[blob.name] = b"".join(blob.pieces)
                    if len(found) == len(names):
                        break
    except OSError as error:
        raise ImageReadError(f"{path}: can't be read: {error.strerror}") from None
    return found


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive, compressed or not."""
    try:
        with tarfile.open(path):
            return True
    except (tarfile.TarError, OSError, EOFError):
        return False


def find_root(path: Path, select: str | None) -> tuple[Descriptor, dict[str, object] | None]:
    documents = read_documents(path, {"index.json", "manifest.json"})
    if "index.json" in documents:
        return pick(children(read_document(documents, "index.json")), select, str(path)), None
    if "manifest.json" not in documents:
        raise ImageReadError(
            f"{path}: neither an OCI archive nor one of `docker save`: no index.json, no manifest.json"
        )
    entries = [entry for entry in _entries(documents["manifest.json"]) if _selected(entry, select)]
    if not entries:
        raise ImageNotFoundError(f"{path}: no image {select!r} in the archive")
    config = str(entries[0].get("Config"))
    digest = "sha256:" + posixpath.basename(config).removesuffix(".json")
    return Descriptor(digest), entries[0]


def _entries(data: bytes) -> list[dict[str, object]]:
    entries = read_document({"manifest.json": b'{"entries":' + data + b"}"}, "manifest.json").get("entries")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or not entries:
        raise ImageReadError("manifest.json: not a list of images; the archive is malformed")
    return entries


def _selected(entry: Mapping[str, object], select: str | None) -> bool:
    tags = entry.get("RepoTags")
    return select is None or (isinstance(tags, list) and select in tags)


def pick(descriptors: list[Descriptor], select: str | None, where: str) -> Descriptor:
    """The descriptor of a tag, name or digest in an `index.json`; the only one there is when none is asked for."""
    if select is not None:
        names = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
        chosen = [
            item
            for item in descriptors
            if item.digest == select or any(dict(item.annotations).get(name) == select for name in names)
        ]
        if not chosen:
            raise ImageNotFoundError(f"{where}: no image {select!r} in index.json")
        return chosen[0]
    distinct = list(dict.fromkeys(item.digest for item in descriptors))
    if len(distinct) != 1:
        tags = ", ".join(
            filter(None, (dict(item.annotations).get("org.opencontainers.image.ref.name") for item in descriptors))
        )
        raise ImageNotFoundError(
            f"{where}: {len(distinct)} images in index.json ({tags or 'untagged'}); name one of them"
        )
    return descriptors[0]


def _assemble_legacy(entry: Mapping[str, object], documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
    """An image of `docker save` before Engine 25: no manifest, layers under names instead of digests."""
    name = posixpath.normpath(str(entry.get("Config")))
    match = _BLOB.match(name)
    key = f"{match[1]}:{match[2]}" if match else name
    config = parse_config(read_document(documents, key))
    paths = entry.get("Layers")
    layers = []
    for path in paths if isinstance(paths, list) else []:
        found = _BLOB.match(str(path))
        layers.append(Descriptor(f"{found[1]}:{found[2]}" if found else posixpath.normpath(str(path))))
    missing = tuple((layer.digest, "layer is not in the archive") for layer in layers if layer.digest not in seen)
    digest = "sha256:" + posixpath.basename(name).removesuffix(".json")
    return Image(Descriptor(digest), (Manifest(digest, config.platform, key, config, tuple(layers)),), missing=missing)
