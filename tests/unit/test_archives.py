"""What the audit says of an image's archive: no byte of it goes unsearched, and a broken one is never clean."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from container_image import AuditReport, ImageNotFoundError, ImageReadError, Verdict, audit
from tests.images import END, Builder, layer_tar, legacy_archive, link_tar, unended

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
CLEAN = {"app/config": b"nothing to see here\n" * 9}


def image() -> bytes:
    builder = Builder()
    return layer_tar(builder.files(builder.manifest([CLEAN])))


def search(tmp_path: Path, archive: bytes) -> AuditReport:
    (tmp_path / "image.tar").write_bytes(archive)
    return audit(f"oci-archive:{tmp_path}/image.tar", {"TOKEN": TOKEN})


def test_a_whole_archive_is_clean(tmp_path: Path) -> None:
    assert search(tmp_path, image()).verdict is Verdict.CLEAN
    assert search(tmp_path, unended(image()) + END).verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(layer_tar({TOKEN: b""}), id="a name"),
        pytest.param(layer_tar({f"{'d' * 90}/{TOKEN}/{'e' * 60}": b""}), id="a long name"),
        pytest.param(link_tar("link", TOKEN), id="a link's target"),
        pytest.param(END + TOKEN.encode() + END, id="bytes behind the end"),
        pytest.param(END + layer_tar({"more": TOKEN.encode()}), id="a member behind the end"),
        pytest.param(END + layer_tar({"more": gzip.compress(TOKEN.encode() * 9)}), id="a compressed one"),
        pytest.param(END + bytes(5 << 20) + TOKEN.encode(), id="bytes far behind the end"),
    ],
)
def test_what_is_in_the_archive_beside_its_members_is_searched(tmp_path: Path, more: bytes) -> None:
    report = search(tmp_path, unended(image()) + more + END)
    assert report.verdict is Verdict.LEAKED
    assert {finding.surface for finding in report.findings} == {"metadata"}
    assert TOKEN not in report.model_dump_json()


def test_of_two_members_with_one_name_both_are_searched(tmp_path: Path) -> None:
    twice = unended(layer_tar({"notes": TOKEN.encode()})) + unended(layer_tar({"notes": b"fine"}))
    report = search(tmp_path, unended(image()) + twice + END)
    assert [finding.path for finding in report.findings] == ["notes"]


def test_an_archive_that_breaks_off_is_an_error(tmp_path: Path) -> None:
    whole = unended(image())
    builder = Builder()
    files = list(builder.files(builder.manifest([CLEAN])).items())
    for cut in (
        whole,
        whole[:-512],
        whole[:-700],
        unended(layer_tar(dict(files[:-1]))),
        unended(layer_tar(dict(files[:1]))),
    ):
        with pytest.raises(ImageReadError, match="truncated"):
            search(tmp_path, cut)


def test_a_malformed_header_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="image"):
        search(tmp_path, unended(image()) + b"not a header" * 99 + END)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_a_compressed_archive_is_read_to_its_end(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    leaking = unended(image()) + layer_tar({"x": TOKEN.encode()})
    assert search(tmp_path, compress(image())).verdict is Verdict.CLEAN
    assert search(tmp_path, compress(leaking)).verdict is Verdict.LEAKED
    half = len(leaking) // 2
    assert search(tmp_path, compress(leaking[:half]) + compress(leaking[half:])).verdict is Verdict.LEAKED
    for damaged in (compress(leaking)[:-30], compress(image()) + TOKEN.encode()):
        with pytest.raises(ImageReadError, match="image"):
            search(tmp_path, damaged)


def test_a_layer_that_is_a_link_to_another_one_is_not_missing(tmp_path: Path) -> None:
    path = tmp_path / "old.tar"
    reference = legacy_archive([{"a": b"x"}], path)
    entry = json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": ["one/layer.tar", "two/layer.tar"]}])
    files = {"c.json": b'{"os": "linux", "architecture": "amd64"}', "manifest.json": entry.encode()}
    layers = unended(layer_tar({"one/layer.tar": layer_tar(CLEAN)})) + unended(
        link_tar("two/layer.tar", "../one/layer.tar")
    )
    path.write_bytes(layers + layer_tar(files))
    assert audit(reference, {"TOKEN": TOKEN}).verdict is Verdict.CLEAN
    path.write_bytes(unended(layer_tar({"one/layer.tar": layer_tar(CLEAN)})) + layer_tar(files))
    assert audit(reference, {"TOKEN": TOKEN}).verdict is Verdict.INCOMPLETE


def test_of_several_images_one_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / "two.tar"
    entries = [{"Config": f"{tag}.json", "RepoTags": [f"app:{tag}"], "Layers": []} for tag in ("a", "b")]
    config = b'{"os": "linux", "architecture": "amd64"}'
    path.write_bytes(layer_tar({"a.json": config, "b.json": config, "manifest.json": json.dumps(entries).encode()}))
    with pytest.raises(ImageNotFoundError, match="app:a, app:b"):
        audit(f"docker-archive:{path}", {"TOKEN": TOKEN})
    assert audit(f"docker-archive:{path}:app:b", {"TOKEN": TOKEN}).verdict is Verdict.CLEAN


def test_what_can_be_read_only_once_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for reference in (f"docker-archive:{tmp_path}/pipe", f"{tmp_path}/pipe"):
        with pytest.raises(ImageReadError, match="not a regular file"):
            audit(reference, {"TOKEN": TOKEN})


def test_names_in_a_layout_are_searched(tmp_path: Path) -> None:
    builder = Builder()
    reference = builder.layout(builder.manifest([CLEAN]), tmp_path)
    (tmp_path / TOKEN).mkdir()
    assert audit(reference, {"TOKEN": TOKEN}).verdict is Verdict.LEAKED
    (tmp_path / TOKEN).rmdir()
    (tmp_path / "link").symlink_to(TOKEN)
    assert audit(reference, {"TOKEN": TOKEN}).verdict is Verdict.LEAKED
