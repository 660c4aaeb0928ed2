"""The base of an image in a registry, by its digest in that registry, or in an engine that has only pulled it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from container_image import AuditPolicy, Verdict, audit
from tests.services.conftest import Service
from tests.services.test_push_classic import reached

__all__ = ["reached"]


def docker(*arguments: str | Path, text: str = "") -> None:
    subprocess.run(["docker", *arguments], input=text.encode(), capture_output=True, check=True)


def test_the_base_of_an_image_in_a_registry_is_known_from_there(
    login: Service, reached: str, busybox_image: str, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, app = (f"{login.host}/{name}-{token[:8]}:1" for name in ("base", "app"))
    build = ["buildx", "build", "--quiet", "--file", "-", tmp_path]
    docker(*build, "--tag", base, text=f"FROM {busybox_image}\nRUN echo {token} > /planted\n")
    docker(*build, "--tag", app, text=f"FROM {base}\nRUN cat /planted > /own\n")
    docker("push", base)
    docker("push", app)
    docker("image", "save", "--output", tmp_path / "app.tar", app)
    docker("image", "rm", "--force", base, app)

    def found(reference: str) -> set[tuple[str | None, str, bool]]:
        report = audit(reference, {"TOKEN": token}, policy=AuditPolicy(accept_base=True))
        assert report.verdict is Verdict.LEAKED
        return {(item.path, item.origin, item.accepted) for item in report.findings if item.surface == "layer"}

    known = {("planted", "base", True), ("own", "unknown", False)}
    unknown = {("planted", "unknown", False), ("own", "unknown", False)}
    assert found(f"docker://{app}") == known
    # The classic image store knows the digest of what it pulled, and that of nothing else.
    monkeypatch.setenv("DOCKER_HOST", reached)
    assert found(str(tmp_path / "app.tar")) == unknown
    docker("pull", base)
    try:
        assert found(str(tmp_path / "app.tar")) == known
    finally:
        docker("image", "rm", "--force", base)
