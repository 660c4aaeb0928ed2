"""The questions that BuildKit answers about a build before it runs (`--call`): its mounts, and the Dockerfile's faults."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from container_image.build.ask import ask
from container_image.build.failure import refusal
from container_image.build.frontend import has_no_answer, outline_arguments
from container_image.build.history import asking
from container_image.build.mounted import Mounted
from container_image.build.options import build_options
from container_image.build.prepared import Prepared
from container_image.build.progress import Progress
from container_image.build.run import Run
from container_image.errors import ContainerImageError


def outline(run: Run, prepared: Prepared) -> list[Mounted] | Progress:
    """The secrets that the target mounts, by the ids in the rewritten Dockerfile; or the output of a refusal."""
    found = []
    for options in [outline_arguments(name) for name in run.request.platforms] or [[]]:
        answer = _call(run, prepared, "outline", options)
        if isinstance(answer, Progress):
            return answer
        listed = answer.get("secrets")
        for item in listed if isinstance(listed, list) else []:
            found.append(Mounted(str(item.get("name")), bool(item.get("required")), _line(item)))
    return found


def refused(run: Run, prepared: Prepared, progress: Progress) -> ContainerImageError:
    """The error of a refused outline, with the line, which BuildKit tells with its checks alone."""
    answer = _call(run, prepared, "check")
    fault = {} if isinstance(answer, Progress) else answer.get("buildError")
    return refusal(run.request, progress, _line(fault if isinstance(fault, dict) else {}))


def faults(run: Run, prepared: Prepared) -> list[str]:
    """The warnings of BuildKit's own checks, one message each.

    Raises:
        BuildError, DockerfileError: BuildKit refuses the build.
    """
    request = run.request
    answer = _call(run, prepared, "check")
    if isinstance(answer, Progress):
        if has_no_answer(answer.error):
            return [f"{request.file}: not checked by BuildKit: the frontend that it asks for has no checks"]
        raise refusal(request, answer, answer.error_line)
    messages = []
    warnings = answer.get("warnings")
    for warning in warnings if isinstance(warnings, list) else []:
        text = f"{request.place(_line(warning))}: {warning.get('ruleName')}: {warning.get('detail') or warning.get('description')}"
        messages.append(prepared.redactor.text(prepared.plain(text)))
    return messages


def _call(run: Run, prepared: Prepared, what: str, options: Sequence[str] = ()) -> dict[str, object] | Progress:
    """BuildKit's answer, or the output where it has none."""
    request = run.request
    arguments = [*options, *build_options(request), f"--file={run.dockerfile}", str(request.context)]
    with asking(run.dockerfile.name, run.client):
        done = ask(run.client, what, arguments, request.secrets, run.files)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        progress = Progress(prepared.redactor, prepared.plain)
        for line in done.stderr.splitlines():
            for _ in progress.feed(line):
                pass
        return progress
    return found if isinstance(found, dict) else {}


def _line(item: Mapping[str, object]) -> int | None:
    """The line that an item of an answer is about."""
    location = item.get("location")
    ranges = location.get("ranges") if isinstance(location, dict) else None
    line = (ranges[0].get("start") or {}).get("line") if ranges else None
    return line if isinstance(line, int) else None
