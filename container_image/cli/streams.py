"""stdout and stderr as the command line writes them: a reader that closes the pipe does not change the exit code."""

from __future__ import annotations

import io
import logging
import sys
from typing import TextIO

from typing_extensions import Buffer

from container_image.cli.color import styled
from container_image.printable import printable


class Stream(io.FileIO):
    """A descriptor that takes everything. `error` is why some of it went nowhere; a reader that left is no error."""

    error: OSError | None = None

    def write(self, data: Buffer, /) -> int:
        """Writes what can be written; the rest is gone."""
        try:
            return super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            self.error = error
        return memoryview(data).nbytes


def take_over() -> Stream:
    """Puts such streams in the place of `sys.stdout` and `sys.stderr`; returns stdout's."""
    sys.stderr = _text(Stream(sys.stderr.fileno(), "wb", closefd=False), sys.stderr)
    stdout = Stream(sys.stdout.fileno(), "wb", closefd=False)
    sys.stdout = _text(stdout, sys.stdout)
    return stdout


def say(message: str, color: str | None = None) -> None:
    """A message on stderr, with the program's name in a colour if one is given and stderr takes colour.

    Only the first line begins at the margin, so that no name in the message can pass for another message.
    """
    lines = [printable(line) for line in message.split("\n")]
    name = "container-image:" if color is None else styled("container-image:", sys.stderr, color, bold=True)
    print(f"{name} " + "\n  ".join(lines), file=sys.stderr)


class _Messages(logging.Handler):
    """Shows what the library logs as messages of the command line."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def show_warnings() -> None:
    """Shows the library's warnings on stderr from now on."""
    logging.getLogger("container_image").addHandler(_Messages(logging.WARNING))


def _text(stream: Stream, like: TextIO) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(stream), encoding=like.encoding, errors="backslashreplace", line_buffering=True
    )
