"""Shell patterns in `${NAME#PATTERN}`, `${NAME%PATTERN}` and `${NAME/PATTERN/TEXT}`, matched as BuildKit's lexer does.

BuildKit translates a pattern into a Go regular expression, which matches in linear time. Python's `re` would backtrack,
so the patterns are matched here by their states. Source: BuildKit, frontend/dockerfile/shell/lex.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_STAR, _ANY = object(), object()
Pattern = Sequence[object]
"""Characters, `_STAR` for any run of characters, `_ANY` for any one; neither matches a newline."""

# A reference in the text that replaces every match: Go's regexp expands it. Patterns have no groups but number 0.
_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})")


def without_prefix(value: str, pattern: str, *, longest: bool) -> str:
    """The value without what the pattern matches at its start.

    Raises:
        ValueError: BuildKit refuses the pattern.
    """
    return value[_end(_parsed(pattern), value, 0, longest=longest) or 0 :]


def without_suffix(value: str, pattern: str, *, longest: bool) -> str:
    """The value without what the pattern matches at its end.

    Raises:
        ValueError: BuildKit refuses the pattern.
    """
    end = _end(_parsed(_reversed(pattern)), value[::-1], 0, longest=longest) or 0
    return value[: len(value) - end]


def _reversed(pattern: str) -> str:
    """The pattern from its end, as BuildKit turns it around: a backslash at its end then escapes what comes before."""
    return "".join(reversed(re.findall(r"\\.|.", pattern, re.DOTALL)))


def replaced(value: str, pattern: str, text: str, *, everywhere: bool) -> str:
    """The value with `text` in the place of the first match, or of every match.

    Raises:
        ValueError: BuildKit refuses the pattern.
    """
    matches = _matches(_parsed(pattern), value)
    if not everywhere:
        start, end = next(matches, (len(value), None))
        return value if end is None else value[:start] + text + value[end:]
    parts, last = [], 0
    for start, end in matches:
        # An empty match directly behind another match is not replaced.
        if end > last or start == 0:
            matched = value[start:end]
            parts += [value[last:start], _REFERENCE.sub(lambda found, it=matched: _referred(found, it), text)]  # type: ignore[misc]
            last = end
    return "".join([*parts, value[last:]])


def _referred(found: re.Match[str], matched: str) -> str:
    return "$" if found[1] else matched if "0" in (found[2], found[3]) else ""


def _parsed(pattern: str) -> list[object]:
    tokens: list[object] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("*", "?", "\\", "}", "/"):
                raise ValueError(f"invalid escape \\{escaped} in a pattern")
            tokens.append(escaped)
        else:
            tokens.append({"*": _STAR, "?": _ANY}.get(character, character))
    return tokens


def _matches(pattern: Pattern, text: str) -> Iterator[tuple[int, int]]:
    """The start and end of each match, leftmost and longest first."""
    at = 0
    while at <= len(text):
        end = _end(pattern, text, at, longest=True)
        if end is not None:
            yield at, end
        at = max(at + 1, end or 0)


def _end(pattern: Pattern, text: str, start: int, *, longest: bool) -> int | None:
    """Where the longest or the shortest match that begins at `start` ends; None where there is no match."""
    found = None
    states = _reachable(pattern, {0})
    for at in range(start, len(text) + 1):
        if len(pattern) in states:
            found = at
            if not longest:
                break
        if at == len(text) or not states:
            break
        accepting = {state for state in states if state < len(pattern) and _accepts(pattern[state], text[at])}
        states = _reachable(pattern, {state + (pattern[state] is not _STAR) for state in accepting})
    return found


def _accepts(token: object, character: str) -> bool:
    return character != "\n" if token in (_STAR, _ANY) else token == character


def _reachable(pattern: Pattern, states: set[int]) -> set[int]:
    """The states, and those behind stars, which may match nothing."""
    found = set(states)
    for state in states:
        while state < len(pattern) and pattern[state] is _STAR:
            state += 1
            found.add(state)
    return found
