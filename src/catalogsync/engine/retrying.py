"""A source of failed products, to try them again."""

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
    """The failed products of a job, as a source for a run.

    Attributes:
        name: Name of the source that they come from.
        products: Products that can be tried again.
        rejected: Records that the source still has and that are not valid products.
        gone: Products that left the source.
        lost: Products that cannot be looked up and were not kept either.
    """

    name: str
    products: Sequence[Product] = ()
    rejected: Sequence[Rejected] = ()
    gone: Sequence[ProductKey] = ()
    lost: Sequence[ProductKey] = ()

    @property
    def keys(self) -> tuple[ProductKey, ...]:
        """The keys of all products and rejected records."""
        rejected = (record.key for record in self.rejected if record.key)
        return (*(product.key for product in self.products), *rejected)

    async def read(self, _: Cursor | None, /) -> Page:
        """All of them, on one page."""
        return Page(products=self.products, rejected=self.rejected)


async def find_failed(
    source: Source,
    store: StateStore,
    *,
    job: str,
    keys: Collection[ProductKey] | None = None,
    retry: RetryPolicy | None = None,
) -> RetrySource:
    """Collect the failed products of a job.

    They come from the source if it is a `LookupSource`, else from the state store, as
    they were when they failed.

    Args:
        source: The open source.
        store: The state store.
        job: Name of the job.
        keys: Only these; None: all.
        retry: When the source is asked again; None: the default policy.

    Raises:
        TransientError: The source cannot be read now; the last retry failed.
        StateError: The store cannot be used.
    """
    kept = await store.failures(job, payloads=False)
    desired = dict.fromkeys(f.key for f in kept if keys is None or f.key in keys)
    if isinstance(source, LookupSource):
        return await _looked_up(source, list(desired), retry or RetryPolicy())
    return await _from_store(source.name, store, job, desired)


async def _looked_up(
    source: LookupSource, keys: Sequence[ProductKey], retry: RetryPolicy
) -> RetrySource:
    pages = [await _get(source, some, retry) for some in batched(keys, _LOOKUP)]
    found = RetrySource(
        name=source.name,
        products=[product for page in pages for product in page.products],
        rejected=[record for page in pages for record in page.rejected],
    )
    known = set(found.keys)
    absent = [key for key in keys if key not in known]
    if any(record.key is None for record in found.rejected):
        # It may be any of the absent ones, so none of them is known to be gone.
        return attrs.evolve(found, lost=absent)
    return attrs.evolve(found, gone=absent)


async def _get(
    source: LookupSource, keys: Sequence[ProductKey], retry: RetryPolicy
) -> Page:
    async for attempt in retry.tries():
        with attempt:
            return await promises.get(source, keys)
    raise AssertionError("unreachable")


async def _from_store(
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
