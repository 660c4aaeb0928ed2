"""What a project accepts: pyproject.toml, the options that go before it, and what a report then says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from container_image import AcceptedUnread, AuditPolicy, InvalidInputError, Secret, Verdict, audit
from container_image.cli import commands
from container_image.formats import FORMATS
from tests.images import Builder, locked_zip

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
FORMER = "old1qA2wS3eD4rF5tG6yH7uJ8iK9oL0"
LOCKED = locked_zip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's directory, in which an image has two files that nothing here can read."""
    directory = tmp_path / "project" / "sub"
    directory.mkdir(parents=True)
    monkeypatch.chdir(directory)
    monkeypatch.setenv("TOKEN", TOKEN)
    image = Builder()
    image.archive(image.manifest([{"opt/a.zip": LOCKED, "srv/b.zip": LOCKED, "x": b"\0" * 600}]), tmp_path / "a.tar")
    return directory.parent


def run(project: Path, *arguments: str) -> Result:
    archive = f"oci-archive:{project.parent}/a.tar"
    return CliRunner().invoke(commands, ["audit", archive, "--secret", "id=TOKEN", *arguments], standalone_mode=False)


def test_the_nearest_table_upwards_is_the_policy_and_a_file_without_one_is_passed_over(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.container-image]\naccept_unread = ["encrypted *:/opt/*", {path = "srv/b.zip"}]\n'
        'accept_unsearchable = ["PIN"]\naccept_base = true\nmax_depth = 3\nmax_seconds = 90\n'
    )
    (project / "sub" / "pyproject.toml").write_text('[project]\nname = "other"\n')
    (project.parent / "pyproject.toml").write_text("[tool.container-image]\nmax_depth = 5\n")
    assert AuditPolicy.from_pyproject() == AuditPolicy(
        accept_unread=(AcceptedUnread(reason="encrypted *", path="/opt/*"), AcceptedUnread(path="srv/b.zip")),
        accept_unsearchable=("PIN",),
        accept_base=True,
        max_depth=3,
        max_seconds=90,
    )
    done = run(project)
    assert done.return_value == 0
    assert done.stdout.startswith("clean, 2 accepted: searched for 1 secret")
    assert "UNREAD  opt/a.zip: encrypted zip member (accepted)\n" in done.stdout


def test_an_option_goes_before_the_file(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.container-image]\naccept_unread = ["*"]\naccept_base = true\nmax_depth = 3\nplatforms = ["linux/s390x"]\n'
    )
    options = ["--accept-unread", "encrypted zip member:opt/*", "--no-accept-base", "--max-depth", "7"]
    options += ["--max-bytes", "1000000", "--max-ratio", "50", "--max-seconds", "60"]
    done = run(project, *options, "--platform", "linux/amd64,linux/arm64", "--format", "json")
    report = json.loads(done.stdout)
    assert report["engine"]["policy"] == {
        "accept_unread": [{"reason": "encrypted zip member", "path": "opt/*"}],
        "accept_unsearchable": [],
        "accept_base": False,
        "fail_on_warning": [],
        "platforms": ["linux/amd64", "linux/arm64"],
        "max_depth": 7,
        "max_bytes": 1000000,
        "max_ratio": 50,
        "max_seconds": 60.0,
    }
    assert report["image"]["absent_platforms"] == ["linux/arm64"]
    assert {item["path"]: item["accepted"] for item in report["coverage"]["unread"]} == {
        "opt/a.zip": True,
        "srv/b.zip": False,
    }
    assert done.return_value == 3


def test_the_library_reads_no_file_behind_its_back(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.container-image]\naccept_unread = ["*"]\n')
    report = audit(f"oci-archive:{project.parent}/a.tar", {"TOKEN": TOKEN})
    assert (report.verdict, report.engine.policy) == (Verdict.INCOMPLETE, AuditPolicy())


