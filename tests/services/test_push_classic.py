"""A push out of the classic image store, which makes a manifest that no audit saw: its config must be the audited one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

from container_image import DigestMismatchError, PreflightError, SecretLeakError, Verdict, audit, release
from container_image.oci import RegistrySource
from tests.engine.conftest import COPIES, declare, lines
from tests.services.conftest import Service
from tests.services.test_push import LEAKING, ask

CLONE_NEWNET = 0x40000000


@pytest.fixture(scope="module")
def reached(registry: Service, classic_host: str) -> Iterator[str]:
    """The second engine, which reaches the registry at the same address as we do, though in a network of its own."""
    port = int(registry.host.rpartition(":")[2])
    namespace = f"/proc/{Path(classic_host.removeprefix('unix://')).with_name('dockerd.pid').read_text()}/ns/net"
    with listen(namespace, port) as listener:
        Thread(target=forward, args=(listener, port), daemon=True).start()
        yield classic_host
        # Wakes the thread that accepts.
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def name(login: Service, reached: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name in the registry; the second engine is the current one."""
    monkeypatch.setenv("DOCKER_HOST", reached)
    name = f"{login.host}/app-{secrets.token_hex(4)}:1"
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def listen(namespace: str, port: int) -> socket.socket:
    """A listener on the loopback interface of another network namespace: a socket stays in the one where it was made."""

    def enter_and_listen() -> socket.socket:
        file = os.open(namespace, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(file, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), namespace)
        finally:
            os.close(file)
        return socket.create_server(("127.0.0.1", port))

    # Only this thread moves there, and it ends.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(enter_and_listen).result()


def forward(listener: socket.socket, port: int) -> None:
    """Each connection to the listener becomes one to the port here."""
    with contextlib.suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", port))
            for pair in ((near, far), (far, near)):
                Thread(target=copy, args=pair, daemon=True).start()


def copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_the_registry_serves_the_config_that_was_audited(
    login: Service, name: str, busybox_image: str, token: str
) -> None:
    built = declare(COPIES, busybox_image, token).build(tags=[name], push=True)
    assert built.report is not None
    assert built.report.image.digest_kind == "config"
    repository = name.removeprefix(f"{login.host}/").removesuffix(":1")
    _, manifest, digest = ask(login, f"{repository}/manifests/1")
    assert manifest["config"]["digest"] == built.digest != digest
    assert audit(f"docker://{name}", {"TOKEN": token}).verdict is Verdict.CLEAN


def test_after_a_leak_nothing_is_there(login: Service, name: str, busybox_image: str, token: str) -> None:
    with pytest.raises(SecretLeakError):
        declare(LEAKING, busybox_image, token).build(tags=[name], push=True)
    repository = name.removeprefix(f"{login.host}/").removesuffix(":1")
    assert ask(login, f"{repository}/tags/list")[0] == 404


def test_an_image_from_a_builder_without_a_store_can_be_pushed_and_not_loaded(
    login: Service, builder: str, name: str, busybox_image: str, token: str, tag: str
) -> None:
    with pytest.raises(PreflightError, match=r"the driver remote: .* can't load what it builds; .*, or push it"):
        declare(COPIES, busybox_image, token).build(tags=[tag], builder=builder)
    built = declare(COPIES, busybox_image, token).build(tags=[name], push=True, builder=builder)
    assert audit(f"docker://{name}", {"TOKEN": token}).image.digest == built.digest


def test_another_image_under_the_pushed_name_is_told(
    name: str, busybox_image: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*arguments: object) -> RegistrySource:
        """Somebody else's push of the same name comes between ours and the look at what is served."""
        lines("docker", "image", "tag", busybox_image, name)
        lines("docker", "image", "push", "--quiet", name)
        return RegistrySource(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(release, "RegistrySource", overtaken)
    with pytest.raises(DigestMismatchError, match="somebody else pushed that name"):
        declare(COPIES, busybox_image, token).build(tags=[name], push=True)
