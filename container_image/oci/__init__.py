"""Images, wherever they live: a reference goes in, every byte that ships comes out, with what the image says of it."""

from container_image.oci.archive import ArchiveSource
from container_image.oci.daemon import DaemonSource
from container_image.oci.dir import DirSource
from container_image.oci.layout import LayoutSource
from container_image.oci.model import (
    Blob,
    Descriptor,
    DigestKind,
    Image,
    ImageConfig,
    Manifest,
    Source,
    again,
    is_digest,
)
from container_image.oci.platforms import limit
from container_image.oci.push import push_archive
from container_image.oci.reference import is_stdin, open_image, open_stdin
from container_image.oci.registry import RegistrySource
from container_image.oci.rootfs import RootfsSource
from container_image.oci.tree import TreeSource

__all__ = [
    "ArchiveSource",
    "Blob",
    "DaemonSource",
    "Descriptor",
    "DigestKind",
    "DirSource",
    "Image",
    "ImageConfig",
    "LayoutSource",
    "Manifest",
    "RegistrySource",
    "RootfsSource",
    "Source",
    "TreeSource",
    "again",
    "is_digest",
    "is_stdin",
    "limit",
    "open_image",
    "open_stdin",
    "push_archive",
]
