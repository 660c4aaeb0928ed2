"""The command line: `main` turns arguments into calls of the library, and their outcome into an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import click

from container_image.cli.color import choose, styled
from container_image.cli.command import Late, LateGroup
from container_image.cli.pasted import unwrap
from container_image.cli.signals import Interrupted, listen, stop_listening
from container_image.cli.streams import say, show_warnings, take_over
from container_image.errors import (
    AuditFailedError,
    AuditIncompleteError,
    AuditWarnedError,
    ContainerImageError,
    NotStartedError,
    OutputError,
    SecretLeakError,
)
from container_image.printable import printable
from container_image.shown import masked

_COMMANDS = {
    "build": Late("container_image.cli.build:build", "Build an image, search it for its secrets, tag it if it is clean."),
    "check": Late("container_image.cli.build:check", "Find out what a build would fail on or give away, without building."),
    "audit": Late("container_image.cli.audit:audit", "Search any image for secrets, byte by byte."),
    "secrets": Late("container_image.cli.secrets:secrets", "Set, list and remove the secrets of the store."),
    "environments": Late("container_image.cli.environments:environments", "Create, list and delete environments of the store."),
    "run": Late("container_image.cli.run:run", "Run a container with an environment's secrets."),
    "exec": Late("container_image.cli.exec:exec_command", "Run a program on this machine with an environment's secrets."),
    "ps": Late("container_image.cli.run:ps", "List the containers that `run` started, and their outdated secrets."),
}  # fmt: skip


@click.command(
    cls=LateGroup,
    late=_COMMANDS,
    # As fal has them, and the singular of each.
    aliases={"secret": "secrets", "environment": "environments", "envs": "environments"},
    context_settings={"help_option_names": ["-h", "--help"]},
    examples="""
    # Build the directory with a secret, search the image for it, and tag the image if it is clean
    container-image build . -t app:dev --secret id=TOKEN

    # Search an image that somebody else built
    container-image audit app:dev --secret id=TOKEN

    # Keep a secret in the store; the value is asked for
    container-image secrets set TOKEN
    """,
    epilog="`container-image COMMAND --help` explains a command. A whole `docker build …` or `docker run …` line can be "
    "written after `container-image` too.",
)
@click.version_option(package_name="container-image", prog_name="container-image")
def commands() -> None:
    """Build container images with secrets, and search the images for those secrets.

    \b
    Exit codes:
      0    done; the image is clean
      1    a secret is in the image, or the report has a warning of --fail-on-warning
      2    an error; nothing is known about the image
      3    part of the image could not be searched
      129, 130, 143  a signal ended the program
    `run` and `exec` exit with the status of what they ran, or with 125 for an error.
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line and exits."""
    if None in (sys.stdout, sys.stderr):
        print(
            "container-image: stdout or stderr is closed; redirect it, as in 2>/dev/null", file=sys.stderr or sys.stdout
        )
        sys.exit(2)
    stdout = take_over()
    show_warnings()
    try:
        status = _run(sys.argv[1:] if arguments is None else arguments, ready=listen)
        sys.stdout.flush()
        if stdout.error is not None:
            status = _say(f"stdout can't be written: {stdout.error.strerror}", 2)
        stop_listening()
    except Interrupted as error:
        status = _say(str(error), error.status)
    sys.exit(status)


def _run(arguments: list[str], ready: Callable[[], None] = lambda: None) -> int:
    """The exit code of a command line. `ready` is called when the command is imported, before it runs."""

    def fail(error: ContainerImageError, status: int) -> int:
        return _say(masked(str(error), arguments), status)

    choose(None)
    debug = not {"--debug", "-D"}.isdisjoint(arguments)
    error_code = 2
    try:
        arguments = unwrap(arguments)
        name = next((word for word in arguments if word in commands.late or word in commands.aliases), "")
        command = commands.get_command(click.Context(commands), name)
        error_code = getattr(command, "failure", 2)
        ready()
        result = commands.main(args=arguments, prog_name="container-image", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        _show(error, arguments)
        return error_code
    except (SecretLeakError, AuditWarnedError) as error:
        return fail(error, 1)
    except AuditIncompleteError as error:
        return fail(error, 3)
    except NotStartedError as error:
        return fail(error, error.status)
    except ContainerImageError as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, OutputError) and isinstance(error.__context__, AuditFailedError):
            # A leak matters more than the report that can't be written, so it is told too.
            fail(error.__context__, 1)
        return fail(error, error_code)
    except Exception as error:  # the last resort: one line, never a traceback, which may hold a value
        if debug:
            traceback.print_tb(error.__traceback__)
        # The error's own message may quote its input, so it is not shown.
        return _say(f"unexpected {type(error).__name__}; run again with --debug, and report what it shows", error_code)
    return result if isinstance(result, int) else 0


def _show(error: click.ClickException, arguments: list[str]) -> None:
    """An error of click's, with the usage of the command that it is about. It repeats no argument that may be a credential."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        # Help is styled for stdout.
        print(click.unstyle(error.ctx.get_usage()), file=sys.stderr)
        print(f"`{error.ctx.command_path} --help` explains it, with examples.\n", file=sys.stderr)
    print(
        styled("Error:", sys.stderr, "red", bold=True),
        printable(masked(error.format_message(), arguments)),
        file=sys.stderr,
    )


def _say(message: str, status: int) -> int:
    say(message, "yellow" if status > 2 else "red")
    return status
