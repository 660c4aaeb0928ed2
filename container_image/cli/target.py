"""What `build` and `check` are given as TARGET: a declaration in Python code, or a build context as Docker's."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path

from container_image.build import BuildRequest
from container_image.errors import InvalidInputError
from container_image.image import ContainerImage

_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_declaration(target: str) -> bool:
    """Whether TARGET is `path/app.py::Name` or `pkg.mod:name`."""
    return "::" in target or bool(_MODULE.fullmatch(target))


def load_declaration(target: str) -> ContainerImage:
    """The image that a module declares.

    Raises:
        InvalidInputError: there is no such file, module or name, or it is not a ContainerImage.
    """
    path, separator, name = target.partition("::")
    if not separator:
        path, _, name = target.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        if separator:
            if not Path(path).is_file():
                raise InvalidInputError(f"{target}: there is no file {path}")
            spec = importlib.util.spec_from_file_location(Path(path).stem, path)
            if spec is None or spec.loader is None:
                raise InvalidInputError(f"{target}: {path} is not a Python file")
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(path)
    except InvalidInputError:
        raise
    except ModuleNotFoundError as error:
        raise InvalidInputError(f"{target}: there is no module {error.name}") from None
    except Exception as error:
        raise InvalidInputError(
            f"{target}: importing {path} failed with {type(error).__name__}; run it to see why"
        ) from None
    finally:
        sys.path.pop(0)
    image = getattr(module, name, None)
    if not isinstance(image, ContainerImage):
        names = [key for key, value in vars(module).items() if isinstance(value, ContainerImage)]
        raise InvalidInputError(f"{target}: no ContainerImage of that name; there are: {', '.join(names) or 'none'}")
    return image


def from_context(context: str, file: str | None) -> BuildRequest:
    """A build of a context and its Dockerfile, with Docker's rules for both.

    Raises:
        InvalidInputError: not a directory, or no Dockerfile there.
    """
    directory = Path(context)
    if not directory.is_dir():
        raise InvalidInputError(
            f"{context}: not a directory; name a build context, a declaration as path/app.py::Name, or pkg.mod:name"
        )
    path = Path(file) if file else directory / "Dockerfile"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"{path}: the Dockerfile can't be read: {error.strerror}; name it with -f") from None
    except UnicodeDecodeError:
        raise InvalidInputError(f"{path}: the Dockerfile is not UTF-8 text; name another with -f") from None
    return BuildRequest(text, directory, file=str(path), dockerfile_path=path)
