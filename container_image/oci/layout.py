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
from container_image.oci.tape import blob_digest


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
        names = []
        for file in sorted(self._path.rglob("*")):
            name = file.relative_to(self._path).as_posix()
            names.append(name)
            if file.is_symlink():
                names.append(str(file.readlink()))
            if file.is_file():
                yield Blob(blob_digest(name), name, _pieces(file))
        yield Blob(None, "(names in the layout)", iter(["\n".join(names).encode("utf-8", "surrogateescape")]))

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
