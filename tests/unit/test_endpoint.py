"""Which engine an audit reads from: the one that the `docker` command would use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import docker
import pytest

from container_image.errors import EngineError
from container_image.oci.endpoint import connect


class Client:
    """Takes the place of the SDK's client, and remembers how it was made."""

    made: dict[str, Any]

    def __init__(self, **options: Any) -> None:
        type(self).made = options

    def ping(self) -> None:
        return None


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a `docker` command that knows the contexts whose descriptions are in it."""
    command = tmp_path / "docker"
    command.write_text(f'#!/bin/sh\nexec cat "{tmp_path}/${{3:-${{DOCKER_CONTEXT:-current}}}}"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(docker, "DockerClient", Client)
    monkeypatch.setattr(docker, "from_env", lambda **options: Client(base_url=None, **options))
    return tmp_path


def describe(directory: Path, name: str, host: str, *, file: str | None = None, **more: Any) -> None:
    storage = {"TLSPath": str(directory / "tls")}
    context = {
        "Name": name,
        "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}},
        "Storage": storage,
        **more,
    }
    (directory / (file or name)).write_text(json.dumps([context]))


def test_a_context_is_reached_at_its_own_host(described: Path) -> None:
    describe(described, "far", "ssh://me@far")
    connect("far")
    assert (Client.made["base_url"], Client.made["use_ssh_client"]) == ("ssh://me@far", True)


def test_without_a_name_it_is_the_selected_context(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(described, "desktop", "unix:///desktop.sock", file="current")
    connect()
    assert Client.made["base_url"] == "unix:///desktop.sock"
    describe(described, "other", "unix:///other.sock")
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    connect()
    assert Client.made["base_url"] == "unix:///other.sock"
    monkeypatch.setenv("DOCKER_HOST", "unix:///host.sock")
    connect()
    assert Client.made["base_url"] is None
    connect("other")
    assert Client.made["base_url"] == "unix:///other.sock"


def test_a_context_with_certificates_is_reached_with_them(described: Path) -> None:
    (described / "tls" / "docker").mkdir(parents=True)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (described / "tls" / "docker" / name).touch()
    describe(described, "safe", "tcp://safe:2376", TLSMaterial={"docker": ["ca.pem", "cert.pem", "key.pem"]})
    connect("safe")
    tls = Client.made["tls"]
    assert tls.verify
    assert tls.ca_cert == f"{described}/tls/docker/ca.pem"
    assert tls.cert == (f"{described}/tls/docker/cert.pem", f"{described}/tls/docker/key.pem")


def test_an_unknown_context_is_refused_by_name(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="'nowhere'"):
        connect("nowhere")
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(EngineError, match="'gone'"):
        connect()
