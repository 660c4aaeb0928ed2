"""Lists the credentials that a build holds beside its declared secrets: they must not be in the image either.

These are registry passwords; the userinfo of proxies, of a Git or http context and of further contexts; local `ssh=`
keys; and the credentials among the build arguments (`arguments.py`).
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from container_image.build import docker_config
from container_image.build.arguments import PROXY_VARIABLE, argument_credentials, arguments
from container_image.secrets import SecretValue

if TYPE_CHECKING:
    from container_image.build.request import BuildRequest

_USERINFO = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://([^/@\s]+)@")
PROXY = "proxy:"
"""How the name of a proxy's password begins."""


def credentials(request: BuildRequest) -> dict[str, SecretValue]:
    """Each credential under a name such as `registry:HOST`."""
    held = {password.name: password for _, password in request.registries.values()}
    held |= {name: SecretValue(name, value) for name, value in _credentials(request)}
    held |= argument_credentials(arguments(request.dockerfile, request.build_args), request.build_args_public)
    return {name: value for name, value in held.items() if value.reveal().strip()}


def _credentials(request: BuildRequest) -> Iterator[tuple[str, bytes]]:
    # The client passes the proxies of the user's configuration to every build, as build arguments.
    for name, url in {**docker_config.proxies(docker_config.user_directory(os.environ)), **request.build_args}.items():
        if PROXY_VARIABLE.fullmatch(name) and (found := userinfo(url)) is not None:
            yield f"{PROXY}{name}", found
    for name, url in {"context": str(request.context), **request.build_contexts}.items():
        if (found := userinfo(url)) is not None:
            yield name if name == "context" else f"context:{name}", found
    for name, path in _keys(request.ssh):
        try:
            yield f"ssh:{name}", path.read_bytes()
        except OSError:
            # BuildKit refuses what can't be read, and says so.
            continue


def userinfo(url: str) -> bytes | None:
    """The password of a URL's userinfo, or the user where there is no password: a token, as Git hosts take it."""
    match = _USERINFO.match(url)
    if match is None:
        return None
    user, separator, password = match[1].partition(":")
    if not separator and url.startswith("ssh:"):
        return None
    return urllib.parse.unquote_to_bytes(password or user)


def _keys(specs: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """The key files of `--ssh` options: `default=KEY,KEY`; a socket is an agent's."""
    for spec in specs:
        name, _, paths = spec.partition("=")
        for path in filter(None, paths.split(",")):
            file = Path(path).expanduser()
            if file.is_file():
                yield name, file
