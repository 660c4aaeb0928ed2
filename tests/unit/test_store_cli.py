"""`container-image secrets` and `environments`: what they print, what they exit with, and what no error repeats."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from container_image import SecretStore
from container_image.cli import _run


class Done(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Runs the command line in this process, with what is on stdin."""

    def call(*arguments: str, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = _run(list(arguments))
        out, err = capfd.readouterr()
        return Done(status, out, err)

    return call


Run = Callable[..., Done]


def values(environment: str = "main") -> dict[str, bytes]:
    return {name: item.value.reveal() for name, item in SecretStore.open().secrets.reveal(environment).items()}


def test_a_table_of_all_environments_and_json_in_utc(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert run("environments", "create", "staging", "--description", "for tests").status == 0
        made = run("secrets", "set", "B_TOKEN=b", "A=a", "--not-exposed-by-default", "--env", "staging")
        assert made == (
            0,
            "",
            "container-image: set B_TOKEN in staging (version 1)\ncontainer-image: set A in staging (version 1)\n",
        )
        run("secrets", "set", "A=again", "--env", "staging")
        run("secrets", "set", "M=m")
        rows = [line.split(" | ") for line in run("secrets", "list").out.splitlines()]
        assert [[cell.strip() for cell in row] for row in rows if not row[2].startswith("20")] == [
            ["Name", "Env", "Created At", "Exposed By Default"]
        ]
        assert [(row[0].strip(), row[1].strip(), row[3]) for row in rows[1:]] == [
            ("M", "main", "yes"),
            ("A", "staging", "no"),
            ("B_TOKEN", "staging", "no"),
        ]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row[2]) for row in rows[1:])
        listed = json.loads(run("secrets", "list", "--env", "staging", "--json").out)["secrets"]
        assert [(item["name"], item["environment"], item["default_exposed"]) for item in listed] == [
            ("A", "staging", False),
            ("B_TOKEN", "staging", False),
        ]
        assert all(item[key].endswith("Z") for item in listed for key in ("created_at", "updated_at"))
        # Four or five hours apart.
        assert rows[2][2] != listed[0]["created_at"].replace("T", " ").rstrip("Z")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_values_come_from_arguments_files_and_stdin_all_or_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(b"a\x00b\n")
    given = ["A=x=$HOME ${A}", "--from-file", f"F={tmp_path}/key.pem", "--stdin", "S"]
    assert run("secrets", "set", *given, stdin=b"from stdin\n").status == 0
    assert values() == {"A": b"x=$HOME ${A}", "F": b"a\x00b\n", "S": b"from stdin"}
    assert run("secrets", "set", "A=new", "--from-file", "G=/no/such/file").status == 2
    assert run("secrets", "set", "A=new", "A=newer").err == "container-image: given twice: A; give each secret once\n"
    assert run("secrets", "unset", "A", "GONE").status == 2
    assert values()["A"] == b"x=$HOME ${A}"
    assert run("secrets", "unset", "A", "S") == (0, "", "container-image: unset A, S\n")
    assert set(values()) == {"F"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["secrets", "set", "hunter2hunter2"],
        ["secrets", "set", "TOKEN", "hunter2hunter2"],
        ["secrets", "set", "bad-name=hunter2hunter2"],
        ["secrets", "set", "=hunter2hunter2"],
        ["secrets", "set", "-hunter2hunter2"],
        ["secrets", "set", "--hunter2hunter2=x"],
        ["secrets", "set", "TOKEN", "--hunter2hunter2"],
        ["secrets", "set", "A=1", "--keep", "hunter2hunter2"],
        ["secrets", "set", "A=1", "--env", "TOKEN=hunter2hunter2"],
        ["secrets", "set", "A=1", "--env", "hunter2 hunter2hunter2"],
        ["secrets", "set", "--from-file", "TOKEN=hunter2hunter2"],
        ["secrets", "set", "--from-file", "hunter2hunter2"],
        ["secrets", "set", "--stdin", "TOKEN=hunter2hunter2"],
        ["secrets", "set", "hunter2hunter2=="],
        ["secrets", "set", "hunter2hunter2", "TOKEN=x"],
        ["secrets", "set", "hunter2hunter2a1B2c3D4e5=x"],
        ["secrets", "set", "TOKEN=hunter2hunter2" + "x" * 512_000],
        ["secrets", "TOKEN=hunter2hunter2"],
        ["secrets", "list", "TOKEN=hunter2hunter2"],
        ["secrets", "list", "--hunter2hunter2"],
        ["secrets", "unset", "TOKEN=hunter2hunter2"],
        ["secrets", "unset", "-hunter2hunter2"],
        ["secrets", "versions", "TOKEN=hunter2hunter2"],
        ["secrets", "import", "TOKEN=hunter2hunter2"],
    ],
)
def test_no_error_repeats_what_may_be_a_value(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.status == 2
    assert done.err
    assert "hunter2" not in done.out + done.err
    assert not SecretStore.open().secrets.list()


def test_an_equals_sign_in_env_is_told_of_dockers_option(run: Run) -> None:
    assert "a variable for a container is given with -e NAME=VALUE" in run("secrets", "list", "--env", "A=b").err


def test_versions_and_log_never_show_a_value(run: Run) -> None:
    for number in range(3):
        run("secrets", "set", f"TOKEN=hunter2-{number}")
    shown = [
        run("secrets", *more)
        for name in ("versions", "log")
        for more in ([name, "TOKEN"], [name, "TOKEN", "--json"])[:2]
        if name == "versions"
    ]
    shown += [run("secrets", "log"), run("secrets", "log", "--json"), run("secrets", "list", "--json")]
    assert [done.status for done in shown] == [0] * len(shown)
    assert [line.split(" | ")[0].strip() for line in shown[0].out.splitlines()] == ["Version", "3", "2", "1"]
    assert [item["current"] for item in json.loads(shown[1].out)["versions"]] == [True, False, False]
    assert "hunter2" not in "".join(done.out + done.err for done in shown)


def test_an_environment_is_deleted_after_its_name_was_typed(run: Run) -> None:
    run("environments", "create", "staging")
    run("secrets", "set", "A=1", "--env", "staging")
    refused = run("environments", "delete", "staging")
    assert (refused.status, refused.err) == (
        2,
        "container-image: there is no terminal to ask on whether to delete it; say so with --yes\n",
    )
    assert on_terminal(["environments", "delete", "staging"], "stagin")[0] == 2
    status, shown = on_terminal(["environments", "delete", "staging"], "staging")
    assert status == 0
    assert "This deletes staging and its 1 secrets for good" in shown
    assert [item["name"] for item in json.loads(run("environments", "list", "--json").out)["environments"]] == ["main"]
    run("environments", "create", "staging")
    assert run("environments", "delete", "staging", "--yes").status == 0
    assert run("environments", "delete", "main", "--yes").status == 2


def test_a_value_that_is_asked_for_is_not_shown(run: Run) -> None:
    status, shown = on_terminal(["secrets", "set", "TOKEN"], "hunter2-typed")
    assert status == 0
    assert "Value of TOKEN:" in shown
    assert "hunter2" not in shown
    assert values() == {"TOKEN": b"hunter2-typed"}
    status, shown = on_terminal(["secrets", "set", "TOKEN", "--env", "gone"], "hunter2-typed")
    assert status == 2
    assert "Value of" not in shown
    assert "there is no environment 'gone'" in shown


def test_keys_are_printed_and_rotated(run: Run, monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
    run("environments", "create", "staging")
    run("secrets", "set", "TOKEN=s", "--env", "staging")
    key = run("environments", "key", "staging").out.strip()
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", key)
    assert run("secrets", "list", "--env", "staging").status == 0
    refused = run("secrets", "set", "TOKEN=x")
    assert refused.status == 2
    assert "the key is that of the environment 'staging', and does not open 'main'" in refused.err
    monkeypatch.delenv("CONTAINER_IMAGE_KEY")
    assert run("secrets", "rotate-key").out == ""
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", key)
    assert "is not that of this store's environment 'staging', or no longer" in run("secrets", "list").err
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", (state / "config" / "container-image" / "store.key").read_text())
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", run("secrets", "rotate-key").out)
    assert values("staging") == {"TOKEN": b"s"}


def test_a_key_that_cannot_be_printed_does_not_come_into_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_IMAGE_KEY", "A" * 42 + "E=")
    SecretStore.open().secrets.set("TOKEN", "a")
    command = [sys.executable, "-c", "from container_image.cli import main; main()", "secrets", "rotate-key"]
    reader, writer = os.pipe()
    os.close(reader)
    for out in (writer, os.open("/dev/full", os.O_WRONLY)):
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, "the new key can't be printed" in done.stderr) == (2, True)
        os.close(out)
    assert values() == {"TOKEN": b"a"}


def test_a_dotenv_file_is_imported(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nB='two'\n")
    assert run("secrets", "import", str(tmp_path / ".env")).status == 0
    assert values() == {"A": b"1", "B": b"two"}


def test_a_dotenv_file_comes_from_stdin_and_what_was_left_out_is_named(run: Run) -> None:
    text = b"A=1\nSENTRY_DSN=\nKEY=  # later\nB='two'\nC=x$y\n"
    done = run("secrets", "import", "-", stdin=text)
    assert (done.status, done.out) == (0, "")
    assert done.err.splitlines()[1:] == [
        "container-image: set A in main (version 1)",
        "container-image: set B in main (version 1)",
        "container-image: set C in main (version 1)",
        "container-image: SENTRY_DSN has no value, and was not set",
        "container-image: KEY has no value, and was not set",
        "container-image: C: docker compose may read another value, for a `$`",
    ]
    assert values() == {"A": b"1", "B": b"two", "C": b"x$y"}


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["import", "nope.env"], b"", "the file nope.env can't be read: No such file or directory"),
        (
            ["import", "-"],
            b"A=1\nB='open\nC=3\n",
            "standard input: nothing was imported: line 2 begins a quote that is not closed",
        ),
        (["import", "-"], b"A=\n", "standard input: there is no variable with a value in it"),
        (["set", "A="], b"", "secret 'A': its value is empty; give it a value, or leave the secret out"),
        (
            ["set", "--from-file", "A=nope.pem"],
            b"",
            "secret 'A': the file nope.pem can't be read: No such file or directory",
        ),
        (["set", "--stdin", "A"], b"\n", "secret 'A': its value is empty; give it a value, or leave the secret out"),
        (["unset", "PIP_TOKEN"], b"", "there is no secret 'PIP_TOKEN' in the environment 'main' (there are: HF_TOKEN)"),
        (["unset", "HF_TOKE"], b"", "there is no secret 'HF_TOKE' in the environment 'main' (did you mean HF_TOKEN?)"),
    ],
)
def test_messages_are_about_what_the_user_wrote(run: Run, arguments: list[str], stdin: bytes, message: str) -> None:
    run("secrets", "set", "HF_TOKEN=x")
    done = run("secrets", *arguments, stdin=stdin)
    assert (done.status, done.out) == (2, "")
    assert done.err.removeprefix("container-image: ").startswith(message)
    assert values() == {"HF_TOKEN": b"x"}


def on_terminal(arguments: list[str], typed: str) -> tuple[int, str]:
    """Runs the command line on a terminal, types a line when it asks for one; its status and all that was shown."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", "from container_image.cli import main; main()", *arguments])
    shown = SimpleNamespace(text="", typed=False)
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown.text += data.decode()
        if not shown.typed and shown.text.endswith(": "):
            os.write(terminal, typed.encode() + b"\n")
            shown.typed = True
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown.text
