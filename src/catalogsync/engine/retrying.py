"""A source of failed products, to try them again.

They are looked up at the source if it can do that (`LookupSource`); else they come from
the state store, as they were when they failed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial

import attrs

from catalogsync.batching import ROOM, weight_of
from catalogsync.catalog.convert import product_from_json
from catalogsync.catalog.drafts import Draft
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey, evolve_unchecked
from catalogsync.errors import InvalidValueError
from catalogsync.protocols import Cursor, LookupSource, Page, Source
from catalogsync.retry import RetryPolicy
from catalogsync.state.protocols import FailureStore, each_failure

from . import promises

__all__ = ["RetrySource", "find_failed"]

_LOOKUP = 50


_Fetch = Callable[[Sequence[ProductKey]], Awaitable[Page]]


@attrs.frozen(kw_only=True)
class RetrySource:
    """The failed products of a job, as a source for a run.

    It holds a few of them at once, whatever their number and size.

    Attributes:
        name: Name of the source that they come from.
        keys: Keys of the products that can be tried again.
        gone: Products that left the source.
        lost: Products that cannot be looked up and were not kept either.
    """

    name: str
    keys: tuple[ProductKey, ...] = ()
    gone: Sequence[ProductKey] = ()
    lost: Sequence[ProductKey] = ()
    _fetch: _Fetch = attrs.field(alias="fetch", repr=False, eq=False)
    _kept: Mapping[ProductKey, Product | Draft | Rejected] = attrs.field(
        alias="kept", repr=False, eq=False
    )
    _size: int = attrs.field(default=_LOOKUP, alias="size", repr=False, eq=False)

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read the next few of them, with their current data."""
        begin = int(cursor or 0)
        end = begin + self._size
        keys = self.keys[begin:end]
        unknown = [key for key in keys if key not in self._kept]
        page = await self._fetch(unknown) if unknown else Page(products=())
        known = [self._kept[key] for key in keys if key in self._kept]
        return Page(
            products=[
                *(k for k in known if not isinstance(k, Rejected)),
                *page.products,
            ],
            rejected=[*(k for k in known if isinstance(k, Rejected)), *page.rejected],
            next=(str(end),) if end < len(self.keys) else (),
        )


async def find_failed(
    source: Source,
    store: FailureStore,
    *,
    job: str,
    keys: Collection[ProductKey] | None = None,
    retry: RetryPolicy | None = None,
) -> RetrySource:
    """Find the failed products of a job that can be tried again.

    They come from the source if it is a `LookupSource`, else from the state store, as
    they were when they failed. Both must stay open until they have been tried.

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
    before: dict[ProductKey, ProductKey | None] = {}
    last: ProductKey | None = None
    async for failure in each_failure(store, job):
        if keys is None or failure.key in keys:
            before.setdefault(failure.key, last)
        last = failure.key
    if isinstance(source, LookupSource):
        policy = retry or RetryPolicy()
        return await _found(source.name, list(before), partial(_get, source, policy))
    fetch = partial(_from_store, store, job, before)
    found = await _found(source.name, list(before), fetch)
    return attrs.evolve(found, gone=(), lost=found.gone)


async def _found(
    name: str, desired: Sequence[ProductKey], fetch: _Fetch
) -> RetrySource:
    """Look up all of these, and keep as many as fit into a bounded amount of memory."""
    kept: dict[ProductKey, Product | Draft | Rejected] = {}
    found: set[ProductKey] = set()
    at, size, heaviest, room, keyless = 0, 1, 1, ROOM, False
    while some := desired[at : at + size]:
        page = await fetch(some)
        for product in page.products:
            weight = weight_of(product)
            heaviest, room = max(heaviest, weight), room - weight
            found.add(product.key)
            if room > 0:
                kept[product.key] = product
        for record in page.rejected:
            if record.key is None:
                keyless = True
            else:
                found.add(record.key)
                kept.setdefault(record.key, record)
        at += len(some)
        size = min(2 * size, _LOOKUP, max(1, ROOM // heaviest))
    absent = [key for key in desired if key not in found]
    return RetrySource(
        name=name,
        keys=tuple(key for key in desired if key in found),
        gone=() if keyless else absent,
        lost=absent if keyless else (),  # the keyless record may be any of them
        fetch=fetch,
        kept=kept,
        size=size,
    )


async def _get(
    source: LookupSource, retry: RetryPolicy, keys: Sequence[ProductKey]
) -> Page:
    async for attempt in retry.tries():
        with attempt:
            return _dated(await promises.get(source, keys))
    raise AssertionError("unreachable")


def _dated(page: Page) -> Page:
    """The page, whose products say themselves when their stock was counted."""
    if page.as_of is None:
        return page
    products = [
        evolve_unchecked(each, as_of=each.as_of or page.as_of)
        if isinstance(each, Product)
        else each
        for each in page.products
    ]
    return attrs.evolve(page, products=products)


async def _from_store(
    store: FailureStore,
    job: str,
    before: Mapping[ProductKey, ProductKey | None],
    keys: Sequence[ProductKey],
) -> Page:
    """Failed products as the store kept them, without those that it did not keep.

    *before* has the key before each one in the store, whose order *keys* have too.
    """
    products: list[Product] = []
    missing = dict.fromkeys(keys)
    while missing:
        first = next(iter(missing))
        part = await store.failures(job, limit=len(missing), after=before[first])
        missing.pop(first)
        for failure in part:
            if failure.key == first or failure.key in missing:
                missing.pop(failure.key, None)
                with suppress(InvalidValueError):
                    products.append(product_from_json(failure.payload))
    return Page(products=products)
