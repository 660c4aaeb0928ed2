"""The command line: `main` turns arguments into calls of the library, and what comes of them into an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import click

from container_image.cli.audit import audit
from container_image.cli.build import build, check
from container_image.cli.environments import environments
from container_image.cli.exec import exec_command
from container_image.cli.run import ps, run
from container_image.cli.secrets import secrets
from container_image.cli.signals import Interrupted, listen
from container_image.cli.streams import say, show_warnings, take_over
from container_image.errors import (
    AuditFailedError,
    AuditIncompleteError,
    ContainerImageError,
    NotStartedError,
    OutputError,
    SecretLeakError,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="container-image", prog_name="container-image")
def commands() -> None:
    """Build container images with secrets, and search them for what stayed.

    Exit codes: 0 clean or done, 1 a leak, 2 an error, 3 the audit is incomplete, 129, 130 and 143 on signals. Those of run
    and exec are the child's, and 125 for an error.
    """


for command in (build, check, audit, secrets, environments, run, exec_command, ps):
    commands.add_command(command)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line and exits."""
    listen()
    if None in (sys.stdout, sys.stderr):
        print(
            "container-image: stdout or stderr is closed; redirect it, as in 2>/dev/null", file=sys.stderr or sys.stdout
        )
        sys.exit(2)
    stdout = take_over()
    show_warnings()
    status = _run(sys.argv[1:] if arguments is None else arguments)
    sys.stdout.flush()
    if stdout.error is not None:
        status = _say(f"stdout can't be written: {stdout.error.strerror}", 2)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    error_code = getattr(commands.commands.get(arguments[0]), "failure", 2) if arguments else 2
    try:
        result = commands.main(args=arguments, prog_name="container-image", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return error_code
    except Interrupted as error:
        return _say("interrupted; nothing was tagged" if error_code == 2 else "interrupted", error.status)
    except SecretLeakError as error:
        return _say(str(error), 1)
    except AuditIncompleteError as error:
        return _say(str(error), 3)
    except NotStartedError as error:
        return _say(str(error), error.status)
    except ContainerImageError as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, OutputError) and isinstance(error.__context__, AuditFailedError):
            # What the report would have said matters more than that it can't be written.
            say(str(error.__context__))
        return _say(str(error), error_code)
    except Exception as error:  # the last resort: one line, never a traceback, which may hold a value
        if debug:
            traceback.print_tb(error.__traceback__)
        # Its message is not ours, and may quote what it was given.
        return _say(f"unexpected {type(error).__name__}; run again with --debug, and report what it shows", error_code)
    return result if isinstance(result, int) else 0


def _say(message: str, status: int) -> int:
    say(message)
    return status
