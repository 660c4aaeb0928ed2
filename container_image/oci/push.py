"""Sends an image's blobs to a registry, under their digests (OCI distribution-spec, push)."""

from __future__ import annotations

import tarfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from container_image.errors import ImageReadError
from container_image.oci.archive import find_root
from container_image.oci.model import Descriptor, children, read_document, to_descriptor
from container_image.oci.registry import Registry


def push_archive(path: Path, name: str, login: tuple[str, str] | None = None) -> str:
    """Pushes the image of an OCI archive under a name, blob by blob as they are; returns its digest.

    Raises:
        ImageReadError: the registry does not answer or refuses, or the archive lacks a blob.
    """
    root, _ = find_root(path, None)
    registry = Registry(name, login)
    try:
        with tarfile.open(path) as archive:
            _push(registry, archive, root, registry.wanted)
    except (tarfile.TarError, KeyError, OSError):
        raise ImageReadError(f"{path}: the image is not whole; build it again") from None
    finally:
        registry.close()
    return root.digest


def _push(registry: Registry, archive: tarfile.TarFile, descriptor: Descriptor, wanted: str) -> None:
    """A manifest or index, after everything that it names: a registry refuses one that names what it has not."""
    data = _open(archive, descriptor).read()
    document = read_document({descriptor.digest: data}, descriptor.digest)
    for child in children(document):
        _push(registry, archive, child, child.digest)
    for blob in _blobs(document):
        _upload(registry, archive, blob)
    headers = {"Content-Type": descriptor.media_type or str(document.get("mediaType"))}
    answer = registry.send("PUT", f"{registry.base}/manifests/{wanted}", headers=headers, data=data)
    _require(registry, answer.status_code, descriptor, 201)


def _blobs(document: dict[str, object]) -> Iterator[Descriptor]:
    layers = document.get("layers")
    for part in (document.get("config"), *(layers if isinstance(layers, list) else [])):
        if part is not None:
            yield to_descriptor(part)


def _upload(registry: Registry, archive: tarfile.TarFile, blob: Descriptor) -> None:
    if registry.send("HEAD", f"{registry.base}/blobs/{blob.digest}", headers={}).status_code == 200:
        return
    begun = registry.send("POST", f"{registry.base}/blobs/uploads/", headers={})
    _require(registry, begun.status_code, blob, 202)
    place = urllib.parse.urljoin(begun.url, begun.headers["Location"])
    url = f"{place}{'&' if '?' in place else '?'}{urllib.parse.urlencode({'digest': blob.digest})}"
    member = archive.getmember(_path(blob))
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(member.size)}
    answer = registry.send("PUT", url, headers=headers, data=_open(archive, blob))
    _require(registry, answer.status_code, blob, 201)


def _open(archive: tarfile.TarFile, blob: Descriptor) -> IO[bytes]:
    file = archive.extractfile(_path(blob))
    if file is None:
        raise KeyError(blob.digest)
    return file


def _path(blob: Descriptor) -> str:
    return f"blobs/{blob.digest.replace(':', '/')}"


def _require(registry: Registry, status: int, blob: Descriptor, expected: int) -> None:
    if status != expected:
        raise ImageReadError(
            f"the registry {registry.host} answers {status} to the push of {blob.digest}; try again, or ask whoever runs it"
        )
