"""Help: every command has it under both names, with examples that the command line takes; near names are suggested."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from container_image.cli import _run, commands
from container_image.cli.command import Command
from container_image.cli.pasted import unwrap


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, (*path, name))


COMMANDS = dict(walk(commands))


def parsed(words: list[str]) -> click.Command:
    """The command that a line calls, which takes the rest of the line."""
    command: click.Command = commands
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    command.make_context(command.name, words, click.Context(commands, **commands.context_settings))
    return command


def test_there_are_as_many_commands_as_one_knows() -> None:
    assert len(COMMANDS) > 15
    assert ("secrets", "set") in COMMANDS


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples(path: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    shown = []
    for option in ("-h", "--help"):
        assert _run([*path, option]) == 0
        out, err = capfd.readouterr()
        assert err == ""
        shown.append(out)
    text, again = shown
    assert text == again
    assert text.startswith(f"Usage: {' '.join(('container-image', *path))}")
    lines = text.partition("Examples:\n")[2].partition("\n\nOptions:")[0].splitlines()
    examples = [line.rpartition("| ")[2].strip() for line in lines if "container-image " in line and "#" not in line]
    called = [parsed(unwrap(shlex.split(line)[1:])) for line in examples if line.startswith("container-image ")]
    assert called
    assert isinstance(COMMANDS[path], click.Group) or COMMANDS[path].name in [command.name for command in called]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_group_of_options_names_options_that_there_are(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    if isinstance(command, Command):
        named = [name for names in command.sections.values() for name in names]
        assert len(named) == len(set(named))
        if path != ("check",):
            # It takes those of build that make sense without building, under build's titles.
            assert set(named) <= {str(parameter.name) for parameter in command.params}


def test_the_list_of_commands_imports_none_of_them() -> None:
    script = (
        "import sys\n"
        "from container_image.cli import _run\n"
        "_run(['--help'])\n"
        "import json\n"
        "print(json.dumps(list(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert all(f"\n  {name} " in done.stdout for name in commands.late)
    assert not {"container_image.api", "container_image.audit", "container_image.cli.build"} & set(
        json.loads(done.stderr)
    )


@pytest.mark.parametrize("path", [(), ("secrets",), ("environments",)])
def test_a_group_alone_shows_its_help(path: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    assert _run(list(path)) == 0
    alone = capfd.readouterr()
    assert _run([*path, "--help"]) == 0
    assert alone == capfd.readouterr()
    assert "..." not in alone.out.partition("Commands:")[2]


def test_the_package_is_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "container_image", "--version"], capture_output=True, check=True, text=True
    )
    assert done.stdout.startswith("container-image, version ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("buid .", "No such command: buid (did you mean build?)"),
        ("frobnicate", "No such command: frobnicate\n"),
        ("build . --tags x", "No such option: --tags (did you mean --tag?)"),
        ("build . --no-cahce", "No such option: --no-cahce (did you mean --no-cache?)"),
        ("build . --frobnicate", "No such option: --frobnicate\n"),
        ("audit app:dev --secrets id=A", "No such option: --secrets (did you mean --secret?)"),
        ("--colour never build .", "No such option: --colour (did you mean --color?)"),
        ("environments lst", "No such command: lst (did you mean list?)"),
        ("secrets imprt .env", "there is no such command (did you mean import?); there are set, import, list, "),
        ("run --evn staging app", "this command (did you mean --env?); what belongs"),
        ("run app --memroy 1g", "this command (did you mean --memory?); what belongs"),
        ("exec --evn staging true", "No such option: --evn (did you mean --env?)"),
    ],
)
def test_what_is_misspelled_is_told_with_what_is_near(
    line: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _run(line.split()) in (2, 125)
    out, err = capfd.readouterr()
    assert (out, message in err) == ("", True), err


def test_fals_names_of_groups_and_formats_are_taken(capfd: pytest.CaptureFixture[str]) -> None:
    def shown(line: str) -> str:
        assert _run(line.split()) == 0
        return capfd.readouterr().out

    assert _run(["secret", "set", "A=1"]) == 0
    capfd.readouterr()
    table = shown("secrets list")
    assert shown("secret list --output pretty") == table
    as_json = shown("secrets list --json")
    assert as_json.startswith("{")
    for line in (
        "secret list --output json",
        "secret list --json --output pretty",
        "secrets list --output=json --json",
    ):
        assert shown(line) == as_json
    assert shown("envs list --output json") == shown("environments list --json") == shown("environment list --json")
