"""`container-image build` and `check`: an image from a declaration or a context, through the gate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from container_image.audit import AuditEvent
from container_image.build import BUILDKIT_CHECK, BuildEvent, BuildRequest, check_build
from container_image.cli.buildx import BUILD_SECTIONS, DockerCommand, apply, buildx_options
from container_image.cli.color import chosen
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
from container_image.cli.signals import Interrupted, held
from container_image.cli.streams import say
from container_image.cli.target import from_context, is_declaration, load_declaration
from container_image.errors import AuditFailedError, BuildError, InvalidInputError, PreflightError
from container_image.events import receiving
from container_image.gate import NOT_AUDITED, OnEvent, build_through
from container_image.printable import printable
from container_image.progress import Display, console
from container_image.secrets import checked_scope
from container_image.shown import listed
from container_image.stored import Environments

_LIVE = {"tty": True, "plain": False}


@click.command(
    cls=DockerCommand,
    sections=BUILD_SECTIONS,
    examples="""
    # Build the directory with a secret from the variable TOKEN, search the image, tag it if it is clean
    container-image build . -t app:dev --secret id=TOKEN

    # A secret from a file, and a report for the CI beside the text
    container-image build . -t app:dev --secret id=npmrc,src=.npmrc --report sarif=leaks.sarif

    # Secrets from the store's environment staging, then push the clean image
    container-image build . -t registry.example.com/app:1 --env staging --secret id=TOKEN --push

    # An image that is declared in Python
    container-image build app.py::image -t app:dev

    # A docker line, pasted as it is
    container-image docker build --platform linux/amd64 -t app:dev --secret id=TOKEN .
    """,
)
@click.argument("target")
@buildx_options
@earlier_option
@policy_options
@click.option("--no-audit", is_flag=True, help="Don't search the image; tag it as it is.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, and print only the image's digest.")
@click.option(
    "--progress", type=click.Choice(["auto", "tty", "plain", "rawjson", "quiet", "none"]), default="auto", show_default=True,
    help="How progress is shown on stderr. tty: with a line that says what runs; plain: without; rawjson: BuildKit's records as JSON, redacted; quiet and none: not at all.",
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
    """Build an image, search it for its secrets, and tag it if it is clean.

    TARGET is a build context as docker has it (a directory, a URL, or - for stdin), or an image that is declared in
    Python: path/app.py::NAME or package.module:NAME.

    Every byte of the image is searched for the values of the secrets that the build was given. If one is found, the image
    is neither tagged nor pushed, and the report on stdout says where the value is and how to keep it out.

    What the search may accept is also read from [tool.container-image] in the nearest pyproject.toml. An option replaces
    the key of the same name.

    \b
    Exit codes:
      0  the image is clean, and tagged
      1  a secret is in the image, which was not tagged
      2  the build failed, or could not start
      3  part of the image could not be searched; it was not tagged
    """
    del debug
    paths = parse_reports(reports)
    policy = policy_of(options, platforms=None)
    request = replace(_with_earlier(_request(target, options), earlier), with_statuses=progress == "rawjson")
    to_stdout = any(export.dest == "-" for export in request.exports)
    shown = None if quiet or to_stdout else form
    display = None if quiet else _display(progress)
    watch = _Watch(display)
    try:
        with receiving(display):
            built = build_through(request, no_audit=no_audit, policy=policy, on_event=watch)
    except AuditFailedError as error:
        write_reports(error.report, shown, paths)
        raise
    except BuildError as error:
        if isinstance(display, Display):
            # The failed step's output was shown when it came.
            error.output = ()
        raise
    except Interrupted as error:
        error.outcome = watch.outcome
        raise
    if built.report is not None:
        write_reports(built.report, shown, paths)
    else:
        # Whatever the progress shows. BuildKit's own warnings are a part of the progress.
        for warning in built.warnings:
            if warning.code == NOT_AUDITED:
                say(warning.message)
            elif warning.code != BUILDKIT_CHECK:
                say(f"warning: {warning.message}")
        if paths or form != "text":
            say("no report was written: there was no audit")
    if quiet:
        click.echo(built.digest)
    return 0


@click.command(
    cls=DockerCommand,
    sections=BUILD_SECTIONS,
    examples="""
    # Find out what would go wrong in this build
    container-image check . --secret id=TOKEN

    # The same for an image that is declared in Python, with the secrets of the environment staging
    container-image check app.py::image --env staging
    """,
)
@click.argument("target")
@buildx_options
@click.option("-D", "--debug", is_flag=True, help="Show where an error came from.")
def check(target: str, debug: bool, **options: Any) -> int:
    """Find out what a build of TARGET would fail on or give away, without building.

    Looks for secrets that are missing, that no step mounts, or whose value is written where it would ship, and prints
    BuildKit's own checks of the Dockerfile. It takes the options of `build`, so that a line can be changed from one to
    the other.

    \b
    Exit codes:
      0  the build can start; what is worth a look is on stdout, and what could not be checked without an engine
      1  a secret's value would be in the image
      2  the build would not start
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


def _display(progress: str) -> OnEvent | None:
    """The receiver that shows a build's events; None if nothing does."""
    if progress in ("quiet", "none"):
        return None
    return _show_status if progress == "rawjson" else console(live=_LIVE.get(progress), color=chosen())


def _show_status(event: BuildEvent | AuditEvent) -> None:
    if isinstance(event, BuildEvent) and event.kind == "status":
        click.echo(event.text, err=True)


class _Watch:
    """Passes a build's events on to a display, if there is one, and notes how far the build is."""

    def __init__(self, display: OnEvent | None) -> None:
        self.display = display
        self.outcome = "nothing was tagged"

    def __call__(self, event: BuildEvent | AuditEvent) -> None:
        if isinstance(event, BuildEvent) and event.kind == "release":
            self.outcome = "the image had passed, and may be tagged, written or pushed in part"
        if self.display is not None:
            with held():
                self.display(event)


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
