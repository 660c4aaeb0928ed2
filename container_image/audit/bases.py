"""How much of an image its base image brought along: known where the base itself can be had, by digest.

What an image says of its base (BuildKit's provenance, in-toto statements of SLSA 0.2 and 1; the annotations
`org.opencontainers.image.base.*` of the OCI image-spec) names candidates. That a candidate is the base is proved by its
layers and its history: the digests of its decompressed layers are the first ones of the image's, and so are the
instructions. (The layers alone prove nothing: `COPY --from` of one file gives the same bytes as the step that wrote it.)
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import docker

from container_image.oci import Blob, Image, Manifest
from container_image.oci.endpoint import connect
from container_image.oci.model import INDEX_TYPES, MANIFEST_TYPES, children, parse_config, read_document, to_descriptor
from container_image.oci.registry import Registry

PATIENCE = 10.0
"""Seconds that an audit waits for bases; what is not known by then is unknown."""

_REQUEST_TIMEOUT = 5
_CANDIDATES = 32
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# No dots in a row: a name becomes a part of a URL.
_NAME = re.compile(r"(?!.*\.\.)[\w][\w.\-/:]*")
_ACCEPT = ", ".join(sorted(INDEX_TYPES | MANIFEST_TYPES))
_ANNOTATION = "org.opencontainers.image.base."


@dataclass(frozen=True, slots=True)
class Inherited:
    """How many of a manifest's layers and of its history's entries come from its base, counted from the oldest."""

    layers: int = 0
    history: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image that may be the base. `name` is a repository, where one is told; it has no say in what is the base."""

    name: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class _Contents:
    """A base's layers, as digests of what they decompress to, and its history's instructions, oldest first."""

    diff_ids: tuple[str, ...]
    history: tuple[str, ...]


_Look = Callable[[Candidate, str | None], "_Contents | None"]


def inherited(
    reference: str, image: Image, documents: Mapping[str, bytes], *, context: str | None = None
) -> dict[str, Inherited]:
    """What each manifest has from its base, by the manifest's digest; those whose base can't be had are left out.

    Bases are looked for in the engine (that of `context`, as in `docker --context`), and for an image that is in a
    registry, in that same registry: no other host is asked, because an image would choose it.
    """
    wanted = {
        manifest.digest: (manifest, candidates)
        for manifest in image.manifests
        if manifest.kind == "image" and (candidates := list(_candidates(manifest, image, documents))[:_CANDIDATES])
    }
    found: dict[str, Inherited] = {}
    if wanted:
        # An engine or a registry that doesn't answer has timeouts of minutes, and nothing here is worth those.
        worker = threading.Thread(target=_resolve, args=(reference, context, wanted, found), daemon=True)
        worker.start()
        worker.join(PATIENCE)
    return dict(found)


def _candidates(manifest: Manifest, image: Image, documents: Mapping[str, bytes]) -> Iterator[Candidate]:
    told = [*_annotated(manifest, image, documents)]
    for other in image.manifests:
        if other.kind == "attestation" and other.attestation_for == manifest.digest:
            for statement in other.layers:
                told += _materials(_json(documents.get(statement.digest)))
    for candidate in dict.fromkeys(told):
        if _DIGEST.fullmatch(candidate.digest) and (candidate.name is None or _NAME.fullmatch(candidate.name)):
            yield candidate


def _annotated(manifest: Manifest, image: Image, documents: Mapping[str, bytes]) -> Iterator[Candidate]:
    """From the annotations of a manifest, of the index around it, and of that one's descriptor of it."""
    own, index = _json(documents.get(manifest.digest)), _json(documents.get(image.root.digest))
    listed = [item for item in _list(_get(index, "manifests")) if _get(item, "digest") == manifest.digest]
    for place in (own, *listed, index):
        digest, name = (_get(place, "annotations", f"{_ANNOTATION}{key}") for key in ("digest", "name"))
        if isinstance(digest, str):
            # The name may have a tag, which the digest goes before.
            yield Candidate(re.sub(r":[^/:]*$", "", name) if isinstance(name, str) else None, digest)


def _materials(statement: object) -> Iterator[Candidate]:
    """From a provenance: every image that the build read. Package URLs look like `pkg:docker/NAME@TAG?platform=…`."""
    predicate = _get(statement, "predicate")
    for material in (
        *_list(_get(predicate, "materials")),
        *_list(_get(predicate, "buildDefinition", "resolvedDependencies")),
    ):
        uri, digest = _get(material, "uri"), _get(material, "digest", "sha256")
        if isinstance(uri, str) and isinstance(digest, str) and uri.startswith("pkg:docker/"):
            name = uri.removeprefix("pkg:docker/").partition("?")[0].partition("@")[0]
            yield Candidate(urllib.parse.unquote(name), f"sha256:{digest}")


