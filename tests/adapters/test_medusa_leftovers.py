"""A batch that Medusa refuses leaves no options behind, and what others left is used."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from tests.chaos.proxy import proxy

from catalogsync import (
    BatchRefusedError,
    Change,
    Field,
    Options,
    Price,
    Product,
    ProductKey,
    RefusedError,
    Report,
    RetryPolicy,
    StockLevel,
    Sync,
    TransientError,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.testing import FakeMedusa, FaultPlan, fake_medusa
from catalogsync.testing.faults import Fault, lost, reset, status

BATCH = "/admin/products/batch"
OPTIONS = "/admin/product-options"
ITEMS = "/admin/inventory-items"
ENDLESS = random.Random(1).randbytes(3000).hex()
"""An SKU that Medusa answers with a 500 that says nothing."""
FAST = RetryPolicy(wait_initial=0, wait_jitter=0)


def settings(medusa: Any) -> MedusaSettings:
    return MedusaSettings(url=medusa.url, email=medusa.email, password=medusa.password)


class Careless(MedusaSink):
    """Sends an SKU that is too long, so that Medusa answers as it does to the unknown."""

    def shape(self, product: Product, /) -> Product:
        skus = {variant.sku for variant in product.variants or ()}
        return product if ENDLESS in skus else super().shape(product)


def careless(sink: MedusaSink) -> MedusaSink:
    return Careless(name=sink.name, client=sink.client, places=sink.places)


def shirt(number: int, colors: Sequence[str] = ("Red", "Blue")) -> Product:
    """A product with two options of its own and four variants."""
    return Product(
        key=ProductKey("shop", str(number)),
        title=f"Shirt {number}",
        variants=[
            Variant(
                id=f"{color}-{size}",
                sku=f"S{number}-{color}-{size}",
                options={"Color": color, "Size": size},
                prices=[Price(amount=Decimal("19.90"), currency="USD")],
                stock=[StockLevel(quantity=5)],
            )
            for color in colors
            for size in ("S", "M")
        ],
    )


def shirts(number: int) -> list[Product]:
    """Some that share the values of their options, and some that do not."""
    odd = ("Green", "Grey")
    return [shirt(n, odd) if n % 8 == 0 else shirt(n) for n in range(number)]


def with_sku(product: Product, sku: str) -> Product:
    first, *others = list(product.variants or ())
    return attrs.evolve(product, variants=[attrs.evolve(first, sku=sku), *others])


async def put(
    sink: MedusaSink, products: Iterable[Product], *, batch_size: int = 40
) -> Report:
    source = as_source(list(products), name="shop")
    settings = Options(retry=FAST, batch_size=batch_size)
    return await sync(source, sink, options=settings)


async def planned(sink: MedusaSink, products: Iterable[Product]) -> list[Change]:
    changes: list[Change] = []
    source = as_source(list(products), name="shop")

    def note(change: object) -> None:
        if isinstance(change, Change):
            changes.append(change)

    await Sync(source, sink).plan(note)
    return changes


async def options(medusa: Any) -> list[dict[str, Any]]:
    """Those that are not shared, with the products that have them."""
    fields = "id,title,values.value,products.id"
    query = f"is_exclusive=true&limit=1000&fields={fields}"
    found: list[dict[str, Any]] = (await medusa.get(f"{OPTIONS}?{query}"))[
        "product_options"
    ]
    return found


async def check_tidy(medusa: Any, products: int) -> None:
    """Two options and four inventory items for each product, and no more."""
    found = await options(medusa)
    assert [option for option in found if not option["products"]] == []
    assert len(found) == 2 * products
    items = await medusa.get(f"{ITEMS}?limit=1&fields=id")
    assert items["count"] == 4 * products


async def take_sku(medusa: Any, sku: str) -> None:
    """A person's product, on the shared option ``Made``."""
    made = await medusa.post(OPTIONS, {"title": "Made", "values": ["By hand"]})
    variant: dict[str, Any] = {
        "title": "Theirs",
        "sku": sku,
        "options": {"Made": "By hand"},
        "manage_inventory": False,
        "prices": [],
    }
    body: dict[str, Any] = {
        "title": "Theirs",
        "options": [{"id": made["product_option"]["id"]}],
        "variants": [variant],
    }
    await medusa.post("/admin/products", body)


SPOILT: Mapping[str, Callable[[Product], Product]] = {
    "taken-sku": lambda product: with_sku(product, "TAKEN"),
    "endless-sku": lambda product: with_sku(product, ENDLESS),
    "too-large": lambda product: attrs.evolve(product, description="x" * 2_100_000),
}


