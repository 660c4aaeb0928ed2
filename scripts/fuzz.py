"""Coverage-guided fuzzing of what takes bytes: `make fuzz TARGET=archive SECONDS=600`.

Each target is a function with a property. Where it fails, the input is kept in `.fuzz/found`, once for each place in the
code, and the run goes on; what was learned of interesting inputs stays in `.fuzz/corpus`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["container_image"]):
    from container_image import DockerfileParser
    from container_image.audit import carve, engine
    from container_image.audit.layer import LayerIndex
    from container_image.audit.matcher import Matcher
    from container_image.audit.needles import targets
    from container_image.audit.policy import AuditPolicy
    from container_image.audit.report import Verdict
    from container_image.audit.scan import Budget, StreamScanner
    from container_image.dockerfile import mounts, parse, scopes
    from container_image.errors import ContainerImageError
    from container_image.oci import ArchiveSource, model
    from container_image.oci.inflate import DECODERS, BrokenStreamError, members
    from container_image.secrets import SecretValue, inner_values

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import fuzz_seeds

TOKEN = fuzz_seeds.TOKEN
MATCHER = Matcher(targets("TOKEN", 1, TOKEN), carve.MAGICS)
POLICY = AuditPolicy(max_bytes=64 << 20)
WORK = Path(".fuzz").absolute()


def archive(data: bytes) -> None:
    """An audit ends, with nothing but our own errors, and is never clean of a value that is in the archive as it is."""
    data = fuzz_seeds.with_checksums(data)
    path = WORK / "image.tar"
    path.write_bytes(data)
    with contextlib.suppress(ContainerImageError):
        source = ArchiveSource("oci-archive:image.tar", path, None)
        report = engine.audit_source(source, [SecretValue("TOKEN", TOKEN)], policy=POLICY)
        assert TOKEN not in data or report.verdict is not Verdict.CLEAN, "clean, and the value is there"
        assert TOKEN.decode() not in report.model_dump_json(), "the report shows the value"


def stream(data: bytes) -> None:
    """What is carved out of bytes does not depend on how they come, and a value among them is found."""
    hits: list[list[object]] = []
    for size in (len(data) or 1, 1 + len(data) // 3):
        found: list[object] = []
        scanner = StreamScanner(Budget(MATCHER, POLICY), found, [])  # type: ignore[arg-type]
        for at in range(0, len(data), size):
            scanner.feed(data[at : at + size])
        scanner.finish()
        hits.append(found)
    assert TOKEN not in data or all(hits), "the value is not found"
    for kind in DECODERS:
        with contextlib.suppress(BrokenStreamError):
            size = 0
            for piece in members(iter([data]), kind):
                size += len(piece)
                assert len(piece) <= 8 << 20, "a piece of more than 8 MiB"
                if size > 64 << 20:
                    break


def layer(data: bytes) -> None:
    """A layer's index is the same however its bytes come, and its entries are in their order."""
    data = fuzz_seeds.with_checksums(data)
    whole, split = LayerIndex(), LayerIndex()
    whole.feed(data)
    for at in range(0, len(data), 777):
        split.feed(data[at : at + 777])
    for index in (whole, split):
        index.finish()
    entries = list(whole.entries)
    assert (entries, whole.broken, whole.files) == (list(split.entries), split.broken, split.files), "differs"
    starts = [entry.start for entry in entries]
    assert starts == sorted(starts), "out of order"


def dockerfile(data: bytes) -> None:
    """Any text parses, or the error names what is wrong."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(ContainerImageError):
        parsed = parse(text)
        for instruction in parsed.instructions:
            mounts(instruction)
        scopes(parsed, {"A": "b"}, {})
    with contextlib.redirect_stdout(io.StringIO()):
        DockerfileParser(text).parse_copy_add_sources()


def inner(data: bytes) -> None:
    """The values inside a secret: never an error, and no name holds a value."""
    for item in inner_values(SecretValue("S", data)):
        assert item.value, "an empty value"


TARGETS: dict[str, Callable[[bytes], None]] = {f.__name__: f for f in (archive, stream, layer, dockerfile, inner)}


def reporting(target: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The target, which writes down where it fails and goes on."""
    seen: set[str] = set()

    def run(data: bytes) -> None:
        try:
            target(data)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{target.__name__}-{Path(last.filename).stem}-{last.lineno}-{type(error).__name__}"
            if place not in seen:
                seen.add(place)
                (WORK / "found").mkdir(exist_ok=True)
                (WORK / "found" / f"{place}-{hashlib.sha256(data).hexdigest()[:8]}").write_bytes(data)
                print(f"FOUND {place}", file=sys.stderr, flush=True)

    return run


def main() -> None:
    name, *options = sys.argv[1:]
    os.environ["XDG_STATE_HOME"] = str(WORK / "state")
    engine.Matcher = lambda *_: MATCHER  # type: ignore[assignment,misc,return-value]  # compiled once
    # A mutation would end at the first digest.
    model.Blob.chunks = lambda self: self.pieces  # type: ignore[method-assign]
    corpus = WORK / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(fuzz_seeds.SEEDS[name]()):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], str(corpus), *options], reporting(TARGETS[name]))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
