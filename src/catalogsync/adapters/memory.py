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

import attrs

from catalogsync.changes import Change, Held, Ours
from catalogsync.errors import MisconfiguredError
from catalogsync.models import Field, Product, ProductKey
from catalogsync.outcomes import Outcome
from catalogsync.protocols import Cursor, Limits, Page

__all__ = ["MemorySink", "MemorySource", "as_source"]

Products = Iterable[Product] | AsyncIterable[Product]


def as_source(
    products: Products, *, name: str = "memory", page_size: int = 100
) -> MemorySource:
    """Make a source of an iterable or async iterable of products.

    Args:
        products: The products; each key once. A list can be read again, a
            generator only once.
        name: Name of the source; the products' keys are expected to carry it.
        page_size: Products in a page.
    """
    return MemorySource(products=products, name=name, page_size=page_size)


@attrs.define(kw_only=True)
class MemorySource:
    """A source over any iterable; pages are read one after the other.

    Attributes:
        products: The products.
        name: Name of the source.
        page_size: Products in a page.
    """

    products: Products
    name: str = "memory"
    page_size: int = attrs.field(default=100, validator=attrs.validators.ge(1))
    _iterator: AsyncIterator[Product] | None = attrs.field(default=None, init=False)
    _pages: int = attrs.field(default=0, init=False)
    _started: bool = attrs.field(default=False, init=False)

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read the next page; the cursor counts them.

        Raises:
            MisconfiguredError: The iterable can be read only once, or raised an
                error before, so that it cannot be read on.
        """
        if cursor is None:
            self._iterator, self._pages = self._restart(), 0
        if self._iterator is None or int(cursor or 0) != self._pages:
            problem = "an iterable is read in order, and not after an error"
            raise MisconfiguredError("products", problem)
        iterator, self._iterator = self._iterator, None
        page: list[Product] = []
        async for product in iterator:
            page.append(product)
            if len(page) == self.page_size:
                break
        self._iterator = iterator
        self._pages += 1
        more = (str(self._pages),) if len(page) == self.page_size else ()
        return Page(products=page, next=more)

    def _restart(self) -> AsyncIterator[Product]:
        products = self.products
        if isinstance(products, AsyncIterator | Iterator):
            if self._started:
                problem = "an iterator can be read only once; give a list"
                raise MisconfiguredError("products", problem)
            self._started = True
        if isinstance(products, AsyncIterable):
            return aiter(products)
        return _each(products)


async def _each(products: Iterable[Product]) -> AsyncIterator[Product]:
    for product in products:
        yield product


@attrs.define(kw_only=True)
class MemorySink:
    """A sink that keeps products in a dictionary.

    Attributes:
        name: Name of the sink.
        limits: What it says it can take.
        products: What it holds, by key.
        receipts: The receipt of each, by key.
    """

    name: str = "memory"
    limits: Limits = attrs.field(factory=Limits)
    products: dict[ProductKey, Product] = attrs.field(factory=dict[ProductKey, Product])
    receipts: dict[ProductKey, str] = attrs.field(factory=dict[ProductKey, str])

    async def find(
        self, wanted: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Held]:
        """Look the products up."""
        return {
            key: Ours(product=self.products[key], receipt=self.receipts.get(key))
            for product in wanted
            if (key := product.key) in self.products
        }

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        """Keep the products as they will be."""
        for change in changes:
            self.products[change.key] = change.product
            self.receipts[change.key] = change.receipt
        return [change.done() for change in changes]
