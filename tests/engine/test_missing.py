"""Products that people deleted, and products that stand there without our key."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from catalogsync import (
    AdoptBy,
    Missing,
    Options,
    Product,
    ProductKey,
    Report,
    RunStatus,
    RunStore,
    StoreSettings,
    as_source,
    sync,
)

from .fakes import FAST, LookupSource, check, key, product
from .shop import Row, Shop, loses


@pytest_asyncio.fixture
async def store() -> AsyncGenerator[RunStore]:
    async with StoreSettings().open() as opened:
        yield opened


async def run(
    shop: Shop, store: RunStore | None, *products: Product, **options: Any
) -> Report:
    report = await sync(
        as_source(products, name="shop"),
        shop,
        options=Options(retry=FAST, **options),
        store=store,
    )
    check(report)
    return report


async def test_a_deleted_product_is_created_again(store: RunStore) -> None:
    shop = Shop()
    await run(shop, store, product(1), product(2))
    shop.rows.remove(shop.one(key(1)))
    report = await run(shop, store, product(1), product(2))
    assert report.counts.created == 1


async def test_or_left(store: RunStore) -> None:
    shop = Shop()
    leave = {"missing": Missing.LEAVE}
    await run(shop, store, product(1), product(2), **leave)
    shop.rows.remove(shop.one(key(1)))
    for _ in range(2):
        report = await run(shop, store, product(1), product(2), product(3), **leave)
        assert report.status is RunStatus.SUCCEEDED
        assert report.counts.skipped == 1
    assert sorted(shop.titles()) == ["2", "3"]
    report = await run(shop, store, product(1), product(2))
    assert report.counts.created == 1


async def test_one_that_we_removed_is_created_again(store: RunStore) -> None:
    shop = Shop()
    leave = {"missing": Missing.LEAVE, "prune": "delete", "max_prune": 9}
    await run(shop, store, product(1), product(2), **leave)
    report = await sync(
        LookupSource(products=[product(1)]),
        shop,
        options=Options(retry=FAST, **leave),  # type: ignore[arg-type]
        store=store,
    )
    assert report.counts.retired == 1
    report = await run(shop, store, product(1), product(2), **leave)
    assert (report.counts.created, report.counts.skipped) == (1, 0)


async def test_one_whose_creation_got_no_answer_is_not_taken_for_deleted(
    store: RunStore,
) -> None:
    shop = Shop()
    shop.before.extend([loses()] * 4)
    leave = {"missing": Missing.LEAVE}
    report = await run(shop, store, product(1), **leave)
    assert report.counts.unsettled == 1
    report = await run(shop, store, product(1), **leave)
    assert report.counts.created == 1


@pytest.mark.parametrize("prune", ["delete", "draft"])
async def test_a_removal_without_an_answer_is_ours_all_the_same(
    store: RunStore, prune: str
) -> None:
    """What we deleted is no person's doing; what we retired is still there."""
    shop = Shop()
    leave = {"missing": Missing.LEAVE, "prune": prune, "max_prune": 9}
    options = Options(retry=FAST, **leave)  # type: ignore[arg-type]
    await run(shop, store, product(1), product(2), **leave)
    shop.after.extend([loses()] * FAST.attempts)
    report = await sync(
        LookupSource(products=[product(1)]), shop, options=options, store=store
    )
    assert report.status is RunStatus.INCOMPLETE
    report = await run(shop, store, product(1), product(2), **leave)
    assert (report.counts.skipped, report.counts.fetched) == (0, 2)
    assert sorted(shop.titles()) == ["1", "2"]


async def test_a_draft_of_ours_that_a_person_deleted_stays_away(
    store: RunStore,
) -> None:
    shop = Shop()
    leave = {"missing": Missing.LEAVE, "prune": "draft", "max_prune": 9}
    await run(shop, store, product(1), product(2), **leave)
    await sync(
        LookupSource(products=[product(1)]),
        shop,
        options=Options(retry=FAST, **leave),  # type: ignore[arg-type]
        store=store,
    )
    shop.rows.remove(shop.one(key(2)))
    report = await run(shop, store, product(1), product(2), **leave)
    assert (report.counts.created, report.counts.skipped) == (0, 1)


async def test_one_that_a_person_deleted_while_an_update_was_open(
    store: RunStore,
) -> None:
    """An update that began does not make it one that we wanted to create."""
    shop = Shop()
    leave = {"missing": Missing.LEAVE, "edits": "keep"}
    await run(shop, store, product(1), **leave)
    shop.before.extend([loses()] * FAST.attempts)
    report = await run(shop, store, product(1, title="Other"), **leave)
    assert report.counts.unsettled == 1
    shop.rows.clear()
    report = await run(shop, store, product(1, title="Other"), **leave)
    assert (report.counts.created, report.counts.skipped) == (0, 1)


def foreign(title: str) -> Row:
    theirs = Product(key=ProductKey("x", "1"), title=title, tags=["theirs"])
    return Row(key=None, handle=title, product=theirs)


async def test_adopted_and_then_like_any_other() -> None:
    shop = Shop(rows=[foreign("Product 1"), foreign("Product 9")])
    adopt = {"adopt": [AdoptBy.SKU]}
    report = await run(shop, None, product(1), product(2), **adopt)
    assert (report.counts.updated, report.counts.created) == (1, 1)
    assert len(shop.rows) == 3
    assert shop.one(key(1)).product.tags == ("theirs",)
    assert shop.one(key(1)).handle == "Product 1"
    report = await run(shop, None, product(1), product(2), **adopt)
    assert report.counts.unchanged == 2


async def test_nobody_is_adopted_unless_it_is_asked_for() -> None:
    shop = Shop(rows=[foreign("Product 1")])
    report = await run(shop, None, product(1))
    assert report.counts.created == 1
    assert shop.rows[0].key is None
