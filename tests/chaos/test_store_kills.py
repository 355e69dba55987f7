"""A real Medusa store that is killed in the middle of its work."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from tests.engine.fakes import NEVER_HELD, check
from tests.holdup import gate

from catalogsync import CatalogSyncError, Options, Report, RetryPolicy, RunStatus, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.state import StateSettings
from catalogsync.state.protocols import StateStore
from catalogsync.testing import dummyjson_server
from catalogsync.testing.dummyjson import DummyJSONServer

from .shelves import MedusaShelf, medusa_shelf
from .test_real import change
from .things import desired, once

OPTIONS = Options(
    retry=RetryPolicy(attempts=3, wait_initial=0.1, wait_jitter=0),
    batch_size=25,
    prune="delete",
    grace=2,
    guard=NEVER_HELD,
)
CREATES = {
    "products": "product t",
    "variants": "product_variant t",
    "inventory items": "inventory_item t",
    "links to inventory": "product_variant_inventory_item t",
    "prices": "price t",
}
UPDATES = {
    "titles": "product t WHERE t.title LIKE '%(new)'",
    "prices": "price t WHERE t.amount = 12.5",
    "stock": "inventory_level t WHERE t.stocked_quantity = 77",
    "removals": "product t WHERE t.deleted_at IS NOT NULL",
    "tags": "product_tags t JOIN product_tag p ON p.id = t.product_tag_id"
    " WHERE p.value = 'changed'",
}


@attrs.frozen
class Scene:
    """A source, a store that can be killed, and a state store."""

    store: Any
    server: DummyJSONServer
    shelf: MedusaShelf
    runs: StateStore

    async def run(self, options: Options = OPTIONS) -> Report | None:
        """A run; None if the store was not there at all."""
        try:
            async with (
                DummyJSONSettings(url=self.server.url, max_requests=0).open() as source,
                self.shelf.open() as sink,
            ):
                report = await sync(
                    source, sink, options=options, job="j", state=self.runs
                )
        except CatalogSyncError:
            return None
        check(report)
        return report

    async def run_killed(
        self, rows: str, most: int, options: Options = OPTIONS
    ) -> None:
        """A run; the store is killed when there are more than so many rows."""
        try:
            async with (
                gate(self.store.facts["database_url"], rows, most) as reached,
                asyncio.TaskGroup() as group,
            ):
                running = group.create_task(self.run(options))
                await reached(running)
                await asyncio.to_thread(self.store.do, "kill")
                report = await running
        finally:
            await asyncio.to_thread(self.store.do, "boot")
        assert report is None or report.status is not RunStatus.SUCCEEDED, str(report)

    async def mend(self) -> dict[str, Any]:
        """Run until all is done; gives everything that is there then."""
        for _ in range(4):
            report = await self.run()
            if report is not None and report.status is RunStatus.SUCCEEDED:
                break
        else:
            pytest.fail(f"does not come to an end: {report}")
        assert not await self.runs.failures("j")
        quiet = await self.run()
        assert quiet is not None
        counts = (quiet.writes, quiet.counts.unchanged)
        assert counts == (0, len(self.server.records)), str(quiet)
        existing = await self.shelf.existing()
        assert existing.ours == once(desired(self.server.records))
        assert not existing.twice
        return await self.shelf.all()


@asynccontextmanager
async def scene(store: Any, records: Sequence[dict[str, Any]]) -> AsyncIterator[Scene]:
    store.do("empty")
    async with (
        dummyjson_server(copy.deepcopy(records)) as server,
        medusa_shelf(SimpleNamespace(**store.facts)) as shelf,
        StateSettings().open() as runs,
    ):
        yield Scene(store, server, shelf, runs)


def differing(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What is not as it would be without the kill, product by product."""
    products, right = found["products"], expected["products"]
    message = [
        f"{key} {name}: {products[key][name]} instead of {right[key][name]}"
        for key in products.keys() & right.keys()
        for name in right[key]
        if products[key][name] != right[key][name]
    ]
    keys = products.keys() ^ right.keys()
    items = set(found["items"]) ^ set(expected["items"])
    return [*message, *keys, *items]


_undisturbed: list[dict[str, Any]] = []


async def undisturbed(
    store: Any, records: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What a store holds after a first run and after one with changes."""
    if not _undisturbed:
        async with scene(store, records) as place:
            _undisturbed.append(await place.mend())
            change(place.server.records)
            _undisturbed.append(await place.mend())
    return _undisturbed


@pytest.mark.parametrize("stage", CREATES)
async def test_while_it_creates(
    real_store: Any, real_records: list[dict[str, Any]], stage: str
) -> None:
    expected, _ = await undisturbed(real_store, real_records)
    async with scene(real_store, real_records) as place:
        await place.run_killed(CREATES[stage], 60)
        assert not differing(await place.mend(), expected)


@pytest.mark.parametrize("stage", UPDATES)
async def test_while_it_updates(
    real_store: Any, real_records: list[dict[str, Any]], stage: str
) -> None:
    _, expected = await undisturbed(real_store, real_records)
    async with scene(real_store, real_records) as place:
        await place.mend()
        change(place.server.records)
        # After the last write nothing would be held up: two removals at a time of three.
        size = 2 if stage == "removals" else OPTIONS.batch_size
        options = attrs.evolve(OPTIONS, batch_size=size)
        await place.run_killed(UPDATES[stage], 0, options)
        assert not differing(await place.mend(), expected)
