"""The forms that a value realistically takes: a value's bytes -> named byte strings.

One list serves redaction, preflight and the audit, so that what the audit hunts is also what a log never shows.
Wrapping, indentation and CRLF are not listed here: the audit's matcher sees through line breaks in every form.

Sources: base64 and base64url RFC 4648; percent-encoding RFC 3986; JSON strings RFC 8259.
"""

from __future__ import annotations

import base64
import json
import math
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

FORMS_VERSION = 2
"""Goes into every report: a newer list may find what an older one could not."""

MIN_LENGTH = 8
"""Bytes. Anything shorter is found by chance in any image."""

_MIN_BITS = 40.0
_MIN_DISTINCT = 4
_POOLS = (
    (frozenset(b"0123456789"), 10),
    (frozenset(b"abcdefghijklmnopqrstuvwxyz"), 26),
    (frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 26),
    (frozenset(range(0x20, 0x7F)) - frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), 33),
    (frozenset(range(0x20)) | frozenset(range(0x7F, 0x100)), 161),
)


@dataclass(frozen=True, slots=True, repr=False)
class Form:
    """One encoding of one value. `data` is the whole of it; `expansion` is encoded bytes for each byte of the value.

    `family` groups forms that one leak would be reported under (`base64` at each of its alignments).
    """

    name: str
    family: str
    data: bytes
    expansion: float

    def __repr__(self) -> str:
        return f"Form({self.name!r})"


def searchable(value: bytes) -> Literal["too short", "low entropy"] | None:
    """Why a value can't be searched for without finding it by chance; None if it can.

    Low entropy means fewer than 40 bits, counted as the length times the bits of the character classes that occur,
    or fewer than four distinct bytes: `password` and `12345678` are, eight random letters and digits are not.
    """
    trimmed = value.strip()
    if len(trimmed) < MIN_LENGTH:
        return "too short"
    distinct = set(trimmed)
    pool = sum(size for members, size in _POOLS if distinct & members)
    if len(distinct) < _MIN_DISTINCT or len(trimmed) * math.log2(pool) < _MIN_BITS:
        return "low entropy"
    return None


def forms(value: bytes) -> list[Form]:
    """Every form of a value, the plainest first, none twice.

    White space around the value is left off first: an encoding of the value with its newline holds the encoding of
    the value without.
    """
    trimmed = value.strip()
    for quote in (b'"', b"'"):
        if len(trimmed) >= 2 and trimmed.startswith(quote) and trimmed.endswith(quote):
            trimmed = trimmed[1:-1]
    if not trimmed:
        return []
    seen: dict[bytes, Form] = {}
    for name, family, data in _encodings(trimmed):
        if data:
            seen.setdefault(data, Form(name, family, data, max(1.0, len(data) / len(trimmed))))
    return list(seen.values())


def _encodings(value: bytes) -> Iterator[tuple[str, str, bytes]]:
    yield "raw", "raw", value
    yield from _escapes(value)
    for alignment in range(3):
        core = _base64_core(value, alignment)
        yield f"base64+{alignment}" if alignment else "base64", "base64", core
        urlsafe = core.translate(bytes.maketrans(b"+/", b"-_"))
        yield f"base64url+{alignment}" if alignment else "base64url", "base64", urlsafe
    yield "hex", "hex", value.hex().encode()
    yield "hex-upper", "hex", value.hex().upper().encode()
    for separator in (" ", ":"):
        yield f"hex({separator})", "hex", value.hex(separator).encode()
        yield f"hex-upper({separator})", "hex", value.hex(separator).upper().encode()
    yield "hex(\\x)", "hex", "".join(f"\\x{byte:02x}" for byte in value).encode()
    yield "reversed", "reversed", value[::-1]
    text = _text(value)
    if text is not None:
        yield "utf-16-le", "utf-16", text.encode("utf-16-le")
        yield "utf-16-be", "utf-16", text.encode("utf-16-be")
        for case, name in ((str.lower, "unicode-escape"), (str.upper, "unicode-escape-upper")):
            yield name, "unicode-escape", _unicode_escape(text, case)


