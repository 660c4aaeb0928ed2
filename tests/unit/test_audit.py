"""What the audit says of synthetic images: every surface, every transport that is a file, every way to hide."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import random
import zipfile
import zlib
from pathlib import Path

import lz4.frame
import pytest
import zstandard

from container_image import (
    AuditPolicy,
    AuditReport,
    DigestMismatchError,
    ImageNotFoundError,
    ImageReadError,
    InvalidInputError,
    Secret,
    UnknownReferenceError,
    Verdict,
    audit,
)
from container_image.audit import scan
from container_image.audit.measure import Run, measure
from container_image.audit.needles import Needle
from container_image.formats import FORMATS
from tests.images import Builder, Layer, digest, image_of, layer_tar, legacy_archive

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
FILLER = random.Random(1).randbytes(40_000)


def search(tmp_path: Path, *layers: Layer, compression: str = "gzip", **options: object) -> AuditReport:
    builder = Builder(compression)
    root = builder.manifest(layers, config=options.pop("config", None))  # type: ignore[arg-type]
    return audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN}, **options)  # type: ignore[arg-type]


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/file.txt", data)
    return out.getvalue()


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_an_image_without_the_secret_is_clean_and_counted(tmp_path: Path, compression: str) -> None:
    report = search(tmp_path, {"a": FILLER, "d/": b""}, {"b": b"nothing"}, compression=compression)
    assert report.verdict is Verdict.CLEAN
    assert (report.coverage.layers, report.coverage.files) == (2, 2)
    assert report.coverage.bytes > len(FILLER)
    assert FORMATS["text"](report).startswith("clean: searched for 1 secret in ")


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_file_in_a_layer_is_found_with_its_path(tmp_path: Path, compression: str) -> None:
    report = search(tmp_path, {"x": FILLER}, {"etc/app/conf": b"key=" + TOKEN.encode()}, compression=compression)
    (finding,) = report.findings
    assert report.verdict is Verdict.LEAKED
    assert (finding.surface, finding.layer, finding.path) == ("layer", 1, "etc/app/conf")
    assert (finding.form, finding.match, finding.state, finding.platform) == ("raw", "full", "visible", "linux/amd64")
    assert finding.instruction == "RUN step 1"


@pytest.mark.parametrize("letter", ["n", "r", "t"])
def test_a_value_with_a_backslash_before_a_letter_is_found(tmp_path: Path, letter: str) -> None:
    value = f"XA&$UQA\\{letter}2v^sbZv#"
    root = (builder := Builder()).manifest([{"etc/app": f"key='{value}'\n".encode()}])
    (finding,) = audit(builder.layout(root, tmp_path), {"TOKEN": value}).findings
    assert (finding.path, finding.form, finding.match) == ("etc/app", "raw", "full")


def test_an_error_at_one_place_loses_no_other_and_is_never_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No input is known that fails here, so the failure is made."""
    fails = 0

    def failing(needle: Needle, buffer: bytes, offset: int) -> Run | None:
        nonlocal fails
        if b"broken" in buffer[:offset].rpartition(b"\n")[2] or b"compressed" in buffer:
            fails += 1
            raise IndexError("of a value: " + TOKEN)
        return measure(needle, buffer, offset)

    monkeypatch.setattr(scan, "measure", failing)
    stray = {"a": b"\nbroken " + TOKEN.encode()}
    report = search(tmp_path / "1", stray, {"b": b"\nkey=" + TOKEN.encode()})
    assert fails
    assert [finding.path for finding in report.findings] == ["b"]
    assert TOKEN not in report.model_dump_json()
    report = search(tmp_path / "2", stray)
    assert report.verdict is Verdict.INCOMPLETE
    paths = {(item.path, item.reason) for item in report.coverage.unread}
    assert paths == {("a", "a possible match of TOKEN as raw was not examined: unexpected IndexError")}
    # So it is outside of layers: in a document, and in the compressed bytes of a blob.
    report = search(tmp_path / "3", {"a": b""}, config={"config": {"Env": [f"A=compressed {TOKEN}"]}})
    assert report.verdict is Verdict.INCOMPLETE
    noted = gzip.compress(b"")[:3] + b"\x10" + gzip.compress(b"")[4:10] + b"compressed " + TOKEN.encode() + b"\0"
    builder, root = image_of(noted + gzip.compress(layer_tar({"a": b""}))[10:])
    assert audit(builder.layout(root, tmp_path / "4"), {"TOKEN": TOKEN}).verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("zlib", zlib.compress),
        ("zip", zipped),
        ("xz", lzma.compress),
        ("bzip2", bz2.compress),
        ("zstd", zstandard.compress),
        ("lz4", lz4.frame.compress),
    ],
)
def test_a_compressed_file_is_opened(tmp_path: Path, name: str, pack: object) -> None:
    data = pack(b"text " * 100 + TOKEN.encode() + b" text" * 100)  # type: ignore[operator]
    report = search(tmp_path, {"pack": FILLER[:77] + data + FILLER[:99]})
    assert [(finding.via, finding.path) for finding in report.findings if finding.via] == [((name,), "pack")]


