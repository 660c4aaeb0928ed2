"""The error of a build whose requirements can't be installed ends with the reason, as pip or uv tells it."""

from __future__ import annotations

import pytest

from container_image.build import BuildRequest
from container_image.build.failure import failure
from container_image.build.progress import Progress
from container_image.build.redact import Redactor

REFUSED = (
    "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by "
    "'NewConnectionError(\"<pip._vendor.HTTPSConnection object>: Failed to establish a new connection: [Errno 111] "
    "Connection refused\")': /simple/acme/"
)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            ["Collecting acme", "ERROR: No matching distribution found for acme"],
            "No matching distribution found for acme",
        ),
        (
            [REFUSED, "ERROR: No matching distribution found for acme"],
            "No matching distribution found for acme; an index could not be reached: NewConnectionError(",
        ),
        (
            ["  \N{MULTIPLICATION SIGN} No solution found:", "  ╰─▶ acme was not found", "Exception ignored"],
            "No solution found: acme was not found",
        ),
    ],
)
def test_the_reason_is_the_last_word_of_the_installer(output: list[str], reason: str) -> None:
    request = BuildRequest("FROM scratch\nRUN install\n", "https://example.com/app.git", own_lines=1)
    progress = Progress(Redactor([]), str, failed_step="RUN install", tail=output, error_line=2)
    told = str(failure(request, progress))
    assert told.startswith(f"requirements: they can't be installed: {reason}")
    assert ("Connection refused" in told) == (REFUSED in output)
