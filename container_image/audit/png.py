"""PNG images: their compressed data are one zlib stream that is cut into chunks (PNG specification, ISO/IEC 15948)."""

from __future__ import annotations

BEGINS = rb"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
LENGTH = 16

_SIGNATURE = 8
_FRAME = 8
_CHECKSUM = 4
_COMPRESSED = frozenset({b"IDAT", b"zTXt", b"iTXt", b"iCCP"})


class Png:
    """Gives what is in the chunks that hold compressed data, one after the other: so the stream in them is whole."""

    def __init__(self) -> None:
        self.eof = False
        self._held = b""
        self._skip = _SIGNATURE
        self._left = 0
        self._last = False

    def inflate(self, data: bytes | memoryview, limit: int) -> tuple[bytes, bytes]:
        """What the next piece gives, whatever `limit`, as nothing grows.

        Raises:
            ValueError: what should be a chunk is none.
        """
        del limit
        buffer = self._held + bytes(data)
        at = 0
        pieces = []
        while not self.eof:
            if self._skip:
                step = min(self._skip, len(buffer) - at)
                self._skip -= step
                at += step
                if self._skip:
                    break
                self.eof = self._last
            elif self._left:
                step = min(self._left, len(buffer) - at)
                if not step:
                    break
                pieces.append(buffer[at : at + step])
                at += step
                self._left -= step
                self._skip = 0 if self._left else _CHECKSUM
            elif len(buffer) - at < _FRAME:
                break
            else:
                size, name = int.from_bytes(buffer[at : at + 4], "big"), buffer[at + 4 : at + _FRAME]
                if not name.isalpha():
                    raise ValueError("not a chunk of a PNG image")
                at += _FRAME
                self._last = name == b"IEND"
                self._left = size if name in _COMPRESSED else 0
                self._skip = 0 if self._left else size + _CHECKSUM
        self._held = buffer[at:]
        return b"".join(pieces), self._held if self.eof else b""