def test_archives_in_archives_are_opened(tmp_path: Path) -> None:
    report = search(tmp_path, {"a.zip": zipped(gzip.compress(zlib.compress(TOKEN.encode() * 20)))})
    assert {finding.via for finding in report.findings} == {("zip", "gzip", "zlib")}


def test_what_is_deeper_than_the_policy_allows_is_unread(tmp_path: Path) -> None:
    report = search(
        tmp_path, {"a": gzip.compress(gzip.compress(b"text " * 999 + FILLER))}, policy=AuditPolicy(max_depth=1)
    )
    assert report.verdict is Verdict.INCOMPLETE
    assert [(item.path, item.reason) for item in report.coverage.unread] == [("a", "max_depth (1) reached")]


def test_an_encrypted_zip_member_is_unread_and_can_be_accepted(tmp_path: Path) -> None:
    data = bytearray(zipped(b"whatever" * 50))
    data[6] |= 1
    report = search(tmp_path / "a", {"locked.zip": bytes(data)})
    assert report.verdict is Verdict.INCOMPLETE
    assert report.coverage.unread[0].reason == "encrypted zip member"
    policy = AuditPolicy.model_validate({"accept_unread": [{"reason": "encrypted*", "path": "*.zip"}]})
    accepted = search(tmp_path / "b", {"locked.zip": bytes(data)}, policy=policy)
    assert accepted.verdict is Verdict.CLEAN
    assert FORMATS["text"](accepted).startswith("clean, 1 accepted")


@pytest.mark.parametrize("above", [{"d/.wh.f": b""}, {".wh.d": b""}, {"d/.wh..wh..opq": b""}, {"d": b"a file now"}])
def test_a_file_that_a_later_layer_deletes_still_counts(tmp_path: Path, above: Layer) -> None:
    report = search(tmp_path, {"d/f": TOKEN.encode()}, above)
    assert [finding.state for finding in report.findings] == ["deleted"]


def test_a_file_that_a_later_layer_overwrites_still_counts(tmp_path: Path) -> None:
    report = search(tmp_path, {"d/f": TOKEN.encode()}, {"d/f": b"other"})
    assert [finding.state for finding in report.findings] == ["overwritten"]


def test_names_in_a_layer_are_searched_and_no_path_shows_the_value(tmp_path: Path) -> None:
    long_name = "d" * 90 + f"/{TOKEN[:15]}/{TOKEN[15:]}" + "/e" * 30
    report = search(tmp_path, {f"cache/{TOKEN}.lock": b"", long_name: b""})
    assert report.verdict is Verdict.LEAKED
    assert "cache/[TOKEN].lock" in {finding.path for finding in report.findings}
    assert TOKEN not in report.model_dump_json()


@pytest.mark.parametrize(
    ("config", "surface", "path"),
    [
        ({"config": {"Env": [f"T={TOKEN}"]}}, "config", "/config/Env/0"),
        ({"config": {"Labels": {"x": json.dumps({"t": TOKEN})}}}, "config", "/config/Labels/x"),
        ({"history": [{"created_by": f"RUN |1 T={TOKEN} /bin/sh -c x"}]}, "history", "/history/0/created_by"),
    ],
)
def test_the_config_is_searched(tmp_path: Path, config: dict[str, object], surface: str, path: str) -> None:
    report = search(tmp_path, {"x": b"y"}, config=config)
    assert [(finding.surface, finding.path) for finding in report.findings] == [(surface, path)]
    assert TOKEN not in report.model_dump_json()


