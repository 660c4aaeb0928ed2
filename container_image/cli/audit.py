"""`container-image audit`: searches any image for some secrets."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from container_image.audit import AuditPolicy, AuditReport, Verdict, self_test
from container_image.audit import audit as run_audit
from container_image.cli import color
from container_image.cli.command import Command
from container_image.cli.options import (
    earlier_option,
    environment_options,
    parse_earlier,
    parse_reports,
    parse_secrets,
    policy_of,
    policy_options,
    report_options,
    secret_option,
    write_reports,
)
from container_image.cli.recall import RECALL_FORMATS
from container_image.cli.signals import Interrupted
from container_image.errors import InvalidInputError
from container_image.oci import open_image
from container_image.stored import Environments

AUDIT_SECTIONS = {
    "Secrets": ("secrets", "environments", "all_environments", "earlier"),
    "Audit": (
        "platforms", "accept_unread", "accept_unsearchable", "accept_base", "max_depth", "max_bytes", "max_ratio",
        "max_seconds", "fail_on", "testing",
    ),
    "Output": ("form", "reports", "schema"),
}  # fmt: skip

_EXIT = {Verdict.CLEAN: 0, Verdict.LEAKED: 1, Verdict.INCOMPLETE: 3}


@click.command(
    cls=Command,
    sections=AUDIT_SECTIONS,
    examples="""
    # Search an image in the engine for the value of the variable TOKEN
    container-image audit app:dev --secret id=TOKEN

    # An image in a registry, for a file's secrets and a variable's
    container-image audit docker://registry.example.com/app:1 --secret id=npmrc,src=.npmrc --secret id=TOKEN

    # An archive, for everything that the store's environment staging holds
    container-image audit docker-archive:app.tar --env staging

    # How many planted values the search finds in this image
    container-image audit --self-test app:dev
    """,
)
@click.argument("reference", required=False)
@secret_option
@environment_options
@earlier_option
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH",
    help="Search only this platform, which must be there. `all`: every platform that the image names must be there.",
)
@policy_options
@click.option(
    "--fail-on", type=click.Choice(["leaked", "incomplete"]), default="incomplete", show_default=True,
    help="What fails the command. With `leaked`, an incomplete audit exits 0.",
)  # fmt: skip
@click.option(
    "--self-test", "testing", is_flag=True,
    help="Plant random values in a copy of the image, in memory, and say how many of them are found. Exits 1 unless all are.",
)  # fmt: skip
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the JSON report.")
@report_options
def audit(
    reference: str | None,
    secrets: tuple[str, ...],
    environments: tuple[str, ...],
    all_environments: bool,
    earlier: tuple[str, ...],
    platforms: tuple[str, ...],
    fail_on: str,
    testing: bool,
    schema: bool,
    form: str,
    reports: tuple[str, ...],
    debug: bool,
    **options: Any,
) -> int:
    """Search every byte of an image for secrets, in plain and encoded, compressed and deleted files too.

    \b
    REFERENCE is one of:
      app:dev                       an image in the Docker Engine
      docker://HOST/NAME:TAG        an image in a registry
      docker-archive:FILE           an archive of `docker save`
      oci-archive:FILE, oci:DIRECTORY
      a path, as ./app.tar          one of these files or directories

    With --env, the search is for all secrets of that environment of the store, with their earlier versions. If --secret
    names secrets of the store, it is for those alone, with the values that the environment has.

    What the search may accept is also read from [tool.container-image] in the nearest pyproject.toml. An option replaces
    the key of the same name.

    \b
    Exit codes:
      0  clean
      1  a secret is in the image
      2  an error
      3  part of the image could not be searched
    """
    del debug
    if schema:
        click.echo(json.dumps(AuditReport.model_json_schema(), indent=2))
        return 0
    if reference is None:
        raise InvalidInputError("no image: name one, as in `container-image audit app:dev --secret id=TOKEN,env=TOKEN`")
    if testing:
        if secrets or environments or all_environments or earlier or reports or form not in RECALL_FORMATS:
            raise InvalidInputError(
                "--self-test plants secrets of its own and has no report: leave out --secret, --env, --earlier and --report; "
                f"--format is one of {', '.join(RECALL_FORMATS)}"
            )
        return _self_test(reference, form, policy_of(options, platforms=()))
    paths = parse_reports(reports)
    named: Environments = "all" if all_environments else environments
    given = parse_secrets(secrets, stored=bool(named))
    if not given and not named:
        raise InvalidInputError(
            "no secret to search for: give one, as in --secret id=TOKEN,env=TOKEN or id=npmrc,src=~/.npmrc, or an environment that has some, as --env NAME"
        )
    policy = policy_of(options, platforms=platforms)
    for name, values in parse_earlier(earlier, given).items():
        given[name] = given[name].with_earlier(values)
    try:
        report = run_audit(reference, given, environments=named, policy=policy)
    except Interrupted as error:
        error.outcome = "the audit is not over, so nothing is known about the image"
        raise
    write_reports(report, form, paths)
    if report.verdict is Verdict.INCOMPLETE and fail_on == "leaked":
        return 0
    return _EXIT[report.verdict]


def _self_test(reference: str, form: str, policy: AuditPolicy) -> int:
    with open_image(reference) as opened:
        recall = self_test(opened, policy=policy)
    text = RECALL_FORMATS[form](recall)
    click.echo(color.report(text, sys.stdout) if form == "text" else text, nl=False)
    return 0 if recall.found == recall.planted else 1
