"""`audit --self-test`: what is planted in an image is counted, found or not, and the image stays as it is."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from container_image import AuditPolicy, DigestMismatchError
from container_image.audit import Recall, self_test
from container_image.cli import commands
from container_image.forms import forms
from container_image.oci import open_image
from tests.images import Builder, legacy_archive

LAYERS = [{"etc/a": b"a" * 70_000}, {}]


def measure(reference: str, policy: AuditPolicy | None = None) -> Recall:
    with open_image(reference) as opened:
        return self_test(opened, policy=policy)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["audit", "--self-test", *arguments], standalone_mode=False)


@pytest.mark.parametrize("compression", ["zstd", "legacy"])
def test_every_canary_in_every_layer_is_found(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    if compression == "legacy":
        reference = legacy_archive(LAYERS, path)
    else:
        image = Builder(compression)
        reference = image.archive(image.manifest(LAYERS), path)
    before = path.read_bytes()
    recall = measure(reference)
    assert (recall.layers, recall.unread) == (2, 0)
    assert [row for row in recall.rows if row.found != row.planted or row.planted % 2] == []
    # Whatever forms there are, each is planted in each container.
    planted = Counter(row.container for row in recall.rows)
    assert planted.pop("at the end of the layer") == 1
    assert set(planted) >= {"plain", "gzip", "zlib", "zip", "xz", "lzma", "bzip2", "zstd", "lz4", "tar.gz in zip"}
    rich = {form.name for form in forms(b"a/\"&<'$\\????b01234567")}
    assert {row.form for row in recall.rows} >= rich
    assert set(planted.values()) == {len({row.form for row in recall.rows})}
    # A copy was planted in: the image is as it was, and nothing is beside it.
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_an_audit_does_not_read_is_counted_as_missed(tmp_path: Path) -> None:
    image = Builder("none")
    reference = image.archive(image.manifest(LAYERS), tmp_path / "a.tar")
    # The limit is reached in the first layer, so that its end is not read, nor the others.
    short = measure(reference, AuditPolicy(max_bytes=1))
    assert {row.found for row in short.rows if row.container == "at the end of the layer"} == {0}
    assert short.found < short.planted


def test_a_damaged_image_is_an_error_and_no_number(tmp_path: Path) -> None:
    image = Builder("none")
    root = image.manifest(LAYERS)
    longest = max(image.blobs, key=lambda name: len(image.blobs[name]))
    image.blobs[longest] = image.blobs[longest].replace(b"aaaa", b"aaab", 1)
    with pytest.raises(DigestMismatchError):
        measure(image.archive(root, tmp_path / "a.tar"))


def test_the_command_says_how_many_of_which_are_found(tmp_path: Path) -> None:
    image = Builder()
    reference = image.archive(image.manifest(LAYERS), tmp_path / "a.tar")
    done = run(reference)
    assert done.return_value == 0
    first, _, _, header, row, *_ = done.stdout.splitlines()
    assert first.startswith("all found: ")
    assert first.endswith(" canaries, planted in a copy of 2 layers")
    assert header.split()[:3] == ["plain", "gzip", "zlib"]
    assert row.split()[:2] == ["raw", "2/2"]
    missed = run(reference, "--max-depth", "1", "--format", "json")
    assert missed.return_value == 1
    counted = json.loads(missed.stdout)
    assert 0 < counted["found"] < counted["planted"]
    # What is not read of the canaries is not counted as unread of the image.
    assert counted["unread"] == 0
    assert {row["container"] for row in counted["rows"] if row["found"] < row["planted"]} == {"tar.gz in zip"}
    assert {"form": "raw", "container": "tar.gz in zip", "planted": 2, "found": 0} in counted["rows"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--secret", "id=TOKEN"], "--self-test plants secrets of its own"),
        (["--format", "sarif"], "--format is one of text, json"),
        (["--report", "json=x.json"], "leave out --secret, --env, --earlier, --report and --quiet"),
        (["--quiet"], "leave out --secret, --env, --earlier, --report and --quiet"),
        ([], "the image has no layer"),
    ],
)
def test_a_mistake_is_named(arguments: list[str], message: str, tmp_path: Path) -> None:
    image = Builder()
    done = run(image.archive(image.manifest([]), tmp_path / "a.tar"), *arguments)
    assert message in str(done.exception)
