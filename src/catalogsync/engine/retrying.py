"""Trying failed products again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import attrs

from catalogsync.batching import ROOM, weight_of
from catalogsync.convert import product_from_json
from catalogsync.errors import InvalidValueError
from catalogsync.events import EventHook
from catalogsync.models import Product, ProductKey
from catalogsync.outcomes import Rejected
from catalogsync.protocols import Cursor, LookupSource, Page, Sink, Source
from catalogsync.retry import RetryPolicy
from catalogsync.runstore import RunStore, each_failure

from . import promises
from .options import Options
from .pipeline import Show
from .run import Run, make_run

__all__ = ["FailedProducts", "find_failed", "open_retry"]

_LOOKUP = 50


_Fetch = Callable[[Sequence[ProductKey]], Awaitable[Page]]


@attrs.frozen(kw_only=True)
class FailedProducts:
    """Failed products of a job as they can be tried again; it is a source.

    It holds a few of them at once, whatever their number and size.

    Attributes:
        name: Of the source that they come from.
        keys: Of all that can be tried.
        gone: Those that left the source.
        lost: Those that can neither be asked for nor were kept.
    """

    name: str
    keys: tuple[ProductKey, ...] = ()
    gone: Sequence[ProductKey] = ()
    lost: Sequence[ProductKey] = ()
    _fetch: _Fetch = attrs.field(alias="fetch", repr=False, eq=False)
    _kept: Mapping[ProductKey, Product | Rejected] = attrs.field(
        alias="kept", repr=False, eq=False
    )
    _size: int = attrs.field(default=_LOOKUP, alias="size", repr=False, eq=False)

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Some of them, with all that they have now."""
        begin = int(cursor or 0)
        end = begin + self._size
        keys = self.keys[begin:end]
        unknown = [key for key in keys if key not in self._kept]
        page = await self._fetch(unknown) if unknown else Page(products=())
        known = [self._kept[key] for key in keys if key in self._kept]
        return Page(
            products=[*(k for k in known if isinstance(k, Product)), *page.products],
            rejected=[*(k for k in known if isinstance(k, Rejected)), *page.rejected],
            next=(str(end),) if end < len(self.keys) else (),
        )


async def find_failed(
    source: Source,
    store: RunStore,
    *,
    job: str,
    keys: Collection[ProductKey] | None = None,
    retry: RetryPolicy | None = None,
) -> FailedProducts:
    """Find the failed products of a job that can be tried again.

    They are asked for at the source where it can be asked, else they are taken as
    they were kept; both must stay open while they are tried.

    Args:
        source: Where they came from, open.
        store: Where the failures are.
        job: Of which job.
        keys: Only these; None: all.
        retry: When the source is asked again; None: as by default.

    Raises:
        TransientError: The source cannot be asked now, and no try was left.
        StoreError: The store cannot be used.
    """
    before: dict[ProductKey, ProductKey | None] = {}
    last: ProductKey | None = None
    async for failure in each_failure(store, job):
        if keys is None or failure.key in keys:
            before.setdefault(failure.key, last)
        last = failure.key
    if isinstance(source, LookupSource):
        policy = retry or RetryPolicy()
        return await _found(source.name, list(before), partial(_asked, source, policy))
    fetch = partial(_unpacked, store, job, before)
    found = await _found(source.name, list(before), fetch)
    return attrs.evolve(found, gone=(), lost=found.gone)


async def _found(
    name: str, wanted: Sequence[ProductKey], fetch: _Fetch
) -> FailedProducts:
    """Look at all of these, and keep no more than fit into memory well."""
    kept: dict[ProductKey, Product | Rejected] = {}
    found: set[ProductKey] = set()
    at, size, heaviest, room, nameless = 0, 1, 1, ROOM, False
    while some := wanted[at : at + size]:
        page = await fetch(some)
        for product in page.products:
            weight = weight_of(product)
            heaviest, room = max(heaviest, weight), room - weight
            found.add(product.key)
            if room > 0:
                kept[product.key] = product
        for record in page.rejected:
            if record.key is None:
                nameless = True
            else:
                found.add(record.key)
                kept.setdefault(record.key, record)
        at += len(some)
        size = min(2 * size, _LOOKUP, max(1, ROOM // heaviest))
    absent = [key for key in wanted if key not in found]
    return FailedProducts(
        name=name,
        keys=tuple(key for key in wanted if key in found),
        gone=() if nameless else absent,
        lost=absent if nameless else (),  # the nameless one may be any of them
        fetch=fetch,
        kept=kept,
        size=size,
    )


async def _asked(
    source: LookupSource, retry: RetryPolicy, keys: Sequence[ProductKey]
) -> Page:
    async for attempt in retry.tries():
        with attempt:
            return await promises.get(source, keys)
    raise AssertionError("unreachable")


async def _unpacked(
    store: RunStore,
    job: str,
    before: Mapping[ProductKey, ProductKey | None],
    keys: Sequence[ProductKey],
) -> Page:
    """Failed products as they were kept, without those that were not.

    Args:
        store: Where they are.
        job: Of which job.
        before: The key that stands before each in the store.
        keys: Which, in the order of the store.
    """
    products: list[Product] = []
    left = dict.fromkeys(keys)
    while left:
        first = next(iter(left))
        part = await store.failures(job, limit=len(left), after=before[first])
        left.pop(first)
        for failure in part:
            if failure.key == first or failure.key in left:
                left.pop(failure.key, None)
                with suppress(InvalidValueError):
                    products.append(product_from_json(failure.payload))
    return Page(products=products)


def open_retry(
    failed: FailedProducts,
    sink: Sink,
    *,
    job: str,
    store: RunStore,
    options: Options | None = None,
    hooks: Iterable[EventHook] = (),
    show: Show | None = None,
) -> Run:
    """Make a run that tries failed products again; one that succeeds is forgotten.

    Args:
        failed: What `find_failed` gave.
        sink: As in `open_run`.
        job: Of which job they are.
        store: As in `open_run`.
        options: As in `open_run`.
        hooks: As in `open_run`.
        show: Takes each change instead of the sink, and nothing is written.
    """
    options = attrs.evolve(
        options or Options(), keys=failed.keys, limit=None, prune=None
    )
    return make_run(
        failed, sink, options=options, job=job, hooks=hooks, store=store, show=show
    )
