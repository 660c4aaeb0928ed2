"""`container-image audit`: searches any image for some secrets."""

from __future__ import annotations

import json
from typing import Any

import click

from container_image.audit import AuditPolicy, AuditReport, Verdict, self_test
from container_image.audit import audit as run_audit
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
from container_image.errors import InvalidInputError
from container_image.oci import open_image
from container_image.shown import is_name
from container_image.stored import Environments

_EXIT = {Verdict.CLEAN: 0, Verdict.LEAKED: 1, Verdict.INCOMPLETE: 3}


@click.command()
@click.argument("reference", required=False)
@secret_option
@environment_options
@earlier_option
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH",
    help="Search this platform only, and require it; `all` requires every one that the image names.",
)
@policy_options
@click.option(
    "--fail-on", type=click.Choice(["leaked", "incomplete"]), default="incomplete", show_default=True,
    help="With `leaked`, an incomplete audit exits 0.",
)  # fmt: skip
@click.option(
    "--self-test", "testing", is_flag=True,
    help="Search a copy of REFERENCE for random canaries planted in it. Exit code 1: some were not found.",
)  # fmt: skip
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the JSON report, and exit.")
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
    """Search every byte of the image REFERENCE for secrets, in every form they realistically take.

    REFERENCE is named as in containers-transports(5): app:dev or docker-daemon:app:dev, docker://HOST/NAME:TAG,
    docker-archive:FILE, oci-archive:FILE, oci:DIRECTORY, or a path.

    --env searches for all secrets of an environment of the store, with their earlier versions; where --secret names some
    of the store, for those, as the environment has them.

    What a policy accepts is also read from [tool.container-image] in the nearest pyproject.toml; an option goes before
    it.
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
    for number, name in enumerate(given, 1):
        if not is_name(name):
            raise InvalidInputError(
                f"--secret number {number}: its id may be the value itself, and reports would show it; write id=NAME, with a name such as PIP_TOKEN"
            )
    policy = policy_of(options, platforms=platforms)
    for name, values in parse_earlier(earlier, given).items():
        given[name] = given[name].with_earlier(values)
    report = run_audit(reference, given, environments=named, policy=policy)
    write_reports(report, form, paths)
    if report.verdict is Verdict.INCOMPLETE and fail_on == "leaked":
        return 0
    return _EXIT[report.verdict]


def _self_test(reference: str, form: str, policy: AuditPolicy) -> int:
    with open_image(reference) as opened:
        recall = self_test(opened, policy=policy)
    click.echo(RECALL_FORMATS[form](recall), nl=False)
    return 0 if recall.found == recall.planted else 1
