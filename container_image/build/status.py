"""BuildKit's progress records (SolveStatus in JSON), redacted: for programs that read `--progress=rawjson`.

A record has `vertexes`, `statuses`, `logs` and `warnings`. Logs and the texts of warnings are in base64.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence

Clean = Callable[[str], str]

_ENCODED = frozenset({"short", "detail", "data"})
# A build's definition (LLB) is binary, and may hold anything.
_LEFT_OUT = frozenset({"definition"})


def status(record: Mapping[str, object], logs: Sequence[Mapping[str, object]], clean: Clean) -> str:
    """The record as one line of JSON, its texts cleaned. `logs` replace its own: they are redacted across records."""
    told: dict[str, object] = {
        key: _cleaned(record[key], clean) for key in ("vertexes", "statuses", "warnings") if record.get(key)
    }
    if logs:
        told["logs"] = list(logs)
    return json.dumps(told) if told else ""


def encoded(text: str) -> str:
    """A text as it is in a log's `data`."""
    return base64.b64encode(text.encode()).decode()


def decoded(value: object) -> bytes:
    """The bytes of a field that is in base64; none where it is not."""
    try:
        return base64.b64decode(value) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        return b""


def _cleaned(value: object, clean: Clean, key: str = "") -> object:
    if isinstance(value, str):
        return encoded(clean(decoded(value).decode("utf-8", "replace"))) if key in _ENCODED else clean(value)
    if isinstance(value, list):
        return [_cleaned(item, clean, key) for item in value]
    if isinstance(value, dict):
        return {name: _cleaned(item, clean, name) for name, item in value.items() if name not in _LEFT_OUT}
    return value
