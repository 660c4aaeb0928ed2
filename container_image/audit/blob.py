"""One blob of an image: decompressed once, searched as it goes by, and remembered only as far as findings need it."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from container_image.audit.hits import Gap, Hit
from container_image.audit.layer import LayerIndex
from container_image.audit.scan import Budget, StreamScanner
from container_image.oci.inflate import BrokenStreamError, members, whole_file_codec

# A document's objects take up to thirty times the room of its bytes; a longer one is searched as bytes alone.
_DOCUMENT_LIMIT = 8 << 20
_HEAD = 512
# Between two strings of a document: no value holds it, so that no run goes from one string into the next.
_SEPARATOR = b"\n\0\0\n"


@dataclass
class BlobScan:
    """What was seen in one blob.

    `index` is there for a tar archive (a layer), `document` for JSON. `broken` says why the blob could not be read to
    its end, in which case what came before was searched all the same. The offsets of `shipped` count in the blob before
    it is decompressed, those of `hits` and `gaps` in what is inside.
    """

    key: str
    size: int = 0
    index: LayerIndex | None = None
    document: bytes | None = None
    hits: list[Hit] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    strings: list[tuple[str, Hit]] = field(default_factory=list)
    shipped: list[Hit] = field(default_factory=list)
    broken: str | None = None


def scan_blob(key: str, chunks: Iterable[bytes], budget: Budget) -> BlobScan:
    """Searches a blob: as it ships, and, where it is compressed, what is inside.

    A layer may be several gzip members or zstd frames (eStargz, zstd:chunked): they are one tar stream.
    """
    seen = BlobScan(key)
    pieces = iter(chunks)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= _HEAD:
            break
    compression = whole_file_codec(head)
    content = _Content(seen, budget)
    if compression is None:
        for piece in _chain(head, pieces):
            content.feed(piece)
            if content.stopped:
                break
    else:
        # The compressed bytes are searched too: a gzip header may hold a name and a comment, a frame may be skipped.
        shipped = StreamScanner(budget, seen.shipped, [], carved=False)
        compressed = _searched(_chain(head, pieces), shipped)
        try:
            for piece in members(compressed, compression):
                content.feed(piece)
                if content.stopped:
                    break
        except BrokenStreamError as error:
            seen.broken = str(error)
            # To the end all the same: if the bytes do not match their digest, that is what is wrong.
            for _ in compressed:
                pass
        shipped.finish()
    content.finish()
    if seen.document is not None:
        seen.strings = list(_search_strings(seen.document, budget))
    return seen


class _Content:
    """The decompressed stream of a blob: searched, indexed if it is a tar archive, kept if it is a JSON document."""

    def __init__(self, seen: BlobScan, budget: Budget) -> None:
        self._seen = seen
        self._budget = budget
        self._scanner = StreamScanner(budget, seen.hits, seen.gaps)
        self._head: bytes | None = b""
        self._document: list[bytes] | None = None
        self.stopped = False

    def feed(self, piece: bytes) -> None:
        if not piece:
            return
        self._seen.size += len(piece)
        self._budget.bytes += len(piece)
        self._scanner.feed(piece)
        if self._head is None:
            self._keep(piece)
        else:
            self._head += piece
            if len(self._head) >= _HEAD:
                self._recognise()
        reason = self._budget.exhausted()
        if reason is not None:
            self._seen.broken = reason
            self.stopped = True

    def finish(self) -> None:
        if self._head is not None:
            self._recognise()
        self._scanner.finish()
        if self._seen.index is not None:
            self._seen.index.finish()
        if self._document is not None:
            self._seen.document = b"".join(self._document)

    def _recognise(self) -> None:
        head, self._head = self._head or b"", None
        if head[257:262] == b"ustar" or (len(head) >= _HEAD and not head[:_HEAD].strip(b"\0")):
            self._seen.index = LayerIndex()
        elif head.lstrip()[:1] in (b"{", b"["):
            self._document = []
        self._keep(head)

    def _keep(self, piece: bytes) -> None:
        if self._seen.index is not None:
            self._seen.index.feed(piece)
        elif self._document is not None:
            self._document.append(piece)
            if self._seen.size > _DOCUMENT_LIMIT:
                self._document = None


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _searched(pieces: Iterator[bytes], shipped: StreamScanner) -> Iterator[bytes]:
    for piece in pieces:
        shipped.feed(piece)
        yield piece


def _search_strings(document: bytes, budget: Budget) -> Iterator[tuple[str, Hit]]:
    """Hits in a document's strings as its reader sees them: escapes undone, each with its JSON pointer (RFC 6901)."""
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        return
    pointers: list[str] = []
    starts: list[int] = []
    parts: list[bytes] = []
    size = 0
    for pointer, text in _strings(value):
        data = text.encode("utf-8", "surrogatepass")
        pointers.append(pointer)
        starts.append(size)
        parts.append(data)
        size += len(data) + len(_SEPARATOR)
    hits: list[Hit] = []
    scanner = StreamScanner(budget, hits, [], carved=False)
    scanner.feed(_SEPARATOR.join(parts))
    scanner.finish()
    for hit in hits:
        yield pointers[bisect_right(starts, hit.run.start) - 1], hit


def _strings(value: object) -> Iterator[tuple[str, str]]:
    stack: list[tuple[str, object]] = [("", value)]
    while stack:
        pointer, item = stack.pop()
        if isinstance(item, str):
            yield pointer, item
        elif isinstance(item, dict):
            for key, child in item.items():
                inner = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
                yield inner, str(key)
                stack.append((inner, child))
        elif isinstance(item, list):
            stack.extend((f"{pointer}/{number}", child) for number, child in enumerate(item))
