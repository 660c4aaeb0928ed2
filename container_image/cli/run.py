"""`container-image run` and `ps`: containers with an environment's secrets, and which of them hold old ones."""

from __future__ import annotations

from collections.abc import Sequence

import click

from container_image.cli.child import ChildCommand, only_option, say_if_none
from container_image.cli.command import Command
from container_image.cli.forwarding import forwarding
from container_image.cli.once import once
from container_image.cli.secrets import debug_option, env_option, json_option
from container_image.cli.tables import show_json, show_table
from container_image.errors import InvalidInputError
from container_image.runtime import Wanted, containers, prepare, replace, start, start_in_place
from container_image.runtime.listing import HeldSecret
from container_image.runtime.options import Line, Option, parse

OWN_VALUES = ("env", "only", "replace", "color")
OWN_FLAGS = ("secret-files", "debug", "help")


class RunCommand(ChildCommand):
    """Its line is docker's: click reads this command's own options, and the rest is `docker run`'s."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # `-h VALUE` is docker's option for the container's host name.
        line, image, command = split(["--help"] if args == ["-h"] else args)
        own = [str(option) for option in line.own if option.name in OWN_VALUES]
        flags = dict.fromkeys((option.name, option.value) for option in line.own if option.name in OWN_FLAGS)
        if contradicted := next((name for name, value in flags if value == "true" and (name, "false") in flags), None):
            raise InvalidInputError(f"--{contradicted} is given as true and as false; give it once")
        own += [f"--{name}" for name, value in flags if value == "true"]
        rest = super().parse_args(ctx, own)
        ctx.params |= {"docker": line.docker, "image": image, "command": command}
        return rest


def split(arguments: Sequence[str]) -> tuple[Line, str | None, tuple[str, ...]]:
    """The options, the image and the container's command of a line.

    Options stand before IMAGE, as docker has them, or all of them directly behind it. `--` ends them.

    Raises:
        InvalidInputError: an option that is not known, or a word that may be an option or the command's.
    """
    if arguments and not arguments[0].startswith("-"):
        line = parse(arguments[1:], OWN_VALUES, OWN_FLAGS)
        return line, arguments[0], _behind(line.rest)
    line = parse(arguments, OWN_VALUES, OWN_FLAGS)
    words = _behind(line.rest)
    image, rest = (words[0] if words else None), words[1:]
    if rest and rest[0].startswith("-") and rest[0] not in ("-", "--"):
        raise InvalidInputError(
            f"{rest[0].partition('=')[0]}, behind IMAGE: is it an option, or the command's? Options go before IMAGE; what is the command's, behind --"
        )
    return line, image, _behind(rest)


def _behind(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[1:] if words[:1] == ("--",) else words


@click.command(
    cls=RunCommand,
    options_metavar="[OPTIONS] IMAGE [OPTIONS] [--] [COMMAND]...",
    context_settings={"help_option_names": ["--help"]},
    sections={"Secrets": ("environment", "only", "secret_files"), "Containers": ("replaced",)},
    examples="""
    # Run a container with the secrets of the environment staging as its variables
    container-image run app:dev --env staging

    # With options of docker run, and a command
    container-image run --env staging --rm -it -p 8000:8000 app:dev python app.py

    # With files in /run/secrets instead of variables
    container-image run app:dev --secret-files

    # Start the container web anew, with the values that its secrets have now
    container-image run --replace web
    """,
    epilog="All options of `docker run` can be given too, either before IMAGE or directly behind it. Docker's `--env` is "
    "`-e` here, because `--env` names an environment. `container-image run -h` shows this help; with a value, -h is "
    "docker's option.",
)
@env_option
@only_option
@click.option(
    "--secret-files",
    is_flag=True,
    help="Give the secrets as files in /run/secrets, which `docker inspect` doesn't show, instead of as variables.",
)
@once(
    "--replace", "replaced", metavar="NAME",
    help="Start the container NAME anew, as it was started, with the values that its secrets have now.",
)  # fmt: skip
@debug_option
def run(
    environment: str | None,
    only: tuple[str, ...],
    secret_files: bool,
    replaced: str | None,
    docker: tuple[Option, ...],
    image: str | None,
    command: tuple[str, ...],
) -> int:
    """Run a container of IMAGE with the secrets of an environment as its variables.

    \b
    The exit code is the container's own, or
      125  if there is an error before it starts
      126  if its command can't be started
      127  if its command is not there
    """
    if replaced is not None:
        if environment is not None or only or secret_files or docker or image:
            raise InvalidInputError(
                "--replace takes everything else from the container; to change it, stop that, and start a new one"
            )
        click.echo(replace(replaced))
        return 0
    prepared = prepare(Wanted(image or "", command, docker, environment, only, secret_files))
    say_if_none(prepared.given.environment, prepared.given.values)
    if not secret_files:
        start_in_place(prepared)
    return start(prepared, forwarding())


@click.command(
    cls=Command,
    examples="""
    # Which containers run with a secret that was changed since?
    container-image ps

    # All of them, also those that are stopped, for a script
    container-image ps --all --json
    """,
)
@click.option("-a", "--all", "stopped", is_flag=True, help="List stopped containers too.")
@json_option
@debug_option
def ps(stopped: bool, as_json: bool) -> None:
    """List the containers that `container-image run` started, and their outdated secrets.

    A secret is outdated if it was set or unset since the container started. `container-image run --replace NAME` starts
    a container anew.
    """
    listed = containers(stopped=stopped)
    if as_json:
        show_json("containers", [
            {"id": item.id, "name": item.name, "image": item.image, "environment": item.environment,
             "status": item.status, "stale": item.stale,
             "secrets": [
                 {"name": secret.name, "version": secret.version, "current": secret.current, "state": secret.state}
                 for secret in item.secrets
             ]}
            for item in listed
        ])  # fmt: skip
        return
    rows = [
        (item.name, item.image, item.environment, item.status, ", ".join(filter(None, map(_told, item.secrets))))
        for item in listed
    ]
    show_table(("Name", "Image", "Env", "Status", "Old Secrets"), rows)


def _told(secret: HeldSecret) -> str:
    if secret.state == "old":
        return f"{secret.name} (version {secret.version}, now {secret.current})"
    return "" if secret.state == "current" else f"{secret.name} ({secret.state})"
