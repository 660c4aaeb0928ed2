"""Builds and audits every case of the leak gallery, or those whose names begin as told: a table, and 1 on a mismatch."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from container_image import AuditReport
from tests.gallery import CASES, check, opened


def where(report: AuditReport) -> str:
    """The first place that a value was found in, and how many more there are."""
    if not report.findings:
        return "; ".join(dict.fromkeys(item.reason for item in report.coverage.unread))
    first, *more = report.findings
    layer = f" {first.layer}" if first.layer is not None else ""
    inside = f" in {'/'.join(first.via)}" if first.via else ""
    return f"{first.surface}{layer} {first.path} ({first.form}{inside})" + (f" and {len(more)} more" if more else "")


def main(prefixes: list[str]) -> int:
    failed = 0
    names = [name for name in CASES if not prefixes or name.startswith(tuple(prefixes))]
    print(f"{'case':30} {'expected':10} {'found':10} {'seconds':>7}  where")
    with tempfile.TemporaryDirectory() as directory:
        # No build key of the user's is made or used.
        os.environ["XDG_STATE_HOME"] = f"{directory}/state"
        for name in names:
            start = time.monotonic()
            try:
                with opened(name, Path(directory, name)) as case:
                    report, problems = check(case)
                    found, place = report.verdict.value, where(report)
                    expected = case.verdict
            except Exception as error:
                expected, found, place, problems = "", "failed", "", [f"{type(error).__name__}: {error}"]
            failed += bool(problems)
            print(f"{name:30} {expected:10} {found:10} {time.monotonic() - start:7.1f}  {place}", flush=True)
            for problem in problems:
                print(f"    {problem}", flush=True)
    print(f"{len(names)} cases, {failed} not as expected")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
