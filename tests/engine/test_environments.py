"""Builds with secrets of the store: one environment's values go in, and only where they are mounted; all are searched for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from container_image import ContainerImage, SecretLeakError, SecretStore
from tests.conftest import BUSYBOX
from tests.engine.conftest import exists

PROGRAM = str(Path(sys.executable).with_name("container-image"))
MAIN, STAGING = "main-9aZ8bY7cX6dW5eV4", "staging-1hG2jF3kD4lS5aP6"
SUM = "RUN --mount=type=secret,id=TOKEN md5sum /run/secrets/TOKEN > /sum\n"


@pytest.fixture
def store() -> SecretStore:
    store = SecretStore.open()
    store.environments.create("staging")
    store.secrets.set("TOKEN", MAIN)
    store.secrets.set("TOKEN", STAGING, "staging")
    store.secrets.set("DATABASE_PASSWORD", "database-8kL9mN0bV1cX", "main")
    return store


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        capture_output=True, check=False, text=True, env={**os.environ, **variables},
    )  # fmt: skip


def context(directory: Path, text: str) -> str:
    (directory / "Dockerfile").write_text(f"FROM {BUSYBOX}\n{text}")
    return str(directory)


@pytest.mark.usefixtures("store")
def test_only_a_declared_mount_delivers_a_value(tmp_path: Path, tag: str) -> None:
    steps = "RUN env > /before\nRUN --mount=type=secret,id=TOKEN cat /run/secrets/TOKEN | wc -c > /length\nRUN env > /after\n"
    directory = context(tmp_path, steps)
    variables = {"TOKEN": STAGING, "DATABASE_PASSWORD": "database-8kL9mN0bV1cX"}
    built = run("build", directory, "-t", tag, "--env", "staging", "--secret", "id=TOKEN", "--no-cache", **variables)
    assert built.returncode == 0, built.stderr
    shown = subprocess.run(
        ["docker", "run", "--rm", tag, "cat", "/before", "/length", "/after"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert str(len(STAGING)) in shown
    for value in (*variables, *variables.values(), "CONTAINER_IMAGE"):
        assert value not in shown


def test_each_environment_gives_its_own_value(tmp_path: Path, tag: str, store: SecretStore) -> None:
    image = ContainerImage.from_dockerfile_str(
        f"FROM {BUSYBOX}\n{SUM}", secrets={"TOKEN": "$TOKEN"}, context_dir=tmp_path
    )
    sums = []
    for environment in ("staging", "main", "staging"):
        image.build(tags=[tag], environment=environment)
        sums.append(
            subprocess.run(["docker", "run", "--rm", tag, "cat", "/sum"], capture_output=True, check=True).stdout
        )
    assert sums[0] == sums[2] != sums[1]
    used = [(entry.environment_name, entry.name, entry.image) for entry in store.log.list() if entry.action == "build"]
    assert used == [(name, "TOKEN", tag) for name in ("staging", "main", "staging")]


@pytest.mark.usefixtures("store")
def test_an_image_is_searched_for_what_other_environments_hold(tmp_path: Path, tag: str) -> None:
    # What a production build takes over from staging: here in its context, as a stale file.
    (tmp_path / "stale.js").write_text(f"const token = '{STAGING}'")
    directory = context(tmp_path, f"{SUM}COPY stale.js /app/\n")
    build = ("build", directory, "-t", tag, "--secret", "id=TOKEN", "--env", "main", "--format", "json")
    assert run(*build).returncode == 0
    for more in (("--env", "staging"), ("--all-environments",)):
        done = run(*build, *more)
        assert done.returncode == 1, done.stderr
        report = json.loads(done.stdout)
        assert {(item["secret"], item["environment"]) for item in report["findings"]} == {("TOKEN", "staging")}
        assert report["environments"] == ["main", "staging"]
    subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, check=False)
    context(tmp_path, f"{SUM.replace('TOKEN', 'npm')}COPY stale.js /app/\n")
    image = ContainerImage.from_dockerfile(
        tmp_path / "Dockerfile", secrets={"npm": "$TOKEN"}, context_dir=tmp_path, dockerignore=[]
    )
    with pytest.raises(SecretLeakError, match="npm of staging stayed in the image") as caught:
        image.build(tags=[tag], audit_environments=["staging"])
    assert not exists(tag)
    assert STAGING not in str(caught.value)


def test_an_image_is_searched_for_all_that_its_environment_holds(
    tmp_path: Path, tag: str, store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.js").write_text("const password = 'database-8kL9mN0bV1cX'")
    directory = context(tmp_path, f"{SUM}COPY settings.js /app/\n")
    build = ("build", directory, "-t", tag, "--secret", "id=TOKEN,store=TOKEN", "--format", "json")
    # Without --env, a build and an audit search for what is named.
    monkeypatch.setenv("CONTAINER_IMAGE_ENV", "main")
    assert run(*build).returncode == 0
    monkeypatch.delenv("CONTAINER_IMAGE_ENV")
    assert run("audit", tag, "--env", "main").returncode == 1
    subprocess.run(["docker", "image", "rm", "--force", tag], capture_output=True, check=True)
    done = run(*build, "--env", "main")
    assert done.returncode == 1, done.stderr
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["secret"], finding["environment"]) == ("DATABASE_PASSWORD", "main")
    assert (
        "the build was not given this secret, so its context, its cache or its base image held it" in finding["advice"]
    )
    assert "DATABASE_PASSWORD of main stayed in the image" in done.stderr
    assert not exists(tag)
    image = ContainerImage.from_dockerfile(
        tmp_path / "Dockerfile", secrets={"TOKEN": "$TOKEN"}, context_dir=tmp_path, dockerignore=[]
    )
    with pytest.raises(SecretLeakError, match="DATABASE_PASSWORD of main stayed"):
        image.build(environment="main")
    logged = {(entry.action, entry.name) for entry in store.log.list() if entry.image in (tag, str(image._file))}
    assert {("build", "TOKEN"), ("audit", "DATABASE_PASSWORD")} <= logged
    assert ("build", "DATABASE_PASSWORD") not in logged


def test_a_build_may_name_an_environment_that_holds_nothing(tmp_path: Path, tag: str, store: SecretStore) -> None:
    store.environments.create("empty")
    directory = context(tmp_path, SUM)
    done = run("build", directory, "-t", tag, "--env", "empty", "--secret", "id=TOKEN,env=TOKEN", TOKEN=STAGING)
    assert done.returncode == 0, done.stderr
    assert run("build", directory, "--env", "main", "--env", "empty", "--secret", "id=TOKEN").returncode == 2


@pytest.mark.usefixtures("store")
def test_a_check_is_made_for_each_environment(tmp_path: Path) -> None:
    directory = context(tmp_path, SUM)
    check = ("check", directory, "--secret", "id=TOKEN", "--env", "main")
    argument = f"--build-arg=NPM={STAGING}"
    assert run(*check, argument).returncode == 0
    done = run(*check, "--env", "staging", argument)
    assert done.returncode == 1
    assert "the value of secret 'TOKEN' of staging is in the build argument NPM, which ships" in done.stderr
    assert STAGING not in done.stderr
    missing = run("check", directory, "--secret", "id=TOKEN,store=TOKN", "--env", "staging")
    assert missing.returncode == 2
    assert "TOKN" in missing.stderr
    assert "container-image secrets set TOKN --env staging" in missing.stderr
