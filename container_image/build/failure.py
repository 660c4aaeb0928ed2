"""The error of a build that BuildKit refused or that failed, from what buildx wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from container_image.build.frontend import unfetched
from container_image.build.mounted import written_mounts
from container_image.build.progress import Progress
from container_image.build.request import BuildRequest
from container_image.errors import BuildError, ContainerImageError, DockerfileError

_ERROR = re.compile("(?:ERROR|error|requirements): |\\s*\N{MULTIPLICATION SIGN} ")
# pip's last error is then that it found no version of a package.
_BROKEN = re.compile(r"after connection broken by '(.+)': /")
_DRAWN = " \N{MULTIPLICATION SIGN}╰─▶│├"
_NO_IMAGE = "failed to resolve source metadata for "


def failure(request: BuildRequest, progress: Progress) -> ContainerImageError:
    """The error of a build that ran: DockerfileError where the Dockerfile can't be parsed, else BuildError."""
    told = _known(request, progress, progress.error_line)
    if told is not None:
        return told
    place = request.place(progress.error_line)
    reason = _reason(progress.tail) if place == "requirements" else None
    if reason is not None:
        message = f"{place}: they can't be installed: {reason}"
    else:
        message = f"{place}: {progress.failed_step or 'the build'} failed: {progress.error}"
    message += "".join(f"; {note}" for note in _lacking(request, progress.error_line))
    return BuildError(message, progress.failed_step, progress.error_line, progress.tail)


def refusal(request: BuildRequest, progress: Progress, line: int | None) -> ContainerImageError:
    """The error of a build that BuildKit refuses before any step, because of this line."""
    told = _known(request, progress, line)
    return told or BuildError(f"{request.place(line)}: BuildKit refuses the build: {progress.error}", line=line)


def _known(request: BuildRequest, progress: Progress, line: int | None) -> ContainerImageError | None:
    """The error where there is a next step to name."""
    if progress.parse_error is not None:
        line, reason = progress.parse_error
        return DockerfileError(f"{request.place(line)}: {reason}; correct the Dockerfile", line)
    missing = unfetched(request, progress.error)
    if missing is None and _NO_IMAGE in progress.error:
        missing = (
            f"{progress.error}; correct the image's name, log in to its registry, or pull or build the image first"
        )
    return None if missing is None else BuildError(f"{request.place(line)}: {missing}", line=line)


def _reason(output: Sequence[str]) -> str | None:
    """The last error that pip or uv printed, or the installing step itself, and why pip could not reach an index.

    uv's error goes on in lines that are drawn as a tree.
    """
    starts = [number for number, line in enumerate(output) if _ERROR.match(line)]
    if not starts:
        return None
    first, *rest = output[starts[-1] :]
    rest = list(takewhile(lambda line: line.startswith(" "), rest))
    told = " ".join(line.strip(_DRAWN) for line in [first.partition(":")[2] if first[0].isalpha() else first, *rest])
    broken = [match[1] for match in map(_BROKEN.search, output) if match]
    return f"{told}; an index could not be reached: {broken[-1]}" if broken else told


def _lacking(request: BuildRequest, line: int | None) -> list[str]:
    """The secrets that the step at this line mounts, and that the build was not given."""
    found = [item for item in written_mounts(request) if item.line == line and not item.is_given(request)]
    return [f"the step mounts the secret {item.name!r}, which was not given" for item in found]
