"""Images, wherever they live: a reference goes in, every byte that ships comes out, with what the image says of it."""

from container_image.oci.daemon import DaemonSource
from container_image.oci.model import Blob, Descriptor, Image, ImageConfig, Manifest, Source
from container_image.oci.platforms import limit
from container_image.oci.reference import open_image

__all__ = ["Blob", "DaemonSource", "Descriptor", "Image", "ImageConfig", "Manifest", "Source", "limit", "open_image"]
