"""Measures an audit's recall on an image: canaries are put into a copy of its layers as they go by, and looked for.

Every form of a random value is planted in every container that an audit opens, at the beginning of each layer, and once
more behind each layer's last byte. The copy is a stream: nothing is written anywhere, and the image stays as it is.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import secrets
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import lz4.frame
import zstandard

from container_image.audit.engine import AuditEvent, audit_source
from container_image.audit.policy import AuditPolicy
from container_image.audit.report import Finding
from container_image.errors import InvalidInputError
from container_image.forms import forms
from container_image.oci import Blob, DigestKind, Image, Source
from container_image.oci.inflate import BrokenStreamError, members, whole_file_codec
from container_image.secrets import SecretValue

DIRECTORY = ".container-image-self-test"
"""Where the canaries are in the copy."""

AT_THE_END = "at the end of the layer"
"""Goes for a container: the canary behind a layer's last byte."""

_CANARY, _LAST = "canary", "last canary"
_HEAD = 1 << 20
_TAR_HEADER = 512


@dataclass(frozen=True, slots=True)
class Row:
    """How many canaries of one form were planted in one container, and how many of them were found."""

    form: str
    container: str
    planted: int
    found: int


@dataclass(frozen=True, slots=True)
class Recall:
    """What a self-test comes to. `unread` is how much of the image itself could not be read."""

    reference: str
    digest: str
    layers: int
    rows: tuple[Row, ...]
    unread: int

    @property
    def planted(self) -> int:
        """How many canaries were planted."""
        return sum(row.planted for row in self.rows)

    @property
    def found(self) -> int:
        """How many of them were found."""
        return sum(row.found for row in self.rows)


def self_test(
    opened: Source, *, policy: AuditPolicy | None = None, on_event: Callable[[AuditEvent], None] | None = None
) -> Recall:
    """Plants canaries in a copy of an image, and audits that.

    The policy's limits hold; its `platforms` do not, because canaries are in the layers of all of them.

    Raises:
        InvalidInputError: the image has no layer to plant anything in.
    """
    policy = (policy or AuditPolicy()).model_copy(update={"platforms": ()})
    canary, last = _canary(), _canary()
    plants = _plants(canary.encode())
    planted = _Planted(opened, plants, last.encode())
    values = [SecretValue(name, value.encode()) for name, value in ((_CANARY, canary), (_LAST, last))]
    report = audit_source(planted, values, policy=policy, on_event=on_event)
    if not planted.layers:
        raise InvalidInputError(f"{opened.reference}: the image has no layer, so there is nowhere to plant canaries")
    return Recall(
        opened.reference,
        opened.digest,
        planted.layers,
        tuple(_rows(plants, planted.layers, report.findings)),
        sum(not (item.path or "").startswith(DIRECTORY) for item in report.coverage.unread),
    )


def _rows(plants: list[_Plant], layers: int, findings: Collection[Finding]) -> Iterator[Row]:
    whole = [finding for finding in findings if finding.match == "full" and finding.surface in ("layer", "metadata")]
    paths = {finding.path for finding in whole if finding.secret == _CANARY}
    # Several forms may go by one name, as an encoding does in two alphabets.
    planted: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    for number, plant in enumerate(plants):
        planted[plant.form, plant.container] += layers
        found[plant.form, plant.container] += sum(_path(layer, number) in paths for layer in range(1, layers + 1))
    for (form, container), count in planted.items():
        yield Row(form, container, count, found[form, container])
    # An archive of old has names for its layers, and no digests.
    ends = {finding.digest or finding.layer for finding in whole if finding.secret == _LAST}
    yield Row("raw", AT_THE_END, layers, min(layers, len(ends)))


def _canary() -> str:
    """A random value with a character for each of the escapes, and of the two alphabets of base64, that forms differ by."""
    return "".join(secrets.token_hex(4) + mark for mark in ("/", '"', "&", "<", "'", "$", "\\", "????", "_"))


@dataclass(frozen=True, slots=True)
class _Plant:
    form: str
    container: str
    data: bytes = field(repr=False)


def _plants(value: bytes) -> list[_Plant]:
    found = []
    for form in forms(value):
        # Of even length, so that the two bytes of UTF-16 are where a file of it has them.
        text = b"# a file with a canary in it\n" + b"values = " + form.data + b"\nand what follows it\n"
        found += [_Plant(form.name, name, pack(text)) for name, pack in _CONTAINERS.items()]
    return found


def _zip(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("canary.txt", data)
    return out.getvalue()


def _tar(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("canary.txt")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


_CONTAINERS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zip": _zip,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
    "tar.gz in zip": lambda data: _zip(gzip.compress(_tar(data))),
}


def _path(layer: int, plant: int) -> str:
    return f"{DIRECTORY}/{layer}/{plant}"


def _entries(plants: list[_Plant], layer: int) -> bytes:
    """The plants as a tar archive that has no end, so that a layer's own entries can follow."""
    out = io.BytesIO()
    for number, plant in enumerate(plants):
        info = tarfile.TarInfo(_path(layer, number))
        info.size = len(plant.data)
        out.write(info.tobuf(tarfile.USTAR_FORMAT))
        out.write(plant.data + bytes(-len(plant.data) % tarfile.BLOCKSIZE))
    return out.getvalue()


class _Planted:
    """An image as it is, but for what its layers have before their first byte and behind their last.

    What is added is compressed as the layer is: several gzip members, or zstd frames, make one stream.
    """

    def __init__(self, source: Source, plants: list[_Plant], last: bytes) -> None:
        self._source = source
        self._plants = plants
        # In whole tar blocks, as everything behind an archive's end is.
        self._last = last + bytes(-len(last) % tarfile.BLOCKSIZE)
        self.layers = 0
        self.reference = source.reference
        self.digest = source.digest
        self.digest_kind: DigestKind = source.digest_kind

    def blobs(self) -> Iterator[Blob]:
        for blob in self._source.blobs():
            if blob.digest is None and blob.name.startswith("("):
                # Not a blob, but what an archive holds beside its members: its headers look like a layer.
                yield blob
            else:
                # The bytes are checked against the digest before anything is added to them.
                yield _Copied(blob.digest, blob.name, self._with_canaries(blob.chunks()))

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        return self._source.assemble(documents, seen)

    def __enter__(self) -> _Planted:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _with_canaries(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        head = b""
        for piece in pieces:
            head += piece
            if len(head) >= _HEAD:
                break
        codec = whole_file_codec(head)
        pack = _PACK.get(codec)
        if pack is None or not _begins_a_tar(_inflated(head, codec)):
            yield head
            yield from pieces
            return
        self.layers += 1
        yield pack(_entries(self._plants, self.layers))
        yield head
        yield from pieces
        yield pack(self._last)


class _Copied(Blob):
    """A blob that no longer hashes to its digest, which is still what the image calls it."""

    def chunks(self) -> Iterator[bytes]:
        yield from self.pieces


_PACK: Mapping[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


def _inflated(head: bytes, codec: str | None) -> bytes:
    """The first bytes of what a blob decompresses to."""
    if codec is None:
        return head
    data = b""
    with contextlib.suppress(BrokenStreamError):
        for piece in members(iter([head]), codec):
            data += piece
            if len(data) >= _TAR_HEADER:
                break
    return data


def _begins_a_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar" or (len(data) >= _TAR_HEADER and not data[:_TAR_HEADER].strip(b"\0"))
