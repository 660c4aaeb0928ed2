"""An OCI image layout: a directory with `index.json` and `blobs/` (OCI image-spec, image-layout)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from container_image.errors import ImageReadError
from container_image.oci.archive import pick
from container_image.oci.files import Files
from container_image.oci.model import (
    INDEX_TYPES,
    Blob,
    Descriptor,
    DigestKind,
    Image,
    assemble,
    children,
    read_document,
)
from container_image.oci.tape import blob_digest


class LayoutSource:
    """A layout directory. `select` picks one of several images in it, by tag or digest."""

    def __init__(self, reference: str, path: Path, select: str | None) -> None:
        self.reference = reference
        self._files = Files(path, blob_digest)
        try:
            index = self._files.document("index.json")
        except OSError as error:
            raise ImageReadError(f"{path}: no OCI layout: index.json can't be read: {error.strerror}") from None
        self._root: Descriptor = pick(children(read_document({"index.json": index}, "index.json")), select, str(path))
        self.digest = self._root.digest
        self.digest_kind: DigestKind = "index" if self._root.media_type in INDEX_TYPES else "manifest"

    def blobs(self) -> Iterator[Blob]:
        return self._files.blobs()

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        image = assemble(self._root, documents, seen)
        return replace(image, missing=tuple({**dict(image.missing), **self._files.unread}.items()))

    def __enter__(self) -> LayoutSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None
