"""Characters as BuildKit reads them, each with its offset in the text that they come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# White space as Go's unicode.IsSpace has it, and the few of it that separate a keyword, its flags and its words.
SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
BLANK = "\t\v\f\r "


@dataclass(frozen=True, slots=True)
class Located:
    """A part of a text with continuations joined and quotes off."""

    characters: str
    offsets: tuple[int, ...]

    def __getitem__(self, part: slice) -> Located:
        return Located(self.characters[part], self.offsets[part])

    def pick(self, indexes: Iterable[int]) -> Located:
        """Some of the characters."""
        chosen = tuple(indexes)
        return Located("".join(self.characters[at] for at in chosen), tuple(self.offsets[at] for at in chosen))

    def strip(self) -> Located:
        """Without the white space at both ends."""
        start = len(self.characters) - len(self.characters.lstrip(SPACE))
        return self[start : max(start, len(self.characters.rstrip(SPACE)))]

    @property
    def end(self) -> int:
        """The offset behind the last character."""
        return self.offsets[-1] + 1
