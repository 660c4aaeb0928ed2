"""Whole lines of docker, pasted: the same command here, and no word of them is dropped in silence."""

from __future__ import annotations

import os

import pytest

from container_image import InvalidInputError
from container_image.cli import _run
from container_image.cli.pasted import unwrap


@pytest.fixture(autouse=True)
def docker_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_CONTEXT", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY"):
        # Set first, so that what the code sets is undone too.
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("line", "here"),
    [
        ("build -t x .", "build -t x ."),
        ("docker build -t x .", "build -t x ."),
        ("docker buildx build -t x .", "build -t x ."),
        ("docker buildx b -t x .", "build -t x ."),
        ("docker image build .", "build ."),
        ("docker builder build .", "build ."),
        ("buildx build .", "build ."),
        ("docker buildx --builder big build .", "build --builder=big ."),
        ("buildx --builder=big -D build .", "build --debug --builder=big ."),
        ("docker -D build .", "build --debug ."),
        ("docker run --rm -it app sh -c x", "run --rm -it app sh -c x"),
        ("docker container run app", "run app"),
        ("audit docker", "audit docker"),
        ("", ""),
    ],
)
def test_a_line_of_docker_is_a_line_here(line: str, here: str) -> None:
    assert unwrap(line.split()) == here.split()


@pytest.mark.parametrize(
    ("line", "variables"),
    [
        ("docker --context far build .", {"DOCKER_CONTEXT": "far"}),
        ("docker -c far run app", {"DOCKER_CONTEXT": "far"}),
        ("docker -cfar build .", {"DOCKER_CONTEXT": "far"}),
        ("docker --host=tcp://h:1 build .", {"DOCKER_HOST": "tcp://h:1"}),
        ("docker -H=tcp://h:1 --tlsverify buildx build .", {"DOCKER_HOST": "tcp://h:1", "DOCKER_TLS_VERIFY": "1"}),
        ("docker --config /c build .", {"DOCKER_CONFIG": "/c"}),
    ],
)
def test_dockers_own_options_become_its_variables(
    line: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In docker an option goes before both of these.
    monkeypatch.setenv("DOCKER_HOST" if "DOCKER_CONTEXT" in variables else "DOCKER_CONTEXT", "other")
    assert unwrap(line.split())[0] in ("build", "run")
    if "DOCKER_CONFIG" in variables:
        variables = {**variables, "DOCKER_CONTEXT": "other"}
    names = ("DOCKER_CONTEXT", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY")
    assert {name: os.environ[name] for name in names if name in os.environ} == variables


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("docker ps", "`docker ps` is nothing that container-image does"),
        ("docker exec web sh", "`docker exec` is nothing that"),
        ("docker", "`docker` is nothing that"),
        ("docker compose build", "`docker compose` is nothing that"),
        ("buildx bake", "`docker buildx bake` is nothing that"),
        ("docker --tls build .", "--tls: can't be honoured here: set DOCKER_TLS_VERIFY"),
        ("docker --log-level=debug build .", "--log-level: can't be honoured here"),
        ("docker --frobnicate build .", "--frobnicate: no option that container-image takes before docker's command"),
        ("docker --context", "--context needs a value"),
        ("docker --context a -H b build .", "--context and --host exclude each other"),
    ],
)
def test_anything_else_of_docker_is_refused_by_name(line: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        unwrap(line.split())
    assert str(caught.value).startswith(message)
    assert _run(line.split()) == 2
    assert message in capfd.readouterr().err


def test_options_without_effect_are_taken_as_docker_takes_them(capfd: pytest.CaptureFixture[str]) -> None:
    line = (
        "docker build --rm --force-rm=false --compress --squash -m 1g --memory-swap=2g -c 5 --isolation x no-such-place"
    )
    assert _run(line.split()) == 2
    said = capfd.readouterr().err
    for option in ("--squash", "--memory", "--memory-swap", "--cpu-shares", "--isolation"):
        assert f"{option} has no effect with BuildKit" in said
    assert "--rm" not in said
    assert "no-such-place: not a directory" in said
