"""A root file system as a tar archive: what `--output type=tar` and `type=local` write."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from container_image.oci.model import CHUNK, Blob, Descriptor, DigestKind, Image, Manifest


class RootfsSource:
    """Files without an image around them: one layer."""

    def __init__(self, reference: str, path: Path) -> None:
        self.reference = reference
        self._path = path
        hasher = hashlib.sha256()
        for piece in self._pieces():
            hasher.update(piece)
        self.digest = f"sha256:{hasher.hexdigest()}"
        self.digest_kind: DigestKind = "manifest"

    def blobs(self) -> Iterator[Blob]:
        yield Blob(self.digest, self.digest, self._pieces())

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        del documents, seen
        layer = Descriptor(self.digest)
        return Image(layer, (Manifest(self.digest, None, "", None, (layer,)),))

    def _pieces(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece

    def __enter__(self) -> RootfsSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None
