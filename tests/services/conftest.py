"""The services, started once by pytest-docker: a private index, a registry and a git server, each with its token."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa


@dataclass(frozen=True)
class Service:
    """Where a service answers, and what opens it."""

    host: str
    token: str


TOKENS = {name: secrets.token_hex(20) for name in ("INDEX_TOKEN", "REGISTRY_TOKEN", "GIT_TOKEN")}


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    os.environ.update(TOKENS)
    return str(Path(__file__).with_name("docker-compose.yml"))


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return f"container-image-tests-{secrets.token_hex(4)}"


def _service(docker_services: Any, name: str, port: int, path: str, token: str) -> Service:
    host = f"127.0.0.1:{docker_services.port_for(name, port)}"
    login = base64.b64encode(f"tester:{token}".encode()).decode()
    request = urllib.request.Request(f"http://{host}{path}", headers={"Authorization": f"Basic {login}"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(100):
        try:
            with opener.open(request, timeout=5):
                return Service(host, token)
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{name} does not answer")


@pytest.fixture(scope="session")
def private_index(docker_services: Any) -> Service:
    """A Python index with the package acme-greeting."""
    return _service(docker_services, "index", 8080, "/simple/acme-greeting/", TOKENS["INDEX_TOKEN"])


@pytest.fixture(scope="session")
def registry(docker_services: Any) -> Service:
    """A registry; its user is `tester`."""
    return _service(docker_services, "registry", 5000, "/v2/", TOKENS["REGISTRY_TOKEN"])


@pytest.fixture(scope="session")
def git_server(docker_services: Any) -> Service:
    """A git server with the repository acme.git."""
    return _service(docker_services, "git", 8080, "/acme.git/info/refs", TOKENS["GIT_TOKEN"])


@pytest.fixture
def login(registry: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A Docker configuration with the registry's login in it."""
    auth = base64.b64encode(f"tester:{registry.token}".encode()).decode()
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return registry


PROXY = """
import os, socket, subprocess, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    subprocess.Popen(["docker", "buildx", "dial-stdio"], stdin=connection, stdout=connection)
    connection.close()
"""


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[str]:
    """A builder without a store of images: the engine's BuildKit, reached as a remote one through a socket."""
    name = f"remote-{secrets.token_hex(4)}"
    socket = tmp_path / "buildkit.sock"
    proxy = subprocess.Popen([sys.executable, "-c", PROXY, socket], stdout=subprocess.PIPE)
    assert proxy.stdout is not None
    proxy.stdout.readline()
    create = ["docker", "buildx", "create", "--name", name, "--driver", "remote", f"unix://{socket}"]
    subprocess.run(create, check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "buildx", "rm", name], check=False, capture_output=True)
    proxy.kill()
    proxy.wait()


_UNPRIVILEGED = "nobody"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL server with a password, stopped at the end; the URL of a database in it, as its superuser."""
    script = Path(__file__).parents[2] / "scripts" / "postgresql.sh"
    found = subprocess.run([script, "programs"], capture_output=True, check=False, text=True)
    if found.returncode:
        refuse = pytest.fail if os.environ.get("CI") else pytest.skip
        refuse("PostgreSQL is not installed; run `make postgresql`")
    programs = Path(found.stdout.strip())
    password = secrets.token_hex(10)
    directory = Path(tempfile.mkdtemp(prefix="container-image-postgresql-"))
    (directory / "password").write_text(password)
    # It refuses to run as root.
    user = ["setpriv", f"--reuid={_UNPRIVILEGED}", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(directory, _UNPRIVILEGED)
        shutil.chown(directory / "password", _UNPRIVILEGED)
    data = directory / "data"
    made = [programs / "initdb", "--auth=scram-sha-256", f"--pwfile={directory}/password", "--username=tester", data]
    subprocess.run([*user, *made], check=True, capture_output=True, cwd=directory)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": directory, "fsync": "off"}
    command = [*user, programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)
    try:
        for _ in range(200):
            if (
                subprocess.run(
                    [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False
                ).returncode
                == 0
            ):
                break
            assert server.poll() is None, (directory / "log").read_text()
            time.sleep(0.05)
        yield f"postgresql+psycopg://tester:{password}@127.0.0.1:{port}/postgres"
    finally:
        # A fast shutdown, which waits for no client.
        server.send_signal(signal.SIGINT)
        server.wait()
        shutil.rmtree(directory)


@pytest.fixture
def database(postgresql: str) -> str:
    """The URL of an empty database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    with sa.create_engine(postgresql, isolation_level="AUTOCOMMIT").connect() as connection:
        # The encoding that a database has where nobody chose one.
        connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'"))
    return postgresql.rsplit("/", 1)[0] + f"/{name}"
