"""A run that is cancelled, at any moment, does not block later runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import attrs
import pytest
from tests.engine.fakes import catalog, check, fast, idle
from tests.engine.shop import Shop

from catalogsync import Run, RunStatus, StateSettings, Sync, as_source, sync
from catalogsync.state import StateStore


@attrs.frozen
class Slow:
    """A state store one of whose methods takes until a test lets it go on.

    Attributes:
        store: The real one.
        method: Which method.
        after: Whether it has done its work by then.
    """

    store: StateStore
    method: str
    after: bool
    reached: asyncio.Event = attrs.field(factory=asyncio.Event)
    go: asyncio.Event = attrs.field(factory=asyncio.Event)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        real: Callable[..., Awaitable[Any]] = getattr(self.store, name)
        if name != self.method:
            return real

        async def slow(*args: Any, **options: Any) -> Any:
            result = await real(*args, **options) if self.after else None
            self.reached.set()
            await self.go.wait()
            return result if self.after else await real(*args, **options)

        return slow

    async def let_go(self) -> None:
        """Wait until it is called, and let it end a moment later."""
        await self.reached.wait()
        asyncio.get_running_loop().call_soon(self.go.set)


async def _cancel(run: Run, moment: Awaitable[None]) -> None:
    """Start a run and cancel it at some moment."""
    async with run:
        await moment
        raise asyncio.CancelledError


async def _next(shop: Shop, store: StateStore) -> None:
    """Another run, which must not find itself kept out."""
    source = as_source(catalog(3), name="shop")
    report = await sync(source, shop, options=fast(), job="j", state=store)
    check(report)
    assert report.status is RunStatus.SUCCEEDED
    assert sorted(shop.titles()) == ["0", "1", "2"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", ["take_lease", "drop_lease"])
async def test_while_the_lease_changes_hands(method: str, after: bool) -> None:
    shop = Shop()
    async with StateSettings().open() as store:
        slow = Slow(store, method, after)
        source = as_source(catalog(3), name="shop")
        run = Sync(source, shop, options=fast(), state=cast("StateStore", slow)).run()
        with pytest.raises(asyncio.CancelledError):
            await _cancel(run, slow.let_go())
        await _next(shop, store)


@pytest.mark.parametrize("turns", range(1, 50, 2))
async def test_at_any_moment(turns: int) -> None:
    shop = Shop()
    async with StateSettings().open() as store:
        source = as_source(catalog(3), name="shop")
        run = Sync(source, shop, options=fast(), state=store).run()
        with pytest.raises(asyncio.CancelledError):
            await _cancel(run, idle(turns))
        await _next(shop, store)
