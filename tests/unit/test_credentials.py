"""What a build holds beside its declared secrets: found wherever a request may keep it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from container_image.build import BuildRequest
from container_image.build.credentials import credentials
from container_image.secrets import SecretValue


def held(**fields: object) -> dict[str, bytes]:
    request = BuildRequest("FROM scratch\n", **{"context": Path(), **fields})  # type: ignore[arg-type]
    return {name: value.reveal() for name, value in credentials(request).items()}


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


def test_a_plain_build_holds_none() -> None:
    assert held(build_args={"http_proxy": "http://proxy.example.com"}, ssh=("default",)) == {}


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("https://me:t%6Fken@example.com/a.git#main", b"token"),
        ("https://token@example.com/a.git", b"token"),
        ("ssh://git@example.com/a.git", None),
        ("https://example.com/me:token@path", None),
        ("git@example.com:a.git", None),
    ],
)
def test_the_userinfo_of_contexts_is_a_credential(url: str, value: bytes | None) -> None:
    assert held(context=url).get("context") == value
    assert held(build_contexts={"lib": url}).get("context:lib") == value


def test_proxies_registries_and_keys_are_credentials(configuration: Path) -> None:
    (configuration / "config.json").write_text(
        json.dumps({"proxies": {"default": {"httpsProxy": "http://ci:from-config@proxy.example.com"}}})
    )
    (configuration / "key").write_bytes(b"a private key")
    found = held(
        build_args={"HTTP_PROXY": "http://ci:from-argument@proxy.example.com", "OTHER": "http://a:b@c"},
        registries={"example.com": ("me", SecretValue("registry:example.com", b"password"))},
        ssh=(f"deploy={configuration / 'key'}", "agent=/no/such/socket"),
    )
    assert found == {
        "registry:example.com": b"password",
        "proxy:https_proxy": b"from-config",
        "proxy:HTTP_PROXY": b"from-argument",
        "ssh:deploy": b"a private key",
    }
