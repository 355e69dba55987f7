"""Written products are kept for receivers: none is lost, whatever happens to a run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from catalogsync import (
    Change,
    Field,
    MemorySink,
    MisconfiguredError,
    Options,
    Product,
    ProductKey,
    Prune,
    RefusedError,
    RetryPolicy,
    StateSettings,
    Sync,
    as_source,
    sync,
)
from catalogsync.catalog.outcomes import OutcomeStatus, WrittenProduct
from catalogsync.events import Event, ProductsWritten
from catalogsync.state import HasOutbox, Outbox, StateStore

from .fakes import catalog, fast, product
from .shop import Hook, Shop, loses

TO = ("storefront", "search")
ONCE = RetryPolicy(attempts=1, wait_initial=0, wait_jitter=0)


class Killed(BaseException):
    """The process is gone."""


async def die(_: Shop, __: Sequence[Change]) -> None:
    raise Killed


def outbox(store: StateStore) -> Outbox:
    assert isinstance(store, HasOutbox)
    return store.outbox


async def run(
    shop: Shop | MemorySink,
    store: StateStore,
    products: Sequence[Product],
    options: Options | None = None,
) -> None:
    await sync_to(shop, store, products, options).run()


def sync_to(
    shop: Shop | MemorySink,
    store: StateStore,
    products: Sequence[Product],
    options: Options | None = None,
) -> Sync:
    options = options or fast(prune=Prune.DELETE, max_prune=50)
    source = as_source(products, name="shop")
    return Sync(source, shop, options=options, job="j", state=store, inform=TO)


async def received(store: StateStore, receiver: str = "storefront") -> list[str]:
    """What a receiver gets now, as lines; it accepts all messages."""
    lines: list[str] = []
    while message := await outbox(store).take("j", receiver, hold=60):
        assert 1 <= len(message.products) <= 100
        lines += [text(product) for product in message.products]
        await outbox(store).delivered(message.id)
    return lines


def text(written: WrittenProduct) -> str:
    parts = [written.status, written.key.id, *written.fields]
    return " ".join(part for part in parts if part)


async def test_created_updated_and_removed_products() -> None:
    shop = Shop()
    async with StateSettings().open() as store:
        await run(shop, store, [product(1), product(2)])
        assert await received(store) == ["created 1", "created 2"]
        await run(shop, store, [product(1, title="New", description="d"), product(2)])
        (line,) = await received(store)
        assert line.split()[:2] == ["updated", "1"]
        assert {*line.split()[2:]} == {"title", "description"}
        await run(shop, store, [product(2)])
        assert await received(store) == []  # it may be back in the next run
        await run(shop, store, [product(2)])
        assert await received(store) == ["removed 1"]
        await run(shop, store, [product(2)])
        assert await received(store) == []
        assert len(await received(store, "search")) == 4


async def test_a_message_says_handle_and_id_if_the_sink_does() -> None:
    @attrs.define(kw_only=True)
    class Numbered(Shop):
        async def write(self, changes: Sequence[Change], /):  # type: ignore[no-untyped-def]
            outcomes = await super().write(changes)
            return [attrs.evolve(o, sink_id=f"id-{o.key.id}") for o in outcomes]

    async with StateSettings().open() as store:
        await run(Numbered(), store, [product(1)])
        message = await outbox(store).take("j", "search", hold=60)
        assert message is not None
        (written,) = message.products
        assert (written.handle, written.sink_id) == ("product 1-1", "id-1")


async def test_large_catalogs_need_few_messages() -> None:
    async with StateSettings().open() as store:
        await run(MemorySink(), store, catalog(250), fast(batch_size=7))
        messages = await outbox(store).messages("j")
        sizes = {
            to: [len(m.products) for m in messages if m.receiver == to] for to in TO
        }
        assert sizes == {to: [100, 100, 50] for to in TO}
        assert len({message.id for message in messages}) == 6


async def test_a_plan_informs_nobody() -> None:
    async with StateSettings().open() as store:
        await sync_to(Shop(), store, [product(1)]).plan(lambda _: None)
        assert await outbox(store).messages("j") == []
        assert await outbox(store).unconfirmed("j", "shop in memory") == []


async def test_released_products_stay_as_they_are() -> None:
    shop = Shop()
    async with StateSettings().open() as store:
        await run(shop, store, [product(1)])
        await received(store)
        await sync_to(shop, store, []).release()
        assert await received(store) == []


async def test_receivers_need_a_store_with_an_outbox() -> None:
    source = as_source([product(1)], name="shop")
    with pytest.raises(MisconfiguredError, match="state: is needed with an outbox"):
        await Sync(source, MemorySink(), inform=["storefront"]).run()


async def test_hooks_receive_the_same_products_without_a_store() -> None:
    seen: list[Event] = []
    shop, source = Shop(), as_source([product(1), product(2)], name="shop")
    await sync(source, shop, options=fast(), hooks=[seen.append])
    written = [p for e in seen if isinstance(e, ProductsWritten) for p in e.products]
    assert [text(each) for each in written] == ["created 1", "created 2"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("on_manual_edit", ["keep", "overwrite"])
async def test_a_killed_update(moment: str, on_manual_edit: str) -> None:
    """Whether or not it was done, the next run lists it once."""
    shop = Shop()
    options = fast(on_manual_edit=on_manual_edit)
    async with StateSettings().open() as store:
        await run(shop, store, [product(1)], options)
        await received(store)
        getattr(shop, moment).append(die)
        with pytest.raises((Killed, BaseExceptionGroup)):
            await run(shop, store, [product(1, title="New")], options)
        assert await received(store) == []
        await run(shop, store, [product(1, title="New")], options)
        assert await received(store) == ["updated 1 title"]


async def test_a_killed_removal_that_was_done() -> None:
    shop = Shop()
    async with StateSettings().open() as store:
        await run(shop, store, [product(1), product(2)])
        await run(shop, store, [product(1)])
        await received(store)
        shop.after.append(die)
        with pytest.raises((Killed, BaseExceptionGroup)):
            await run(shop, store, [product(1)])
        await run(shop, store, [product(1)])
        assert await received(store) == ["removed 2"]


async def test_a_killed_removal_that_was_not_done() -> None:
    shop = Shop()
    async with StateSettings().open() as store:
        await run(shop, store, [product(1), product(2)])
        await run(shop, store, [product(1)])
        await received(store)
        shop.before.append(die)
        with pytest.raises((Killed, BaseExceptionGroup)):
            await run(shop, store, [product(1)])
        await run(shop, store, [product(1), product(2)])
        assert await received(store) == []
        assert await outbox(store).unconfirmed("j", shop.endpoint) == []


async def test_an_unresolved_product_is_listed_when_it_is_resolved() -> None:
    shop = Shop()
    shop.after.append(loses())
    async with StateSettings().open() as store:
        await run(shop, store, [product(1)], fast(retry=ONCE))
        assert await received(store) == []
        await run(shop, store, [product(1)], fast(retry=ONCE))
        assert await received(store) == ["created 1"]


async def test_an_unresolved_product_that_left_the_source() -> None:
    shop = Shop()
    shop.after.append(loses())
    async with StateSettings().open() as store:
        await run(shop, store, [product(1)], fast(retry=ONCE))
        await run(shop, store, [product(2)], fast())
        assert sorted(await received(store)) == ["created 1", "created 2"]


async def test_a_lane_says_nothing_about_an_unresolved_write() -> None:
    """It compares other fields than the write that may have happened."""
    shop = Shop()
    new = product(1, title="New")
    async with StateSettings().open() as store:
        await run(shop, store, [product(1)])
        await received(store)
        shop.before.append(loses())
        await run(shop, store, [new], fast(retry=ONCE))
        await run(shop, store, [new], fast(only=frozenset({Field.STOCK})))
        assert await received(store) == []
        await run(shop, store, [new])
        assert await received(store) == ["updated 1 title"]


async def test_a_failed_product_is_not_listed() -> None:
    async def refuse(_: Shop, __: Sequence[Change]) -> None:
        raise RefusedError("no")

    shop = Shop()
    shop.before.append(refuse)
    async with StateSettings().open() as store:
        await run(shop, store, [product(1)])
        assert await received(store) == []
        assert await outbox(store).unconfirmed("j", shop.endpoint) == []


@attrs.frozen
class Step:
    """One run: the titles that the source has, and what happens in its writes."""

    titles: dict[int, int]
    before: list[Hook | None]
    after: list[Hook | None]
    partial: bool


hooks = st.lists(st.sampled_from([None, None, die, loses()]), max_size=3)
steps = st.builds(
    Step,
    st.dictionaries(st.integers(1, 5), st.integers(1, 3), max_size=5),
    hooks,
    hooks,
    st.booleans(),
)


def rows_of(shop: Shop) -> dict[ProductKey, tuple[str, object]]:
    return {r.key: (r.product.title, r.product.status) for r in shop.rows if r.key}


@settings(max_examples=100)
@given(st.lists(steps, max_size=5), steps, st.sampled_from(Prune))
def test_a_cache_that_follows_the_messages_equals_the_shop(
    plan: list[Step], last: Step, prune: Prune
) -> None:
    """The cache reads each listed product again, as a storefront does."""

    async def follow() -> None:
        shop, cache = Shop(), dict[ProductKey, tuple[str, object]]()
        options = fast(retry=ONCE, batch_size=2, prune=prune, max_prune=50, grace=0)
        async with StateSettings().open() as store:
            for step in [
                *plan,
                last,
                attrs.evolve(last, before=[], after=[], partial=False),
            ]:
                shop.before, shop.after = deque(step.before), deque(step.after)
                titles = {9: 1, **step.titles}  # nothing is removed for an empty source
                products = [product(n, title=f"T{t}") for n, t in titles.items()]
                these = attrs.evolve(options, limit=2) if step.partial else options
                with suppress(Killed, BaseExceptionGroup):
                    await run(shop, store, products, these)
                await update(cache, shop, store)
            assert cache == rows_of(shop)

    asyncio.run(follow())


async def update(
    cache: dict[ProductKey, tuple[str, object]], shop: Shop, store: StateStore
) -> None:
    while message := await outbox(store).take("j", "search", hold=60):
        for written in message.products:
            row = rows_of(shop).get(written.key)
            cache.pop(written.key, None)
            if row is not None:
                cache[written.key] = row
            if written.status is OutcomeStatus.REMOVED and row:
                assert "draft" in str(row[1])
        await outbox(store).delivered(message.id)
