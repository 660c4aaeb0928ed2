"""Build arguments that are credentials, on a real engine: found in the history, redacted, and in no process's arguments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from container_image import ContainerImage, SecretLeakError
from tests.engine.conftest import exists

PROGRAM = Path(sys.executable).with_name("container-image")
USES = 'ARG NPM_TOKEN\nRUN echo "//registry.example.com/:_authToken=$NPM_TOKEN" > /npmrc; cat /npmrc; rm /npmrc\n'
MOUNTS = 'RUN --mount=type=secret,id=NPM_TOKEN,env=NPM_TOKEN test -n "$NPM_TOKEN"\n'


@pytest.fixture
def npm_token(token: str) -> str:
    return f"npm_{token[:36]}"


@pytest.fixture
def context(tmp_path: Path, busybox_image: str) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text(f"FROM {busybox_image}\n{USES}")
    return directory


def run(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, env={**os.environ, **env})


def test_a_token_as_a_build_argument_is_a_leak(context: Path, tag: str, npm_token: str) -> None:
    for given, env in ((f"NPM_TOKEN={npm_token}", {}), ("NPM_TOKEN", {"NPM_TOKEN": npm_token})):
        done = run("build", context, "--build-arg", given, "-t", tag, "--progress", "plain", **env)
        assert done.returncode == 1, done.stderr
        assert "LEAK  build-arg:NPM_TOKEN  (raw)" in done.stdout
        assert "history" in done.stdout
        assert "mount it (RUN --mount=type=secret,id=NPM_TOKEN)" in done.stdout
        assert "[build-arg:NPM_TOKEN]" in done.stderr
        assert "build-arg:NPM_TOKEN stayed in the image, which was not tagged" in done.stderr
        assert npm_token not in done.stdout + done.stderr
        assert not exists(tag)


def test_a_step_that_fails_does_not_show_it(context: Path, npm_token: str) -> None:
    (context / "Dockerfile").write_text((context / "Dockerfile").read_text() + 'RUN echo "$NPM_TOKEN" >&2; exit 7\n')
    done = run("build", context, "--build-arg", f"NPM_TOKEN={npm_token}")
    assert done.returncode == 2
    assert "exit code: 7" in done.stderr
    assert npm_token not in done.stdout + done.stderr


def test_what_is_said_to_be_public_is_not_searched_for(
    context: Path, tag: str, npm_token: str, busybox_image: str
) -> None:
    public = ("--build-arg", f"NPM_TOKEN={npm_token}", "--build-arg-public", "NPM_TOKEN")
    done = run("build", context, *public, "-t", tag)
    assert done.returncode == 0, done.stderr
    assert "NOT AUDITED" in done.stderr
    (context / "Dockerfile").write_text(f"FROM {busybox_image}\n{USES}{MOUNTS}")
    mounted = run(
        "build", context, *public, "--secret", "id=NPM_TOKEN,env=OTHER", "-t", tag, OTHER="another-9aZ8bY7cX6dW5eV4"
    )
    assert mounted.returncode == 0, mounted.stderr
    assert "not searched for, as public: build-arg:NPM_TOKEN" in mounted.stdout


def test_a_mounted_token_and_an_unused_argument_are_clean(
    context: Path, tag: str, npm_token: str, busybox_image: str
) -> None:
    (context / "Dockerfile").write_text(f"FROM {busybox_image}\n{MOUNTS}")
    assert run("build", context, "--secret", "id=NPM_TOKEN", "-t", tag, NPM_TOKEN=npm_token).returncode == 0
    # Docker takes an argument that no ARG declares, and it is nowhere in the image then.
    (context / "Dockerfile").write_text(f"FROM {busybox_image}\nRUN true\n")
    done = run("build", context, "--build-arg", f"NPM_TOKEN={npm_token}", "-t", tag)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("clean: searched for 1 secret")


def test_a_check_tells_it(context: Path, npm_token: str) -> None:
    (context / "Dockerfile").write_text((context / "Dockerfile").read_text() + "ARG PASSWORD=changeme\n")
    done = run("check", context, "--build-arg", f"NPM_TOKEN={npm_token}")
    assert done.returncode == 0, done.stderr
    assert f"{context}/Dockerfile:2: the build argument NPM_TOKEN holds a credential" in done.stdout
    assert f"{context}/Dockerfile:4: the build argument PASSWORD names a credential" in done.stdout
    assert npm_token not in done.stdout + done.stderr
    public = run("check", context, "--build-arg", f"NPM_TOKEN={npm_token}", "--build-arg-public", "NPM_TOKEN")
    assert "argument NPM_TOKEN" not in public.stdout


def test_a_declarations_argument_and_a_default_are_leaks(busybox_image: str, npm_token: str, tag: str) -> None:
    declared = ContainerImage(f"FROM {busybox_image}\n{USES}", {"NPM_TOKEN": npm_token})
    default = ContainerImage(f"FROM {busybox_image}\n{USES.replace('NPM_TOKEN', f'NPM_TOKEN={npm_token}', 1)}")
    for image in (declared, default):
        with pytest.raises(SecretLeakError, match="build-arg:NPM_TOKEN stayed in the image") as caught:
            image.build(tags=[tag])
        assert {finding.surface for finding in caught.value.report.findings} == {"history"}
        assert npm_token not in caught.value.report.model_dump_json() + str(caught.value)
        assert not exists(tag)


def test_a_placeholder_is_a_warning(busybox_image: str, tag: str) -> None:
    image = ContainerImage(f"FROM {busybox_image}\nARG PASSWORD=changeme\nRUN true\n")
    built = image.build(tags=[tag])
    (warning,) = [item for item in built.warnings if item.code == "plain-build-arg"]
    assert "the build argument PASSWORD names a credential" in warning.message


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that writes its arguments into this file, and then does what it is asked to do."""
    log, real = tmp_path / "arguments", subprocess.run(["which", "docker"], capture_output=True, check=True, text=True)
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {log}\nexec {real.stdout.strip()} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return log


