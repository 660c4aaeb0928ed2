"""Private keys: their private numbers, which stay the same in whatever container a key is written again.

A key's public numbers, and certificates, are in it too, and are nobody's secret: only the private ones are given.

Sources: PEM RFC 7468 and RFC 1421; PKCS#1 RFC 8017; PKCS#8 RFC 5958; SEC1 RFC 5915; PKCS#12 RFC 7292; JWK RFC 7517 and
RFC 7518; OpenSSH's PROTOCOL.key. `cryptography` reads them; it is imported for what looks like a key only, because
importing it takes longer than looking into everything else.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from container_image.secrets import pgp

_T = TypeVar("_T")
_BEGIN = re.compile(rb"-----BEGIN ([A-Za-z0-9][A-Za-z0-9 _.-]{0,60})-----")
_PUBLIC_LABEL = re.compile(
    r"CERTIFICATE|PUBLIC KEY|^X509 CRL$|^PKCS7$|^CMS$|PARAMETERS$|SIGNATURE$|SIGNED MESSAGE$|^ATTRIBUTE"
)
# A line break that JSON, a dotenv file or a log spells out.
_SPELLED_BREAK = re.compile(rb"\\+[rn]")
_HEADER = re.compile(rb"^[ \t]*[A-Za-z][A-Za-z0-9-]*: [^\n]*\n(?:[ \t]+[^\n]*\n)*?", re.M)
_CHECKSUM = re.compile(rb"\n[ \t]*=[A-Za-z0-9+/]{4}[ \t\r\n]*\Z")
_SPACE = re.compile(rb"[\s\"'\\,]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_SSH_PUBLIC = re.compile(
    rb"(?:ssh-[a-z0-9@.-]{3,40}|ecdsa-sha2-[a-z0-9@.-]{3,40}|sk-[a-z0-9@.-]{3,60}) AAAA[A-Za-z0-9+/=]+"
)


@dataclass(frozen=True, slots=True, repr=False)
class Part:
    """One thing in a key file: a private number, or the body of a block.

    A `public` part is a certificate's or a public key's. A `whole` part counts only where all of it is, since pieces
    of it are public.
    """

    name: str
    value: bytes
    public: bool = False
    whole: bool = False

    def __repr__(self) -> str:
        return f"Part({self.name!r})"


def pem_parts(data: bytes) -> Iterator[Part]:
    """What is in the PEM blocks of a text, however it is indented, quoted or escaped: `RSA d`, `PRIVATE KEY`, …

    A private key that can be read gives its numbers, and its body as a whole. One that can't (it has a passphrase,
    say) gives its body: the bytes, for the text of a block is one form of them.
    """
    for label, text, block in _blocks(data):
        if _PUBLIC_LABEL.search(label):
            yield Part(label, block, public=True)
            continue
        body = _body(text)
        if body is None:
            yield Part(label, text.strip())
            continue
        numbers = list(_pgp_numbers(body) if label.startswith("PGP") else _numbers_of(label, body))
        yield from numbers
        yield Part(label, body, whole=bool(numbers))


def without_blocks(data: bytes) -> bytes:
    """A text without its PEM blocks, and without public keys as OpenSSH writes them."""
    return _SSH_PUBLIC.sub(b"", b"".join(_outside(data, only_public=False)))


def without_public(data: bytes) -> bytes:
    """A text without the certificates and public keys in it, in PEM or as OpenSSH writes them."""
    return _SSH_PUBLIC.sub(b"", b"".join(_outside(data, only_public=True)))


def _outside(data: bytes, *, only_public: bool) -> Iterator[bytes]:
    at = 0
    for label, _, block in _blocks(data):
        if _PUBLIC_LABEL.search(label) or not only_public:
            start = data.index(block, at)
            yield data[at:start]
            at = start + len(block)
    yield data[at:]


def putty_parts(data: bytes) -> Iterator[Part] | None:
    """What is in PuTTY's own key file (PPK): the numbers, or with a passphrase the body; None if it is no such file."""
    if not data.startswith(b"PuTTY-User-Key-File-"):
        return None
    match = re.search(rb"\nPrivate-Lines: (\d{1,4})\r?\n((?:[A-Za-z0-9+/=]{1,100}\r?(?:\n|\Z))*)", data)
    body = _body(b"".join(match[2].splitlines(keepends=True)[: int(match[1])])) if match else None
    return (
        iter(()) if body is None else _putty_parts(body, rsa=b": ssh-rsa" in data, plain=b"\nEncryption: none" in data)
    )


def _putty_parts(body: bytes, *, rsa: bool, plain: bool) -> Iterator[Part]:
    yield Part("Private-Lines", body, whole=plain)
    names = ("RSA d", "RSA p", "RSA q") if rsa else ("private number",)
    at = 0
    for name in names if plain else ():
        size = int.from_bytes(body[at : at + 4], "big")
        yield Part(name, body[at + 4 : at + 4 + size].lstrip(b"\0"))
        at += 4 + size


def der_parts(data: bytes) -> Iterator[Part]:
    """What is in a DER or PKCS#12 file that no password protects, or in a binary OpenPGP key; nothing if it is none."""
    if pgp.is_secret_key(data):
        yield from _pgp_numbers(data)
        return
    size = _der_size(data)
    if not size:
        return
    data = data[:size]
    numbers = list(_numbers_of("PRIVATE KEY", data)) or list(_pkcs12_numbers(data))
    yield from numbers
    if not numbers and _is_public_der(data):
        yield Part("CERTIFICATE", data, public=True)


def jwk_parts(members: Mapping[str, object]) -> Iterator[Part] | None:
    """What is in a JSON Web Key; None if these are the members of something else."""
    kind = members.get("kty")
    private = _JWK.get(kind) if isinstance(kind, str) else None
    return None if private is None else _jwk_parts(str(kind), private, members)


