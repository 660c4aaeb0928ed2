"""Images that are made to exhaust, mislead or crash whoever reads them: bounded, and never clean unread."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from container_image import ImageReadError, Verdict, audit
from container_image.audit import engine, scan
from container_image.dockerfile import parse, scopes
from tests import confined
from tests.images import (
    END,
    Builder,
    checksummed,
    digest,
    header,
    image_of,
    layer_tar,
    legacy_archive,
    link_tar,
    padded,
    pax,
    unended,
)
from tests.quine import quine

TOKEN = confined.TOKEN.encode()
CLEAN, LEAKED, ERROR, INCOMPLETE = 0, 1, 2, 3
MEGABYTES = 512
SECONDS = 40
"""As much as no case takes on a machine that is busy with others; each takes a few seconds."""

LEAK = header(b"etc/leak", size=len(TOKEN)) + padded(TOKEN)


def layout(tmp_path: Path, *layers: bytes) -> str:
    builder, root = image_of(*layers)
    return builder.layout(root, tmp_path / "image")


def within_bounds(tmp_path: Path, reference: str, status: int) -> confined.Outcome:
    outcome = confined.audit(reference, tmp_path / "outcome", limit=SECONDS)
    assert outcome.status == status, outcome.messages
    assert outcome.megabytes < MEGABYTES
    if status == ERROR:
        assert outcome.messages.count("\n") == 1
    return outcome


def nested(pack: Callable[[bytes], bytes]) -> bytes:
    """A stream in a stream, forty times: to whoever opens them, the same as one that holds itself."""
    data = b"innermost"
    for _ in range(40):
        data = pack(data * 2)
    return data


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def overlapping_zip() -> bytes:
    """One kernel of zeros that 500 members share, each quoting the headers of those behind it (a better zip bomb)."""
    kernel = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = kernel.compress(bytes(20 << 20)) + kernel.flush()
    for number in range(500):
        member = zipped(**{f"f{number}": b""})[:30]
        quote = len(data).to_bytes(2, "little") if len(data) < 65536 else b"\xff\xff"
        data = member[:8] + b"\x08\0" + member[10:26] + b"\x02\0\0\0" + b"aa" + b"\0" + quote + b"\0\0" + data
    return data


def zstd_window(log: int, size: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=log, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(bytes(size)) + packer.flush()


def xz_window(size: int) -> bytes:
    return lzma.compress(TOKEN * 99, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": size}])


def nested_directories(depth: int) -> bytes:
    return b"".join(pax((b"path", b"d/" * level)) + header(b"d", kind=b"5") for level in range(1, depth, 50))


GZIP_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\3"
ZIP_HEADER = b"PK\3\4" + b"\x14\0\0\0\x08\0" + bytes(16) + b"\5\0\0\0" + b"a.zip"


@pytest.mark.parametrize("header", [GZIP_HEADER, ZIP_HEADER])
def test_a_quine_inflates_to_itself(header: bytes) -> None:
    assert zlib.decompressobj(-15).decompress(quine(header)[len(header) :]) == quine(header)


BOMBS: dict[str, tuple[Callable[[], bytes], int]] = {
    "zeros in a layer": (lambda: gzip.compress(bytes(32 << 20)) * 5, CLEAN),
    "zeros in a gzip file": (lambda: layer_tar({"a": gzip.compress(bytes(70 << 20))}), CLEAN),
    "zeros in zeros": (lambda: layer_tar({"a": gzip.compress(gzip.compress(gzip.compress(bytes(50 << 20))))}), CLEAN),
    "a zip whose members overlap": (lambda: layer_tar({"a.zip": overlapping_zip()}), CLEAN),
    "a zip in a zip in a zip": (lambda: layer_tar({"a": zipped(a=zipped(a=zipped(a=bytes(50 << 20))) * 2)}), CLEAN),
    "gzip in gzip without end": (lambda: layer_tar({"a": nested(gzip.compress)}), INCOMPLETE),
    "zip in zip without end": (lambda: layer_tar({"a": nested(lambda data: zipped(a=data))}), INCOMPLETE),
    "a gzip stream that holds itself": (lambda: layer_tar({"a": gzip.compress(quine(GZIP_HEADER))}), INCOMPLETE),
    "a zip file that holds itself": (lambda: layer_tar({"a": zipped(a=quine(ZIP_HEADER))}), INCOMPLETE),
    "an xz file that asks for too much": (lambda: layer_tar({"a.xz": xz_window(1 << 28)}), INCOMPLETE),
    "a zstd file that asks for a gigabyte": (lambda: layer_tar({"a.zst": zstd_window(30, 9 << 20)}), INCOMPLETE),
    "a zstd layer that asks for a gigabyte": (lambda: zstd_window(30, 9 << 20), INCOMPLETE),
    "a zstd file with the largest window": (lambda: layer_tar({"a.zst": zstd_window(27, 60 << 20)}), CLEAN),
    "40,000 members": (lambda: gzip.compress(LEAK) + gzip.compress(b"") * 40_000 + gzip.compress(END), LEAKED),
    "30,000 entries": (lambda: gzip.compress(b"".join(header(b"f%d" % i) for i in range(30_000)) + LEAK), LEAKED),
    "entries of no known kind": (lambda: gzip.compress(header(b"f", kind=b"Z") * 10_000 + LEAK + END), LEAKED),
    "names in two pieces": (lambda: gzip.compress(header(b"f", prefix=b"p") * 10_000 + LEAK + END), LEAKED),
    "ten thousand directories, nested": (lambda: gzip.compress(nested_directories(10_000) + LEAK + END), LEAKED),
    "a flood of pax records": (
        lambda: gzip.compress((pax(*((b"k%d" % i, b"x") for i in range(50_000))) + header(b"f")) * 5 + LEAK + END),
        LEAKED,
    ),
    "magics without end": (lambda: layer_tar({"a": b"\x1f\x8b\x08\x00" * 50_000}), CLEAN),
}


def test_hits_without_end_are_a_leak_and_the_rest_is_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "_MAX_HITS", 1_000)
    builder, root = image_of(layer_tar({"a": (TOKEN + b"\n") * 200_000}), layer_tar({"b": TOKEN}))
    report = audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN})
    assert report.verdict is Verdict.LEAKED
    assert {item.reason for item in report.coverage.unread} == {"1000 occurrences found, the rest not counted"}
    assert report.coverage.bytes < 3 << 20


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_takes_bounded_time_and_memory(tmp_path: Path, bomb: str) -> None:
    make, status = BOMBS[bomb]
    within_bounds(tmp_path, layout(tmp_path, make()), status)


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
DOCUMENTS: dict[str, bytes] = {
    "nested 100,000 deep": DEEP,
    "nested 100,000 deep, behind an escape": b'{"t": "tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0", "x": ' + DEEP + b"}",
    "a number of 100,000 digits": b'{"t": "tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0", "n": ' + b"1" * 100_000 + b"}",
    "not UTF-8": b'{"t": "tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0", "x": "\xff\xfe"}',
    "a byte order mark": b'\xef\xbb\xbf{"t": "tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0"}',
    "a repeated key": b'{"t": "tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0", "t": "x"}',
    "a string without an end": b'{"t": "tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0',
    "long": b'{"x": "' + b"x" * (5 << 20) + b'", "t": "tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0"}',
    "half a character in a name": b'{"\\ud800": "tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0"}',
    "the value as a name": b'{"tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0\\ud800": 1}',
    "a name as long as the document": b'{"' + b"k" * 500_000 + b'": [' + b'"abcdefgh",' * 50_000 + b'"x"]}',
    "many strings": b"[" + b'"",' * 300_000 + b'""]',
    "many objects": b"[" + b'{"":0},' * 200_000 + b"0]",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_of_any_shape_is_searched(tmp_path: Path, name: str) -> None:
    builder, root = image_of(layer_tar({"a": b"b"}))
    builder.add(DOCUMENTS[name], "")
    hidden = b"\\u0053" in DOCUMENTS[name]
    outcome = within_bounds(tmp_path, builder.layout(root, tmp_path / "image"), LEAKED if hidden else CLEAN)
    assert len(outcome.report["findings"]) == hidden


@pytest.mark.parametrize("document", [DEEP, b'{"x": ' + b"1" * 100_000 + b', "a"', b"\xff", b'{"layers": 7}'])
def test_a_manifest_that_cannot_be_read_is_an_error(tmp_path: Path, document: bytes) -> None:
    builder = Builder()
    root = builder.add(document, "application/vnd.oci.image.manifest.v1+json")
    within_bounds(tmp_path, builder.layout(root, tmp_path / "image"), ERROR)


def test_an_index_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    builder, root = image_of(layer_tar({"a": b"b"}))
    files = builder.files(root)
    files["index.json"] += b" " * (5 << 20)
    (tmp_path / "a.tar").write_bytes(gzip.compress(layer_tar(files)))
    assert "more than 4 MiB" in within_bounds(tmp_path, f"oci-archive:{tmp_path}/a.tar", ERROR).messages
    reference = builder.layout(root, tmp_path / "image")
    (tmp_path / "image" / "index.json").write_bytes(files["index.json"])
    assert "more than 4 MiB" in within_bounds(tmp_path, reference, ERROR).messages


def test_documents_without_end_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_DOCUMENTS", 1 << 20)
    builder, root = image_of(layer_tar({"a": b"b"}))
    files = builder.files(root) | {f"more/{number}": b"[" + b" " * 300_000 + b"]" for number in range(4)}
    (tmp_path / "a.tar").write_bytes(layer_tar(files))
    with pytest.raises(ImageReadError, match="more than 1 MiB of JSON documents"):
        audit(f"oci-archive:{tmp_path}/a.tar", {"TOKEN": TOKEN})


def test_indexes_in_indexes_are_read_however_deep(tmp_path: Path) -> None:
    builder, root = image_of(unended(LEAK + END))
    for _ in range(3_000):
        root = builder.index([root])
    within_bounds(tmp_path, builder.archive(root, tmp_path / "a.tar"), LEAKED)


def test_a_manifest_of_the_same_layer_over_and_over(tmp_path: Path) -> None:
    layer = gzip.compress(b"".join(header(b"f%d" % i, size=len(TOKEN)) + padded(TOKEN) for i in range(50)) + END)
    builder, root = image_of(*[layer] * 3_000)
    within_bounds(tmp_path, builder.layout(root, tmp_path / "image"), LEAKED)


@pytest.mark.parametrize("again", ["layers", "Layers", "config", "LAYERS"])
def test_a_manifest_that_can_be_read_in_two_ways_is_an_error(tmp_path: Path, again: str) -> None:
    builder, root = image_of(layer_tar({"a": b"b"}))
    manifest = builder.blobs.pop(root["digest"])
    root |= builder.add(manifest[:-1] + b', "%b": []}' % again.encode(), root["mediaType"])
    outcome = within_bounds(tmp_path, builder.layout(root, tmp_path / "image"), ERROR)
    assert f"has two '{again.lower()}'" in outcome.messages


@pytest.mark.parametrize(
    "bad",
    ["sha256:../../../etc/passwd", "../x", "md5:" + "0" * 32, "shake_128:" + "0" * 64, "sha256:" + "A" * 64, "", 7],
)
def test_a_digest_that_is_none_is_never_clean(tmp_path: Path, bad: object) -> None:
    builder, root = image_of(layer_tar({"a": b"b"}), layers=[{"digest": bad, "mediaType": "x", "size": 1}])
    outcome = confined.audit(builder.layout(root, tmp_path / "image"), tmp_path / "outcome")
    assert outcome.status in (ERROR, INCOMPLETE)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "shake_128"])
def test_a_blob_under_a_weak_digest_is_an_error(tmp_path: Path, algorithm: str) -> None:
    builder, root = image_of(layer_tar({"a": b"b"}))
    reference = builder.layout(root, tmp_path / "image")
    path = tmp_path / "image" / "blobs" / algorithm.replace("_", "") / ("0" * 32)
    path.parent.mkdir()
    path.write_bytes(b"")
    assert "digest algorithm" in within_bounds(tmp_path, reference, ERROR).messages


def test_a_file_that_is_named_like_a_digest_is_not_its_blob(tmp_path: Path) -> None:
    builder, root = image_of(layer_tar({"a": b"b"}))
    layer = json.loads(builder.blobs[root["digest"]])["layers"][0]["digest"]
    files = builder.files(root)
    files[layer] = files.pop(f"blobs/{layer.replace(':', '/')}")
    (tmp_path / "a.tar").write_bytes(layer_tar(files))
    within_bounds(tmp_path, f"oci-archive:{tmp_path}/a.tar", INCOMPLETE)


SIZES: dict[str, bytes] = {
    "octal, absurd": b"77777777777",
    "base 256, absurd": b"\x80\0\0\0" + b"\xff" * 8,
    "base 256, negative": b"\xff" * 12,
    "not octal": b"99999999999",
    "not a number": b"-0000000001",
}


@pytest.mark.parametrize("size", SIZES)
def test_an_absurd_size_is_searched_past_and_never_clean(tmp_path: Path, size: str) -> None:
    broken = header(b"absurd", size=SIZES[size])
    builder, root = image_of(layer_tar({"a": b"b"}))
    (tmp_path / "a.tar").write_bytes(unended(layer_tar(builder.files(root))) + broken + END)
    within_bounds(tmp_path, f"oci-archive:{tmp_path}/a.tar", ERROR)
    outcome = within_bounds(tmp_path, layout(tmp_path, gzip.compress(broken + LEAK + END)), LEAKED)
    assert outcome.report["findings"][0]["layer"] == 0


def names(tmp_path: Path, *parts: bytes) -> dict[str | None, str | None]:
    """Which file of a layer each hit is in, with what happened to it."""
    report = audit(layout(tmp_path, gzip.compress(b"".join(parts) + END)), {"TOKEN": TOKEN})
    return {finding.path: finding.state for finding in report.findings}


SPARSE_MAP = checksummed(header(b"sparse", kind=b"S", size=len(TOKEN))[:482] + b"\x01" + bytes(29))
OLD_SPARSE = SPARSE_MAP + bytes(504) + b"\x01" + bytes(7) + bytes(512) + padded(TOKEN)
STORED = header(b"GNUSparseFile.0/name", size=len(TOKEN)) + padded(TOKEN)
AFTER = header(b"after", size=len(TOKEN)) + padded(TOKEN)


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        pytest.param(OLD_SPARSE, "sparse", id="GNU, with a map that goes on"),
        pytest.param(pax((b"GNU.sparse.size", b"9999"), (b"path", b"sparse")) + STORED, "sparse", id="pax 0.0"),
        pytest.param(pax((b"GNU.sparse.map", b"0,9"), (b"GNU.sparse.name", b"sparse")) + STORED, "sparse", id="pax 0.1"),
        pytest.param(pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.name", b"sparse")) + STORED, "sparse", id="pax 1.0"),
        pytest.param(pax((b"size", b"%d" % len(TOKEN))) + header(b"big") + padded(TOKEN), "big", id="a size in pax"),
        pytest.param(pax((b"path", b"")) + header(b"plain", size=31) + padded(TOKEN), "plain", id="a path taken back"),
        pytest.param(pax((b"path", b"first")) + pax((b"path", b"second")) + STORED, "second", id="two pax headers"),
        pytest.param(pax((b"path", b"all"), kind=b"g") + STORED + pax((b"path", b"")) , "all", id="a global header"),
        pytest.param(header(b"link", kind=b"1", size=512) + STORED, "GNUSparseFile.0/name", id="a link with a size"),
        pytest.param(header(b"x", kind=b"Z", size=31) + padded(TOKEN), "x", id="a kind that nobody knows"),
        pytest.param(header(b"v7", size=31, magic=b"") + padded(TOKEN), "v7", id="a header of 1979"),
        pytest.param(header(b"../../etc/up", size=31) + padded(TOKEN), "etc/up", id="a path that goes up"),
        pytest.param(header(b"/abs", size=31) + padded(TOKEN), "abs", id="an absolute path"),
        pytest.param(header(b"caf\xe9\xff", size=31) + padded(TOKEN), "caf\\xe9\\xff", id="a name that is not UTF-8"),
        pytest.param(header(b"a\nb\x1b[2J", size=31) + padded(TOKEN), "a\nb\x1b[2J", id="a name for a terminal"),
        pytest.param(header(b"s", size=b" 37\0junk") + padded(TOKEN), "s", id="junk behind a number"),
    ],
)  # fmt: skip
def test_a_hit_is_placed_in_the_file_that_a_reader_would_unpack(tmp_path: Path, entry: bytes, path: str) -> None:
    if b"all" in entry:
        entry += STORED[:0]
        assert path in names(tmp_path, entry)
        return
    assert set(names(tmp_path, entry, AFTER)) == {path, "after"}


def test_a_hit_behind_the_end_or_behind_damage_is_in_no_file(tmp_path: Path) -> None:
    assert names(tmp_path / "a", header(b"file"), END, TOKEN) == {None: None}
    assert names(tmp_path / "b", header(b"file"), b"damage" * 99, TOKEN) == {None: None}


def test_what_later_layers_delete_is_told_whatever_their_headers(tmp_path: Path) -> None:
    below = b"".join(header(name, size=31) + padded(TOKEN) for name in (b"a/kept", b"b/x/gone", b"c/gone", b"d/over"))
    above = header(b"b/.wh.x") + header(b"c/.wh..wh..opq") + header(b"d/over", kind=b"2") + header(b"./a/", kind=b"5")
    report = audit(layout(tmp_path, gzip.compress(below + END), gzip.compress(above + END)), {"TOKEN": TOKEN})
    assert {finding.path: finding.state for finding in report.findings} == {
        "a/kept": "visible",
        "b/x/gone": "deleted",
        "c/gone": "deleted",
        "d/over": "overwritten",
    }


def test_a_stream_with_the_longest_header_is_opened(tmp_path: Path) -> None:
    plain = gzip.compress(TOKEN * 9)
    extra, comment = b"e" * 65_535, b"c" * 300_000
    odd = plain[:3] + b"\x14" + plain[4:10] + len(extra).to_bytes(2, "little") + extra + comment + b"\0" + plain[10:]
    for number, content in enumerate((odd, b"x" * 700 + odd)):
        path = tmp_path / str(number)
        report = audit(layout(path, layer_tar({"odd.gz": content})), {"TOKEN": TOKEN})
        assert [finding.via for finding in report.findings] == [("gzip",)]
    assert audit(layout(tmp_path / "layer", odd), {"TOKEN": TOKEN}).verdict is Verdict.LEAKED


def test_data_behind_a_gzip_stream_are_searched_and_the_layer_is_unread(tmp_path: Path) -> None:
    layer = gzip.compress(layer_tar({"a": b"b"}))
    report = audit(layout(tmp_path / "a", layer + TOKEN), {"TOKEN": TOKEN})
    assert report.verdict is Verdict.LEAKED
    report = audit(layout(tmp_path / "b", layer + b"behind the stream"), {"TOKEN": TOKEN})
    assert [item.reason for item in report.coverage.unread] == ["corrupt gzip stream"]


def reached(path: Path, *, inside: bool) -> str:
    """A layout with a link as a blob that no manifest names, to the value inside the layout or outside of it."""
    builder, root = image_of(layer_tar({"a": b"b"}))
    reference = builder.layout(root, path / "image")
    target = path / ("image/notes" if inside else "private")
    target.write_bytes(b"more" + TOKEN)
    (path / "image" / "blobs" / "link").symlink_to(target)
    return reference


def test_links_are_followed_inside_a_layout_alone(tmp_path: Path) -> None:
    outcome = within_bounds(tmp_path, reached(tmp_path / "outside", inside=False), INCOMPLETE)
    assert outcome.reasons == {"a link that leaves the layout, not followed"}
    assert audit(reached(tmp_path / "inside", inside=True), {"TOKEN": TOKEN}).verdict is Verdict.LEAKED


def test_a_blob_that_is_a_link_out_of_the_layout_is_unread(tmp_path: Path) -> None:
    builder, root = image_of(gzip.compress(LEAK + END))
    reference = builder.layout(root, tmp_path / "image")
    layer = json.loads(builder.blobs[root["digest"]])["layers"][0]["digest"]
    blob = tmp_path / "image" / "blobs" / layer.replace(":", "/")
    blob.rename(tmp_path / "elsewhere")
    blob.symlink_to(tmp_path / "elsewhere")
    outcome = within_bounds(tmp_path, reference, INCOMPLETE)
    assert outcome.report["coverage"]["unread"][0]["digest"] == layer
    index = tmp_path / "image" / "index.json"
    index.rename(tmp_path / "index")
    index.symlink_to(tmp_path / "index")
    assert "leaves the layout" in within_bounds(tmp_path, reference, ERROR).messages


def test_a_pipe_in_a_layout_is_not_waited_for(tmp_path: Path) -> None:
    builder, root = image_of(layer_tar({"a": b"b"}))
    reference = builder.layout(root, tmp_path / "image")
    os.mkfifo(tmp_path / "image" / "pipe")
    assert within_bounds(tmp_path, reference, INCOMPLETE).reasons == {"not a regular file"}
    (tmp_path / "image" / "pipe").unlink()
    (tmp_path / "image" / "circle").symlink_to("circle")
    (tmp_path / "image" / "nowhere").symlink_to("nowhere at all")
    within_bounds(tmp_path, reference, CLEAN)
    (tmp_path / "image" / "above").symlink_to("..")
    within_bounds(tmp_path, reference, INCOMPLETE)
    (tmp_path / "image" / "index.json").unlink()
    os.mkfifo(tmp_path / "image" / "index.json")
    assert "not a regular file" in within_bounds(tmp_path, reference, ERROR).messages


@pytest.fixture
def deep_path(tmp_path: Path) -> Iterator[Path]:
    """A directory to make a deep tree in: pytest's own clean-up would end in a RecursionError."""
    yield tmp_path
    subprocess.run(["rm", "-rf", tmp_path], check=True)


