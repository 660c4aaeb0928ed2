"""Where hits are: what each blob is in the image, and for every hit its surface, path, state and step."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from container_image.audit.attribution import SourceMap, Step, steps
from container_image.audit.bases import Inherited
from container_image.audit.blob import BlobScan
from container_image.audit.hits import Hit, distinct
from container_image.audit.hunted import Hunted
from container_image.audit.layer import Overlay
from container_image.audit.redaction import Redaction
from container_image.audit.report import State, Surface
from container_image.oci import Image, Manifest, is_digest


@dataclass(frozen=True, slots=True)
class _Role:
    """What a blob is in one manifest."""

    surface: Surface
    manifest: Manifest | None = None
    layer: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A hit with everything that tells where it is; equal places make one finding."""

    surface: Surface
    platform: str | None
    digest: str | None
    layer: int | None
    path: str | None
    state: State | None
    step: Step | None
    from_base: bool = False


# A manifest may name one blob any number of times, and each is another place of every hit in it.
_MAX_ROLES = 100

# Of a manifest of each kind: itself, its config, its layers.
_SURFACES: dict[str, tuple[Surface, Surface, Surface]] = {
    "image": ("manifest", "config", "layer"),
    "attestation": ("attestation", "attestation", "attestation"),
    "cache": ("cache", "cache", "cache"),
}


