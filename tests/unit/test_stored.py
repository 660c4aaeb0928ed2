"""Secrets of the store in a declaration: `Secret.from_name`, `"$NAME"`, and what is said where one is missing."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest

from container_image import (
    ContainerImage,
    InvalidInputError,
    Secret,
    SecretStore,
    UnknownEnvironmentError,
    UnknownSecretError,
    Verdict,
    audit,
)
from container_image.cli import _run

OLD, NEW, OTHER = "old-9aZ8bY7cX6dW5eV4", "new-1hG2jF3kD4lS5aP6", "other-7qW8eR9tY0uI"


@pytest.fixture
def store() -> SecretStore:
    store = SecretStore.open()
    store.environments.create("staging")
    store.secrets.set("TOKEN", OLD)
    store.secrets.set("TOKEN", NEW)
    store.secrets.set("TOKEN", OTHER, "staging")
    return store


@pytest.mark.usefixtures("store")
def test_an_earlier_version_in_an_image_is_a_leak(layout: Callable[[str], str]) -> None:
    for declared in (Secret.from_name("TOKEN"), "$TOKEN"):
        (finding,) = audit(layout(f"x {OLD} y"), {"token": declared}).findings
        assert (finding.secret, finding.secret_version) == ("token", 2)
        assert audit(layout(f"x {NEW} y"), {"token": declared}).findings[0].secret_version == 1
        assert audit(layout(f"x {OTHER} y"), {"token": declared}).verdict is Verdict.CLEAN
    assert audit(layout(OLD), {"t": Secret.from_name("TOKEN", "staging")}).verdict is Verdict.CLEAN
    assert audit(layout(OLD), {"t": Secret.from_name("TOKEN", "staging").with_earlier([OLD])}).verdict is Verdict.LEAKED


@pytest.mark.usefixtures("store")
def test_the_environment_is_the_variables_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = {"a": "$TOKEN", "b": Secret.from_name("TOKEN", "main", sensitive=False)}
    request = ContainerImage.from_dockerfile_str("FROM scratch", secrets=declared).request
    assert {name: value.reveal().decode() for name, value in request().secrets.items()} == {"a": NEW, "b": NEW}
    monkeypatch.setenv("CONTAINER_IMAGE_ENV", "staging")
    values = request().secrets
    assert {name: value.reveal().decode() for name, value in values.items()} == {"a": OTHER, "b": NEW}
    assert [value.sensitive for value in values.values()] == [True, False]
    monkeypatch.setenv("CONTAINER_IMAGE_ENV", "gone")
    with pytest.raises(UnknownEnvironmentError, match="there is no environment 'gone'"):
        request()


@pytest.mark.usefixtures("store")
def test_all_that_is_missing_is_listed_with_its_command(layout: Callable[[str], str]) -> None:
    declared: dict[str, str | Secret] = {
        "a": "$TOKN",
        "b": Secret.from_name("OTHER_KEY", "staging"),
        "c": "$pAssw0rd",
        "d": Secret.from_env("NOT_SET_ANYWHERE"),
        "e": "$TOKEN",
    }
    with pytest.raises(UnknownSecretError) as caught:
        audit(layout("x"), declared)
    told = str(caught.value)
    assert caught.value.names == ("TOKN", "OTHER_KEY")
    for line in (
        "did you mean TOKEN?); set it with: container-image secrets set TOKN --env main",
        "container-image secrets set OTHER_KEY --env staging",
        "secret 'c': the store has none of the name that follows the $",
        "the variable NOT_SET_ANYWHERE is not set",
    ):
        assert line in told
    assert "pAssw0rd" not in told


def test_a_declaration_never_reads_the_store() -> None:
    secret = Secret.from_name("TOKEN", "staging")
    image = ContainerImage.from_dockerfile_str("FROM scratch", secrets={"A": secret, "B": "$OTHER", "C": "$$TEXT"})
    assert image.to_dict()["secrets"] == {"A": "$TOKEN", "B": "$OTHER", "C": "$$TEXT"}
    assert repr(secret) == "Secret(TOKEN in the store's environment staging)"
    assert secret == copy.deepcopy(secret) != Secret.from_name("TOKEN")
    with pytest.raises(UnknownEnvironmentError):
        image.request()


@pytest.mark.usefixtures("store")
def test_missing_prints_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app.py").write_text(
        "from container_image import ContainerImage, Secret\n"
        "image = ContainerImage.from_dockerfile_str('FROM scratch', secrets={\n"
        "    'a': '$TOKEN', 'b': '${GONE}', 'c': Secret.from_name('OTHER', 'main'), 'd': 'literal'},\n"
        "    registries={'r.example': {'username': 'me', 'password': '$REG_TOKEN'}})\n"
    )
    assert _run(["secrets", "missing", f"{tmp_path}/app.py::image", "--env", "staging"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "container-image secrets set GONE --env staging",
        "container-image secrets set REG_TOKEN --env staging",
        "container-image secrets set OTHER --env main",
    ]


def test_a_value_in_the_place_of_a_name_is_not_repeated() -> None:
    with pytest.raises(InvalidInputError, match="a secret's name has letters") as caught:
        Secret.from_name("hunter2-hunter2")
    assert "hunter2" not in str(caught.value)
