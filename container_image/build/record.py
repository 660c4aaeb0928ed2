"""Decides whether the builder's record of a build stays: only where its log, and the build's arguments, hold no value."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from container_image.build.credentials import PROXY
from container_image.build.history import LogSearch, forget
from container_image.build.progress import Progress
from container_image.build.request import BuildWarning
from container_image.build.run import Run


@dataclass
class Record:
    """The builder's record of a build; `whole` is whether all of its log was read."""

    whole: bool = False


def log_search(run: Run, arguments: Sequence[str]) -> LogSearch | None:
    """A search of the record, which was given the build's arguments; None where the search would decide nothing.

    The record holds the proxies of the user's Docker configuration too, which are no arguments: with a password in one
    of them, the record goes.
    """
    request = run.request
    decided = request.forget_history or request.keep_history or not request.has_credentials
    if run.searched is None or decided or any(name.startswith(PROXY) for name in request.held):
        return None
    searched = run.searched(request.unwanted)
    # A build argument may be in the command's environment, and not among its arguments.
    attributes = [f"{name}={value}" for name, value in {**request.build_args, **request.labels}.items()]
    searched.feed("arguments", "\n".join([*arguments, *attributes]).encode("utf-8", "surrogateescape"))
    return searched


@contextlib.contextmanager
def recorded(run: Run, progress: Progress) -> Iterator[Record]:
    """Removes the record afterwards, unless it is proved to hold no value, or is asked to stay."""
    request, record = run.request, Record()
    if request.keep_history or not (request.has_credentials or request.forget_history):
        yield record
        return
    run.journal.recorded(run.dockerfile.name)
    try:
        yield record
    finally:
        searched = progress.searched
        clean = record.whole and searched is not None and searched.is_clean() and not progress.redactor.seen
        if searched is not None:
            progress.warnings += _unredacted(searched, progress)
        if not clean:
            # At once, not when the run is over: the audit may take long.
            forget(run.dockerfile.name, run.client)
        run.journal.recorded(None)


def _unredacted(searched: LogSearch, progress: Progress) -> Iterator[BuildWarning]:
    """Warnings of values in the output of steps that were not redacted where they were shown."""
    redacted = progress.redactor.seen
    for key, step in progress.steps.items():
        for name in sorted(searched.found(key)):
            if not any(name == seen or name.startswith(f"{seen}:") for seen in redacted):
                message = f"a step printed the secret {name} in a form that was not redacted"
                yield BuildWarning("secret-in-log", message, name, step)
