"""References to what is no image of an engine or a registry: a root file system, on disk or exported, and `dir:`."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import AuditReport, DigestMismatchError, ImageNotFoundError, ImageReadError, Verdict, audit
from container_image.audit import self_test
from container_image.oci import open_image
from container_image.oci.model import CHUNK
from tests import confined
from tests.images import END, Builder, header, image_of, layer_tar, padded, pax, unended

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


def search(reference: object) -> AuditReport:
    return audit(str(reference), {"TOKEN": TOKEN})


def places(report: AuditReport) -> list[tuple[str, int | None, str | None]]:
    return [(item.surface, item.layer, item.path) for item in report.findings]


def unread(report: AuditReport) -> dict[str | None, str]:
    return {item.path: item.reason for item in report.coverage.unread}


def tree(path: Path) -> Path:
    """A small root file system."""
    (path / "etc").mkdir(parents=True)
    (path / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (path / "bin").mkdir()
    (path / "bin" / "sh").write_bytes(b"\x7fELF" + bytes(5000))
    (path / "lib").symlink_to("/usr/lib")
    (path / "dev").mkdir()
    return path


def dir_layout(builder: Builder, root: dict[str, Any], path: Path) -> Path:
    """What `skopeo copy --all oci:… dir:PATH` writes."""
    path.mkdir(parents=True)
    (path / "version").write_text("Directory Transport Version: 1.1\n")
    for digest, data in builder.blobs.items():
        name = digest.removeprefix("sha256:")
        if digest == root["digest"]:
            name = "manifest.json"
        elif b'"layers"' in data[:2000] and b'"config"' in data[:2000]:
            name += ".manifest.json"
        (path / name).write_bytes(data)
    return path


# A root file system on disk.


@pytest.mark.parametrize("prefix", ["", "rootfs:"])
def test_a_directory_is_searched_as_one_layer(tmp_path: Path, prefix: str) -> None:
    top = tree(tmp_path / "rootfs")
    clean = search(f"{prefix}{top}")
    assert (clean.verdict, clean.image.reference) == (Verdict.CLEAN, f"rootfs:{top}")
    assert (clean.coverage.layers, clean.coverage.files) == (1, 2)
    (top / "etc" / "pip.conf").write_text(f"index-url = http://ci:{TOKEN}@host/\n")
    (top / "etc" / "pip.conf.gz").write_bytes(gzip.compress(TOKEN.encode() * 9))
    report = search(f"{prefix}{top}")
    assert places(report) == [("layer", 0, "etc/pip.conf"), ("layer", 0, "etc/pip.conf.gz")]
    assert {item.state for item in report.findings} == {"visible"}
    assert [item.via for item in report.findings] == [(), ("gzip",)]


def test_the_digest_of_a_directory_is_that_of_what_is_in_it(tmp_path: Path) -> None:
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    os.utime(two / "bin" / "sh", (1, 1))
    first = search(one).image.digest
    assert search(two).image.digest == first
    assert first.startswith("sha256:")
    (two / "bin" / "sh").write_bytes(b"another")
    assert search(two).image.digest != first


NAMES: dict[str, Callable[[Path], object]] = {
    "a file's name": lambda top: (top / TOKEN).touch(),
    "a long name": lambda top: (top / ("d" * 90) / f"{TOKEN}{'e' * 90}").mkdir(parents=True),
    "a directory's name": lambda top: (top / TOKEN).mkdir(),
    "a link's target": lambda top: (top / "link").symlink_to(f"/nowhere/{TOKEN}"),
    "a long link's target": lambda top: (top / "link").symlink_to(f"/{'n' * 120}/{TOKEN}"),
    "a pipe's name": lambda top: os.mkfifo(top / TOKEN),
    "a name that is not UTF-8": lambda top: Path(os.fsdecode(b"%b/\xff" % bytes(top)) + TOKEN).mkdir(),
    "an attribute": lambda top: os.setxattr(top / "etc" / "passwd", "user.token", TOKEN.encode()),
    "a directory's attribute": lambda top: os.setxattr(top / "etc", "user.token", TOKEN.encode()),
    "the last byte of a file": lambda top: (top / "z").write_bytes(bytes(3 * CHUNK) + TOKEN.encode()),
    "over two pieces": lambda top: (top / "z").write_bytes(bytes(CHUNK - 9) + TOKEN.encode()),
}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_beside_the_content_is_searched_too(tmp_path: Path, name: str) -> None:
    top = tree(tmp_path / "rootfs")
    NAMES[name](top)
    report = search(top)
    assert report.verdict is Verdict.LEAKED
    assert unread(report) == {}
    assert TOKEN not in report.model_dump_json()


def test_links_are_not_followed_and_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    top = tree(tmp_path / "rootfs")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "token").write_text(TOKEN)
    (top / "up").symlink_to("../private")
    (top / "file").symlink_to(tmp_path / "private" / "token")
    (top / "circle").symlink_to("circle")
    os.mkfifo(top / "dev" / "initctl")
    with socket.socket(socket.AF_UNIX) as listening:
        # The path of a socket has at most 107 bytes.
        here = Path.cwd()
        os.chdir(top / "dev")
        try:
            listening.bind("log")
        finally:
            os.chdir(here)
    if os.geteuid() == 0:
        # Reading this one never ends.
        os.mknod(top / "dev" / "zero", 0o666 | 0o020000, os.makedev(1, 5))
    report = search(top)
    assert (report.verdict, unread(report)) == (Verdict.CLEAN, {})


def as_nobody(path: Path, reference: str) -> AuditReport:
    """The audit as a user who owns nothing, where the tests run as root, whom no mode stops."""
    if os.geteuid():
        return search(reference)
    os.seteuid(65534)
    try:
        return search(reference)
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that everybody can reach."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)
        subprocess.run(["chmod", "-R", "u+rwx", directory], check=True)


def test_what_cannot_be_read_is_unread(public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(public / "no-state"))
    top = tree(public / "rootfs")
    (top / "etc" / "shadow").write_text(TOKEN)
    (top / "etc" / "shadow").chmod(0)
    (top / "root").mkdir()
    (top / "root" / ".netrc").write_text(TOKEN)
    (top / "root").chmod(0)
    # What is imported late must be imported by a user who may.
    search(top)
    report = as_nobody(public, str(top))
    assert report.verdict is Verdict.INCOMPLETE
    denied = "can't be read: Permission denied"
    assert unread(report) == {"etc/shadow": denied, "root": denied}
    odd = top / "etc" / (os.fsdecode(b"\xff\n") + TOKEN)
    odd.touch()
    odd.chmod(0)
    report = as_nobody(public, str(top))
    assert report.verdict is Verdict.LEAKED
    assert unread(report) == {"etc/shadow": denied, "root": denied, "etc/\\xff\n[TOKEN]": denied}
    assert TOKEN not in report.model_dump_json()


def test_another_file_system_in_a_directory_is_unread() -> None:
    report = audit("rootfs:/dev", {"TOKEN": TOKEN})
    mounted = [path for path in ("shm", "pts", "mqueue") if Path("/dev", path).is_mount()]
    assert mounted
    told = unread(report)
    assert {told[path] for path in mounted} == {"another file system is mounted there, not read"}


def test_files_with_content_and_no_size_are_unread() -> None:
    report = search(f"rootfs:/proc/{os.getpid()}/fdinfo")
    assert report.verdict is Verdict.INCOMPLETE
    assert set(unread(report).values()) == {"changed while it was read"}


CHANGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda top: os.truncate(top / "b", CHUNK),
    "emptied": lambda top: os.truncate(top / "b", 0),
    "grown": lambda top: (top / "b").open("ab").write(TOKEN.encode()),
    "rewritten": lambda top: (top / "b").open("r+b").write(b"another"),
    "removed before it is read": lambda top: (top / "c").unlink(),
    "a pipe in its place": lambda top: ((top / "c").unlink(), os.mkfifo(top / "c")),
    "a link in its place": lambda top: ((top / "c").unlink(), (top / "c").symlink_to("/etc/passwd")),
    "a directory that is gone": lambda top: (top / "d").rmdir(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_while_it_is_read_is_unread(tmp_path: Path, change: str) -> None:
    top = tmp_path / "rootfs"
    top.mkdir()
    (top / "a").write_bytes(b"a" * CHUNK)
    (top / "b").write_bytes(b"b" * 3 * CHUNK)
    (top / "c").write_bytes(b"c" * 10)
    (top / "d").mkdir()
    os.utime(top / "b", (1, 1))
    with open_image(str(top)) as opened:
        (blob,) = opened.blobs()
        pieces = blob.chunks()
        size = len(next(pieces)) + len(next(pieces))
        CHANGES[change](top)
        size += sum(map(len, pieces))
        image = opened.assemble({}, {blob.key})
    assert size % 512 == 0
    changed = {"cut", "emptied", "grown", "rewritten"}
    place = "b" if change in changed else "d" if "directory" in change else "c"
    if change in ("a pipe in its place", "a link in its place"):
        # It was a file in no list: what is there now is read as what it is.
        assert image.missing == ()
    else:
        assert image.missing == ((place, "changed while it was read"),)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.integers(0, 60), st.binary(min_size=1, max_size=9000), max_size=6), st.integers(0, 1 << 19))
def test_no_byte_between_the_holes_of_a_file_is_lost(extents: dict[int, bytes], size: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "sparse")
        with path.open("wb") as file:
            for at, data in extents.items():
                os.pwrite(file.fileno(), data, at * 8192)
            os.truncate(path, size)
        with open_image(f"rootfs:{directory}") as opened:
            (blob,) = opened.blobs()
            read = b"".join(blob.chunks())
            assert opened.assemble({}, {blob.key}).missing == ()
        with tarfile.open(fileobj=io.BytesIO(read)) as archive:
            content = archive.extractfile("sparse")
            assert content is not None
            assert content.read().replace(b"\0", b"") == path.read_bytes().replace(b"\0", b"")


def test_a_link_in_the_place_of_a_listed_directory_is_not_followed(tmp_path: Path) -> None:
    top = tmp_path / "rootfs"
    (top / "a").mkdir(parents=True)
    (top / "a" / "big").write_bytes(b"a" * 3 * CHUNK)
    (top / "b").mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "token").write_text(TOKEN)
    with open_image(str(top)) as opened:
        (blob,) = opened.blobs()
        pieces = blob.chunks()
        read = next(pieces)
        (top / "b").rmdir()
        (top / "b").symlink_to(tmp_path / "private")
        read += b"".join(pieces)
        assert opened.assemble({}, {blob.key}).missing == (("b", "changed while it was read"),)
    assert TOKEN.encode() not in read


def test_the_holes_of_a_sparse_file_are_passed_over(tmp_path: Path) -> None:
    top = tree(tmp_path / "rootfs")
    with (top / "lastlog").open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)
        for at in (1 << 20, 1 << 35, (1 << 40) - 1000):
            os.pwrite(file.fileno(), TOKEN.encode(), at)
    report = search(top)
    assert (places(report), unread(report)) == ([("layer", 0, "lastlog")], {})
    assert report.findings[0].count == 3
    assert report.coverage.bytes < 1 << 20


def test_every_canary_in_a_copy_of_a_directory_is_found(tmp_path: Path) -> None:
    with open_image(str(tree(tmp_path / "rootfs"))) as opened:
        recall = self_test(opened)
    assert (recall.layers, recall.unread, recall.found) == (1, 0, recall.planted)
    assert recall.digest.startswith("sha256:")


def test_an_empty_or_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="the directory is empty; unpack or mount"):
        search(tmp_path)
    for reference in (f"rootfs:{tmp_path}/no", f"dir:{tmp_path}/no", f"{tmp_path}/no"):
        with pytest.raises(ImageNotFoundError, match="there is no such"):
            search(reference)


NAME = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 200
)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(NAME, st.binary(max_size=2000), min_size=1, max_size=8), st.data())
def test_a_value_in_any_file_of_any_name_is_found_there(files: dict[str, bytes], data: st.DataObject) -> None:
    leaking = data.draw(st.sampled_from(sorted(files)))
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            content += b"\n" + TOKEN.encode() if name == leaking else b""
            (Path(directory) / name).write_bytes(content)
        report = search(f"rootfs:{directory}")
    assert report.coverage.files == len(files)
    assert [(item.layer, item.path) for item in report.findings] == [(0, leaking.encode().decode())]


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A directory to make a deep tree in: pytest's own clean-up would end in a RecursionError."""
    yield tmp_path
    subprocess.run(["rm", "-rf", tmp_path], check=True)


