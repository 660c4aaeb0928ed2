"""`container-image exec`: a local process with an environment's secrets."""

from __future__ import annotations

import click

from container_image.build.redact import Redactor, patterns
from container_image.cli.child import ChildCommand, only_option, say_if_none
from container_image.cli.secrets import debug_option, env_option
from container_image.cli.signals import forwarding
from container_image.cli.streams import say
from container_image.runtime.local import prepare
from container_image.runtime.process import become, run_beside


@click.command("exec", cls=ChildCommand, context_settings={"allow_interspersed_args": False})
@env_option
@only_option
@click.option("--mask", is_flag=True, help="Replace values in its output by [NAME]. That is a pipe then, no terminal.")
@debug_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(environment: str | None, only: tuple[str, ...], mask: bool, command: tuple[str, ...]) -> int:
    """Run COMMAND here, with the secrets of an environment as its variables.

    The exit status is COMMAND's, or 127 if it is not there, 126 if it can't be started, 125 if there is another error.
    """
    process = prepare(command, environment, only)
    values = process.given.values
    say_if_none(process.given.environment, values)
    if not mask:
        become(process.command, process.environment)
    if short := [name for name, value in values.items() if not patterns(value)]:
        say(f"too short to be masked: {', '.join(short)}")
    return run_beside(process.command, process.environment, redactor=Redactor(values.values()), waiting=forwarding())
