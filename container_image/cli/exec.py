"""`container-image exec`: a local process with an environment's secrets."""

from __future__ import annotations

import click

from container_image.build.redact import Redactor, patterns
from container_image.cli.child import ChildCommand, only_option, say_if_none
from container_image.cli.forwarding import forwarding
from container_image.cli.secrets import debug_option, env_option
from container_image.cli.streams import say
from container_image.runtime.local import prepare
from container_image.runtime.process import become, run_beside


@click.command(
    "exec",
    cls=ChildCommand,
    context_settings={"allow_interspersed_args": False},
    examples="""
    # Run a program with the secrets of the environment staging as its variables
    container-image exec --env staging -- python app.py

    # With one secret only, and without its value in the output
    container-image exec --only TOKEN --mask -- ./deploy.sh
    """,
)
@env_option
@only_option
@click.option(
    "--mask",
    is_flag=True,
    help="Replace the secrets' values in its output by [NAME]. The output is a pipe then, no terminal.",
)
@debug_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_command(environment: str | None, only: tuple[str, ...], mask: bool, command: tuple[str, ...]) -> int:
    """Run COMMAND on this machine, with the secrets of an environment as its variables.

    \b
    The exit code is COMMAND's own, or
      125  if there is an error before it starts
      126  if COMMAND can't be started
      127  if there is no such COMMAND
    """
    process = prepare(command, environment, only)
    values = process.given.values
    say_if_none(process.given.environment, values)
    if not mask:
        become(process.command, process.environment)
    if short := [name for name, value in values.items() if not patterns(value)]:
        say(f"too short to be masked: {', '.join(short)}")
    return run_beside(process.command, process.environment, redactor=Redactor(values.values()), waiting=forwarding())
