"""What a push leaves in a registry: the audited image under its digest, or nothing at all."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from container_image import (
    ContainerImage,
    DigestMismatchError,
    PreflightError,
    SecretLeakError,
    SecretStore,
    Verdict,
    audit,
)
from container_image.build import open_run, run_build
from container_image.release import release
from tests.engine.conftest import COPIES, declare, exists
from tests.services.conftest import Service

LEAKING = COPIES + "RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /leak\n"
ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)


def ask(registry: Service, path: str) -> tuple[int, dict[str, Any], str | None]:
    """The registry's own answer: status, document, digest."""
    login = base64.b64encode(f"tester:{registry.token}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Accept": ACCEPT}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(f"http://{registry.host}/v2/{path}", headers=headers)) as answer:
            return answer.status, json.loads(answer.read()), answer.headers.get("Docker-Content-Digest")
    except urllib.error.HTTPError as error:
        return error.code, {}, None


@pytest.fixture
def repository() -> str:
    return f"app-{secrets.token_hex(4)}"


def test_what_was_audited_is_what_the_registry_serves(
    login: Service, repository: str, busybox_image: str, token: str
) -> None:
    name = f"{login.host}/{repository}:1"
    cache = f"type=registry,ref={login.host}/{repository}:cache,mode=max"
    built = declare(COPIES, busybox_image, token, cache_to=[cache]).build(tags=[name], push=True)
    assert ask(login, f"{repository}/manifests/1")[::2] == (200, built.digest)
    assert audit(f"docker://{name}", {"TOKEN": token}).verdict is Verdict.CLEAN
    assert ask(login, f"{repository}/manifests/cache")[0] == 200
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def test_after_a_leak_nothing_is_there(login: Service, repository: str, busybox_image: str, token: str) -> None:
    name = f"{login.host}/{repository}:1"
    cache = f"type=registry,ref={login.host}/{repository}:cache"
    with pytest.raises(SecretLeakError):
        declare(LEAKING, busybox_image, token, cache_to=[cache]).build(
            tags=[name], push=True, outputs=[f"type=registry,name={login.host}/{repository}:2"]
        )
    assert not exists(name)
    assert ask(login, f"{repository}/tags/list")[0] == 404


def test_declared_registries_log_a_build_in_and_its_password_is_searched_for(
    registry: Service, repository: str, busybox_image: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The user's own configuration has no login, and a context that must go on working.
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"other.example.com": {"auth": "YTpi"}}}))
    before = (tmp_path / "config.json").read_bytes()
    registries = {registry.host: {"username": "tester", "password": registry.token}}
    name = f"{registry.host}/{repository}:1"
    built = declare(COPIES, busybox_image, token, registries=registries).build(tags=[name], push=True)
    assert ask(registry, f"{repository}/manifests/1")[2] == built.digest
    assert built.report is not None
    assert {row.name for row in built.report.secrets} == {"TOKEN", f"registry:{registry.host}"}
    assert (tmp_path / "config.json").read_bytes() == before
    # As the store's secrets.
    SecretStore.open().secrets.set_all({"REG_USER": "tester", "REG_TOKEN": registry.token})
    registries = {registry.host: {"username": "$REG_USER", "password": "${REG_TOKEN}"}}
    leaking = declare(COPIES + f"RUN echo {registry.token} > /leak\n", busybox_image, token, registries=registries)
    with pytest.raises(SecretLeakError) as caught:
        leaking.build(tags=[name])
    assert {finding.secret for finding in caught.value.report.findings} == {f"registry:{registry.host}"}
    # From the registry again, which needs the login: as a base image.
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)
    ContainerImage.from_dockerfile_str(f"FROM {name}\nLABEL a=b\n", registries=registries).build(pull=True)


def test_the_users_docker_configuration_survives_declared_registries(
    registry: Service, repository: str, busybox_image: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, password = tmp_path / "docker", secrets.token_hex(20)
    user.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(user))
    auth = base64.b64encode(f"tester:{registry.token}".encode()).decode()
    proxies = {"default": {"httpProxy": "http://proxy.example.com:3128"}}
    (user / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}, "proxies": proxies}))
    subprocess.run(["docker", "context", "create", "mine"], check=True, capture_output=True)
    plugin = user / "cli-plugins" / "docker-mine"
    plugin.parent.mkdir()
    plugin.write_text("#!/bin/sh\n")
    seen: set[str] = set()

    def look(_event: object) -> None:
        """Where the build may have written: nowhere is the password, and what is the user's is there too."""
        for directory in Path("/dev/shm").glob("container-image-*/docker"):
            seen.update(path.name for path in directory.iterdir())
        places = [str(user), *map(str, Path("/dev/shm").glob("container-image-*")), *map(str, tmp_path.iterdir())]
        for text in (password, base64.b64encode(f"me:{password}".encode()).decode()):
            assert subprocess.run(["grep", "-rlsF", text, *places], capture_output=True, check=False).stdout == b""

    name = f"{registry.host}/{repository}:1"
    image = declare(
        COPIES + "RUN echo $http_proxy > /proxy\n", busybox_image, token,
        registries={"other.example.com": {"username": "me", "password": password}},
    )  # fmt: skip
    # An existing login, a context as a builder and a proxy: all of them as without the declared registry.
    built = image.build(tags=[name], push=True, builder="mine", on_event=look)
    assert ask(registry, f"{repository}/manifests/1")[2] == built.digest
    shown = subprocess.run(["docker", "run", "--rm", name, "cat", "/proxy"], capture_output=True, check=True)
    assert shown.stdout == b"http://proxy.example.com:3128\n"
    assert {"config.json", "contexts", "cli-plugins"} <= seen
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def test_a_registry_that_serves_another_image_is_an_error(
    login: Service, repository: str, busybox_image: str, token: str
) -> None:
    name = f"{login.host}/{repository}:1"
    with open_run(declare(COPIES, busybox_image, token).request(tags=[name], push=True)) as run:
        built = run_build(run)
        with pytest.raises(DigestMismatchError, match=rf"{name}: the registry serves sha256:\w+, and sha256:0+ was"):
            release(run, "sha256:" + "0" * 64, "index", built.metadata)


def test_a_push_without_a_name_is_refused(busybox_image: str, token: str) -> None:
    with pytest.raises(PreflightError, match="no name to push the image under"):
        declare(COPIES, busybox_image, token).build(push=True)


def test_a_builder_without_a_store_exports_here_and_its_blobs_are_pushed(
    login: Service,
    repository: str,
    builder: str,
    busybox_image: str,
    token: str,
    tag: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"{login.host}/{repository}:1"
    built = declare(COPIES, busybox_image, token).build(tags=[name], push=True, builder=builder)
    assert ask(login, f"{repository}/manifests/1")[::2] == (200, built.digest)
    assert audit(f"docker://{name}", {"TOKEN": token}).image.digest == built.digest
    with pytest.raises(SecretLeakError):
        declare(LEAKING, busybox_image, token).build(tags=[f"{name}-leak"], push=True, builder=builder)
    assert ask(login, f"{repository}/manifests/1-leak")[0] == 404
    loaded = declare(COPIES, busybox_image, token).build(tags=[tag], builder=builder)
    assert exists(tag)
    assert audit(tag, {"TOKEN": token}).image.digest == loaded.digest
