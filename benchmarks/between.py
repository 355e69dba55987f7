"""The engine alone: pages that are there already, and a sink that only remembers.

Reading the queue, planning, receipts, batches and books; no HTTP and no adapters.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from catalogsync import (
    Change,
    Cursor,
    Field,
    Limits,
    Options,
    Ours,
    Outcome,
    Page,
    Product,
    ProductKey,
    sync,
)
from catalogsync.adapters.dummyjson import DummyJSONSettings


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Run twice; the first run creates everything, the second changes nothing."""
    source = await _read(job)
    sink = _Remembering(limits=Limits(batch=job["batch_size"], writers=2))
    options = Options(batch_size=job["batch_size"])
    gc.freeze()  # In a real run no such heap of pages lies about.
    before = time.process_time()
    first = await sync(source, sink, options=options)
    between = time.process_time()
    second = await sync(source, sink, options=options)
    after = time.process_time()
    assert first.counts.created == second.counts.unchanged == source.total
    return {"first": between - before, "second": after - between}


async def _read(job: dict[str, Any]) -> _Ready:
    """The first pages of the source."""
    settings = DummyJSONSettings(
        url=job["source"], page_size=job["page_size"], max_requests=0
    )
    cursors = [str(n) for n in range(0, job["products"], job["page_size"])]
    async with settings.open() as source:
        pages = [await source.read(cursor) for cursor in cursors]
    return _Ready(name=source.name, pages=dict(zip(cursors, pages, strict=True)))


@attrs.frozen(kw_only=True)
class _Ready:
    name: str
    pages: dict[str, Page]

    @property
    def total(self) -> int:
        return sum(len(page.products) for page in self.pages.values())

    async def read(self, cursor: Cursor | None, /) -> Page:
        await asyncio.sleep(0)
        first, *others = self.pages
        page = self.pages[cursor or first]
        following = () if cursor else tuple(others)
        return Page(products=page.products, next=following, total=self.total)


@attrs.frozen(kw_only=True)
class _Remembering:
    limits: Limits
    name: str = "remembering"
    held: dict[ProductKey, Ours] = attrs.field(factory=dict[ProductKey, Ours])

    async def find(
        self, wanted: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Ours]:
        found = ((product.key, self.held.get(product.key)) for product in wanted)
        return {key: held for key, held in found if held is not None}

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        await asyncio.sleep(0)
        for change in changes:
            ours = Ours(product=change.product, receipt=change.receipt)
            self.held[change.key] = ours
        return [change.done() for change in changes]
