"""No message repeats a text that may be a credential, wherever one was given; a name is repeated."""

from __future__ import annotations

import base64
import json
import os
import random
import string
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_image import ContainerImage, ContainerImageError, Secret, SecretStore, SecretValue, audit
from container_image import exec as run_here
from container_image.cli import _run
from container_image.secrets import resolve_secrets
from container_image.shown import HIDDEN, is_name, is_reference, masked, shown

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
    "linux/arm64/v8", "requirements.txt",
]  # fmt: skip

BASE62 = string.ascii_letters + string.digits

Make = Callable[[random.Random], str]


def text_of(alphabet: str, size: int, form: str = "{}") -> Make:
    return lambda draw: form.format("".join(draw.choices(alphabet, k=size)))


def mixed(size: int) -> Make:
    """Letters of both cases and digits, two of each at least."""

    def make(draw: random.Random) -> str:
        kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
        letters = [draw.choice(kind) for kind in kinds * 2] + draw.choices(BASE62, k=size - 6)
        draw.shuffle(letters)
        return "".join(letters)

    return make


def password(draw: random.Random, between: str = "") -> str:
    """Twelve characters with specials, and a separator of settings in the middle."""
    letters = [*mixed(10)(draw), *draw.choices("!$%*+?^", k=2)]
    draw.shuffle(letters)
    return "".join(letters[:6]) + between + "".join(letters[6:])


def base64_of(draw: random.Random) -> str:
    return base64.b64encode(draw.randbytes(draw.randint(24, 40))).decode()


def jwt(draw: random.Random) -> str:
    return f"eyJhbGciOiJIUzI1NiJ9.{base64_of(draw).rstrip('=')}.{mixed(43)(draw)}"


def grouped(alphabet: str, size: int) -> Make:
    return lambda draw: "-".join("".join(draw.choices(alphabet, k=size)) for _ in range(4))


CREDENTIALS: dict[str, Make] = {
    "base62": mixed(24),
    "short base62": mixed(12),
    "hexadecimal": text_of("0123456789abcdef", 40),
    "hexadecimal in capitals": text_of("0123456789ABCDEF", 32),
    "base32": text_of(string.ascii_uppercase + "234567", 32),
    "base64": base64_of,
    "base64url": lambda draw: base64.urlsafe_b64encode(draw.randbytes(32)).decode().rstrip("="),
    "UUID": lambda draw: str(uuid.UUID(int=draw.getrandbits(128), version=4)),
    "GitHub": text_of(BASE62, 36, "ghp_{}"),
    "GitHub, fine-grained": text_of(BASE62, 59, "github_pat_11ABCDEFG0{}"),
    "npm": text_of(BASE62, 36, "npm_{}"),
    "Stripe": text_of(BASE62, 24, "sk_live_{}"),
    "GitLab": text_of(BASE62, 20, "glpat-{}"),
    "AWS": text_of(string.ascii_uppercase + "234567", 16, "AKIA{}"),
    "Slack": text_of(BASE62, 24, "xoxb-123456789012-1234567890123-{}"),
    "Hugging Face": text_of(string.ascii_letters, 34, "hf_{}"),
    "PyPI": lambda draw: f"pypi-AgEIcHlwaS5vcmc{base64_of(draw)}",
    "JWT": jwt,
    "password": password,
    "password with an equals sign": lambda draw: password(draw, "="),
    "password with a colon": lambda draw: password(draw, ": "),
    "password with a comma": lambda draw: password(draw, ","),
    "password with a slash": lambda draw: password(draw, "/"),
    "passphrase": lambda draw: " ".join(
        draw.choices(["correct", "horse", "battery", "staple", "orbit", "velvet"], k=5)
    ),
    "licence": grouped(string.ascii_uppercase + string.digits, 5),
    "app password": grouped(string.ascii_lowercase, 4),
    "URL with userinfo": lambda draw: f"https://deploy:{mixed(16)(draw)}@git.example.com/app.git",
}
ANY = st.builds(
    lambda kind, seed: CREDENTIALS[kind](random.Random(seed)),
    st.sampled_from(sorted(CREDENTIALS)),
    st.integers(0, 2**64),
)


def repeated(value: str, text: str) -> bool:
    """Whether a text has a value, or a run of it that is long enough to be no chance and that no name is."""
    runs = {value[at : at + 10] for at in range(max(1, len(value) - 9))}
    return value in text or any(run in text and not is_name(run) for run in runs)


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


@settings(deadline=None)
@given(ANY)
def test_arguments_are_masked_in_any_spelling_of_a_message(value: str) -> None:
    for arguments in ([value], [f"--builder={value}"], ["--secret", f"id=T,env={value}"], [f"oci:{value}"]):
        for message in (f"no such thing: {value}", f"{value!r} is refused", f"{Path(value)}: not found"):
            assert not repeated(value, masked(message, arguments))


