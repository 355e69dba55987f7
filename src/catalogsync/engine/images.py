"""Images that the sink stores itself, instead of linking to their addresses.

This takes two steps. Before the comparison, the address of each image that was uploaded
before and has not changed since becomes the address of its file (`resolve`). So a
product whose images are all the same needs no change. The others are marked with
`upload:`, as plans show them, and fetched and uploaded before their product is written
(`store`).

The state store remembers each upload at once, by address and by content. So the same
content is uploaded once, and a killed run continues where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from typing import TypeAlias
from weakref import WeakValueDictionary

import attrs

from catalogsync._lib.concurrency import each
from catalogsync.catalog.images import FetchedImage, StoredImage
from catalogsync.catalog.products import (
    UNSET,
    Field,
    Image,
    Product,
    ProductKey,
    Unset,
    evolve_unchecked,
    unchecked,
)
from catalogsync.errors import RefusedError, TransientError
from catalogsync.protocols import ImageStorage, ImageStoringSink, Sink, endpoint_of
from catalogsync.retry import RetryPolicy
from catalogsync.state.images import ImageMemory, images_of

from .journal import Journal
from .options import Options
from .recorder import Recorder

__all__ = ["IMAGE_FIELDS", "ImageStore"]

IMAGE_FIELDS = frozenset({Field.IMAGES, Field.THUMBNAIL})
_MOST_RECENT = 4096
_MARK = "upload:"
"""Begins an address in a product whose image is not in the sink yet.

