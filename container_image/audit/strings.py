"""The strings of a JSON document as its reader sees them: escapes undone, what is base64 decoded, each searched."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from container_image.audit.hits import Gap, Hit, unplaced
from container_image.audit.scan import Budget, StreamScanner
from container_image.forms import MIN_LENGTH

_BATCH = 1 << 20
# Between two strings of a document: no value holds it, so that no run goes from one string into the next.
_SEPARATOR = b"\n\0\0\n"
# A pointer is shown, and may go through a name as long as the document.
_POINTER_PART = 256
_BASE64_DEPTH = 3
_LEAST_BASE64 = 24
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_STANDARD = str.maketrans("-_", "+/")


_Place = TypeVar("_Place")


def search_texts(
    budget: Budget, texts: Iterable[tuple[_Place, bytes]], gaps: list[Gap]
) -> Iterator[tuple[_Place, Hit]]:
    """Hits in many short texts at once, each with its text's place; a run counts in all of them, joined.

    What could not be searched goes to `gaps`, without an offset.
    """
    places: list[_Place] = []
    starts: list[int] = []
    batch: list[bytes] = []
    size = waiting = 0
    hits: list[Hit] = []
    missed: list[Gap] = []
    scanner = StreamScanner(budget, hits, missed, carved=False)
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
    gaps.extend(unplaced(missed))
    for hit in hits:
        yield places[bisect_right(starts, hit.run.start) - 1], hit


def search_strings(document: bytes, budget: Budget, gaps: list[Gap]) -> Iterator[tuple[str, Hit]]:
    """Hits in a document's strings as its reader sees them, each with its JSON pointer (RFC 6901).

    A string that is base64 is searched as what it is decoded to as well, and followed if that is JSON: so an in-toto
    statement is in its envelope, and the Dockerfile in its provenance. Where the document is not well-formed, or
    nested more deeply than can be followed, escapes are undone wherever they are, and the pointer is the document's.
    What could not be searched goes to `gaps`, without an offset.
    """
    try:
        value = _parsed(document)
    except (ValueError, RecursionError):
        yield from search_texts(budget, [("", unescaped(document))], gaps)
        return
    seen: set[tuple[str, str, str | None]] = set()
    inside: list[tuple[str, Hit]] = []
    for (node, depth), hit in search_texts(budget, _strings(value), gaps):
        pointer = _pointer(node)
        if depth:
            inside.append((pointer, replace(hit, via=("base64",) * depth)))
        else:
            seen.add(_told(pointer, hit))
            yield pointer, hit
    # What the base64 tells by itself is told once.
    yield from (item for item in inside if _told(*item) not in seen)


def _told(pointer: str, hit: Hit) -> tuple[str, str, str | None]:
    return pointer, hit.run.target.secret, hit.run.target.environment


def _parsed(document: bytes) -> object:
    return json.loads(document, object_pairs_hook=_Pairs, parse_int=_no_number, parse_float=_no_number)


class _Pairs(list[tuple[str, object]]):
    """A JSON object with every pair that it holds: a reader takes the last of two with one name, and both ship."""


def _no_number(_digits: str) -> None:
    """Numbers are searched as bytes; one of more than 4,300 digits is more than Python reads."""


# A place in a document: the place that it is in, and the name or number there.
_Node = tuple["_Node | None", "str | int"]


def _strings(value: object) -> Iterator[tuple[tuple[_Node | None, int], bytes]]:
    """Every string that may hold a value, with its place, and how often base64 was decoded on the way to it."""
    stack: list[tuple[_Node | None, int, object]] = [(None, 0, value)]
    while stack:
        node, depth, item = stack.pop()
        if isinstance(item, str):
            if len(item) >= MIN_LENGTH:
                yield (node, depth), _encoded(item)
                if depth < _BASE64_DEPTH and (decoded := _decoded(item)):
                    yield (node, depth + 1), decoded
                    stack.extend((node, depth + 1, inner) for inner in _inside(decoded))
        elif isinstance(item, _Pairs):
            for key, child in item:
                inner = (node, key)
                if len(key) >= MIN_LENGTH:
                    yield (inner, depth), _encoded(key)
                if isinstance(child, (str, list)):
                    stack.append((inner, depth, child))
        elif isinstance(item, list):
            stack.extend(
                ((node, number), depth, child) for number, child in enumerate(item) if isinstance(child, (str, list))
            )


def _decoded(text: str) -> bytes:
    """What a string is base64 of, in either alphabet; nothing where it is none."""
    if len(text) < _LEAST_BASE64 or not _BASE64.fullmatch(text):
        return b""
    plain = text.rstrip("=").translate(_STANDARD)
    return base64.b64decode(plain + "=" * (-len(plain) % 4)) if len(plain) % 4 != 1 else b""


def _inside(decoded: bytes) -> Iterator[object]:
    """The document that some bytes are; nothing where they are none."""
    if decoded.lstrip()[:1] in (b"{", b"["):
        with contextlib.suppress(ValueError, RecursionError):
            yield _parsed(decoded)


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


class Unescaping:
    """Searches a long JSON document with its escapes undone, as it goes by."""

    def __init__(self, budget: Budget) -> None:
        self._hits: list[Hit] = []
        self._gaps: list[Gap] = []
        self._scanner = StreamScanner(budget, self._hits, self._gaps, carved=False)
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        data = self._rest + piece
        # No escape goes on behind as many bytes without a backslash as the longest has.
        calm = _CALM.match(data)
        end = calm.end() if calm else len(data)
        self._rest = data[end:]
        self._scanner.feed(unescaped(data[:end]))

    def finish(self) -> tuple[list[Hit], list[Gap]]:
        """The hits, and what could not be searched, without an offset."""
        self._scanner.feed(unescaped(self._rest))
        self._scanner.finish()
        return self._hits, unplaced(self._gaps)
