"""Requirements from a private index and a git server: what the image has of them, and what a failure shows.

What stays in images, by pip and by uv, is for the gallery to say (c26, c27).
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from container_image import AuditPolicy, BuildError, BuildEvent, ContainerImage, SecretStore, Verdict
from container_image.gate import build_through
from tests.engine.conftest import exists, lines
from tests.gallery import free_port, served
from tests.services.conftest import Service

WHEEL = "files/acme_greeting-1.0.0-py3-none-any.whl"
GREET = "import acme_greeting, acme_tools; print(acme_greeting.greet(acme_tools.NAME))"


SMALL = "FROM {tools} AS tools\nFROM {busybox}\nCOPY --from=tools /python /\n"


@pytest.fixture(scope="session")
def python_image(tools_image: str, busybox_image: str) -> Iterator[str]:
    """A small image with Python, pip and git: an audit of it takes a third of the base's."""
    name = f"container-image-test:python-{secrets.token_hex(8)}"
    text = SMALL.format(tools=tools_image, busybox=busybox_image).encode()
    subprocess.run(
        ["docker", "buildx", "build", "--quiet", "--tag", name, "-"], input=text, check=True, capture_output=True
    )
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def run(image: str, *command: str) -> str:
    done = subprocess.run(["docker", "run", "--rm", image, *command], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def test_the_secrets_are_the_stores_and_what_is_installed_runs(
    private_index: Service, git_server: Service, python_image: str, tag: str
) -> None:
    store = SecretStore.open()
    store.environments.create("staging")
    store.secrets.set_all({"PIP_TOKEN": private_index.token, "GH_TOKEN": git_server.token}, environment_name="staging")
    image = ContainerImage.from_requirements(
        [
            f"--index-url http://__token__:${{PIP_TOKEN}}@{private_index.host}/simple",
            f"acme-greeting @ http://{private_index.host}/{WHEEL}?token=${{PIP_TOKEN}}&text=$${{HOME}}",
            f"-e git+http://ci:${{GH_TOKEN}}@{git_server.host}/acme.git@v1#egg=acme-tools",
        ],
        base=python_image,
        environment="staging",
    )
    built = image.build(tags=[tag], network="host")
    assert built.report is not None
    assert (built.report.verdict, built.warnings) == (Verdict.CLEAN, ())
    assert {row.name for row in built.report.secrets} == {"PIP_TOKEN", "GH_TOKEN"}
    assert run(tag, "python3", "-c", GREET) == "hello, acme"
    frozen = run(tag, "python3", "-m", "pip", "freeze")
    # They can be installed from again, by whoever has the secrets.
    assert f"http://{private_index.host}/{WHEEL}?token=${{PIP_TOKEN}}&text=${{HOME}}" in frozen
    assert f"-e git+http://ci:${{GH_TOKEN}}@{git_server.host}/acme.git@" in frozen
    assert run(tag, "python3", "-m", "pip", "check") == "No broken requirements found."
    assert run(tag, "git", "-C", "/src/acme-tools", "status", "--porcelain", "-uno") == ""


def test_a_user_without_rights_installs_for_itself(
    private_index: Service, git_server: Service, base_image: str, tag: str
) -> None:
    image = ContainerImage.from_dockerfile_str(
        f'FROM {base_image}\nRUN useradd --create-home app\nUSER app\nWORKDIR /home/app\nSHELL ["/bin/bash", "-c"]\n',
        requirements=[
            f"acme-greeting @ http://{private_index.host}/{WHEEL}?token=${{PIP_TOKEN}}",
            f"acme-tools @ git+http://ci:${{GH_TOKEN}}@{git_server.host}/acme.git",
        ],
        secrets={"PIP_TOKEN": private_index.token, "GH_TOKEN": git_server.token},
    )
    image.build(tags=[tag], network="host", no_audit=True)
    assert run(tag, "python3", "-c", GREET) == "hello, acme"
    assert "?token=${PIP_TOKEN}" in run(tag, "sh", "-c", "cat .local/lib/*/site-packages/*/direct_url.json")


def test_a_changed_secret_installs_again_and_the_same_one_does_not(
    private_index: Service, python_image: str, tag: str
) -> None:
    requirements = [f"--index-url http://${{USER_NAME}}:${{PIP_TOKEN}}@{private_index.host}/simple", "acme-greeting"]
    states = []
    for user in ("first-first", "second-second", "first-first"):
        events: list[BuildEvent] = []
        ContainerImage.from_requirements(
            requirements, base=python_image, secrets={"PIP_TOKEN": private_index.token, "USER_NAME": user}
        ).build(tags=[tag], network="host", no_audit=True, on_event=events.append)  # type: ignore[arg-type]
        states += [event.kind for event in events if "RUN" in event.step and event.kind in ("done", "cached")]
    assert states == ["done", "done", "cached"]


def test_a_failed_install_fails_the_build_and_shows_no_value(
    private_index: Service, python_image: str, tag: str
) -> None:
    wrong = secrets.token_hex(20)
    events: list[BuildEvent] = []
    image = ContainerImage.from_requirements(
        [f"acme-greeting @ http://ci:${{PIP_TOKEN}}@{private_index.host}/{WHEEL}?token=${{PIP_TOKEN}}"],
        base=python_image,
        secrets={"PIP_TOKEN": wrong},
    )
    with pytest.raises(BuildError, match=r"^requirements: ") as caught:
        image.build(tags=[tag], network="host", on_event=events.append)  # type: ignore[arg-type]
    shown = "".join(event.text + event.step for event in events) + str(caught.value)
    assert "401" in shown
    # Not even redacted: the step itself prints names.
    assert wrong not in shown
    assert "[PIP_TOKEN]" not in shown
    assert not [event for event in events if event.kind == "warning"]
    assert not exists(tag)


@pytest.mark.parametrize(
    ("dockerfile", "options", "message"),
    [
        ("FROM {base}", {"installer": "uv"}, "requirements: uv is not in the image; add it"),
        ("FROM {base}\nRUN rm /usr/bin/git", {}, "requirements: git is not in the image"),
        ("FROM {base}\nRUN rm -r /usr/lib/python3/dist-packages/pip", {}, "python3 has no pip; take a base image"),
        ("FROM {busybox}", {}, "python3"),
    ],
)
def test_what_an_image_lacks_is_said(
    python_image: str, busybox_image: str, dockerfile: str, options: dict[str, str], message: str
) -> None:
    text = dockerfile.format(base=python_image, busybox=busybox_image)
    image = ContainerImage.from_dockerfile_str(text, requirements=["acme @ git+http://h/acme.git"], **options)
    with pytest.raises(BuildError) as caught:
        image.build()
    assert message in "\n".join(caught.value.output) + str(caught.value)


def test_the_provenance_has_the_step_with_names_and_no_file_is_copied(
    private_index: Service, python_image: str, tag: str, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text(
        f"--index-url http://ci:${{PIP_TOKEN}}@{private_index.host}/simple\nacme-farewell\n"
    )
    (tmp_path / "limits.txt").write_text("acme-farewell<2\n")
    image = ContainerImage.from_dockerfile_str(
        f"FROM {python_image}",
        requirements=["-r requirements.txt", "-c limits.txt"],
        context_dir=tmp_path,
        secrets={"PIP_TOKEN": private_index.token},
    )
    request = replace(image.request(tags=[tag], network="host"), options=("--provenance=mode=max",))
    build_through(request, policy=AuditPolicy(), no_audit=True)
    assert run(tag, "python3", "-c", "import acme_farewell; print(acme_farewell.part(1))") == "goodbye, 1"
    newest = json.loads(lines("docker", "history", "--no-trunc", "--format", "json", tag)[0])["CreatedBy"]
    assert newest == "RUN /bin/sh -c /dev/pipes/container-image-requirements # buildkit"
    saved = subprocess.run(["docker", "image", "save", tag], capture_output=True, check=True).stdout
    (source,) = re.findall(rb'"filename": *"Dockerfile[^"]*",.*?"data": *"([^"]+)"', saved, re.DOTALL)
    assert b"ci:${PIP_TOKEN:url}@" in base64.b64decode(source)
    assert private_index.token.encode() not in base64.b64decode(source)
    assert private_index.token.encode() not in saved
    assert run(tag, "find", "/", "-xdev", "-name", "*limits.txt") == ""


def test_the_example_is_clean_in_both_environments(python_image: str, tmp_path: Path) -> None:
    tokens = {"development": secrets.token_hex(20), "staging": secrets.token_hex(20)}
    store = SecretStore.open()
    for environment, token in tokens.items():
        store.environments.create(environment)
        store.secrets.set("PIP_TOKEN", token, environment_name=environment)
    host = f"127.0.0.1:{free_port()}"
    own = {"INDEX_URL": f"http://{host}", "BASE_IMAGE": python_image}
    tags = [f"greeting:{environment}" for environment in tokens]
    try:
        with served("INDEX", host, " ".join(tokens.values()), tmp_path / "example"):
            command = [sys.executable, "examples/requirements.py"]
            done = subprocess.run(command, env={**os.environ, **own}, capture_output=True, check=False, text=True)
            requests = (tmp_path / "example-INDEX" / "log").read_text()
        assert done.stderr == ""
        assert done.stdout.splitlines() == ["greeting:development clean", "greeting:staging clean"]
        # Each was built with its own.
        assert all(f"acme_farewell-2.0.0-py3-none-any.whl?token={token}" in requests for token in tokens.values())
        assert [run(tag, "python3", "-c", "import acme_farewell as a; print(a.part(1))") for tag in tags] == [
            "see you, 1"
        ] * 2
    finally:
        subprocess.run(["docker", "image", "rm", "--force", *tags], capture_output=True, check=False)
