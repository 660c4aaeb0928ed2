"""What fuzzing and property tests begin with: small whole inputs of every kind, with the planted value in some."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import zstandard

from tests.images import Builder, layer_tar, legacy_archive, link_tar, unended

TOKEN = b"tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/file.txt", data)
    return out.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zip": zipped,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
}


def archives() -> list[bytes]:
    """Images in archives, in both layouts of `docker save`."""
    found = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "image.tar")
        for compression in ("none", "gzip", "zstd"):
            builder = Builder(compression)
            manifests = [
                builder.manifest([{"etc/conf": TOKEN}, {"etc/.wh.conf": b""}]),
                builder.manifest([{"a": b"b"}], platform="linux/arm64"),
            ]
            builder.archive(builder.index(manifests), path)
            found.append(path.read_bytes())
            builder.archive(builder.cache([{"x": TOKEN}], image_manifest=compression == "none"), path)
            found.append(path.read_bytes())
        for content in (TOKEN, b"nothing", *(pack(TOKEN * 9) for pack in PACKERS.values())):
            legacy_archive([{"a": content, f"{'d' * 90}/{'e' * 60}": b"x"}], path)
            found.append(path.read_bytes())
        found.append(gzip.compress(found[-1]))
        found.append(found[1] + layer_tar({"behind": TOKEN}))
    return found


def streams() -> list[bytes]:
    """Streams in streams."""
    text = b"some text " * 40 + TOKEN + b" and more" * 40
    return [b"x" * 99 + pack(text) + b"y" * 99 for pack in PACKERS.values()] + [
        gzip.compress(zlib.compress(text)),
        text,
    ]


def layers() -> list[bytes]:
    """Layers with every kind of header."""
    files = {"a": b"b" * 700, "d/": b"", f"{'d' * 90}/{'e' * 60}": b"x", "é" * 120: b"y"}
    found = [layer_tar(files), unended(link_tar("a", "b" * 200)) + layer_tar({"c": b""})]
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name, size in (("x" * 99, 10), ("y", 0), ("z" * 60 + "/" + "z" * 60, 1000)):
                info = tarfile.TarInfo(name)
                info.size, info.uid = size, 3_000_000 if form != tarfile.USTAR_FORMAT else 0
                archive.addfile(info, io.BytesIO(bytes(size)))
        found.append(out.getvalue())
    return found


def dockerfiles() -> list[bytes]:
    """The gallery's Dockerfiles, and oddities."""
    there = sorted(Path(__file__).parents[1].glob("dockerfiles/**/*Dockerfile"))
    odd = [
        "# escape=`\nFROM a AS b\nRUN --mount=type=secret,id=x,env=Y <<EOF\ntrue\nEOF\nCOPY --from=b a b\n",
        'FROM a\nARG A=${B:-"c"}\nENV A=b C="d e"\nRUN <<-E cat\n\tx\n\tE\nONBUILD RUN x\nCOPY ["a", "b"]\n',
    ]
    return [path.read_bytes() for path in there if path.is_file()] + [text.encode() for text in odd]


def structured() -> list[bytes]:
    """Structured secrets."""
    return [
        b"//npm.example.com/:_authToken=" + TOKEN + b"\n",
        b"machine a login b password " + TOKEN + b"\n",
        b"A=b\nexport B='c d'\nC=\"e\\n\"\n",
        b"[default]\naws_access_key_id = AKIA\naws_secret_access_key = " + TOKEN + b"\n",
        json.dumps({"auths": {"a": {"auth": "YTpiY2Rl"}}, "n": [1, {"token": TOKEN.decode()}]}).encode(),
        b"https://user:" + TOKEN + b"@example.com/x\n",
        b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
        b"a: b\nc:\n  - d: " + TOKEN + b"\n",
    ]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "archive": archives,
    "stream": streams,
    "layer": layers,
    "dockerfile": dockerfiles,
    "inner": structured,
}
