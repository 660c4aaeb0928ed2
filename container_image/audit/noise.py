"""What a writer puts between two pieces of a value that it splits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from container_image.forms import Form


@dataclass(frozen=True, slots=True)
class Noise:
    """Line breaks (also spelled, in a JSON string), indentation, quotes, concatenation and continuation.

    `members` are the bytes in it; `breaks` and `others` are what a line may end with: a line break, or what a writer
    puts before one. With characters of `width` bytes, each has zero bytes, so these count for nothing.

    A separator of two characters is a backslash and one of `n`, `r` and `t`; such a letter is noise behind a backslash
    only.
    """

    pattern: re.Pattern[bytes]
    members: frozenset[int]
    breaks: tuple[bytes, ...] = (b"\r", b"\n")
    others: tuple[bytes, ...] = (b'"', b"'", b"\\")
    width: int = 1

    def squeeze(self, data: bytes) -> bytes:
        """The bytes without any noise."""
        return self.pattern.sub(b"", data)

    def begin(self, data: bytes, at: int) -> int:
        """The offset of the backslash where `at` is inside a separator of two characters; else `at` itself."""
        for start in range(at - 1, max(-1, at - _LONGEST - 1), -1):
            if data[start] == _BACKSLASH:
                separator = self.pattern.match(data, start)
                return start if separator is not None and separator.end() > at else at
            if data[start]:
                break
        return at

    def narrow(self, data: bytes) -> bytes:
        """The bytes without the zero bytes of wide characters."""
        return data.replace(b"\0", b"") if self.width > 1 else data


_BACKSLASH = 0x5C
# Bytes of a separator's backslash with the zero bytes behind it, in UTF-32.
_LONGEST = 4
SPELLED = b"nrt"
"""The letters that spell a line break or a tab behind a backslash."""

# The equals sign is what quoted-printable puts before a line break (RFC 2045, 6.7).
TEXT = Noise(re.compile(rb"\\[nrt]|[\t\n\r \"'\\+=]"), frozenset(b"\t\n\r \"'\\+nrt="))
_QUOTED = Noise(TEXT.pattern, TEXT.members, others=(*TEXT.others, b"="))
_WIDE_PATTERN, _WIDE_MEMBERS = re.compile(rb"\\\x00{0,3}[nrt]|[\t\n\r \"'\\+\x00]"), TEXT.members | {0}


def _wide(width: int, before: bytes) -> Noise:
    return Noise(
        _WIDE_PATTERN,
        _WIDE_MEMBERS,
        tuple(before + end for end in TEXT.breaks),
        tuple(before + end for end in TEXT.others),
        width,
    )


NONE = Noise(re.compile(rb"(?!)"), frozenset())
"""No noise at all: every byte of a form counts."""

_BY_NAME = {
    "raw": _QUOTED,
    "quoted-printable": _QUOTED,
    "utf-16-le": _wide(2, b""),
    "utf-16-be": _wide(2, b"\0"),
    "utf-32-le": _wide(4, b""),
    "utf-32-be": _wide(4, b"\0\0\0"),
}


# Of a form with fewer other bytes, a separator is as much as they are.
_MIN_OTHERS = 4


def noise_of(form: Form) -> Noise:
    """The noise between two pieces of a form; none for a form of little else."""
    noise = _BY_NAME.get(form.name, TEXT)
    return noise if len(noise.squeeze(form.data)) >= _MIN_OTHERS else NONE