def test_directories_in_directories_are_read_as_deep_as_a_path_can_name_them(deep: Path) -> None:
    top = tree(deep / "rootfs")
    place = top
    for _ in range(1_000):
        place /= "d"
        place.mkdir()
    (place / "token").write_text(TOKEN)
    assert places(search(top)) == [("layer", 0, f"{'d/' * 1_000}token")]
    handle = os.open(top, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("e" * 200, dir_fd=handle)
        inner = os.open("e" * 200, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    report = search(top)
    assert report.verdict is Verdict.LEAKED
    assert list(unread(report).values()) == ["can't be read: File name too long"]


def test_a_large_directory_takes_bounded_memory(tmp_path: Path) -> None:
    top = tree(tmp_path / "rootfs")
    for number in range(20_000):
        (top / "etc" / f"file-{number:06}-{'x' * 100}").touch()
    with (top / "zeros").open("wb") as file:
        for _ in range(600):
            file.write(bytes(1 << 20))
    outcome = confined.audit(f"rootfs:{top}", tmp_path / "outcome")
    assert (outcome.status, outcome.report["coverage"]["files"]) == (0, 20_003)
    assert outcome.megabytes < 512


# A tar archive of a root file system.


@pytest.mark.parametrize("pack", PACK)
@pytest.mark.parametrize("prefix", ["", "rootfs:"])
def test_an_export_is_searched_as_one_layer(tmp_path: Path, prefix: str, pack: str) -> None:
    path = tmp_path / "export.tar"
    path.write_bytes(PACK[pack](layer_tar({"etc/": b"", "etc/passwd": b"root\n", "app/file": b"x" * 70_000})))
    clean = search(f"{prefix}{path}")
    assert (clean.verdict, clean.image.reference) == (Verdict.CLEAN, f"rootfs:{path}")
    assert (clean.coverage.layers, clean.coverage.files) == (1, 2)
    path.write_bytes(PACK[pack](layer_tar({"etc/token": TOKEN.encode()})))
    assert places(search(f"{prefix}{path}")) == [("layer", 0, "etc/token")]


@pytest.mark.parametrize("pack", PACK)
def test_an_export_that_is_cut_or_damaged_is_never_clean(tmp_path: Path, pack: str) -> None:
    path = tmp_path / "export.tar"
    whole = layer_tar({"a": b"a" * 3000, "b": os.urandom(70_000), "c": b"c"})
    for broken in (
        PACK[pack](whole)[:-3000] if pack == "plain" else PACK[pack](whole)[:-30],
        PACK[pack](whole[:60_000]),
    ):
        path.write_bytes(broken[:-8192] if pack == "plain" else broken)
        for reference in (f"rootfs:{path}", str(path)):
            with pytest.raises(ImageReadError, match=r"truncated|corrupt|not an image"):
                search(reference)
    path.write_bytes(PACK[pack](unended(whole) + b"damage" * 999))
    with pytest.raises(ImageReadError, match="malformed"):
        search(f"rootfs:{path}")


def test_a_sparse_file_in_an_export_is_searched_as_it_is_stored(tmp_path: Path) -> None:
    stored = header(b"GNUSparseFile.0/name", size=len(TOKEN)) + padded(TOKEN.encode())
    entry = pax((b"GNU.sparse.map", b"0,9"), (b"GNU.sparse.name", b"sparse")) + stored
    (tmp_path / "export.tar").write_bytes(unended(layer_tar({"a": b"b"})) + entry + END)
    assert places(search(tmp_path / "export.tar")) == [("layer", 0, "sparse")]


def test_files_that_are_called_like_an_images_documents_can_be_exported_too(tmp_path: Path) -> None:
    path = tmp_path / "export.tar"
    path.write_bytes(layer_tar({"manifest.json": b'{"name": "web app"}', "srv/token": TOKEN.encode()}))
    with pytest.raises(ImageReadError, match=r"manifest\.json: not a list of images"):
        search(path)
    assert places(search(f"rootfs:{path}")) == [("layer", 0, "srv/token")]
    path.write_bytes(layer_tar({"srv/manifest.json": b"{}", "srv/token": TOKEN.encode()}))
    assert places(search(path)) == [("layer", 0, "srv/token")]
    with pytest.raises(ImageReadError, match="rootfs:PATH"):
        search(f"docker-archive:{path}")


def test_a_file_that_is_no_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not an archive, and longer than a header\n" * 99)
    with pytest.raises(ImageReadError, match="not an image: neither a directory nor a tar archive"):
        search(path)
    with pytest.raises(ImageReadError, match="not a tar archive"):
        search(f"rootfs:{path}")


# skopeo's dir: layout.


@pytest.mark.parametrize("prefix", ["", "dir:"])
@pytest.mark.parametrize("platforms", [["linux/amd64"], ["linux/amd64", "linux/arm64"]])
def test_a_dir_layout_is_read_by_its_manifest(tmp_path: Path, prefix: str, platforms: list[str]) -> None:
    builder = Builder()
    manifests = [builder.manifest([{"a": b"b"}, {"etc/token": TOKEN.encode()}], platform=name) for name in platforms]
    root = builder.index(manifests) if len(manifests) > 1 else manifests[0]
    report = search(f"{prefix}{dir_layout(builder, root, tmp_path / 'image')}")
    assert report.image.reference == f"dir:{tmp_path}/image"
    assert (report.image.digest, report.image.platforms) == (root["digest"], tuple(platforms))
    assert report.image.digest_kind == ("index" if len(platforms) > 1 else "manifest")
    assert set(places(report)) == {("layer", 1, "etc/token")}
    assert {item.instruction for item in report.findings} == {"RUN step 1"}
    assert unread(report) == {}


def test_a_dir_layout_that_lacks_a_blob_is_incomplete_and_a_changed_one_is_an_error(tmp_path: Path) -> None:
    builder = Builder()
    root = builder.manifest([{"a": b"b"}])
    path = dir_layout(builder, root, tmp_path / "image")
    layer = json.loads(builder.blobs[root["digest"]])["layers"][0]["digest"]
    blob = path / layer.removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes() + b"more")
    with pytest.raises(DigestMismatchError, match=layer):
        search(path)
    blob.unlink()
    report = search(path)
    assert (report.verdict, [item.digest for item in report.coverage.unread]) == (Verdict.INCOMPLETE, [layer])
    (path / "manifest.json").unlink()
    with pytest.raises(ImageReadError, match=r"manifest\.json can't be read: No such file"):
        search(f"dir:{path}")


def test_everything_in_a_dir_layout_ships(tmp_path: Path) -> None:
    builder = Builder()
    path = dir_layout(builder, builder.manifest([{"a": b"b"}]), tmp_path / "image")
    (path / "signature-1").write_text(TOKEN)
    assert places(search(path)) == [("metadata", None, "signature-1")]
    (path / "signature-1").unlink()
    (path / ("0" * 64)).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_text(TOKEN)
    os.mkfifo(path / "pipe")
    report = search(path)
    assert report.verdict is Verdict.INCOMPLETE
    assert {item.reason for item in report.coverage.unread} == {
        "a link that leaves the layout, not followed", "not a regular file",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["version", "manifest.json"])
def test_a_pipe_for_a_document_of_a_dir_layout_is_not_waited_for(tmp_path: Path, name: str) -> None:
    builder = Builder()
    path = dir_layout(builder, builder.manifest([{"a": b"b"}]), tmp_path / "image")
    (path / name).unlink()
    os.mkfifo(path / name)
    if name == "version":
        # What is no layout is a root file system, in which a pipe is as in a layer.
        assert search(path).image.reference.startswith("rootfs:")
    else:
        with pytest.raises(ImageReadError, match="not a regular file"):
            search(path)


# Which of them a path is.


def test_a_path_is_recognised_by_its_content(tmp_path: Path) -> None:
    builder, root = image_of(layer_tar({"a": b"b"}))
    builder.layout(root, tmp_path / "layout")
    builder.archive(root, tmp_path / "archive.tar")
    dir_layout(builder, root, tmp_path / "dir")
    tree(tmp_path / "rootfs")
    # The files of a web server, with names that a layout has.
    (tree(tmp_path / "web") / "index.json").write_text("{}")
    (tmp_path / "web" / "manifest.json").write_text("{}")
    (tmp_path / "export.tar").write_bytes(layer_tar({"a": b"b"}))
    found = {path.name: search(path).image.reference.partition(":")[0] for path in tmp_path.iterdir()}
    assert found == {
        "layout": "oci", "archive.tar": "oci-archive", "dir": "dir", "rootfs": "rootfs", "web": "rootfs",
        "export.tar": "rootfs",
    }  # fmt: skip


def test_a_layout_without_its_index_is_no_root_file_system(tmp_path: Path) -> None:
    builder, root = image_of(layer_tar({"a": b"b"}))
    builder.layout(root, tmp_path / "layout")
    (tmp_path / "layout" / "index.json").unlink()
    with pytest.raises(ImageReadError, match=r"index\.json can't be read"):
        search(tmp_path / "layout")
