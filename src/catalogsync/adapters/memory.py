"""Products in memory: any iterable as a source, and a sink for tests and trials."""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from uuid import uuid4

import attrs

from catalogsync.batching import ROOM, weight_of
from catalogsync.catalog.changes import (
    Adopt,
    Change,
    Conflict,
    Create,
    Delete,
    Existing,
    Found,
    Release,
    SellOut,
    Unpublish,
)
from catalogsync.catalog.outcomes import Outcome
from catalogsync.catalog.products import (
    UNSET,
    Field,
    Product,
    ProductKey,
    ProductStatus,
    evolve_unchecked,
)
from catalogsync.errors import ConflictError, MisconfiguredError
from catalogsync.protocols import AdoptBy, Cursor, Limits, Page

__all__ = ["MemorySink", "MemorySource", "as_source"]

Products = Iterable[Product] | AsyncIterable[Product]


def as_source(
    products: Products, *, name: str | None = None, page_size: int = 100
) -> MemorySource:
    """A source that reads products from an iterable or async iterable.

    Args:
        products: The products; each key once. A list can be read again, a
            generator only once.
        name: Name of the source, the same as in the keys of the products; None: the
            name in the first product of a list, else `memory`.
        page_size: Largest number of products in a page; fewer if they are large.
    """
    if name is None:
        first = products[0] if isinstance(products, Sequence) and products else None
        name = first.key.source if isinstance(first, Product) else "memory"
    return MemorySource(products=products, name=name, page_size=page_size)


