"""The `dir:` layout of containers-transports(5), which skopeo writes: blobs in one directory, beside `manifest.json`.

A blob's file is named by the hexadecimal digits of its digest. `manifest.json` is the image's manifest, or the index of
several images, whose manifests are then in `DIGITS.manifest.json`. The file `version` names the layout's version.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from container_image.errors import ImageReadError
from container_image.oci.files import Files
from container_image.oci.model import Blob, Descriptor, DigestKind, Image, assemble, read_document

_MANIFEST = "manifest.json"
_VERSION = b"Directory Transport Version:"
_BLOB = re.compile(r"([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})(?:\.manifest\.json)?")
_ALGORITHMS = {64: "sha256", 96: "sha384", 128: "sha512"}


class DirSource:
    """A directory in the `dir:` layout. Its digest is that of `manifest.json`, which no other file names."""

    def __init__(self, reference: str, path: Path) -> None:
        self.reference = reference
        self._files = Files(path, self._digest_of)
        try:
            manifest = self._files.document(_MANIFEST)
        except OSError as error:
            raise ImageReadError(
                f"{path}: no image in the layout of dir: {_MANIFEST} can't be read: {error.strerror}"
            ) from None
        is_index = "manifests" in read_document({_MANIFEST: manifest}, _MANIFEST)
        self.digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        self.digest_kind: DigestKind = "index" if is_index else "manifest"

    def blobs(self) -> Iterator[Blob]:
        return self._files.blobs()

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        image = assemble(Descriptor(self.digest), documents, seen)
        return replace(image, missing=tuple({**dict(image.missing), **self._files.unread}.items()))

    def _digest_of(self, name: str) -> str | None:
        if name == _MANIFEST:
            return self.digest
        match = _BLOB.fullmatch(name)
        return f"{_ALGORITHMS[len(match[1])]}:{match[1]}" if match else None

    def __enter__(self) -> DirSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def is_dir_layout(path: Path) -> bool:
    """Whether a directory is in this layout: it has a manifest, and its `version` names the layout."""
    files = Files(path, lambda _: None)
    try:
        return files.document("version").startswith(_VERSION) and (path / _MANIFEST).exists()
    except OSError:
        return False