def test_a_layout_of_directories_in_directories(deep_path: Path) -> None:
    tmp_path = deep_path
    builder, root = image_of(layer_tar({"a": b"b"}))
    reference = builder.layout(root, tmp_path / "image")
    deep = tmp_path / "image"
    for _ in range(600):
        deep /= "d"
        deep.mkdir()
    (deep / "file").write_bytes(TOKEN)
    within_bounds(tmp_path, reference, LEAKED)


def hostile_archive(tmp_path: Path, *parts: bytes) -> str:
    """An image's archive with more in it; compressed."""
    builder, root = image_of(layer_tar({"a": b"b"}))
    whole = [unended(layer_tar(builder.files(root))), *parts, END]
    packed = [gzip.compress(bytes(25 << 20)) * 24 if part == ZEROS else gzip.compress(part) for part in whole]
    (tmp_path / "a.tar").write_bytes(b"".join(packed))
    return f"oci-archive:{tmp_path}/a.tar"


ZEROS = b"(zeros)"
"""Stands for 600 MiB of them."""

ARCHIVES: dict[str, tuple[Callable[[], bytes | tuple[bytes, bytes]], int]] = {
    "10,000 members": (lambda: b"".join(header(b"f%d" % i) for i in range(10_000)), CLEAN),
    "members of one name": (lambda: header(b"f") * 10_000, CLEAN),
    "members of no known kind": (lambda: (header(b"f", kind=b"Z", size=600 << 20), ZEROS), CLEAN),
    "a thousand headers for one member": (lambda: pax((b"path", b"x")) * 5_000 + header(b"f"), CLEAN),
    "a header of 600 MiB": (lambda: (header(b"f", kind=b"x", size=600 << 20), ZEROS), ERROR),
    "a name of 600 MiB": (lambda: (header(b"f", kind=b"L", size=600 << 20), ZEROS), ERROR),
    "a sparse member of 8 EiB": (
        lambda: pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"9" * 18)) + header(b"f"),
        ERROR,
    ),
    "names that go up": (lambda: header(b"../../../tmp/written-by-a-test", size=4) + padded(b"here"), CLEAN),
    "names that are not UTF-8": (lambda: header(b"\xff\xfe\xc0", size=31) + padded(TOKEN), LEAKED),
    "two documents of one name": (lambda: header(b"index.json", size=2) + padded(b"{}"), ERROR),
    "the value as a name, and damage": (lambda: header(TOKEN, size=999) + b"short", ERROR),
    "bytes in the padding": (lambda: header(b"f", size=1) + b"x" + TOKEN.ljust(511, b"\0"), LEAKED),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_hostile_archive(tmp_path: Path, name: str) -> None:
    make, status = ARCHIVES[name]
    made = make()
    parts = made if isinstance(made, tuple) else (made,)
    within_bounds(tmp_path, hostile_archive(tmp_path, *parts), status)
    assert not Path("/tmp/written-by-a-test").exists()