So it differs from the address itself, to which the sink may still link.
"""

_Stored: TypeAlias = Mapping[str, str | None]  # files by address; None: it failed
_Work: TypeAlias = Callable[[str], Awaitable[str | None]]


@attrs.define(kw_only=True)
class ImageStore:
    """Replaces the addresses of images by those of uploaded files.

    Attributes:
        storage: Fetches and uploads images.
        memory: Remembers what was uploaded.
        endpoint: Endpoint of the sink.
        policy: When an upload is repeated.
        recorder: Receives warnings of images that could not be stored.
        fields: The fields with addresses that the run may write.
    """

    storage: ImageStorage
    memory: ImageMemory
    endpoint: str
    policy: RetryPolicy
    recorder: Recorder
    fields: Collection[Field]
    _slots: asyncio.Semaphore = attrs.field(init=False)
    _turns: WeakValueDictionary[str, asyncio.Lock] = attrs.field(
        factory=WeakValueDictionary[str, asyncio.Lock], init=False
    )
    # Addresses of this run; the last ones only, since catalogs are large.
    _recent: dict[str, str] = attrs.field(factory=dict[str, str], init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.storage.at_once)

    @classmethod
    def of(
        cls, sink: Sink, options: Options, recorder: Recorder, journal: Journal
    ) -> ImageStore | None:
        """The image store of a run; None: products link to the addresses.

        Raises:
            MisconfiguredError: There is no state store that remembers uploads.
        """
        storage = sink.image_storage if isinstance(sink, ImageStoringSink) else None
        if storage is None:
            return None
        fields = IMAGE_FIELDS - options.rules(journal.job).without(creating=True)
        return cls(
            storage=storage,
            memory=images_of(journal.store),
            endpoint=endpoint_of(sink),
            policy=options.retry,
            recorder=recorder,
            fields=fields,
        )

    async def resolve(self, products: Sequence[Product]) -> list[Product]:
        """The products with the addresses of files, where these are still current.

        Other addresses are marked; `store` replaces them.
        """
        owners = self._addresses(products)
        if not owners:
            return [*products]
        known = await self.memory.images(self.endpoint, owners)
        found = await self._each(partial(self._resolved, known, owners), owners)
        return [self._with(product, found) for product in products]

    async def _resolved(
        self,
        known: Mapping[str, StoredImage],
        owners: Mapping[str, ProductKey],
        address: str,
    ) -> str:
        stored = known.get(address)
        if stored is None:
            return _MARK + address
        if stored.url == address:
            return address
        async with self._slots:
            if (recent := self._recent.get(address)) is not None:
                return recent
            try:
                if await self.storage.changed(address, stored):
                    return _MARK + address
            except (RefusedError, TransientError) as error:
                self._warn(owners[address], address, error)
            return self._note(address, stored.url)

    async def store(self, products: Sequence[Product]) -> list[Product]:
        """The products with the addresses of files only; uploads what is new.

        An image that cannot be stored is left out, with a warning. A product without
        any that could be stored keeps those that it has in the sink.
        """
        owners = self._addresses(products)
        if not owners:
            return [*products]
        known = await self.memory.images(self.endpoint, owners)
        found = await self._each(partial(self._stored, known, owners), owners)
        return [self._with(product, found) for product in products]

    async def _stored(
        self,
        known: Mapping[str, StoredImage],
        owners: Mapping[str, ProductKey],
        address: str,
    ) -> str | None:
        stored = known.get(address)
        if stored is not None and stored.url == address:
            return address
        async with self._slots, self._turn(address):
            if (recent := self._recent.get(address)) is not None:
                return recent
            try:
                image = await self.storage.fetch(address, stored)
                if image is not None:
                    stored = await self._uploaded(address, image)
            except (RefusedError, TransientError) as error:
                self._warn(owners[address], address, error)
            return None if stored is None else self._note(address, stored.url)

    async def _uploaded(self, address: str, image: FetchedImage) -> StoredImage:
        """Upload an image, unless its content is there already, and remember it."""
        async with self._turn(image.digest):
            stored = await self.memory.image_with(self.endpoint, image.digest)
            if stored is None:
                stored = await self.recorder.repeated(
                    partial(self.storage.upload, image), "upload an image", self.policy
                )
            seen = attrs.evolve(stored, etag=image.etag, modified=image.modified)
            images = {stored.url: stored, address: seen}
            await self.memory.put_images(self.endpoint, images)
        return stored

    async def _each(self, work: _Work, addresses: Iterable[str]) -> _Stored:
        listed = [*addresses]
        urls = await each(work, listed, at_once=self.storage.at_once)
        return dict(zip(listed, urls, strict=True))

    def _turn(self, name: str) -> asyncio.Lock:
        """A lock for an address or a content, which exists while somebody needs it."""
        lock = self._turns.get(name)
        if lock is None:
            lock = self._turns[name] = asyncio.Lock()
        return lock

    def _note(self, address: str, url: str) -> str:
        if len(self._recent) == _MOST_RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[address] = url
        return url

    def _warn(
        self, key: ProductKey, address: str, error: RefusedError | TransientError
    ) -> None:
        shown = address.partition("?")[0].rpartition("@")[2]
        what = f"images that could not be stored, because {error}"
        self.recorder.count_warning(what, f"{key} {shown}")

    def _addresses(self, products: Iterable[Product]) -> dict[str, ProductKey]:
        """The addresses of all images, each with a product that has it."""
        owners: dict[str, ProductKey] = {}
        for product in products:
            for address in self._of(product):
                owners.setdefault(address, product.key)
        return owners

    def _of(self, product: Product) -> Iterator[str]:
        if Field.IMAGES in self.fields:
            yield from (_plain(image.url) for image in product.images or ())
        if Field.THUMBNAIL in self.fields and product.thumbnail:
            yield _plain(product.thumbnail)

    def _with(self, product: Product, found: _Stored) -> Product:
        """The product with other addresses."""
        values: dict[str, object] = {}
        images: tuple[Image, ...] | Unset = product.images
        if Field.IMAGES in self.fields and product.images:
            urls = dict.fromkeys(found[_plain(image.url)] for image in product.images)
            images = tuple(unchecked(Image, url=url) for url in urls if url)
            values["images"] = images or UNSET
        if Field.THUMBNAIL in self.fields and product.thumbnail:
            first = images[0].url if images else UNSET
            values["thumbnail"] = found[_plain(product.thumbnail)] or first
        return evolve_unchecked(product, **values) if values else product


def _plain(address: str) -> str:
    return address.removeprefix(_MARK)
