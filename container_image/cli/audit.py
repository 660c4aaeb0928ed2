"""`container-image audit`: searches any images for some secrets."""

from __future__ import annotations

import contextlib
import json
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
from container_image.cli.stdin import keep_stdin
from container_image.cli.streams import say
from container_image.errors import ContainerImageError, InvalidInputError, OutputError
from container_image.formats.words import Failure, Outcome
from container_image.oci import Source, is_stdin, open_image, open_stdin
from container_image.printable import printable
from container_image.secrets import SecretValue
from container_image.stored import Environments

_EXAMPLES = """\b
Examples:
  container-image audit app:dev --secret id=TOKEN,env=TOKEN
  container-image audit app:dev worker:dev --secret id=npmrc,src=$HOME/.npmrc
  container-image audit docker://ghcr.io/acme/app:1.2 --env production
  docker save app:dev | container-image audit - --secret id=TOKEN
  docker export web | container-image audit - --secret id=TOKEN
  container-image audit app:dev --secret id=TOKEN --report sarif=audit.sarif
"""


@click.command(epilog=_EXAMPLES)
@click.argument("references", nargs=-1, metavar="IMAGE...")
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
    help="Search a copy of IMAGE for random canaries planted in it. Exit code 1: some were not found.",
)  # fmt: skip
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the JSON report, and exit.")
@click.option(
    "-q", "--quiet", is_flag=True,
    help="On stdout, a line `VERDICT IMAGE` for each image that is not clean, and nothing else.",
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
    """Search every byte of each IMAGE for secrets, in every form they realistically take.

    \b
    IMAGE is
      app:dev, docker-daemon:app:dev     an image of the Docker Engine
      docker://HOST/NAME:TAG             an image in a registry
      docker-archive:FILE[:TAG]          what `docker save` writes, compressed or not
      oci-archive:FILE[:TAG]             an OCI archive, compressed or not
      oci:DIRECTORY[:TAG]                an OCI image layout
      dir:DIRECTORY                      skopeo's layout
      rootfs:DIRECTORY, rootfs:FILE      a root file system, or what `docker export` writes
      ./PATH, ../PATH, /PATH, ~/PATH     any of these files and directories
      -, rootfs:-, docker-archive:-:TAG  any of these archives, on stdin

    --env searches for all secrets of an environment of the store, with their earlier versions; where --secret names some
    of the store, for those, as the environment has them.

    What a policy accepts is also read from [tool.container-image] in the nearest pyproject.toml; an option goes before
    it.

    Several images have one exit code, the first of these that any of them has: 1 (a leak), 2 (an error), 3 (incomplete).
    An error with one image is a message on stderr, and the others are audited all the same. The JSON report of several
    images is one line for each.
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
    policy = policy_of(options, platforms=platforms)
    for name, values in parse_earlier(earlier, given).items():
        given[name] = given[name].with_earlier(values)
    searched = read_values(given, named)

    def tell(outcomes: Sequence[Outcome]) -> None:
        if quiet:
            # Before the files, which may be on a full disk.
            _tell_verdicts(references, outcomes)
        shown = None if quiet else form
        if len(references) == 1 and isinstance(outcomes[0], AuditReport):
            write_reports(outcomes[0], shown, paths)
        else:
            write_joined(outcomes, shown, paths)

    if len(references) == 1:
        # Its error is the command's.
        outcomes: list[Outcome] = [audit_reference(references[0], searched, opener=_open, policy=policy)]
        tell(outcomes)
    else:
        outcomes = _audit_all(references, searched, policy, debug=debug, tell=tell)
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
        message = str(error)
        say(message if reference.removeprefix("./") in message else f"{reference}: {message}")
        return Failure(reference, message)


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
    click.echo(RECALL_FORMATS[form](recall), nl=False)
    return 0 if recall.found == recall.planted else 1