def test_each_platform_is_searched_and_named(tmp_path: Path) -> None:
    builder = Builder()
    manifests = [
        builder.manifest([{"a": b"clean"}], platform="linux/amd64"),
        builder.manifest([{"a": TOKEN.encode()}], platform="linux/arm64"),
    ]
    report = audit(builder.layout(builder.index(manifests), tmp_path), {"TOKEN": TOKEN})
    assert report.image.platforms == ("linux/amd64", "linux/arm64")
    assert [finding.platform for finding in report.findings] == ["linux/arm64"]


def test_a_platform_that_is_not_there_is_listed_and_can_be_required(tmp_path: Path) -> None:
    builder = Builder()
    gone = {"digest": "sha256:" + "0" * 64, "platform": {"os": "linux", "architecture": "arm64"}}
    reference = builder.layout(builder.index([builder.manifest([{"a": b"x"}]), gone]), tmp_path)
    report = audit(reference, {"TOKEN": TOKEN})
    assert (report.verdict, report.image.absent_platforms) == (Verdict.CLEAN, ("linux/arm64",))
    required = audit(reference, {"TOKEN": TOKEN}, policy=AuditPolicy(platforms=("all",)))
    assert required.verdict is Verdict.INCOMPLETE


def test_an_audit_can_be_limited_to_platforms_that_are_then_required(tmp_path: Path) -> None:
    builder = Builder()
    manifests = [
        builder.manifest([{"base": b"shared"}, {"a": b"clean"}], platform="linux/amd64"),
        builder.manifest([{"base": b"shared"}, {"a": TOKEN.encode()}], platform="linux/arm64"),
    ]
    reference = builder.layout(builder.index(manifests), tmp_path)

    def limited(*platforms: str) -> tuple[Verdict, tuple[str, ...], tuple[str, ...]]:
        report = audit(reference, {"TOKEN": TOKEN}, policy=AuditPolicy(platforms=platforms))
        return report.verdict, report.image.platforms, report.image.absent_platforms

    assert limited("linux/amd64") == (Verdict.CLEAN, ("linux/amd64",), ())
    assert limited("linux/arm64/v8") == (Verdict.LEAKED, ("linux/arm64",), ())
    assert limited("linux/amd64", "linux/arm64") == (Verdict.LEAKED, ("linux/amd64", "linux/arm64"), ())
    assert limited("linux/amd64", "linux/bogus") == (Verdict.INCOMPLETE, ("linux/amd64",), ("linux/bogus",))
    assert limited("linux/amd64/v2")[0] is Verdict.INCOMPLETE


def test_a_platform_that_is_asked_for_must_be_there_in_an_image_of_one(tmp_path: Path) -> None:
    assert search(tmp_path, {"a": b"x"}, policy=AuditPolicy(platforms=("linux/amd64",))).verdict is Verdict.CLEAN
    report = search(tmp_path, {"a": b"x"}, policy=AuditPolicy(platforms=("linux/bogus",)))
    assert (report.verdict, report.image.absent_platforms) == (Verdict.INCOMPLETE, ("linux/bogus",))


def test_a_blob_that_no_manifest_names_is_searched(tmp_path: Path) -> None:
    builder = Builder()
    root = builder.manifest([{"a": b"x"}])
    builder.add(b"left over: " + TOKEN.encode(), "")
    report = audit(builder.archive(root, tmp_path / "a.tar"), {"TOKEN": TOKEN})
    assert [finding.surface for finding in report.findings] == ["metadata"]


