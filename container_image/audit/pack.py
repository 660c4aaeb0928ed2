"""Git's packs: objects one after the other, many of them as what changed since another (gitformat-pack(5)).

Each object is a zlib stream. A delta writes what is new in pieces of at most 127 bytes, each behind its length, and refers
to the object that it changes for the rest: a long value, or one that is partly old, is nowhere in the pack as it is.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterator

BEGINS = rb"PACK\x00\x00\x00[\x02\x03]"
LENGTH = 8

_HEADER = 12
_OFS_DELTA, _REF_DELTA = 6, 7
_NAME = 20
_LONGEST_HEADER = 64
_KEPT_OBJECT = 4 << 20
_KEPT = 64 << 20
# How much of what a delta copies is given, beside what is new.
_AROUND = 1024
_SEPARATOR = b"\n\0\0\n"


class Pack:
    """Gives the objects as they are, and of a delta what is new, with what is around it.

    What a delta refers to is had from the last 64 MiB of objects, of up to 4 MiB each; where it is not among these, what is
    new is given alone.
    """

    def __init__(self) -> None:
        self.eof = False
        self._held = b""
        self._position = 0
        self._left = -1
        self._object: _Object | None = None
        self._new: Iterator[bytes] = iter(())
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._size = 0

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes]:
        """Some `limit` bytes of what the next piece, and what is left of those before, gives.

        Raises:
            ValueError, zlib.error: what should be an object is none.
        """
        self._held += bytes(data)
        pieces: list[bytes] = []
        room = limit
        while room > 0 and not self.eof:
            piece = next(self._new, None)
            if piece is None:
                piece = self._step(room)
            if piece is None:
                break
            pieces.append(piece)
            room -= len(piece)
        return b"".join(pieces), self._held if self.eof else b""

    def _step(self, limit: int) -> bytes | None:
        """What the next step gives, which may be nothing; None where there is too little for one."""
        if self._left < 0:
            if len(self._held) < _HEADER:
                return None
            self._left = int.from_bytes(self._held[8:_HEADER], "big")
            self._drop(_HEADER)
        elif self._left == 0:
            self.eof = True
        elif self._object is None:
            header = _header(self._held)
            if header is None:
                return None
            length, is_delta, distance = header
            self._object = _Object(self._position, self._position - distance if distance else None, is_delta=is_delta)
            self._drop(length)
        else:
            return self._inflate(self._object, limit)
        return b""

    def _drop(self, count: int) -> None:
        self._held = self._held[count:]
        self._position += count

    def _inflate(self, item: _Object, limit: int) -> bytes | None:
        before = len(self._held)
        out = item.inflater.decompress(self._held, limit)
        left = item.inflater.unused_data if item.inflater.eof else item.inflater.unconsumed_tail
        self._drop(before - len(left))
        if not out and not item.inflater.eof and len(left) == before:
            return None
        if len(item.content) <= _KEPT_OBJECT:
            item.content += out
        if item.inflater.eof:
            self._object = None
            self._left -= 1
            kept = len(item.content) <= _KEPT_OBJECT
            if item.is_delta and kept:
                base = None if item.base is None else self._kept.get(item.base)
                self._new = self._applied(item.start, bytes(item.content), base)
            elif kept:
                self._keep(item.start, bytes(item.content))
            out += _SEPARATOR
        # A delta that is too large to be kept is given as it is.
        return b"" if item.is_delta and len(item.content) <= _KEPT_OBJECT else out

    def _applied(self, start: int, delta: bytes, base: bytes | None) -> Iterator[bytes]:
        """What is new in an object that a delta makes, with what is around it; keeps the object, if its base is there."""
        whole: list[bytes] | None = None if base is None else []
        size = 0
        for piece, copied in _operations(delta, base or b""):
            if whole is not None:
                whole.append(piece)
                size += len(piece)
                whole = whole if size <= _KEPT_OBJECT else None
            if copied and len(piece) > 2 * _AROUND:
                yield piece[:_AROUND] + _SEPARATOR + piece[-_AROUND:]
            else:
                yield piece
        if whole is not None:
            self._keep(start, b"".join(whole))
        yield _SEPARATOR

    def _keep(self, start: int, content: bytes) -> None:
        self._kept[start] = content
        self._size += len(content)
        while self._size > _KEPT:
            self._size -= len(self._kept.popitem(last=False)[1])


class _Object:
    """An object of a pack that is being read, from `start` in it; a delta may be of the object at `base`."""

    def __init__(self, start: int, base: int | None, *, is_delta: bool) -> None:
        self.start = start
        self.base = base
        self.is_delta = is_delta
        self.inflater = zlib.decompressobj()
        self.content = bytearray()


def _header(data: bytes) -> tuple[int, bool, int | None] | None:
    """How long an object's header is, whether it is a delta, and how far before it its base is; None if more is needed."""
    try:
        kind = data[0] >> 4 & 7
        at = 1
        while data[at - 1] & 0x80:
            at += 1
        distance = None
        if kind == _REF_DELTA:
            at += _NAME
        elif kind == _OFS_DELTA:
            distance = data[at] & 0x7F
            while data[at] & 0x80:
                at += 1
                distance = distance + 1 << 7 | data[at] & 0x7F
            at += 1
    except IndexError:
        return None
    if kind in (0, 5) or at > _LONGEST_HEADER:
        raise ValueError("not an object of a pack")
    return (at, kind in (_OFS_DELTA, _REF_DELTA), distance) if at <= len(data) else None


def _operations(delta: bytes, base: bytes) -> Iterator[tuple[bytes, bool]]:
    """The pieces of the object that a delta makes of `base`, each with whether it is copied."""
    at = 0
    for _ in range(2):
        # The sizes of the two objects.
        while at < len(delta) and delta[at] & 0x80:
            at += 1
        at += 1
    while at < len(delta):
        code = delta[at]
        at += 1
        if not code & 0x80:
            yield delta[at : at + code], False
            at += code
            continue
        fields = bytearray(7)
        for bit in range(7):
            if code >> bit & 1:
                fields[bit] = delta[at] if at < len(delta) else 0
                at += 1
        offset = int.from_bytes(fields[:4], "little")
        yield base[offset : offset + (int.from_bytes(fields[4:], "little") or 0x10000)], True