def test_the_advice_on_what_is_unread_is_what_accepts_it(project: Path) -> None:
    first = run(project)
    assert first.return_value == 3
    options = re.findall(r"\((--accept-unread .*)\)$", first.stdout, re.MULTILINE)
    assert len(options) == 2
    assert run(project, *(word for option in options for word in shlex.split(option))).return_value == 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("max_dept = 3", "[tool.container-image] max_dept: there is no such key; there are: accept_unread, "),
        ('max_depth = "3"', "[tool.container-image] max_depth: input should be a valid integer"),
        ("max_depth = 0", "[tool.container-image] max_depth: input should be greater than or equal to 1"),
        ("max_seconds = inf", "[tool.container-image] max_seconds: input should be"),
        ("max_bytes = 2026-01-01", "[tool.container-image] max_bytes: input should be a valid integer"),
        ('accept_base = "no"', "[tool.container-image] accept_base: input should be a valid boolean"),
        ('accept_unread = "*"', "[tool.container-image] accept_unread: input should be a valid array"),
        ('accept_unread = ["a", ":b"]', "[tool.container-image] accept_unread[1]: expected REASON or REASON:PATH"),
        ("accept_unread = [{why = 1}]", "accept_unread[0].why: there is no such key; there are: reason, path"),
        ("max_depth = ", "pyproject.toml: not a TOML file"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_file_and_key(project: Path, table: str, message: str) -> None:
    file = project / "pyproject.toml"
    file.write_text(f"[tool.container-image]\n{table}\n")
    with pytest.raises(InvalidInputError) as caught:
        AuditPolicy.from_pyproject()
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    # An option for that very key does not hide it.
    assert isinstance(run(project, "--max-depth", "2").exception, InvalidInputError)


def test_a_mistake_in_an_option_is_named_by_the_option(project: Path) -> None:
    done = run(project, "--max-depth", "0", "--max-seconds", "nan", "--accept-unread", ":/opt")
    assert str(done.exception).splitlines() == [
        "--accept-unread: expected REASON or REASON:PATH, where each may be a glob",
        "--max-depth: input should be greater than or equal to 1",
        "--max-seconds: input should be a finite number",
    ]


def test_former_values_are_found_and_told_as_such(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Builder()
    image.archive(image.manifest([{"now": b"nothing", "etc/old": FORMER.encode()}]), project.parent / "a.tar")
    monkeypatch.setenv("FORMER", FORMER)
    (project / "older").write_text("another-former-value-12")
    assert run(project).return_value == 0
    options = ["--earlier", f"id=TOKEN,src={project}/older", "--earlier", "id=TOKEN,env=FORMER"]
    done = run(project, *options)
    assert done.return_value == 1
    assert "LEAK  TOKEN, an earlier version (2 back)  (raw)" in done.stdout
    (finding,) = json.loads(run(project, *options, "--format", "json").stdout)["findings"]
    assert finding["secret_version"] == 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("id=OTHER,env=FORMER", "--earlier number 1: no secret has its id; there are: TOKEN"),
        ("hunter2hunter2", "--earlier number 1: expected id=NAME,env=VARIABLE or id=NAME,src=FILE"),
        ("id=TOKEN", "--earlier number 1: expected id=NAME,env=VARIABLE or id=NAME,src=FILE"),
        ("id=TOKEN,env=A,src=B", "--earlier id=TOKEN: give one of env, src and store"),
        ("id=TOKEN,env=UNSET_VARIABLE", "the variable UNSET_VARIABLE is not set"),
    ],
)
def test_a_former_value_that_cannot_be_had_is_an_error(project: Path, option: str, message: str) -> None:
    done = run(project, "--earlier", option)
    assert message in str(done.exception)
    assert "hunter2" not in str(done.exception)


def test_a_report_without_accepted_things_counts_none(tmp_path: Path) -> None:
    image = Builder()
    reference = image.archive(image.manifest([{"a": b"b"}]), tmp_path / "b.tar")
    report = audit(reference, {"TOKEN": Secret.from_value(TOKEN).with_earlier([FORMER])})
    assert report.secrets[0].versions == 2
    assert FORMATS["text"](report).startswith("clean: ")
