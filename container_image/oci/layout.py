"""An OCI image layout: a directory with `index.json` and `blobs/` (OCI image-spec, image-layout)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from container_image.errors import ImageReadError
from container_image.oci.archive import pick
from container_image.oci.model import (
    CHUNK,
    INDEX_TYPES,
    Blob,
    Descriptor,
    DigestKind,
    Image,
    assemble,
    children,
    read_document,
)


class LayoutSource:
    """A layout directory: every file in it ships, those that no manifest names too."""

    def __init__(self, reference: str, path: Path, select: str | None) -> None:
        self.reference = reference
        self._path = path
        try:
            index = (path / "index.json").read_bytes()
        except OSError as error:
            raise ImageReadError(f"{path}: no OCI layout: index.json can't be read: {error.strerror}") from None
        self._root: Descriptor = pick(children(read_document({"index.json": index}, "index.json")), select, str(path))
        self.digest = self._root.digest
        self.digest_kind: DigestKind = "index" if self._root.media_type in INDEX_TYPES else "manifest"

    def blobs(self) -> Iterator[Blob]:
        for file in sorted(self._path.rglob("*")):
            if file.is_file():
                parts = file.relative_to(self._path).parts
                digest = f"{parts[1]}:{parts[2]}" if len(parts) == 3 and parts[0] == "blobs" else None
                yield Blob(digest, "/".join(parts), _pieces(file))

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        return assemble(self._root, documents, seen)

    def __enter__(self) -> LayoutSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece
    except OSError as error:
        raise ImageReadError(f"{path}: can't be read: {error.strerror}") from None