def test_no_process_has_it_in_its_arguments(recorded: Path, busybox_image: str, npm_token: str) -> None:
    with pytest.raises(SecretLeakError):
        ContainerImage(f"FROM {busybox_image}\n{USES}", {"NPM_TOKEN": npm_token, "OTHER": "1"}).build()
    arguments = recorded.read_text().splitlines()
    assert {"--build-arg=NPM_TOKEN", "--build-arg=OTHER=1"} <= set(arguments)
    assert npm_token not in recorded.read_text()


@pytest.fixture
def served(context: Path) -> Iterator[str]:
    """The URL of the context's files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(context)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_default_in_a_dockerfile_that_is_fetched_is_a_leak(
    served: str, context: Path, busybox_image: str, npm_token: str, tag: str
) -> None:
    (context / "Remote").write_text(f"FROM {busybox_image}\n{USES.replace('NPM_TOKEN', f'NPM_TOKEN={npm_token}', 1)}")
    done = run("build", context, "-f", f"{served}/Remote", "-t", tag)
    assert done.returncode == 1, done.stderr
    assert "LEAK  build-arg:NPM_TOKEN" in done.stdout
    assert npm_token not in done.stdout + done.stderr


@pytest.mark.parametrize("option", ["-q", "--progress=none", "--progress=plain"])
def test_a_build_with_nothing_to_search_for_says_so(context: Path, tag: str, tmp_path: Path, option: str) -> None:
    report = tmp_path / "report.json"
    done = run("build", context, "-t", tag, option, "--report", f"json={report}")
    assert done.returncode == 0, done.stderr
    assert "container-image: NOT AUDITED: the image was searched for nothing" in done.stderr
    assert "--secret id=NAME,env=VARIABLE" in done.stderr
    assert "no report was written" in done.stderr
    assert not report.exists()
    declined = run(
        "build", context, "-t", tag, option, "--no-audit", "--secret", "id=T", "--allow-unused", T="a1b2c3d4"
    )
    assert "container-image: NOT AUDITED: the image was searched for nothing, as --no-audit" in declined.stderr


def test_a_build_that_would_not_be_audited_is_refused_where_that_fails(context: Path, tag: str) -> None:
    refused = run("build", context, "-t", tag, "--fail-on-warning", "not-audited")
    assert refused.returncode == 2
    assert "container-image: NOT AUDITED: the image was searched for nothing" in refused.stderr
    files = run("build", context, "-t", tag, "--fail-on-warning", "credential-file")
    assert files.returncode == 2
    assert "--fail-on-warning credential-file needs an audit" in files.stderr
    assert not exists(tag)


def test_a_declaration_with_nothing_to_search_for_says_so(busybox_image: str, tag: str) -> None:
    built = ContainerImage(f"FROM {busybox_image}\nRUN true\n").build(tags=[tag])
    assert built.report is None
    assert [warning.code for warning in built.warnings] == ["not-audited"]
    assert json.loads(built.warnings[0].model_dump_json())["message"].startswith("NOT AUDITED")
