"""Everything that ships beside the layers: fields that nobody knows, statements in envelopes, what no manifest names."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from container_image import AuditReport, Verdict, audit
from tests.images import Builder

# Escaped, no eight bytes of it are left as they are.
VALUE = 'tok"9aZ8\\bY7"cX6d\\W5eV"4fU3\\gT2h"S1iR'
DOCKERFILE = f"FROM scratch\nENV T={json.dumps(VALUE)}\n"
PROVENANCE = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "predicate": {"metadata": {"source": {"infos": [{"data": base64.b64encode(DOCKERFILE.encode()).decode()}]}}},
}


def enveloped(statement: object) -> dict[str, object]:
    """A statement as cosign signs it (DSSE)."""
    payload = base64.urlsafe_b64encode(json.dumps(statement).encode()).decode().rstrip("=")
    return {"payloadType": "application/vnd.in-toto+json", "payload": payload, "signatures": []}


def attested(tmp_path: Path, statement: object) -> AuditReport:
    builder = Builder()
    image = builder.manifest([{"a": b"b"}])
    body = {
        "schemaVersion": 2,
        "config": builder.add(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [builder.add(json.dumps(statement).encode(), "application/vnd.in-toto+json")],
    }
    annotations = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image["digest"],
    }
    attestation = builder.add(json.dumps(body).encode(), "application/vnd.oci.image.manifest.v1+json")
    root = builder.index([image, attestation | {"annotations": annotations}])
    return audit(builder.layout(root, tmp_path), {"TOKEN": VALUE})


@pytest.mark.parametrize(
    ("statement", "via", "path"),
    [
        (PROVENANCE, ("base64",), "/predicate/metadata/source/infos/0/data"),
        (enveloped(PROVENANCE), ("base64", "base64"), "/payload/predicate/metadata/source/infos/0/data"),
        (enveloped({"predicate": {"x": VALUE}}), ("base64",), "/payload/predicate/x"),
    ],
)
def test_the_dockerfile_in_a_provenance_is_decoded(
    tmp_path: Path, statement: object, via: tuple[str, ...], path: str
) -> None:
    findings = attested(tmp_path, statement).findings
    assert {(item.surface, item.via) for item in findings} == {("attestation", via)}
    assert path in {item.path for item in findings}


def test_fields_that_nobody_knows_are_searched(tmp_path: Path) -> None:
    for number, config in enumerate(({"x-vendor": {"deep": [{"er": VALUE}]}}, {VALUE: None}, {"config": {VALUE: {}}})):
        builder = Builder()
        root = builder.manifest([{"a": b"b"}], config=config)
        report = audit(builder.layout(root, tmp_path / str(number)), {"TOKEN": VALUE})
        assert [item.surface for item in report.findings] == ["config"]


def test_what_an_attestation_says_of_nothing_known_is_clean(tmp_path: Path) -> None:
    assert attested(tmp_path, enveloped({"predicate": {"x": "y" * 50}})).verdict is Verdict.CLEAN
