"""What a structured text says: its values, each under the path of its keys, whatever the format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from container_image.secrets.lines import Pair, Unsure, is_key, read_lines

DEEPEST = 6
"""The last keys of a path are kept."""

MOST = 5000
"""Values of one text that are looked at; one more than that is given, so that who asks can tell."""

_MOST_EVENTS = 40_000

_YAML_LINE = re.compile(
    r"^[ \t]{0,200}(?:- )?(?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|[^\s\"'#=&*!|>%@`:]{1,200}):(?:[ \t]|\r?$)|^- ", re.M
)
_ASSIGNMENT = re.compile(r"^[ \t]{0,200}(?:export[ \t])?[\w.-]{1,200}[ \t]{0,20}=", re.M)
_NETRC_WORD = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|(\S+)")
_NETRC_KEYS = frozenset({"machine", "login", "account", "password"})
_MACRO = re.compile(r"^[ \t]*macdef[ \t].*\n(?:.+\n)*", re.M)
_NETRC_COMMENT = re.compile(r"^[ \t]*#.*$", re.M)


class Members(dict[str, object]):
    """The members of one JSON object, and `pairs`, which has those of the same name too."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


Json = tuple[tuple[str, ...], "str | Members"]


def read_json(text: str) -> Iterator[Json] | None:
    """The strings and numbers of a JSON document, or of several, and each object itself; None if it is neither."""
    if text[:1] not in ("{", "["):
        return None
    decoder = json.JSONDecoder(object_pairs_hook=Members, parse_int=str, parse_float=str, strict=False)
    documents = []
    at = 0
    try:
        while at < len(text):
            document, at = decoder.raw_decode(text, at)
            documents.append(document)
            while at < len(text) and text[at] in " \t\r\n,":
                at += 1
    except (ValueError, RecursionError):
        return None
    return _json_items(documents)


def _json_items(documents: list[object]) -> Iterator[Json]:
    stack: list[tuple[tuple[str, ...], object]] = [((), document) for document in reversed(documents)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, Members):
            yield path, value
            named = _name_of(value)
            for key, item in reversed(value.pairs):
                if named and item == named:
                    continue
                stack.append(((*path, named if named and key.lower() == "value" else key)[-DEEPEST:], item))
        elif isinstance(value, list):
            stack.extend((path, item) for item in reversed(value))
        elif isinstance(value, str):
            yield path, value


def _name_of(members: Members) -> str:
    """`{"name": "API_TOKEN", "value": …}` is a pair too."""
    if not ("value" in members or "Value" in members):
        return ""
    for key in ("name", "key", "Name", "Key"):
        if isinstance(members.get(key), str):
            return str(members[key])
    return ""


def read_text(text: str) -> tuple[list[Pair], bool]:
    """The pairs of any other text, and whether its format says where each value is."""
    stripped = text.strip()
    if stripped.startswith("<") and (pairs := _xml_pairs(stripped)):
        return pairs, True
    pairs = list(islice(_netrc_pairs(text), MOST + 1))
    if _YAML_LINE.search(text) or stripped[:1] in ("{", "["):
        complete, found = _yaml_pairs(text)
        if not complete or "\n" not in stripped:
            # A password or a passphrase with a colon in it is YAML, too.
            found = [(tuple(key if is_key(key) else Unsure(key) for key in path), value) for path, value in found]
        # What was read before an error may be the first section of an INI file.
        pairs += found if complete else [pair for pair in found if pair[0]]
        if complete and found and not _ASSIGNMENT.search(text):
            return pairs, True
    pairs += islice(read_lines(text), MOST + 1)
    return pairs, False


def _netrc_pairs(text: str) -> Iterator[Pair]:
    """A .netrc: words, in pairs, on as many lines as one likes. A macro goes to the next empty line."""
    if "password" not in text or not ("machine" in text or "default" in text):
        return
    key = ""
    for match in _NETRC_WORD.finditer(_NETRC_COMMENT.sub("", _MACRO.sub("\n", text))):
        word = match[2] or match[1].replace("\\", "")
        if key:
            yield (key,), word
            key = ""
        elif word in _NETRC_KEYS:
            key = word
        elif word != "default":
            # Another format, which has these words in it.
            return


def _xml_pairs(text: str) -> list[Pair]:
    """Texts under their element's name, attributes under theirs; `<add key="Password" value="…"/>` is a pair."""
    from xml.parsers import expat

    pairs: list[Pair] = []
    path: list[str] = []
    texts: list[list[str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        texts.append([])
        pair = "value" in attributes
        named = next((attributes[key] for key in ("key", "name", "id") if pair and attributes.get(key)), "")
        for key, value in attributes.items():
            if pair and value == named:
                continue
            pairs.append(((*path[-DEEPEST:], named if named and key.lower() == "value" else key), value))

    def end(_name: str) -> None:
        if value := "".join(texts.pop()).strip():
            pairs.append((tuple(path[-DEEPEST:]), value))
        path.pop()
        if len(pairs) > MOST:
            raise ValueError("that is enough")

    def data(piece: str) -> None:
        if texts:
            texts[-1].append(piece)

    def entity(*_declaration: object) -> None:
        raise ValueError("an entity may stand for any amount of text")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError):
        return pairs if len(pairs) > MOST else []
    return pairs


def _yaml_pairs(text: str) -> tuple[bool, list[Pair]]:
    """The scalars of a YAML text under the keys they are at, and whether all of it could be read.

    From the parser's events: types don't matter here (`0123` is no number), and an alias, which can multiply, is
    what its anchor is.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", None)
    pairs: list[Pair] = []
    if loader is None:
        # In pure Python it takes 5 s for 500 KB; the lines are read instead.
        return False, pairs
    # One frame for each mapping or list that is open: its key at the moment, whether a key is due, its `name`.
    frames: list[_Frame] = []
    with suppress(yaml.YAMLError, ValueError):
        for number, event in enumerate(yaml.parse(text, Loader=loader)):
            if number > _MOST_EVENTS or len(pairs) > MOST:
                return False, pairs
            if isinstance(event, yaml.CollectionStartEvent):
                frames.append(_Frame(isinstance(event, yaml.MappingStartEvent)))
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                frames.pop()
            elif isinstance(event, yaml.ScalarEvent):
                if frames and frames[-1].key_due:
                    frames[-1].key = event.value
                elif frames and event.value:
                    pairs.append((_yaml_path(frames, event.value), event.value))
            elif not isinstance(event, yaml.AliasEvent):
                continue
            if frames and frames[-1].mapping:
                frames[-1].key_due = not frames[-1].key_due
        return True, pairs
    return False, pairs


class _Frame:
    __slots__ = ("key", "key_due", "mapping", "name")

    def __init__(self, mapping: bool) -> None:
        self.mapping = self.key_due = mapping
        self.key = self.name = ""


def _yaml_path(frames: list[_Frame], value: str) -> tuple[str, ...]:
    top = frames[-1]
    key = top.key
    if key.lower() in ("name", "key"):
        top.name = value
    elif key.lower() == "value" and top.name:
        key = top.name
    keys = [frame.key for frame in frames[-2 * DEEPEST : -1] if frame.mapping]
    return (*keys, *([key] if top.mapping else []))[-DEEPEST:]