def _escapes(value: bytes) -> Iterator[tuple[str, str, bytes]]:
    """How text formats write the value: unchanged but for what they must escape."""
    percent = urllib.parse.quote_from_bytes(value, safe="").encode()
    yield "percent", "percent", percent
    # Each writer has its own list of what may stay; these are curl's and requests', a path's, and a form's.
    yield "percent(path)", "percent", urllib.parse.quote_from_bytes(value, safe="/").encode()
    yield "percent(userinfo)", "percent", urllib.parse.quote_from_bytes(value, safe="!$&'()*+,;=").encode()
    yield "percent(form)", "percent", urllib.parse.quote_plus(value).encode()
    if b"%" in percent:
        yield "percent-lower", "percent", _lower_percent(percent)
    yield "percent(all)", "percent", "".join(f"%{byte:02X}" for byte in value).encode()
    yield "percent(all)-lower", "percent", "".join(f"%{byte:02x}" for byte in value).encode()
    text = _text(value)
    if text is not None:
        plain = json.dumps(text, ensure_ascii=False)[1:-1]
        yield "json", "json", plain.encode()
        yield "json-ascii", "json", json.dumps(text)[1:-1].encode()
        yield "json(\\/)", "json", plain.replace("/", "\\/").encode()
        # Go's encoder escapes these for HTML's sake; BuildKit and Docker write their JSON with it.
        yield "json(html)", "json", _escape(plain, "<>&", lambda c: f"\\u{ord(c):04x}").encode()
        # A JSON document inside a JSON string, as image histories and logs hold.
        yield "json(json)", "json", json.dumps(plain, ensure_ascii=False)[1:-1].encode()
        yield "shell", "shell", text.replace("'", "'\\''").encode()
        yield "shell(double)", "shell", _escape(text, '\\"$`', lambda c: "\\" + c).encode()
        for name, entities in _XML.items():
            yield name, "xml", _escape(text, "".join(entities), entities.__getitem__).encode()


# What a text needs; what an attribute does too; and how html.escape, Go's and most templates, XML's own writers and PHP
# write the two quotes.
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_XML = {
    "xml": _MARKUP | {'"': "&quot;"},
    "xml(text)": _MARKUP,
    "xml(&#x27;)": _MARKUP | {'"': "&quot;", "'": "&#x27;"},
    "xml(&#39;)": _MARKUP | {'"': "&quot;", "'": "&#39;"},
    "xml(&#34;)": _MARKUP | {'"': "&#34;", "'": "&#39;"},
    "xml(&apos;)": _MARKUP | {'"': "&quot;", "'": "&apos;"},
    "xml(&#039;)": _MARKUP | {'"': "&quot;", "'": "&#039;"},
}


def _escape(text: str, characters: str, escape: Callable[[str], str]) -> str:
    return "".join(escape(character) if character in characters else character for character in text)


def _base64_core(value: bytes, alignment: int) -> bytes:
    """The base64 digits that the value alone determines when `alignment` bytes come before it.

    What comes before and after shares the digits at the edges, so those are left off: this core is in the encoding
    of `user:token` and of `token\\n` alike.
    """
    encoded = base64.b64encode(bytes(alignment) + value)
    start = math.ceil(alignment * 8 / 6)
    stop = (alignment + len(value)) * 8 // 6
    return encoded[start:stop]


def _lower_percent(data: bytes) -> bytes:
    pieces = data.split(b"%")
    return pieces[0] + b"".join(b"%" + piece[:2].lower() + piece[2:] for piece in pieces[1:])


def _unicode_escape(text: str, case: Callable[[str], str]) -> bytes:
    units = text.encode("utf-16-be").hex()
    return "".join("\\u" + case(units[i : i + 4]) for i in range(0, len(units), 4)).encode()


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
