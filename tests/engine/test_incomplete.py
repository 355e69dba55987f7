"""Incomplete products, which a killed server leaves behind."""

from __future__ import annotations

from collections.abc import Sequence

from catalogsync import (
    Change,
    Options,
    Report,
    RunStatus,
    Sync,
    TransientError,
    Update,
    as_source,
    sync,
)

from .fakes import FAST, Seen, catalog, check, key, product
from .shop import Shop, loses

OPTIONS = Options(retry=FAST, grace=60)


async def run(shop: Shop, *products: int, options: Options = OPTIONS) -> Report:
    source = as_source([product(n) for n in products], name="shop")
    report = await sync(source, shop, options=options)
    check(report)
    return report


async def incomplete(*numbers: int, age: float) -> Shop:
    shop = Shop()
    await run(shop, 1, 2, 3)
    for number in numbers:
        row = shop.one(key(number))
        row.missing_parts, row.age = ("no variant",), age
    shop.writes.clear()
    return shop


async def test_an_old_one_is_repaired_though_nothing_differs() -> None:
    shop = await incomplete(2, age=61)
    report = await run(shop, 1, 2, 3)
    assert (report.counts.updated, report.counts.unchanged) == (1, 2)
    assert shop.writes == [["update 2"]]
    assert shop.one(key(2)).missing_parts == ()


async def test_it_is_looked_at_twice_before() -> None:
    shop = await incomplete(2, age=61)
    shop.finds = 0
    await run(shop, 1, 2, 3)
    assert shop.finds == 2


async def test_a_young_one_is_left_to_the_request_that_creates_it() -> None:
    shop = await incomplete(2, age=5)
    report = await run(shop, 1, 2, 3, options=Options(retry=FAST, grace=5.01))
    assert report.status is RunStatus.INCOMPLETE
    assert (report.counts.unresolved, report.counts.unchanged) == (1, 2)
    assert "incomplete" in report.failures[0].reason
    assert shop.writes == []


async def test_many_young_ones_do_not_count_as_a_sink_that_is_down() -> None:
    shop = await incomplete(1, 2, age=0)
    shop.limits = shop.limits.__class__(batch=1)
    source = as_source([*catalog(3), *(product(n) for n in range(3, 9))], name="shop")
    options = Options(retry=FAST, grace=0.01, batch_size=1)
    report = await sync(source, shop, options=options)
    assert report.counts.unresolved == 2
    assert report.counts.created == 6


async def test_one_that_is_completed_meanwhile_is_not_touched() -> None:
    shop = await incomplete(2, age=61)
    shop.finds = 0

    def complete(number: int) -> None:
        if number == 2:
            shop.one(key(2)).missing_parts = ()

    shop.on_find = complete
    report = await run(shop, 1, 2, 3)
    assert shop.writes == []
    assert report.counts.unchanged == 3


async def test_one_that_moves_is_still_being_made() -> None:
    shop = await incomplete(2, age=61)
    missing_parts = iter([("no variant",), ("no price",), ("no stock",), ("no stock",)])

    def go_on(_: int) -> None:
        shop.one(key(2)).missing_parts = next(missing_parts, ("no stock",))

    shop.on_find = go_on
    seen = Seen()
    source = as_source([product(n) for n in (1, 2, 3)], name="shop")
    report = await sync(source, shop, options=OPTIONS, hooks=[seen])
    assert report.counts.updated == 1
    assert report.retries == 2
    assert shop.writes == [["update 2"]]


async def test_repairs_go_apart_from_updates() -> None:
    shop = await incomplete(2, age=61)
    products = [product(1, title="New"), product(2), product(3)]
    await sync(as_source(products, name="shop"), shop, options=OPTIONS)
    assert sorted(shop.writes) == [["update 1"], ["update 2"]]


async def test_our_own_creation_that_lost_its_answer_in_the_middle() -> None:
    """It is found incomplete, left alone, and counts as created."""
    shop = Shop()

    async def cut(shop: Shop, changes: Sequence[Change]) -> None:
        for row in shop.rows:
            row.missing_parts, row.age = ("no price",), 0.0
        raise TransientError("no answer", retry_after=0)

    def complete(number: int) -> None:
        if number == 3:
            for row in shop.rows:
                row.missing_parts = ()

    shop.on_find = complete
    shop.after.append(cut)
    report = await run(shop, 1, 2, options=Options(retry=FAST, grace=0.001))
    assert report.counts.created == 2
    assert shop.writes == [["create 1", "create 2"]]


async def test_a_lost_repair_is_looked_at_again() -> None:
    shop = await incomplete(1, 3, age=90)
    shop.after.append(loses())
    report = await run(shop, 1, 2, 3)
    assert (report.counts.updated, report.counts.unchanged) == (2, 1)
    assert len(shop.writes) == 1


async def test_a_plan_reports_it() -> None:
    shop = await incomplete(2, age=61)
    shown: list[object] = []
    source = as_source(catalog(3)[1:], name="shop")
    await Sync(source, shop, options=OPTIONS).plan(shown.append)
    (change,) = [c for c in shown if isinstance(c, Change)]
    assert isinstance(change, Update)
    assert change.existing.missing_parts == ("no variant",)
