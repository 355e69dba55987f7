"""Writes without an outcome, and what the next run does about them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest
import pytest_asyncio

from catalogsync import (
    Change,
    Create,
    Limits,
    OnManualEdit,
    Options,
    Product,
    ProductKey,
    RefusedError,
    RetryPolicy,
    RunStatus,
    StateSettings,
    TransientError,
    as_source,
    sync,
)
from catalogsync.state import StateStore

from .fakes import FAST, fast, key, product
from .shop import Shop, loses


@pytest_asyncio.fixture
async def store() -> AsyncGenerator[StateStore]:
    async with StateSettings().open() as opened:
        yield opened


class Killed(BaseException):
    """The process is gone."""


async def die(_: Shop, __: Sequence[Change]) -> None:
    raise Killed


async def killed_in_the_write(
    shop: Shop, store: StateStore, *products: Product, options: Options | None = None
) -> None:
    """A run whose process is gone before anything could be noted."""
    with pytest.raises((Killed, BaseExceptionGroup)):
        await sync(
            as_source(products, name="shop"),
            shop,
            options=options or fast(),
            job="j",
            state=store,
        )


async def test_an_intent_lives_as_long_as_the_end_is_not_known(
    store: StateStore,
) -> None:
    seen: list[object] = []

    async def look(_: Shop, __: Sequence[Change]) -> None:
        seen.append(await store.intents(shop.endpoint, "shop"))

    shop = Shop()
    shop.before.append(look)
    await sync(as_source([product(1)], name="shop"), shop, job="j", state=store)
    (before,) = seen
    assert isinstance(before, dict)
    assert [intent.handle for intent in before.values()] == ["product 1-1"]
    assert await store.intents(shop.endpoint, "shop") == {}


async def test_the_same_handle_when_the_title_changed_meanwhile(
    store: StateStore,
) -> None:
    """The creation is still going on when the next run looks: it must collide."""
    shop = Shop()
    shop.before.append(die)
    await killed_in_the_write(shop, store, product(1, title="Old"))
    assert not shop.rows

    async def finishes(shop: Shop, _: Sequence[Change]) -> None:
        """The first request is carried out only now."""
        old = product(1, title="Old")
        late = Create(
            product=old,
            fields=frozenset(),
            last_applied="{}",
            handle=shop.handle(old),
        )
        shop.work([late])

    shop.before.append(finishes)
    report = await sync(
        as_source([product(1, title="New")], name="shop"),
        shop,
        options=fast(),
        job="j",
        state=store,
    )
    assert report.status is RunStatus.SUCCEEDED
    assert shop.titles() == {"1": "New"}
    assert shop.rows[0].handle == "old-1"
    assert await store.intents(shop.endpoint, "shop") == {}


async def test_without_it_there_would_be_two(store: StateStore) -> None:
    """What the store is for: the same without one makes a second product."""
    shop = Shop()
    await sync(as_source([product(1, title="Old")], name="shop"), shop)
    hidden = shop.rows.pop()

    async def finishes(shop: Shop, _: Sequence[Change]) -> None:
        shop.rows.append(hidden)

    shop.before.append(finishes)
    await sync(as_source([product(1, title="New")], name="shop"), shop, options=fast())
    assert len(shop.of(key(1))) == 2


async def test_an_unresolved_creation_keeps_its_intent(store: StateStore) -> None:
    shop = Shop()
    shop.before.extend([loses()] * 4)
    report = await sync(
        as_source([product(1)], name="shop"),
        shop,
        options=fast(),
        job="j",
        state=store,
    )
    assert report.counts.unresolved == 1
    assert list(await store.intents(shop.endpoint, "shop")) == [key(1)]


async def test_an_interrupted_update_is_not_a_manual_edit(store: StateStore) -> None:
    """A new last-applied state with an old value looks like an edit, but is not."""
    shop = Shop()
    keep = Options(retry=FAST, on_manual_edit=OnManualEdit.KEEP)

    async def again(title: str) -> None:
        source = as_source([product(1, title=title)], name="shop")
        await sync(source, shop, options=keep, job="j", state=store)

    await again("Old")

    async def half(shop: Shop, changes: Sequence[Change]) -> None:
        """Only the last-applied state is written."""
        shop.one(key(1)).last_applied = changes[0].last_applied
        raise Killed

    shop.before.append(half)
    await killed_in_the_write(shop, store, product(1, title="New"), options=keep)
    assert shop.titles() == {"1": "Old"}
    await again("New")
    assert shop.titles() == {"1": "New"}


async def test_where_creations_do_not_collide_a_lost_answer_gets_its_time() -> None:
    """The first request ends while the engine waits, so nothing is doubled."""
    shop = Shop(limits=Limits(collides=False), unique=False)
    late: list[Sequence[Change]] = []

    async def lost(_: Shop, changes: Sequence[Change]) -> None:
        late.append(changes)
        raise TransientError("no answer")

    def finishes(number: int) -> None:
        if number == 2:
            shop.work(late[0])

    shop.before.append(lost)
    shop.on_find = finishes
    report = await sync(
        as_source([product(1)], name="shop"),
        shop,
        options=Options(retry=RetryPolicy(timeout=50), grace=60),
    )
    assert report.counts.unresolved == 1, "there is no time left to wait that long"
    report = await sync(
        as_source([product(1)], name="shop"),
        shop,
        options=Options(retry=FAST, grace=0),
    )
    assert report.status is RunStatus.SUCCEEDED
    assert shop.titles() == {"1": "Product 1"}


async def test_where_creations_do_not_collide_refusals_do_not_wait() -> None:
    """Only a creation without an answer is in doubt."""
    shop = Shop(limits=Limits(collides=False))

    async def refuse(_: Shop, __: Sequence[Change]) -> None:
        raise RefusedError("no")

    shop.before.append(refuse)
    options = Options(retry=RetryPolicy(timeout=50), grace=60)
    source = as_source([product(1)], name="shop")
    report = await sync(source, shop, options=options)
    assert report.counts.failed == 1


async def test_where_creations_do_not_collide_one_that_did_not_begin_does_not_wait() -> (
    None
):
    """After "too many requests", each creation waited for the whole grace."""
    shop = Shop(limits=Limits(collides=False))

    async def busy(_: Shop, __: Sequence[Change]) -> None:
        raise TransientError("too many", begun=False)

    shop.before.append(busy)
    options = Options(retry=FAST, grace=60)
    source = as_source([product(1)], name="shop")
    report = await sync(source, shop, options=options)
    assert report.status is RunStatus.SUCCEEDED
    assert report.retries == 1


@pytest.mark.parametrize(
    ("job", "grace", "left"),
    [("j", 0.0, []), ("j", 600.0, [key(1)]), ("other", 0.0, [key(1)])],
    ids=["over", "young", "of another job"],
)
async def test_an_intent_ends_when_its_product_left_the_source(
    store: StateStore, job: str, grace: float, left: list[ProductKey]
) -> None:
    shop = Shop()
    shop.before.append(die)
    await killed_in_the_write(shop, store, product(1), product(2))
    report = await sync(
        as_source([product(2)], name="shop"),
        shop,
        options=Options(retry=FAST, grace=grace),
        job=job,
        state=store,
    )
    assert report.status is RunStatus.SUCCEEDED
    assert list(await store.intents(shop.endpoint, "shop")) == left


async def test_an_intent_of_an_unknown_run_ends_too(store: StateStore) -> None:
    shop = Shop()
    await store.put_intents(shop.endpoint, "long ago", {key(1): "product-1"})
    source = as_source([product(2)], name="shop")
    await sync(source, shop, options=Options(grace=0.0), job="j", state=store)
    assert await store.intents(shop.endpoint, "shop") == {}


async def test_a_repeated_creation_starts_again(store: StateStore) -> None:
    """Its age counts from the last request, and the handle is that of the first."""
    shop = Shop()
    shop.before.append(die)
    await killed_in_the_write(shop, store, product(1, title="Old"))
    (before,) = (await store.intents(shop.endpoint, "shop")).values()
    shop.before.append(die)
    await killed_in_the_write(shop, store, product(1, title="New"), options=fast())
    (after,) = (await store.intents(shop.endpoint, "shop")).values()
    assert after.run_id != before.run_id
    assert after.handle == before.handle
