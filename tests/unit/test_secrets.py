"""Secrets: where values come from, what inside them is hunted, and that none of it ever prints."""

from __future__ import annotations

import base64
import binascii
import copy
import dataclasses
import json
import os
import pickle
import random
import string
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from container_image import InvalidInputError, Secret, SecretSourceError, SecretValue, audit
from container_image.secrets import as_secret, as_written, inner_values, look_inside, resolve_secrets, stored_names
from container_image.secrets.inner import MAX_HUNTED, MAX_PUBLIC
from container_image.secrets.sensitivity import looks_random

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


def test_a_dotenv_file_of_spaces_is_refused_in_no_time(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=b" + b" " * 400_000 + b"c # d\nB=x#y \t# z\r\n")
    with pytest.raises(SecretSourceError, match=r"line 1 has 1,000 blanks in a row"):
        Secret.from_dotenv(tmp_path / ".env")


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
        (lambda: audit("oci:x", [VALUE]), "secrets are given by name, .*; got a list"),  # type: ignore[arg-type]
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


def test_a_string_that_begins_with_a_dollar_is_a_reference_or_escaped() -> None:
    references = {"a": "$ONE", "b": "${TWO}", "c": "$ecretPassw0rd"}
    assert [stored.name for stored in stored_names(references).values()] == ["ONE", "TWO", "ecretPassw0rd"]
    with pytest.raises(SecretSourceError, match=r"(?s)'a': it is in the store.*'b': it is.*'c': it is") as caught:
        resolve_secrets(references)
    assert "ecretPassw0rd" not in str(caught.value) + repr(as_secret("$ecretPassw0rd"))
    literals: dict[str, str | bytes] = {"a": "$$ONE", "b": "$$", "c": "US$5", "d": b"$ONE", "e": "$$${X}-y"}
    values = [value.reveal() for value in resolve_secrets(literals).values()]
    assert values == [b"$ONE", b"$", b"US$5", b"$ONE", b"$${X}-y"]


@pytest.mark.parametrize(
    "text", ["$", "$TOKEN-x", "${TOKEN", "${}", "${TOKEN}x", "$1PASS", "$not a name", "$TOKEN\n", "${A:-b}", "$Größe"]
)
def test_any_other_dollar_at_the_start_is_refused_without_repeating_it(text: str) -> None:
    for refused in (resolve_secrets, stored_names):
        with pytest.raises(InvalidInputError) as caught:
            refused({"S": text})
        # Whatever the text is.
        assert str(caught.value) == (
            "secret 'S': its value begins with $ and is no name of a secret; write $$ in the place of that $ for a literal, "
            "or $NAME alone for the store's secret NAME"
        )
        assert caught.value.__cause__ is None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_every_literal_can_be_written(text: str) -> None:
    assert as_secret(as_written(text)).resolve("S").reveal() == text.encode()


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


OTHER = "Uvw3xY2zA1bC4dE5fG6h"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# A text with one token `{}` in it, and the name under which it alone is hunted; None if more is.
FORMATS = {
    "npmrc": ("registry=https://r.example.com/\n//r.example.com/:_authToken={}\nalways-auth=true\n", "_authToken"),
    "npmrc with a port": ("//r.example.com:8443/npm/:_authToken={}\n@x:registry=https://r.example.com\n", "_authToken"),
    "a commented line": ("registry=https://r.example.com/\n# //r.example.com/:_authToken={}\n", "_authToken"),
    "netrc": ("machine h.example.com login me password {}\n", "password"),
    "netrc of several lines": (
        "# c\nmachine h.example.com\n  login me\n  password {}\nmacdef init\ncd /tmp\n\ndefault login anonymous\n",
        "password",
    ),
    "netrc with quotes": ('machine h.example.com login me password "{}"\n', "password"),
    "netrc with the token as the login": ("machine h.example.com login {} password x-oauth-basic\n", "login"),
    "dotenv": ("PORT=5432\nexport API_TOKEN='{}'\nDEBUG=true\n", "API_TOKEN"),
    "dotenv with a comment": ("PORT=5432\nAPI_TOKEN={} # mine\n", None),
    "dotenv without a telling key": ("HOST=h.example.com\nTHING={}\n", "THING"),
    "CRLF": ("PORT=5432\r\nAPI_TOKEN={}\r\n", "API_TOKEN"),
    "UTF-8 with a mark": ("\ufeffAPI_TOKEN={}\n", "API_TOKEN"),
    "pip.conf": (
        "[global]\nindex-url = https://me:{}@i.example.com/simple\ntimeout = 60\n",
        "global.index-url.userinfo",
    ),
    "pip.conf over several lines": (
        "[global]\nextra-index-url =\n    https://pypi.org/simple\n    https://me:{}@i.example.com/simple\n",
        "global.extra-index-url.userinfo",
    ),
    "pypirc": ("[distutils]\nindex-servers =\n  pypi\n[pypi]\nusername = __token__\npassword: {}\n", "pypi.password"),
    "aws": (
        "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = {}\n",
        "default.aws_secret_access_key",
    ),
    "json": ('{{"type": "service_account", "a": {{"secret": "{}"}}}}', "a.secret"),
    "json with a member twice": ('{{"token": "{}", "token": "<token>"}}', "token"),
    "json lines": ('{{"port": 5432}}\n{{"token": "{}"}}\n', "token"),
    "json with a comma too many": ('{{\n  "host": "h.example.com",\n  "token": "{}",\n}}\n', "token"),
    "json in a list": ('[{{"name": "API_TOKEN", "value": "{}"}}, {{"name": "PORT", "value": "80"}}]', "API_TOKEN"),
    "json in a variable": ('PORT=1\nCONFIG=\'{{"db": {{"password": "{}"}}}}\'\n', "CONFIG.db.password"),
    "composer": ('{{"github-oauth": {{"github.com": "{}"}}}}', "github-oauth.github.com"),
    "tfstate": ('{{"outputs": {{"db_password": {{"value": "{}", "type": "string"}}}}}}', "outputs.db_password.value"),
    "tfvars": ('region = "eu-west-1"\ndb_password = "{}"\n', "db_password"),
    "terraformrc": ('credentials "app.example.com" {{\n  token = "{}"\n}}\n', "token"),
    "toml": ('[registries.mine]\nindex = "https://i.example.com"\ntoken = "{}"\n', "registries.mine.token"),
    "toml in a table": (
        '[registries]\nmine = {{ index = "https://i.example.com", token = "{}" }}\n',
        "registries.mine.token",
    ),
    "yaml": ("server: x.example.com\nauth:\n  password: {}\n", "auth.password"),
    "yaml in quotes": ('auth: {{user: me, password: "{}"}}\n', "auth.password"),
    "yaml block": ("auth:\n  password: |\n    {}\n  user: me\n", "auth.password"),
    "yaml with an anchor": ("base: &b\n  token: {}\nother:\n  <<: *b\n", "base.token"),
    "kubeconfig": (
        "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster:\n    server: https://k.example.com:6443\n"
        "users:\n- name: u\n  user:\n    token: {}\n",
        "users.user.token",
    ),
    "conda": ("channels:\n  - https://conda.example.com/t/{}/main\nssl_verify: true\n", "channels.path"),
    "maven": (
        "<settings><servers><server><id>x</id><username>me</username><password>{}</password></server></servers></settings>",
        "settings.servers.server.password",
    ),
    "nuget": (
        '<?xml version="1.0"?><configuration><packageSourceCredentials><Feed><add key="Username" value="me"/>'
        '<add key="ClearTextPassword" value="{}"/></Feed></packageSourceCredentials></configuration>',
        "configuration.packageSourceCredentials.Feed.add.ClearTextPassword",
    ),
    "gradle": ("org.gradle.jvmargs=-Xmx2g\nmavenUser=me\nmavenPassword={}\n", "mavenPassword"),
    "ado": ("Server=tcp:d.example.com,1433;User ID=me;Password={};Encrypt=True;", "Password"),
    "libpq": ("host=d.example.com user=me password={} dbname=x", "password"),
    "git-credentials": ("https://me:{}@git.example.com\nhttps://git@other.example.com\n", "userinfo"),
    "curlrc": ('url = "https://x.example.com"\nheader = "PRIVATE-TOKEN: {}"\n', "header.PRIVATE-TOKEN"),
    "curlrc of options": ('--header "PRIVATE-TOKEN: {}"\n--silent\n', "header.PRIVATE-TOKEN"),
    "wgetrc": ("http_user = me\nhttp_password = {}\n", "http_password"),
    "condarc": (
        "channels:\n  - defaults\nproxy_servers:\n  https: https://me:{}@p.example.com:3128\n",
        "proxy_servers.https.userinfo",
    ),
    "a header": ("Authorization: Bearer {}\n", "Authorization.Bearer"),
    "a header of git": ('[http "https://g.example.com/"]\n\textraheader = AUTHORIZATION: bearer {}\n', None),
    "url": ("https://me:{}@i.example.com/simple", "userinfo"),
    "url of a token": ("https://{}@i.example.com/simple", "userinfo"),
    "url with a query": ("https://i.example.com/simple?v=2&access_token={}", "access_token"),
    "wireguard": ("[Interface]\nAddress = 10.0.0.1/24\n[Peer]\nPresharedKey = {}\n", "Peer.PresharedKey"),
    "a script": ("#!/bin/sh\nset -e\ncurl -H 'X-Auth: {}' https://x.example.com | sh\n", "value"),
}


@settings(max_examples=250, deadline=None)
@given(token=TOKENS, name=st.sampled_from(sorted(FORMATS)))
def test_a_token_inside_a_structured_secret_is_hunted_by_name(token: str, name: str) -> None:
    text, key = FORMATS[name]
    assume(looks_random(token.encode()))
    found = inner_values(SecretValue("s", text.format(token).encode()))
    hunted = {item.value: item.name.split("#")[0] for item in found if not item.public and not item.whole}
    assert token.encode() in hunted
    if key is not None:
        assert hunted == {token.encode(): f"s:{key}"}
    assert not any(token in item.name for item in found)


BASE62 = string.ascii_letters + string.digits
# These are names of ours, or words that formats have.
FIXED = {"value", "userinfo", "path", "password", "Bearer", "Basic"}


def some(draw: random.Random, least: int = 2, most: int = 8) -> str:
    """Letters and digits, with one of each case and a digit, so that no word is among them."""
    kinds = (string.ascii_lowercase, string.digits, string.ascii_uppercase)
    letters = [draw.choice(kind) for kind in kinds] + draw.choices(BASE62, k=draw.randint(least, most))
    draw.shuffle(letters)
    return "".join(letters)


def passphrase(draw: random.Random, between: str) -> str:
    words = ["correct", "horse", "battery", "staple", "orbit", "velvet", "Zebra", "Quartz", "lantern"]
    return draw.choice(words) + between + " ".join(draw.choices(words, k=draw.randint(1, 4)))


# Passwords and passphrases with the separators that settings have.
SEPARATED: dict[str, Callable[[random.Random], str]] = {
    "=": lambda draw: f"{some(draw)}={some(draw)}!{some(draw)}",
    "= twice": lambda draw: f"{some(draw)}={some(draw)}={some(draw)}",
    "= and &": lambda draw: f"{some(draw)}={some(draw)}&{some(draw)}={some(draw)}",
    "= and ;": lambda draw: ";".join(f"{some(draw)}={some(draw)}" for _ in range(4)),
    "= and spaces": lambda draw: " ".join(f"{some(draw)}={some(draw)}" for _ in range(4)),
    ": ": lambda draw: f"{some(draw)}: {some(draw)}!{some(draw)}",
    ":": lambda draw: f"{some(draw)}:{some(draw)}",
    ": in a passphrase": lambda draw: passphrase(draw, ": "),
    "= in a passphrase": lambda draw: passphrase(draw, "="),
    " = in a passphrase": lambda draw: passphrase(draw, " = "),
    "quotes": lambda draw: f"{some(draw)}=\"{some(draw)}\" {some(draw)}='{some(draw)}'",
    "braces": lambda draw: f"{{{some(draw)}: {some(draw)}}}",
    "brackets": lambda draw: f"[{some(draw)}]",
    "capitals": lambda draw: f"{draw.choice('ABCXYZ')}{draw.randint(1, 9)}{draw.choice('QZX')}={some(draw)}!",
    "a URL's query": lambda draw: f"https://x.example.com/?{some(draw)}={some(draw, 20, 30)}",
    "several lines": lambda draw: "".join(f"{some(draw)}={some(draw)}!\n" for _ in range(draw.randint(2, 5))),
    "several lines with colons": lambda draw: "".join(f"{some(draw)}: {some(draw)}\n" for _ in range(3)),
    "a list": lambda draw: "".join(f"- {some(draw)}: {some(draw)}\n" for _ in range(3)),
    "after a key": lambda draw: f"HOST=h.example.com\nDB_PASSWORD={some(draw)}={some(draw)}!{some(draw)}\nPORT=5432\n",
    "JSON": lambda draw: json.dumps({some(draw): {some(draw): some(draw, 20, 30)}}),
    "a spaced pair": lambda draw: (
        f"{draw.choice(['secret', 'token', 'password'])} {draw.choice(['squirrel', 'garden'])}"
    ),
}


@pytest.mark.parametrize("kind", sorted(SEPARATED))
def test_no_name_of_an_inner_value_has_a_part_of_the_secret(kind: str) -> None:
    draw = random.Random(kind)
    for _ in range(300):
        text = SEPARATED[kind](draw)
        for item in inner_values(SecretValue("s", text.encode())):
            keys = set(item.name.removeprefix("s:").partition("#")[0].split("."))
            assert keys <= FIXED | {"DB_PASSWORD", "HOST", "PORT"}, text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("API_TOKEN=x9!k\n", {"API_TOKEN"}),
        ("DATABASE_URL=postgres://me:x9!k@db/x", {"DATABASE_URL", "DATABASE_URL.userinfo"}),
        ("password: x9!k", {"password"}),
        ("host=db.example.com user=me password=x9!k dbname=x", {"host", "user", "password", "dbname"}),
        ("Data Source=db;User ID=me;Password=x9!k", {"Data Source", "User ID", "Password"}),
        ("[default]\nregion=eu-west-1\naws_secret_access_key=x9!k\n", {"default.region", "default.aws_secret_access_key"}),
        ("HOST=h.example.com\nS3_KEY=x9!k\nK8S_TOKEN=y\nOAUTH2_SECRET=z\n", {"HOST", "S3_KEY", "K8S_TOKEN", "OAUTH2_SECRET"}),
        ("@team:registry=https://r.example.com\n//r.example.com/:_authToken=x9!k\n", {"@team:registry", "_authToken"}),
        ("spring.datasource.password=x9!k\nserver.port=80\n", {"spring.datasource.password", "server.port"}),
    ],
)  # fmt: skip
def test_keys_are_named(text: str, names: set[str]) -> None:
    assert {item.name.removeprefix("s:") for item in inner_values(SecretValue("s", text.encode()))} == names


