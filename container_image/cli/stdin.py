"""Standard input as a Dockerfile, a build context in a tar archive, or an image's archive."""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import click

from container_image.build.remote import decode
from container_image.errors import InvalidInputError

_PIECE = 1 << 20
_PIPE = "pipe an image in, as in `docker save app:dev | container-image audit - --secret id=TOKEN`"


def read_dockerfile() -> str:
    """The Dockerfile on stdin.

    Raises:
        InvalidInputError: it is empty, or no text.
    """
    return _text(sys.stdin.buffer.read())


def read_stdin() -> str | Path:
    """The Dockerfile on stdin, or the directory that an archive there was unpacked in.

    It is unpacked because a build reads its context more than once. The files that are sent from a directory belong to
    root, whomever they belong to in the archive.

    Raises:
        InvalidInputError: stdin is empty, neither of the two, or an archive that can't be unpacked.
    """
    with tempfile.TemporaryFile() as spooled:
        shutil.copyfileobj(sys.stdin.buffer, spooled)
        spooled.seek(0)
        try:
            archive = tarfile.open(fileobj=spooled)  # noqa: SIM115
        except tarfile.TarError:
            spooled.seek(0)
            return _text(spooled.read())
        if not hasattr(tarfile, "tar_filter"):
            raise InvalidInputError(
                "this Python can't keep an archive in its directory: 3.10.12, 3.11.4 and newer can; unpack it, and name the directory"
            )
        directory = temporary_directory()
        try:
            with archive:
                archive.extractall(directory, filter=_as_it_is)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise InvalidInputError(f"the archive on stdin can't be unpacked: {error}; name a directory") from None
        return directory


def keep_stdin() -> Path:
    """A private file with everything that is piped in, made by the first call; it is gone when the command is over.

    An audit reads an archive more than once, and a pipe can be read once.

    Raises:
        InvalidInputError: stdin is closed, a terminal or empty, or there is no room for it.
    """
    kept: Path | None = click.get_current_context().meta.get(__name__)
    if kept is not None:
        return kept
    if sys.stdin is None or sys.stdin.isatty():
        raise InvalidInputError(f"stdin is {'closed' if sys.stdin is None else 'a terminal'}; {_PIPE}")
    path = temporary_directory() / "stdin"
    try:
        with path.open("xb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, _PIECE)
    except OSError as error:
        raise InvalidInputError(
            f"stdin can't be kept in {path.parent}: {error.strerror}; save the image to a file and name that, or set TMPDIR to a directory with room for it"
        ) from None
    if not path.stat().st_size:
        raise InvalidInputError(f"stdin is empty; {_PIPE}")
    click.get_current_context().meta[__name__] = path
    return path


def temporary_directory() -> Path:
    """An empty directory that is gone when the command is over."""
    return Path(click.get_current_context().with_resource(tempfile.TemporaryDirectory(prefix="container-image-")))


def _as_it_is(member: tarfile.TarInfo, directory: str) -> tarfile.TarInfo | None:
    """With its own mode, wherever its link points: BuildKit sends links as links. Nothing is written outside."""
    if member.islnk():
        tarfile.data_filter(member, directory)
    return tarfile.tar_filter(member, directory).replace(mode=member.mode, deep=False)


def _text(data: bytes) -> str:
    if not data.strip():
        raise InvalidInputError("stdin is empty; pipe in a Dockerfile, or a context as a tar archive")
    return decode(data, "stdin")