JWK_MEMBERS = frozenset(
    [
        "kty",
        "n",
        "e",
        "d",
        "p",
        "q",
        "dp",
        "dq",
        "qi",
        "oth",
        "crv",
        "x",
        "y",
        "k",
        "kid",
        "use",
        "alg",
        "key_ops",
        "ext",
        "x5c",
        "x5t",
        "x5t#S256",
        "x5u",
    ]
)
"""Members of a JSON Web Key: public ones, and those that `jwk_parts` gives or that follow from them."""

_JWK = {"RSA": ("d", "p", "q"), "EC": ("d",), "OKP": ("d",), "oct": ("k",)}


def _jwk_parts(kind: str, private: tuple[str, ...], members: Mapping[str, object]) -> Iterator[Part]:
    for name in private:
        text = members.get(name)
        if isinstance(text, str) and text:
            yield Part(f"{kind} {name}", _unpadded(text) or text.encode("utf-8", "surrogatepass"))
    if not any(name in members for name in private):
        shown = next((members[name] for name in ("n", "x") if isinstance(members.get(name), str)), "")
        yield Part(f"{kind} public key", str(shown).encode("utf-8", "surrogatepass"), public=True)


def _unpadded(text: str) -> bytes:
    try:
        digits = text.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True).lstrip(b"\0")
    except (binascii.Error, ValueError):
        return b""


def _blocks(data: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Label, what is between the two lines, and all of it, of each block. One that does not end goes to the next."""
    begins = list(_BEGIN.finditer(data))
    for number, begin in enumerate(begins):
        limit = begins[number + 1].start() if number + 1 < len(begins) else len(data)
        end = b"-----END " + begin[1] + b"-----"
        stop = data.find(end, begin.end(), limit)
        text = data[begin.end() : stop if stop >= 0 else limit]
        yield begin[1].decode(), text, data[begin.start() : stop + len(end) if stop >= 0 else limit]


def _body(text: bytes) -> bytes | None:
    """The bytes that a block's text stands for, or None if it is not base64."""
    lines = _SPELLED_BREAK.sub(b"\n", text).replace(b"\r\n", b"\n")
    if b": " in lines:
        lines = _HEADER.sub(b"", lines)
    digits = _SPACE.sub(b"", _CHECKSUM.sub(b"", lines))
    if not _BASE64.fullmatch(digits):
        return None
    bare = digits.rstrip(b"=")
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4)) or None
    except (binascii.Error, ValueError):
        return None


def _der_size(data: bytes) -> int:
    """How long the SEQUENCE is that the data begins with; 0 if it begins with none. (BER has some of unknown length.)"""
    if len(data) < 16 or data[0] != 0x30:
        return 0
    digits = data[1] & 0x7F if data[1] > 0x7F else 0
    size = 2 + digits + (int.from_bytes(data[2 : 2 + digits], "big") if digits else data[1])
    if data[1] == 0x80:
        return len(data)
    return size if digits <= 3 and size <= len(data) else 0


def _pgp_numbers(data: bytes) -> Iterator[Part]:
    return (Part(name, value) for name, value in pgp.private_parts(data) if value)


def _numbers_of(label: str, body: bytes) -> Iterator[Part]:
    from cryptography.hazmat.primitives.serialization import load_der_private_key, load_ssh_private_key

    key: object
    if label.startswith("OPENSSH"):
        text = (
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.encodebytes(body) + b"-----END OPENSSH PRIVATE KEY-----\n"
        )
        key = _loaded(lambda: load_ssh_private_key(text, None, unsafe_skip_rsa_key_validation=True))
    else:
        key = _loaded(lambda: load_der_private_key(body, None, unsafe_skip_rsa_key_validation=True))
    yield from _numbers(key)


def _pkcs12_numbers(data: bytes) -> Iterator[Part]:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    loaded = _loaded(lambda: load_pkcs12(data, None)) or _loaded(lambda: load_pkcs12(data, b""))
    if loaded is None:
        return
    if loaded.key is not None:
        yield from _numbers(loaded.key)
    elif loaded.cert is not None or loaded.additional_certs:
        yield Part("CERTIFICATE", data, public=True)


def _is_public_der(data: bytes) -> bool:
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from cryptography.x509 import load_der_x509_certificate

    certificate = _loaded(lambda: load_der_x509_certificate(data))
    return certificate is not None or _loaded(lambda: load_der_public_key(data)) is not None


def _loaded(load: Callable[[], _T]) -> _T | None:
    """What a parser makes of a file; None whatever it raises: ValueError, TypeError for a missing passphrase,
    UnsupportedAlgorithm, …"""
    with suppress(Exception):
        return load()
    return None


def _numbers(key: object) -> Iterator[Part]:
    """The private numbers, in the fewest big-endian bytes: a container may put zeros before them, or leave them off."""
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x448, x25519

    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        for name, number in (("RSA d", numbers.d), ("RSA p", numbers.p), ("RSA q", numbers.q)):
            yield Part(name, _bytes(number))
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        yield Part("EC d", _bytes(key.private_numbers().private_value))
    elif isinstance(key, dsa.DSAPrivateKey):
        yield Part("DSA x", _bytes(key.private_numbers().x))
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        yield Part("Ed25519 seed", key.private_bytes_raw())
    elif isinstance(key, ed448.Ed448PrivateKey):
        yield Part("Ed448 seed", key.private_bytes_raw())
    elif isinstance(key, x25519.X25519PrivateKey):
        yield Part("X25519 key", key.private_bytes_raw())
    elif isinstance(key, x448.X448PrivateKey):
        yield Part("X448 key", key.private_bytes_raw())


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
