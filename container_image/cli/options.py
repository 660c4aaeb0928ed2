"""Options that several commands share: secrets in Docker's syntax, and where reports go."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from container_image.audit import AuditReport
from container_image.errors import InvalidInputError, OutputError
from container_image.formats import FORMATS
from container_image.secrets import Secret

Command = TypeVar("Command", bound=Callable[..., Any])

_KEYS = frozenset({"id", "type", "env", "src", "source"})


def secret_option(function: Command) -> Command:
    """`--secret`, repeatable."""
    return click.option(
        "--secret",
        "secrets",
        multiple=True,
        metavar="id=NAME[,env=VARIABLE|,src=FILE]",
        help="A secret, in Docker's syntax. With the id alone: the variable of that name, else the file.",
    )(function)


def accept_option(function: Command) -> Command:
    """`--accept-unsearchable`, repeatable."""
    return click.option(
        "--accept-unsearchable", multiple=True, metavar="NAME", help="Accept that this secret can't be searched for."
    )(function)


def report_options(function: Command) -> Command:
    """`--format`, `--report` and `--debug`."""
    function = click.option("--debug", is_flag=True, help="Show where an error came from.")(function)
    function = click.option(
        "--report", "reports", multiple=True, metavar="FORMAT=PATH", help=f"Also write a report: {', '.join(FORMATS)}."
    )(function)
    return click.option(
        "--format",
        "form",
        type=click.Choice(list(FORMATS)),
        default="text",
        show_default=True,
        help="The format on stdout.",
    )(function)


def parse_secrets(given: Sequence[str]) -> dict[str, Secret]:
    """The secrets of `--secret` options, by id.

    Raises:
        InvalidInputError: an option that Docker would not take either.
    """
    secrets: dict[str, Secret] = {}
    for number, text in enumerate(given, 1):
        fields = _fields(text)
        if fields is None:
            # What stands there may be the secret itself, so it is not repeated.
            raise InvalidInputError(f"--secret number {number}: expected id=NAME[,env=VARIABLE|,src=FILE]")
        source = fields.get("src") or fields.get("source")
        name = fields.get("id") or (source and Path(source).name) or fields.get("env")
        if not name:
            raise InvalidInputError(f"--secret number {number}: has no id; write id=NAME")
        if not name.isprintable():
            raise InvalidInputError(f"--secret number {number}: its id can't be printed; write id=NAME")
        kind = fields.get("type")
        if kind not in (None, "env", "file"):
            raise InvalidInputError(f"--secret id={name}: type is env or file")
        secrets[name] = _source(name, kind, fields.get("env"), source)
    return secrets


def _fields(text: str) -> dict[str, str] | None:
    """The pairs of one `--secret`; None unless it is made of such pairs."""
    try:
        parts = next(csv.reader([text], strict=True), [])
    except csv.Error:
        return None
    fields = {}
    for part in parts:
        key, separator, value = part.partition("=")
        if not separator or key.lower() not in _KEYS:
            return None
        fields[key.lower()] = value
    return fields


def _source(name: str, kind: str | None, variable: str | None, path: str | None) -> Secret:
    if variable and path:
        raise InvalidInputError(f"--secret id={name}: give env or src, not both")
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
    reports = []
    for text in given:
        form, separator, path = text.partition("=")
        if not separator or form not in FORMATS or not path:
            raise InvalidInputError(f"--report {text}: expected FORMAT=PATH, with FORMAT one of {', '.join(FORMATS)}")
        if path == "-":
            raise InvalidInputError(f"--report {text}: for a report on stdout, write --format {form}")
        target = Path(path)
        directory = target.parent
        if (
            target.is_dir()
            or not directory.is_dir()
            or not os.access(target if target.exists() else directory, os.W_OK)
        ):
            raise OutputError(f"--report {text}: {path} can't be written; name a file in a directory that can")
        reports.append((form, target))
    return reports


def write_reports(report: AuditReport, form: str | None, reports: Sequence[tuple[str, Path]]) -> None:
    """Writes a report to stdout, unless `form` is None, and to each file.

    Raises:
        OutputError: files that can't be written after all; whatever can be written is.
    """
    if form is not None:
        click.echo(FORMATS[form](report), nl=False)
    problems = []
    for name, path in reports:
        try:
            path.write_text(FORMATS[name](report), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            problems.append(f"{path}: the report can't be written: {error.strerror}")
    if problems:
        raise OutputError("\n".join(problems))