def test_links_in_a_circle_are_missing_layers(tmp_path: Path) -> None:
    path = tmp_path / "old.tar"
    legacy_archive([], path)
    entry = [{"Config": "c.json", "RepoTags": ["a:b"], "Layers": [f"l{number}" for number in range(2_000)]}]
    circle = b"".join(unended(link_tar(f"l{number}", f"l{(number + 1) % 2_000}")) for number in range(2_000))
    files: dict[str, Any] = {"c.json": b"{}", "manifest.json": json.dumps(entry).encode()}
    path.write_bytes(circle + layer_tar(files))
    outcome = within_bounds(tmp_path, f"docker-archive:{path}", INCOMPLETE)
    assert outcome.reasons == {"layer is not in the archive"}


def test_a_manifest_that_names_itself_is_read_once(tmp_path: Path) -> None:
    builder = Builder()
    image = builder.manifest([{"a": b"b"}])
    inner = builder.index([image, image])
    root = builder.index([inner, image, inner])
    assert audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN}).image.platforms == ("linux/amd64",)


def test_media_types_that_lie_do_not_hide_what_is_there(tmp_path: Path) -> None:
    builder, image = image_of(gzip.compress(LEAK + END))
    root = builder.index([{**image, "mediaType": "application/vnd.oci.image.layer.v1.tar"}])
    report = audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN})
    assert [(finding.surface, finding.path) for finding in report.findings] == [("layer", "etc/leak")]


