"""OpenPGP secret keys (RFC 9580, RFC 4880): the private numbers of each key packet, or what its passphrase protects.

What comes before them in a packet, and most of the other packets, are the public key's too.
"""

from __future__ import annotations

from collections.abc import Iterator

_SECRET_KEY, _SECRET_SUBKEY = 5, 7
_MPI, _OID, _KDF = "mpi", "oid", "kdf"
_RSA = ((_MPI, _MPI), ("RSA d", "RSA p", "RSA q"))
# By the number of the algorithm: the fields of the public key, and the names of the private ones that are told.
_FIELDS: dict[int, tuple[tuple[str | int, ...], tuple[str, ...]]] = {
    1: _RSA,
    2: _RSA,
    3: _RSA,
    16: ((_MPI,) * 3, ("ElGamal x",)),
    17: ((_MPI,) * 4, ("DSA x",)),
    18: ((_OID, _MPI, _KDF), ("ECDH d",)),
    19: ((_OID, _MPI), ("EC d",)),
    22: ((_OID, _MPI), ("EdDSA seed",)),
    25: ((32,), ("X25519 key",)),
    26: ((56,), ("X448 key",)),
    27: ((32,), ("Ed25519 seed",)),
    28: ((57,), ("Ed448 seed",)),
}
_SHORTEST_LOCKED = 24


def is_secret_key(data: bytes) -> bool:
    """Whether the data begins with a secret key packet of a version that is known."""
    return any(tag == _SECRET_KEY and body[:1] in (b"\4", b"\6") for tag, body in _packets(data[:4096], limit=1))


def private_parts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The name and the bytes of each private number in a sequence of packets; of a key with a passphrase, of what
    that protects."""
    for tag, body in _packets(data):
        if tag in (_SECRET_KEY, _SECRET_SUBKEY):
            yield from _key_parts(body)


def _packets(data: bytes, limit: int = 1000) -> Iterator[tuple[int, bytes]]:
    at = 0
    for _ in range(limit):
        if at + 2 > len(data) or not data[at] & 0x80:
            return
        head = data[at]
        if head & 0x40:
            tag, first = head & 0x3F, data[at + 1]
            if first < 192:
                at, size = at + 2, first
            elif first < 224:
                at, size = at + 3, ((first - 192) << 8) + int.from_bytes(data[at + 2 : at + 3], "big") + 192
            elif first == 255:
                at, size = at + 6, int.from_bytes(data[at + 2 : at + 6], "big")
            else:
                return
        else:
            tag, width = (head >> 2) & 0x0F, (1, 2, 4, 0)[head & 3]
            size = int.from_bytes(data[at + 1 : at + 1 + width], "big") if width else len(data)
            at += 1 + width
        yield tag, data[at : at + size]
        at += size


def _key_parts(body: bytes) -> Iterator[tuple[str, bytes]]:
    if len(body) < 6 or body[0] not in (4, 6) or body[5] not in _FIELDS:
        return
    fields, names = _FIELDS[body[5]]
    at = 6 if body[0] == 4 else 10
    for field in fields:
        at = _field(body, at, field)[0]
    usage, at = body[at : at + 1], at + 1
    if usage == b"\0":
        for name in names:
            # The newer algorithms' numbers are as long as their public keys, without a length before them.
            at, number = _field(body, at, fields[0] if isinstance(fields[0], int) else _MPI)
            yield name, number
    elif len(body) - at >= _SHORTEST_LOCKED:
        yield "locked key", body[at:]


def _field(body: bytes, at: int, field: str | int) -> tuple[int, bytes]:
    """Where a field ends, and its bytes."""
    if isinstance(field, int):
        size = field
    elif field == _MPI:
        size = (int.from_bytes(body[at : at + 2], "big") + 7) // 8
        at += 2
    else:
        size = int.from_bytes(body[at : at + 1], "big")
        at += 1
    return at + size, body[at : at + size]
