"""No message repeats a text that may be a credential, wherever one was given; a name is repeated."""

from __future__ import annotations

import json
import os
import random
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings

from container_image import ContainerImage, ContainerImageError, Secret, SecretStore, SecretValue, audit
from container_image import exec as run_here
from container_image import run as run_container
from container_image.cli import _run
from container_image.secrets import resolve_secrets
from container_image.shown import HIDDEN, is_name, is_reference, masked, shown
from tests.credentials import ANY, CREDENTIALS, ENTRIES, repeated, write_context

NAMES = [
    "PIP_TOKEN", "HF_TOKEN", "npmrc", "A_TOKEN", "staging", "my-secret", "NOT_SET", "prod_db_password", "dbPassword",
    "apiKeyV2", "id_rsa", "id_ed25519", "s3AccessKey", "AWS_S3_BUCKET2", "HTTPS_PROXY", "LDFLAGS", "PGPASSWORD",
    "GOOGLE_APPLICATION_CREDENTIALS", "HUGGINGFACEHUB_API_TOKEN", "dockerconfigjson", "_authToken",
    "ClearTextPassword", "PRIVATE-TOKEN", "aws_secret_access_key", "kubernetesClusterName", "SENTRY_DSN",
    "DATABASE_URL", "DB_PWD", "STRIPE_SECRET_KEY", "SLACK_BOT_TOKEN", "OPENAI_API_KEY", "npm_config_registry",
    "CI_JOB_TOKEN", "POETRY_HTTP_BASIC_FOO_PASSWORD", "TOKN", "AZURE_STORAGE_CONNECTION_STRING",
    "RABBITMQ_DEFAULT_PASS", "TF_VAR_db_password", "GIT_AUTH_TOKEN.github.com", "COSIGN_PRIVATE_KEY", "~/.npmrc",
    "./Dockerfile", "/no/such/file", "nope.env", "examples/app.py::greeting", "pkg.mod:name",
    "dockerfiles/private-index.Dockerfile", "app:dev", "container-image-busybox:test",
    "docker://localhost:5000/team/app:v1.2.3", "oci-archive:app.tar", "ghcr.io/team/app:20240101",
    "python:3.11-slim-bookworm", "git@github.com:team/app.git", "https://github.com/team/app.git#main",
    "linux/arm64/v8", "requirements.txt", "http://127.0.0.1:8080", "127.0.0.1:5000", "127.0.0.1:5000/team/app:dev",
    "docker://127.0.0.1:5000/app:any", "http://[::1]:8080/app.git#main",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown(name: str) -> None:
    assert shown(name) == name


@pytest.mark.parametrize("kind", sorted(CREDENTIALS))
def test_credentials_are_not_shown(kind: str) -> None:
    draw = random.Random(kind)
    for _ in range(300):
        value = CREDENTIALS[kind](draw)
        assert not is_name(value)
        assert not repeated(value, shown(value))


def test_what_exists_is_shown(tmp_path: Path) -> None:
    odd = tmp_path / "k3J9vQz71LmX" / "wT4 pB8!"
    odd.mkdir(parents=True)
    assert shown(odd) == str(odd)
    assert shown(odd / "app.Dockerfile") == str(odd / "app.Dockerfile")
    assert shown(odd / "k3J9vQz71LmX") == HIDDEN


def test_the_name_of_a_reference_is_shown_without_a_tag_that_may_be_a_value() -> None:
    reference = "ghcr.io/team/app:3f2a9c1d8e7b6a5f4e3d2c1b0a9f8e7d6c5b4a39"
    assert is_reference(reference)
    assert shown(reference) == "ghcr.io/team/app:…"
    digest = "app@sha256:" + "3f2a9c1d" * 8
    assert shown(digest) == digest


def test_settings_of_names_are_not_masked() -> None:
    line = ["--output", "type=foo,dest=out/app.tar", "--ulimit", "nofile=1024:2048", "--add-host=db:10.0.0.1"]
    message = "type=foo,dest=out/app.tar: unknown; nofile=1024:2048; db:10.0.0.1"
    assert masked(message, line) == message


@settings(deadline=None)
@given(ANY)
def test_arguments_are_masked_in_any_spelling_of_a_message(value: str) -> None:
    for arguments in ([value], [f"--builder={value}"], ["--secret", f"id=T,env={value}"], [f"oci:{value}"]):
        for message in (f"no such thing: {value}", f"{value!r} is refused", f"{Path(value)}: not found"):
            assert not repeated(value, masked(message, arguments))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_context(tmp_path_factory.mktemp("context"))


@pytest.mark.parametrize("entry", sorted(ENTRIES))
def test_no_command_repeats_a_value_in_the_place_of_a_name(
    entry: str, place: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    # No engine is asked: what is tested ends before, or is to say so.
    monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/no.sock")
    SecretStore.open().secrets.set("KNOWN", "x")
    draw = random.Random(entry)
    for kind in draw.sample(sorted(CREDENTIALS), k=8):
        value = CREDENTIALS[kind](draw)
        status = _run([word.format(value) if "{}" in word else word for word in ENTRIES[entry]])
        out, err = capfd.readouterr()
        assert status not in (0, None), (entry, kind)
        assert err, (entry, kind)
        assert not repeated(value, out + err), (entry, kind, value, out + err)
    assert _run(["secrets", "log", "--json"]) == 0
    log = json.loads(capfd.readouterr().out)["log"]
    assert {item["image"] for item in log} <= {None, HIDDEN, "./no.tar", "Dockerfile"}


SOURCES: dict[str, Callable[[str], Secret]] = {
    "env": Secret.from_env,
    "file": Secret.from_file,
    "file in a directory": lambda text: Secret.from_file(f"/no/such/{text}"),
    "command": lambda text: Secret.from_command([text]),
    "command's argument": lambda text: Secret.from_command(["false", text]),
    "environment": lambda text: Secret.from_name("TOKEN", environment=text),
    "name": Secret.from_name,
}


@pytest.mark.parametrize("source", sorted(SOURCES))
def test_no_source_repeats_a_value_in_the_place_of_a_name(source: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(ANY)
    def check(value: str) -> None:
        said = []
        try:
            secret = SOURCES[source](value)
            said.append(repr(secret))
            secret.resolve("TOKEN")
        except ContainerImageError as error:
            said.append(str(error))
        assert said
        assert not repeated(value, " ".join(said))

    check()


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_a_value_in_the_place_of_a_secrets_name_is_not_repeated(value: str) -> None:
    said = [repr(SecretValue(value, b"x")), str(SecretValue(value, b"x"))]
    for secrets in ({value: Secret.from_env("NOT_SET")}, {value: ""}, {value: 5}):
        with pytest.raises(ContainerImageError) as caught:
            resolve_secrets(secrets)  # type: ignore[arg-type]
        said.append(str(caught.value))
    assert not repeated(value, " ".join(said))


@settings(max_examples=40, deadline=None)
@given(ANY)
def test_no_function_repeats_a_value_in_the_place_of_a_name(value: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: audit(f"./{value}", {"TOKEN": "a secret value"}),
        lambda: run_here(["true"], environment=value),
        lambda: run_here(["true"], only=[value]),
        lambda: run_here([value], mask=True),
        lambda: SecretStore.open().secrets.versions(value),
        lambda: SecretStore.open().secrets.unset(value),
        lambda: SecretStore.open().environments.key(value),
        lambda: ContainerImage(dockerfile_str="FROM scratch").build(tags=[value], environment=value),
        lambda: ContainerImage(dockerfile_str="FROM scratch").build(outputs=[f"type={value}"]),
        lambda: ContainerImage.from_dockerfile(f"/no/such/{value}"),
        lambda: run_container("app:dev", options=[f"--{value}"]),
    ]
    for call in calls:
        with pytest.raises(ContainerImageError) as caught:
            call()
        assert not repeated(value, str(caught.value))


def test_messages_name_what_was_meant(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.chdir(place)
    said = {
        "the variable PIP_TOKEN is not set": ["build", ".", "--secret", "id=PIP_TOKEN"],
        "the file /no/such/.npmrc can't be read": ["build", ".", "--secret", "id=npmrc,src=/no/such/.npmrc"],
        "give the name of a variable, as in env=PIP_TOKEN, not its value": ["build", ".", "--secret", f"id=T,env={uuid.uuid4()}"],
        "no-such-program: can't be started": ["exec", "--", "no-such-program"],
        "there is no environment 'stagin'": ["secrets", "list", "--env", "stagin"],
        "./app.tar": ["audit", "./app.tar", "--secret", "id=T,env=HOME"],
    }  # fmt: skip
    for message, arguments in said.items():
        assert _run(arguments) != 0
        assert message.removeprefix("./") in capfd.readouterr().err
    assert os.environ["HOME"]
