"""`container-image secrets`: sets, lists and unsets secrets in the store. No command shows a value.

The store is imported where a command needs it, because it brings a database library along.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from container_image.cli import command as base
from container_image.cli.command import Group
from container_image.cli.once import once
from container_image.cli.signals import undone
from container_image.cli.streams import say
from container_image.cli.tables import local, show_json, show_table, utc
from container_image.errors import InvalidInputError, OutputError
from container_image.near import did_you_mean
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
        help="The environment. Without it: the one in CONTAINER_IMAGE_ENV, or else main.",
    )(function)  # fmt: skip


def json_option(function: Command) -> Command:
    """`--json`, and fal's words for it: `--output json`."""
    function = click.option(
        "--output", type=click.Choice(["pretty", "json"]), expose_value=False, callback=_output,
        help="As in fal: json is --json.",
    )(function)  # fmt: skip
    return click.option("--json", "as_json", is_flag=True, is_eager=True, help="Print JSON, with times in UTC.")(
        function
    )


def _output(context: click.Context, _option: click.Parameter, form: str | None) -> None:
    if form == "json":
        context.params["as_json"] = True


def debug_option(function: Command) -> Command:
    """`--debug`, which the command line looks for itself."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show where an error came from.")(function)


def _setting_options(function: Command) -> Command:
    for option in (
        once("--keep", type=click.IntRange(min=0), metavar="NUMBER",
             help="Keep so many earlier versions, which audits search for. Without it: 10."),
        click.option("--not-exposed-by-default", "unexposed", is_flag=True,
                     help="`run` and `exec` give the secret only where --only names it. A later `set` keeps the choice."),
        click.option("--exposed-by-default", "exposed", is_flag=True,
                     help="`run` and `exec` give the secret without being told to. This is the default for a new secret."),
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


class _Unrepeated(click.UsageError):
    """An error that repeats no argument."""


class _Group(Group):
    """A group whose errors repeat no argument, because one in the wrong place may be a value."""

    def unknown(self, ctx: click.Context, name: str) -> click.UsageError:
        hint = did_you_mean(name, self.commands)
        return _Unrepeated(f"there is no such command{hint}; there are {', '.join(self.commands)}", ctx)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.MissingParameter, _Unrepeated):
            raise
        except click.UsageError as error:
            known = ", ".join(self.commands) if error.ctx is None or error.ctx is ctx else ""
            hint = f"its commands are {known}" if known else "see --help for what is"
            raise click.UsageError(
                f"an argument that is not understood (none is repeated here); {hint}", error.ctx
            ) from None


@click.group(
    cls=_Group,
    examples="""
    # Set a secret; its value is asked for, so that it is in no shell's history
    container-image secrets set TOKEN

    # Import a dotenv file into the environment staging
    container-image secrets import .env --env staging

    # List the names, never the values
    container-image secrets list
    """,
)
def secrets() -> None:
    """Set, list and remove the secrets of the store.

    They are kept encrypted, apart for each environment. No command shows a value: it is given to builds, containers,
    programs and audits alone.
    """


class _Literal(base.Command):
    """A command whose arguments may be values, and may begin with a dash: -h is help only as a word of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, ["--help"] if "-h" in args else args)


# A word that looks like an option and is none becomes an argument, so that click's errors don't repeat a value.
_LITERAL = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


@secrets.command(
    "set",
    cls=_Literal,
    context_settings=_LITERAL,
    examples="""
    # Ask for the value
    container-image secrets set TOKEN

    # Two values as they are written, in the environment staging
    container-image secrets set A=1 B=2 --env staging

    # A file's bytes, and what a program prints
    container-image secrets set --from-file KEY=key.pem
    openssl rand -hex 32 | container-image secrets set --stdin SESSION_KEY
""",
)
@click.argument("given", nargs=-1, metavar="NAME[=VALUE]...", type=click.UNPROCESSED)
@click.option("--from-file", "files", multiple=True, metavar="NAME=PATH", help="Set NAME to the bytes of a file.")
@once("--stdin", "piped", metavar="NAME", help="Set NAME to what is on stdin, without one newline at its end.")
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
    """Set secrets. If one of them can't be set, none is.

    NAME alone asks for the value, so that it is in no shell's history. NAME=VALUE is taken as it is written. A secret
    that is set already gets a new version.
    """
    exposure = _exposure(exposed, unexposed)
    store = open_store(**({} if keep is None else {"keep_versions": keep}))
    # Before it asks for a value that would go nowhere.
    store.secrets.missing([], environment)
    values = _values(given, files, piped)
    _say_set(store.secrets.set_all(values, environment, exposure))


