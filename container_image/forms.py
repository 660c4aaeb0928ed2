"""The forms that a value realistically takes: a value's bytes -> named byte strings.

One list serves redaction, preflight and the audit, so that what the audit hunts is also what a log never shows.
Wrapping, indentation and CRLF are not listed here: the audit's matcher sees through line breaks in every form.

Sources: base64, base64url, base32 and base16 RFC 4648; percent-encoding RFC 3986; JSON strings RFC 8259;
quoted-printable RFC 2045; base85 as in git's binary patches (RFC 1924), Adobe's PostScript and ZeroMQ's RFC 32.
"""

from __future__ import annotations

import base64
import json
import math
import re
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

FORMS_VERSION = 3
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

    `family` groups forms that one leak would be reported under (`base64` at each of its alignments). A form that is
    `spelled` writes every byte on its own, in the same way: the audit decodes what is so written, and does not look for it.
    """

    name: str
    family: str
    data: bytes
    expansion: float
    spelled: bool = False

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
    for name, family, data in _spellings(trimmed):
        seen.setdefault(data, Form(name, family, data, len(data) / len(trimmed), spelled=True))
    return list(seen.values())


def _encodings(value: bytes) -> Iterator[tuple[str, str, bytes]]:
    yield "raw", "raw", value
    yield from _escapes(value)
    yield from _base64(value)
    yield "hex", "hex", value.hex().encode()
    yield "hex-upper", "hex", value.hex().upper().encode()
    for alignment in range(5):
        core = _core(base64.b32encode(bytes(alignment) + value), 5, alignment, len(value))
        yield _aligned("base32", alignment), "base32", core
        yield _aligned("base32-lower", alignment), "base32", core.lower()
    for alignment in range(4):
        for name, core in _base85(value, alignment):
            yield _aligned(name, alignment), "base85", core
    yield "reversed", "reversed", value[::-1]
    text = _text(value)
    if text is not None:
        for codec in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            yield codec, codec[:6], text.encode(codec)


def _spellings(value: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Every byte on its own, as dumps, source code and careful encoders write them."""
    for separator in (" ", ":", "-"):
        yield f"hex({separator})", "hex", value.hex(separator).encode()
        yield f"hex-upper({separator})", "hex", value.hex(separator).upper().encode()
    for name, family, pattern in (
        ("hex(\\x)", "hex", "\\x{:02x}"),
        ("percent(all)", "percent", "%{:02X}"),
        ("percent(all)-lower", "percent", "%{:02x}"),
        ("quoted-printable(all)", "quoted-printable", "={:02X}"),
        ("octal", "octal", "\\{:03o}"),
    ):
        yield name, family, "".join(map(pattern.format, value)).encode()
    for name, family, separator, pattern in (
        ("hex(0x,)", "hex", ", ", "0x{:02x}"),
        ("decimal(,)", "decimal", ", ", "{}"),
        ("decimal( )", "decimal", " ", "{}"),
    ):
        yield name, family, separator.join(map(pattern.format, value)).encode()
    text = _text(value)
    if text is not None:
        for case, name in ((str.lower, "unicode-escape"), (str.upper, "unicode-escape-upper")):
            yield name, "unicode-escape", _unicode_escape(text, case)
        for name, pattern in (("xml(&#;)", "&#{};"), ("xml(&#x;)", "&#x{:x};")):
            yield name, "xml", "".join(pattern.format(ord(character)) for character in text).encode()


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
    yield "quoted-printable", "quoted-printable", _QUOTED.sub(lambda match: b"=%02X" % match[0][0], value)
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
        # What `printf %q` and Python's shlex and re write, and what YAML's, SQL's and CSV's quotes need.
        yield "shell(\\)", "shell", _PUNCTUATION.sub(r"\\\g<0>", text).encode()
        yield "shell(quotes)", "shell", text.replace("'", "'\"'\"'").encode()
        yield "regex", "regex", re.escape(text).encode()
        yield "quotes('')", "quotes", text.replace("'", "''").encode()
        yield 'quotes("")', "quotes", text.replace('"', '""').encode()
        # Compose files and Makefiles write a dollar twice, and format strings a percent sign or a brace.
        yield "dollars", "dollars", text.replace("$", "$$").encode()
        yield "format(%)", "format", text.replace("%", "%%").encode()
        yield "format({})", "format", text.replace("{", "{{").replace("}", "}}").encode()
        yield "python", "python", repr(text)[1:-1].encode()
        yield "python(bytes)", "python", repr(value)[2:-1].encode()
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


def _aligned(name: str, alignment: int) -> str:
    return f"{name}+{alignment}" if alignment else name


def _base64(value: bytes) -> Iterator[tuple[str, str, bytes]]:
    """base64 and base64url, once and twice, as they are wherever in a longer text the value begins."""
    for at in range(3):
        name, core = _aligned("base64", at), _base64_core(value, at)
        urlsafe = core.translate(_URLSAFE)
        yield name, "base64", core
        yield name.replace("64", "64url"), "base64", urlsafe
        for inner in (core, urlsafe):
            for outer in range(3):
                twice = _base64_core(inner, outer)
                yield f"{_aligned('base64', outer)}({name})", "base64(base64)", twice
                yield f"{_aligned('base64url', outer)}({name})", "base64(base64)", twice.translate(_URLSAFE)
    # A file of several lines may have been through an editor that ends them otherwise.
    lines = value.replace(b"\r\n", b"\n")
    for name, other in (("base64(\\n)", lines), ("base64(\\r\\n)", lines.replace(b"\n", b"\r\n"))):
        if other != value:
            for at in range(3):
                yield _aligned(name, at), "base64", _base64_core(other, at)


_URLSAFE = bytes.maketrans(b"+/", b"-_")


def _base64_core(value: bytes, alignment: int) -> bytes:
    return _core(base64.b64encode(bytes(alignment) + value), 6, alignment, len(value))


def _core(encoded: bytes, bits: int, alignment: int, length: int) -> bytes:
    """The digits of `bits` bits that `length` bytes alone determine when `alignment` bytes come before them.

    What comes before and after shares the digits at the edges, so those are left off: this core is in the encoding
    of `user:token` and of `token\\n` alike.
    """
    return encoded[math.ceil(alignment * 8 / bits) : (alignment + length) * 8 // bits]


def _base85(value: bytes, alignment: int) -> Iterator[tuple[str, bytes]]:
    """The whole groups of 4 bytes in 5 digits that are the value's own, and all of it where it begins the text.

    Two groups at least, as one is found by chance.
    """
    skip = -alignment % 4
    groups = (len(value) - skip) // 4
    for name, encode in (("base85", base64.b85encode), ("ascii85", base64.a85encode), ("z85", _z85)):
        if groups >= 2:
            yield name, encode(value[skip : skip + 4 * groups])


_B85 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
_Z85 = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def _z85(data: bytes) -> bytes:
    return base64.b85encode(data).translate(bytes.maketrans(_B85, _Z85))


# What quoted-printable must write otherwise, as far as it is inside a line.
_QUOTED = re.compile(rb"[^\t\r\n !-<>-~]")
_PUNCTUATION = re.compile(r"[^\w@%+=:,./-]", re.ASCII)


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
