"""An image in a Docker daemon, read as the stream that `docker save` gives."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping

import docker.errors
import requests

from container_image.errors import EngineError, ImageNotFoundError, ImageReadError
from container_image.oci.endpoint import connect
from container_image.oci.model import (
    CHUNK,
    INDEX_TYPES,
    Blob,
    Descriptor,
    DigestKind,
    Image,
    Manifest,
    assemble,
    parse_config,
    read_document,
)
from container_image.oci.tape import archive_blobs


class DaemonSource:
    """A daemon's image, under the ID that its name had when it was opened; `context` is as in `docker --context`."""

    def __init__(self, reference: str, name: str, context: str | None = None) -> None:
        self.reference = reference
        self._client = connect(context)
        try:
            self._attributes = self._client.api.inspect_image(name)  # type: ignore[no-untyped-call]
        except docker.errors.ImageNotFound:
            raise ImageNotFoundError(
                f"no image {name!r} in the daemon; build or pull it, or audit docker://{name} in its registry"
            ) from None
        except docker.errors.DockerException as error:
            raise EngineError(f"the engine can't inspect {name!r}: {type(error).__name__}") from None
        descriptor = self._attributes.get("Descriptor") or {}
        self._id = str(self._attributes["Id"])
        # With the classic store an image has no manifest until it is pushed: what names it is its config.
        self._root = Descriptor(str(descriptor.get("digest") or self._id), str(descriptor.get("mediaType") or ""))
        self.digest = self._root.digest
        self.digest_kind: DigestKind = (
            "config" if not descriptor else "index" if self._root.media_type in INDEX_TYPES else "manifest"
        )

    def blobs(self) -> Iterator[Blob]:
        try:
            stream = self._client.api.get_image(self._id, chunk_size=CHUNK)
            yield from archive_blobs(io.BufferedReader(_Chunks(stream), CHUNK), f"the daemon's export of {self.digest}")
        except docker.errors.ImageNotFound:
            raise ImageNotFoundError(f"{self.digest} was removed from the daemon while it was audited") from None
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise ImageReadError(f"the engine's export of {self.digest} broke off: {type(error).__name__}") from None

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        if self._root.digest in documents and self.digest_kind != "config":
            return assemble(self._root, documents, seen)
        return _assemble_classic(self._id, documents, seen)

    def __enter__(self) -> DaemonSource:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


def _assemble_classic(config_digest: str, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
    """The classic store's export: an index of one manifest that was made for the export."""
    for document in ("index.json", "manifest.json"):
        if document not in documents:
            raise ImageReadError(f"the daemon's export has no {document}; it is not an image")
    index = read_document(documents, "index.json")
    manifests = index.get("manifests")
    if isinstance(manifests, list) and manifests and isinstance(manifests[0], dict):
        found = assemble(Descriptor(str(manifests[0].get("digest"))), documents, seen)
        return Image(Descriptor(config_digest), found.manifests, found.absent_platforms, found.missing, found.foreign)
    config = parse_config(read_document(documents, config_digest))
    return Image(Descriptor(config_digest), (Manifest(config_digest, config.platform, config_digest, config, ()),))


class _Chunks(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
