"""`container-image audit`: searches any images for some secrets."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import click

from container_image.audit import (
    AuditPolicy,
    AuditReport,
    Verdict,
    audit_reference,
    read_values,
    self_test,
    warned_about,
)
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
    write_joined,
    write_reports,
)
from container_image.cli.recall import RECALL_FORMATS
from container_image.cli.signals import Interrupted
from container_image.cli.stdin import keep_stdin
from container_image.cli.streams import say
from container_image.errors import ContainerImageError, InvalidInputError, OutputError
from container_image.formats.words import Failure, Outcome
from container_image.oci import Source, is_stdin, open_image, open_stdin
from container_image.printable import printable
from container_image.secrets import SecretValue
from container_image.shown import is_name, masked, shown
from container_image.stored import Environments

AUDIT_SECTIONS = {
    "Secrets": ("secrets", "environments", "all_environments", "earlier"),
    "Audit": (
        "platforms", "accept_unread", "accept_unsearchable", "accept_base", "fail_on_warning", "max_depth", "max_bytes",
        "max_ratio", "max_seconds", "fail_on", "testing",
    ),
    "Output": ("form", "reports", "quiet", "schema"),
}  # fmt: skip


@click.command(
    cls=Command,
    sections=AUDIT_SECTIONS,
    examples="""
    # Search an image in the engine for the value of the variable TOKEN
    container-image audit app:dev --secret id=TOKEN

    # Two images, for the secrets in a file
    container-image audit app:dev worker:dev --secret id=npmrc,src=$HOME/.npmrc

    # An image in a registry, for everything that the store's environment production holds
    container-image audit docker://registry.example.com/app:1.2 --env production

    # What docker writes, on stdin
    docker save app:dev | container-image audit - --secret id=TOKEN
    docker export web | container-image audit - --secret id=TOKEN

    # How many planted values the search finds in this image
    container-image audit --self-test app:dev
    """,
)
@click.argument("references", nargs=-1, metavar="IMAGE...")
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
@click.option(
    "-q", "--quiet", is_flag=True,
    help="Print a line `VERDICT IMAGE` for each image that is not clean, and nothing else.",
)  # fmt: skip
@report_options
def audit(
    references: tuple[str, ...],
    secrets: tuple[str, ...],
    environments: tuple[str, ...],
    all_environments: bool,
    earlier: tuple[str, ...],
    platforms: tuple[str, ...],
    fail_on: str,
    testing: bool,
    schema: bool,
    quiet: bool,
    form: str,
    reports: tuple[str, ...],
    debug: bool,
    **options: Any,
) -> int:
    """Search every byte of each IMAGE for secrets, in plain and encoded, compressed and deleted files too.

    \b
    IMAGE is one of:
      app:dev, docker-daemon:app:dev     an image of the Docker Engine
      docker://HOST/NAME:TAG             an image in a registry
      docker-archive:FILE[:TAG]          what `docker save` writes, compressed or not
      oci-archive:FILE[:TAG]             an OCI archive, compressed or not
      oci:DIRECTORY[:TAG]                an OCI image layout
      dir:DIRECTORY                      skopeo's layout
      rootfs:DIRECTORY, rootfs:FILE      a root file system, or what `docker export` writes
      ./PATH, ../PATH, /PATH, ~/PATH     any of these files and directories
      -, rootfs:-, docker-archive:-:TAG  any of these archives, on stdin

    With --env, the search is for all secrets of that environment of the store, with their earlier versions. If --secret
    names secrets of the store, it is for those alone, with the values that the environment has.

    What the search may accept is also read from [tool.container-image] in the nearest pyproject.toml. An option replaces
    the key of the same name.

    \b
    Exit codes:
      0  clean
      1  a secret is in an image, or a report has a warning of --fail-on-warning
      2  an error
      3  part of an image could not be searched

    For several images it is the first of 1, 2 and 3 that any of them has. An error with one image is a message on stderr,
    and the others are audited all the same. The JSON report of several images has one line for each.
    """
    if schema:
        click.echo(json.dumps(AuditReport.model_json_schema(), indent=2))
        return 0
    references = tuple(dict.fromkeys(references))
    if not references:
        raise InvalidInputError("no image: name one, as in `container-image audit app:dev --secret id=TOKEN,env=TOKEN`")
    if testing:
        if secrets or environments or all_environments or earlier or reports or quiet or form not in RECALL_FORMATS:
            raise InvalidInputError(
                "--self-test plants secrets of its own and has no report: leave out --secret, --env, --earlier, --report and --quiet; "
                f"--format is one of {', '.join(RECALL_FORMATS)}"
            )
        if len(references) > 1:
            raise InvalidInputError("--self-test takes one image; run it once for each")
        return _self_test(references[0], form, policy_of(options, platforms=()))
    if quiet and form != "text":
        raise InvalidInputError(
            f"--quiet leaves no report on stdout: leave out --format, or write a file with --report {form}=PATH"
        )
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

    def tell(outcomes: Sequence[Outcome]) -> None:
        if quiet:
            # Before the files, which may be on a full disk.
            _tell_verdicts(references, outcomes)
        shown = None if quiet else form
        if len(references) == 1 and isinstance(outcomes[0], AuditReport):
            write_reports(outcomes[0], shown, paths)
        else:
            write_joined(outcomes, shown, paths)

    try:
        searched = read_values(given, named)
        if len(references) == 1:
            # An error with the only image is the command's error.
            outcomes: list[Outcome] = [audit_reference(references[0], searched, opener=_open, policy=policy)]
            tell(outcomes)
        else:
            outcomes = _audit_all(references, searched, policy, debug=debug, tell=tell)
    except Interrupted as error:
        unknown = "the image" if len(references) == 1 else "the images that are not reported"
        error.outcome = f"the audit is not over, so nothing is known about {unknown}"
        raise
    return _status(outcomes, incomplete_fails=fail_on == "incomplete")


def _open(reference: str) -> Source:
    return open_stdin(reference, keep_stdin()) if is_stdin(reference) else open_image(reference)


def _audit_all(
    references: Sequence[str],
    values: Sequence[SecretValue],
    policy: AuditPolicy,
    *,
    debug: bool,
    tell: Callable[[Sequence[Outcome]], None],
) -> list[Outcome]:
    """Audits each image, whatever becomes of the others, and tells the outcomes, also those before an interruption."""
    outcomes: list[Outcome] = []
    try:
        for reference in references:
            outcomes.append(_outcome(reference, values, policy, debug=debug))
    except BaseException:
        if outcomes:
            # The interruption is the command's error, not a report that can't be written.
            with contextlib.suppress(OutputError):
                tell(outcomes)
        raise
    tell(outcomes)
    return outcomes


def _outcome(reference: str, values: Sequence[SecretValue], policy: AuditPolicy, *, debug: bool) -> Outcome:
    try:
        return audit_reference(reference, values, opener=_open, policy=policy)
    except ContainerImageError as error:
        if debug:
            traceback.print_exc()
        message = masked(str(error), [reference])
        say(message if reference.removeprefix("./") in message else f"{shown(reference)}: {message}")
        return Failure(shown(reference), message)


def _tell_verdicts(references: Sequence[str], outcomes: Sequence[Outcome]) -> None:
    for reference, outcome in zip(references, outcomes, strict=False):
        if isinstance(outcome, AuditReport) and outcome.verdict is not Verdict.CLEAN:
            click.echo(printable(f"{outcome.verdict.value} {reference}"))


def _status(outcomes: Sequence[Outcome], *, incomplete_fails: bool) -> int:
    """The exit code.

    It is 1 for a leak or for a warning that the policy fails on, else 2 for an image that was not audited, else 3 for an
    incomplete audit.
    """
    reports = [outcome for outcome in outcomes if isinstance(outcome, AuditReport)]
    for report in reports:
        if report.failing and report.verdict is not Verdict.LEAKED:
            say(warned_about(report))
    verdicts = {report.verdict for report in reports}
    if Verdict.LEAKED in verdicts or any(report.failing for report in reports):
        return 1
    if any(isinstance(outcome, Failure) for outcome in outcomes):
        return 2
    return 3 if Verdict.INCOMPLETE in verdicts and incomplete_fails else 0


def _self_test(reference: str, form: str, policy: AuditPolicy) -> int:
    with _open(reference) as opened:
        recall = self_test(opened, policy=policy)
    text = RECALL_FORMATS[form](recall)
    click.echo(color.report(text, sys.stdout) if form == "text" else text, nl=False)
    return 0 if recall.found == recall.planted else 1
