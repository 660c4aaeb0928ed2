"""A Dockerfile that is not on this machine: in a Git repository, in an archive at a URL, or at a URL itself.

BuildKit fetches it, as it does in every build, and gives its text; our private copy is made of that.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import replace
from pathlib import Path

from container_image.build.arguments import argument_options
from container_image.build.ask import ask
from container_image.build.client import Client
from container_image.build.progress import Progress
from container_image.build.redact import Redactor
from container_image.build.request import BuildRequest
from container_image.errors import InvalidInputError

_URL = re.compile(r"https?://", re.IGNORECASE)
# As buildx has it: a URL, an scp-like address, or the host that needs no scheme.
_REMOTE = re.compile(r"(?:https?|git|ssh)://|[\w.-]+@[\w.-]+:|github\.com/", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=//)[^/\s]*@")


def is_remote(text: str) -> bool:
    """Whether BuildKit would fetch this: a Git address or a URL."""
    return bool(_REMOTE.match(text))


def is_url(text: str) -> bool:
    """Whether this is an http or https URL."""
    return bool(_URL.match(text))


def without_userinfo(text: str) -> str:
    """A URL as it can be shown.

    >>> without_userinfo("https://me:token@example.org/app.git#main")
    'https://example.org/app.git#main'
    """
    return _USERINFO.sub("", text)


def with_dockerfile(request: BuildRequest, client: Client, files: Path | None) -> BuildRequest:
    """The request with the text of the Dockerfile that it names as `fetched`, if it does.

    Raises:
        InvalidInputError: it can't be had, or is no text; or what should be a context is nothing but a Dockerfile.
    """
    if request.fetched is None:
        return request
    context = without_userinfo(str(request.context))
    if is_url(str(request.context)) and isinstance(_ask(request, client, files, secrets.token_hex(16)), str):
        # Of such a URL BuildKit reads nothing else, whatever it is told: so it can't be told of our copy.
        raise InvalidInputError(
            f"{context}: it is a Dockerfile, not an archive or a Git repository; name it with -f, and a context, or pipe it in: "
            f"curl {context} | container-image build -"
        )
    text = _ask(request, client, files, request.fetched)
    if isinstance(text, Progress):
        raise InvalidInputError(
            f"{request.file}: the Dockerfile can't be read from {context}: {text.error}; correct the context, or name another with -f"
        )
    return replace(request, dockerfile=text)


def _ask(request: BuildRequest, client: Client, files: Path | None, name: str) -> str | Progress:
    """The Dockerfile of that name, or what BuildKit said instead."""
    arguments = [f"--ssh={value}" for value in request.ssh]
    arguments += argument_options(request)
    arguments += [f"--builder={request.builder}"] if request.builder else []
    arguments += [f"--file={name}", str(request.context)]
    done = ask(client, "targets", arguments, request.secrets, files)
    try:
        data = base64.b64decode(json.loads(done.stdout)["sources"][0])
    except (ValueError, LookupError, TypeError):
        progress = Progress(Redactor(request.held.values()), str)
        for line in done.stderr.splitlines():
            for _ in progress.feed(line):
                pass
        return progress
    return decode(data, request.file)


def decode(data: bytes, name: str) -> str:
    """A Dockerfile's text, its line ends as they are: what a here-document writes has them too.

    Raises:
        InvalidInputError: it is not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError(f"{name}: the Dockerfile is not UTF-8 text; name another with -f") from None
