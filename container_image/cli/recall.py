"""What `audit --self-test` prints: how many canaries were found, of each form in each container."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

from container_image.audit import Recall
from container_image.printable import printable


def _text(recall: Recall) -> Iterator[str]:
    missed = recall.planted - recall.found
    word = "all found" if not missed else f"MISSED {missed:,}"
    layers = "1 layer" if recall.layers == 1 else f"{recall.layers} layers"
    yield f"{word}: {recall.found:,} of {recall.planted:,} canaries, planted in a copy of {layers}"
    yield f"  image {printable(recall.reference.removeprefix('docker-daemon:'))}  {recall.digest}"
    if recall.unread:
        yield f"  what could not be read of the image itself: {recall.unread}"
    yield ""
    forms = list(dict.fromkeys(row.form for row in recall.rows))
    containers = list(dict.fromkeys(row.container for row in recall.rows))
    cells = {(row.form, row.container): f"{row.found}/{row.planted}" for row in recall.rows}
    first = max(map(len, forms))
    widths = [max(len(name), *(len(cells.get((form, name), "")) for form in forms)) for name in containers]
    yield "  ".join([" " * first, *(name.rjust(width) for name, width in zip(containers, widths, strict=True))])
    for form in forms:
        line = [cells.get((form, name), "").rjust(width) for name, width in zip(containers, widths, strict=True)]
        yield "  ".join([form.ljust(first), *line]).rstrip()


def _json(recall: Recall) -> str:
    counted = {"planted": recall.planted, "found": recall.found}
    return json.dumps({"schema_version": 1, **counted, **asdict(recall)}, indent=2)


RECALL_FORMATS: Mapping[str, Callable[[Recall], str]] = {
    "text": lambda recall: "\n".join(_text(recall)) + "\n",
    "json": lambda recall: _json(recall) + "\n",
}
"""The formats by name."""