def test_a_platform_never_shows_the_value(tmp_path: Path) -> None:
    builder, image = image_of(gzip.compress(LEAK + END))
    absent = {"digest": digest(b"absent"), "platform": {"os": "linux", "architecture": TOKEN.decode()}}
    here = {**image, "platform": {"os": "linux", "architecture": f"{TOKEN.decode()}\ud800"}}
    report = audit(builder.layout(builder.index([here, absent]), tmp_path), {"TOKEN": TOKEN})
    assert report.image.absent_platforms == ("linux/[TOKEN]",)
    assert TOKEN.decode() not in report.model_dump_json()


def test_a_directory_that_cannot_be_read_is_an_error(deep_path: Path) -> None:
    tmp_path = deep_path
    builder, root = image_of(layer_tar({"a": b"b"}))
    reference = builder.layout(root, tmp_path / "image")
    deep = tmp_path / "image"
    handle = os.open(deep, os.O_RDONLY)
    try:
        # Deeper than any path that can be named.
        for _ in range(30):
            os.mkdir("d" * 200, dir_fd=handle)
            inner = os.open("d" * 200, os.O_RDONLY, dir_fd=handle)
            os.close(handle)
            handle = inner
        with pytest.raises(ImageReadError, match="File name too long"):
            audit(reference, {"TOKEN": TOKEN})
    finally:
        os.close(handle)


def test_an_open_quote_before_many_escapes_is_read_at_once() -> None:
    text = 'FROM scratch\nARG A=b"' + "\\" * 400 + "\n"
    assert scopes(parse(text), {}, {})
