"""The engine alone: pages that are there already, and a sink that only remembers.

Reading the queue, planning, last-applied states, batches and books; no HTTP and no adapters.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from catalogsync import (
    Existing,
    Field,
    Limits,
    Options,
    Outcome,
    Page,
    Product,
    ProductKey,
    sync,
)
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.catalog.changes import Write
from catalogsync.engine.promises import built
from catalogsync.protocols import Cursor


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
        pages = [built(await source.read(cursor)) for cursor in cursors]
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
    existing: dict[ProductKey, Existing] = attrs.field(
        factory=dict[ProductKey, Existing]
    )

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Existing]:
        found = ((product.key, self.existing.get(product.key)) for product in desired)
        return {key: existing for key, existing in found if existing is not None}

    async def write(self, changes: Sequence[Write], /) -> Sequence[Outcome]:
        await asyncio.sleep(0)
        for change in changes:
            ours = Existing(product=change.product, last_applied=change.last_applied)
            self.existing[change.key] = ours
        return [change.done() for change in changes]