@pytest.mark.parametrize("spoil", SPOILT)
async def test_one_bad_product_in_a_batch_of_forty(medusa: Any, spoil: str) -> None:
    await take_sku(medusa, "TAKEN")
    products = shirts(40)
    products[17] = SPOILT[spoil](products[17])
    async with settings(medusa).open() as opened:
        sink = careless(opened)
        report = await put(sink, products)
        assert (report.counts.created, report.counts.failed) == (39, 1), str(report)
        assert report.failures[0].key == ProductKey("shop", "17")
        await check_tidy(medusa, 39)
        again = await put(sink, products)
        assert (again.counts.unchanged, again.counts.failed) == (39, 1), str(again)
        await check_tidy(medusa, 39)


@pytest.mark.parametrize("bad", [0, 17, 39])
async def test_halving_takes_few_requests(bad: int) -> None:
    """Options of refused products are reused, not deleted and created again."""
    async with fake_medusa() as fake, settings(fake).open() as opened:
        sink = careless(opened)
        products = shirts(40)
        products[bad] = with_sku(products[bad], ENDLESS)
        report = await put(sink, products)
        assert (report.counts.created, report.counts.failed) == (39, 1), str(report)
        writes = [request for request in fake.writes if request.path == BATCH]
        repeats = report.retries
        assert len(writes) - 1 - repeats <= 2 * math.log2(40) + 1
        deletions = [request for request in fake.writes if request.method == "DELETE"]
        assert len(deletions) <= 2 * (1 + repeats)


@pytest.mark.parametrize("id_", ["ptag_unknown", 5], ids=["unknown", "not-a-text"])
async def test_a_refusal_of_a_reference(medusa: Any, id_: Any) -> None:
    async with settings(medusa).open() as sink:
        changes = await planned(sink, shirts(4))
        changes[2] = attrs.evolve(changes[2], references={Field.TAGS: (id_,)})
        with pytest.raises(BatchRefusedError) as caught:
            await sink.write(changes)
        named = [] if id_ == "ptag_unknown" else [changes[2].key]
        assert [*caught.value.culprits] == named
        await check_tidy(medusa, 0)


async def test_one_bad_product_alone(medusa: Any) -> None:
    await take_sku(medusa, "TAKEN")
    async with settings(medusa).open() as opened:
        sink = careless(opened)
        for bad in (with_sku(shirt(1), "TAKEN"), with_sku(shirt(2), ENDLESS)):
            (change,) = await planned(sink, [bad])
            with pytest.raises((RefusedError, TransientError)):
                await sink.write([change])
            await check_tidy(medusa, 0)


async def test_batches_at_the_same_time(medusa: Any) -> None:
    """They need the same options, and each has a bad product."""
    products = shirts(16)
    for number in (1, 6, 11):
        products[number] = with_sku(products[number], ENDLESS)
    async with settings(medusa).open() as opened:
        sink = careless(opened)
        report = await put(sink, products, batch_size=4)
        assert (report.counts.created, report.counts.failed) == (13, 3), str(report)
        await check_tidy(medusa, 13)


async def test_what_others_have_is_left_alone(medusa: Any) -> None:
    """Options of the same titles and values, shared or kept for later."""
    await take_sku(medusa, "TAKEN")
    body = {"title": "Color", "values": ["Red", "Blue"]}
    theirs = [
        (await medusa.post(OPTIONS, {**body, "is_exclusive": alone}))["product_option"]
        for alone in (True, False)
    ]
    async with settings(medusa).open() as sink:
        report = await put(sink, [shirt(1), with_sku(shirt(2), "TAKEN")])
        assert (report.counts.created, report.counts.failed) == (1, 1), str(report)
        assert (await put(sink, [shirt(3), shirt(4)])).counts.created == 2
    for option in theirs:
        path = f"{OPTIONS}/{option['id']}?fields=id,values.value,products.id"
        found = (await medusa.get(path))["product_option"]
        assert {value["value"] for value in found["values"]} == {"Red", "Blue"}
        assert not found.get("products")
    assert len(await options(medusa)) == 2 * 3 + 1


@pytest.mark.parametrize("how", ["deleted", "used"])
async def test_a_deleted_option_is_created_again(medusa: Any, how: str) -> None:
    await take_sku(medusa, "TAKEN")
    async with settings(medusa).open() as sink:
        bad = with_sku(shirt(2), "TAKEN")
        with pytest.raises(BatchRefusedError):
            await sink.write(await planned(sink, [shirt(1), bad]))
        left = await options(medusa)
        assert {option["title"] for option in left} == {"Color", "Size"}
        for option in left:
            if how == "deleted":
                await medusa.ask("DELETE", f"{OPTIONS}/{option['id']}")
            else:
                body = {"title": option["id"], "options": [{"id": option["id"]}]}
                await medusa.post("/admin/products", body)
        report = await put(sink, [shirt(1)])
        assert report.counts.created == 1, str(report)
        found = await options(medusa)
        assert len(found) == (2 if how == "deleted" else 4)
        assert [option for option in found if not option["products"]] == []


