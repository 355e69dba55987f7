"""Unique values that move between products, in the sinks that we ship."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from tests.adapters.sql_databases import Hand
from tests.engine.fakes import FAST
from tests.engine.moving import beginning, expected, moved, products, values_of
from tests.history.story import variant

from catalogsync import (
    Existing,
    Field,
    Options,
    Product,
    ProductKey,
    Prune,
    Report,
    RunStatus,
    Sink,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings

if TYPE_CHECKING:
    from catalogsync.adapters.sql import SQLSink


def medusa_settings(medusa: Any) -> MedusaSettings:
    return MedusaSettings(url=medusa.url, email=medusa.email, password=medusa.password)


async def put(sink: Sink, each: Sequence[Product], job: str, **options: Any) -> Report:
    source = as_source(each, name="shop")
    return await sync(source, sink, options=Options(retry=FAST, **options), job=job)


async def there(sink: Sink, each: Sequence[Product]) -> dict[Any, object]:
    """What the sink has for these."""
    found = (await sink.find(each, fields=frozenset(Field))).values()
    return values_of(
        existing.product for existing in found if isinstance(existing, Existing)
    )


async def move_about(sink: Sink, seed: int) -> None:
    """Values move, are supplied no more, and come back; each run puts all right."""
    random, size, before = Random(seed), seed % 6 + 1, beginning("123")
    report = await put(sink, products("123", before), "job")
    assert report.status is RunStatus.SUCCEEDED, str(report)
    after = moved(random, before, "12345")
    each = products("12345", after)
    report = await put(sink, each, "job", batch_size=size)
    assert report.status is RunStatus.SUCCEEDED, str(report)
    assert await there(sink, each) == expected(before, after)
    again = await put(sink, each, "job")
    assert again.counts.unchanged == 5, str(again)
    last = beginning("12345")
    report = await put(sink, products("12345", last), "job", batch_size=size)
    assert report.status is RunStatus.SUCCEEDED, str(report)
    assert await there(sink, each) == last


@pytest.mark.parametrize("seed", range(5))
async def test_medusa(medusa: Any, seed: int) -> None:
    async with medusa_settings(medusa).open() as sink:
        await move_about(sink, seed)


@pytest.mark.parametrize("seed", range(10))
async def test_sql_with_a_rule_of_the_shops_people(
    sink: SQLSink, hand: Hand, seed: int
) -> None:
    """They want an SKU and a barcode once."""
    await sink.write([])
    for name in ("sku", "barcode"):
        await hand(f"CREATE UNIQUE INDEX one_{name} ON variant ({name})")
    await move_about(sink, seed)


async def test_sql_names_who_has_a_value(sink: SQLSink, hand: Hand) -> None:
    """Of ours, of the shop's people, and in the same batch."""
    await sink.write([])
    await hand("CREATE UNIQUE INDEX one_sku ON variant (sku)")
    await put(sink, [thing("1", "A"), thing("2", "B")], "job")
    await hand("UPDATE product SET source = NULL WHERE source_id = '2'")
    desired = {"1": "A", "3": "A", "4": "B", "5": "C", "6": "C"}
    report = await put(sink, [thing(*item) for item in desired.items()], "job")
    reasons = {failure.key.id: failure.reason for failure in report.failures}
    assert reasons == {
        "3": "SKU A is taken by row 1 of table product, which is shop:1",
        "4": "SKU B is taken by row 2 of table product, which is not ours",
        "6": f"SKU C is taken by row {await row_of(hand, '5')} of table product,"
        " which is shop:5",
    }


async def row_of(hand: Hand, id_: str) -> Any:
    ((row,),) = await hand(f"SELECT id FROM product WHERE source_id = '{id_}'")
    return row


def thing(id_: str, sku: object, title: str = "Thing") -> Product:
    only = Variant(id="1", sku=sku)  # type: ignore[arg-type]
    return Product(key=ProductKey("shop", id_), title=title, variants=[only])


async def test_medusa_does_not_blame_the_holder(medusa: Any) -> None:
    """It is in the same batch for another reason, and is written."""
    async with medusa_settings(medusa).open() as sink:
        await put(sink, [thing("1", "A"), thing("2", "B")], "job")
        each = [thing("1", "A", title="New"), thing("2", "A")]
        report = await put(sink, each, "job")
        assert report.counts.updated == 1
        (failure,) = report.failures
        assert str(failure).startswith("failed shop:2: SKU A is taken by product")
        assert "which is shop:1" in failure.reason


@pytest.mark.parametrize("by_hand", [False, True])
async def test_medusa_after_another_job_unpublished_the_holder(
    medusa: Any, by_hand: bool
) -> None:
    async with medusa_settings(medusa).open() as sink:
        options = {"prune": Prune.UNPUBLISH, "max_prune": 10}
        await put(sink, [thing("1", "A"), thing("2", "B")], "cups")
        # The list is the whole source, and says at once what it has.
        await sync(
            Asked([thing("2", "B")]), sink, options=Options(**options), job="cups"
        )
        if by_hand:
            path = "/admin/products?external_id=shop:1&fields=id,variants.id,status"
            (row,) = (await medusa.get(path))["products"]
            assert row["status"] == "draft"
            (only,) = row["variants"]
            path = f"/admin/products/{row['id']}/variants/{only['id']}"
            await medusa.post(path, {"sku": "C"})
        report = await put(sink, [thing("3", "C" if by_hand else "A")], "pots")
        if not by_hand:
            assert report.status is RunStatus.SUCCEEDED, str(report)
            return
        (failure,) = report.failures
        assert "which is shop:1 and was unpublished" in failure.reason
        assert failure.reason.endswith("so it stays: change it in the store")


@attrs.define
class Asked:
    """A source that can be asked for single products."""

    products: Sequence[Product]
    name: str = "shop"

    async def read(self, cursor: Any, /) -> Any:
        return await as_source(self.products, name=self.name).read(None)

    async def get(self, keys: Sequence[ProductKey], /) -> Any:
        some = [product for product in self.products if product.key in keys]
        return await as_source(some, name=self.name).read(None)


async def test_medusa_with_an_option_less_has_a_variant_of_a_person_in_the_way(
    medusa: Any,
) -> None:
    """The first run says so, and writes everything else."""
    both = [variant(s, s, options={"Size": s, "Fit": "slim"}) for s in "SM"]
    sizes = [variant(s, s, options={"Size": s}) for s in "SML"]
    key = ProductKey("shop", "1")
    async with medusa_settings(medusa).open() as sink:
        await put(sink, [Product(key=key, title="Shirt", variants=both)], "job")
        path = "/admin/products?external_id=shop:1&fields=id,options.id,options.title"
        (row,) = (await medusa.get(path))["products"]
        (size,) = (o["id"] for o in row["options"] if o["title"] == "Size")
        values = {"product_option_id": size, "add": [{"value": "L"}]}
        path = f"/admin/products/{row['id']}"
        await medusa.post(f"{path}/options/batch", {"update": [values]})
        theirs = {"title": "theirs", "options": {"Size": "L", "Fit": "slim"}}
        await medusa.post(f"{path}/variants", {**theirs, "prices": []})
        for number in range(2):
            each = [Product(key=key, title="Shirt", variants=sizes)]
            report = await put(sink, each, "job")
            assert (report.counts.updated, report.counts.unchanged) == (
                (0, 1) if number else (1, 0)
            ), str(report)
            (warning,) = report.warnings
            assert "variant L is not created" in warning
