"""The program: `container-image`, or `python -m container_image`.

From its first moment a signal ends it with one line and no traceback. Importing the command line and its libraries takes
half a second, in which nothing is made that must be cleaned up.
"""

# The module behind `signal`, which itself imports `enum`, `functools` and `collections`: some 10 ms more.
import _signal as signal
import os


def _end(number: int, _frame: object) -> None:
    os.write(2, b"container-image: interrupted\n")
    # Raised within an import, an exception may be lost, or shown as a traceback of Python's own.
    os._exit(128 + number)


def main() -> None:
    """Runs the command line and exits."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        # An ignored signal stays ignored, as `nohup` and background jobs of a shell want it.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from container_image.cli import main as run

    run()


if __name__ == "__main__":
    main()
