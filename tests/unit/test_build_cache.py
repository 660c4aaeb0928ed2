"""What the audit says of an exported build cache, in both shapes that BuildKit gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from container_image import Verdict, audit
from tests.images import Builder, digest

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"


@pytest.mark.parametrize("image_manifest", [True, False])
def test_every_layer_of_a_build_cache_is_searched(tmp_path: Path, image_manifest: bool) -> None:
    builder = Builder()
    root = builder.cache([{"a": b"fine"}, {"etc/leak": TOKEN.encode()}], image_manifest=image_manifest)
    report = audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN})
    (finding,) = report.findings
    assert (finding.surface, finding.layer, finding.path, finding.state) == ("cache", 1, "etc/leak", None)
    assert report.coverage.layers == 2
    assert report.image.platforms == ()


@pytest.mark.parametrize("image_manifest", [True, False])
def test_a_build_cache_without_one_of_its_layers_is_not_clean(tmp_path: Path, image_manifest: bool) -> None:
    builder = Builder()
    root = builder.cache([{"a": b"fine"}, {"b": b"gone"}], image_manifest=image_manifest)
    gone = list(builder.blobs)[1]
    del builder.blobs[gone]
    report = audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN})
    assert report.verdict is Verdict.INCOMPLETE
    assert [item.digest for item in report.coverage.unread] == [gone]


def test_the_records_of_a_build_cache_are_searched(tmp_path: Path) -> None:
    builder = Builder()
    root = builder.cache([{"a": b"fine"}], image_manifest=True)
    config = builder.blobs.pop(list(builder.blobs)[1])
    leaking = builder.add(config.replace(b"records", TOKEN.encode()), "application/vnd.buildkit.cacheconfig.v0")
    manifest = builder.blobs.pop(root["digest"])
    manifest = manifest.replace(digest(config).encode(), leaking["digest"].encode())
    root = builder.add(manifest, "application/vnd.oci.image.manifest.v1+json")
    (finding,) = audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN}).findings
    assert (finding.surface, finding.path) == ("cache", "/[TOKEN]")


def test_an_index_may_list_what_is_no_manifest(tmp_path: Path) -> None:
    builder = Builder()
    notes = builder.add(b"plain text " + TOKEN.encode(), "text/plain")
    root = builder.index([builder.manifest([{"a": b"x"}]), notes])
    report = audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN})
    assert [finding.digest for finding in report.findings] == [notes["digest"]]