def hunted_values(text: str) -> set[str]:
    return {item.value.decode() for item in inner_values(SecretValue("s", text.encode())) if not item.public}


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (f"//r.example.com/:_password={b64(VALUE)}\n//r.example.com/:username=me\n", {b64(VALUE), VALUE}),
        (f"registry=https://r.example.com\n_auth={b64('me:' + VALUE)}\n", {b64("me:" + VALUE), VALUE}),
        (json.dumps({"auths": {"r.example.com": {"auth": b64("me:" + VALUE)}}, "credsStore": "x"}), {b64("me:" + VALUE), VALUE}),
        (json.dumps({"auths": {"r.example.com": {"identitytoken": VALUE}}}), {VALUE}),
        (f'user = "me:{VALUE}"\nurl = "https://x.example.com"\n', {f"me:{VALUE}", VALUE}),
        (f"Authorization: Basic {b64('me:' + VALUE)}\n", {f"Basic {b64('me:' + VALUE)}", b64("me:" + VALUE), VALUE}),
        (f"kind: Secret\ndata:\n  password: {b64(VALUE)}\n  user: {b64('me')}\n", {b64(VALUE), VALUE}),
        (b64(f"HOST=h.example.com\nA_TOKEN={VALUE}\n"), {VALUE}),
        ("DB_URL=postgres://me:p%40ss%2Fw0rd-1@db:5432/x\nPORT=1\n", {"p@ss/w0rd-1"}),
        ("DB_URL=postgres://me:pa#ss/w0rd-1@db:5432/x\nPORT=1\n", {"pa#ss/w0rd-1"}),
        (f"https://me:{VALUE}@a.example.com,https://me:{OTHER}@b.example.com", {VALUE, OTHER}),
        (f"[a]\npassword = {VALUE}\n[b]\npassword = {OTHER}\n", {VALUE, OTHER}),
        (f"USER_NAME={VALUE}\nPASSWORD={VALUE}\n", {VALUE}),
        ("A_TOKEN=" + VALUE + "\n//r.example.com/:_authToken=${NPM_TOKEN}\nB_PASSWORD=%(env)s\n", {VALUE}),
        (f"{VALUE}\n{OTHER}\n", {VALUE, OTHER}),
        (f"[a]\npassword = \"{VALUE}\" {OTHER}\"\n", {VALUE, f"{VALUE}\" {OTHER}"}),
        (VALUE, set()),
        (f"{VALUE}=abc==", set()),
        (f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{VALUE}", set()),
        ("correct horse battery staple", set()),
    ],
)  # fmt: skip
def test_what_is_in_what_else_is_hunted(text: str, tokens: set[str]) -> None:
    assert hunted_values(text) == tokens


