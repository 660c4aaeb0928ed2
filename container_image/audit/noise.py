"""What a writer puts between two pieces of a value that it splits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from container_image.forms import Form


@dataclass(frozen=True, slots=True)
class Noise:
    """Line breaks (also spelled, in a JSON string), indentation, quotes, concatenation and continuation.

    `members` are the bytes in it; `breaks` and `others` are what a line may end with: a line break, or what a writer
    puts before one. With `wide` characters, each has a zero byte, so zero bytes count for nothing.
    """

    pattern: re.Pattern[bytes]
    members: frozenset[int]
    breaks: tuple[bytes, ...] = (b"\r", b"\n")
    others: tuple[bytes, ...] = (b'"', b"'", b"\\")
    wide: bool = False

    def squeeze(self, data: bytes) -> bytes:
        """The bytes without any noise."""
        return self.pattern.sub(b"", data)

    def narrow(self, data: bytes) -> bytes:
        """The bytes without the zero bytes of wide characters."""
        return data.replace(b"\0", b"") if self.wide else data


TEXT = Noise(re.compile(rb"\\[nrt]|[\t\n\r \"'\\+]"), frozenset(b"\t\n\r \"'\\+nrt"))
_WIDE_PATTERN, _WIDE_MEMBERS = re.compile(rb"\\\x00?[nrt]|[\t\n\r \"'\\+\x00]"), TEXT.members | {0}
_WIDE = {
    "utf-16-le": Noise(_WIDE_PATTERN, _WIDE_MEMBERS, wide=True),
    "utf-16-be": Noise(_WIDE_PATTERN, _WIDE_MEMBERS, (b"\0\r", b"\0\n"), (b'\0"', b"\0'", b"\0\\"), wide=True),
}


def noise_of(form: Form) -> Noise:
    """The noise between two pieces of a form."""
    return _WIDE.get(form.name, TEXT)