class Places:
    """Places every hit of an image's blobs."""

    def __init__(
        self,
        image: Image,
        scans: Mapping[str, BlobScan],
        hunted: Hunted,
        redaction: Redaction,
        source: SourceMap | None,
        inherited: Mapping[str, Inherited],
    ) -> None:
        self._image = image
        self._inherited = inherited
        self._scans = scans
        self._hunted = hunted
        self._redaction = redaction
        self._steps: dict[str, list[Step]] = {}
        for manifest in image.manifests:
            if manifest.config is not None:
                texts = [entry.created_by for entry in manifest.config.history]
                self._steps[manifest.digest] = steps(texts, source)
        self._has_source = source is not None
        self._states = self._find_states({key for key, scan in scans.items() if scan.hits or _credentials(scan)})
        self._all_roles = self._roles()

    def __iter__(self) -> Iterator[tuple[Place, Hit]]:
        for key, scan in self._scans.items():
            for role in self._all_roles.get(key) or [_Role("metadata")]:
                yield from self._placed(scan, role)

    def credential_files(self) -> Iterator[Place]:
        """Where files of credentials are, in layers that this image's own build made.

        Where the Dockerfile is known, these are the layers of its instructions, and what is above a known base; where it
        is not, all layers that are not known to be the base's. A place without a path is a layer with more candidates than
        were looked into.
        """
        for key, scan in self._scans.items():
            for role in self._all_roles.get(key, ()):
                if scan.index is None or role.layer is None or role.manifest is None or role.manifest.kind != "image":
                    continue
                for path in [*_credentials(scan), *([None] if scan.index.credentials.omitted else [])]:
                    place = self._in_layer(scan, role, role.layer, path)
                    ours = place.step is not None and place.step.line is not None
                    known = role.manifest.digest in self._inherited or not self._has_source
                    if ours or (known and not place.from_base):
                        yield place

    def _roles(self) -> dict[str, list[_Role]]:
        roles: dict[str, list[_Role]] = defaultdict(list)
        if self._image.root.digest not in {manifest.digest for manifest in self._image.manifests}:
            roles[self._image.root.digest].append(_Role("manifest"))
        for manifest in self._image.manifests:
            surfaces = _SURFACES[manifest.kind]
            # An image of the classic store has no manifest: it goes by its config.
            if manifest.digest != manifest.config_digest:
                roles[manifest.digest].append(_Role(surfaces[0], manifest))
            roles[manifest.config_digest].append(_Role(surfaces[1], manifest))
            for number, layer in enumerate(manifest.layers):
                if len(roles[layer.digest]) < _MAX_ROLES:
                    # What an attestation calls its layers are statements.
                    told = None if manifest.kind == "attestation" else number
                    roles[layer.digest].append(_Role(surfaces[2], manifest, told))
        return roles

    def _in_layer(self, scan: BlobScan, role: _Role, layer: int, path: str | None) -> Place:
        """The place of a path in a layer, or of the layer itself."""
        digest = scan.key if is_digest(scan.key) else None
        state: State | None = None
        step = None
        if role.manifest is not None:
            if path is not None and role.manifest.kind == "image":
                state = self._states.get((role.manifest.digest, layer, path), "visible")
            step = self._layer_step(role.manifest, layer)
        platform = None if role.manifest is None else role.manifest.platform
        from_base = layer < self._of_base(role).layers
        shown = self._redaction.redact(scan.key if path is None and digest is None else path)
        return Place(role.surface, platform, digest, layer, shown, state, step, from_base)

    def _placed(self, scan: BlobScan, role: _Role) -> Iterator[tuple[Place, Hit]]:
        root_of = self._hunted.root_of
        digest = scan.key if is_digest(scan.key) else None
        platform = None if role.manifest is None else role.manifest.platform
        if scan.document is not None:
            told: set[str] = set()
            pointed: dict[str, list[Hit]] = defaultdict(list)
            for pointer, hit in scan.strings:
                pointed[pointer].append(hit)
            for pointer, hits in pointed.items():
                for hit in distinct(hits, root_of):
                    told.add(root_of(hit.run.target))
                    surface, number = self._in_config(role, pointer, root_of(hit.run.target), pointed)
                    step, from_base = self._entry(role, number)
                    place = self._redaction.redact(pointer)
                    yield Place(surface, platform, digest, None, place, None, step, from_base), hit
            for hit in distinct(scan.hits, root_of):
                if root_of(hit.run.target) not in told:
                    yield Place(role.surface, platform, digest, None, None, None, None), hit
            return
        from_base = role.layer is not None and role.layer < self._of_base(role).layers
        found = {root_of(hit.run.target) for hit in scan.hits}
        for hit in distinct([hit for hit in scan.shipped if root_of(hit.run.target) not in found], root_of):
            # Its offset counts in the compressed bytes, which no path belongs to.
            yield Place(role.surface, platform, digest, role.layer, None, None, None, from_base), hit
        for hit in distinct(scan.hits, root_of):
            path = None if scan.index is None else scan.index.path_at(hit.offset)
            if role.layer is not None:
                yield self._in_layer(scan, role, role.layer, path), hit
            else:
                shown = self._redaction.redact(scan.key if path is None and digest is None else path)
                yield Place(role.surface, platform, digest, None, shown, None, None), hit

    def _in_config(
        self, role: _Role, pointer: str, root: str, pointed: Mapping[str, list[Hit]]
    ) -> tuple[Surface, int | None]:
        """The surface of a string in a config, and the number of the history's entry that put it there."""
        if role.surface != "config" or role.manifest is None:
            return role.surface, None
        entry = _HISTORY.match(pointer)
        if entry:
            return "history", int(entry[1])
        recorded = self._steps.get(role.manifest.digest, [])
        keyword = next((word for prefix, word in _CONFIG_KEYWORDS.items() if pointer.startswith(prefix)), None)
        for other, hits in pointed.items():
            entry = _HISTORY.match(other)
            step = recorded[int(entry[1])] if entry and int(entry[1]) < len(recorded) else None
            same = any(self._hunted.root_of(hit.run.target) == root for hit in hits)
            if entry and step is not None and same and keyword and step.instruction.startswith(keyword):
                return "config", int(entry[1])
        return "config", None

    def _entry(self, role: _Role, number: int | None) -> tuple[Step | None, bool]:
        """The step of a history's entry, and whether it is the base's."""
        if role.manifest is None or number is None:
            return None, False
        recorded = self._steps.get(role.manifest.digest, [])
        step = recorded[number] if number < len(recorded) else None
        return step, number < self._of_base(role).history

    def _of_base(self, role: _Role) -> Inherited:
        return self._inherited.get(role.manifest.digest, Inherited()) if role.manifest is not None else Inherited()

    def _layer_step(self, manifest: Manifest, layer: int) -> Step | None:
        if manifest.config is None:
            return None
        recorded = self._steps.get(manifest.digest, [])
        filled = [step for step, entry in zip(recorded, manifest.config.history, strict=True) if not entry.empty_layer]
        return filled[layer] if len(filled) == len(manifest.layers) else None

    def _find_states(self, wanted: set[str]) -> dict[tuple[str, int, str], State]:
        """What the layers above did to each path that has a hit or is a file of credentials."""
        found: dict[tuple[str, int, str], State] = {}
        for manifest in self._image.manifests:
            digests = [layer.digest for layer in manifest.layers]
            if manifest.kind != "image" or wanted.isdisjoint(digests):
                continue
            indexes = [None if scan is None else scan.index for scan in map(self._scans.get, digests)]
            paths: list[set[str]] = []
            for digest, index in zip(digests, indexes, strict=True):
                hits = self._scans[digest].hits if index is not None else []
                found_at = {path for hit in hits if index and (path := index.path_at(hit.offset)) is not None}
                paths.append(found_at | (index.credentials.paths.keys() if index else set()))
            overlay = Overlay(set().union(*paths))
            for number in range(len(digests) - 1, -1, -1):
                index = indexes[number]
                if index is None:
                    continue
                for path in paths[number]:
                    found[(manifest.digest, number, path)] = cast(State, overlay.state(path))
                overlay.add(index)
        return found


def _credentials(scan: BlobScan) -> Collection[str]:
    return () if scan.index is None else scan.index.credentials.paths


_HISTORY = re.compile(r"/history/(\d+)/")
_CONFIG_KEYWORDS = {
    "/config/Env": "ENV",
    "/config/Labels": "LABEL",
    "/config/Cmd": "CMD",
    "/config/Entrypoint": "ENTRYPOINT",
    "/config/Healthcheck": "HEALTHCHECK",
    "/config/OnBuild": "ONBUILD",
    "/config/User": "USER",
    "/config/WorkingDir": "WORKDIR",
    "/config/Volumes": "VOLUME",
    "/config/ExposedPorts": "EXPOSE",
    "/config/Shell": "SHELL",
}
