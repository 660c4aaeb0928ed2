"""BuildKit's splitting of a line into words, with quotes, escapes and variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from container_image.dockerfile.located import SPACE
from container_image.dockerfile.patterns import replaced, without_prefix, without_suffix

_NAME = re.compile(r"\d+|[@*#?$!-]|\w*")
# Characters that mean nothing anywhere, read at once: one at a time takes seconds for a megabyte.
_PLAIN = re.compile(r"""[^$'"<\\`/}]*""")
_MODIFIERS = ("}", "-", "+", "?", ":-", ":+", ":?", "#", "%", "/")


class Lexer:
    """Reads one line. With `raw`, quotes and escapes stay; without `variables`, so do the variables.

    Raises ValueError where BuildKit would fail.
    """

    def __init__(
        self, text: str, *, raw: bool = False, escape: str = "\\", variables: Mapping[str, str] | None = None
    ) -> None:
        self._text = text
        self._raw = raw
        self._escape = escape
        self._variables = variables
        self._at = 0

    def word(self) -> str:
        """All of it as one word."""
        return self._until("", self._raw)

    def words(self) -> list[str]:
        """The words that white space separates."""
        words = [""]
        for piece, splits in self._pieces("", self._raw):
            first, *more = re.split(f"[{SPACE}]", piece) if splits else [piece]
            words[-1] += first
            words += more
        return [word for word in words if word]

    def _take(self, count: int = 1) -> str:
        self._at += count
        return self._text[self._at - count : self._at]

    def _take_plain(self) -> str:
        match = _PLAIN.match(self._text, self._at)
        return self._take(len(match[0]) or 1) if match else ""

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _pieces(self, stop: str, raw: bool) -> Iterator[tuple[str, bool]]:
        """What is read up to `stop`, and whether white space in it ends a word."""
        while character := self._peek():
            if character == stop:
                self._take()
                return
            if character == "$":
                yield self._variable(), True
            elif character == "'":
                yield self._single(), False
            elif character == '"':
                yield self._double(raw), False
            elif character == "<":
                yield self._angle(), False
            elif character == self._escape:
                backslash, escaped = self._take(), self._take()
                yield (backslash if raw else "") + escaped, False
            else:
                yield self._take_plain(), True
        if stop:
            raise ValueError(f"{stop} is missing")

    def _until(self, stop: str, raw: bool) -> str:
        return "".join(piece for piece, _ in self._pieces(stop, raw))

    def _single(self) -> str:
        end = self._text.find("'", self._at + 1) + 1
        if not end:
            raise ValueError("' is missing")
        quoted = self._take(end - self._at)
        return quoted if self._raw else quoted[1:-1]

    def _double(self, raw: bool) -> str:
        quote = self._take()
        inside = ""
        while (character := self._peek()) != '"':
            if not character:
                raise ValueError('" is missing')
            if character == "$":
                inside += self._variable()
            elif character == self._escape:
                backslash = self._take()
                inside += backslash if raw else ""
                inside += self._take() if self._peek() in ('"', "$", self._escape) else backslash
            else:
                inside += self._take_plain()
        self._take()
        return quote + inside + quote if self._raw else inside

    def _angle(self) -> str:
        """`<`, or `<<` with the white space behind it, which belongs to the heredoc's word."""
        taken = self._take()
        if self._peek() == "<":
            taken += self._take()
            while self._peek() and self._peek() in "\t\n\r ":
                taken += self._take()
        return taken

    def _variable(self) -> str:
        """The text that `$name` or `${name…}` stands for; as written, without `variables`."""
        self._take()
        if self._peek() != "{":
            name = self._name()
            return f"${name}" if self._variables is None or not name else self._variables.get(name, "")
        self._take()
        if self._peek() in ("", "{", "}", ":"):
            raise ValueError("bad substitution")
        name = self._name()
        modifier = self._take()
        if modifier == ":":
            modifier += self._take()
        # Where it replaces nothing, BuildKit takes any character behind a colon.
        if modifier not in _MODIFIERS and (self._variables is not None or modifier[0:1] != ":"):
            raise ValueError("unsupported modifier in substitution")
        if modifier == "/" and self._peek() == "/":
            modifier += self._take()
        words = []
        if modifier != "}":
            stops = "/}" if modifier[0] == "/" else "}"
            words = [self._until(stop, modifier[0] in "#%/") for stop in stops]
        if self._variables is None:
            end = "" if modifier == "}" else "/".join(words) + "}"
            return f"${{{name}{modifier}{end}"
        return _substituted(self._variables.get(name), modifier, words)

    def _name(self) -> str:
        match = _NAME.match(self._text, self._at)
        return self._take(len(match[0])) if match else ""


def _substituted(value: str | None, modifier: str, words: list[str]) -> str:
    """The value of a variable, None where it is not set, as a modifier with its words changes it."""
    text = value or ""
    if modifier == "}":
        return text
    word = words[0]
    is_set = bool(value) if modifier[0] == ":" else value is not None
    match modifier[-1]:
        case "-":
            return text if is_set else word
        case "+":
            return word if is_set else ""
        case "?":
            if not is_set:
                raise ValueError(word or "is not allowed to be unset or empty")
            return text
        case "/":
            return replaced(text, word, words[1], everywhere=modifier == "//")
    # `##` and `%%` match the longest text: the second character is read as the first one of the word.
    longest = word[:1] == modifier
    change = without_prefix if modifier == "#" else without_suffix
    return change(text, word[longest:], longest=longest)
