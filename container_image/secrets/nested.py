"""What is inside one value: a URL's password, the token behind `Bearer`, what base64 stands for."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Iterator

from container_image.secrets.sensitivity import is_nothing, looks_random

_URL = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,20}://([^\s\"'<>`]{1,2048})")
_NEXT_URL = re.compile(rb"[,;|]?[A-Za-z][A-Za-z0-9+.-]{0,20}://")
_AUTHORITY = re.compile(rb"[^/?#\\]*")
_PORT = re.compile(rb"\d{0,5}")
_QUERY = re.compile(rb"[?&#;]([A-Za-z_][\w.\[\]-]{0,100})=([^&#\s]+)")
_SCHEME = re.compile(rb"(?:bearer|token|basic|apikey|negotiate)\s+(\S+)", re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_SPACE = re.compile(rb"\s+|\\n")
_HEX = re.compile(rb"(?:0x)?((?:[0-9a-fA-F]{2})+)")
_TEXT = re.compile(rb"[\x20-\x7e\t\r\n\x80-\xff]+")
_MIXED = (re.compile(rb"[a-z]"), re.compile(rb"[A-Z]"), re.compile(rb"[0-9]"))

Inner = tuple[str, bytes, bool]
"""A key, a value, and whether it is a credential beyond doubt."""


def url_values(data: bytes) -> Iterator[Inner]:
    """The passwords, query values and random path segments of the URLs in a text, decoded (RFC 3986).

    A user's name counts where there is no password beside it, if it looks like a token.
    """
    for match in _URL.finditer(data):
        rest = match[1]
        # Of several in one word, each is looked at.
        for piece in _NEXT_URL.split(rest) if b"://" in rest else [rest]:
            yield from _url(piece)


def without_urls(data: bytes) -> bytes:
    """A text without the URLs in it."""
    return _URL.sub(b" ", data)


def _url(rest: bytes) -> Iterator[Inner]:
    authority = _AUTHORITY.match(rest)[0]  # type: ignore[index]
    _, colon, port = authority.partition(b":")
    if b"@" not in authority and colon and b"@" in rest and not _PORT.fullmatch(port):
        # A password with a slash, `?` or `#` that should have been encoded.
        authority = rest[: rest.rindex(b"@") + 1]
    userinfo, at, _ = authority.rpartition(b"@")
    if at:
        user, colon, password = userinfo.partition(b":")
        told = bool(password) and not is_nothing(password)
        for spelled in _spellings(password if told else user):
            # `git@` is no token; what stands before `:x-oauth-basic` is one.
            if told or (password and not is_nothing(user)) or looks_random(spelled):
                yield "userinfo", spelled, bool(password)
    for match in _QUERY.finditer(rest, len(authority)):
        for spelled in _spellings(match[2]):
            yield match[1].decode("ascii", "replace"), spelled, False
    path = rest[len(authority) :].partition(b"?")[0]
    before = b""
    for segment in path.split(b"/"):
        # A webhook's address is its password; conda puts a token behind `t`.
        if looks_random(segment) and (before == b"t" or all(kind.search(segment) for kind in _MIXED)):
            yield "path", segment, False
        before = segment


def _spellings(text: bytes) -> Iterator[bytes]:
    """The text decoded; and as it is written, if it is written as no encoder does."""
    decoded = urllib.parse.unquote_to_bytes(text)
    yield decoded
    if decoded != text and urllib.parse.quote_from_bytes(decoded, safe="").encode().lower() != text.lower():
        yield text


def scheme_value(value: bytes) -> bytes | None:
    """The credentials of an `Authorization` header (RFC 9110), without the scheme before them."""
    match = _SCHEME.fullmatch(value)
    return match[1] if match else None


def decoded_base64(value: bytes, least: int) -> bytes | None:
    """What a value is the base64 of (either alphabet, wrapped or not, padded or not); None if it is no base64."""
    if len(value) < least or not value[:1].isalnum():
        return None
    digits = _SPACE.sub(b"", value) if b"\n" in value or b"\\" in value else value
    if not _BASE64.fullmatch(digits):
        return None
    bare = digits.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        return base64.b64decode(bare + b"=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        return None


def decoded_hex(value: bytes) -> bytes | None:
    """What a value is the hex of; None if it is no hex."""
    match = _HEX.fullmatch(value)
    return bytes.fromhex(match[1].decode()) if match else None


def is_text(data: bytes) -> bool:
    """Whether there are printable characters only, so that it was no chance that it could be decoded."""
    if not _TEXT.fullmatch(data):
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