def _resolve(
    reference: str,
    context: str | None,
    wanted: Mapping[str, tuple[Manifest, list[Candidate]]],
    found: dict[str, Inherited],
) -> None:
    with contextlib.ExitStack() as opened:
        looks: list[_Look] = []
        if reference.startswith("docker://"):
            looks.append(_in_registry(reference.removeprefix("docker://")))
        # An audit goes on without a base, whatever goes wrong here.
        with contextlib.suppress(Exception):
            client = opened.enter_context(contextlib.closing(connect(context)))
            looks.append(lambda candidate, platform: _in_engine(client, candidate, platform))
        known: dict[tuple[Candidate, str | None], _Contents | None] = {}
        for digest, (manifest, candidates) in wanted.items():
            for candidate in candidates:
                key = (candidate, manifest.platform)
                if key not in known:
                    known[key] = _look(looks, candidate, manifest.platform)
            parts = (_part(manifest, known[candidate, manifest.platform]) for candidate in candidates)
            base = _choose(manifest, [part for part in parts if part is not None])
            if base is not None:
                found[digest] = base


def _choose(manifest: Manifest, parts: list[Inherited]) -> Inherited | None:
    """The base, of all that could be: the one with the most layers.

    One with all of the image's layers is taken only where there is no other, because it may be an earlier build of the
    same image, from which the build copied something.
    """
    fewer = [part for part in parts if part.layers < len(manifest.layers)]
    return max(fewer or parts, key=lambda part: part.layers, default=None)


def _look(looks: list[_Look], candidate: Candidate, platform: str | None) -> _Contents | None:
    for look in looks:
        with contextlib.suppress(Exception):
            contents = look(candidate, platform)
            if contents is not None:
                return contents
    return None


def _part(manifest: Manifest, base: _Contents | None) -> Inherited | None:
    """What of a manifest is a base's; None where that is not its base."""
    config = manifest.config
    if base is None or config is None or not base.diff_ids or len(config.diff_ids) != len(manifest.layers):
        return None
    if config.diff_ids[: len(base.diff_ids)] != base.diff_ids:
        return None
    if tuple(entry.created_by for entry in config.history[: len(base.history)]) != base.history:
        return None
    if len(base.history) == len(config.history):
        # Nothing was added, so nothing tells a base from an earlier build of the same.
        return None
    if sum(not entry.empty_layer for entry in config.history[: len(base.history)]) != len(base.diff_ids):
        return None
    return Inherited(len(base.diff_ids), len(base.history))


def _in_engine(client: docker.DockerClient, candidate: Candidate, platform: str | None) -> _Contents | None:
    """From an engine. The classic store knows an image's manifest digest only beside the name that it was pulled by."""
    names = [candidate.digest, *([f"{candidate.name}@{candidate.digest}"] if candidate.name else [])]
    system, architecture, variant = [*(platform or "").split("/"), "", "", ""][:3]
    asked = {"os": system, "architecture": architecture} | ({"variant": variant} if variant else {})
    # Engines that don't know the parameter answer for their own platform.
    parameters = {"platform": json.dumps(asked)} if system and architecture else {}
    for name in names:
        base = f"{client.api.base_url}/v{client.api.api_version}/images/{name}"
        described, history = (
            client.api.get(f"{base}/{what}", params=parameters, timeout=_REQUEST_TIMEOUT)
            for what in ("json", "history")
        )
        if described.status_code == 200:
            layers = _list(_get(described.json(), "RootFS", "Layers"))
            entries = _list(history.json()) if history.status_code == 200 else []
            texts = [str(_get(entry, "CreatedBy") or "") for entry in reversed(entries)]
            return _Contents(tuple(map(str, layers)), tuple(texts))
    return None


def _in_registry(image: str) -> _Look:
    """From the registry of an image, given its name."""

    def look(candidate: Candidate, platform: str | None) -> _Contents | None:
        if candidate.name is None:
            return None
        registry = Registry(f"{candidate.name}@{candidate.digest}")
        own = Registry(image)
        with contextlib.closing(registry), contextlib.closing(own):
            if registry.host != own.host:
                return None
            document = _fetch(registry, "manifests", candidate.digest)
            for child in children(document):
                if child.platform is not None and _same(child.platform, platform):
                    document = _fetch(registry, "manifests", child.digest)
                    break
            config = parse_config(_fetch(registry, "blobs", to_descriptor(document.get("config")).digest))
            return _Contents(config.diff_ids, tuple(entry.created_by for entry in config.history))

    return look


def _fetch(registry: Registry, kind: str, digest: str) -> dict[str, object]:
    response = registry.get(f"{kind}/{digest}", accept=_ACCEPT if kind == "manifests" else None)
    with contextlib.closing(response):
        data = b"".join(Blob(digest, digest, iter([response.content])).chunks())
    return read_document({digest: data}, digest)


def _same(platform: str, wanted: str | None) -> bool:
    return wanted is not None and platform.removesuffix("/v8") == wanted.removesuffix("/v8")


def _json(data: bytes | None) -> object:
    try:
        return json.loads(data or b"null")
    except (ValueError, RecursionError):
        return None


def _get(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
