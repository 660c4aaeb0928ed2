"""`container-image build` and `check`: an image from a declaration or a context, through the gate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from container_image.build import BuildRequest, check_build
from container_image.cli.buildx import DockerCommand, apply, buildx_options
from container_image.cli.display import Display
from container_image.cli.options import (
    earlier_option,
    parse_earlier,
    parse_reports,
    parse_secrets,
    policy_of,
    policy_options,
    report_options,
    write_reports,
)
from container_image.cli.streams import say
from container_image.cli.target import from_context, is_declaration, load_declaration
from container_image.errors import AuditFailedError, InvalidInputError, PreflightError
from container_image.gate import build_through
from container_image.printable import printable
from container_image.secrets import checked_scope
from container_image.shown import listed
from container_image.stored import Environments

_LIVE = {"tty": True, "plain": False}


@click.command(cls=DockerCommand)
@click.argument("target")
@buildx_options
@earlier_option
@policy_options
@click.option("--no-audit", is_flag=True, help="Tag the image without searching it.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, and the digest alone on stdout.")
@click.option(
    "--progress", type=click.Choice(["auto", "tty", "plain", "quiet", "none"]), default="auto", show_default=True,
    help="How progress is shown on stderr.",
)  # fmt: skip
@report_options
def build(
    target: str,
    earlier: tuple[str, ...],
    no_audit: bool,
    quiet: bool,
    progress: str,
    form: str,
    reports: tuple[str, ...],
    debug: bool,
    **options: Any,
) -> int:
    """Build TARGET with its secrets, search the image for them, and tag it if none stayed.

    TARGET is a declaration, as path/app.py::Name or pkg.mod:name, or a build context.

    What the search accepts is also read from [tool.container-image] in the nearest pyproject.toml; an option goes before
    it.
    """
    del debug
    paths = parse_reports(reports)
    policy = policy_of(options, platforms=None)
    request = _with_earlier(_request(target, options), earlier)
    to_stdout = any(export.dest == "-" for export in request.exports)
    shown = None if quiet or to_stdout else form
    try:
        with Display(quiet=quiet or progress in ("quiet", "none"), live=_LIVE.get(progress)) as display:
            built = build_through(request, no_audit=no_audit, policy=policy, on_event=display.show)
    except AuditFailedError as error:
        write_reports(error.report, shown, paths)
        raise
    if built.report is not None:
        write_reports(built.report, shown, paths)
    else:
        click.echo("not audited: " + ("--no-audit" if no_audit else "no secret to search for"), err=True)
    if quiet:
        click.echo(built.digest)
    return 0


@click.command(cls=DockerCommand)
@click.argument("target")
@buildx_options
@click.option("--debug", is_flag=True, help="Show where an error came from.")
def check(target: str, debug: bool, **options: Any) -> int:
    """Say what can be said of TARGET before it is built: secrets that are missing or would ship, BuildKit's checks.

    Exit code 1 means that a value would ship as it is written, 2 that the build would not start.
    """
    del debug
    try:
        messages = check_build(_request(target, options))
    except PreflightError as error:
        if not error.would_ship:
            raise
        say(str(error))
        return 1
    for message in messages:
        click.echo(printable(message))
    if not messages:
        click.echo("nothing to report", err=True)
    return 0


def _request(target: str, options: dict[str, Any]) -> BuildRequest:
    """The build that TARGET declares, with what the options add to it or put in its place."""
    file, environments = options["file"], options["environments"]
    secrets = parse_secrets(options["secrets"], stored=bool(environments))
    environment = next(iter(environments), None)
    searched: Environments = "all" if options["all_environments"] else environments[1:]
    if is_declaration(target):
        if file:
            raise InvalidInputError(f"-f {file}: {target} is a declaration, which has its own Dockerfile")
        request = load_declaration(target).request(
            secrets=secrets, environment=environment, audit_environments=searched
        )
    else:
        request = from_context(target, file).with_secrets(secrets, environment, searched)
    return _with_scopes(apply(request, options), options["cache_scopes"])


def _with_scopes(request: BuildRequest, options: tuple[str, ...]) -> BuildRequest:
    """The build with secrets in cache scopes."""
    held = dict(request.secrets)
    scopes: dict[str, str] = {}
    for number, text in enumerate(options, 1):
        name, separator, scope = text.partition("=")
        if not separator:
            raise InvalidInputError(f"--secret-cache-scope number {number}: expected ID=SCOPE")
        if name not in held:
            raise InvalidInputError(
                f"--secret-cache-scope number {number}: no secret has its id; there are: {listed(held)}"
            )
        if scopes.setdefault(name, scope) != scope:
            raise InvalidInputError(f"--secret-cache-scope number {number}: its id has another scope already; give one")
        held[name] = held[name].replaced(cache_scope=checked_scope(scope))
    return replace(request, secrets=held)


def _with_earlier(request: BuildRequest, options: tuple[str, ...]) -> BuildRequest:
    """The build with former values of its secrets, read now, wherever the secrets come from."""
    held = dict(request.secrets)
    for name, values in parse_earlier(options, held).items():
        secret = held[name]
        former = [value.resolve(name).reveal() for value in values]
        held[name] = secret.replaced(earlier=(*secret.earlier, *former))
    return replace(request, secrets=held)