def test_utf_16_is_read() -> None:
    found = inner_values(SecretValue("s", f"HOST=h.example.com\r\nA_TOKEN={VALUE}\r\n".encode("utf-16")))
    assert {item.name: item.value for item in found if not item.public} == {"s:A_TOKEN": VALUE.encode()}


PUBLIC = [
    json.dumps(
        {
            "type": "service_account",
            "project_id": "my-project-123456",
            "private_key_id": "0f3b9c1e7a5d2468ace013579bdf0246e8ca1357",
            "client_email": "builder-7@my-project-123456.iam.gserviceaccount.com",
            "client_id": "104857600123456789012",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": "https://oauth2.googleapis.com/token",
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/b-7%40my-project-123456.iam.gserviceaccount.com",
            "universe_domain": "googleapis.com",
        }
    ),
    "machine api.example.com\nlogin jane.doe1984@example.com\n",
    json.dumps({"token_type": "Bearer", "expires_in": 3600, "max_tokens": 4096, "scope": "read:packages", "use_secret": False}),
    "IMAGE=registry.example.com/team/app:1.2.3\nDIGEST=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n"
    "BUCKET=my-company-terraform-state-1\nDATE=2026-01-01T00:00:00Z\nPASSWORD_FILE=/run/secrets/db1\nAWS_REGION=us-east-1\n",
    "[remote \"origin\"]\n\turl = ssh://git@git.example.com/team/app.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n",
    "Host git.example.com\n  IdentityFile ~/.ssh/id_ed25519_2026\n  User git\n",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_what_names_no_credential_and_looks_like_none_is_public(text: str) -> None:
    assert hunted_values(text) == set()


def test_a_value_of_several_lines_is_one() -> None:
    text = f"PORT=5432\nA_SECRET=\"{VALUE}\nand more\"\nTHING='one\n{OTHER}\n'\n"
    assert hunted_values(text) == {f"{VALUE}\nand more", OTHER}


@pytest.mark.parametrize(
    "alphabet", ["0123456789abcdef", string.ascii_letters + string.digits + "-_", string.ascii_lowercase + "234567"]
)
def test_most_tokens_look_random(alphabet: str) -> None:
    tokens = ["".join(random.Random(seed).choices(alphabet, k=32)) for seed in range(200)]
    assert sum(looks_random(token.encode()) for token in tokens) > 180


@pytest.mark.parametrize(
    "word",
    [
        "my-company-terraform-state-1", "kubernetes-admin@cluster-1", "MyCompanyTerraformState2024Prod", "ubuntu2204server",
        "registry.example.com/team/app:1.2.3", "ec2-12-34-56-78.compute-1.example.com", "arn:aws:iam::123456789012:role/x",
        "2026-01-01T00:00:00.000Z", "mozilla/DigiCert_Global_Root_G2.crt", "~/.ssh/id_ed25519_2026", "aaaaaaaaaaaaaaaa1111",
    ],
)  # fmt: skip
def test_what_people_name_does_not_look_random(word: str) -> None:
    assert not looks_random(word.encode())


def test_a_credential_that_is_too_short_is_one() -> None:
    found = inner_values(SecretValue("s", b"machine h.example.com login me password abc\n"))
    assert [(item.name, item.credential) for item in found if item.credential] == [("s:password", True)]


PIECES = [
    b"a", b"TOKEN", b"password", b"=", b": ", b":", b"\n", b"  ", b'"', b"'", b"{", b"}", b"[", b"]", b",", b";", b"\\", b"\0", b"- ", b"#", b"<",
    b"<a>", b"</a>", b"machine ", b"login ", b"https://", b"@", b"%41", b"?", b"&", b"|\n", b"&x ", b"*x", b"!!binary ", b"Basic ", b"\xff", b"----- ",
    b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----", b"-----BEGIN CERTIFICATE-----", b"MIIC", b"tok9aZ8bY7cX6dW5eV4f",
    b"dG9rOWFaOGJZN2NYNmRXNWVWNGY=", b"\xff\xfe", b"\xef\xbb\xbf", b'{"kty": "RSA", "d": "', b"ssh-rsa AAAA",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400) | st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))
