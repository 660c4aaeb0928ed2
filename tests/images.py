"""Synthetic images for tests: layers as plain dicts go in, an OCI layout or an archive comes out."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

Layer = Mapping[str, bytes]

END = bytes(1024)
"""What a tar archive ends with."""

COMPRESS = {"none": lambda data: data, "gzip": gzip.compress, "zstd": lambda data: zstandard.compress(data)}


def layer_tar(files: Layer) -> bytes:
    """A layer's tar stream. A path that ends in `/` is a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(path.rstrip("/"))
            if path.endswith("/"):
                info.type = tarfile.DIRTYPE
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def locked_zip() -> bytes:
    """A zip archive whose one member says that it is encrypted, so that nobody here can read it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("locked.txt", bytes(range(256)) * 4)
    data = bytearray(out.getvalue())
    # The first flag, in the member's own header and in the directory's (APPNOTE 4.4.4).
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def unended(archive: bytes) -> bytes:
    """A tar archive without its end and the padding behind it."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        last = opened.getmembers()[-1]
    return archive[: last.offset_data + -(-last.size // 512) * 512]


def link_tar(name: str, target: str) -> bytes:
    """A tar archive of one symbolic link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.SYMTYPE, target
        archive.addfile(info)
    return out.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Builder:
    """Collects blobs; `layout` and `archive` write them out."""

    def __init__(self, compression: str = "gzip") -> None:
        self.blobs: dict[str, bytes] = {}
        self.compression = compression

    def add(self, data: bytes, media_type: str) -> dict[str, Any]:
        self.blobs[digest(data)] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def manifest(
        self, layers: Sequence[Layer], *, config: Mapping[str, Any] | None = None, platform: str = "linux/amd64"
    ) -> dict[str, Any]:
        """One platform's image; returns its descriptor."""
        tars = [layer_tar(layer) for layer in layers]
        system, architecture = platform.split("/")
        document = {
            "os": system,
            "architecture": architecture,
            "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in tars]},
            "history": [{"created_by": f"RUN step {number}"} for number in range(len(tars))],
            **(config or {}),
        }
        descriptors = [
            self.add(COMPRESS[self.compression](data), "application/vnd.oci.image.layer.v1.tar") for data in tars
        ]
        body = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.add(json.dumps(document).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": descriptors,
        }
        descriptor = self.add(json.dumps(body).encode(), "application/vnd.oci.image.manifest.v1+json")
        return {**descriptor, "platform": {"os": system, "architecture": architecture}}

    def index(self, manifests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        body = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": list(manifests),
        }
        return self.add(json.dumps(body).encode(), "application/vnd.oci.image.index.v1+json")

    def cache(self, layers: Sequence[Layer], *, image_manifest: bool) -> dict[str, Any]:
        """What BuildKit's `cache-to type=local` writes: an image manifest, or an index that lists layers."""
        descriptors = [
            self.add(gzip.compress(layer_tar(layer)), "application/vnd.oci.image.layer.v1.tar+gzip") for layer in layers
        ]
        records = {"layers": [{"blob": item["digest"], "parent": -1} for item in descriptors], "records": []}
        config = self.add(json.dumps(records).encode(), "application/vnd.buildkit.cacheconfig.v0")
        if not image_manifest:
            return self.index([*descriptors, config])
        body = {"schemaVersion": 2, "config": config, "layers": descriptors}
        return self.add(json.dumps(body).encode(), "application/vnd.oci.image.manifest.v1+json")

    def files(self, root: Mapping[str, Any]) -> dict[str, bytes]:
        files = {
            "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
            "index.json": json.dumps({"schemaVersion": 2, "manifests": [root]}).encode(),
        }
        return files | {f"blobs/{name.replace(':', '/')}": data for name, data in self.blobs.items()}

    def layout(self, root: Mapping[str, Any], directory: Path) -> str:
        """Writes an OCI layout; returns its reference."""
        for path, data in self.files(root).items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return f"oci:{directory}"

    def archive(self, root: Mapping[str, Any], path: Path) -> str:
        """Writes an OCI archive; returns its reference."""
        path.write_bytes(layer_tar(self.files(root)))
        return f"oci-archive:{path}"


def legacy_archive(layers: Sequence[Layer], path: Path) -> str:
    """What `docker save` wrote before Engine 25: layers under names, no index.json."""
    config = json.dumps(
        {"os": "linux", "architecture": "amd64", "history": [{"created_by": "RUN x"} for _ in layers]}
    ).encode()
    name = digest(config).removeprefix("sha256:")
    files = {f"{name}.json": config}
    files |= {f"layer{number}/layer.tar": layer_tar(layer) for number, layer in enumerate(layers)}
    entry = {
        "Config": f"{name}.json",
        "RepoTags": ["app:old"],
        "Layers": [f"layer{number}/layer.tar" for number in range(len(layers))],
    }
    path.write_bytes(layer_tar({**files, "manifest.json": json.dumps([entry]).encode()}))
    return f"docker-archive:{path}"


def header(
    name: bytes, *, kind: bytes = b"0", size: bytes | int = 0, prefix: bytes = b"", magic: bytes = b"ustar\x0000"
) -> bytes:
    """A tar header as it is given, with a right checksum. `size` as bytes is the field itself."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124:136] = size.ljust(12, b"\0") if isinstance(size, bytes) else b"%011o\0" % size
    block[156:157] = kind
    block[257 : 257 + len(magic)] = magic
    block[345 : 345 + len(prefix)] = prefix
    return checksummed(bytes(block))


def checksummed(block: bytes) -> bytes:
    """A tar header with its checksum made right."""
    blank = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(blank) + block[156:]


def padded(data: bytes) -> bytes:
    """Data as a tar archive holds them."""
    return data + bytes(-len(data) % 512)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """A pax header (POSIX pax, extended headers)."""
    data = b""
    for key, value in records:
        size = len(key) + len(value) + 3
        size += len(str(size + len(str(size))))
        data += b"%d %b=%b\n" % (size, key, value)
    return header(b"pax", kind=kind, size=len(data)) + padded(data)


def image_of(*layers: bytes, builder: Builder | None = None, **fields: Any) -> tuple[Builder, dict[str, Any]]:
    """An image whose layers are these bytes as they are, and what is more in its manifest."""
    builder = builder or Builder()
    body = {
        "schemaVersion": 2,
        "config": builder.add(b'{"os": "linux", "architecture": "amd64"}', "application/vnd.oci.image.config.v1+json"),
        "layers": [builder.add(layer, "application/vnd.oci.image.layer.v1.tar+gzip") for layer in layers],
        **fields,
    }
    return builder, builder.add(json.dumps(body).encode(), "application/vnd.oci.image.manifest.v1+json")
