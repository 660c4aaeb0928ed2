"""A build whose rewritten Dockerfile is in place, where BuildKit reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from container_image.build.frontend import predefined_arguments
from container_image.build.preflight import ignore_text
from container_image.build.redact import Redactor
from container_image.build.request import BuildRequest
from container_image.build.run import QUARANTINE, Run
from container_image.build.tagging import restore, rewrite, tagged_ids
from container_image.dockerfile import parse
from container_image.errors import DockerfileError
from container_image.state import build_key

_QUARANTINED = re.compile(rf"{re.escape(QUARANTINE)}:[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The ids in a rewritten Dockerfile, and what redacts the build's output.

    `ids` are the tagged ids by the secrets' names. `aliases` are further tagged ids, and `untagged` those that don't
    tell the secret's value, each with the secret's name: they are known once BuildKit has listed the mounts. So are the
    `notes`: messages on secrets that are mounted and not given. `shown` is the image's name in messages.
    """

    ids: Mapping[str, str]
    redactor: Redactor
    aliases: Mapping[str, str] = field(default_factory=dict)
    untagged: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    shown: str = "(untagged)"

    @property
    def tagged(self) -> dict[str, str]:
        """Every id with a tag, with its secret's name."""
        return {**{identifier: name for name, identifier in self.ids.items()}, **self.aliases}

    def plain(self, text: str) -> str:
        """A text as the author of the Dockerfile knows it."""
        return _QUARANTINED.sub(lambda _: self.shown, restore(text, self.ids))


def unwritten(request: BuildRequest) -> Prepared:
    """A build whose Dockerfile is in place already."""
    return Prepared(tagged_ids(build_key(), request.secrets), Redactor(request.unwanted), shown=request.shown)


def prepare(run: Run) -> Prepared:
    """Writes the Dockerfile with tagged ids, and its ignore file beside it, where BuildKit looks first.

    Raises:
        DockerfileError: the Dockerfile can't be parsed.
    """
    request, prepared = run.request, unwritten(run.request)
    run.dockerfile.write_text(rewritten(request, prepared.ids), encoding="utf-8", errors="surrogateescape")
    ignore = run.dockerfile.with_name(run.dockerfile.name + ".dockerignore")
    ignore.write_bytes(ignore_text(request).encode("utf-8", "surrogateescape"))
    return prepared


def rewritten(request: BuildRequest, ids: Mapping[str, str]) -> str:
    """The Dockerfile of a request with tagged ids.

    Raises:
        DockerfileError: the Dockerfile can't be parsed, or has no stage.
    """
    predefined = predefined_arguments(request.platforms, request.target)
    try:
        dockerfile = parse(request.dockerfile)
        text = rewrite(
            request.dockerfile, ids, target=request.target, build_args=request.build_args, predefined=predefined
        )
    except DockerfileError as error:
        raise error.placed(request.place(error.line)) from None
    if not dockerfile.stages:
        raise DockerfileError(f"{request.place(1)}: the Dockerfile has no FROM; begin a stage with FROM IMAGE", 1)
    if request.entrypoint is not None or request.cmd is not None:
        text += "\n" + "".join(_override(*pair) for pair in (("ENTRYPOINT", request.entrypoint), ("CMD", request.cmd)))
    return text


def _override(keyword: str, value: str | list[str] | None) -> str:
    if value is None:
        return ""
    return f"{keyword} {value if isinstance(value, str) else json.dumps(value)}\n"
