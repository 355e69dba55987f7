"""Lanes into Medusa, on the fake and on a real store: what they read and touch."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import attrs
from tests.conftest import Medusa

from catalogsync import (
    Field,
    OnManualEdit,
    Options,
    Price,
    Product,
    ProductKey,
    Report,
    RetryPolicy,
    RunStatus,
    StockLevel,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.diff.last_applied import LastApplied
from catalogsync.events import Event, RequestSent

FAST = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0), grace=0)
LEVELS = "/admin/inventory-items/location-levels/batch"
COLUMNS = (
    *("id", "external_id", "title", "handle", "description", "status", "updated_at"),
    *("thumbnail", "weight", "metadata", "images.url", "tags.value", "categories.id"),
    *("options.title", "options.values.value", "sales_channels.id"),
    "shipping_profile.id",
    *(
        f"variants.{name}"
        for name in (
            *("id", "title", "sku", "metadata", "manage_inventory", "updated_at"),
            *("options.value", "prices.id", "prices.amount", "prices.currency_code"),
            "inventory_items.inventory_item_id",
            "inventory_items.inventory.location_levels.location_id",
            "inventory_items.inventory.location_levels.stocked_quantity",
        )
    ),
)
ALL = f"/admin/products?limit=100&order=external_id&fields={','.join(COLUMNS)}"


@attrs.define
class Wire:
    """The requests of the runs so far."""

    sent: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])

    def __call__(self, event: Event, /) -> None:
        if isinstance(event, RequestSent):
            request = event.request
            self.sent.append((request.method, request.path))

    def taken(self) -> list[tuple[str, str]]:
        """Those since the last call, without the log-in and the store's settings."""
        sent, self.sent = self.sent, []
        products = ("/admin/products", "/admin/inventory-items")
        return [each for each in sent if each[1].startswith(products)]


def shirt(id_: str, stock: int = 5, amount: str = "10", **more: Any) -> Product:
    """A product with two sizes."""
    variants = [
        Variant(
            id=size,
            sku=f"{id_}-{size}",
            options={"Size": size},
            prices=[Price(amount=Decimal(amount), currency="USD")],
            stock=[StockLevel(quantity=stock)],
        )
        for size in "SM"
    ]
    fields: dict[str, Any] = {
        "title": f"Shirt {id_}",
        "variants": variants,
        "tags": ["new"],
    }
    return Product(key=ProductKey("shop", id_), **{**fields, **more})


def cup(id_: str, stock: int = 5, amount: str = "10", **more: Any) -> Product:
    """A product without options."""
    variant = Variant(
        id="default",
        sku=f"cup-{id_}",
        prices=[Price(amount=Decimal(amount), currency="USD")],
        stock=[StockLevel(quantity=stock)],
    )
    fields: dict[str, Any] = {
        "title": f"Cup {id_}",
        "variants": [variant],
        "attributes": {"a": "b"},
    }
    return Product(key=ProductKey("shop", id_), **{**fields, **more})


async def run(
    medusa: Medusa, products: Sequence[Product], wire: Wire, *only: Field, **more: Any
) -> Report:
    settings = MedusaSettings(
        url=medusa.url, email=medusa.email, password=medusa.password
    )
    options = attrs.evolve(FAST, only=only or None, **more)
    source = as_source(products, name="shop")
    async with settings.open() as sink:
        return await sync(source, sink, options=options, job="j", hooks=[wire])


async def rows(medusa: Medusa) -> dict[str, Any]:
    """All products, by external id."""
    found = (await medusa.get(ALL))["products"]
    return {row["external_id"]: row for row in found}


def levels(row: Any) -> list[int]:
    return [
        level["stocked_quantity"]
        for variant in row["variants"]
        for item in variant.pop("inventory_items")
        for level in item["inventory"]["location_levels"]
    ]


async def test_stock_touches_no_product(medusa: Medusa) -> None:
    """One request writes the levels; no product or variant gets a new `updated_at`."""
    wire = Wire()
    await run(medusa, [shirt("1"), cup("2"), cup("3")], wire)
    before = await rows(medusa)
    wire.taken()
    changed = [shirt("1", 4, "11", title="New"), cup("2", 0, "11"), cup("3"), cup("4")]
    report = await run(medusa, changed, wire, Field.STOCK)
    counts = report.counts
    assert (counts.updated, counts.unchanged, counts.skipped) == (2, 1, 1)
    assert report.status is RunStatus.SUCCEEDED, report
    assert wire.taken() == [("GET", "/admin/products"), ("POST", LEVELS)]
    after = await rows(medusa)
    assert {key: levels(row) for key, row in after.items()} == {
        "shop:1": [4, 4],
        "shop:2": [0],
        "shop:3": [5],
    }
    assert [levels(row) for row in before.values()]
    assert after == before
    assert not (await run(medusa, changed, wire, Field.STOCK)).counts.updated


async def test_stock_alone_in_a_full_run(medusa: Medusa) -> None:
    """A full run that finds nothing but other stock leaves the product alone, too."""
    wire = Wire()
    await run(medusa, [cup("1"), cup("2")], wire)
    before = await rows(medusa)
    wire.taken()
    report = await run(medusa, [cup("1", 1), cup("2")], wire)
    assert report.counts.updated == 1
    assert [each for each in wire.taken() if each[0] == "POST"] == [("POST", LEVELS)]
    after = await rows(medusa)
    assert levels(after["shop:1"]) == [1]
    for row in (before["shop:1"], before["shop:2"], after["shop:2"]):
        levels(row)
    assert after == before


