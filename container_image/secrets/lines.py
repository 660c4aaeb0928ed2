"""Files of `key = value` lines, read leniently: dotenv, INI, TOML, properties, npmrc, curlrc, HCL, headers.

What a value is depends on who reads the file, so where readers differ, each of their values is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from container_image.secrets.sensitivity import looks_random, names_credential
from container_image.shown import is_worded

Pair = tuple[tuple[str, ...], str]

_SECTION = re.compile(r"\[{1,2}\s*([^\]\n]{1,200}?)\s*\]{1,2}\s*(?:[#;].*)?")
_LEAD = re.compile(r"(?:export|set|declare -x|ENV|ARG|-)\s+|\$env:|--?(?=[A-Za-z])")
_COMMENT = re.compile(r"[#;!]+|//(?=\s)|REM\s")
_KEY_ENDS = re.compile(r"=|:(?=\s|$|[\"'])")
_WORDS = re.compile(r"[\w.@$/][\w.\-/@:$\[\]]*(?: [\w.\-/@:$\[\]]+){0,3}")
_NAME = re.compile(r"[A-Za-z][\w.-]{0,80}")
_SPACED = re.compile(r"([A-Za-z][\w-]{0,60})\s+(\S+|\"[^\"]*\"|'[^']*')")
_SPACED_KEYS = frozenset({"user", "proxy-user", "header", "u", "h", "bearer", "basic"})
_SETTINGS = frozenset(
    {"accountname", "database", "dbname", "data source", "endpoint", "host", "port", "server", "uid", "user", "user id"}
)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
# What a value on the next lines begins with.
_OPENERS = "[{|>-(\\"
_ENDS = re.compile(r"[\]})>,;]+|-----.*-----")
_SAMPLE = 20_000
_SHORT = 1000
_TRAILING = re.compile(r"\s[#;]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_INLINE = re.compile(
    r"(?:([\w.-]{1,100})|\"([^\"\n]{1,100})\")\s{0,20}[=:]\s{0,20}(?:\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)')"
)
_SPACED_PAIR = re.compile(r"(?:^|(?<=[\s;&,]))([A-Za-z_][\w.-]{0,100})=(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s;]+))")


class Unsure(str):
    """What may be a key, and may be a part of a value: it is never shown."""

    __slots__ = ()


def read_lines(text: str) -> Iterator[Pair]:
    """The pairs of a text: a path of sections and a key, and a value.

    One line, or lines most of which are no pairs, may be a password or an encoding that has separators in it: there a
    key is `Unsure` unless it is one beyond doubt.
    """
    alone = "\n" not in text.strip()
    sure = _is_connection_string(text.strip()) if alone else _mostly_pairs(text)
    for path, value in _pairs(text, alone=alone):
        known = sure or (is_key(path[-1]) and not (alone and _is_spaced(path[-1], text)))
        yield (path if known else (Unsure(path[-1]),)), value


def _is_connection_string(text: str) -> bool:
    """Whether a line has several settings, all with names, of which connection strings have one."""
    if len(text) >= _SHORT:
        return False
    keys = [path[-1] for path, _ in _several(text, ())]
    known = any(key.lower() in _SETTINGS or names_credential(key) for key in keys)
    return len(keys) > 2 and known and all(map(looks_like_key, keys))


def _is_spaced(key: str, text: str) -> bool:
    """Whether nothing but a space is behind a key: so are the words of a passphrase, but for `user` and `Bearer`."""
    separated = re.search(re.escape(key) + r"[\"']?\s{0,20}[=:]", text)
    return separated is None and key.lower() not in _SPACED_KEYS


def _mostly_pairs(text: str) -> bool:
    lines = [body for line in text[:_SAMPLE].split("\n") if (body := line.strip()) and not _COMMENT.match(body)]
    told = sum(bool(_SECTION.fullmatch(body) or _ENDS.fullmatch(body) or _has_key(body)) for body in lines)
    return 2 * told >= len(lines)


def _has_key(body: str) -> bool:
    return any(looks_like_key(path[-1]) for path, _ in _pair(body, ()))


def _pairs(text: str, *, alone: bool) -> Iterator[Pair]:
    section: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    unclosed: set[str] = set()
    at = 0
    for line in text.split("\n"):
        start, at = at, at + len(line) + 1
        body = line.strip()
        comment = _COMMENT.match(body)
        if comment:
            # A token that was commented out is still one.
            for path, value in _pair(body[comment.end() :].strip(), section):
                if looks_random(value.encode("utf-8", "surrogateescape")):
                    yield path, value
            continue
        if not body:
            continue
        if match := _SECTION.fullmatch(body):
            section, pending = (match[1].replace('"', "").strip(),), ()
            continue
        several = list(_several(body, section))
        if alone and len(several) > 1:
            yield from several
            continue
        found = list(_pair(body, section))
        if not found:
            if pending and (line[:1].isspace() or body[0] in "\"'"):
                yield pending, _unquoted(body.rstrip(","))
            continue
        path, value = found[0]
        pending = () if value.strip(_OPENERS) else path
        if value[:1] in ("'", '"') and value[:1] not in unclosed:
            inside = _quoted(text, start + line.index(value, len(line) - len(line.lstrip())))
            if inside is None:
                unclosed.add(value[0])
                yield path, value
            else:
                # What is on the lines of a value of several is looked at as well, for the quote may be a stray.
                for item in dict.fromkeys((inside, _unescaped(inside) if value[0] == '"' else inside)):
                    yield path, item
                if "\n" not in inside and value[len(inside) + 2 :].strip(" \t,;)]}") and value[-1] == value[0]:
                    # Quotes in it, for who doesn't take them off.
                    yield path, value[1:-1]
        elif value.strip(_OPENERS):
            bare = value[: match.start()] if (match := _TRAILING.search(value)) else value
            for item in dict.fromkeys((bare.strip(), value.rstrip(",;"), value, _unescaped(value))):
                yield path, item
        if len(several) > 1 and ";" not in value:
            yield from several


def _pair(body: str, section: tuple[str, ...]) -> Iterator[Pair]:
    """The key and the value of a line, if it has both; the value as it is written."""
    if (lead := _LEAD.match(body)) is not None:
        body = body[lead.end() :]
    if body[:1] in ("'", '"'):
        stop = body.find(body[0], 1, 202)
        rest = body[stop + 1 :].lstrip()
        if stop > 1 and rest[:1] in ("=", ":"):
            yield (*section, body[1:stop]), rest[1:].removeprefix(">").lstrip()
        return
    ends = _KEY_ENDS.search(body, 0, 400)
    if ends:
        key = body[: ends.start()].rstrip(" \t?+:")
        if "://" not in key and _WORDS.fullmatch(key):
            value = body[ends.end() :]
            yield (*section, _last(key)), (value[1:] if value.startswith(">") else value).lstrip()
            return
    key, colon, value = body.partition(":")
    if colon and value and not value.startswith("//") and _NAME.fullmatch(key) and names_credential(key):
        yield (*section, key), value
    elif (
        (spaced := _SPACED.fullmatch(body))
        and body[-1] != "{"
        and (spaced[1].lower() in _SPACED_KEYS or (names_credential(spaced[1]) and "=" not in spaced[1]))
    ):
        yield (*section, spaced[1]), spaced[2]


def _last(key: str) -> str:
    """In an .npmrc, the key of a token is a registry's address and `:_authToken`."""
    return key.rsplit(":", 1)[-1] if key.startswith("//") else key


