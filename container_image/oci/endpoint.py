"""Where the `docker` command connects: a context's endpoint, with its TLS material, as a client of the engine there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.tls
import requests

from container_image.errors import EngineError
from container_image.state import inherited
from container_image.unreachable import is_denied, unreachable

_TIMEOUT = 600
_DEFAULT = "unix:///var/run/docker.sock"


def connect(context: str | None = None) -> docker.DockerClient:
    """A client at the endpoint that `docker --context CONTEXT` uses.

    Without a context it is the one that `docker` uses: DOCKER_HOST, else DOCKER_CONTEXT's, else the current context's.

    Raises:
        EngineError: there is no such context, or no engine can be reached there, which says why.
    """
    options = _options(context)
    host = options.get("base_url") or os.environ.get("DOCKER_HOST") or f"the default socket, {_DEFAULT}"
    try:
        if "base_url" in options:
            client = docker.DockerClient(timeout=_TIMEOUT, use_ssh_client=True, **options)
        else:
            client = docker.from_env(timeout=_TIMEOUT, use_ssh_client=True)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        if "paramiko" in str(error):
            raise EngineError(f"{host}: ssh needs one more package; run `pip install 'docker[ssh]'`") from None
        reason = str(error)
        raise unreachable(host, reason if is_denied(reason) else "") from None
    return client


def engine_host(context: str | None = None) -> str:
    """The address that `docker --context CONTEXT` uses, as `unix:///var/run/docker.sock`.

    Raises:
        EngineError: there is no such context.
    """
    return str(_options(context).get("base_url") or os.environ.get("DOCKER_HOST") or _DEFAULT)


def _options(context: str | None) -> dict[str, Any]:
    """What a context says of its endpoint; nothing where the environment alone decides."""
    name = context or (None if os.environ.get("DOCKER_HOST") else os.environ.get("DOCKER_CONTEXT"))
    if name == "default" or (name is None and os.environ.get("DOCKER_HOST")):
        return {}
    try:
        done = subprocess.run(
            ["docker", "context", "inspect", *([name] if name else [])],
            capture_output=True,
            check=True,
            timeout=30,
            env=inherited(),
        )
        (described,) = json.loads(done.stdout)
        endpoint = described["Endpoints"]["docker"]
        if described["Name"] == "default":
            return {}
        options = {"base_url": endpoint["Host"]}
        files = (described.get("TLSMaterial") or {}).get("docker") or ()
        if endpoint["Host"].startswith("tcp:") and (files or endpoint.get("SkipTLSVerify")):
            options["tls"] = _tls(Path(described["Storage"]["TLSPath"], "docker"), files, endpoint)
    except FileNotFoundError:
        if name is not None:
            raise EngineError(
                f"there is no `docker` command to ask for the context {name!r}; set DOCKER_HOST"
            ) from None
        return {}
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, docker.errors.TLSParameterError):
        raise EngineError(
            f"no usable Docker context {name or 'under the selected name'!r}; `docker context ls` lists those that there are"
        ) from None
    return options


def _tls(directory: Path, names: Sequence[str], endpoint: Mapping[str, Any]) -> docker.tls.TLSConfig:
    files = {Path(name).stem: str(directory / name) for name in names}
    pair = (files["cert"], files["key"]) if "cert" in files and "key" in files else None
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=files.get("ca"), verify=not endpoint.get("SkipTLSVerify"))
