"""`container-image secrets`: sets, lists and unsets secrets in the store. No command shows a value.

The store is imported where a command needs it: it brings a database library along.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from container_image.cli.once import once
from container_image.cli.streams import say
from container_image.cli.tables import local, show_json, show_table, utc
from container_image.errors import InvalidInputError, OutputError
from container_image.secrets import Secret, StoredName, stored_names
from container_image.secrets.names import is_secret_name
from container_image.secrets.sensitivity import looks_random
from container_image.shown import is_name, shown

if TYPE_CHECKING:
    from container_image.store import SecretStore, StoredSecret

Command = TypeVar("Command", bound=Callable[..., Any])


ONE_ENVIRONMENT = "name one environment (a container's variable is given with -e NAME=VALUE)"


def open_store(**options: Any) -> SecretStore:
    """The store, which says on stderr where a new one is."""
    from container_image.store import SecretStore

    return SecretStore.open(on_made=say, **options)


def env_option(function: Command) -> Command:
    """`--env`."""
    return once(
        "--env", "environment", metavar="NAME", hint=ONE_ENVIRONMENT,
        help="The environment; without it, the one of CONTAINER_IMAGE_ENV, else main.",
    )(function)  # fmt: skip


def json_option(function: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, with times in UTC.")(function)


def debug_option(function: Command) -> Command:
    """`--debug`, which the command line looks for itself."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show where an error came from.")(function)


def _setting_options(function: Command) -> Command:
    for option in (
        once("--keep", type=click.IntRange(min=0), metavar="NUMBER",
             help="How many earlier versions stay, for audits: 10, unless told otherwise."),
        click.option("--not-exposed-by-default", "unexposed", is_flag=True, help="A run gets the secret with --only alone."),
        click.option("--exposed-by-default", "exposed", is_flag=True,
                     help="A run gets the secret without naming it, which is so unless it was chosen otherwise."),
        env_option,
    ):  # fmt: skip
        function = option(function)
    return function


def _exposure(exposed: bool, unexposed: bool) -> bool | None:
    """What the two options ask for; None is the earlier choice.

    Raises:
        InvalidInputError: both are given.
    """
    if exposed and unexposed:
        raise InvalidInputError("--exposed-by-default and --not-exposed-by-default contradict each other; give one")
    return not unexposed if exposed or unexposed else None