@pytest.mark.parametrize(
    "fault",
    [
        lost("POST", f"{BATCH}*", on=[1]),
        lost("POST", f"{BATCH}*", on=[1, 2, 3]),
        lost("POST", f"{BATCH}*", on=[2, 3]),
        reset("POST", f"{BATCH}*", on=[1, 2]),
        status(503, "POST", f"{BATCH}*", on=[2]),
        status(500, "GET", f"{OPTIONS}*", on=[2, 3, 5]),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.path}",
)
@pytest.mark.parametrize("batch_size", [3, 12])
async def test_lost_answers_to_batches_that_are_refused(
    fault: Any, batch_size: int
) -> None:
    async with fake_medusa(faults=(plan := FaultPlan(fault))) as fake:
        taken = [with_sku(shirt(n), f"S{n - 1}-Red-S") for n in (3, 7)]
        products = [taken.pop(0) if n in {3, 7} else shirt(n) for n in range(12)]
        async with settings(fake).open() as sink:
            report = await put(sink, products, batch_size=batch_size)
        assert plan.injected
        assert (report.counts.created, report.counts.failed) == (10, 2), str(report)
        check_state(fake, 10)


def check_state(fake: FakeMedusa, products: int) -> None:
    linked = {link["id"] for row in fake.products for link in row["options"]}
    kept = {key for key, row in fake.state.options.items() if row["is_exclusive"]}
    assert kept <= linked
    assert len(kept) == 2 * products


async def test_a_refusal_that_was_lost_and_is_lifted() -> None:
    async with fake_medusa(faults=FaultPlan(lost("POST", BATCH, on=[1]))) as fake:
        async with settings(fake).open() as sink:
            changes = await planned(sink, [shirt(1), shirt(2)])
            fake.state.skus["S2-Red-S"] = {}
            with pytest.raises(TransientError):
                await sink.write(changes)
            assert len(fake.state.options) == 4 + 1
            del fake.state.skus["S2-Red-S"]
            await sink.write(changes)
        check_state(fake, 2)


async def test_requests_without_refusals() -> None:
    """A batch takes one request more where its products have options of their own."""
    counts: list[int] = []
    for plain in (False, True):
        products = [with_one_variant(product, plain=plain) for product in shirts(80)]
        async with fake_medusa() as fake, settings(fake).open() as sink:
            assert (await put(sink, products)).counts.created == 80
            counts.append(len(fake.requests))
    assert counts[0] - counts[1] == 2


def with_one_variant(product: Product, *, plain: bool) -> Product:
    first, *_ = list(product.variants or ())
    chosen: Mapping[str, str] = {} if plain else first.options
    return attrs.evolve(product, variants=[attrs.evolve(first, options=chosen)])


