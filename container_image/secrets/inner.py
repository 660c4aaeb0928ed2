"""The values inside a structured secret: a file of credentials is more than one secret.

A leak of the token alone is not a leak of the `.npmrc` that holds it, so what such a file holds is hunted on its own,
under names such as `npmrc:_authToken`. What is under a key that names no credential, and looks like none, is "public
by key"; certificates and public keys are public whatever their key.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from configparser import ConfigParser, Error
from dataclasses import dataclass

from container_image.secrets import dotenv
from container_image.secrets.value import SecretValue

_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, repr=False)
class InnerValue:
    """One value inside a structured secret.

    `credential` is true when its key names a credential; `public` when it is not to be searched for.
    """

    name: str
    value: bytes
    public: bool
    credential: bool

    def __repr__(self) -> str:
        return f"InnerValue({self.name!r})"


_CREDENTIAL_KEY = re.compile(
    r"pass(?:word|wd|phrase)?$|pwd$|secret|token|api[_-]?key|access[_-]?key$|private[_-]?key$|^_?auth$|credential|"
    r"^key$|signing|bearer|connection[_-]?string|account[_-]?key|client[_-]?key[_-]?data|identitytoken|userinfo",
    re.IGNORECASE,
)
_PUBLIC_KEY_NAME = re.compile(
    r"_(?:uri|url|id|email)$|^(?:type|registry|cafile|certificate.*|.*-cert|ca)$|token_uri|key_id$|expir|cert_url",
    re.IGNORECASE,
)
_URL = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^\s/@:\"'<>]*)(?::([^\s/@\"'<>]*))?@")
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_NETRC = re.compile(rb"\b(machine|default|login|password|account)\s+(\S+)")
_PAIR = re.compile(
    rb"^[ \t]*(?:export[ \t]+|-[ \t]+)?[\"']?([^\s\"'#=][^\"'#=\n]{0,200}?)[\"']?[ \t]*(?:=|:[ \t])[ \t]*(\S[^\n]*?)[ \t]*\r?$",
    re.M,
)
_MIN_ENTROPY_LENGTH = 16
_MIN_ENTROPY = 3.5


def inner_values(value: SecretValue) -> list[InnerValue]:
    """What is inside a value, in its order; nothing for a plain token. Never fails, whatever the bytes."""
    data = value.reveal()
    if len(data) > _LIMIT:
        data = data[:_LIMIT]
    found: list[tuple[str, bytes]] = []
    for key, item in _items(data):
        found.append((key, item))
        found.extend(_nested(key, item))
    names: Counter[str] = Counter()
    seen: set[bytes] = set()
    result = []
    for key, item in found:
        text = item.strip().strip(b"\"'")
        if not text or text in seen or text == data.strip():
            continue
        seen.add(text)
        names[key] += 1
        name = f"{value.name}:{key}" + (f"#{names[key]}" if names[key] > 1 else "")
        result.append(_classify(name, key, text))
    return result


def _classify(name: str, key: str, value: bytes) -> InnerValue:
    last = key.rsplit(".", 1)[-1]
    public_material = b"-----BEGIN CERTIFICATE" in value or b"PUBLIC KEY-----" in value or key.endswith("(public)")
    named = bool(_CREDENTIAL_KEY.search(last)) and not _PUBLIC_KEY_NAME.search(last)
    private = b"PRIVATE KEY-----" in value or "PRIVATE KEY" in key
    credential = (named or private) and not public_material
    hunted = credential or (not public_material and not _PUBLIC_KEY_NAME.search(last) and _looks_random(value))
    return InnerValue(name, value, public=not hunted, credential=credential)


def _looks_random(value: bytes) -> bool:
    """Long, without spaces, and of high entropy: what a token is and a host name, a path or a word is not."""
    if len(value) < _MIN_ENTROPY_LENGTH or re.search(rb"\s|^[a-z]+://|^/|^[a-z0-9.-]+\.[a-z]{2,}(:\d+)?$", value):
        return False
    if not re.search(rb"\d", value) or re.fullmatch(rb"[\d.:TZ+-]+", value):
        return False
    counts = Counter(value)
    entropy = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    return entropy >= min(_MIN_ENTROPY, math.log2(len(value)) * 0.8)


def _items(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The pairs of whatever format this is; the most telling one that fits."""
    stripped = data.strip()
    if stripped[:1] in (b"{", b"["):
        try:
            yield from _json_items("", json.loads(stripped))
            return
        except (ValueError, RecursionError):
            pass
    if stripped.startswith(b"-----BEGIN ") and _PEM.search(stripped):
        yield from _pem_items(stripped)
        return
    if b"\n" not in stripped and (match := _URL.match(stripped)):
        yield from _url_items("", match)
        return
    netrc = _NETRC.findall(data)
    if any(key == b"machine" or key == b"default" for key, _ in netrc) and any(key == b"password" for key, _ in netrc):
        for key, item in netrc:
            yield key.decode(), item
        return
    pairs = list(_pairs(data))
    # A single line with a separator in it is as often a token that holds one.
    if pairs and (b"\n" in stripped or re.match(rb"[A-Za-z_][\w.-]*\s*=", stripped) or stripped.startswith(b"//")):
        yield from pairs