def test_an_attestation_is_searched(tmp_path: Path) -> None:
    builder = Builder()
    image = builder.manifest([{"a": b"x"}])
    statement = json.dumps({"predicate": {"args": {"build-arg:T": base64.b64encode(TOKEN.encode()).decode()}}}).encode()
    body = {
        "schemaVersion": 2,
        "config": builder.add(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [builder.add(statement, "application/vnd.in-toto+json")],
    }
    attestation = builder.add(json.dumps(body).encode(), "application/vnd.oci.image.manifest.v1+json") | {
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image["digest"],
        }
    }
    report = audit(builder.layout(builder.index([image, attestation]), tmp_path), {"TOKEN": TOKEN})
    assert [(finding.surface, finding.form) for finding in report.findings] == [("attestation", "base64")]
    assert report.image.platforms == ("linux/amd64",)


def test_both_layouts_of_docker_save_are_read(tmp_path: Path) -> None:
    report = audit(legacy_archive([{"a": b"x"}, {"etc/t": TOKEN.encode()}], tmp_path / "old.tar"), {"TOKEN": TOKEN})
    assert [(finding.layer, finding.path) for finding in report.findings] == [(1, "etc/t")]
    assert report.image.digest_kind == "config"
    builder = Builder()
    path = tmp_path / "new.tar"
    builder.archive(builder.manifest([{"etc/t": TOKEN.encode()}]), path)
    assert [finding.path for finding in audit(str(path), {"TOKEN": TOKEN}).findings] == ["etc/t"]


def test_a_missing_blob_makes_the_audit_incomplete(tmp_path: Path) -> None:
    builder = Builder()
    root = builder.manifest([{"a": FILLER}])
    layer = max(builder.blobs, key=lambda name: len(builder.blobs[name]))
    del builder.blobs[layer]
    report = audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN})
    assert report.verdict is Verdict.INCOMPLETE
    assert [item.digest for item in report.coverage.unread] == [layer]


def test_a_layer_that_breaks_off_is_searched_and_unread(tmp_path: Path) -> None:
    builder = Builder("none")
    root = builder.manifest([{"a": TOKEN.encode() + FILLER}])
    layer = max(builder.blobs, key=lambda name: len(builder.blobs[name]))
    broken = gzip.compress(builder.blobs.pop(layer))[:-2000]
    descriptor = builder.add(broken, "")
    manifest = builder.blobs.pop(root["digest"]).replace(layer.encode(), descriptor["digest"].encode())
    root = root | builder.add(manifest, "application/vnd.oci.image.manifest.v1+json")
    report = audit(builder.layout(root, tmp_path), {"TOKEN": TOKEN})
    assert report.verdict is Verdict.LEAKED
    assert [item.reason for item in report.coverage.unread] == ["truncated gzip stream"]


