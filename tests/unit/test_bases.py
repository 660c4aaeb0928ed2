"""An audit neither fails nor waits because a base can't be had, whatever an image says of it."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_image import audit
from container_image.audit import bases
from container_image.oci import Descriptor, Image, Manifest
from tests.images import Builder

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
DIGEST = "sha256:" + 64 * "a"


def leaking_image(path: Path, provenance: object) -> str:
    """An image with a leak, and an attestation about it."""
    image = Builder()
    manifest = image.manifest([{"etc/leak": TOKEN.encode()}])
    statement = image.add(json.dumps(provenance).encode(), "application/vnd.in-toto+json")
    config = image.add(b"{}", "application/vnd.oci.image.config.v1+json")
    body = {"schemaVersion": 2, "config": config, "layers": [statement]}
    attestation = image.add(json.dumps(body).encode(), "application/vnd.oci.image.manifest.v1+json")
    annotations = {
        "vnd.docker.reference.digest": manifest["digest"],
        "vnd.docker.reference.type": "attestation-manifest",
    }
    return image.archive(image.index([manifest, {**attestation, "annotations": annotations}]), path)


def materials(*uris: str) -> dict[str, Any]:
    digest = {"sha256": DIGEST.removeprefix("sha256:")}
    return {"predicate": {"materials": [{"uri": uri, "digest": digest} for uri in uris]}}


def test_an_engine_that_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "PATIENCE", 0.2)
    reference = leaking_image(tmp_path / "a.tar", materials("pkg:docker/python@3.12"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        (finding,) = audit(reference, {"TOKEN": TOKEN}).findings
        assert time.monotonic() - started < 5
    assert (finding.path, finding.origin) == ("etc/leak", "unknown")


def test_no_engine_at_all_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    reference = leaking_image(tmp_path / "a.tar", materials("pkg:docker/python@3.12", "pkg:docker/%00;rm"))
    assert audit(reference, {"TOKEN": TOKEN}).findings[0].origin == "unknown"


KEYS = [
    "predicate",
    "materials",
    "buildDefinition",
    "resolvedDependencies",
    "uri",
    "digest",
    "sha256",
    "annotations",
    "manifests",
    "org.opencontainers.image.base.digest",
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
)


@given(anything, anything, anything)
def test_whatever_an_image_says_of_its_base_is_no_error(statement: object, manifest: object, index: object) -> None:
    documents = {name: json.dumps(item).encode() for name, item in (("s", statement), ("m", manifest), ("i", index))}
    parts = (
        Manifest("m", "linux/amd64", "c", None, ()),
        Manifest("a", None, "c", None, (Descriptor("s"),), "attestation", "m"),
    )
    assert bases.inherited("oci:x", Image(Descriptor("i"), parts), documents) == {}
