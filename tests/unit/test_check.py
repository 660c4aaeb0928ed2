"""A check without an engine: everything that the Dockerfile alone tells, and a word on what could not be checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from container_image import ContainerImage, DockerfileError, PreflightError
from container_image.build.ssh import ssh_problems

TWO = (
    "FROM scratch AS one\nRUN --mount=type=secret,id=A,required true\n"
    "FROM scratch AS two\nRUN --mount=type=secret,id=B,required true\n"
    "FROM scratch\nCOPY --from=one /x /x\nARG N=gloC\nRUN --mount=type=secret,id=${N#glo} true\n"
)


@pytest.fixture(autouse=True, params=["no command", "no engine"])
def no_engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """No docker command, or one whose engine does not answer."""
    if request.param == "no command":
        monkeypatch.setenv("PATH", str(tmp_path))
        return "there is no `docker` command"
    (tmp_path / "docker").write_text(
        '#!/bin/sh\ncase "$*" in *buildx*version) echo v0.29.1;; *version*) exit 1;; esac\n'
    )
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    return "no Docker Engine answers at unix:///no/such/socket"


def check(text: str, **fields: object) -> list[str]:
    return ContainerImage.from_dockerfile_str(text, **fields).check()


def test_what_could_not_be_checked_is_the_last_word(no_engine: str) -> None:
    messages = check(TWO, secrets={"A": "x" * 20})
    assert messages[0].startswith("Dockerfile:8: the secret 'C' is mounted and not given")
    assert messages[1].startswith("not checked: the base images, ")
    assert no_engine in messages[1]
    assert len(messages) == 2


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        (TWO, {}, "Dockerfile:2: the secret 'A' is required by a mount and not given"),
        (TWO, {"target": "two"}, "Dockerfile:4: the secret 'B' is required by a mount and not given"),
        (TWO, {"secrets": {"A": "x" * 20, "D": "y" * 20}}, "'D' is given and never mounted"),
        (
            "FROM scratch\nRUN --mount=type=secret,id=TOKN true\n",
            {"secrets": {"TOKEN": "y" * 20}},
            "'TOKEN' is given and never mounted; did you mean 'TOKN', which Dockerfile:2 mounts?",
        ),
        (TWO, {"secrets": {"A": "secret-1234567890"}, "labels": {"a": "secret-1234567890"}}, "is in the label a"),
        (
            "FROM scratch\nRUN --mount=type=secret,id=a/b --mount=type=secret,id=c/b true\n",
            {"secrets": {"a/b": "x" * 20, "c/b": "y" * 20}},
            "Dockerfile:2: secrets 'a/b' and 'c/b' would both be /run/secrets/b; give one mount a target",
        ),
    ],
)
def test_what_the_dockerfile_tells_is_refused(text: str, fields: dict[str, object], expected: str) -> None:
    with pytest.raises(PreflightError) as caught:
        check(text, **fields)
    assert expected in str(caught.value)


def test_ids_that_docker_takes_are_not_refused() -> None:
    names = ["*", "api key", "a,b", "$x", "it's", "ü"]
    mounts = "".join(f"RUN --mount=type=secret,id=$N{number} true\n" for number in range(len(names)))
    text = "FROM scratch\n" + "".join(f"ARG N{number}\n" for number in range(len(names))) + mounts
    arguments = {f"N{number}": name for number, name in enumerate(names)}
    assert len(check(text, build_args=arguments, secrets=dict.fromkeys(names, "x" * 20))) == 1
    with pytest.raises(PreflightError, match="its id is empty or has control characters"):
        check(text, secrets={"a\nb": "x" * 20})


def test_a_malformed_dockerfile_is_refused() -> None:
    with pytest.raises(DockerfileError, match="Dockerfile:2: unknown instruction 'RUNN'"):
        check("FROM scratch\nRUNN x\n")


def test_the_command_says_it_on_stdout(tmp_path: Path, no_engine: str) -> None:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    done = subprocess.run(
        [sys.executable, "-c", "from container_image.cli import main; main()", "check", str(directory)],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert no_engine in done.stdout


def test_an_agent_is_looked_for_where_no_key_is_named(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    assert list(ssh_problems([f"default={key}", f"a={key},raw=true"], {})) == []
    assert list(ssh_problems(["default"], {"SSH_AUTH_SOCK": str(key)})) == []
    (problem,) = ssh_problems(["default"], {"SSH_AUTH_SOCK": "/no/such/agent"})
    assert problem.startswith(
        "--ssh default: there is no SSH agent at /no/such/agent, which SSH_AUTH_SOCK names; start"
    )