def test_damage_is_an_error_that_names_it(tmp_path: Path) -> None:
    builder = Builder()
    root = builder.manifest([{"a": FILLER}])
    path = tmp_path / "image.tar"
    builder.archive(root, path)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(ImageReadError, match=r"cut\.tar"):
        audit(f"oci-archive:{cut}", {"TOKEN": TOKEN})
    layer = max(builder.blobs, key=lambda name: len(builder.blobs[name]))
    builder.blobs[layer] = builder.blobs[layer][:-1] + b"?"
    with pytest.raises(DigestMismatchError, match=layer):
        audit(builder.layout(root, tmp_path / "layout"), {"TOKEN": TOKEN})


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("", UnknownReferenceError),
        ("s3://bucket/image", UnknownReferenceError),
        ("ostree:x", UnknownReferenceError),
        ("docker:nginx", UnknownReferenceError),
        ("./no-such-file.tar", ImageNotFoundError),
        ("oci:/no/such/directory", ImageNotFoundError),
        ("docker-archive:/no/such/file", ImageNotFoundError),
    ],
)
def test_a_reference_that_is_none_says_so(reference: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        audit(reference, {"TOKEN": TOKEN})


def test_a_file_that_is_no_image_says_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not an image")
    with pytest.raises(ImageReadError, match="not an image"):
        audit(str(path), {"TOKEN": TOKEN})


def test_without_a_secret_there_is_no_audit(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no secret to search for"):
        audit("app:dev", {})
    with pytest.raises(ValueError, match="no secret"):
        audit("app:dev", {"CA": Secret.from_value("public", sensitive=False)})


def test_what_cannot_be_searched_for_is_never_clean(tmp_path: Path) -> None:
    builder = Builder()
    reference = builder.layout(builder.manifest([{"a": b"x"}]), tmp_path)
    report = audit(reference, {"PIN": "1234", "TOKEN": TOKEN})
    assert report.verdict is Verdict.INCOMPLETE
    assert [(row.name, row.reason) for row in report.secrets] == [("PIN", "too short"), ("TOKEN", None)]
    assert audit(reference, {"PIN": "1234"}, policy=AuditPolicy(accept_unsearchable=("PIN",))).verdict is Verdict.CLEAN


def test_a_token_is_found_without_the_file_that_holds_it(tmp_path: Path) -> None:
    npmrc = f"registry=https://npm.example.com/\n//npm.example.com/:_authToken={TOKEN}\n"
    builder = Builder()
    reference = builder.layout(builder.manifest([{"log": f"GET /?t={TOKEN}".encode()}]), tmp_path)
    report = audit(reference, {"npmrc": npmrc})
    assert [finding.secret for finding in report.findings] == ["npmrc:_authToken"]
    builder = Builder()
    other = builder.layout(builder.manifest([{".npmrc": npmrc.replace(TOKEN, "x" * 31).encode()}]), tmp_path / "b")
    assert audit(other, {"npmrc": npmrc}).verdict is Verdict.CLEAN


def test_what_is_hunted_in_part_is_not_listed_as_public(tmp_path: Path) -> None:
    root = (builder := Builder()).manifest([{"opt/a": TOKEN.encode()}])
    settings = f"DEBUG=1\nBROKER_URL=amqp://ci:{TOKEN}@mq.example.com/\nAPI=https://api.example.com\n"
    report = audit(builder.layout(root, tmp_path), {"env": settings})
    assert {finding.secret for finding in report.findings} == {"env:BROKER_URL.userinfo"}
    assert "not searched for, as public: env:API, env:DEBUG\n" in FORMATS["text"](report)


def test_an_earlier_value_is_searched_for_too(tmp_path: Path) -> None:
    builder = Builder()
    reference = builder.layout(builder.manifest([{"a": TOKEN.encode()}]), tmp_path)
    report = audit(reference, {"T": Secret.from_value("another-value-123456").with_earlier([TOKEN])})
    assert [(finding.secret, finding.secret_version) for finding in report.findings] == [("T", 2)]


def test_the_fingerprint_outlives_an_unrelated_change(tmp_path: Path) -> None:
    first = search(tmp_path / "a", {"lib-1.2.3/conf": TOKEN.encode()})
    second = search(tmp_path / "b", {"other": FILLER, "lib-1.2.4/conf": b"more" + TOKEN.encode()})
    assert first.findings[0].fingerprint == second.findings[0].fingerprint


def test_the_json_report_reads_back(tmp_path: Path) -> None:
    report = search(tmp_path, {"a": TOKEN.encode()})
    assert AuditReport.model_validate_json(FORMATS["json"](report)) == report
    assert TOKEN not in FORMATS["json"](report) + FORMATS["text"](report) + repr(report)


@pytest.mark.parametrize(("held", "verdict"), [(True, "incomplete"), (False, "clean")])
def test_an_attestation_that_is_not_there_counts_with_its_platform(tmp_path: Path, held: bool, verdict: str) -> None:
    builder = Builder()
    here = builder.manifest([{"a": b"b"}], platform="linux/amd64")
    elsewhere = {**here, "digest": digest(b"another"), "platform": {"os": "linux", "architecture": "arm64"}}
    subject = here if held else elsewhere
    attestation = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest(b"an attestation"),
        "size": 14,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": subject["digest"],
        },
    }
    root = builder.index([here, elsewhere, attestation])
    report = audit(builder.layout(root, tmp_path / "image"), {"T": "tok9aZ8bY7cX6dW5eV4f"})
    assert (report.verdict.value, report.image.absent_platforms) == (verdict, ("linux/arm64",))
    assert [item.reason.split(";")[0] for item in report.coverage.unread] == (
        ["attestation is not there"] if held else []
    )


