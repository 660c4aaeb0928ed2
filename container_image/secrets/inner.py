"""The values inside a structured secret: a file of credentials is more than one secret.

A leak of the token alone is not a leak of the `.npmrc` that holds it, so what such a file holds is hunted on its own,
under names such as `npmrc:_authToken`; of a private key, its private numbers. What is under a key that names no
credential, and looks like none, is "public by key"; certificates and public keys are public whatever their key.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from container_image.secrets import keys, nested
from container_image.secrets.lines import Unsure, looks_like_key
from container_image.secrets.sensitivity import is_nothing, looks_random, names_credential, names_public
from container_image.secrets.syntax import MOST, Members, read_json, read_text
from container_image.secrets.value import SecretValue

MAX_HUNTED = 300
"""Values inside one secret that are hunted at most; where there are more, an audit says so and is incomplete."""

MAX_PUBLIC = 100
"""Public values inside one secret that are listed at most."""

_T = TypeVar("_T")
_MANY_WORDS = 100
_MAX_BYTES = 1 << 20
_MAX_DEPTH = 5
_CONTAINERS = frozenset({"value", "data", "text", "content", "string", "secret_string"})
_OF_HOSTS = re.compile(r"(?:oauth|bearer|tokens?)$", re.IGNORECASE)
_WORD_ENDS = re.compile(rb"[\s\"'`=,;:<>(){}\[\]|&]+")
_ASSIGNMENTS = re.compile(rb"(?:[A-Za-z_][\w.-]*[=:][^\n]*\n?)+")
_WORD = re.compile(rb"[A-Za-z_.-]+")
_COMMENTS = re.compile(rb"^[ \t]*(?:#|;|//[ \t]).*$", re.M)
_DUMP = re.compile(
    rb"^(?:Certificate|Bag Attributes|Key Attributes)[^\n]*\n(?:[ \t]+[^\n]*(?:\n|\Z))*|^(?:subject|issuer) ?=.*$", re.M
)
_STATEMENT = re.compile(rb"[:=][ \t]*[^\s=]")


@dataclass(frozen=True, slots=True, repr=False)
class InnerValue:
    """One value inside a structured secret.

    `credential` is true when its key names a credential; `public` when it is not to be searched for. One that is
    `whole` has values of its own inside, or public parts: a part of it is no leak.
    """

    name: str
    value: bytes
    public: bool
    credential: bool
    whole: bool = False

    def __repr__(self) -> str:
        return f"InnerValue({self.name!r})"


@dataclass(frozen=True, slots=True)
class Inside:
    """What is inside a secret: the values, and whether there are more than that.

    `omitted` is true when something more would be hunted, or was not looked at; `unlisted` when there are more public
    values. `public` is true of a secret that is nothing but certificates and public keys.
    """

    values: tuple[InnerValue, ...]
    omitted: bool
    unlisted: bool
    public: bool


def inner_values(value: SecretValue) -> list[InnerValue]:
    """What is inside a value, in its order; nothing for a plain token. Never fails, whatever the bytes."""
    return list(look_inside(value).values)


def look_inside(value: SecretValue) -> Inside:
    """What is inside a value, and what was left out; never fails, whatever the bytes."""
    data = _as_text(value.reveal())
    search = _Search()
    found = search.walk((), data[:_MAX_BYTES], 0)
    # One value may be under several keys: if one of them names a credential, it is one.
    first: dict[bytes, _Found] = {}
    for item in sorted(found, key=lambda item: (item.public, not item.credential)):
        first.setdefault(item.value, item)
    material = [item for item in first.values() if item.material]
    others = any(item.public and not item.material for item in first.values())
    for itself in (b"", data.strip()):
        first.pop(itself, None)
    hunted = [item for item in first.values() if not item.public]
    # Of a bundle's certificates, one stands for all.
    told = {item.path: item for item in reversed(material)}
    public = [item for item in first.values() if item.public and (not item.material or told[item.path] is item)]
    # A credential's key says more than what a value looks like, and comes first.
    chosen = {id(item) for item in (*hunted[:MAX_HUNTED], *public[:MAX_PUBLIC])}
    omitted = len(hunted) > MAX_HUNTED or search.omitted or len(data) > _MAX_BYTES
    return Inside(
        tuple(_named(value.name, [item for item in found if id(item) in chosen])),
        omitted,
        unlisted=len(public) > MAX_PUBLIC,
        public=not hunted and not omitted and _is_public_material(data, material, others, search),
    )


def values_at(key: str, value: bytes) -> list[InnerValue]:
    """The value that a setting has under its key, under the key's name, and then the values inside that value.

    Judges them as it would if the setting were a line of a structured secret. Gives nothing for an empty value.
    """
    found = _Search().value((key,), value, 0)
    return [InnerValue(key, item.value, item.public, item.credential, item.whole) for item in found]


@dataclass(frozen=True, slots=True)
class _Found:
    path: tuple[str, ...]
    value: bytes
    public: bool
    credential: bool = False
    whole: bool = False
    material: bool = False


class _Search:
    """One look into one secret: values inside values, to a depth and a number."""

    def __init__(self) -> None:
        self.count = 0
        self.omitted = False
        self.structured = False
        self._seen: set[tuple[str, bytes]] = set()

    def walk(self, path: tuple[str, ...], data: bytes, depth: int) -> list[_Found]:
        """What is inside `data`, which is what `path` leads to."""
        found: list[_Found] = []
        data = data.strip() if depth else data
        if depth > _MAX_DEPTH or not data:
            return found
        if (parts := keys.putty_parts(data)) is not None:
            return [_part(path, part) for part in parts]
        if b"\0" not in data:
            for inner, item in self._limited(self._pairs(path, data, depth)):
                if isinstance(item, keys.Part):
                    found.append(_part(inner, item))
                else:
                    found.extend(self.value(inner, item, depth))
            found.extend(
                _Found((*path, key), value, public=False, credential=True) if sure else _judged((*path, key), value)
                for key, value, sure in self._limited(nested.url_values(data))
            )
        if b"-----BEGIN " in data:
            found.extend(_part(path, part) for part in keys.pem_parts(data))
        found.extend(_part(path, part) for part in keys.der_parts(data))
        found.extend(self._decoded(path, data, depth))
        if depth == 0 and not self.structured and b"\0" not in data and not _is_one_thing(data):
            found.extend(self._limited(_words(path, data, found)))
        return found

    def _limited(self, items: Iterator[_T]) -> Iterator[_T]:
        for item in items:
            self.count += 1
            if self.count > MOST:
                self.omitted = True
                return
            yield item

    def _pairs(
        self, path: tuple[str, ...], data: bytes, depth: int
    ) -> Iterator[tuple[tuple[str, ...], bytes | keys.Part]]:
        text = data.strip().decode("utf-8", "surrogateescape")
        items = read_json(text)
        if items is not None:
            self.structured |= depth == 0
            skipped: set[tuple[str, ...]] = set()
            for inner, item in items:
                if not isinstance(item, Members):
                    if inner[:-1] not in skipped or inner[-1] not in keys.JWK_MEMBERS:
                        yield (*path, *inner), item.encode("utf-8", "surrogatepass")
                elif (parts := keys.jwk_parts(item)) is not None:
                    skipped.add(inner)
                    yield from (((*path, *inner), part) for part in parts)
            return
        if depth == 0 and "\n" in text and _is_one_thing(data):
            return
        pairs, complete = read_text(text)
        self.structured |= complete and depth == 0
        for keys_path, value in pairs:
            yield (*path, *keys_path), value.encode("utf-8", "surrogateescape")

    def value(self, path: tuple[str, ...], value: bytes, depth: int) -> list[_Found]:
        """A value that was found, and what is inside it."""
        text = value.strip()
        if len(text) > 1 and text[:1] in (b"'", b'"') and text[:1] == text[-1:]:
            text = text[1:-1].strip()
        seen = (path[-1] if path else "", text)
        if not text or set(text) == {0x3D} or seen in self._seen:
            return []
        self._seen.add(seen)
        inside = self.walk(path, text, depth + 1)
        judged = _judged(path, text)
        if judged.public and not _is_one_thing(text) and not names_public(path[-1] if path else ""):
            inside += self._limited(_words(path, text, inside))
        if _any_hunted(inside):
            return [replace(judged, whole=True), *inside]
        if inside and all(item.material for item in inside) and keys.without_public(text).strip() in (b"", text):
            judged = replace(judged, public=True, credential=False, material=True)
        return [judged, *inside]

    def _decoded(self, path: tuple[str, ...], data: bytes, depth: int) -> Iterator[_Found]:
        """What is behind `Bearer` and the like, and what base64 stands for."""
        key = path[-1] if path else ""
        behind = nested.scheme_value(data)
        if behind is not None:
            yield _judged(path, behind)
            yield from self.walk(path, behind, depth + 1)
            return
        login = re.search(r"(?:^|[._-])auth(?:orization)?$|^(?:proxy-)?user$|^extraheader$", key, re.IGNORECASE)
        if login and key.lower().endswith("user") and b":" in data and b"://" not in data:
            yield _Found((*path, "password"), data.partition(b":")[2], public=False, credential=True)
        decoded = nested.decoded_base64(data.strip(), 4 if login or key == "_password" else 20)
        private = re.search(r"private[_-]?key$", key, re.IGNORECASE) or (
            # What .NET writes: <RSAKeyValue><D>…
            key in ("D", "P", "Q") and path[-2:-1] == ("RSAKeyValue",)
        )
        if private and (raw := nested.decoded_hex(data) or decoded) and not nested.is_text(raw):
            yield _Found(path, raw, public=False, credential=True)
        if decoded is None or decoded == data:
            return
        user, colon, password = decoded.partition(b":")
        if nested.is_text(decoded):
            inside = self.walk(path, decoded, depth + 1)
            if login and colon and user and password:
                yield _Found((*path, "password"), password, public=False, credential=not is_nothing(password))
            elif names_credential(key):
                yield replace(_judged(path, decoded), credential=key == "_password", whole=_any_hunted(inside))
            elif not path and colon and re.fullmatch(rb"[^\s:]{1,60}:[^\s:]{8,}", decoded):
                yield _Found(("password",), password, public=False)
            yield from inside
        elif decoded[:1] == b"\x30":
            yield from (_part(path, part) for part in keys.der_parts(decoded))


def _any_hunted(found: list[_Found]) -> bool:
    return any(not item.public for item in found)


def _judged(path: tuple[str, ...], value: bytes) -> _Found:
    key = path[-1] if path else ""
    parent = path[-2] if len(path) > 1 else ""
    credential = names_credential(key) or bool(
        # `"db_password": {"value": …}`, `"github-oauth": {"github.com": …}`.
        (key.lower() in _CONTAINERS and names_credential(parent)) or ("." in key and _OF_HOSTS.search(parent))
    )
    if is_nothing(value) or (key.lower() == "key" and _WORD.fullmatch(value)):
        credential = False
    return _Found(path, value, not (credential or _is_token(key, value)), credential)


def _is_token(key: str, value: bytes) -> bool:
    return not names_public(key) and not is_nothing(value) and looks_random(value)


def _part(path: tuple[str, ...], part: keys.Part) -> _Found:
    name = f"{part.name} (public)" if part.public else part.name
    return _Found((*path, _Label(name)), part.value, part.public, not part.public, part.whole, material=part.public)


class _Label(str):
    """The name of a part that formats of keys have, which is no text of the secret's."""

    __slots__ = ()


