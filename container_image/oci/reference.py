"""Opens an image by its reference, named as in containers-transports(5)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from container_image.errors import ImageNotFoundError, ImageReadError, UnknownReferenceError
from container_image.oci.archive import ArchiveSource, holds_image, is_archive, require_whole
from container_image.oci.daemon import DaemonSource
from container_image.oci.dir import DirSource, is_dir_layout
from container_image.oci.layout import LayoutSource
from container_image.oci.model import Source
from container_image.oci.registry import RegistrySource
from container_image.oci.rootfs import RootfsSource
from container_image.oci.tree import TreeSource
from container_image.shown import unrepeated

_TRANSPORT = re.compile(
    r"(docker-daemon|docker-archive|oci-archive|oci|docker|containers-storage|dir|ostree|sif|rootfs):"
)
_STDIN = re.compile(r"(rootfs:)?-|(?:docker|oci)-archive:-(?:[:@](.+))?")
_PATH = re.compile(r"/|\.\.?/|~|\.\.?$")


def open_image(reference: str) -> Source:
    """Opens an image and resolves its name to a digest.

    `rootfs:PATH` is our own transport: a directory, or a tar archive as `docker export` writes it, with the files of a
    root file system. Without a transport, a reference that begins with `/`, `./`, `../` or `~` is a path, whose content
    decides between an image in one of the layouts and a root file system; anything else is an image of the daemon.

    Raises:
        UnknownReferenceError: the reference has an unknown transport or none of the forms above.
        ImageNotFoundError: nothing is there.
        ImageReadError: what is there can't be read, or is no image.
        EngineError: no daemon answers.
    """
    with unrepeated(reference):
        return _opened(reference)


def _opened(reference: str) -> Source:
    if not reference.strip():
        raise UnknownReferenceError("an empty image reference; name an image, as in app:dev or oci-archive:app.tar")
    match = _TRANSPORT.match(reference)
    if match:
        rest = reference[match.end() :]
        opener = _OPENERS.get(match[1])
        if opener is None:
            known = ", ".join(f"{name}:" for name in _OPENERS)
            raise UnknownReferenceError(f"{reference}: the transport {match[1]}: is not supported; use one of {known}")
        return opener(reference, rest)
    if "://" in reference:
        raise UnknownReferenceError(f"{reference}: unknown transport; a registry's image is docker://HOST/NAME:TAG")
    if _PATH.match(reference):
        return _open_path(reference)
    return _open_daemon(f"docker-daemon:{reference}", reference)


def _open_daemon(reference: str, name: str) -> Source:
    if not re.fullmatch(r"[\w][\w.\-/:@]*", name):
        raise UnknownReferenceError(f"{reference}: not an image's name; write NAME:TAG, or ./PATH for a file")
    try:
        return DaemonSource(reference, name)
    except ImageNotFoundError as error:
        if Path(name).exists():
            raise ImageNotFoundError(f"{error}. There is a file of that name: ./{name}") from None
        raise


def _open_path(reference: str) -> Source:
    path = Path(reference).expanduser()
    if not path.is_dir():
        _must_exist(path)
        return _open_any_archive(reference, path, str(path))
    if (path / "oci-layout").exists() or ((path / "index.json").exists() and (path / "blobs").is_dir()):
        return LayoutSource(f"oci:{reference}", path, None)
    if is_dir_layout(path):
        return DirSource(f"dir:{reference}", path)
    return TreeSource(f"rootfs:{reference}", path)


def _open_any_archive(reference: str, path: Path, shown: str) -> Source:
    """Opens an archive of an image, or of the files of a root file system. Errors call it `shown`."""
    if not is_archive(path):
        raise ImageReadError(f"{shown}: not an image: neither a directory nor a tar archive")
    if holds_image(path, shown):
        return ArchiveSource(f"oci-archive:{reference}", path, None, shown)
    return RootfsSource(f"rootfs:{reference}", path)


def is_stdin(reference: str) -> bool:
    """Whether a reference is `-`, an archive on stdin, with or without its transport."""
    return _STDIN.fullmatch(reference) is not None


def open_stdin(reference: str, path: Path) -> Source:
    """Opens what a reference to stdin names, in the file that stdin was copied to.

    Raises:
        ImageNotFoundError: the archive lacks the image that the reference names, or holds several where it names none.
        ImageReadError: it is no tar archive, or a broken one.
    """
    match = _STDIN.fullmatch(reference)
    if match is None or reference == "-":
        return _open_any_archive(reference, path, "stdin")
    files, select = match.groups()
    return _open_files(reference, path, "stdin") if files else ArchiveSource(reference, path, select, "stdin")


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise ImageNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        # It is read twice: for what it holds, then for all of it.
        raise ImageReadError(
            f"{path}: not a regular file; save the image to one, as with `docker save -o app.tar NAME`, or pipe it into `container-image audit -`"
        )
    try:
        path.open("rb").close()
    except OSError as error:
        raise ImageReadError(f"{path}: can't be read: {error.strerror}") from None


def _open_archive(reference: str, rest: str) -> Source:
    path, select = _path_and_selection(rest)
    _must_exist(path)
    return ArchiveSource(reference, path, select)


def _open_layout(reference: str, rest: str) -> Source:
    path, select = _path_and_selection(rest)
    return LayoutSource(reference, _directory(str(path)), select)


def _open_dir(reference: str, rest: str) -> Source:
    return DirSource(reference, _directory(rest))


def _open_rootfs(reference: str, rest: str) -> Source:
    path = Path(rest).expanduser()
    if path.is_dir():
        return TreeSource(reference, path)
    _must_exist(path)
    return _open_files(reference, path, str(path))


def _open_files(reference: str, path: Path, shown: str) -> Source:
    # A layer's index ends in silence where a tar archive is damaged.
    require_whole(path, shown)
    return RootfsSource(reference, path)


def _directory(rest: str) -> Path:
    path = Path(rest).expanduser()
    if not path.is_dir():
        raise ImageNotFoundError(f"{path}: there is no such directory")
    return path


def _path_and_selection(rest: str) -> tuple[Path, str | None]:
    """`PATH`, `PATH:TAG` or `PATH@DIGEST`; a colon in an existing path is part of it."""
    if Path(rest).expanduser().exists():
        return Path(rest).expanduser(), None
    path, separator, digest = rest.partition("@")
    if separator:
        return Path(path).expanduser(), digest
    path, _, tag = rest.partition(":")
    return Path(path).expanduser(), tag or None


def _open_registry(reference: str, rest: str) -> Source:
    if not rest.startswith("//"):
        raise UnknownReferenceError(f"{reference}: write docker://{rest}")
    return RegistrySource(reference, rest[2:])


_OPENERS: dict[str, Callable[[str, str], Source]] = {
    "docker-daemon": _open_daemon,
    "docker-archive": _open_archive,
    "oci": _open_layout,
    "oci-archive": _open_archive,
    "dir": _open_dir,
    "rootfs": _open_rootfs,
    "docker": _open_registry,
}
