"""COPY and ADD sources of a Dockerfile that need not parse, as fal reads them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator


class DockerfileParser:
    """COPY and ADD sources of a Dockerfile that need not parse: fal's lenient reading, and its results.

    `normalized_content` is `content` with continued lines joined.
    """

    def __init__(self, content: str) -> None:
        self.content = content
        self.normalized_content = re.sub(r"\\\n\s*", " ", content)

    def parse_copy_add_sources(self) -> list[str]:
        """The sources that are paths of the context, without a leading slash.

        `COPY --from` and `ADD` of an http URL have none. An instruction that can't be split is warned of and skipped.
        """
        return list(self._sources())

    def _sources(self) -> Iterator[str]:
        pattern = re.compile(r"^(COPY|ADD)\s+(.+?)(?:\s*\\)?$", re.MULTILINE | re.IGNORECASE)
        for match in pattern.finditer(self.normalized_content):
            keyword, rest = match[1].upper(), match[2].strip()
            if keyword == "COPY" and rest.lower().startswith("--from="):
                continue
            if keyword == "ADD" and re.search("https?://", rest, re.IGNORECASE):
                continue
            bare = re.sub(r'--\w+(?:=[^\s\]]+|="[^"]*")?', "", rest).strip()
            if not bare:
                continue
            try:
                words = json.loads(bare) if bare.endswith("]") else shlex.split(bare)
                sources = [word.lstrip("/") for word in words[:-1]]
            except (ValueError, TypeError, AttributeError):
                print(
                    f"[WARNING] Failed to parse instruction arguments: {rest}. Skipping this instruction. "
                    "Please check the Dockerfile syntax and try again."
                )
                continue
            yield from sources