def _is_one_thing(data: bytes) -> bool:
    """One word, or one encoded thing on lines of one length."""
    lines = data.strip().split(b"\n")
    if len(lines) == 1:
        return len(lines[0].split(None, 1)) < 2
    widths = {len(line) for line in lines[:-1]}
    uniform = len(lines) > 8 and len(widths) == 1 and len(lines[0]) >= 50 and len(lines[-1]) <= len(lines[0])
    return uniform and not _ASSIGNMENTS.fullmatch(data)


def _words(path: tuple[str, ...], data: bytes, found: list[_Found]) -> Iterator[_Found]:
    """What looks like a token in a text whose format is not known, and is in no value that was found.

    A text with many of them to the line is one encoded thing.
    """
    known: set[bytes] = set()
    for item in found:
        known.update(_WORD_ENDS.split(item.value))
    text = nested.without_urls(_COMMENTS.sub(b"", keys.without_blocks(data)))
    words = [word for word in _WORD_ENDS.split(text) if word not in known and looks_random(word)]
    if len(words) < _MANY_WORDS or len(words) < 1.5 * text.count(b"\n"):
        for word in dict.fromkeys(words):
            yield _Found(path, word, public=False)


def _is_public_material(data: bytes, material: list[_Found], others: bool, search: _Search) -> bool:
    """Whether there are certificates and public keys, and nothing but what goes with them: names, comments, a dump."""
    if search.structured or data[:1] == b"\x30":
        return bool(material) and not others
    rest = keys.without_public(data)
    if len(rest) == len(data):
        return False
    rest = _COMMENTS.sub(b"", _DUMP.sub(b"", rest))
    return not any(_STATEMENT.search(line) for line in rest.splitlines())


def _named(secret: str, found: list[_Found]) -> Iterator[InnerValue]:
    """Names of what was found: the path of keys, and a number where two have the same. No name holds a value."""
    values = {
        item.value.decode("utf-8", "replace") for item in found if not item.public and 4 <= len(item.value) <= 200
    }
    names: Counter[str] = Counter()
    for item in found:
        if item.public and any(isinstance(key, Unsure) for key in item.path):
            # It may be a part of a password with `=` in it, which is not to be listed as public.
            continue
        name = ".".join(_shown(key) for key in item.path if key and not isinstance(key, Unsure)) or "value"
        if any(value in name for value in values):
            name = "value"
        names[name] += 1
        number = f"#{names[name]}" if names[name] > 1 else ""
        yield InnerValue(f"{secret}:{name}{number}", item.value, item.public, item.credential, item.whole)


def _shown(key: str) -> str:
    """A key as it can be told: one that is not made of words may be a part of a value."""
    return key if isinstance(key, _Label) or looks_like_key(key) else "value"


def _as_text(data: bytes) -> bytes:
    """Windows tools write UTF-16 with a byte order mark."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16").encode()
        except UnicodeDecodeError:
            return data
    return data.removeprefix(codecs.BOM_UTF8)
