"""Suggestions for a misspelled name: the known names that are one or two slips away."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = re.compile(r"[^\W_]+")


def near(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names that `name` may be a misspelling of, nearest first.

    Names are compared word by word, where each word may differ by one slip in four characters: PIP_TOKN is near
    PIP_TOKEN, but PIP_TOKEN is not near HF_TOKEN, which a ratio over the whole names says (difflib's is 0.71).

    >>> near("PIP_TOKN", ["PIP_TOKEN", "HF_TOKEN"])
    ['PIP_TOKEN']
    """
    distances = {candidate: _distance(name, candidate) for candidate in known if candidate != name}
    found = [(distance, candidate) for candidate, distance in distances.items() if distance is not None]
    return [candidate for _, candidate in sorted(found)[:most]]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean A or B?)`, or nothing where no known name is near."""
    found = near(name, known)
    return f" (did you mean {' or '.join(found)}?)" if found else ""


def _distance(name: str, other: str) -> int | None:
    """How many slips lie between two names; None where there are too many for a misspelling."""
    mine, theirs = (_WORDS.findall(text.lower()) for text in (name, other))
    if len(mine) != len(theirs):
        # A separator that is missing, or one too many: the letters must be the same, but for one.
        mine, theirs = ["".join(mine)], ["".join(theirs)]
    slips = [(_slips(one, two), max(len(one), len(two))) for one, two in zip(mine, theirs, strict=True)]
    if not slips or any(count > max(1, length // 4) or count * 2 >= length for count, length in slips if count):
        return None
    total = sum(count for count, _ in slips)
    return total if total <= 2 else None


def _slips(one: str, two: str) -> int:
    """Characters to insert, remove, replace or swap with their neighbour (optimal string alignment distance)."""
    before: list[int] = []
    last = list(range(len(two) + 1))
    for row, left in enumerate(one, 1):
        line = [row]
        for column, right in enumerate(two, 1):
            cost = min(last[column] + 1, line[-1] + 1, last[column - 1] + (left != right))
            if row > 1 and column > 1 and left == two[column - 2] and one[row - 2] == right:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, last = last, line
    return last[-1]
