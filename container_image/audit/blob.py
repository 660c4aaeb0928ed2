"""One blob of an image: decompressed once, searched as it goes by, and remembered only as far as findings need it."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from container_image.audit.hits import Gap, Hit
from container_image.audit.layer import LayerIndex
from container_image.audit.scan import Budget, StreamScanner
from container_image.forms import MIN_LENGTH
from container_image.oci.inflate import BrokenStreamError, members, whole_file_codec
from container_image.oci.tar import BLOCK, begins_tar

# A document's objects take up to thirty times the room of its bytes; of a longer one, strings are searched without
# telling which. Registries take no longer manifests (distribution-spec).
_DOCUMENT_LIMIT = 4 << 20
_HEAD = 512
_BOM = b"\xef\xbb\xbf"
_NAMES = 1 << 12
_BATCH = 1 << 20
# A pointer is shown, and may go through a name as long as the document.
_POINTER_PART = 256
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
        self._unescaping: _Unescaping | None = None
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
            self._seen.hits.extend(hit for hit in self._unescaping.finish() if hit.run.target not in seen)

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
        for start, hit in search_texts(self._budget, names):
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
                self._unescaping = _Unescaping(self._budget)
                self._unescaping.feed(b"".join(self._document))
                self._document = None
        elif self._unescaping is not None:
            self._unescaping.feed(piece)


class _Unescaping:
    """Searches a long JSON document with its escapes undone, as it goes by."""

    def __init__(self, budget: Budget) -> None:
        self._hits: list[Hit] = []
        self._scanner = StreamScanner(budget, self._hits, [], carved=False)
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        data = self._rest + piece
        # No escape goes on behind as many bytes without a backslash as the longest has.
        calm = _CALM.match(data)
        end = calm.end() if calm else len(data)
        self._rest = data[end:]
        self._scanner.feed(unescaped(data[:end]))

    def finish(self) -> list[Hit]:
        self._scanner.feed(unescaped(self._rest))
        self._scanner.finish()
        return self._hits


def _chain(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if head:
        yield head
    yield from rest


def _searched(pieces: Iterator[bytes], shipped: StreamScanner) -> Iterator[bytes]:
    for piece in pieces:
        shipped.feed(piece)
        yield piece


_Place = TypeVar("_Place")


def search_texts(budget: Budget, texts: Iterable[tuple[_Place, bytes]]) -> Iterator[tuple[_Place, Hit]]:
    """Hits in many short texts at once, each with its text's place; a run counts in all of them, joined."""
    places: list[_Place] = []
    starts: list[int] = []
    batch: list[bytes] = []
    size = waiting = 0
    hits: list[Hit] = []
    scanner = StreamScanner(budget, hits, [], carved=False)
    for place, text in texts:
        places.append(place)
        starts.append(size)
        batch.append(text)
        size += len(text) + len(_SEPARATOR)
        waiting += len(text) + len(_SEPARATOR)
        if waiting >= _BATCH:
            scanner.feed(b"".join(item + _SEPARATOR for item in batch))
            batch, waiting = [], 0
    scanner.feed(b"".join(item + _SEPARATOR for item in batch))
    scanner.finish()
    for hit in hits:
        yield places[bisect_right(starts, hit.run.start) - 1], hit


def _search_strings(document: bytes, budget: Budget) -> Iterator[tuple[str, Hit]]:
    """Hits in a document's strings as its reader sees them: escapes undone, each with its JSON pointer (RFC 6901).

    Where it is not well-formed, or nested more deeply than can be followed, escapes are undone wherever they are, and
    the pointer is the document's.
    """
    try:
        value = json.loads(document, object_pairs_hook=_Pairs, parse_int=_no_number, parse_float=_no_number)
    except (ValueError, RecursionError):
        yield from search_texts(budget, [("", unescaped(document))])
        return
    texts = (text for text in _strings(value) if len(text[1]) >= MIN_LENGTH)
    for node, hit in search_texts(budget, texts):
        yield _pointer(node), hit


class _Pairs(list[tuple[str, object]]):
    """A JSON object with every pair that it holds: a reader takes the last of two with one name, and both ship."""


def _no_number(_digits: str) -> None:
    """Numbers are searched as bytes; one of more than 4,300 digits is more than Python reads."""


# A place in a document: the place that it is in, and the name or number there.
_Node = tuple["_Node | None", "str | int"]


def _strings(value: object) -> Iterator[tuple[_Node | None, bytes]]:
    stack: list[tuple[_Node | None, object]] = [(None, value)]
    while stack:
        node, item = stack.pop()
        if isinstance(item, str):
            yield node, _encoded(item)
        elif isinstance(item, _Pairs):
            for key, child in item:
                inner = (node, key)
                yield inner, _encoded(key)
                if isinstance(child, (str, list)):
                    stack.append((inner, child))
        elif isinstance(item, list):
            stack.extend(((node, number), child) for number, child in enumerate(item) if isinstance(child, (str, list)))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _pointer(node: _Node | None) -> str:
    parts: list[str] = []
    while node is not None:
        node, name = node
        parts.append(str(name)[:_POINTER_PART].replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{part}" for part in reversed(parts))


def unescaped(data: bytes) -> bytes:
    """JSON text with the escapes of its strings undone (RFC 8259, 7), well-formed or not."""
    return _ESCAPES.sub(_undo, data)


def _undo(match: re.Match[bytes]) -> bytes:
    escape = match[0]
    if escape[1:2] != b"u":
        return _SHORT_ESCAPES.get(escape[1:2], escape[1:2])
    units = bytes.fromhex(escape.replace(b"\\u", b"").decode())
    return units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")


_ESCAPES = re.compile(rb'(?:\\u[0-9A-Fa-f]{4})+|\\["\\/bfnrt]')
_CALM = re.compile(rb".*[^\\]{12}", re.DOTALL)
_SHORT_ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