@attrs.define(kw_only=True)
class MemorySource:
    """A source that reads any iterable, in order.

    Attributes:
        products: The products; each key once.
        name: Name of the source.
        page_size: Largest number of products in a page.
    """

    products: Products
    name: str = "memory"
    page_size: int = attrs.field(default=100, validator=attrs.validators.ge(1))
    _iterator: AsyncIterator[Product] | None = attrs.field(default=None, init=False)
    _read: int = attrs.field(default=0, init=False)
    _started: bool = attrs.field(default=False, init=False)

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read the next page, or any page of a list.

        The cursor is the number of products before the page.

        Raises:
            MisconfiguredError: The cursor is not that of the next page of something that
                is not a list, or the iterable can be read only once.
        """
        begin = int(cursor or 0)
        page = _PageOf(self.page_size)
        if isinstance(self.products, Sequence):
            for product in self.products[begin : begin + self.page_size]:
                if page.takes(product):
                    break
            return page.made(begin)
        if cursor is None:
            self._iterator, self._read = self._restart(), 0
        if self._iterator is None or begin != self._read:
            problem = "must be read in order, and from the beginning after an error"
            raise MisconfiguredError("products", problem)
        iterator, self._iterator = self._iterator, None
        async for product in iterator:
            if page.takes(product):
                break
        self._iterator, self._read = iterator, begin + len(page.products)
        return page.made(begin)

    def _restart(self) -> AsyncIterator[Product]:
        products = self.products
        if isinstance(products, AsyncIterator | Iterator):
            if self._started:
                problem = "an iterator can be read only once; pass a list"
                raise MisconfiguredError("products", problem)
            self._started = True
        if isinstance(products, AsyncIterable):
            return aiter(products)
        return _each(products)


@attrs.define
class _PageOf:
    """A page that is being filled."""

    size: int
    products: list[Product] = attrs.field(factory=list[Product], init=False)
    weight: int = attrs.field(default=0, init=False)

    def takes(self, product: Product) -> bool:
        """Add a product; whether the page is full."""
        self.products.append(product)
        self.weight += weight_of(product)
        return self._is_full()

    def made(self, begin: int) -> Page:
        """The page, with the number of products before the next one as its cursor."""
        more = (f"{begin + len(self.products)}",) if self._is_full() else ()
        return Page(products=self.products, next=more)

    def _is_full(self) -> bool:
        return len(self.products) == self.size or self.weight >= ROOM


async def _each(products: Iterable[Product]) -> AsyncIterator[Product]:
    for product in products:
        yield product


@attrs.define(kw_only=True)
class MemorySink:
    """A sink that keeps products in a dictionary.

    It is also a `RemovingSink`, a `SellOutSink`, an `AdoptingSink` and `HasEndpoint`.

    Attributes:
        name: Name of the sink.
        limits: Limits of the sink.
        products: Products by key.
        last_applied: Last-applied states by key.
        foreign: Products without a key in the sink; their `key` attribute is ignored.
        endpoint: A unique address for each sink.
    """

    name: str = "memory"
    limits: Limits = attrs.field(factory=partial(Limits, collides=True))
    products: dict[ProductKey, Product] = attrs.field(factory=dict[ProductKey, Product])
    last_applied: dict[ProductKey, str] = attrs.field(factory=dict[ProductKey, str])
    foreign: list[Product] = attrs.field(factory=list[Product])
    endpoint: str = attrs.field(
        init=False, eq=False, factory=lambda: f"memory://{uuid4()}"
    )

    @property
    def sells_out(self) -> bool:
        """True."""
        return True

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Find products by key."""
        return {
            key: Existing(
                product=self.products[key], last_applied=self.last_applied.get(key)
            )
            for product in desired
            if (key := product.key) in self.products
        }

    async def owned(self, source: str, /) -> AsyncIterator[Sequence[Existing]]:
        """All products of a source, as one page."""
        yield [
            Existing(product=product, last_applied=self.last_applied.get(key))
            for key, product in self.products.items()
            if key.source == source
        ]

    async def find_foreign(
        self, desired: Sequence[Product], /, *, by: AdoptBy, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Find products without a key that have all SKUs of a desired one."""
        found: dict[ProductKey, Found] = {}
        for product in desired if by is AdoptBy.SKU else ():
            skus = _skus(product)
            could_be = [each for each in self.foreign if skus and skus <= _skus(each)]
            if len(could_be) > 1:
                titles = ", ".join(each.title for each in could_be)
                found[product.key] = Conflict(reason=f"matches several: {titles}")
            elif could_be:
                found[product.key] = _as_foreign(product, could_be[0])
        return found

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        """Apply changes one by one.

        Raises:
            ConflictError: A product has changed since `find`; the changes before it
                are applied.
        """
        for change in changes:
            if not self._is_as_found(change):
                raise ConflictError(f"{change.key} has changed since it was found")
            self._apply(change)
        return [change.done() for change in changes]

    def _is_as_found(self, change: Change) -> bool:
        is_there = change.key in self.products
        if isinstance(change, Adopt):
            theirs = change.existing.native
            return not is_there and any(each is theirs for each in self.foreign)
        if isinstance(change, Create):
            return not is_there
        return is_there or isinstance(change, Delete)

    def _apply(self, change: Change) -> None:
        key = change.key
        match change:
            case Delete():
                self.products.pop(key, None)
                self.last_applied.pop(key, None)
            case Release():
                self.foreign.append(self.products.pop(key))
                self.last_applied.pop(key, None)
            case SellOut():
                self.products[key] = change.after
                self.last_applied[key] = change.last_applied
            case Unpublish():
                draft = ProductStatus.DRAFT
                found = self.products[key]
                self.products[key] = evolve_unchecked(found, status=draft)
                self.last_applied[key] = change.last_applied
            case _:
                if isinstance(change, Adopt):
                    theirs = change.existing.native
                    self.foreign = [each for each in self.foreign if each is not theirs]
                self.products[key] = change.product
                self.last_applied[key] = change.last_applied


def _skus(product: Product) -> set[object]:
    return {variant.sku for variant in product.variants or () if variant.sku}


def _as_foreign(desired: Product, theirs: Product) -> Found:
    """A product without a key, with the desired key and variant ids."""
    ids: dict[object, str] = {v.sku: v.id for v in desired.variants or () if v.sku}
    variants = tuple(
        evolve_unchecked(variant, id=ids.get(variant.sku, variant.id))
        for variant in theirs.variants or ()
    )
    if len({variant.id for variant in variants}) < len(variants):
        return Conflict(reason=f"{theirs.title}: two variants would get the same id")
    product = evolve_unchecked(theirs, key=desired.key, variants=variants or UNSET)
    return Existing(product=product, foreign=True, native=theirs)