class _Group(click.Group):
    """Its errors repeat no argument: in the wrong place, that may be a value."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.MissingParameter:
            raise
        except click.UsageError as error:
            known = ", ".join(self.commands) if error.ctx is None or error.ctx is ctx else ""
            hint = f"its commands are {known}" if known else "see --help for what is"
            raise click.UsageError(
                f"an argument that is not understood (none is repeated here); {hint}", error.ctx
            ) from None


@click.group(cls=_Group)
def secrets() -> None:
    """Keep secrets in environments, encrypted. They leave only into a build, a run or an audit."""


# What is no option is an argument, so that no error repeats a value that begins with a dash; -h would be found in one.
_LITERAL = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


@secrets.command("set", context_settings=_LITERAL)
@click.argument("given", nargs=-1, metavar="NAME[=VALUE]...", type=click.UNPROCESSED)
@click.option("--from-file", "files", multiple=True, metavar="NAME=PATH", help="The bytes of a file, as they are.")
@once("--stdin", "piped", metavar="NAME", help="What is on stdin, less one newline at its end.")
@_setting_options
@debug_option
def set_command(
    given: tuple[str, ...],
    files: tuple[str, ...],
    piped: str | None,
    environment: str | None,
    exposed: bool,
    unexposed: bool,
    keep: int | None,
) -> None:
    """Set secrets, all or none of them.

    NAME alone asks for the value, so that it is in no shell's history. NAME=VALUE is taken as it is written.
    """
    exposure = _exposure(exposed, unexposed)
    store = open_store(**({} if keep is None else {"keep_versions": keep}))
    # Before it asks for a value that would go nowhere.
    store.secrets.missing([], environment)
    values = _values(given, files, piped)
    _say_set(store.secrets.set_all(values, environment, exposure))


@secrets.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@_setting_options
@debug_option
def import_command(path: Path, environment: str | None, exposed: bool, unexposed: bool, keep: int | None) -> None:
    """Set the variables of the dotenv file PATH, all or none of them; `-` is standard input.

    The file is read as python-dotenv reads it. Variables without a value are left out, and named.
    """
    if "=" in path.name and not path.exists():
        raise InvalidInputError("there is no such file; import takes a PATH, and NAME=VALUE is for `secrets set`")
    store = open_store(**({} if keep is None else {"keep_versions": keep}))
    source = sys.stdin.buffer.read() if str(path) == "-" else path
    notes: list[str] = []
    _say_set(store.secrets.import_dotenv(source, environment, _exposure(exposed, unexposed), on_note=notes.append))
    for note in notes:
        say(note)


@secrets.command("list")
@once("--env", "environment", metavar="NAME", hint=ONE_ENVIRONMENT, help="The environment; without it, every one.")
@json_option
@debug_option
def list_command(environment: str | None, as_json: bool) -> None:
    """List the secrets, never their values."""
    listed = open_store().secrets.list(environment)
    if as_json:
        show_json("secrets", [_as_json(secret) for secret in listed])
        return
    rows = [
        (secret.name, secret.environment_name, local(secret.created_at), "yes" if secret.default_exposed else "no")
        for secret in listed
    ]
    show_table(("Name", "Env", "Created At", "Exposed By Default"), rows)


@secrets.command("unset", context_settings=_LITERAL)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=click.UNPROCESSED)
@env_option
@debug_option
def unset_command(names: tuple[str, ...], environment: str | None) -> None:
    """Remove secrets with all their versions, all or none of them."""
    open_store().secrets.unset_all(names, environment)
    say(f"unset {', '.join(names)}")


@secrets.command("versions")
@click.argument("name")
@env_option
@json_option
@debug_option
def versions_command(name: str, environment: str | None, as_json: bool) -> None:
    """List the versions of a secret that are kept, newest first, never their values."""
    listed = open_store().secrets.versions(name, environment)
    if as_json:
        rows = [
            {"version": item.version, "created_at": utc(item.created_at), "current": item.current} for item in listed
        ]
        show_json("versions", [dict(row) for row in rows])
        return
    table = [(str(item.version), local(item.created_at), "yes" if item.current else "") for item in listed]
    show_table(("Version", "Created At", "Current"), table)


@secrets.command("log")
@once("--env", "environment", metavar="NAME", hint=ONE_ENVIRONMENT, help="The environment; without it, every one.")
@once("--limit", type=click.IntRange(min=1), metavar="NUMBER", help="Only so many, the newest.")
@json_option
@debug_option
def log_command(environment: str | None, limit: int | None, as_json: bool) -> None:
    """Show who did what, and when, newest first."""
    entries = open_store().log.list(environment, limit)
    if as_json:
        show_json("log", [
            {"time": utc(entry.time), "actor": entry.actor, "action": entry.action, "environment": entry.environment_name,
             "name": entry.name, "version": entry.version, "image": entry.image}
            for entry in entries
        ])  # fmt: skip
        return
    rows = [
        (local(entry.time), entry.actor, entry.action, entry.environment_name or "", entry.name or "",
         "" if entry.version is None else str(entry.version), entry.image or "")
        for entry in entries
    ]  # fmt: skip
    show_table(("Time", "By", "Action", "Env", "Name", "Version", "Image"), rows)


@secrets.command("missing")
@click.argument("target")
@env_option
@debug_option
def missing_command(target: str, environment: str | None) -> None:
    """Print the commands that set what the declaration TARGET wants of the store, and the store lacks."""
    from container_image.cli.target import load_declaration
    from container_image.store.names import environment_name, set_command

    wanted: dict[str, list[StoredName]] = {}
    for stored in stored_names(load_declaration(target).wanted_secrets()).values():
        wanted.setdefault(environment_name(stored.environment or environment), []).append(stored)
    for place, names in wanted.items():
        missing = open_store().secrets.missing([stored.name for stored in names], place)
        for stored in dict.fromkeys(names):
            if stored.name in missing:
                click.echo(set_command(shown(stored.name, "NAME") if stored.showable else "NAME", place))


@secrets.command("rotate-key")
@debug_option
def rotate_key_command() -> None:
    """Seal everything anew, under new keys.

    The new key takes the old one's place; where that is CONTAINER_IMAGE_KEY, the new one is printed. Keys of environments
    that were handed out no longer open anything. Backups stay under the old key: if that leaked, change the secrets too.
    """

    def announce(text: str) -> None:
        # Past the stream that takes everything: a key that went nowhere must not come into force.
        try:
            os.write(sys.stdout.fileno(), text.encode() + b"\n")
        except OSError as error:
            raise OutputError(f"the new key can't be printed: {error.strerror}; nothing was changed") from None

    open_store().rotate_key(announce)
    say("everything is sealed under new keys; hand out those of environments anew. Backups keep the old ones")


def _say_set(stored: Sequence[StoredSecret]) -> None:
    for secret in stored:
        say(f"set {secret.name} in {secret.environment_name} (version {secret.version})")


def _as_json(secret: StoredSecret) -> dict[str, object]:
    return {
        "name": secret.name,
        "environment": secret.environment_name,
        "created_at": utc(secret.created_at),
        "updated_at": utc(secret.updated_at),
        "default_exposed": secret.default_exposed,
        "version": secret.version,
    }


def _values(given: Sequence[str], files: Sequence[str], piped: str | None) -> dict[str, bytes]:
    """The values by name. No error repeats an argument: it may be a value, or hold one.

    Raises:
        InvalidInputError: an argument that is not so made, or a name that is given twice.
        SecretSourceError: a file that can't be read.
    """
    asked: list[tuple[str, Callable[[], bytes]]] = []
    for number, text in enumerate(given, 1):
        name, separator, value = text.partition("=")
        if not is_secret_name(name):
            raise InvalidInputError(
                f"argument number {number}: expected NAME or NAME=VALUE, where NAME has letters, digits and underscores, and begins with no digit"
            )
        if not is_name(name) and (not value.strip("=") or looks_random(name.encode())):
            # A value that ends with `=` is NAME=VALUE, too.
            raise InvalidInputError(
                f"argument number {number} may be a value: a name is made of words, as PIP_TOKEN; write NAME to be asked for the value, or NAME=VALUE"
            )
        if not separator and not sys.stdin.isatty():
            raise InvalidInputError(
                f"argument number {number} gives no value, and there is no terminal to ask for it on; write NAME=VALUE, --stdin NAME or --from-file NAME=PATH"
            )
        asked.append((name, _literal(value) if separator else _prompt(name)))
    for number, text in enumerate(files, 1):
        name, separator, path = text.partition("=")
        if not is_secret_name(name) or not path:
            raise InvalidInputError(f"--from-file number {number}: expected NAME=PATH")
        asked.append((name, _file(name, path)))
    if piped is not None:
        if not is_secret_name(piped):
            raise InvalidInputError("--stdin: expected a NAME; the value is read from stdin")
        asked.append((piped, _stdin))
    names = [name for name, _ in asked]
    if not names:
        raise InvalidInputError("nothing to set: give NAME, NAME=VALUE, --from-file NAME=PATH or --stdin NAME")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInputError(f"given twice: {', '.join(twice)}; give each secret once")
    return {name: read() for name, read in asked}


def _literal(value: str) -> Callable[[], bytes]:
    return lambda: os.fsencode(value)


def _prompt(name: str) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            return os.fsencode(getpass.getpass(f"Value of {name}: ", stream=sys.stderr))
        except EOFError:
            raise InvalidInputError(f"no value was given for {name}; nothing was set") from None

    return read


def _file(name: str, path: str) -> Callable[[], bytes]:
    def read() -> bytes:
        return Secret.from_file(path).resolve(name).reveal()

    return read


def _stdin() -> bytes:
    return sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")
