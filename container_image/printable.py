"""Text from an image, a build or a file name, made safe to show: it can neither move a cursor nor begin a line."""

from __future__ import annotations

import re

# C0 but the tab, DEL and C1, which terminals obey; what ends a line elsewhere; what turns the direction of writing.
_OBEYED = re.compile("[\0-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""One line, with what a terminal would obey shown as an escape.

    >>> print(printable("a\nb\x1b[2J"))
    a\nb\x1b[2J
    """
    return _OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
