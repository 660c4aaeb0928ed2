"""`container-image build` and `check`: an image from a declaration or a context, through the gate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from container_image.audit import AuditPolicy
from container_image.build import BuildRequest, check_build
from container_image.cli.display import Display
from container_image.cli.options import (
    Command,
    parse_reports,
    parse_secrets,
    report_options,
    secret_option,
    write_reports,
)
from container_image.cli.target import from_context, is_declaration, load_declaration
from container_image.errors import AuditFailedError, InvalidInputError, PreflightError
from container_image.gate import build_through


def _build_options(function: Command) -> Command:
    options = [
        click.option("-f", "--file", metavar="PATH", help="The Dockerfile, when it is not CONTEXT/Dockerfile."),
        secret_option,
        click.option("--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="A build argument."),
        click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of the image."),
        click.option("--build-context", "build_contexts", multiple=True, metavar="NAME=PATH", help="A named context."),
        click.option("--cache-from", multiple=True, metavar="CACHE", help="A cache to read."),
        click.option("--ssh", multiple=True, metavar="default|ID[=SOCKET|KEY]", help="An SSH agent or key."),
        click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="A platform to build for."),
        click.option("--target", "stage", metavar="STAGE", help="The stage to build."),
        click.option("--network", type=click.Choice(["default", "none", "host"]), help="The network of RUN steps."),
        click.option("--builder", metavar="NAME", help="The buildx builder."),
        click.option("--no-cache", is_flag=True, help="Run every step again."),
        click.option("--pull", is_flag=True, help="Look for newer base images."),
        click.option("--allow-unused", is_flag=True, help="Accept secrets that no step mounts."),
        click.option("--secret-tmpdir", metavar="DIRECTORY", help="Hand secrets over in files there, not in memory."),
        click.option("--keep-history", is_flag=True, help="Keep the builder's record, with its unredacted log."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@click.argument("target")
@click.option(
    "-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="A name for the image, once it is clean."
)
@_build_options
@click.option("--no-audit", is_flag=True, help="Tag the image without searching it.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, and the digest alone on stdout.")
@report_options
def build(
    target: str,
    tags: tuple[str, ...],
    no_audit: bool,
    quiet: bool,
    form: str,
    reports: tuple[str, ...],
    debug: bool,
    **options: Any,
) -> int:
    """Build TARGET with its secrets, search the image for them, and tag it if none stayed.

    TARGET is a declaration, as path/app.py::Name or pkg.mod:name, or a build context.
    """
    del debug
    paths = parse_reports(reports)
    request = _request(target, options)
    shown = None if quiet else form
    try:
        with Display(quiet=quiet) as display:
            built = build_through(request, tags=tags, no_audit=no_audit, policy=AuditPolicy(), on_event=display.show)
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


@click.command()
@click.argument("target")
@_build_options
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
        click.echo(f"container-image: {error}", err=True)
        return 1
    for message in messages:
        click.echo(message)
    return 0


def _request(target: str, options: dict[str, Any]) -> BuildRequest:
    """The build that TARGET declares, with what the options add to it or put in its place."""
    file, secrets = options["file"], parse_secrets(options["secrets"])
    if is_declaration(target):
        if file:
            raise InvalidInputError(f"-f {file}: {target} is a declaration, which has its own Dockerfile")
        request = load_declaration(target).request(secrets=secrets)
    else:
        request = from_context(target, file).with_secrets(secrets)
    platforms = tuple(name for item in options["platforms"] for name in item.split(","))
    return replace(
        request,
        build_args={**request.build_args, **_pairs("--build-arg", options["build_args"])},
        labels={**request.labels, **_pairs("--label", options["labels"])},
        build_contexts={**request.build_contexts, **_pairs("--build-context", options["build_contexts"])},
        cache_from=(*request.cache_from, *options["cache_from"]),
        ssh=(*request.ssh, *options["ssh"]),
        platforms=platforms or request.platforms,
        target=options["stage"] or request.target,
        network=options["network"],
        builder=options["builder"],
        no_cache=options["no_cache"],
        pull=options["pull"],
        allow_unused=options["allow_unused"],
        secret_tmpdir=Path(options["secret_tmpdir"]) if options["secret_tmpdir"] else None,
        keep_history=options["keep_history"],
    )


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not name or (not separator and option != "--build-arg"):
            raise InvalidInputError(f"{option} {name}: expected NAME=VALUE")
        if separator:
            pairs[name] = value
        elif name in os.environ:
            # As Docker: a name alone takes the variable's value, and is left out where there is none.
            pairs[name] = os.environ[name]
    return pairs
