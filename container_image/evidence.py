"""How much a part of a value gives away.

Eight random characters identify a token; `https://hooks.` or `postgres-dev` identify nothing. So each byte of a value
has a weight, and a part of the value is judged by the sum of its bytes' weights:

- 0 for public parts: a URL's scheme and host, PEM armour, a JWT's header, and vendors' prefixes of 8 bytes and more;
- 0 for filling: at least eight bytes that repeat one to four, as in `00000000`;
- 1/2 for the letters of words, and for punctuation beside them. A word begins where the value does, after punctuation or
  after another word in CamelCase, and most pairs of its letters are common in English;
- 1 for everything else.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil

ENOUGH = 12
"""The weight from which on a part identifies any value."""

LEAST = 8
"""Bytes: a shorter part is found by chance. It is also the least weight of a part, unless nearly all of the value has less."""

_SHARE = 0.5
# All but one byte of a value whose weight is small: 8 of 9, 14 of 15.
_NEARLY_ALL = 0.875
# Of a value with less weight, no part identifies it.
_TOO_LIGHT = 4

_PUBLIC = re.compile(
    rb"-----(?:BEGIN|END) [A-Z0-9 ]+-----|"
    rb"\beyJ[\w-]{8,}\.(?=eyJ)|"
    rb"\b(?:github_pat_|pypi-AgEIcHlwaS5vcmc|AGE-SECRET-KEY-1|sk-ant-api\d\d-)"
)
_URL = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/@]*@)?([^\s/@:?#]*(?::\d+)?)")
_FILLING = re.compile(rb"(.)\1{7,}|(..)\2{3,}|(...)\3{2,}|(....)\4{2,}", re.DOTALL)
_LETTERS = re.compile(rb"(?<![A-Za-z0-9])[A-Za-z]{3,}")
_CAMEL_CASE = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PUNCTUATION = re.compile(rb"[^A-Za-z0-9\x80-\xff]")
_COMMON = frozenset(
    b"th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic ne "
    b"ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc et ut ss so rs un lo wa "
    b"ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv ia am fi ci vi pl ig tu ev ld ry mp "
    b"fe bl ab gh ty op wo sa ay ex ke fr oo av ag if ap gr od bo sp rd do uc bu ei ov by rm ep tt oc fa ef cu rn sc gi da "
    b"cr cl du ga qu ue ff ba ey ck au lt ub hu je oj up sw rv ys sq ql eb ok pp pi nf".split()
)
_COMMON_SHARE = 0.7


@dataclass(frozen=True, slots=True, repr=False)
class Evidence:
    """The weights of the bytes of one value, and `needed`: the weight of a part that identifies the value.

    That is 12, or half of the value's weight if this is less, but never less than 8 or 7/8 of the whole. Positions are in
    bytes of the value and may be fractions, because a byte of an encoding stands for less than a byte of the value.
    """

    length: int
    needed: float
    # Twice the weight of everything before each byte. None if every byte weighs 1.
    _sums: array[int] | None

    @property
    def uniform(self) -> bool:
        """Whether every byte weighs 1."""
        return self._sums is None

    def between(self, start: float, stop: float) -> float:
        """The weight of a part."""
        return stop - start if self._sums is None else self._before(stop) - self._before(start)

    def weighs(self, start: float, stop: float) -> bool:
        """Whether any byte that a part touches weighs more than 0."""
        return self._sums is None or self._sums[int(start)] < self._sums[min(ceil(stop), self.length)]

    def trimmed(self, start: float, stop: float) -> tuple[float, float]:
        """The part without the bytes of weight 0 at its edges."""
        if self._sums is None:
            return start, stop
        first, last = min(int(start), self.length), min(ceil(stop), self.length)
        start = max(start, bisect_right(self._sums, self._sums[first]) - 1)
        stop = min(stop, bisect_left(self._sums, self._sums[last]))
        return start, max(start, stop)

    def backwards(self) -> Evidence:
        """The evidence of the value's bytes in reverse order."""
        if self._sums is None:
            return self
        total = self._sums[-1]
        return Evidence(self.length, self.needed, array("L", [total - item for item in reversed(self._sums)]))

    def _before(self, position: float) -> float:
        assert self._sums is not None
        place = min(int(position), self.length)
        weight = self._sums[place]
        rest = position - place
        if rest and place < self.length:
            return (weight + rest * (self._sums[place + 1] - weight)) / 2
        return weight / 2


def evidence(value: bytes) -> Evidence | None:
    """The evidence of a value that is one secret, and no structure of public and secret parts.

    None if no part identifies the value, because little of it is more than filling and public parts.
    """
    halves = bytearray(b"\2") * len(value)
    for start, stop in _words(value):
        halves[start:stop] = b"\1" * (stop - start)
    for start, stop in _nothing(value):
        halves[start:stop] = bytes(stop - start)
    total = sum(halves) / 2
    if total < _TOO_LIGHT:
        return None
    needed = min(ENOUGH, max(_SHARE * total, min(LEAST, _NEARLY_ALL * total)))
    uniform = total == len(value)
    return Evidence(len(value), needed, None if uniform else array("L", accumulate(halves, initial=0)))


def _words(value: bytes) -> Iterator[tuple[int, int]]:
    for letters in _LETTERS.finditer(value):
        for piece in _CAMEL_CASE.finditer(value, *letters.span()):
            start, stop = piece.span()
            # Three letters are a word by chance, unless they stand alone.
            alone = piece.span() == letters.span() and not value[stop : stop + 1].isdigit()
            if not _is_word(piece[0], least=3 if alone else 4):
                break
            start -= bool(_PUNCTUATION.match(value[max(0, start - 1) : start]))
            stop += bool(_PUNCTUATION.match(value, stop))
            yield start, stop


def _is_word(letters: bytes, *, least: int) -> bool:
    if len(letters) < least:
        return False
    pairs = [bytes(pair) in _COMMON for pair in pairwise(letters.lower())]
    return sum(pairs) >= _COMMON_SHARE * len(pairs)


def _nothing(value: bytes) -> Iterator[tuple[int, int]]:
    for pattern in (_FILLING, _PUBLIC):
        for match in pattern.finditer(value):
            yield match.span()
    for url in _URL.finditer(value):
        yield url.span(1)
        yield url.span(2)