def _pairs(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        for key, item in dotenv.parse(data).items():
            yield key, item
        return
    except dotenv.DotenvError:
        pass
    parser = ConfigParser(interpolation=None, strict=False, allow_no_value=True, delimiters=("=", ":"))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(data.decode("utf-8", "surrogateescape"))
        sections = {name: parser[name] for name in parser.sections()}
    except (Error, ValueError, KeyError, AttributeError):
        sections = {}
    if sections:
        for section, items in sections.items():
            for key, text in items.items():
                if text:
                    yield f"{section}.{key}", text.encode("utf-8", "surrogateescape")
        return
    for match in _PAIR.finditer(data):
        key = match[1].decode("utf-8", "replace").strip()
        # In an .npmrc, the key of a token is a registry's address and `:_authToken`.
        yield re.split(r"[/:]", key)[-1].strip() or key, match[2]


def _json_items(prefix: str, value: object) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _json_items(f"{prefix}.{key}" if prefix else str(key), item)
    elif isinstance(value, list):
        for item in value:
            yield from _json_items(prefix, item)
    elif isinstance(value, str):
        yield prefix or "value", value.encode("utf-8", "surrogatepass")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield prefix or "value", str(value).encode()


def _pem_items(data: bytes) -> Iterator[tuple[str, bytes]]:
    for match in _PEM.finditer(data):
        label = match[1].decode()
        if "PRIVATE KEY" in label:
            # The body alone: another key has the same first and last line.
            yield label, match[2]
        else:
            yield f"{label} (public)", match[0]


def _url_items(key: str, match: re.Match[bytes]) -> Iterator[tuple[str, bytes]]:
    user, password = match[1], match[2]
    inner = f"{key}.userinfo" if key else "userinfo"
    for part in (password, user if password is None or password in (b"", b"x-oauth-basic") else None):
        if part:
            decoded = urllib.parse.unquote_to_bytes(part)
            yield inner, decoded


def _nested(key: str, value: bytes) -> Iterator[tuple[str, bytes]]:
    """What is inside one inner value: a URL's password, a key's body, the parts of Docker's `auth`."""
    for match in _URL.finditer(value):
        yield from _url_items(key, match)
    if b"PRIVATE KEY-----" in value:
        for inner, body in _pem_items(value):
            yield f"{key}.{inner}", body
    if re.search(r"(^|[._])_?auth$", key):
        try:
            decoded = base64.b64decode(value.strip(b"\"' "), validate=True)
        except (binascii.Error, ValueError):
            return
        user, separator, password = decoded.partition(b":")
        if separator and user:
            yield f"{key}.password", password
