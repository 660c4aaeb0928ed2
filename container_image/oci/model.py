"""What an image is made of, whichever place it is read from (OCI image-spec: descriptor, index, manifest, config)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from container_image.errors import DigestMismatchError, ImageReadError

DigestKind = Literal["index", "manifest", "config"]
CHUNK = 1 << 20
DOCUMENT_LIMIT = 4 << 20
"""Bytes of an index or manifest: what registries take at most (OCI distribution-spec, manifests)."""

INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
MANIFEST_TYPES = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
CACHE_CONFIG_TYPE = "application/vnd.buildkit.cacheconfig.v0"
# Registered in the image-spec; what is weaker proves nothing.
_ALGORITHMS = ("sha256", "sha384", "sha512")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]{32,}")
# What decides which blobs there are: of two keys that differ in case alone, Go's readers take the last one.
_STRUCTURE = frozenset({"manifests", "layers", "config", "digest", "urls", "platform", "subject", "blobs"})
_ATTESTATION_TYPE = "vnd.docker.reference.type"
_ATTESTATION_FOR = "vnd.docker.reference.digest"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to a blob, by its digest. `platform` is `os/architecture[/variant]`, where it says one."""

    digest: str
    media_type: str = ""
    size: int | None = None
    platform: str | None = None
    annotations: tuple[tuple[str, str], ...] = ()
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of an image's history; an empty layer has no blob."""

    created_by: str
    empty_layer: bool


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an audit needs of a config: its history, oldest first, and the digests of the decompressed layers."""

    history: tuple[HistoryEntry, ...]
    diff_ids: tuple[str, ...]
    platform: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One platform's image, an attestation about one (`attestation_for` is the digest it speaks of), or a build cache.

    A cache's layers are those of many steps, in no order: none is above another.
    """

    digest: str
    platform: str | None
    config_digest: str
    config: ImageConfig | None
    layers: tuple[Descriptor, ...]
    kind: Literal["image", "attestation", "cache"] = "image"
    attestation_for: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image, put together from its documents. `missing` and `foreign` are (digest, reason) of what was not there."""

    root: Descriptor
    manifests: tuple[Manifest, ...]
    absent_platforms: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    foreign: tuple[tuple[str, str], ...] = ()


class Source(Protocol):
    """An opened image: resolved to a digest once, then read once. A directory of files has its digest when it was read."""

    reference: str
    digest: str
    digest_kind: DigestKind

    def blobs(self) -> Iterator[Blob]:
        """Everything that ships, each once, in the order that the place gives; read each before the next."""
        ...

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        """The image, from the JSON documents among what was read and the keys of all that was."""
        ...

    def __enter__(self) -> Source: ...

    def __exit__(self, *_: object) -> None: ...


def is_digest(text: str) -> bool:
    """Whether a text has the form of a digest (OCI image-spec, descriptor)."""
    return _DIGEST.fullmatch(text) is not None


def again(name: str, number: int = 2) -> str:
    """What a member is known by whose name another one has: an archive may hold a name twice, and both ship."""
    return f"{name} (again, {number})"


@dataclass
class Blob:
    """Some bytes that ship: a blob, under its digest, or a member of an archive that has none, under its name."""

    digest: str | None
    name: str
    pieces: Iterator[bytes] = field(repr=False)

    @property
    def key(self) -> str:
        """What the blob is known by: a file whose name is like a digest is not the blob of that digest."""
        return self.digest or (f"./{self.name}" if is_digest(self.name) else self.name)

    def chunks(self) -> Iterator[bytes]:
        """The bytes in pieces of at most 1 MiB, hashed as they go by.

        Raises:
            DigestMismatchError: at the end, when they do not hash to the digest.
        """
        if self.digest is None:
            yield from self.pieces
            return
        algorithm, _, expected = self.digest.partition(":")
        if algorithm not in _ALGORITHMS:
            raise ImageReadError(
                f"{self.digest}: the digest algorithm {algorithm} is not one of {', '.join(_ALGORITHMS)}; build again"
            )
        hasher = hashlib.new(algorithm)
        for piece in self.pieces:
            hasher.update(piece)
            yield piece
        if hasher.hexdigest() != expected:
            raise DigestMismatchError(
                f"{self.digest}: its bytes hash to {algorithm}:{hasher.hexdigest()}; the image is damaged, fetch it again"
            )


def assemble(root: Descriptor, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
    """Puts an image together from its documents, the root's blob first.

    Raises:
        ImageReadError: a document is not what its descriptor says.
    """
    walk = _Walk(documents, seen)
    walk.visit_all(root)
    return Image(
        root,
        tuple(walk.manifests),
        tuple(walk.absent),
        tuple(dict(walk.missing).items()),
        tuple(dict(walk.foreign).items()),
    )


class _Walk:
    def __init__(self, documents: Mapping[str, bytes], seen: Collection[str]) -> None:
        self.documents = documents
        self.seen = seen
        self.manifests: list[Manifest] = []
        self.absent: list[str] = []
        self.missing: list[tuple[str, str]] = []
        self.foreign: list[tuple[str, str]] = []
        self._visited: set[str] = set()

    def visit_all(self, root: Descriptor) -> None:
        """Visits everything below the root, in the order of the documents, however deep it is nested."""
        stack = [root]
        while stack:
            descriptor = stack.pop()
            if descriptor.digest not in self._visited:
                self._visited.add(descriptor.digest)
                stack.extend(reversed(self._visit(descriptor)))

    def _visit(self, descriptor: Descriptor) -> list[Descriptor]:
        """Takes in one document; returns the descriptors in it that are to be visited."""
        found: list[Descriptor] = []
        if descriptor.digest not in self.seen:
            subject = dict(descriptor.annotations).get(_ATTESTATION_FOR)
            if descriptor.platform and descriptor.platform != "unknown/unknown":
                self.absent.append(descriptor.platform)
            elif subject is None:
                self.missing.append((descriptor.digest, "blob is not in the image"))
            elif subject in self.seen:
                # A daemon that pulled an image has no attestations of it.
                self.missing.append(
                    (descriptor.digest, "attestation is not there; audit the image in its registry, as docker://NAME")
                )
            return found
        if descriptor.digest not in self.documents and is_content(descriptor):
            return found
        document = read_document(self.documents, descriptor.digest)
        if "manifests" in document:
            parts = children(document)
            configs = [part for part in parts if part.media_type == CACHE_CONFIG_TYPE]
            if configs:
                layers = [part for part in parts if part.media_type != CACHE_CONFIG_TYPE]
                self._add(Manifest(descriptor.digest, None, configs[0].digest, None, tuple(layers), "cache"), configs)
            else:
                found = parts
        # A document may claim to be both; then each reader takes it for the one that it expects.
        if "layers" in document:
            self._manifest(descriptor, document)
        if not document.keys() & {"manifests", "layers"}:
            self.missing.append((descriptor.digest, "neither an index nor a manifest"))
        return found

    def _manifest(self, descriptor: Descriptor, document: dict[str, object]) -> None:
        config = to_descriptor(document.get("config"))
        layers = tuple(to_descriptor(item) for item in _list(document.get("layers")))
        annotations = dict(descriptor.annotations)
        kind: Literal["image", "attestation", "cache"] = "image"
        if annotations.get(_ATTESTATION_TYPE) == "attestation-manifest":
            kind = "attestation"
        elif config.media_type == CACHE_CONFIG_TYPE:
            kind = "cache"
        parsed = None
        if kind == "image" and config.digest in self.documents:
            parsed = parse_config(read_document(self.documents, config.digest))
        platform = descriptor.platform or (parsed.platform if parsed else None)
        subject = annotations.get(_ATTESTATION_FOR, "unknown") if kind == "attestation" else None
        self._add(Manifest(descriptor.digest, platform, config.digest, parsed, layers, kind, subject), [config])

    def _add(self, manifest: Manifest, configs: list[Descriptor]) -> None:
        for part in (*configs, *manifest.layers):
            if part.digest in self.seen:
                if part.media_type.endswith("+encrypted"):
                    self.missing.append((part.digest, "encrypted layer"))
                continue
            if part.urls:
                self.foreign.append((part.digest, "foreign layer, kept elsewhere"))
            else:
                self.missing.append((part.digest, "blob is not in the image"))
        self.manifests.append(manifest)


def is_content(descriptor: Descriptor) -> bool:
    """Whether an index says that a blob is neither an index nor a manifest: what it holds is read, not followed."""
    return bool(descriptor.media_type) and descriptor.media_type not in INDEX_TYPES | MANIFEST_TYPES


def read_document(documents: Mapping[str, bytes], key: str) -> dict[str, object]:
    """One document as a JSON object.

    Raises:
        ImageReadError: there is none, or it could be read in two ways.
    """
    try:
        value = json.loads(documents[key], object_pairs_hook=_unambiguous, parse_int=_integer)
    except KeyError:
        raise ImageReadError(f"{key}: not a JSON document; the image is malformed") from None
    except (ValueError, RecursionError):
        raise ImageReadError(f"{key}: malformed JSON; the image is damaged, fetch it again") from None
    except _AmbiguousError as error:
        raise ImageReadError(f"{key}: has two {error}, and readers differ in which counts; build it again") from None
    if not isinstance(value, dict):
        raise ImageReadError(f"{key}: not a JSON object; the image is malformed")
    return value


class _AmbiguousError(Exception):
    pass


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len({key.lower() for key in found}) < len(pairs):
        names = [name for name in (key.lower() for key, _ in pairs) if name in _STRUCTURE]
        for name in names:
            if names.count(name) > 1:
                raise _AmbiguousError(f"{name!r}")
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 20 else float(digits)


def children(document: Mapping[str, object]) -> list[Descriptor]:
    """The descriptors of an index."""
    return [to_descriptor(item) for item in _list(document.get("manifests"))]


def to_descriptor(value: object) -> Descriptor:
    """A descriptor from JSON."""
    if not isinstance(value, dict) or not isinstance(value.get("digest"), str):
        raise ImageReadError("a descriptor without a digest; the image is malformed")
    if not is_digest(value["digest"]):
        raise ImageReadError("a descriptor whose digest is none; the image is malformed")
    size = value.get("size")
    annotations = value.get("annotations")
    urls = value.get("urls")
    return Descriptor(
        value["digest"],
        str(value.get("mediaType") or ""),
        size if isinstance(size, int) else None,
        _platform(value.get("platform")),
        tuple((str(key), str(item)) for key, item in annotations.items()) if isinstance(annotations, dict) else (),
        tuple(str(url) for url in urls) if isinstance(urls, list) else (),
    )


def parse_config(document: Mapping[str, object]) -> ImageConfig:
    """A config from JSON."""
    entries = []
    for item in _list(document.get("history")):
        entry = item if isinstance(item, dict) else {}
        entries.append(HistoryEntry(str(entry.get("created_by") or ""), entry.get("empty_layer") is True))
    rootfs = document.get("rootfs")
    diff_ids = _list(rootfs.get("diff_ids")) if isinstance(rootfs, dict) else []
    return ImageConfig(tuple(entries), tuple(str(item) for item in diff_ids), _platform(document))


def _platform(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    names = [value.get(key) for key in ("os", "architecture", "variant")]
    given = [name for name in names if isinstance(name, str) and name]
    return "/".join(given) if len(given) >= 2 else None


def _list(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ImageReadError("a list was expected in the image's JSON; the image is malformed")
    return value
