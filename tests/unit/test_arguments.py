"""Build arguments that are credentials: which are held, which are told, and which raise no alarm."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_image.build import BuildRequest, advice, unsearchable
from container_image.build.arguments import argument_options, arguments, passed_apart, visible
from container_image.build.credentials import credentials

GITHUB = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
NPM = "npm_9aZ8bY7cX6dW5eV4f3g2H1i0jKlMnOpQrStU"
DIGEST = "3f2504e04f8911d39a0c0305e82c3301aabbccdd"
# No valid key: what follows is of the form alone.
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHQ1Hn3tO0J5l3dYkZ9r7m2b8c4V6xW1aS0dF5gH7jK9\n-----END PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def build(dockerfile: str = "FROM scratch\n", *public: str, **build_args: str) -> BuildRequest:
    return BuildRequest(dockerfile, Path(), build_args=build_args, build_args_public=frozenset(public))


def held(request: BuildRequest) -> dict[str, str]:
    return {name: value.reveal().decode() for name, value in credentials(request).items() if value.sensitive}


@pytest.mark.parametrize(
    ("name", "value", "credential"),
    [
        ("NPM_TOKEN", NPM, NPM),
        ("ANYTHING", NPM, NPM),
        ("ANYTHING", "9aZ8bY7cX6dW5eV4fU3gT2", "9aZ8bY7cX6dW5eV4fU3gT2"),
        ("DB_PASSWORD", "p4ss@word.1", "p4ss@word.1"),
        ("DEPLOY_PW", "Tr0ub4dor-77", "Tr0ub4dor-77"),
        ("DB_PASSWORD", "correct-horse-battery", "correct-horse-battery"),
        ("TOKEN", "abcdefghijklmnopqrst", "abcdefghijklmnopqrst"),
        ("AWS_SECRET_ACCESS_KEY", "/9aZ8bY7cX6dW5eV4f/U3gT2+hS1", "/9aZ8bY7cX6dW5eV4f/U3gT2+hS1"),
        ("TOKEN", DIGEST, DIGEST),
        ("MODEL", f"sk-{DIGEST[:32]}", f"sk-{DIGEST[:32]}"),
        ("PIP_INDEX_URL", "https://ci:s3cr3t-t0k3n@index.example.com/simple", "s3cr3t-t0k3n"),
        ("API_TOKEN", "https://ci:s3cr3t-t0k3n@index.example.com/simple", "s3cr3t-t0k3n"),
        ("GIT_URL", f"https://{GITHUB}@git.example.com/a/b", GITHUB),
        ("NPMRC", f"//registry.example.com/:_authToken={GITHUB}", GITHUB),
        ("SSH_PRIVATE_KEY", KEY, KEY.strip()),
        ("DEPLOY_PEM", KEY, KEY.strip()),
    ],
)
def test_a_credentials_name_or_value_makes_one(name: str, value: str, credential: str) -> None:
    assert credential in held(build(**{name: value})).values()
    assert f"build-arg:{name}" in held(build(**{name: value}))
    assert all(name in message and credential not in message for message in visible(build(**{name: value})))
    assert held(build("FROM scratch\n", name, **{name: value})) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIP_INDEX_URL", "https://index.example.com/simple"),
        ("DATABASE_URL", "postgres://localhost/db"),
        ("TOKENIZER", "bert-base-uncased"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("MAX_TOKENS", "4096"),
        ("GIT_ASKPASS", ""),
        ("GIT_ASKPASS", "echo"),
        ("COMPASS", "x86_64-linux-gnu9"),
        ("SSH_KEY", "~/.ssh/id"),
        ("SSH_KEY", "id_ed25519"),
        ("SIGNING_KEY", "release.keystore"),
        ("SIGNING_KEY", "/usr/lib/python3.12/site-packages/keys/app2"),
        ("NODE_AUTH_TOKEN_FILE", "/run/x"),
        ("SECRET_KEY_BASE_DUMMY", "1"),
        ("USE_TOKEN", "true"),
        ("API_KEY", "${API_KEY}"),
        ("PUBLIC_KEY", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7"),
        ("GPG_KEY", DIGEST.upper()),
        ("VCS_REF", DIGEST),
        ("IMAGE_TAG", f"main-{DIGEST}"),
        ("BASE_IMAGE", f"python:3.12-slim@sha256:{DIGEST}{DIGEST[:24]}"),
        ("INTEGRITY", "sha512-" + "aB3d" * 20 + "=="),
        ("CACHE_BUST", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
        ("CACHE_BUST", "1700000000"),
        ("NODE_VERSION", "v20.11.1-alpine3.19"),
        ("VERSION", "1.27.3-1~bookworm"),
        ("VERSION", "1.2.3+dfsg-4build5ubuntu0.22.04.1"),
        ("PACKAGE", "libssl3=3.0.11-1~deb12u2"),
        ("CUDA", "cuda12.4.1-cudnn9-devel-ubuntu22.04"),
        ("BUILD_DATE", "2024-01-01T00:00:00Z"),
        ("CFLAGS", "-O2 -Wall -march=x86-64-v3"),
        ("REF", "refs/heads/feature/ABC-1234-new-thing2"),
        ("HTTP_PROXY", "http://proxy.example.com:3128"),
        ("TARGETPLATFORM", "linux/amd64"),
        ("TZ", "Europe/Berlin"),
        ("USER", "1000:1000"),
    ],
)
def test_what_builds_are_usually_given_is_neither_held_nor_told(name: str, value: str) -> None:
    for request in (build(**{name: value}), build(f"FROM scratch\nARG {name}='{value}'\n")):
        assert held(request) == {}
        assert unsearchable(request) == visible(request) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKEN", "changeme"),
        ("PASSWORD", "postgres"),
        ("SECRET_KEY", "p@s1"),
        ("DB_PASSWORD", "123456"),
        ("DATABASE_URL", "postgres://postgres:postgres@db/app"),
    ],
)
def test_what_cannot_be_searched_for_is_told(name: str, value: str) -> None:
    for request in (build(**{name: value}), build(f"FROM scratch\nARG {name}={value}\n")):
        assert held(request) == {}
        (message,) = unsearchable(request)
        assert f"the build argument {name} " in message
        assert f"--build-arg-public {name}" in message
        assert value not in message
    assert unsearchable(build("FROM scratch\n", name, **{name: value})) == []


@pytest.mark.parametrize("value", ["changeme123", "not-a-secret", "build-time-placeholder", "__API_TOKEN__"])
def test_a_placeholder_is_told_as_a_default_and_held_where_it_is_given(value: str) -> None:
    default = build(f"FROM scratch\nARG API_TOKEN={value}\n")
    assert (held(default), len(unsearchable(default))) == ({}, 1)
    assert held(build(API_TOKEN=value)) == {"build-arg:API_TOKEN": value}


def test_defaults_of_every_stage_are_held_beside_what_is_given() -> None:
    text = (
        "ARG FIRST=npm_9aZ8bY7cX6dW5eV4f3g2H1i0 TAG=1.2\nFROM scratch AS a\nARG NPM_TOKEN\nARG NPM_TOKEN=first-9aZ8bY7cX6\n"
        f"FROM scratch\nARG \\\n  NPM_TOKEN=${{NONE:-second-9aZ8bY7cX6}}\nONBUILD ARG LATER={GITHUB}\n"
    )
    request = build(text, NPM_TOKEN="given-9aZ8bY7cX6")
    assert held(request) == {
        "build-arg:NPM_TOKEN": "given-9aZ8bY7cX6",
        "build-arg:FIRST": "npm_9aZ8bY7cX6dW5eV4f3g2H1i0",
        "build-arg:NPM_TOKEN#2": "first-9aZ8bY7cX6",
        "build-arg:NPM_TOKEN#3": "second-9aZ8bY7cX6",
        "build-arg:LATER": GITHUB,
    }
    assert [message.partition(": ")[0] for message in visible(request)] == [
        "Dockerfile:3",
        "Dockerfile:1",
        "Dockerfile:8",
    ]
    # BuildKit says what is wrong with this one.
    assert held(build("ARG A=<<", NPM_TOKEN=NPM)) == {"build-arg:NPM_TOKEN": NPM}


def test_no_credential_is_in_the_arguments_of_a_process() -> None:
    request = build(NPM_TOKEN=NPM, VERSION="1.2", DOCKER_AUTH_TOKEN=NPM, PASSWORD="changeme")
    assert passed_apart(request) == {"NPM_TOKEN": NPM, "PASSWORD": "changeme"}
    assert argument_options(request) == [
        "--build-arg=NPM_TOKEN",
        "--build-arg=VERSION=1.2",
        # The docker command itself may obey such a variable.
        f"--build-arg=DOCKER_AUTH_TOKEN={NPM}",
        "--build-arg=PASSWORD",
    ]


def test_advice_names_the_argument() -> None:
    for name in ("build-arg:NPM_TOKEN", "build-arg:NPM_TOKEN#2", "build-arg:NPM_TOKEN:RSA d"):
        told = advice(name)
        assert told is not None
        assert "--mount=type=secret,id=NPM_TOKEN)" in told
        assert "--build-arg-public NPM_TOKEN)" in told
    assert advice("NPM_TOKEN") is None


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,12}", fullmatch=True), st.text(), max_size=4), st.text(max_size=80))
def test_nothing_in_an_argument_fails(build_args: dict[str, str], dockerfile: str) -> None:
    request = BuildRequest(dockerfile, Path(), build_args=build_args)
    for value in credentials(request).values():
        assert value.reveal()
    assert len(visible(request)) <= len(arguments(dockerfile, build_args))
    assert {option.split("=")[1] for option in argument_options(request)} == set(build_args)
