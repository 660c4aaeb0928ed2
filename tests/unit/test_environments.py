"""An audit against environments of the store: what it searches for, and whose value it says was found."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from container_image import InvalidInputError, Secret, SecretStore, UnknownSecretError, Verdict, audit
from container_image.cli import commands
from container_image.formats import FORMATS

MAIN, STAGING, FORMER, OTHER = "main-9aZ8bY7cX6dW", "staging-1hG2jF3kD4lS", "former-5pQ6rS7tU8vW", "other-7qW8eR9tY0uI"


@pytest.fixture
def store() -> SecretStore:
    store = SecretStore.open()
    store.environments.create("staging")
    store.secrets.set("TOKEN", MAIN)
    store.secrets.set("TOKEN", FORMER, "staging")
    store.secrets.set("TOKEN", STAGING, "staging")
    store.secrets.set("OTHER", OTHER, "staging")
    return store


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["audit", *arguments], standalone_mode=False)


@pytest.mark.usefixtures("store")
def test_an_environment_alone_is_all_of_its_secrets_with_their_earlier_versions(layout: Callable[[str], str]) -> None:
    for text, name, version in ((STAGING, "TOKEN", 1), (FORMER, "TOKEN", 2), (OTHER, "OTHER", 1)):
        report = audit(layout(text), {}, environments=["staging"])
        (finding,) = report.findings
        assert (finding.secret, finding.environment, finding.secret_version) == (name, "staging", version)
        assert report.environments == ("staging",)
        assert [(row.name, row.environment, row.versions) for row in report.secrets] == [
            ("OTHER", "staging", 1),
            ("TOKEN", "staging", 2),
        ]
    assert audit(layout(MAIN), {}, environments=["staging"]).verdict is Verdict.CLEAN


@pytest.mark.usefixtures("store")
def test_what_is_declared_is_searched_for_in_each_environment(
    layout: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL", "local-3eR4tY5uI6oP")
    declared = {"t": "$TOKEN", "l": Secret.from_env("LOCAL"), "m": Secret.from_name("TOKEN", "main")}
    report = audit(layout(f"{MAIN} {STAGING} {OTHER} local-3eR4tY5uI6oP"), declared, environments=["staging", "main"])
    found = [(finding.secret, finding.environment) for finding in report.findings]
    assert found == [("l", None), ("m", "main"), ("t", "main"), ("t", "staging")]
    assert report.environments == ("staging", "main")
    with pytest.raises(UnknownSecretError, match="'main'"):
        audit(layout(""), {"o": "$OTHER"}, environments=["staging", "main"])


def test_one_value_in_two_environments_is_found_for_both(layout: Callable[[str], str], store: SecretStore) -> None:
    store.secrets.set("TOKEN", STAGING)
    report = audit(layout(STAGING), {}, environments=["main", "staging"])
    assert [(finding.environment, finding.secret_version) for finding in report.findings] == [
        ("main", 1),
        ("staging", 1),
    ]


def test_an_environment_without_secrets_promises_nothing(layout: Callable[[str], str], store: SecretStore) -> None:
    store.environments.create("empty")
    with pytest.raises(UnknownSecretError, match="the environment 'empty' has no secret to search for"):
        audit(layout(""), {}, environments=["main", "empty"])
    with pytest.raises(InvalidInputError, match="environments is a list"):
        audit(layout(""), {}, environments="main")  # type: ignore[arg-type]
    assert run(layout(""), "--all-environments").return_value == 0


@pytest.mark.usefixtures("store")
def test_the_command_line_names_the_environment_of_a_finding(layout: Callable[[str], str]) -> None:
    image = layout(f"{STAGING} {MAIN}")
    done = run(image, "--all-environments")
    assert done.return_value == 1
    assert "LEAK  TOKEN of main  (raw)" in done.stdout
    assert "LEAK  TOKEN of staging  (raw)" in done.stdout
    report = json.loads(run(image, "--env", "staging", "--env", "main", "--format", "json").stdout)
    assert {(item["secret"], item["environment"]) for item in report["findings"]} == {
        ("TOKEN", "staging"), ("TOKEN", "main"),
    }  # fmt: skip
    assert report["environments"] == ["staging", "main"]
    (finding,) = json.loads(run(image, "--env", "staging", "--secret", "id=TOKEN", "--format", "json").stdout)[
        "findings"
    ]
    assert finding["environment"] == "staging"
    (finding,) = json.loads(run(image, "--secret", "id=t,store=TOKEN", "--format", "json").stdout)["findings"]
    assert (finding["secret"], finding["environment"]) == ("t", "main")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_format_tells_the_environments_apart(layout: Callable[[str], str], form: str) -> None:
    report = audit(layout(STAGING), {"t": "$TOKEN"}, environments=["staging", "main"])
    text = FORMATS[form](report)
    assert STAGING not in text
    if form in ("junit", "html"):
        assert "t of staging" in text
        assert "t of main" in text
    if form == "junit":
        assert text.count("<failure") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "stagin"], "did you mean staging"),
        (["--env", "TOKEN=hunter2-hunter2"], "--env names an environment"),
        (["--env", "staging", "--secret", "id=TOKNE"], "TOKEN"),
        (["--env", "staging", "--secret", "id=to-ken"], "--secret id=to-ken: a secret's name has"),
        (["--secret", "id=t,store=TOKEN,env=T"], "give one of env, src and store"),
    ],
)
@pytest.mark.usefixtures("store")
def test_a_mistake_is_named(layout: Callable[[str], str], arguments: list[str], message: str) -> None:
    done = run(layout(""), *arguments)
    assert message in str(done.exception) or message in done.output
    assert "hunter2" not in str(done.exception) + done.output


def test_the_key_of_one_environment_is_not_enough_for_all(
    layout: Callable[[str], str], store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", store.environments.key("staging"))
    assert run(layout(STAGING), "--env", "staging").return_value == 1
    assert "staging" in str(run(layout(STAGING), "--all-environments").exception)


def test_an_audit_is_in_the_log(layout: Callable[[str], str], store: SecretStore) -> None:
    image = layout("")
    audit(image, {"t": "$TOKEN"}, environments=["staging"])
    (entry,) = [entry for entry in store.log.list() if entry.action == "audit"]
    assert (entry.environment_name, entry.name, entry.version, entry.image) == ("staging", "TOKEN", 2, image)


@pytest.mark.usefixtures("store")
def test_what_is_given_from_elsewhere_does_not_narrow_an_environment(
    layout: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL", "local-3eR4tY5uI6oP")
    given = ("--secret", "id=l,env=LOCAL")
    assert run(layout(OTHER), *given, "--env", "staging").return_value == 1
    assert run(layout(OTHER), *given, "--all-environments").return_value == 1
    assert run(layout("local-3eR4tY5uI6oP"), *given, "--env", "staging").return_value == 1
    assert run(layout(OTHER), *given, "--env", "main").return_value == 0
    assert "stagin" in str(run(layout(""), *given, "--env", "stagin").exception)


@pytest.mark.usefixtures("store")
def test_of_all_environments_one_must_have_what_is_named(layout: Callable[[str], str]) -> None:
    assert run(layout(OTHER), "--all-environments", "--secret", "id=OTHER").return_value == 1
    assert "OTHR" in str(run(layout(""), "--all-environments", "--secret", "id=OTHR").exception)


def test_plain_settings_of_an_environment_are_no_secrets(layout: Callable[[str], str], store: SecretStore) -> None:
    settings = {"DEBUG": "true", "PORT": "5432", "APP_ENV": "production", "API": "https://api.example.com"}
    store.secrets.set_all(settings, "staging")
    report = audit(layout(" ".join(settings.values())), {}, environments=["staging"])
    assert report.verdict is Verdict.CLEAN
    assert {row.name for row in report.secrets if row.reason == "public by key"} == set(settings)
    # One that is named, or whose name says that it is a secret, is one.
    assert audit(layout("production"), {"a": "$APP_ENV"}, environments=["staging"]).verdict is Verdict.LEAKED
    store.secrets.set("PIN_CODE_SECRET", "1234", "staging")
    assert audit(layout(""), {}, environments=["staging"]).verdict is Verdict.INCOMPLETE


def test_a_url_with_a_password_in_it_is_no_setting(layout: Callable[[str], str], store: SecretStore) -> None:
    store.secrets.set("BROKER_URL", "amqp://ci:p4ssw0rd-of-9f8e7d@mq.example.com/", "staging")
    report = audit(layout("p4ssw0rd-of-9f8e7d"), {}, environments=["staging"])
    assert {finding.secret for finding in report.findings} == {"BROKER_URL:userinfo"}
    assert all(row.reason is None for row in report.secrets if row.name.startswith("BROKER_URL"))


def test_a_pipe_is_read_once_for_all_environments(
    layout: Callable[[str], str], store: SecretStore, tmp_path: Path
) -> None:
    del store
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        pool.submit(pipe.write_text, FORMER[::-1])
        declared = {"t": Secret.from_name("TOKEN").with_earlier([Secret.from_file(pipe)])}
        report = audit(layout(FORMER[::-1]), declared, environments=["staging", "main"])
    assert {finding.environment for finding in report.findings} == {"staging"}
