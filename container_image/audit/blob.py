"""One blob of an image: decompressed once, searched as it goes by, and remembered only as far as findings need it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from container_image.audit.hits import Gap, Hit, unplaced
from container_image.audit.layer import LayerIndex
from container_image.audit.scan import Budget, StreamScanner
from container_image.audit.strings import Unescaping, search_strings, search_texts
from container_image.oci.inflate import BrokenStreamError, members, whole_file_codec
from container_image.oci.tar import BLOCK, begins_tar

# A document's objects take up to thirty times the room of its bytes; of a longer one, strings are searched without
# telling which. Registries take no longer manifests (distribution-spec).
_DOCUMENT_LIMIT = 4 << 20
_HEAD = 512
_BOM = b"\xef\xbb\xbf"
_NAMES = 1 << 12


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
        missed: list[Gap] = []
        shipped = StreamScanner(budget, seen.shipped, missed, carved=False)
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
        seen.gaps.extend(unplaced(missed))
    content.finish()
    if seen.document is not None:
        seen.strings = list(search_strings(seen.document, budget, seen.gaps))
    return seen


class _Content:
    """The decompressed stream of a blob: searched, indexed if it is a tar archive, kept if it is a JSON document."""

    def __init__(self, seen: BlobScan, budget: Budget) -> None:
        self._seen = seen
        self._budget = budget
        self._scanner = StreamScanner(budget, seen.hits, seen.gaps)
        self._head: bytes | None = b""
        self._document: list[bytes] | None = None
        self._unescaping: Unescaping | None = None
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
            self._search_split_names(self._seen.index)
        if self._document is not None:
            self._seen.document = b"".join(self._document)
        if self._unescaping is not None:
            seen = {hit.run.target for hit in self._seen.hits}
            hits, gaps = self._unescaping.finish()
            self._seen.hits.extend(hit for hit in hits if hit.run.target not in seen)
            self._seen.gaps.extend(gaps)

    def _recognise(self) -> None:
        head, self._head = self._head or b"", None
        if begins_tar(head[:BLOCK]):
            self._seen.index = LayerIndex()
        elif head.removeprefix(_BOM).lstrip()[:1] in (b"{", b"["):
            self._document = []
        self._keep(head)

    def _search_split_names(self, index: LayerIndex) -> None:
        """Searches names that a header holds in two pieces; a hit's place is where the header is."""
        names, index.split_names = index.split_names, []
        for start, hit in search_texts(self._budget, names, self._seen.gaps):
            run = replace(hit.run, start=start, stop=start + hit.run.stop - hit.run.start)
            self._seen.hits.append(Hit(run, start, ()))

    def _keep(self, piece: bytes) -> None:
        if self._seen.index is not None:
            self._seen.index.feed(piece)
            if len(self._seen.index.split_names) >= _NAMES:
                self._search_split_names(self._seen.index)
        elif self._document is not None:
            self._document.append(piece)
            if self._seen.size > _DOCUMENT_LIMIT:
                self._unescaping = Unescaping(self._budget)
                self._unescaping.feed(b"".join(self._document))
                self._document = None
        elif self._unescaping is not None:
            self._unescaping.feed(piece)


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _searched(pieces: Iterator[bytes], shipped: StreamScanner) -> Iterator[bytes]:
    for piece in pieces:
        shipped.feed(piece)
        yield piece
