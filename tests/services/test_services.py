"""Against real services: a registry that wants a login, a private index, a git server with a token."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest

from container_image import ContainerImage, ImageNotFoundError, ImageReadError, Secret, SecretLeakError, Verdict, audit
from tests.services.conftest import Service

PUSHED = """\
ARG BASE_IMAGE=busybox:1.37
FROM ${BASE_IMAGE}
RUN --mount=type=secret,id=TOKEN cp /run/secrets/TOKEN /leak
"""


def push(registry: Service, image: str, token: str) -> str:
    name = f"{registry.host}/app:{secrets.token_hex(4)}"
    declared = ContainerImage.from_dockerfile_str(PUSHED, build_args={"BASE_IMAGE": image}, secrets={"TOKEN": token})
    declared.build(tags=[name], no_audit=True)
    subprocess.run(["docker", "push", "--quiet", name], check=True, capture_output=True)
    subprocess.run(["docker", "image", "rm", "--force", name], check=True, capture_output=True)
    return name


def test_an_image_in_a_registry_is_audited_with_the_users_login(login: Service, busybox_image: str, token: str) -> None:
    name = push(login, busybox_image, token)
    report = audit(f"docker://{name}", {"TOKEN": token})
    assert report.verdict is Verdict.LEAKED
    assert [(finding.path, finding.platform) for finding in report.findings] == [("leak", "linux/amd64")]
    assert report.image.digest_kind == "index"
    by_digest = audit(f"docker://{name.rsplit(':', 1)[0]}@{report.image.digest}", {"TOKEN": token})
    assert by_digest.image.digest == report.image.digest
    assert audit(f"docker://{name}", {"OTHER": secrets.token_hex(20)}).verdict is Verdict.CLEAN


def test_what_a_registry_refuses_says_what_to_do(
    login: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    with pytest.raises(ImageNotFoundError, match="no image nothing"):
        audit(f"docker://{login.host}/nothing:here", {"TOKEN": token})
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(ImageReadError, match=f"docker login {login.host}"):
        audit(f"docker://{login.host}/app:any", {"TOKEN": token})
    with pytest.raises(ImageReadError, match="does not answer"):
        audit("docker://127.0.0.1:9/app:any", {"TOKEN": token})


def test_the_example_installs_from_a_private_index_and_is_clean(
    private_index: Service, base_image: str, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_TOKEN", private_index.token)
    arguments = {"BASE_IMAGE": base_image, "INDEX_HOST": private_index.host}
    held = {"PIP_TOKEN": Secret.from_env("PIP_TOKEN")}
    image = ContainerImage.from_dockerfile("dockerfiles/private-index.Dockerfile", build_args=arguments, secrets=held)
    built = image.build(tags=[tag], network="host")
    assert built.report is not None
    assert built.report.verdict is Verdict.CLEAN
    done = subprocess.run(["docker", "run", "--rm", tag], capture_output=True, check=True, text=True)
    assert done.stdout == "hello, world\n"


def test_a_git_clone_with_a_token_leaks_it(git_server: Service, base_image: str, tag: str) -> None:
    text = (
        "ARG BASE_IMAGE=python:3.12-bookworm\nFROM ${BASE_IMAGE}\nARG HOST\n"
        'RUN --mount=type=secret,id=GIT_TOKEN git clone "http://ci:$(cat /run/secrets/GIT_TOKEN)@${HOST}/acme.git" /src\n'
    )
    image = ContainerImage.from_dockerfile_str(
        text,
        build_args={"BASE_IMAGE": base_image, "HOST": git_server.host},
        secrets={"GIT_TOKEN": git_server.token},
    )
    with pytest.raises(SecretLeakError) as caught:
        image.build(tags=[tag], network="host")
    assert "src/.git/config" in {finding.path for finding in caught.value.report.findings}
