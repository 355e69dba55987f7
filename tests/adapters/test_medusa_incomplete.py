"""Products that a killed Medusa left incomplete, on the fake and on a real store."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any, Literal, get_args

import attrs
import pytest
from tests.adapters.sql_databases import Hand
from tests.holdup import gate
from tests.real import real_is_desired

from catalogsync import (
    UNSET,
    Change,
    ConflictError,
    Existing,
    Price,
    Product,
    ProductKey,
    StockLevel,
    TransientError,
    Variant,
)
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.catalog.changes import Action, Update
from catalogsync.diff.compare import plan, supplied
from catalogsync.testing import fake_medusa

Raw = dict[str, Any]
Stage = Literal["alone", "product", "variants", "items", "links"]
SHOWN = (
    "fields=id,external_id,handle,metadata,sales_channels.id,shipping_profile.id,"
    "options.title,options.values.value,variants.id,variants.sku,variants.metadata,"
    "variants.manage_inventory,variants.options.value,variants.prices.amount,"
    "variants.inventory_items.inventory_item_id,"
    "variants.inventory_items.inventory.sku,"
    "variants.inventory_items.inventory.location_levels.id,"
    "variants.inventory_items.inventory.location_levels.stocked_quantity"
)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@attrs.frozen
class Shop:
    """A store, and what leaves a product as if its server had been killed."""

    sink: MedusaSink
    interrupt: Callable[[Raw, Stage], Awaitable[None]]

    async def read(self, product: Product) -> Raw:
        query = f"external_id={product.key}&{SHOWN}"
        (raw,) = (await self.sink.client.get("/admin/products", query))["products"]
        found: Raw = raw
        return found

    async def post(self, path: str, body: Raw) -> Raw:
        return await self.sink.client.post(f"/admin/{path}", body)

    async def find(self, product: Product) -> Existing:
        existing = await self.sink.find([product], fields=supplied(product))
        one = existing[product.key]
        assert isinstance(one, Existing)
        return one

    async def create(self, product: Product) -> Raw:
        change = plan(product, None, {})
        assert change
        await self.sink.write([change])
        return await self.read(product)

    async def put(self, product: Product) -> Change:
        """Find, plan and write."""
        change = plan(product, await self.find(product), {})
        assert change
        (outcome,) = await self.sink.write([change])
        assert outcome == change.done()
        return change

    async def is_settled(self, product: Product) -> bool:
        existing = await self.find(product)
        return existing.missing_parts == () and plan(product, existing, {}) is None


def settings(url: str, email: str, password: str) -> MedusaSettings:
    return MedusaSettings(url=url, email=email, password=password)


@contextlib.asynccontextmanager
async def fake_shop(clock: Callable[[], float] = time.time) -> AsyncGenerator[Shop]:
    async with (
        fake_medusa(clock=clock) as fake,
        settings(fake.url, fake.email, fake.password).open() as sink,
    ):

        async def interrupt(raw: Raw, stage: Stage) -> None:
            fake.interrupt(fake.product(id=raw["id"]), stage)

        yield Shop(sink, interrupt)


@contextlib.asynccontextmanager
async def real_shop(store: Any) -> AsyncGenerator[Shop]:
    store.do("empty")
    url, email, password, database = (
        store.facts[name] for name in ("url", "email", "password", "database_url")
    )
    async with settings(url, email, password).open() as sink:
        yield Shop(sink, Undoing(sink, Hand(database)))


@attrs.frozen
class Undoing:
    """Takes from a product in a real store what Medusa would not have come to do."""

    sink: MedusaSink
    hand: Hand

    async def __call__(self, raw: Raw, stage: Stage) -> None:
        await self._links(raw, "price_set")
        await self._levels(raw)
        if stage == "links":
            return
        if stage == "items":
            await self._links(raw, "inventory_item")
            return
        await self._items(raw)
        if stage == "variants":
            return
        path = f"/admin/products/{raw['id']}"
        ids = [variant["id"] for variant in raw["variants"]]
        await self.sink.client.post(f"{path}/variants/batch", {"delete": ids})
        if stage == "alone":
            nothing: Raw = {"sales_channels": [], "shipping_profile_id": None}
            await self.sink.client.post(path, nothing)

    async def _links(self, raw: Raw, what: str) -> None:
        for variant in raw["variants"]:
            await self.hand(
                f"DELETE FROM product_variant_{what} WHERE variant_id = :id",
                id=variant["id"],
            )

    async def _levels(self, raw: Raw) -> None:
        ids = [
            level["id"]
            for variant in raw["variants"]
            for item in variant["inventory_items"]
            for level in item["inventory"]["location_levels"]
        ]
        path = "/admin/inventory-items/location-levels/batch"
        await self.sink.client.post(path, {"delete": ids, "force": True})

    async def _items(self, raw: Raw) -> None:
        for variant in raw["variants"]:
            for item in variant["inventory_items"]:
                path = f"/admin/inventory-items/{item['inventory_item_id']}"
                await self.sink.client.delete(path)


@pytest.fixture(params=["fake", "real"] if real_is_desired() else ["fake"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    """An empty store, fake or real."""
    if request.param == "fake":
        async with fake_shop() as shop:
            yield shop
    else:
        async with real_shop(request.getfixturevalue("real_store")) as shop:
            yield shop


def usd(amount: str) -> list[Price]:
    return [Price(amount=Decimal(amount), currency="USD")]


def mug(id_: str = "1", price: str = "9.90") -> Product:
    """No options."""
    return Product(
        key=ProductKey("shop", id_),
        title="Mug",
        variants=[
            Variant(
                id="only",
                sku=f"M{id_}",
                prices=usd(price),
                stock=[StockLevel(quantity=3)],
            )
        ],
    )


def shirt(id_: str = "1") -> Product:
    """Two options, four variants."""
    return Product(
        key=ProductKey("shop", id_),
        title="Shirt",
        variants=[
            Variant(
                id=f"{color}-{size}",
                sku=f"S{id_}-{color}-{size}",
                options={"Color": color, "Size": size},
                prices=usd("19.90"),
                stock=[StockLevel(quantity=5)],
            )
            for color in ("Red", "Blue")
            for size in "SM"
        ],
    )


PRODUCTS = {"mug": mug(), "shirt": shirt()}
VARIANTS = {"mug": ["only"], "shirt": ["Blue-M", "Blue-S", "Red-M", "Red-S"]}


def looks(raw: Raw) -> Raw:
    """A product without its ids and last-applied state."""
    return {
        "handle": raw["handle"],
        "channels": [channel["id"] for channel in raw["sales_channels"]],
        "profile": raw["shipping_profile"]["id"],
        "options": sorted(
            (option["title"], sorted(v["value"] for v in option["values"]))
            for option in raw["options"]
        ),
        "variants": sorted(
            (
                v["sku"],
                v["metadata"]["catalogsync_id"],
                v["manage_inventory"],
                sorted(option["value"] for option in v["options"]),
                [price["amount"] for price in v["prices"]],
                [stock(item) for item in v["inventory_items"]],
            )
            for v in raw["variants"]
        ),
    }


def stock(item: Raw) -> tuple[str, list[int]]:
    levels = item["inventory"]["location_levels"]
    return item["inventory"]["sku"], [level["stocked_quantity"] for level in levels]


def expected_gaps(name: str, stage: Stage) -> tuple[str, ...]:
    prices = [f"no price set for variant {id_}" for id_ in VARIANTS[name]]
    items = [f"no inventory item for variant {id_}" for id_ in VARIANTS[name]]
    missing_parts = {
        "alone": ["no variant", "no shipping profile", "no sales channel"],
        "product": ["no variant"],
        "variants": [*prices, *items],
        "items": [*prices, *items],
        "links": prices,
    }
    return tuple(missing_parts[stage])


@pytest.mark.parametrize("stage", get_args(Stage))
@pytest.mark.parametrize("name", PRODUCTS)
async def test_incomplete_products_are_reported_and_repaired(
    shop: Shop, name: str, stage: Stage
) -> None:
    product = PRODUCTS[name]
    before = await shop.create(product)
    assert await shop.is_settled(product)
    assert (await shop.find(product)).age is None
    await shop.interrupt(before, stage)
    existing = await shop.find(product)
    assert existing.missing_parts == expected_gaps(name, stage)
    assert existing.age is not None
    assert existing.age >= 0
    await shop.put(product)
    after = await shop.read(product)
    assert after["id"] == before["id"]
    assert looks(after) == looks(before)
    assert await shop.is_settled(product)


@pytest.mark.parametrize("stage", get_args(Stage))
async def test_a_change_without_fields_adds_what_is_missing(
    shop: Shop, stage: Stage
) -> None:
    """Other differences are left to the next change."""
    await shop.interrupt(await shop.create(shirt()), stage)
    existing = await shop.find(shirt())
    change = Update(
        product=existing.product,
        fields=frozenset(),
        last_applied=existing.last_applied or "",
        existing=existing,
        desired=shirt(),
    )
    await shop.sink.write([change])
    existing = await shop.find(shirt())
    assert existing.missing_parts == ()
    assert len(existing.product.variants or ()) == 4


@pytest.mark.parametrize("stage", ["alone", "product"])
async def test_a_product_of_which_the_source_knows_no_variants(
    shop: Shop, stage: Stage
) -> None:
    bare = attrs.evolve(mug(), variants=UNSET)
    before = await shop.create(bare)
    await shop.interrupt(before, stage)
    assert (await shop.find(bare)).missing_parts[0] == "no variant"
    await shop.put(bare)
    assert looks(await shop.read(bare)) == looks(before)
    assert await shop.is_settled(bare)


async def test_a_variant_whose_stock_nobody_counts_stays_so(shop: Shop) -> None:
    variants = list(shirt().variants or ())
    variants[0] = attrs.evolve(variants[0], stock=UNSET)
    product = attrs.evolve(shirt(), variants=variants)
    before = await shop.create(product)
    await shop.interrupt(before, "variants")
    existing = await shop.find(product)
    assert len([gap for gap in existing.missing_parts if "price set" in gap]) == 4
    assert len([gap for gap in existing.missing_parts if "inventory item" in gap]) == 3
    await shop.put(product)
    assert looks(await shop.read(product)) == looks(before)
    assert await shop.is_settled(product)


async def test_an_incomplete_product_beside_complete_ones(shop: Shop) -> None:
    """One batch; whole products are not touched."""
    products = [mug("1"), mug("2"), shirt("3"), mug("4")]
    raws = [await shop.create(product) for product in products]
    await shop.interrupt(raws[1], "items")
    await shop.interrupt(raws[2], "product")
    desired = [*products[1:3], mug("4", "5.00")]
    fields = supplied(shirt())
    existing = await shop.sink.find(desired, fields=fields)
    changes: list[Change] = []
    for product in desired:
        one = existing[product.key]
        assert isinstance(one, Existing)
        change = plan(product, one, {})
        assert change
        changes.append(change)
    assert [bool(c.existing and c.existing.missing_parts) for c in changes] == [
        True,
        True,
        False,
    ]
    await shop.sink.write(changes)
    for product, raw in zip(products[:3], raws[:3], strict=True):
        assert looks(await shop.read(product)) == looks(raw)
    for product in (products[0], *desired):
        assert await shop.is_settled(product)
    assert await shop.read(products[0]) == raws[0]


async def test_what_people_made_of_a_product_is_no_gap(shop: Shop) -> None:
    raw = await shop.create(shirt())
    path = f"products/{raw['id']}"
    ids = {v["sku"]: v["id"] for v in raw["variants"]}
    await shop.post(path, {"sales_channels": []})
    await shop.post(
        f"{path}/variants/batch",
        {
            "update": [
                {"id": ids["S1-Red-S"], "manage_inventory": False},
                {"id": ids["S1-Red-M"], "prices": []},
            ]
        },
    )
    theirs = {"title": "Theirs", "options": {"Color": "Red", "Size": "S"}}
    await shop.post(f"{path}/variants/batch", {"delete": [ids["S1-Red-S"]]})
    kept = [{"id": id_} for sku, id_ in ids.items() if sku != "S1-Red-S"]
    await shop.post(path, {"variants": [*kept, theirs]})
    existing = await shop.find(shirt())
    assert (existing.missing_parts, existing.age) == ((), None)


async def test_what_the_source_is_silent_about_is_no_gap(shop: Shop) -> None:
    """Prices and stock are not even read."""
    silent = attrs.evolve(mug(), variants=[Variant(id="only", sku="M1")])
    await shop.create(silent)
    assert await shop.is_settled(silent)


async def test_a_lost_shipping_profile_comes_back(shop: Shop) -> None:
    """Unlike a channel, nobody removes it to hide a product."""
    raw = await shop.create(mug())
    await shop.post(f"products/{raw['id']}", {"shipping_profile_id": None})
    assert (await shop.find(mug())).missing_parts == ("no shipping profile",)
    change = await shop.put(mug())
    assert change.fields == frozenset()
    assert await shop.read(mug()) == raw


@pytest.mark.parametrize("spare", [False, True])
async def test_a_lost_inventory_item_comes_back(shop: Shop, spare: bool) -> None:
    """Also where an item without a variant has the SKU: it is used."""
    raw = await shop.create(shirt())
    variant = next(v for v in raw["variants"] if v["sku"] == "S1-Red-S")
    (item,) = variant["inventory_items"]
    path = f"/admin/inventory-items/{item['inventory_item_id']}"
    await shop.sink.client.delete(path)
    if spare:
        await shop.post("inventory-items", {"sku": "S1-Red-S"})
    existing = await shop.find(shirt())
    assert existing.missing_parts == ("no inventory item for variant Red-S",)
    await shop.put(shirt())
    after = await shop.read(shirt())
    assert looks(after) == looks(raw)
    assert {v["id"] for v in after["variants"]} == {v["id"] for v in raw["variants"]}
    assert await shop.is_settled(shirt())


async def test_a_lost_inventory_item_of_an_unknown_stock(shop: Shop) -> None:
    """The source no longer speaks of it, but the store counts it."""
    raw = await shop.create(mug())
    (item,) = raw["variants"][0]["inventory_items"]
    path = f"/admin/inventory-items/{item['inventory_item_id']}"
    await shop.sink.client.delete(path)
    variants = [attrs.evolve(v, stock=()) for v in mug().variants or ()]
    silent = attrs.evolve(mug(), variants=variants)
    change = await shop.put(silent)
    assert change.fields == frozenset()
    (variant,) = (await shop.read(mug()))["variants"]
    assert [stock(item) for item in variant["inventory_items"]] == [("M1", [])]


async def test_a_new_last_applied_over_an_old_price_proves_nothing(shop: Shop) -> None:
    """A server that is killed in an update leaves that."""
    raw = await shop.create(mug())
    dearer = mug(price="12.50")
    change = plan(dearer, await shop.find(dearer), {})
    assert change
    last_applied = {"metadata": {"catalogsync": change.last_applied}}
    await shop.post(f"products/{raw['id']}", last_applied)
    existing = await shop.find(dearer)
    assert (existing.last_applied, existing.missing_parts) == (change.last_applied, ())
    await shop.put(dearer)
    (variant,) = (await shop.read(dearer))["variants"]
    assert variant["prices"] == [{**variant["prices"][0], "amount": 12.5}]
    assert await shop.is_settled(dearer)


async def test_the_age_is_by_the_servers_clock() -> None:
    clock = Clock()
    async with fake_shop(clock) as shop:
        raw = await shop.create(mug())
        await shop.interrupt(raw, "links")
        clock.now += 100
        assert (await shop.find(mug())).age == 100
        await shop.post(f"products/{raw['id']}", {"subtitle": "Big"})
        clock.now += 7
        assert (await shop.find(mug())).age == 7
        variant = raw["variants"][0]["id"]
        await shop.post(f"products/{raw['id']}/variants/{variant}", {"title": "Big"})
        assert (await shop.find(mug())).age == 0


@pytest.mark.skipif(not real_is_desired(), reason="needs a server that can be killed")
@pytest.mark.parametrize("table", ["product", "product_variant", "inventory_item"])
async def test_a_server_that_is_killed_in_mid_batch(
    real_store: Any, table: str
) -> None:
    """It is killed after a write to a table, before the next one."""
    products = [shirt(str(n)) if n % 4 else mug(str(n)) for n in range(30)]
    async with real_shop(real_store) as shop:
        changes = [change for p in products if (change := plan(p, None, {}))]
        try:
            async with (
                gate(real_store.facts["database_url"], f"{table} t") as reached,
                asyncio.TaskGroup() as group,
            ):
                writing = group.create_task(_lost(shop.sink.write(changes)))
                await reached(writing)
                await asyncio.to_thread(real_store.do, "kill")
        finally:
            real_store.do("boot")
        existing = await shop.sink.find(products, fields=supplied(shirt()))
        assert any(
            isinstance(one, Existing) and one.missing_parts for one in existing.values()
        )
        await _complete(shop, products)
        for product in products:
            raw = await shop.read(product)
            amount = 19.9 if product.title == "Shirt" else 9.9
            assert {p["amount"] for v in raw["variants"] for p in v["prices"]} == {
                amount
            }
            assert all(v["inventory_items"] for v in raw["variants"])
            assert await shop.is_settled(product)


async def _lost(writing: Awaitable[object]) -> None:
    with pytest.raises(TransientError):
        await writing


async def _complete(shop: Shop, products: Sequence[Product]) -> None:
    """Find, plan and write until nothing is to be done."""
    for _ in range(5):
        existing = await shop.sink.find(products, fields=supplied(shirt()))
        batches: dict[Action, list[Change]] = {}
        for product in products:
            one = existing.get(product.key)
            assert one is None or isinstance(one, Existing)
            if change := plan(product, one, {}):
                batches.setdefault(change.action, []).append(change)
        if not batches:
            return
        for batch in batches.values():
            with contextlib.suppress(ConflictError):
                outcomes = await shop.sink.write(batch)
                assert {o.reason for o in outcomes} == {""}
    raise AssertionError("it does not settle")
