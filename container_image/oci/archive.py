"""Images in tar archives: what `docker save` writes, in both its layouts, and OCI archives, from files and streams."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from container_image.errors import ImageNotFoundError, ImageReadError
from container_image.oci.model import (
    DOCUMENT_LIMIT,
    INDEX_TYPES,
    Blob,
    Descriptor,
    DigestKind,
    Image,
    Manifest,
    again,
    assemble,
    children,
    parse_config,
    read_document,
)
from container_image.oci.tape import archive_blobs, blob_digest

# As many as Linux follows; more are a circle.
_MAX_LINKS = 40
# What an archive may hold twice, so that readers differ in which one counts.
_ROOTS = ("index.json", "manifest.json")
_ROOTFS = "if it holds the files of a root file system, write rootfs:PATH"
_CHOOSE = "name one of them, as in docker-archive:PATH:TAG, or save one alone"


class ArchiveSource:
    """A tar archive that holds an image. `select` picks one of several images in it, by tag or digest.

    Errors call the archive `name`, or by its path.
    """

    def __init__(self, reference: str, path: Path, select: str | None, name: str | None = None) -> None:
        self.reference = reference
        self._path = path
        self._name = name or str(path)
        self._links: dict[str, str] = {}
        root, self._legacy = find_root(path, select, name)
        self._root = root
        self.digest = root.digest
        self.digest_kind: DigestKind = (
            "config" if self._legacy is not None else "index" if root.media_type in INDEX_TYPES else "manifest"
        )

    def blobs(self) -> Iterator[Blob]:
        with self._path.open("rb") as file:
            yield from archive_blobs(file, self._name, self._links)

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        for name in _ROOTS:
            if again(name) in seen:
                raise ImageReadError(
                    f"{self._name}: it has two {name}, and readers differ in which counts; save it again"
                )
        if self._legacy is not None:
            return _assemble_legacy(self._legacy, self._links, documents, seen)
        return assemble(self._root, documents, seen)

    def __enter__(self) -> ArchiveSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def read_documents(path: Path, names: Collection[str], shown: str) -> dict[str, bytes]:
    """The members of these names; those that are not there are left out. Errors call the archive `shown`."""
    found: dict[str, bytes] = {}
    try:
        with path.open("rb") as file:
            for blob in archive_blobs(file, shown):
                if blob.name in names:
                    found[blob.name] = _whole(blob, shown)
                    if len(found) == len(names):
                        break
    except OSError as error:
        raise ImageReadError(f"{shown}: can't be read: {error.strerror}") from None
    return found


def _whole(blob: Blob, shown: str) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in blob.pieces:
        pieces.append(piece)
        size += len(piece)
        if size > DOCUMENT_LIMIT:
            raise ImageReadError(f"{shown}: its {blob.name} has more than {DOCUMENT_LIMIT >> 20} MiB; it is no image's")
    return b"".join(pieces)


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive, compressed or not."""
    try:
        with path.open("rb") as file:
            return next(archive_blobs(file, str(path)), None) is not None
    except (ImageReadError, OSError):
        return False


def holds_image(path: Path, shown: str) -> bool:
    """Whether an archive has an image's documents at its root; otherwise it was read to its end.

    Raises:
        ImageReadError: it is truncated or malformed. Errors call the archive `shown`.
    """
    return any(name in _ROOTS for name in _members(path, shown))


def require_whole(path: Path, shown: str) -> None:
    """Reads a tar archive to its end.

    Raises:
        ImageReadError: it is truncated or malformed. Errors call the archive `shown`.
    """
    for _ in _members(path, shown):
        pass


def _members(path: Path, shown: str) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            yield from (blob.name for blob in archive_blobs(file, shown))
    except OSError as error:
        raise ImageReadError(f"{shown}: can't be read: {error.strerror}") from None


def find_root(path: Path, select: str | None, name: str | None = None) -> tuple[Descriptor, dict[str, object] | None]:
    """The root of an archive's image; with it, for an archive of `docker save` before Engine 25, its manifest's entry."""
    shown = name or str(path)
    documents = read_documents(path, _ROOTS, shown)
    if "index.json" in documents:
        return pick(children(read_document(documents, "index.json")), select, shown), None
    if "manifest.json" not in documents:
        raise ImageReadError(
            f"{shown}: neither an OCI archive nor one of `docker save`: no index.json, no manifest.json; {_ROOTFS}"
        )
    entries = [entry for entry in _entries(documents["manifest.json"]) if _selected(entry, select)]
    if not entries:
        raise ImageNotFoundError(f"{shown}: no image {select!r} in the archive")
    if len(entries) > 1:
        tags = ", ".join(str(tag) for entry in entries for tag in _tags(entry))
        raise ImageNotFoundError(f"{shown}: {len(entries)} images in manifest.json ({tags}); {_CHOOSE}")
    config = str(entries[0].get("Config"))
    digest = "sha256:" + posixpath.basename(config).removesuffix(".json")
    return Descriptor(digest), entries[0]


def _entries(data: bytes) -> list[dict[str, object]]:
    entries = read_document({"manifest.json": b'{"entries":' + data + b"}"}, "manifest.json").get("entries")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or not entries:
        raise ImageReadError(f"manifest.json: not a list of images; the archive is malformed, or {_ROOTFS}")
    return entries


def _selected(entry: Mapping[str, object], select: str | None) -> bool:
    return select is None or select in _tags(entry)


def _tags(entry: Mapping[str, object]) -> list[object]:
    tags = entry.get("RepoTags")
    return tags if isinstance(tags, list) else []


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
    if not distinct:
        raise ImageReadError(f"{where}: no image in index.json; {_ROOTFS}")
    if len(distinct) > 1:
        tags = ", ".join(
            filter(None, (dict(item.annotations).get("org.opencontainers.image.ref.name") for item in descriptors))
        )
        raise ImageNotFoundError(f"{where}: {len(distinct)} images in index.json ({tags or 'untagged'}); {_CHOOSE}")
    return descriptors[0]


def _assemble_legacy(
    entry: Mapping[str, object], links: Mapping[str, str], documents: Mapping[str, bytes], seen: Collection[str]
) -> Image:
    """An image of `docker save` before Engine 25: no manifest, layers under names instead of digests."""
    name = str(entry.get("Config"))
    key = _key(name, links)
    config = parse_config(read_document(documents, key))
    paths = entry.get("Layers")
    layers = tuple(Descriptor(_key(str(path), links)) for path in (paths if isinstance(paths, list) else []))
    missing = tuple((layer.digest, "layer is not in the archive") for layer in layers if layer.digest not in seen)
    digest = "sha256:" + posixpath.basename(name).removesuffix(".json")
    return Image(Descriptor(digest), (Manifest(digest, config.platform, key, config, layers),), missing=missing)


def _key(path: str, links: Mapping[str, str]) -> str:
    """What a member is known by. A layer that the archive holds twice is a link to the first, and may be one to a link."""
    path = posixpath.normpath(path)
    for _ in range(_MAX_LINKS):
        if path not in links:
            break
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), links[path]))
    return blob_digest(path) or path