@secrets.command(
    "import",
    examples="""
    # Import a dotenv file into the environment staging
    container-image secrets import .env --env staging
""",
)
@click.argument("path", type=click.Path(path_type=Path))
@_setting_options
@debug_option
def import_command(path: Path, environment: str | None, exposed: bool, unexposed: bool, keep: int | None) -> None:
    """Set the variables of the dotenv file PATH, or of standard input with `-`. If one of them can't be set, none is.

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


@secrets.command(
    "list",
    examples="""
    # List the secrets of the environment staging, for a script
    container-image secrets list --env staging --json
""",
)
@once("--env", "environment", metavar="NAME", hint=ONE_ENVIRONMENT, help="The environment. Without it: all of them.")
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


@secrets.command(
    "unset",
    cls=_Literal,
    context_settings=_LITERAL,
    examples="""
    # Remove two secrets from the environment staging
    container-image secrets unset A B --env staging
""",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...", type=click.UNPROCESSED)
@env_option
@debug_option
def unset_command(names: tuple[str, ...], environment: str | None) -> None:
    """Remove secrets with all their versions. If one of them can't be removed, none is."""
    open_store().secrets.unset_all(names, environment)
    say(f"unset {', '.join(names)}")


@secrets.command(
    "versions",
    examples="""
    # Which versions of TOKEN does an audit search for?
    container-image secrets versions TOKEN
""",
)
@click.argument("name")
@env_option
@json_option
@debug_option
def versions_command(name: str, environment: str | None, as_json: bool) -> None:
    """List the versions of the secret NAME that are kept, newest first. Their values are not shown."""
    listed = open_store().secrets.versions(name, environment)
    if as_json:
        rows = [
            {"version": item.version, "created_at": utc(item.created_at), "current": item.current} for item in listed
        ]
        show_json("versions", [dict(row) for row in rows])
        return
    table = [(str(item.version), local(item.created_at), "yes" if item.current else "") for item in listed]
    show_table(("Version", "Created At", "Current"), table)


@secrets.command(
    "log",
    examples="""
    # The last twenty uses and changes of the environment staging
    container-image secrets log --env staging --limit 20
""",
)
@once("--env", "environment", metavar="NAME", hint=ONE_ENVIRONMENT, help="The environment. Without it: all of them.")
@once("--limit", type=click.IntRange(min=1), metavar="NUMBER", help="Show only the newest so many.")
@json_option
@debug_option
def log_command(environment: str | None, limit: int | None, as_json: bool) -> None:
    """Show who set, removed or used which secret, and when, newest first."""
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


@secrets.command(
    "missing",
    examples="""
    # Print the commands that set what a declaration lacks
    container-image secrets missing app.py::image --env staging
""",
)
@click.argument("target")
@env_option
@debug_option
def missing_command(target: str, environment: str | None) -> None:
    """Print the commands that set the secrets which the declaration TARGET takes from the store and the store lacks."""
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


@secrets.command(
    "rotate-key",
    examples="""
    # Replace the store's key and those of its environments
    container-image secrets rotate-key
""",
)
@debug_option
def rotate_key_command() -> None:
    """Encrypt the store anew, with new keys.

    The new key replaces the old one where that is kept. If that is the variable CONTAINER_IMAGE_KEY, the new key is
    printed. Keys of environments that were handed out open nothing any more. Backups still open with the old key: if that
    leaked, change the secrets too.
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
            with undone("nothing was set"):
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