async def test_a_product_gets_no_option_of_another_one(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await put(sink, [shirt(1)])
    first, _ = await options(medusa)
    body = {"title": "Other", "options": [{"id": first["id"]}]}
    assert await medusa.ask("POST", "/admin/products", body) == (
        400,
        {
            "type": "invalid_data",
            "message": "Product options are already assigned to another product:"
            f" {first['id']}",
        },
    )


# --- inventory items that a server left which died ---


async def test_an_inventory_item_that_nobody_uses_is_adopted(medusa: Any) -> None:
    skus = ["S1-Red-S", "S1-Blue-M", "S3-Red-S"]
    made = [await medusa.post(ITEMS, {"sku": sku}) for sku in skus]
    ids = {
        sku: new["inventory_item"]["id"] for sku, new in zip(skus, made, strict=True)
    }
    async with settings(medusa).open() as sink:
        report = await put(sink, [shirt(n) for n in range(5)])
        assert (report.counts.created, report.counts.failed) == (5, 0), str(report)
        await check_tidy(medusa, 5)
        fields = (
            "fields=variants.sku,variants.inventory_items.inventory_item_id,"
            "variants.inventory_items.inventory.location_levels.stocked_quantity"
        )
        found = (await medusa.get(f"/admin/products?{fields}"))["products"]
        used = {
            variant["sku"]: variant["inventory_items"]
            for product in found
            for variant in product["variants"]
        }
        for sku, id_ in ids.items():
            (link,) = used[sku]
            (level,) = link["inventory"]["location_levels"]
            assert (link["inventory_item_id"], level["stocked_quantity"]) == (id_, 5)
        again = await put(sink, [shirt(n) for n in range(5)])
        assert (again.counts.unchanged, again.writes) == (5, 0), str(again)


async def test_an_inventory_item_of_no_variant_is_linked(medusa: Any) -> None:
    """With or without stock levels; a variant of ours that kept an old SKU gives it up."""
    level = {"location_id": medusa.stock_location_id, "stocked_quantity": 3}
    stocked = await medusa.post(ITEMS, {"sku": "S1-Red-S", "location_levels": [level]})
    await medusa.post(ITEMS, {"sku": "S3-Red-S"})
    async with settings(medusa).open() as sink:
        assert (await put(sink, [shirt(2)])).counts.created == 1
        (row,) = (await medusa.get("/admin/products?fields=variants.sku"))["products"]
        variant = next(v for v in row["variants"] if v["sku"] == "S2-Blue-M")
        path = f"/admin/products/{row['id']}/variants/{variant['id']}"
        await medusa.post(path, {"sku": "renamed"})
        desired = [shirt(1), shirt(3), with_sku(shirt(4), "S2-Blue-M")]
        report = await put(sink, desired)
        assert report.counts.created == 3, str(report)
        assert (await put(sink, desired)).counts.unchanged == 3
        item = stocked["inventory_item"]["id"]
        query = f"{ITEMS}/{item}?fields=variants.sku,location_levels.stocked_quantity"
        found = (await medusa.get(query))["inventory_item"]
        assert [v["sku"] for v in found["variants"]] == ["S1-Red-S"]
        assert [x["stocked_quantity"] for x in found["location_levels"]] == [5]
        items = await medusa.get(f"{ITEMS}?sku=renamed&fields=variants.id")
        (kept,) = items["inventory_items"]
        assert [v["id"] for v in kept["variants"]] == [variant["id"]]


async def test_an_inventory_item_of_other_people_is_named(medusa: Any) -> None:
    """Their variant has another SKU by now, and its item still has the old one."""
    body = {
        "title": "Theirs",
        "options": [{"title": "Size", "values": ["S"]}],
        "variants": [
            {"title": "S", "sku": "S1-Red-S", "options": {"Size": "S"}, "prices": []}
        ],
    }
    made = (await medusa.post("/admin/products", body))["product"]
    variant = made["variants"][0]["id"]
    path = f"/admin/products/{made['id']}/variants/{variant}"
    await medusa.post(path, {"sku": "theirs"})
    async with settings(medusa).open() as sink:
        report = await put(sink, [shirt(1), shirt(2)])
        assert (report.counts.created, report.counts.failed) == (1, 1), str(report)
        assert report.failures[0].reason.startswith("SKU S1-Red-S is taken by")
        assert report.failures[0].reason.endswith(f"of variant {variant}")
        found = await options(medusa)
        loose = [option for option in found if not option["products"]]
        assert loose == []


@attrs.frozen
class Meanwhile:
    """Something that happens just before a request is carried out."""

    happen: Callable[[], Awaitable[object]]

    async def __call__(
        self, request: web.Request, /, handler: Handler
    ) -> web.StreamResponse:
        await self.happen()
        return await handler(request)


@pytest.mark.parametrize("number", [1, 2])
async def test_an_sku_is_free_that_an_item_loses_while_we_look(
    medusa: Any, number: int
) -> None:
    """As when another update is in flight and takes its item with it."""
    plan = FaultPlan()
    (one, *_), (two, *_) = shirt(1).variants or (), shirt(2).variants or ()
    async with (
        proxy(medusa.url, plan) as line,
        attrs.evolve(settings(medusa), url=line.url).open() as sink,
    ):
        await put(sink, [attrs.evolve(shirt(1), variants=[one])])
        found = await medusa.get(f"{ITEMS}?sku={one.sku}&fields=id,variants.id")
        (item,) = found["inventory_items"]
        found = await medusa.get("/admin/products?fields=id,external_id")
        (row,) = (r for r in found["products"] if r["external_id"] == "shop:1")
        path = f"/admin/products/{row['id']}/variants/{item['variants'][0]['id']}"
        await medusa.post(path, {"sku": "NEW"})

        async def follow() -> None:
            await medusa.post(f"{ITEMS}/{item['id']}", {"sku": "NEW"})

        fault = Fault("delay", Meanwhile(follow), "GET", ITEMS, {"on": number})
        plan.add(fault)
        again = attrs.evolve(two, sku=one.sku)
        report = await put(sink, [attrs.evolve(shirt(2), variants=[again])])
    assert len(plan.injected) == 1
    assert report.counts.created == 1, report
