"""The options of `docker buildx build` that a request stands for, but for its secrets and outputs."""

from __future__ import annotations

from container_image.build.arguments import argument_options
from container_image.build.request import BuildRequest


def build_options(request: BuildRequest) -> list[str]:
    """The options that a build, and a question about it, have in common."""
    options = argument_options(request)
    options += [f"--label={key}={value}" for key, value in request.labels.items()]
    options += [f"--build-context={key}={value}" for key, value in request.build_contexts.items()]
    options += [f"--ssh={value}" for value in request.ssh]
    options += [f"--cache-from={value}" for value in request.cache_from]
    if request.platforms:
        options.append("--platform=" + ",".join(request.platforms))
    for name, text in (("target", request.target), ("network", request.network), ("builder", request.builder)):
        if text:
            options.append(f"--{name}={text}")
    if request.network == "host":
        options.append("--allow=network.host")
    options += request.options
    options += [f"--{name}" for name, chosen in (("no-cache", request.no_cache), ("pull", request.pull)) if chosen]
    return options
