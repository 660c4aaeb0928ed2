"""The command line: `main` turns arguments into calls of the library, and what comes of them into an exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import click

from container_image.cli.audit import audit
from container_image.cli.build import build, check
from container_image.errors import AuditIncompleteError, ContainerImageError, SecretLeakError

_SIGNAL_BASE = 128


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="container-image", prog_name="container-image")
def commands() -> None:
    """Build container images with secrets, and search them for what stayed.

    Exit codes: 0 clean or done, 1 a leak, 2 an error, 3 the audit is incomplete, 130 and 143 on signals.
    """


for command in (build, check, audit):
    commands.add_command(command)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs the command line and exits."""
    signal.signal(signal.SIGTERM, _terminate)
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(given))


class _Terminated(BaseException):
    """SIGTERM arrived; like KeyboardInterrupt, it unwinds through every clean-up."""


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        result = commands.main(args=arguments, prog_name="container-image", standalone_mode=False)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return _SIGNAL_BASE + signal.SIGINT
    except click.ClickException as error:
        error.show(sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _SIGNAL_BASE + signal.SIGINT
    except _Terminated:
        return _SIGNAL_BASE + signal.SIGTERM
    except SecretLeakError as error:
        return _say(str(error), 1)
    except AuditIncompleteError as error:
        return _say(str(error), 3)
    except ContainerImageError as error:
        if debug:
            traceback.print_exc()
        return _say(str(error), 2)
    except Exception as error:  # the last resort: one line, never a traceback, which may hold a value
        if debug:
            traceback.print_tb(error.__traceback__)
        # Its message is not ours, and may quote what it was given.
        return _say(f"unexpected {type(error).__name__}; run again with --debug, and report what it shows", 2)
    return result if isinstance(result, int) else 0


def _say(message: str, status: int) -> int:
    click.echo(f"container-image: {message}", err=True)
    return status
