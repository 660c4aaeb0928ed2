"""Options that several commands share: secrets in Docker's syntax, and where reports go."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from container_image.audit import AuditPolicy, AuditReport, WarningCode
from container_image.cli import color
from container_image.errors import InvalidInputError, OutputError
from container_image.formats import FORMATS, JOINED
from container_image.formats.words import Outcome
from container_image.secrets import Secret
from container_image.shown import is_name, listed, shown

Command = TypeVar("Command", bound=Callable[..., Any])

WARNING_CODES = get_args(WarningCode)
_KEYS = {"id": "id", "type": "type", "env": "env", "src": "src", "source": "src", "store": "store"}


def secret_option(function: Command) -> Command:
    """`--secret`, repeatable."""
    return click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="id=NAME[,env=VARIABLE|,src=FILE|,store=NAME]",
        help="A secret: its id, and the variable, the file or the store's secret that has its value. With id=NAME alone, the store's secret NAME where --env is given; otherwise the variable NAME, or else the file NAME.",
    )(function)


def environment_options(function: Command) -> Command:
    """`--env`, repeatable, and `--all-environments`."""
    function = click.option(
        "--all-environments", is_flag=True, help="Search for the secrets of every environment of the store too."
    )(function)
    return click.option(
        "--env", "environments", multiple=True, metavar="NAME", callback=_names,
        help="An environment of the store. A build takes its secrets from the first one that is given; the image is searched for the secrets of each.",
    )(function)  # fmt: skip


def _names(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    if not given:
        return ()
    from container_image.store.names import environment_name

    return tuple(map(environment_name, given))


def earlier_option(function: Command) -> Command:
    """`--earlier`, repeatable."""
    return click.option(
        "--earlier",
        multiple=True,
        metavar="id=NAME,env=VARIABLE|src=FILE",
        help="Search for a former value of the secret NAME too.",
    )(function)


def policy_options(function: Command) -> Command:
    """What an audit may accept, which warnings fail, and how far it goes: the fields of `AuditPolicy`, but for `platforms`."""
    options = [
        click.option(
            "--accept-unread", multiple=True, metavar="REASON[:PATH]",
            help="Accept that something could not be read, for this reason, at this path. Both may be globs.",
        ),
        click.option(
            "--accept-unsearchable", multiple=True, metavar="NAME", help="Accept that this secret can't be searched for."
        ),
        click.option(
            "--accept-base/--no-accept-base", default=None, help="Accept secrets that are in the base image."
        ),
        click.option(
            "--fail-on-warning", multiple=True, type=click.Choice(WARNING_CODES), metavar="CODE",
            help=f"Exit code 1 where the report has such a warning, and a build tags nothing: {', '.join(WARNING_CODES)}.",
        ),
        click.option("--max-depth", type=int, metavar="NUMBER", help="How deep to look into archives inside archives."),
        click.option("--max-bytes", type=int, metavar="NUMBER", help="Read so many decompressed bytes at most."),
        click.option("--max-ratio", type=int, metavar="NUMBER", help="Read so many bytes out of one compressed byte at most."),
        click.option("--max-seconds", type=float, metavar="SECONDS", help="Read for so long at most."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def policy_of(options: dict[str, Any], *, platforms: Sequence[str] | None) -> AuditPolicy:
    """The policy of a command: pyproject.toml's, with each field that an option gives in the place of its own.

    `platforms` are those of `audit --platform`; None for a build, where the audit reads everything that was built, and
    a project's `platforms` have no say.

    Raises:
        InvalidInputError: a bad value in the file or of an option.
    """
    given = {name: options[name] for name in AuditPolicy.model_fields if options.get(name) not in (None, ())}
    if platforms is None:
        given["platforms"] = ()
    elif platforms:
        given["platforms"] = tuple(name for item in platforms for name in item.split(","))
    names = {name: "--" + name.replace("_", "-") for name in AuditPolicy.model_fields} | {"platforms": "--platform"}
    return AuditPolicy.from_pyproject().replaced(given, names)


def report_options(function: Command) -> Command:
    """`--format`, `--report` and `--debug`."""
    function = click.option("-D", "--debug", is_flag=True, help="Show where an error came from.")(function)
    function = click.option(
        "--report",
        "reports",
        multiple=True,
        metavar="FORMAT=PATH",
        help=f"Write a report to a file too: {', '.join(FORMATS)}.",
    )(function)
    return click.option(
        "--format",
        "form",
        type=click.Choice(list(FORMATS)),
        default="text",
        show_default=True,
        help="The format of the report on stdout.",
    )(function)


def parse_secrets(given: Sequence[str], *, stored: bool = False) -> dict[str, Secret]:
    """The secrets of `--secret` options, by id; with `stored`, an id alone is that of a secret of the store.

    Raises:
        InvalidInputError: an option that Docker would not take either.
    """
    secrets: dict[str, Secret] = {}
    for number, text in enumerate(given, 1):
        fields = _fields(text)
        if fields is None:
            # What stands there may be the secret itself, so it is not repeated.
            raise InvalidInputError(f"--secret number {number}: expected id=NAME[,env=VARIABLE|,src=FILE|,store=NAME]")
        source = fields.get("src")
        name = fields.get("id") or (source and Path(source).name) or fields.get("env")
        if not name:
            raise InvalidInputError(f"--secret number {number}: has no id; write id=NAME")
        if not name.isprintable():
            raise InvalidInputError(f"--secret number {number}: its id can't be printed; write id=NAME")
        if stored and set(fields) == {"id"}:
            fields["store"] = name
        secret = _source(f"--secret {_told(number, name)}", name, fields, source)
        if secrets.setdefault(name, secret) != secret:
            raise InvalidInputError(
                f"--secret {_told(number, name)}: two sources are given for this id; give one, and a former value with --earlier"
            )
    return secrets


def parse_earlier(given: Sequence[str], names: Collection[str]) -> dict[str, list[Secret]]:
    """The former values of `--earlier` options, by the secret's id, which is one of `names`.

    Raises:
        InvalidInputError: an option that is not so made, or of a secret that is not there.
    """
    earlier: dict[str, list[Secret]] = {}
    for number, text in enumerate(given, 1):
        fields = _fields(text) or {}
        name, source = fields.get("id"), fields.get("src")
        if not name or not (source or fields.get("env")):
            raise InvalidInputError(f"--earlier number {number}: expected id=NAME,env=VARIABLE or id=NAME,src=FILE")
        if name not in names:
            raise InvalidInputError(f"--earlier number {number}: no secret has its id; there are: {listed(names)}")
        earlier.setdefault(name, []).append(_source(f"--earlier {_told(number, name)}", name, fields, source))
    return earlier


def _fields(text: str) -> dict[str, str] | None:
    """The pairs of one `--secret`; None unless it is made of such pairs, with one value for each key."""
    try:
        parts = next(csv.reader([text], strict=True), [])
    except csv.Error:
        return None
    fields: dict[str, str] = {}
    for part in parts:
        key, separator, value = part.partition("=")
        key = _KEYS.get(key.lower(), "")
        if not separator or not key or fields.setdefault(key, value) != value:
            return None
    return fields


def _told(number: int, name: str) -> str:
    """One of several options: by its id, or by its number where the id may be a value."""
    return f"id={name}" if is_name(name) else f"number {number}"


def _source(option: str, name: str, fields: Mapping[str, str], path: str | None) -> Secret:
    kind, variable = fields.get("type"), fields.get("env")
    if kind not in (None, "env", "file"):
        raise InvalidInputError(f"{option}: type is env or file")
    if sum(map(bool, (variable, path, fields.get("store")))) > 1:
        raise InvalidInputError(f"{option}: give one of env, src and store")
    if stored := fields.get("store"):
        try:
            return Secret.from_name(stored)
        except InvalidInputError as error:
            raise InvalidInputError(f"{option}: {error}") from None
    if variable or kind == "env":
        return Secret.from_env(variable or path or name)
    if path or kind == "file":
        return Secret.from_file(path or name)
    if name in os.environ or not Path(name).is_file():
        return Secret.from_env(name)
    return Secret.from_file(name)


def parse_reports(given: Sequence[str]) -> list[tuple[str, Path]]:
    """The formats and paths of `--report` options, made sure of before anything runs.

    Raises:
        InvalidInputError: a format that is not known.
        OutputError: a path that can't be written.
    """
    reports: list[tuple[str, Path]] = []
    for number, text in enumerate(given, 1):
        form, separator, path = text.partition("=")
        if not separator or form not in FORMATS or not path:
            raise InvalidInputError(
                f"--report number {number}: expected FORMAT=PATH, with FORMAT one of {', '.join(FORMATS)}"
            )
        if path == "-":
            raise InvalidInputError(f"--report {form}=-: for a report on stdout, write --format {form}")
        target = Path(path)
        directory = target.parent
        if (
            target.is_dir()
            or not directory.is_dir()
            or not os.access(target if target.exists() else directory, os.W_OK)
        ):
            raise OutputError(
                f"--report {form}={shown(path)}: it can't be written; name a file in a directory that can"
            )
        if target in [other for _, other in reports]:
            raise InvalidInputError(f"--report number {number}: another report has its path; give each one its own")
        reports.append((form, target))
    return reports


def write_reports(report: AuditReport, form: str | None, reports: Sequence[tuple[str, Path]]) -> None:
    """Writes a report to stdout, unless `form` is None, and to each file.

    Raises:
        OutputError: files that can't be written after all; whatever can be written is.
    """
    _write(lambda name: FORMATS[name](report), form, reports)


def write_joined(outcomes: Sequence[Outcome], form: str | None, reports: Sequence[tuple[str, Path]]) -> None:
    """Writes what came of several audits, each time as one document, as `write_reports` does.

    Raises:
        OutputError: files that can't be written after all; whatever can be written is.
    """
    _write(lambda name: JOINED[name](outcomes), form, reports)


def _write(render: Callable[[str], str], form: str | None, reports: Sequence[tuple[str, Path]]) -> None:
    if form is not None:
        text = render(form)
        click.echo(color.report(text, sys.stdout) if form == "text" else text, nl=False)
    problems = []
    for name, path in reports:
        try:
            path.write_text(render(name), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            problems.append(f"{path}: the report can't be written: {error.strerror}")
    if problems:
        raise OutputError("\n".join(problems))
