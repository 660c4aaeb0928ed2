"""Runs the command line in a process of its own, and says what it used: for images that are made to exhaust it."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import container_image.cli.audit  # noqa: F401
from container_image.cli import main

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
_PROCESSES = multiprocessing.get_context("forkserver")
# Imported once: each process is then a copy.
_PROCESSES.set_forkserver_preload([__name__])
_UNIT = 1 << 20 if sys.platform == "darwin" else 1 << 10


@dataclass(frozen=True)
class Outcome:
    """What came of it: the exit status, stdout and stderr, the report if there is one, the peak of memory in MiB."""

    status: int
    output: str
    messages: str
    megabytes: int
    seconds: float

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.output)
        return found

    @property
    def reasons(self) -> set[str]:
        """Why something was unread, without what is behind a semicolon."""
        return {item["reason"].split(";")[0] for item in self.report["coverage"]["unread"]}


def audit(reference: str, scratch: Path, *, limit: float = 60) -> Outcome:
    """`container-image audit REFERENCE` for TOKEN, confined."""
    scratch.mkdir(parents=True, exist_ok=True)
    process = _PROCESSES.Process(target=_run, args=(reference, str(scratch)))
    process.start()
    process.join(limit)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"not done within {limit:g} s")
    if not (scratch / "used").exists():
        raise AssertionError(f"died with {process.exitcode}: {(scratch / 'stderr').read_text()}")
    used = json.loads((scratch / "used").read_text())
    outcome = Outcome(output=(scratch / "stdout").read_text(), messages=(scratch / "stderr").read_text(), **used)
    assert TOKEN not in outcome.output + outcome.messages
    assert "Traceback" not in outcome.messages
    assert "unexpected" not in outcome.messages
    return outcome


def _run(reference: str, scratch: str) -> None:
    os.environ.update(TOKEN=TOKEN, XDG_STATE_HOME=f"{scratch}/state")
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(f"{scratch}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    started = time.monotonic()
    try:
        main(["audit", reference, "--secret", "id=TOKEN,env=TOKEN", "--format", "json"])
    except SystemExit as exit_:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _UNIT
        used = {"status": exit_.code, "megabytes": peak, "seconds": time.monotonic() - started}
        Path(scratch, "used").write_text(json.dumps(used))