async def test_prices_touch_prices_and_our_own_note(medusa: Medusa) -> None:
    """Prices are part of the last-applied state, which is in the product's metadata.

    The real Medusa gives the variant a new `updated_at`, too.
    """
    wire = Wire()
    await run(medusa, [shirt("1"), cup("2")], wire)
    before = await rows(medusa)
    changed = [shirt("1", 1, "11", title="New"), cup("2", 1)]
    report = await run(medusa, changed, wire, Field.PRICES)
    assert (report.counts.updated, report.counts.unchanged) == (1, 1)
    after = await rows(medusa)
    assert after["shop:2"] == before["shop:2"]
    new, old = after["shop:1"], before["shop:1"]
    for variant, earlier in zip(new["variants"], old["variants"], strict=True):
        assert variant.pop("updated_at") >= earlier.pop("updated_at")
        (price,), (was,) = variant.pop("prices"), earlier.pop("prices")
        assert (price["amount"], price["id"]) == (11, was["id"])
    assert new.pop("updated_at") > old.pop("updated_at")
    for row in (new, old):
        row["metadata"].pop("catalogsync")
    assert new == old


async def test_a_price_of_a_lane_is_no_manual_edit(medusa: Medusa) -> None:
    """Nor is the way back to the price before; a price of a person is."""
    wire, keep = Wire(), {"on_manual_edit": OnManualEdit.KEEP}
    await run(medusa, [cup("1")], wire, **keep)
    for amount in ("11", "10"):
        product = cup("1", 5, amount)
        report = await run(medusa, [product], wire, Field.PRICES, **keep)
        assert (report.counts.updated, report.manual_edits) == (1, ())
        report = await run(medusa, [product], wire, **keep)
        assert (report.counts.unchanged, report.manual_edits) == (1, ())
    (row,) = (await rows(medusa)).values()
    (variant,) = row["variants"]
    path = f"/admin/products/{row['id']}/variants/{variant['id']}"
    price = {"id": variant["prices"][0]["id"], "amount": 99, "currency_code": "usd"}
    await medusa.post(path, {"prices": [price]})
    report = await run(medusa, [cup("1")], wire, Field.PRICES, **keep)
    assert [edit.kept for edit in report.manual_edits] == [True]


async def test_stock_and_prices_in_one_lane(medusa: Medusa) -> None:
    wire = Wire()
    await run(medusa, [cup("1"), cup("2"), cup("3")], wire)
    changed = [cup("1", 1), cup("2", 5, "12"), cup("3", 2, "13")]
    report = await run(medusa, changed, wire, Field.PRICES, Field.STOCK)
    assert report.counts.updated == 3
    whole = await run(medusa, changed, wire)
    assert whole.counts.unchanged == 3, whole


async def test_stock_of_a_variant_that_is_not_counted(medusa: Medusa) -> None:
    """It is counted from then on, as after a full run."""
    wire = Wire()
    uncounted = cup("1", variants=[Variant(id="default", sku="cup-1")])
    await run(medusa, [uncounted], wire)
    assert (await run(medusa, [cup("1", 3)], wire, Field.STOCK)).counts.updated == 1
    (row,) = (await rows(medusa)).values()
    assert levels(row) == [3]
    assert row["variants"][0]["manage_inventory"]


async def test_an_interrupted_update_waits_for_a_full_run(medusa: Medusa) -> None:
    wire = Wire()
    await run(medusa, [cup("1")], wire)
    (row,) = (await rows(medusa)).values()
    state = LastApplied.parse(row["metadata"]["catalogsync"])
    text = attrs.evolve(state, writing=True).text()
    path = f"/admin/products/{row['id']}"
    await medusa.post(path, {"metadata": {"catalogsync": text}})
    report = await run(medusa, [cup("1", 2)], wire, Field.STOCK, Field.PRICES)
    assert report.counts.updated == 1
    (row,) = (await rows(medusa)).values()
    assert levels(row) == [2]
    assert row["metadata"]["catalogsync"] == text
    assert (await run(medusa, [cup("1", 2)], wire)).counts.updated == 1


async def test_a_lane_reads_few_columns(medusa: Medusa) -> None:
    """No second request for options, tags, or whether a profile is missing."""
    wire = Wire()
    await run(medusa, [shirt("1"), cup("2")], wire)
    wire.taken()
    for fields in ((Field.STOCK,), (Field.PRICES,), (Field.DESCRIPTION,)):
        products = [shirt("1"), cup("2")]
        assert not (await run(medusa, products, wire, *fields)).counts.updated
        assert wire.taken() == [("GET", "/admin/products")]


async def test_a_product_without_its_inventory_is_left_to_a_full_run(
    medusa: Medusa,
) -> None:
    wire = Wire()
    await run(medusa, [cup("1"), cup("2")], wire)
    row = (await rows(medusa))["shop:1"]
    item = row["variants"][0]["inventory_items"][0]["inventory_item_id"]
    status, _ = await medusa.ask("DELETE", f"/admin/inventory-items/{item}")
    assert status == 200
    changed = [cup("1", 1), cup("2", 1)]
    report = await run(medusa, changed, wire, Field.STOCK)
    assert (report.counts.updated, report.counts.skipped) == (1, 1)
    assert "incomplete in the sink" in report.warnings[0]
    assert (await run(medusa, changed, wire)).counts.updated == 1
    assert levels((await rows(medusa))["shop:1"]) == [1]
