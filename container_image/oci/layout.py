"""An OCI image layout: a directory with `index.json` and `blobs/` (OCI image-spec, image-layout)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from container_image.errors import ImageReadError
from container_image.oci.archive import pick
from container_image.oci.model import (
    CHUNK,
    DOCUMENT_LIMIT,
    INDEX_TYPES,
    Blob,
    Descriptor,
    DigestKind,
    Image,
    assemble,
    children,
    read_document,
)
from container_image.oci.tape import blob_digest

_OUTSIDE = "a link that leaves the layout, not followed"
_SPECIAL = "not a regular file"


class LayoutSource:
    """A layout directory: every file in it ships, those that no manifest names too.

    Links are followed inside the directory alone: what is elsewhere is not the image's.
    """

    def __init__(self, reference: str, path: Path, select: str | None) -> None:
        self.reference = reference
        self._path = path
        self._unread: dict[str, str] = {}
        try:
            home = path.resolve()
            index = b"".join(_pieces(home / "index.json", home, DOCUMENT_LIMIT))
        except OSError as error:
            raise ImageReadError(f"{path}: no OCI layout: index.json can't be read: {error.strerror}") from None
        self._home = home
        self._root: Descriptor = pick(children(read_document({"index.json": index}, "index.json")), select, str(path))
        self.digest = self._root.digest
        self.digest_kind: DigestKind = "index" if self._root.media_type in INDEX_TYPES else "manifest"

    def blobs(self) -> Iterator[Blob]:
        names = []
        for file in self._files():
            name = file.relative_to(self._home).as_posix()
            names.append(name)
            try:
                if file.is_symlink():
                    names.append(str(file.readlink()))
                reason = self._refused(file)
                is_file = reason is None and file.is_file()
            except OSError as error:
                raise ImageReadError(f"{self._path}: a file in it can't be read: {error.strerror}") from None
            if reason is not None:
                self._unread[blob_digest(name) or name] = reason
            elif is_file:
                yield Blob(blob_digest(name), name, self._content(file))
        yield Blob(None, "(names in the layout)", iter(["\n".join(names).encode("utf-8", "surrogateescape")]))

    def _files(self) -> Iterator[Path]:
        """Everything in the directory, however deep."""
        stack = [self._home]
        while stack:
            try:
                with os.scandir(stack.pop()) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                raise ImageReadError(f"{self._path}: a directory in it can't be read: {error.strerror}") from None
            yield from (Path(entry.path) for entry in found)
            stack.extend(Path(entry.path) for entry in reversed(found) if entry.is_dir(follow_symlinks=False))

    def _refused(self, file: Path) -> str | None:
        """Why something in the directory is not read; None for a file, a directory, or a link to nothing."""
        if file.is_symlink():
            try:
                target = file.resolve(strict=True)
            except (OSError, RuntimeError):
                return None
            if self._home not in target.parents:
                return _OUTSIDE
        return None if file.is_file() or file.is_dir() else _SPECIAL

    def _content(self, file: Path) -> Iterator[bytes]:
        try:
            yield from _pieces(file, self._home)
        except OSError as error:
            raise ImageReadError(f"{self._path}: a file in it can't be read: {error.strerror}") from None

    def assemble(self, documents: Mapping[str, bytes], seen: Collection[str]) -> Image:
        image = assemble(self._root, documents, seen)
        return replace(image, missing=tuple({**dict(image.missing), **self._unread}.items()))

    def __enter__(self) -> LayoutSource:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def _pieces(path: Path, home: Path, limit: int | None = None) -> Iterator[bytes]:
    """The bytes of a regular file of the layout; whoever can write there might put a pipe or a link in its place."""
    target = path.resolve(strict=True)
    if home not in target.parents:
        raise OSError(errno.ELOOP, _OUTSIDE)
    # Opening a pipe waits for its other end.
    with open(target, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_NOFOLLOW)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, _SPECIAL)
        while piece := file.read(CHUNK):
            yield piece
            if limit is not None and file.tell() > limit:
                raise OSError(errno.EFBIG, f"more than {limit >> 20} MiB")
