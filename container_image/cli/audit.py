"""`container-image audit`: searches any image for some secrets."""

from __future__ import annotations

import json

import click

from container_image.audit import AuditPolicy, AuditReport, Verdict
from container_image.audit import audit as run_audit
from container_image.cli.options import (
    accept_option,
    parse_reports,
    parse_secrets,
    report_options,
    secret_option,
    write_reports,
)
from container_image.errors import InvalidInputError

_EXIT = {Verdict.CLEAN: 0, Verdict.LEAKED: 1, Verdict.INCOMPLETE: 3}


@click.command()
@click.argument("reference", required=False)
@secret_option
@accept_option
@click.option(
    "--fail-on", type=click.Choice(["leaked", "incomplete"]), default="incomplete", show_default=True,
    help="With `leaked`, an incomplete audit exits 0.",
)  # fmt: skip
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the JSON report, and exit.")
@report_options
def audit(
    reference: str | None,
    secrets: tuple[str, ...],
    accept_unsearchable: tuple[str, ...],
    fail_on: str,
    schema: bool,
    form: str,
    reports: tuple[str, ...],
    debug: bool,
) -> int:
    """Search every byte of the image REFERENCE for secrets, in every form they realistically take.

    REFERENCE is named as in containers-transports(5): app:dev or docker-daemon:app:dev, docker://HOST/NAME:TAG,
    docker-archive:FILE, oci-archive:FILE, oci:DIRECTORY, or a path.
    """
    del debug
    if schema:
        click.echo(json.dumps(AuditReport.model_json_schema(), indent=2))
        return 0
    if reference is None:
        raise InvalidInputError("no image: name one, as in `container-image audit app:dev --secret id=TOKEN,env=TOKEN`")
    paths = parse_reports(reports)
    given = parse_secrets(secrets)
    if not given:
        raise InvalidInputError(
            "no secret to search for: give one, as in --secret id=TOKEN,env=TOKEN or id=npmrc,src=~/.npmrc"
        )
    report = run_audit(reference, given, policy=AuditPolicy(accept_unsearchable=accept_unsearchable))
    write_reports(report, form, paths)
    if report.verdict is Verdict.INCOMPLETE and fail_on == "leaked":
        return 0
    return _EXIT[report.verdict]
