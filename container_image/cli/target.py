"""What `build` and `check` are given as TARGET: a declaration in Python code, or a build context as Docker's."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import itertools
import os
import re
import sys
import traceback
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

import container_image
from container_image.build import BuildRequest
from container_image.build.remote import decode, is_remote, is_url, without_userinfo
from container_image.cli.stdin import read_dockerfile, read_stdin, temporary_directory
from container_image.cwd import working_directory
from container_image.errors import ContainerImageError, InvalidInputError
from container_image.image import REFUSED, ContainerImage
from container_image.shown import unrepeated

_PACKAGE = str(Path(container_image.__file__).parent) + os.sep
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_declaration(target: str) -> bool:
    """Whether TARGET is `path/app.py::Name` or `pkg.mod:name`."""
    return not is_remote(target) and ("::" in target or bool(_MODULE.fullmatch(target)))


def load_declaration(target: str) -> ContainerImage:
    """The image that a module declares. What the module prints goes to stderr: stdout is for results.

    Raises:
        InvalidInputError: there is no such file, module or name, or it is not a ContainerImage.
    """
    with unrepeated(target):
        return _declared(target)


def _declared(target: str) -> ContainerImage:
    path, separator, name = target.partition("::")
    if not separator:
        path, _, name = target.partition(":")
    spec = _spec(target, path) if separator else None
    sys.path.insert(0, str(working_directory()))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            module = importlib.import_module(path) if spec is None else _executed(spec)
    except ModuleNotFoundError as error:
        raise InvalidInputError(f"{target}: there is no module {error.name}{_place(error)}") from None
    except SystemExit as error:
        raise InvalidInputError(f"{target}: importing {path} ended the program{_place(error)}") from None
    except Exception as error:
        raise InvalidInputError(f"{target}: importing {path} failed{_place(error)} with {_told(error)}") from None
    finally:
        sys.path.pop(0)
    image = getattr(module, name, None)
    if not isinstance(image, ContainerImage):
        names = [key for key, value in vars(module).items() if isinstance(value, ContainerImage)]
        raise InvalidInputError(f"{target}: no ContainerImage of that name; there are: {', '.join(names) or 'none'}")
    return image


def _spec(target: str, path: str) -> ModuleSpec:
    if not Path(path).is_file():
        raise InvalidInputError(f"{target}: there is no file {path}")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None:
        raise InvalidInputError(f"{target}: {path} is not a Python file")
    return spec


def _executed(spec: ModuleSpec) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


def _place(error: BaseException) -> str:
    """Where an error comes from, ` at FILE:LINE`: of one that this package raised, where the package was called."""
    if isinstance(error, SyntaxError):
        return f" at {error.filename}:{error.lineno}"
    machinery = (__file__, importlib.__file__)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename not in machinery]
    frames = [frame for frame in frames if not frame.filename.startswith("<frozen ")]
    callers = list(itertools.takewhile(lambda frame: not frame.filename.startswith(_PACKAGE), frames))
    return f" at {callers[-1].filename}:{callers[-1].lineno}" if callers else ""


def _told(error: Exception) -> str:
    """An error's type, and its text where that is ours: any other may quote a secret."""
    origin = traceback.extract_tb(error.__traceback__)[-1].filename
    if isinstance(error, ValidationError):
        ours = all(item["type"] == REFUSED for item in error.errors())
    else:
        ours = isinstance(error, ContainerImageError) or origin.startswith(_PACKAGE)
    return f"{type(error).__name__}: {error}" if ours else f"{type(error).__name__}; run it to see why"


def from_context(context: str, file: str | None) -> BuildRequest:
    """A build of a context and its Dockerfile, with Docker's rules for both.

    A context is a directory, a URL, or `-`: a tar archive on stdin, or a Dockerfile there and no context. `file` is a
    path, relative to the working directory or to a context that is no directory, a URL, or `-`.

    Raises:
        InvalidInputError: no such context, or no Dockerfile there.
    """
    with unrepeated(context, file or ""):
        return _from_context(context, file)


def _from_context(context: str, file: str | None) -> BuildRequest:
    if context == "-":
        return _from_stdin(file)
    where = Path(context) if Path(context).is_dir() else context
    if isinstance(where, str) and not is_remote(context):
        raise InvalidInputError(
            f"{without_userinfo(context)}: not a directory; name a build context, a declaration as path/app.py::Name, or pkg.mod:name"
        )
    if file == "-":
        return BuildRequest(read_dockerfile(), where, file="stdin")
    if isinstance(where, str) and not Path(file or "").is_absolute():
        name = file or "Dockerfile"
        return BuildRequest("", where, file=without_userinfo(name), fetched=name)
    if file and is_url(file):
        return BuildRequest("", where, file=without_userinfo(file), fetched=file)
    path = _dockerfile(Path(file or Path(context) / "Dockerfile"))
    return BuildRequest(_read(path, str(path)), where, file=str(path), dockerfile_path=path)


def _from_stdin(file: str | None) -> BuildRequest:
    """Docker applies no ignore file to an archive, and there is none where there is no context."""
    if file == "-":
        raise InvalidInputError("-f -: stdin can't be the context and the Dockerfile; name one of them")
    given = read_stdin()
    if isinstance(given, Path):
        path = _dockerfile(given / (file or "Dockerfile").lstrip("/"))
        name = path.relative_to(given).as_posix()
        return BuildRequest(_read(path, name), given, file=name, ignore="")
    if file:
        raise InvalidInputError(f"-f {file}: what is on stdin is no archive, so a Dockerfile; give one of the two")
    return BuildRequest(given, temporary_directory(), file="stdin", ignore="")


def _dockerfile(path: Path) -> Path:
    """As buildx: where there is no `Dockerfile`, a `dockerfile` will do."""
    lower = path.with_name("dockerfile")
    return lower if path.name == "Dockerfile" and not path.exists() and lower.exists() else path


def _read(path: Path, name: str) -> str:
    try:
        return decode(path.read_bytes(), name)
    except OSError as error:
        raise InvalidInputError(f"{name}: the Dockerfile can't be read: {error.strerror}; name it with -f") from None