# Each is an entry point with a value in the place of a name.
ENTRIES: dict[str, list[str]] = {
    "the variable of a build's secret": ["build", ".", "--secret", "id=T,env={}"],
    "the id of a build's secret": ["build", ".", "--secret", "id={}"],
    "the id of one with a source": ["build", ".", "--secret", "id={},env=HOME"],
    "the id of one that is allowed to be unused": ["build", ".", "--allow-unused", "--secret", "id={},env=HOME"],
    "the id of one without a variable": ["build", ".", "--secret", "id={},env=NOT_SET"],
    "the file of a build's secret": ["build", ".", "--secret", "id=T,src={}"],
    "the store's name": ["build", ".", "--secret", "id=T,store={}"],
    "a secret without a key": ["build", ".", "--secret", "{}"],
    "a secret's type": ["build", ".", "--secret", "id=T,type={}"],
    "several sources": ["build", ".", "--secret", "id={},env=A,store=B"],
    "the target": ["build", "{}"],
    "the target of a check": ["check", "{}"],
    "a declaration": ["check", "{}::image"],
    "a declaration's name": ["check", "app.py::{}"],
    "a module": ["check", "pkg:{}"],
    "the Dockerfile": ["check", ".", "-f", "{}"],
    "a tag": ["build", ".", "-t", "{}"],
    "a tag's tag": ["build", ".", "-t", "app:{}"],
    "an environment": ["build", ".", "--env", "{}"],
    "an environment of a check": ["check", ".", "--secret", "id=T", "--env", "{}"],
    "a cache scope": ["build", ".", "--secret-cache-scope", "{}"],
    "a cache scope's id": ["build", ".", "--secret-cache-scope", "{}=ci"],
    "a cache scope's name": ["build", ".", "--secret", "id=T,env=HOME", "--secret-cache-scope", "T={}"],
    "an earlier value": ["build", ".", "--secret", "id=T,env=HOME", "--earlier", "id=T,env={}"],
    "an earlier file": ["build", ".", "--secret", "id=T,env=HOME", "--earlier", "id=T,src={}"],
    "an earlier id": ["build", ".", "--secret", "id=T,env=HOME", "--earlier", "id={},env=HOME"],
    "the ids that there are": ["build", ".", "--secret", "id={},env=HOME", "--earlier", "id=T,env=HOME"],
    "an earlier value without a key": ["build", ".", "--earlier", "{}"],
    "a report": ["build", ".", "--report", "{}"],
    "a report's path": ["build", ".", "--report", "json=/no/such/{}"],
    "a report's format": ["build", ".", "--report", "{}=out.json"],
    "the format": ["audit", "app:dev", "--format", "{}"],
    "a builder": ["build", ".", "--builder", "{}"],
    "a network": ["build", ".", "--network", "{}"],
    "an output": ["build", ".", "--output", "type={}"],
    "a cache to write": ["build", ".", "--cache-to", "type={},ref=x"],
    "a label": ["build", ".", "--label", "{}"],
    "a build context": ["build", ".", "--build-context", "{}"],
    "a build context's path": ["build", ".", "--build-context", "x={}"],
    "an option": ["build", ".", "--{}"],
    "a number": ["audit", "app:dev", "--max-depth", "{}"],
    "a second target": ["build", ".", "{}"],
    "an image": ["audit", "{}", "--secret", "id=T,env=HOME"],
    "an image's tag": ["audit", "app:{}", "--secret", "id=T,env=HOME"],
    "an archive": ["audit", "docker-archive:{}", "--secret", "id=T,env=HOME"],
    "a layout": ["audit", "oci:{}", "--secret", "id=T,env=HOME"],
    "a path": ["audit", "./{}", "--secret", "id=T,env=HOME"],
    "a registry's image": ["audit", "docker://{}", "--secret", "id=T,env=HOME"],
    "an image for a self-test": ["audit", "--self-test", "./{}"],
    "the variable of an audit's secret": ["audit", "./no.tar", "--secret", "id=T,env={}"],
    "the id of an audit's secret": ["audit", "./no.tar", "--secret", "id={},env=HOME"],
    "an environment of an audit": ["audit", "./no.tar", "--env", "{}"],
    "a platform": ["audit", "./no.tar", "--platform", "{}", "--secret", "id=T,env=HOME"],
    "a program": ["exec", "--", "{}"],
    "a program without dashes": ["exec", "{}"],
    "a program under a mask": ["exec", "--mask", "--", "{}"],
    "a program's environment": ["exec", "--env", "{}", "--", "true"],
    "a secret of a program": ["exec", "--only", "{}", "--", "true"],
    "an option of exec": ["exec", "--{}", "--", "true"],
    "a container's image": ["run", "{}"],
    "a container's environment": ["run", "--env", "{}", "app:dev"],
    "a secret of a container": ["run", "--only", "{}", "app:dev"],
    "a container to replace": ["run", "--replace", "{}"],
    "an option of run": ["run", "--{}", "app:dev"],
    "a secret to set": ["secrets", "set", "{}"],
    "a secret to set to nothing": ["secrets", "set", "T", "{}"],
    "an environment to set in": ["secrets", "set", "T=1", "--env", "{}"],
    "a file to set": ["secrets", "set", "--from-file", "T={}"],
    "a file to set without a name": ["secrets", "set", "--from-file", "{}"],
    "a name for stdin": ["secrets", "set", "--stdin", "{}"],
    "a secret to unset": ["secrets", "unset", "{}"],
    "versions of a secret": ["secrets", "versions", "{}"],
    "a file to import": ["secrets", "import", "{}"],
    "an environment to list": ["secrets", "list", "--env", "{}"],
    "a declaration to look into": ["secrets", "missing", "{}"],
    "a command of secrets": ["secrets", "{}"],
    "an environment to delete": ["environments", "delete", "{}", "--yes"],
    "an environment's key": ["environments", "key", "{}"],
    "a command of environments": ["environments", "{}"],
    "a command": ["{}"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build context with a declaration in it, which no build gets beyond."""
    directory = tmp_path_factory.mktemp("context")
    (directory / "Dockerfile").write_text("FROM scratch\nRUN --mount=type=secret,id=OTHER,required=true true\n")
    (directory / "app.py").write_text("x = 1\n")
    return directory


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
