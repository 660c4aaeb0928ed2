"""A root file system as a tar archive: `docker export`, and `--output type=tar` or `type=local`, write one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from container_image.oci.model import CHUNK, Blob, Descriptor, DigestKind, Image, Manifest


class RootfsSource:
    """A tar archive of files, compressed or not: one layer, without a manifest or a config.

    Its digest is that of the archive's file.
    """

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
        return one_layer(self.digest)

    def _pieces(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece

    def __enter__(self) -> RootfsSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def one_layer(key: str, unread: Mapping[str, str] | None = None) -> Image:
    """An image of one layer, which was read under `key`. `unread` are reasons by the paths of what was not read in it."""
    # The empty digest is no blob's, so that a finding in the layer is in nothing else.
    nothing = Descriptor("")
    manifest = Manifest(nothing.digest, None, nothing.digest, None, (Descriptor(key),))
    return Image(nothing, (manifest,), missing=tuple((unread or {}).items()))
