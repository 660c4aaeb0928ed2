"""Reads the headers of a tar archive, one block at a time, from whoever has the bytes.

Formats: POSIX ustar and pax; GNU long names, base-256 numbers and sparse files, whose data are as they are stored.
Where readers differ, this one sides with Go's archive/tar, through which every engine unpacks layers.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

BLOCK = 512
"""Bytes of a header; data are padded to a multiple of it."""

_METADATA_LIMIT = 1 << 20
# Links, devices, directories and FIFOs have no data, whatever their size field says.
_HEADER_ONLY = frozenset("123456")
_FILES = frozenset("0\x007S")
_USED = frozenset({b"path", b"linkpath", b"size", b"GNU.sparse.name"})


class TarError(Exception):
    """What follows is no tar header; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive.

    `size` is how many bytes are stored behind its headers, without padding; `split` is true for a name that its
    header holds in two pieces; `stretched` for a sparse file, whose bytes are fewer here than they are unpacked.
    """

    name: bytes
    link: bytes
    kind: str
    size: int
    split: bool
    stretched: bool

    @property
    def is_file(self) -> bool:
        """Whether it is a file, of whatever kind."""
        return self.kind in _FILES

    @property
    def has_data(self) -> bool:
        """Whether bytes may be behind its headers; they may for kinds that nobody knows."""
        return self.kind not in _HEADER_ONLY

    @property
    def padding(self) -> int:
        """Bytes from the end of its data to the next header."""
        return -self.size % BLOCK


class Headers:
    """Takes `wanted` bytes at a time; gives a member when its last header was taken.

    Behind a member come its data and their padding, which are not taken here. `ended` is true after the block of zeros
    that ends an archive.
    """

    def __init__(self) -> None:
        self.wanted = BLOCK
        self.ended = False
        self._metadata: tuple[str, int] | None = None
        self._sparse: Member | None = None
        self._own: dict[bytes, bytes] = {}
        self._global: dict[bytes, bytes] = {}

    def take(self, data: bytes) -> Member | None:
        """Takes the next `wanted` bytes.

        Raises:
            TarError: they are no header.
        """
        if self._metadata is not None:
            kind, size = self._metadata
            self._metadata, self.wanted = None, BLOCK
            self._extend(kind, data[:size])
            return None
        if self._sparse is not None:
            # A sparse file's map goes on, block by block, as long as each says so in its 505th byte.
            if data[504]:
                return None
            member, self._sparse = self._sparse, None
            return member
        return self._header(data)

    def _header(self, block: bytes) -> Member | None:
        if not block.strip(b"\0"):
            self.ended = True
            return None
        if not _checksum_is_right(block):
            raise TarError("a header's checksum is wrong")
        size, kind = _number(block[124:136]), chr(block[156])
        if kind in "xgLK":
            if size > _METADATA_LIMIT:
                raise TarError("a name or extended header of more than 1 MiB")
            if size:
                self._metadata, self.wanted = (kind, size), size + -size % BLOCK
            return None
        name, split = _text(block[:100]), False
        if block[257:263] == b"ustar\0" and block[345]:
            name, split = _text(block[345:500]) + b"/" + name, True
        records = self._global
        if self._own:
            records, self._own = {**records, **self._own}, {}
        if b"size" in records:
            size = _decimal(records[b"size"])
        named = records.get(b"GNU.sparse.name") or records.get(b"path")
        member = Member(
            named or name,
            records.get(b"linkpath") or _text(block[157:257]),
            kind,
            0 if kind in _HEADER_ONLY else size,
            split and not named,
            kind == "S" or b"GNU.sparse" in records,
        )
        if kind == "S" and block[482]:
            self._sparse = member
            return None
        return member

    def _extend(self, kind: str, data: bytes) -> None:
        if kind == "L":
            self._own[b"path"] = _text(data)
        elif kind == "K":
            self._own[b"linkpath"] = _text(data)
        else:
            _read_pax(data, self._own if kind == "x" else self._global)


def begins_tar(block: bytes) -> bool:
    """Whether a block is a tar archive's first: a header, or the end of one that is empty."""
    return len(block) == BLOCK and (not block.strip(b"\0") or _checksum_is_right(block))


def _checksum_is_right(block: bytes) -> bool:
    try:
        said = _number(block[148:156])
    except TarError:
        return False
    # Counted with blanks in the checksum's own place.
    rest = block[:148] + b" " * 8 + block[156:]
    # Some writers took bytes for signed.
    return said == sum(rest) or said == sum(array("b", rest))


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _number(field: bytes) -> int:
    """A header's number: octal digits, or base 256 when the first bit is set (GNU)."""
    if field[0] & 0x80:
        # The first bit says that it is base 256, the second is the sign.
        number = int.from_bytes(field, "big") - (1 << 8 * len(field) - 1)
        if field[0] & 0x40 or number >= 1 << 63:
            raise TarError("a header's number is negative or absurd")
        return number
    digits = _text(field.strip(b" \0")).strip()
    if not digits:
        return 0
    try:
        return int(digits, 8) if digits.isdigit() else _malformed()
    except ValueError:
        return _malformed()


def _malformed() -> int:
    raise TarError("a header's number is malformed")


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 18:
        raise TarError("an extended header's size is malformed")
    return int(digits)


def _read_pax(data: bytes, records: dict[bytes, bytes]) -> None:
    """Puts the pax records that matter here into `records`; an empty value takes back what was said before (POSIX)."""
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        if space < 0 or not data[at:space].isdigit():
            raise TarError("an extended header is malformed")
        stop = at + int(data[at:space])
        if stop <= space or stop > len(data):
            raise TarError("an extended header is malformed")
        equals = data.find(b"=", space, stop)
        key = data[space + 1 : equals] if equals > 0 else b""
        if key in _USED:
            value = data[equals + 1 : stop - 1]
            if value:
                records[key] = value
            else:
                records.pop(key, None)
        if key.startswith(b"GNU.sparse."):
            records[b"GNU.sparse"] = b""
        at = stop
