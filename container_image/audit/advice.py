"""What to do about a finding: one sentence, by what put the value there."""

from __future__ import annotations

import re

from container_image.audit.report import State, Surface

_BY_PATH = (
    (
        r"\.dist-info/direct_url\.json$",
        "pip records the URL of a direct install, query included: install from an index",
    ),
    (r"(^|/)\.git(/|$)|(^|/)\.git-credentials$", "git keeps a clone's URL: pass the token with a credential helper"),
    (r"(^|/)(\.cache/(pip|uv|pypoetry)|\.npm/_cacache|\.npm/_logs)/", "mount the tool's cache (`--mount=type=cache`)"),
    (
        r"(^|/)(\.npmrc|\.yarnrc(\.yml)?)$",
        "mount it where the tool reads it (`--mount=type=secret,target=/root/.npmrc`)",
    ),
    (r"(^|/)(\.netrc|pip\.conf|\.condarc)$", "mount it where the tool reads it (`--mount=type=secret,target=…`)"),
    (r"(^|/)\.docker/config\.json$", "mount it, and log out in the same step if the step logs in"),
    (
        r"(^|/)(package-lock\.json|yarn\.lock|poetry\.lock|uv\.lock)$",
        "take the credential out of the URL in the lock file",
    ),
    (r"\.(log|out)$|(^|/)\.\w*_history$|(^|/)var/log/", "don't let the step write a log, or drop it in the same RUN"),
)

FROM_BASE = "it came with the base image: build that one without it, or take another; --accept-base accepts it"
"""About everything that no step of this build made."""


_FROM_STAGE = re.compile(r"(?:COPY|ADD) (?:--\S+ )*--from=(\S+)", re.IGNORECASE)
_FETCHED = re.compile(r"ADD (?:--\S+ )*(?:\w+://|git@)", re.IGNORECASE)


def advise_on_file(instruction: str | None, state: State | None) -> str:
    """The next step about a file of credentials that no secret was declared for, as one sentence without a full stop."""
    sentence = _copied(instruction) or "remove it in the step that writes it"
    sentence += "; give a step that needs it the file as a secret (`--mount=type=secret`)"
    return sentence + _hidden(state)


def _copied(instruction: str | None) -> str | None:
    """What to do about a file that COPY or ADD brought, None where neither did."""
    if (stage := _FROM_STAGE.match(instruction or "")) is not None:
        return f"leave the file out of what is copied from `{stage[1]}`, or don't write it there"
    if _FETCHED.match(instruction or ""):
        return "leave the file out of what ADD fetches"
    if (instruction or "").split(" ", 1)[0].upper() in ("COPY", "ADD"):
        return "exclude the file in .dockerignore"
    return None


def _hidden(state: State | None) -> str:
    if state not in ("deleted", "overwritten"):
        return ""
    return "; a later layer hides it and does not remove it, so remove it in the step that wrote it"


def advise(surface: Surface, instruction: str | None, path: str | None, state: State | None) -> str:
    """The next step, as one sentence without a full stop."""
    keyword = (instruction or "").split(" ", 1)[0].upper()
    if surface in ("config", "history", "attestation", "manifest"):
        if keyword in ("ENV", "LABEL") or surface == "manifest":
            return "take the value out of ENV, LABEL and annotations; give it to the container when it starts"
        if surface == "attestation":
            return "pass the value with `--mount=type=secret`: build arguments are recorded in the provenance"
        return "pass the value with `RUN --mount=type=secret`, not with ARG or in the instruction's text"
    if surface == "metadata":
        return "remove the value from the archive's own metadata and export the image again"
    if surface == "cache":
        return "write the value in no step, those of builder stages included: `mode=max` exports what they made"
    known = [text for pattern, text in _BY_PATH if path is not None and re.search(pattern, path)]
    sentence = known[0] if known else _copied(instruction)
    return (sentence or "read the mounted secret where it is needed, and write it nowhere") + _hidden(state)
