"""An image, limited to some of its platforms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from container_image.oci.model import Image, Manifest


def limit(image: Image, platforms: Collection[str]) -> tuple[Image, frozenset[str]]:
    """The image without the other platforms, and the digests of the blobs that only those have.

    A platform that is not there is absent. A manifest that names none might be any, so it stays.
    """
    kept = [item for item in image.manifests if item.kind != "attestation" and _wanted(item.platform, platforms)]
    about = {item.digest for item in kept}
    known = {item.digest for item in image.manifests}
    for item in image.manifests:
        # What an attestation about none of the image's manifests is about can't be told.
        if item.kind == "attestation" and (item.attestation_for in about or item.attestation_for not in known):
            kept.append(item)
    dropped = [item for item in image.manifests if item not in kept]
    outside = _digests(dropped) - _digests(kept)
    there = [item.platform for item in kept if item.platform]
    absent = tuple(platform for platform in platforms if not any(_matches(have, platform) for have in there))
    limited = replace(
        image,
        manifests=tuple(item for item in image.manifests if item in kept),
        absent_platforms=absent,
        missing=tuple(item for item in image.missing if item[0] not in outside),
        foreign=tuple(item for item in image.foreign if item[0] not in outside),
    )
    return limited, outside


def _digests(manifests: Sequence[Manifest]) -> frozenset[str]:
    return frozenset(
        digest
        for item in manifests
        for digest in (item.digest, item.config_digest, *(layer.digest for layer in item.layers))
    )


def _wanted(platform: str | None, platforms: Collection[str]) -> bool:
    return platform is None or any(_matches(platform, wanted) for wanted in platforms)


def _matches(platform: str, wanted: str) -> bool:
    """Whether a platform is the one wanted; `linux/arm` is all of its variants, and arm64 has but one (containerd)."""
    have, want = (name.lower().removesuffix("/v8") if "/arm64" in name else name.lower() for name in (platform, wanted))
    return have == want or have.startswith(f"{want}/")