def test_a_document_that_is_an_index_and_a_manifest_is_read_as_both(tmp_path: Path) -> None:
    builder = Builder()
    image = builder.manifest([{"etc/token": b"tok9aZ8bY7cX6dW5eV4f"}])
    both = {**json.loads(builder.blobs[image["digest"]]), "manifests": []}
    root = builder.add(json.dumps(both).encode(), "application/vnd.oci.image.manifest.v1+json")
    report = audit(builder.layout(root, tmp_path / "image"), {"T": "tok9aZ8bY7cX6dW5eV4f"})
    assert [(item.surface, item.path) for item in report.findings] == [("layer", "etc/token")]


def test_an_encrypted_layer_is_unread(tmp_path: Path) -> None:
    builder = Builder()
    image = builder.manifest([{"a": b"b"}])
    sealed = json.loads(builder.blobs[image["digest"]])
    sealed["layers"][0]["mediaType"] += "+encrypted"
    root = builder.add(json.dumps(sealed).encode(), "application/vnd.oci.image.manifest.v1+json")
    report = audit(builder.layout(root, tmp_path / "image"), {"T": "tok9aZ8bY7cX6dW5eV4f"})
    assert (report.verdict.value, [item.reason for item in report.coverage.unread]) == (
        "incomplete",
        ["encrypted layer"],
    )


def test_half_of_a_value_of_any_length_is_found(tmp_path: Path) -> None:
    value = random.Random(59).randbytes(243).hex().encode()[:243]
    for start in (0, 60, 121):
        builder = Builder()
        root = builder.manifest([{"half": b"-" * 50 + value[start : start + 122] + b"-" * 50}])
        report = audit(builder.layout(root, tmp_path / str(start)), {"T": value})
        assert [(item.path, item.match) for item in report.findings] == [("half", "partial")]


def test_a_hit_in_the_compressed_bytes_of_a_layer_is_in_no_file(tmp_path: Path) -> None:
    builder = Builder()
    root = builder.manifest([{"a": b"b" * 4000}])
    manifest = json.loads(builder.blobs[root["digest"]])
    layer = manifest["layers"][0]["digest"]
    # A gzip header may hold a name (RFC 1952, FNAME).
    data = builder.blobs.pop(layer)
    named = data[:3] + b"\x08" + data[4:10] + b"tok9aZ8bY7cX6dW5eV4f\0" + data[10:]
    assert gzip.decompress(named) == gzip.decompress(data)
    manifest["layers"] = [builder.add(named, "application/vnd.oci.image.layer.v1.tar+gzip")]
    root = builder.add(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    report = audit(builder.layout(root, tmp_path / "image"), {"T": "tok9aZ8bY7cX6dW5eV4f"})
    assert [(item.surface, item.layer, item.path) for item in report.findings] == [("layer", 0, None)]


def test_padding_is_no_part_of_a_value(tmp_path: Path) -> None:
    builder = Builder()
    root = builder.manifest([{"zeros": b"0" * 10_000, "rule": b"-=" * 5_000}])
    padded = "tok9aZ8bY7cX" + "0" * 40
    ruled = "tok9aZ8bY7cX" + "-=" * 20
    report = audit(builder.layout(root, tmp_path / "image"), {"P": padded, "R": ruled})
    assert report.verdict is Verdict.CLEAN
    root = builder.manifest([{"p": padded.encode(), "r": ruled.encode()}])
    report = audit(builder.layout(root, tmp_path / "other"), {"P": padded, "R": ruled})
    assert {(item.secret, item.path, item.match) for item in report.findings} == {
        ("P", "p", "full"),
        ("R", "r", "full"),
    }


def test_a_path_that_spells_a_value_is_not_shown(tmp_path: Path) -> None:
    token = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
    builder = Builder()
    spelled = "".join(f"%{byte:02x}" for byte in token.encode())
    root = builder.manifest([{f"cache/{spelled}.html": token.encode()}])
    report = audit(builder.layout(root, tmp_path / "image"), {"TOKEN": token})
    assert report.verdict is Verdict.LEAKED
    assert spelled not in report.model_dump_json()
    assert {finding.path for finding in report.findings} == {"[TOKEN]"}
