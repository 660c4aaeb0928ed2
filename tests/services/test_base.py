"""The base of an image in a registry, by its digest in that registry."""

from __future__ import annotations

import subprocess
from pathlib import Path

from container_image import AuditPolicy, Verdict, audit
from tests.services.conftest import Service


def docker(*arguments: str | Path, text: str = "") -> None:
    subprocess.run(["docker", *arguments], input=text.encode(), capture_output=True, check=True)


def test_the_base_of_an_image_in_a_registry_is_known_from_there(
    login: Service, busybox_image: str, token: str, tmp_path: Path
) -> None:
    base, app = (f"{login.host}/{name}-{token[:8]}:1" for name in ("base", "app"))
    build = ["buildx", "build", "--quiet", "--file", "-", tmp_path]
    docker(*build, "--tag", base, text=f"FROM {busybox_image}\nRUN echo {token} > /planted\n")
    docker(*build, "--tag", app, text=f"FROM {base}\nRUN cat /planted > /own\n")
    docker("push", base)
    docker("push", app)
    docker("image", "rm", "--force", base, app)
    report = audit(f"docker://{app}", {"TOKEN": token}, policy=AuditPolicy(accept_base=True))
    assert {(item.path, item.origin, item.accepted) for item in report.findings if item.surface == "layer"} == {
        ("planted", "base", True),
        ("own", "unknown", False),
    }
    assert report.verdict is Verdict.LEAKED
