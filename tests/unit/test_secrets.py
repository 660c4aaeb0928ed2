"""Secrets: where values come from, what inside them is hunted, and that none of it ever prints."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_image import InvalidInputError, Secret, SecretSourceError, SecretValue
from container_image.secrets import inner_values, resolve_secrets

VALUE = "tok9aZ8bY7cX6dW5eV4f"
TOKENS = st.text("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=20, max_size=40).filter(
    lambda text: len(set(text)) > 8
)


def test_sources_give_their_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", VALUE)
    (tmp_path / "file").write_bytes(b"\0\xffbytes\n")
    (tmp_path / ".env").write_text("# comment\nexport A=one\nB='two # not a comment'\nC=\"x\\ny\" # comment\n")
    assert Secret.from_value(VALUE).resolve("S").reveal() == VALUE.encode()
    assert Secret.from_env("A_TOKEN").resolve("S").reveal() == VALUE.encode()
    assert Secret.from_file(tmp_path / "file").resolve("S").reveal() == b"\0\xffbytes\n"
    assert Secret.from_command(["printf", "%s\n", VALUE]).resolve("S").reveal() == VALUE.encode()
    dotenv = Secret.from_dotenv(tmp_path / ".env")
    assert {name: secret.resolve(name).reveal() for name, secret in dotenv.items()} == {
        "A": b"one",
        "B": b"two # not a comment",
        "C": b"x\ny",
    }


def test_a_source_is_read_only_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret.from_env("SET_LATER")
    monkeypatch.setenv("SET_LATER", VALUE)
    assert secret.resolve("S").reveal() == VALUE.encode()


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (Secret.from_env("NOT_SET"), "the variable NOT_SET is not set"),
        (Secret.from_file("/no/such/file"), "/no/such/file can't be read"),
        (Secret.from_file("/"), "the file / can't be read"),
        (Secret.from_file("/dev/zero"), "neither a file nor a pipe"),
        (Secret.from_file("a\0b"), "a NUL character"),
        (Secret.from_value(" \n"), "is empty"),
        (Secret.from_command("false"), "the command false exited with status 1"),
        (Secret.from_command("no-such-command x"), "the command no-such-command can't be run"),
        (Secret.from_command(["true", "a\0b"]), "the command true can't be run: there is a NUL character"),
    ],
)
def test_a_source_without_a_value_names_the_secret_and_the_source(secret: Secret, message: str) -> None:
    with pytest.raises(SecretSourceError, match=f"(?s)'S'.*{message}"):
        secret.resolve("S")


def test_a_file_larger_than_a_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 512_000)
    assert len(Secret.from_file(tmp_path / "file").resolve("S")) == 512_000
    (tmp_path / "file").write_bytes(b"x" * 512_001)
    with pytest.raises(SecretSourceError, match=r"file is too large; a secret has 512000 bytes at most"):
        Secret.from_file(tmp_path / "file").resolve("S")


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["sh", "-c", f"printf {VALUE} > {tmp_path}/pipe"]):
        assert Secret.from_file(tmp_path / "pipe").resolve("S").reveal() == VALUE.encode()


def test_a_variable_that_has_gone_from_a_dotenv_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=one\n")
    secret = Secret.from_dotenv(tmp_path / ".env")["A"]
    (tmp_path / ".env").write_text("B=two\n")
    with pytest.raises(SecretSourceError, match=r"'S': there is no A in .*/.env any more"):
        secret.resolve("S")


def test_a_command_does_not_inherit_the_build_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_IMAGE_BUILD_KEY", "a long random text")
    monkeypatch.setenv("A_TOKEN", VALUE)
    script = 'printf %s "$A_TOKEN$CONTAINER_IMAGE_BUILD_KEY"'
    assert Secret.from_command(["sh", "-c", script]).resolve("S").reveal() == VALUE.encode()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Secret.from_value(5), "a value is a str or bytes; got int"),  # type: ignore[arg-type]
        (lambda: Secret.from_value("a\ud800" + VALUE), "half of a surrogate pair"),
        (lambda: Secret.from_value("x").with_earlier(VALUE), "with_earlier takes a list of values"),
        (lambda: Secret.from_value("x").with_earlier([5]), "a value is a str or bytes; got int"),  # type: ignore[list-item]
        (lambda: Secret.from_command(f"echo '{VALUE}"), "a quote is not closed"),
        (lambda: Secret.from_file("~no-such-user/x"), "no such user's home directory"),
        (lambda: SecretValue("S", 5), "secret 'S': its values are bytes"),  # type: ignore[arg-type]
        (lambda: SecretValue("S", b"x", earlier=VALUE.encode()), "secret 'S': its values are bytes"),  # type: ignore[arg-type]
        (lambda: resolve_secrets([VALUE]), "secrets are given by name, .*; got a list"),  # type: ignore[arg-type]
        (lambda: resolve_secrets({"S": 5}), "secret 'S': a value is a str or bytes; got int"),  # type: ignore[dict-item]
    ],
)
def test_what_is_no_value_or_source_is_refused_without_repeating_it(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        make()
    assert VALUE not in repr(caught.value) + repr(caught.value.__context__)


def test_secrets_are_equal_if_their_sources_and_literals_are() -> None:
    assert Secret.from_env("A") == Secret.from_env("A") != Secret.from_env("B")
    assert Secret.from_value("a") == Secret.from_value(b"a") != Secret.from_value("b")
    assert Secret.from_value("a").with_earlier(["b"]) != Secret.from_value("a").with_earlier(["c"])
    command = Secret.from_command("echo a")
    assert command == copy.deepcopy(command) != Secret.from_command("echo b")
    assert len({Secret.from_env("A"), Secret.from_env("A"), command}) == 2


def test_a_failing_command_does_not_show_what_it_printed() -> None:
    with pytest.raises(SecretSourceError) as caught:
        Secret.from_command(["sh", "-c", f"echo {VALUE}; echo {VALUE} >&2; exit 3"]).resolve("S")
    assert VALUE not in repr(caught.value) + str(caught.value.__context__)


def test_references_are_refused_all_at_once_and_never_literals() -> None:
    with pytest.raises(InvalidInputError, match="'a', 'b'") as caught:
        resolve_secrets({"a": "$ONE", "b": "$ecretPassw0rd", "c": "x"})
    assert "ecretPassw0rd" not in str(caught.value)
    given_values = resolve_secrets({"a": "$$ONE", "b": "$not a name", "c": "US$5"})
    assert [value.reveal() for value in given_values.values()] == [b"$ONE", b"$not a name", b"US$5"]


def test_no_way_of_showing_a_value_shows_it() -> None:
    value = SecretValue("TOKEN", VALUE.encode())
    assert [repr(value), str(value), f"{value}", f"{value:>20}".strip()] == ["Secret('TOKEN')"] * 4
    for secret in (value, Secret.from_value(VALUE)):
        assert VALUE not in repr(secret) + repr({"a": secret}) + repr([secret])
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        with pytest.raises(TypeError):
            json.dumps(secret)
    earlier = Secret.from_value("x").with_earlier([VALUE])
    assert VALUE not in str(vars(earlier)) + str(dataclasses.asdict(earlier))
    with pytest.raises(TypeError):
        copy.deepcopy(value)
    assert value == SecretValue("OTHER", VALUE.encode())
    assert value != SecretValue("TOKEN", b"other")


FORMATS = {
    "npmrc": ("registry=https://r.example.com/\n//r.example.com/:_authToken={}\n", "_authToken"),
    "netrc": ("machine h.example.com login me password {}\n", "password"),
    "dotenv": ("PORT=5432\nexport API_TOKEN='{}'\n", "API_TOKEN"),
    "pip.conf": ("[global]\nindex-url = https://me:{}@i.example.com/simple\n", "global.index-url.userinfo"),
    "json": ('{{"type": "service_account", "a": {{"secret": "{}"}}}}', "a.secret"),
    "yaml": ("server: x.example.com\nauth:\n  password: {}\n", "password"),
    "url": ("https://me:{}@i.example.com/simple", "userinfo"),
}


@given(token=TOKENS, name=st.sampled_from(sorted(FORMATS)))
def test_a_token_inside_a_structured_secret_is_hunted_by_name(token: str, name: str) -> None:
    text, key = FORMATS[name]
    found = inner_values(SecretValue("s", text.format(token).encode()))
    hunted = {item.name: item.value for item in found if not item.public}
    assert hunted == {f"s:{key}": token.encode()}


@given(st.binary(max_size=400))
def test_any_bytes_can_be_looked_into(data: bytes) -> None:
    for item in inner_values(SecretValue("s", data)):
        assert item.value
        assert repr(item) == f"InnerValue({item.name!r})"


def test_certificates_and_public_keys_are_public() -> None:
    text = "".join(
        f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"
        for label, body in (("CERTIFICATE", "MIIC" * 9), ("PUBLIC KEY", "MIIB" * 9), ("PRIVATE KEY", "MIIE" * 9))
    )
    found = inner_values(SecretValue("tls", text.encode()))
    assert [(item.name, item.public) for item in found] == [
        ("tls:CERTIFICATE (public)", True),
        ("tls:PUBLIC KEY (public)", True),
        ("tls:PRIVATE KEY", False),
    ]
