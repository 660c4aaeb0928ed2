"""The user's Docker configuration with a build's own registry logins in it, and everything else as it was."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from container_image.errors import InvalidInputError
from container_image.secrets import SecretValue

FILE = "config.json"


def user_directory(environment: Mapping[str, str]) -> Path:
    """Where the user's Docker configuration is."""
    return Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")


def with_logins(directory: Path, registries: Mapping[str, tuple[str, SecretValue]]) -> bytes:
    """The `config.json` of a directory with these logins, each a host's user name and password.

    Raises:
        InvalidInputError: the user's own file is not a Docker configuration.
    """
    config = _read(directory)
    auths = config["auths"] = dict(config.get("auths") or {})
    helpers = config["credHelpers"] = dict(config.get("credHelpers") or {})
    for host, (user, password) in registries.items():
        auths[host] = {
            "auth": base64.b64encode(user.encode("utf-8", "surrogateescape") + b":" + password.reveal()).decode()
        }
        # A host whose helper is "" has its login in this file, whatever store the user has for the others.
        helpers[host] = ""
    return json.dumps(config).encode()


def proxies(directory: Path) -> dict[str, str]:
    """The proxies that the client passes to builds, by variable name (`httpProxy` is `http_proxy`); all endpoints' together.

    Raises:
        InvalidInputError: the file is not a Docker configuration.
    """
    found = {}
    for settings in _object(_read(directory).get("proxies")).values():
        for key, url in _object(settings).items():
            if isinstance(url, str):
                found[key.replace("Proxy", "_proxy")] = url
    return found


def _read(directory: Path) -> dict[str, Any]:
    try:
        config = json.loads((directory / FILE).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict):
        raise InvalidInputError(f"{directory / FILE}: not a Docker configuration; correct it")
    return config


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def link(user: Path, directory: Path, config: str) -> None:
    """Makes `directory` one with everything of the user's (contexts, builders, plugins) and another `config.json`."""
    directory.mkdir(mode=0o700)
    if user.is_dir():
        for item in user.iterdir():
            if item.name != FILE:
                (directory / item.name).symlink_to(item)
    (directory / FILE).symlink_to(config)
