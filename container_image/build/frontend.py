"""Which frontend reads a Dockerfile, what it is told of the platform, and what to do where it can't be asked."""

from __future__ import annotations

import platform as machine
import re
from collections.abc import Mapping, Sequence

from container_image.build.request import BuildRequest
from container_image.dockerfile import parse

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_UNFETCHED = re.compile(r"failed to resolve source metadata for (\S+): (.*)", re.DOTALL)
_NO_ANSWER = re.compile(
    r"unsupported (frontend capability moby\.buildkit\.frontend\.subrequests|request frontend\.(outline|lint))"
)


def frontend(request: BuildRequest) -> str | None:
    """The image of the frontend that the build asks for; None for the builder's own."""
    return request.build_args.get("BUILDKIT_SYNTAX") or parse(request.dockerfile).syntax


def unfetched(request: BuildRequest, error: str) -> str | None:
    """What to say of an error that is the frontend's absence; None for any other."""
    name, match = frontend(request), _UNFETCHED.search(error)
    if name is None or match is None or name.removeprefix("docker.io/") not in match[1]:
        return None
    return (
        f"the frontend {name} could not be fetched: {match[2]}; connect to its registry (and log in), or use the builder's "
        "own frontend: drop the `# syntax=` line, or BUILDKIT_SYNTAX"
    )


def has_no_answer(error: str) -> bool:
    """Whether an error is that of a frontend that answers no questions: what a build mounts, what is wrong with it."""
    return _NO_ANSWER.search(error) is not None


def platform_arguments(platform: str | None) -> dict[str, str]:
    """The build arguments that BuildKit sets for stages built for a platform, None for the builder's.

    The builder's own is taken to be like this machine's.
    """
    native = "linux/" + _ARCHITECTURES.get(machine.machine().lower(), machine.machine())
    found: dict[str, str] = {}
    for prefix, name in (("BUILD", native), ("TARGET", platform or native)):
        system, _, rest = name.partition("/")
        architecture, _, variant = rest.partition("/")
        found |= {f"{prefix}PLATFORM": name, f"{prefix}OS": system, f"{prefix}ARCH": architecture}
        found[f"{prefix}VARIANT"] = variant
    return found


def predefined_arguments(platforms: Sequence[str | None], target: str | None) -> Mapping[str, str]:
    """Those that are the same for every platform of a build."""
    sets = [set(platform_arguments(platform).items()) for platform in (platforms or [None])]
    return {**dict(set.intersection(*sets)), "TARGETSTAGE": target or "default"}


def outline_arguments(platform: str) -> list[str]:
    """Options that make an outline that of a platform: left alone, it is always of the builder's, whatever is built."""
    found = platform_arguments(platform)
    return [f"--build-arg={name}={value}" for name, value in found.items() if name.startswith("TARGET")]
