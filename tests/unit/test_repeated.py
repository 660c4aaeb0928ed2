"""An option that is repeated with another value, or contradicted, is refused; nothing is dropped without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from container_image import SecretStore
from container_image.cli import _run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--env", "staging", "--env", "main", "app:dev"], "--env is given with 2 different values; name one environment"),
        (["run", "app:dev", "--env=staging", "--env=main"], "--env is given with 2 different values"),
        (["run", "--env", "A=b", "--env", "C=d", "app:dev"], "a container's variable is given with -e NAME=VALUE"),
        (["run", "--replace", "web", "--replace", "db"], "--replace is given with 2 different values; give it once"),
        (["run", "--secret-files", "--secret-files=false", "app:dev"], "--secret-files is given as true and as false"),
        (["exec", "--env", "staging", "--env", "main", "--", "true"], "--env is given with 2 different values"),
        (["secrets", "set", "A=1", "--env", "staging", "--env", "main"], "--env is given with 2 different values"),
        (["secrets", "set", "--stdin", "A", "--stdin", "B"], "--stdin is given with 2 different values"),
        (["secrets", "set", "A=1", "--keep", "1", "--keep", "2"], "--keep is given with 2 different values"),
        (["secrets", "set", "A=1", "A=2"], "given twice: A"),
        (["secrets", "set", "A=1", "--exposed-by-default", "--not-exposed-by-default"], "contradict each other; give one"),
        (["secrets", "import", ".env", "--not-exposed-by-default", "--exposed-by-default"], "contradict each other; give one"),
        (["secrets", "import", ".env", "--env", "staging", "--env", "main"], "--env is given with 2 different values"),
        (["secrets", "unset", "T", "--env", "staging", "--env", "main"], "--env is given with 2 different values"),
        (["secrets", "versions", "T", "--env", "staging", "--env", "main"], "--env is given with 2 different values"),
        (["secrets", "list", "--env", "staging", "--env", "main"], "--env is given with 2 different values"),
        (["secrets", "log", "--env", "staging", "--env", "main"], "--env is given with 2 different values"),
        (["secrets", "log", "--limit", "1", "--limit", "2"], "--limit is given with 2 different values"),
        (["environments", "create", "x", "--description", "a", "--description", "b"], "--description is given with 2"),
        (["audit", "./a.tar", "--secret", "id=T,env=A", "--secret", "id=T,env=B"], "id=T: two sources are given for this id"),
        (["audit", "./a.tar", "--secret", "id=T,env=A,env=B"], "--secret number 1: expected id=NAME"),
        (["audit", "./a.tar", "--secret", "id=T,src=a,source=b"], "--secret number 1: expected id=NAME"),
        (["audit", "./a.tar", "--secret", "id=T,env=HOME", "--report", "json=r", "--report", "html=r"], "number 2: another report has its path"),
        (["build", ".", "--secret", "id=T,env=HOME", "--secret-cache-scope", "T=a", "--secret-cache-scope", "T=b"], "number 2: its id has another scope"),
    ],
)  # fmt: skip
def test_what_would_be_dropped_is_refused(
    arguments: list[str],
    message: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / ".env").write_text("A=1\n")
    store = SecretStore.open()
    store.environments.create("staging")
    store.secrets.set("T", "x")
    assert _run(arguments) == (125 if arguments[0] in ("run", "exec") else 2)
    assert message in capfd.readouterr().err
    assert [item.name for item in store.secrets.list()] == ["T"]


def test_the_same_value_twice_is_no_contradiction(capfd: pytest.CaptureFixture[str]) -> None:
    SecretStore.open().secrets.set("T", "x")
    assert _run(["secrets", "list", "--env", "main", "--env", "main"]) == 0
    assert _run(["secrets", "set", "T=y", "--env=main", "--env=main", "--keep=1", "--keep=1"]) == 0
    assert "set T in main (version 2)" in capfd.readouterr().err


def test_the_exposure_that_was_chosen_stays() -> None:
    store = SecretStore.open()
    for options, exposed in (
        ([], True),
        (["--not-exposed-by-default"], False),
        ([], False),
        (["--exposed-by-default"], True),
    ):
        assert _run(["secrets", "set", "T=x", *options]) == 0
        assert [item.default_exposed for item in store.secrets.list()] == [exposed]