def test_any_bytes_can_be_looked_into(data: bytes) -> None:
    for item in inner_values(SecretValue("s", data)):
        assert item.value
        assert repr(item) == f"InnerValue({item.name!r})"
        assert item.public or len(item.value) < 4 or item.value.decode("utf-8", "replace") not in item.name[2:]


PLAIN = [
    piece for piece in PIECES if not set(b"\\%&!\xff") & set(piece) and b"BEGIN" not in piece and b"kty" not in piece
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PLAIN), max_size=30).map(b"".join))
def test_every_value_is_in_the_secret(data: bytes) -> None:
    # Line breaks and quotes aside, which formats read as they do; nothing in these pieces but base64 is decoded.
    def letters(text: bytes) -> bytes:
        return bytes(byte for byte in text if chr(byte).isalnum())

    decoded = [data, *(base64.b64decode(piece) for piece in PIECES if len(piece) == 28)]
    for item in inner_values(SecretValue("s", data)):
        assert any(letters(item.value) in letters(text) for text in decoded)


SIZE = 512_000
LARGE = {
    "one letter": b"a" * SIZE,
    "spaces": b"a=b" + b" " * SIZE + b"c",
    "variables": b"".join(b"KEY_%d=v%d\n" % (number, number) for number in range(SIZE // 16)),
    "tokens": b"".join(b"T%d_TOKEN=%024x\n" % (number, number**5) for number in range(SIZE // 38)),
    "beginnings": b"-----BEGIN PRIVATE KEY-----\n" * (SIZE // 28),
    "addresses": b"https://a:b@c " * (SIZE // 14),
    "schemes": b"a://" * (SIZE // 4),
    "json": json.dumps({f"k{number}": f"{number**5:x}" for number in range(SIZE // 25)}).encode(),
    "brackets": b"[" * SIZE,
    "xml": b"<a>" * (SIZE // 7) + b"</a>" * (SIZE // 7),
    "yaml": b"a: &a [x]\n" + b"- *a\n" * (SIZE // 5),
    "quotes": b'a="\n' * (SIZE // 4),
    "backslashes": b'a="' + b"\\" * SIZE,
    "words": b"machine password " * (SIZE // 17),
    "base64": base64.encodebytes(bytes(range(256)) * 1450),
    "zeros": bytes(SIZE),
}


@pytest.mark.parametrize("name", sorted(LARGE))
def test_a_secret_of_the_largest_size_is_read_in_linear_time_and_gives_few_values(name: str) -> None:
    def seconds(size: int) -> float:
        started = time.process_time()
        look_inside(SecretValue("s", LARGE[name][:size]))
        return time.process_time() - started

    # An algorithm of quadratic time takes a hundred times as long for ten times the size.
    assert seconds(SIZE) < 40 * max(seconds(SIZE // 10), 0.02)
    inside = look_inside(SecretValue("s", LARGE[name][:SIZE]))
    assert len(inside.values) <= MAX_HUNTED + MAX_PUBLIC
    assert inside.omitted == (name in ("addresses", "json", "quotes", "tokens", "variables", "words"))


@pytest.mark.parametrize("encode", [base64.encodebytes, base64.b85encode, binascii.hexlify])
def test_what_is_one_encoded_thing_is_not_taken_apart(encode: Callable[[bytes], bytes]) -> None:
    data = encode(bytes(range(256)) * 200)
    lines = data if b"\n" in data else b"\n".join(data[at : at + 76] for at in range(0, len(data), 76))
    assert inner_values(SecretValue("s", lines)) == []


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
