"""What a state store remembers of images that were uploaded to a sink."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

from catalogsync.catalog.images import StoredImage
from catalogsync.errors import MisconfiguredError

__all__ = ["HasImages", "ImageMemory", "StoredImage", "images_of"]


class ImageMemory(Protocol):
    """Uploaded images, by the address that they were fetched from.

    The address of an uploaded file counts as one, too. All methods raise `StateError` if
    the store cannot be used. Losing any of it costs time only: images are fetched and
    uploaded again.
    """

    async def images(
        self, endpoint: str, addresses: Collection[str], /
    ) -> Mapping[str, StoredImage]:
        """The images of these addresses, of those that were saved.

        What is not asked for in a long time may be deleted (`RunHistory.trim`), but an
        uploaded file stays known by its own address and its digest.
        """
        ...

    async def image_with(self, endpoint: str, digest: str, /) -> StoredImage | None:
        """An uploaded image with this content; None: there is none."""
        ...

    async def put_images(
        self, endpoint: str, images: Mapping[str, StoredImage], /
    ) -> None:
        """Save images by address, in place of earlier ones.

        Addresses are saved as digests, because they may contain secrets.
        """
        ...


@runtime_checkable
class HasImages(Protocol):
    """A state store that remembers uploaded images."""

    @property
    def images(self) -> ImageMemory:
        """The uploaded images."""
        ...


def images_of(store: object) -> ImageMemory:
    """The memory of uploaded images.

    Raises:
        MisconfiguredError: There is no state store, or it does not remember images.
    """
    if not isinstance(store, HasImages):
        problem = "is needed to upload images: it remembers what was uploaded"
        raise MisconfiguredError("state", problem)
    return store.images
