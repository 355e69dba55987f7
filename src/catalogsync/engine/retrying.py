"""Trying failed products again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

import attrs

from catalogsync.batching import batched
from catalogsync.catalog.convert import product_from_json
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import InvalidValueError
from catalogsync.protocols import Cursor, LookupSource, Page, Source
from catalogsync.retry import RetryPolicy
from catalogsync.state.protocols import StateStore

from . import promises

__all__ = ["RetrySource", "find_failed"]

_LOOKUP = 50


@attrs.frozen(kw_only=True)
class RetrySource:
    """Failed products of a job as they can be tried again; it is a source.

    Attributes:
        name: Of the source that they come from.
        products: Those that can be tried.
        rejected: Those that the source still has as records that are no products.
        gone: Those that left the source.
        lost: Those that can neither be asked for nor were kept.
    """

    name: str
    products: Sequence[Product] = ()
    rejected: Sequence[Rejected] = ()
    gone: Sequence[ProductKey] = ()
    lost: Sequence[ProductKey] = ()

    @property
    def keys(self) -> tuple[ProductKey, ...]:
        """Of all that can be tried."""
        rejected = (record.key for record in self.rejected if record.key)
        return (*(product.key for product in self.products), *rejected)

    async def read(self, _: Cursor | None, /) -> Page:
        """All of them on one page."""
        return Page(products=self.products, rejected=self.rejected)


async def find_failed(
    source: Source,
    store: StateStore,
    *,
    job: str,
    keys: Collection[ProductKey] | None = None,
    retry: RetryPolicy | None = None,
) -> RetrySource:
    """Get the failed products of a job anew.

    They are asked for at the source where it can be asked, else they are taken as
    they were kept.

    Args:
        source: Where they came from, open.
        store: Where the failures are.
        job: Of which job.
        keys: Only these; None: all.
        retry: When the source is asked again; None: as by default.

    Raises:
        TransientError: The source cannot be asked now, and no try was left.
        StateError: The store cannot be used.
    """
    kept = await store.failures(job, payloads=False)
    desired = dict.fromkeys(f.key for f in kept if keys is None or f.key in keys)
    if isinstance(source, LookupSource):
        return await _fetched(source, list(desired), retry or RetryPolicy())
    return await _unpacked(source.name, store, job, desired)


async def _fetched(
    source: LookupSource, keys: Sequence[ProductKey], retry: RetryPolicy
) -> RetrySource:
    pages = [await _asked(source, some, retry) for some in batched(keys, _LOOKUP)]
    found = RetrySource(
        name=source.name,
        products=[product for page in pages for product in page.products],
        rejected=[record for page in pages for record in page.rejected],
    )
    known = set(found.keys)
    absent = [key for key in keys if key not in known]
    if any(record.key is None for record in found.rejected):  # it may be any of them
        return attrs.evolve(found, lost=absent)
    return attrs.evolve(found, gone=absent)


async def _asked(
    source: LookupSource, keys: Sequence[ProductKey], retry: RetryPolicy
) -> Page:
    async for attempt in retry.tries():
        with attempt:
            return await promises.get(source, keys)
    raise AssertionError("unreachable")


async def _unpacked(
    name: str, store: StateStore, job: str, desired: Collection[ProductKey]
) -> RetrySource:
    products: dict[ProductKey, Product] = {}
    last: ProductKey | None = None
    while part := await store.failures(job, limit=_LOOKUP, after=last):
        last = part[-1].key
        for failure in part:
            if failure.key in desired:
                with suppress(InvalidValueError):
                    products[failure.key] = product_from_json(failure.payload)
    lost = [key for key in desired if key not in products]
    return RetrySource(name=name, products=list(products.values()), lost=lost)
