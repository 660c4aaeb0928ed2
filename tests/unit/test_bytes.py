"""Whatever the bytes: reading ends, with nothing but our own errors, and never clean of a value that is there."""

from __future__ import annotations

import contextlib
import io
import json
import posixpath
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import ContainerImageError, Verdict, audit
from container_image.audit import carve
from container_image.audit.layer import LayerIndex
from container_image.audit.matcher import Matcher
from container_image.audit.needles import targets
from container_image.audit.policy import AuditPolicy
from container_image.audit.scan import Budget
from container_image.audit.strings import Unescaping, search_strings, unescaped
from container_image.oci.inflate import DECODERS, BrokenStreamError, members
from container_image.oci.model import Descriptor, assemble
from tests import fuzz_seeds
from tests.images import digest

TOKEN = fuzz_seeds.TOKEN
MATCHER = Matcher(targets("TOKEN", 1, TOKEN), carve.MAGICS)
ARCHIVES = fuzz_seeds.archives()

places = st.tuples(st.integers(0, 1 << 16), st.integers(0, 600), st.binary(max_size=40) | st.just(TOKEN))
"""Mutations: where, how many bytes go, and what comes instead."""


def mutated(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for place, gone, come in changes:
        at = place % (len(data) + 1)
        data = data[:at] + come + data[at + gone :]
    return data


@settings(max_examples=60, deadline=None)
@given(seed=st.sampled_from(ARCHIVES), changes=st.lists(places, min_size=1, max_size=4), repaired=st.booleans())
def test_a_mutated_archive_is_an_error_or_searched(
    seed: bytes, changes: list[tuple[int, int, bytes]], repaired: bool
) -> None:
    data = mutated(seed, changes)
    data = fuzz_seeds.with_checksums(data) if repaired else data
    with tempfile.TemporaryDirectory() as directory, contextlib.suppress(ContainerImageError):
        path = Path(directory, "image.tar")
        path.write_bytes(data)
        report = audit(f"oci-archive:{path}", {"TOKEN": TOKEN})
        assert TOKEN not in data or report.verdict is not Verdict.CLEAN
        assert TOKEN.decode() not in report.model_dump_json()


names = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=300)


@settings(max_examples=60, deadline=None)
@given(
    files=st.lists(st.tuples(names, st.integers(0, 2_000)), min_size=1, max_size=5),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    cuts=st.integers(1, 3_000),
)
def test_offsets_are_of_the_members_that_another_reader_sees(
    files: list[tuple[str, int]], form: int, cuts: int
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, size in files:
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(b"x" * size))
    data = out.getvalue()
    index = LayerIndex()
    for at in range(0, len(data), cuts):
        index.feed(data[at : at + cuts])
    index.finish()
    assert index.broken is None
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            shown = posixpath.normpath("/" + member.name).lstrip("/")
            assert index.path_at(member.offset_data if member.size else member.offset) == shown
    assert index.path_at(len(data) - 1) is None


@settings(max_examples=100, deadline=None)
@given(seed=st.sampled_from(fuzz_seeds.layers()), changes=st.lists(places, max_size=4), cuts=st.integers(1, 2_000))
def test_an_index_is_the_same_however_its_bytes_come(
    seed: bytes, changes: list[tuple[int, int, bytes]], cuts: int
) -> None:
    data = fuzz_seeds.with_checksums(mutated(seed, changes))
    whole, split = LayerIndex(), LayerIndex()
    whole.feed(data)
    for at in range(0, len(data), cuts):
        split.feed(data[at : at + cuts])
    whole.finish()
    split.finish()
    assert (list(whole.entries), whole.broken, whole.files) == (list(split.entries), split.broken, split.files)


DIGESTS = [digest(b"%d" % number) for number in range(3)]
keys = st.sampled_from(
    [
        "manifests",
        "layers",
        "config",
        "digest",
        "mediaType",
        "platform",
        "os",
        "annotations",
        "history",
        "rootfs",
        "urls",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([*DIGESTS, "linux", "application/x", "\ud800", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(documents=st.lists(values, min_size=3, max_size=3), seen=st.sets(st.sampled_from(DIGESTS)))
def test_documents_of_any_shape_make_an_image_or_an_error(documents: list[Any], seen: set[str]) -> None:
    known = {name: json.dumps(document).encode() for name, document in zip(DIGESTS, documents, strict=True)}
    with contextlib.suppress(ContainerImageError):
        assemble(Descriptor(DIGESTS[0]), known, {DIGESTS[0], *seen})


@pytest.mark.parametrize("kind", DECODERS)
@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=200), changes=st.lists(places, max_size=2), cuts=st.integers(1, 300))
def test_what_cannot_be_inflated_is_broken_and_nothing_else(
    kind: str, data: bytes, changes: list[tuple[int, int, bytes]], cuts: int
) -> None:
    packed = fuzz_seeds.PACKERS.get(kind, lambda raw: raw)(data * 20)
    damaged = mutated(packed, changes)
    pieces = [damaged[at : at + cuts] for at in range(0, len(damaged), cuts)]
    with contextlib.suppress(BrokenStreamError):
        found = b"".join(members(iter(pieces), kind))
        assert changes or found == data * 20


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=60), plain=st.booleans(), cuts=st.integers(1, 40))
def test_escapes_are_undone_as_a_reader_of_json_does(text: str, plain: bool, cuts: int) -> None:
    written = json.dumps({"a": [text]}, ensure_ascii=not plain).encode("utf-8", "surrogatepass")
    assert unescaped(written) == b'{"a": ["%b"]}' % text.encode("utf-8", "surrogatepass")
    hidden = written[:-2] + b', "tok9aZ8bY7cX6dW5eV4fU3gT2h\\u00531iR0"]}'
    stream = Unescaping(Budget(MATCHER, AuditPolicy()))
    for at in range(0, len(hidden), cuts):
        stream.feed(hidden[at : at + cuts])
    assert stream.finish()[0]
    assert [pointer for pointer, _ in search_strings(hidden, Budget(MATCHER, AuditPolicy()), [])] == ["/a/1"]