def is_key(key: str) -> bool:
    """Whether what comes before a separator is a key beyond doubt: a credential's, or a variable's of several words."""
    known = (names_credential(key) and len(key) <= 40) or (len(key) > 5 and _VARIABLE.fullmatch(key))
    return bool(known) and is_worded(key)


def looks_like_key(key: str) -> bool:
    """Whether a key may be shown where it stands among others: it is made of words, four at most with spaces between.

    In a token or a password that has a separator in it, what comes before that is not.
    """
    words = key.removeprefix("@").removeprefix("$").split(" ")
    return len(key) <= 80 and len(words) <= 4 and all(map(is_worded, words))


def _quoted(text: str, start: int) -> str | None:
    """What is inside the quotes that begin at `start`, over as many lines as it takes; None if they don't end."""
    quote = text[start]
    if text.startswith(quote * 3, start):
        stop = text.find(quote * 3, start + 3)
        return None if stop < 0 else text[start + 3 : stop].removeprefix("\n")
    stop = text.find(quote, start + 1)
    while quote == '"' and stop > 0 and _is_escaped(text, start + 1, stop):
        stop = text.find(quote, stop + 1)
    return None if stop < 0 else text[start + 1 : stop]


def _is_escaped(text: str, start: int, at: int) -> bool:
    before = at
    while before > start and text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 1


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text) if "\\" in text else text


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in "\"'" and text[0] == text[-1] else text


def _several(body: str, section: tuple[str, ...]) -> Iterator[Pair]:
    """A line of several: `{ user = "u", token = "t" }`, `host=h password=p`, `Server=s;User Id=u;Password=p a s s;`."""
    if body.count("=") + body.count(":") < 2:
        return
    pieces = body.split(";")
    if len(pieces) > 1 and pieces[0].count("=") == 1 and pieces[1].count("="):
        for piece in pieces:
            key, equals, value = piece.partition("=")
            if equals and _WORDS.fullmatch(key.strip()):
                yield (*section, key.strip()), _unquoted(value.strip())
        return
    quoted = list(_INLINE.finditer(body)) if '"' in body or "'" in body else []
    for match in quoted:
        yield (*section, match[1] or match[2]), _unescaped(match[3]) if match[3] is not None else match[4]
    for match in () if quoted else _SPACED_PAIR.finditer(body):
        yield (*section, match[1]), match[2] or match[3] or match[4] or ""
