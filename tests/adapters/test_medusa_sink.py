"""The Medusa sink, with the same test bodies on the fake and on a real store."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import attrs
import pytest

from catalogsync import (
    Category,
    Change,
    Image,
    MisconfiguredError,
    Options,
    OutcomeStatus,
    Price,
    Product,
    ProductKey,
    Report,
    RetryPolicy,
    RunStatus,
    StockLevel,
    Sync,
    TransientError,
    UnauthorizedError,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.dummyjson import DummyJSONSettings, DummyJSONSource
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.catalog.changes import ReferenceChange
from catalogsync.diff.describe import diff
from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.dummyjson import DummyJSONServer, dummyjson_server

Records = list[dict[str, Any]]
FAST = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0))
SHOWN = (
    "fields=id,external_id,handle,title,description,status,thumbnail,weight,length,"
    "height,width,metadata,images.url,images.rank,tags.value,categories.id,"
    "categories.name,categories.external_id,sales_channels.id,shipping_profile.id,"
    "options.id,options.title,options.values.value,variants.id,variants.title,variants.sku,"
    "variants.barcode,variants.metadata,variants.options.value,"
    "variants.options.option.title,variants.prices.id,variants.prices.amount,"
    "variants.prices.currency_code,variants.prices.price_rules.attribute,"
    "variants.prices.price_rules.value,variants.inventory_items.inventory_item_id,"
    "variants.inventory_items.inventory.location_levels.location_id,"
    "variants.inventory_items.inventory.location_levels.stocked_quantity"
)


def settings(medusa: Any, login: str = "email", **more: Any) -> MedusaSettings:
    if login == "api_key":
        return MedusaSettings(url=medusa.url, api_key=medusa.api_key, **more)
    return MedusaSettings(
        url=medusa.url, email=medusa.email, password=medusa.password, **more
    )


@attrs.frozen
class Pair:
    """A source that can be changed, and a sink."""

    server: DummyJSONServer
    source: DummyJSONSource
    sink: MedusaSink

    async def sync(self) -> Report:
        report = await sync(self.source, self.sink, options=FAST)
        counts = attrs.asdict(report.counts)
        counts.pop("removed")
        assert counts.pop("fetched") == sum(counts.values())
        return report


@asynccontextmanager
async def pair(
    medusa: Any, records: Records, login: str = "email"
) -> AsyncIterator[Pair]:
    async with (
        dummyjson_server(copy.deepcopy(records)) as server,
        DummyJSONSettings(url=server.url).open() as source,
        settings(medusa, login).open() as sink,
    ):
        yield Pair(server, source, sink)


async def existing(medusa: Any) -> dict[str, dict[str, Any]]:
    """Everything in the store, by external id, as an admin sees it."""
    found = await medusa.get(f"/admin/products?limit=1000&{SHOWN}")
    return {raw["external_id"]: raw for raw in found["products"]}


async def shopped(medusa: Any) -> dict[str, dict[str, Any]]:
    """Everything that a shopper of the default channel sees."""
    query = (
        f"limit=1000&region_id={medusa.region_id}&fields=%2Bexternal_id,%2Bmetadata,"
        "*categories,*variants.calculated_price,%2Bvariants.inventory_quantity"
    )
    status, body = await medusa.ask(
        "GET",
        f"/store/products?{query}",
        headers={"x-publishable-api-key": medusa.publishable_key},
    )
    assert status == 200, body
    return {raw["external_id"]: raw for raw in body["products"]}


def check_shown(record: Mapping[str, Any], raw: Mapping[str, Any]) -> None:
    """Hold what a shopper sees against the source's record."""
    assert raw["title"] == record["title"]
    assert raw["description"] == record["description"]
    assert raw["thumbnail"] == record["thumbnail"]
    images = sorted(raw["images"], key=lambda image: image["rank"])
    assert [image["url"] for image in images] == record["images"]
    assert {tag["value"] for tag in raw["tags"]} == set(record["tags"])
    (category,) = raw["categories"]
    assert category["name"] == record["category"].replace("-", " ").title()
    assert raw["weight"] == record["weight"]
    size = record["dimensions"]
    sizes = (raw["width"], raw["height"], raw["length"])
    assert sizes == (size["width"], size["height"], size["depth"])
    assert raw["metadata"].get("brand") == record.get("brand")
    assert raw["metadata"]["warrantyInformation"] == record["warrantyInformation"]
    (variant,) = raw["variants"]
    assert variant["sku"] == record["sku"]
    assert variant["barcode"] == record["meta"]["barcode"]
    price = variant["calculated_price"]
    assert (price["calculated_amount"], price["currency_code"]) == (
        record["price"],
        "usd",
    )
    assert variant["inventory_quantity"] == record["stock"]


@pytest.mark.parametrize("login", ["email", "api_key"])
async def test_the_whole_catalog_as_a_shopper_sees_it(
    medusa: Any, real_records: Records, login: str
) -> None:
    async with pair(medusa, real_records, login) as both:
        first = await both.sync()
        assert first.status is RunStatus.SUCCEEDED, str(first)
        assert (first.counts.created, first.categories.created) == (194, 24)
        assert first.retries == 0
        shown = await shopped(medusa)
        assert len(shown) == 194
        for record in real_records:
            check_shown(record, shown[f"dummyjson:{record['id']}"])
        second = await both.sync()
        assert (second.counts.unchanged, second.writes) == (194, 0)
        assert second.categories.existing == 24
        await _change_four(both, real_records, medusa)


async def _change_four(both: Pair, records: Records, medusa: Any) -> None:
    """One price, one stock level, one title and one category change."""
    before = await existing(medusa)
    edit = both.server.records.by_id
    edit(3)["price"] = 12.34
    edit(4)["stock"] = 7
    edit(5)["title"] = "Another title"
    edit(6)["category"] = records[100]["category"]
    report = await both.sync()
    assert (report.counts.updated, report.counts.unchanged) == (4, 190)
    after = await existing(medusa)
    differences = {key for key in after if _bare(after[key]) != _bare(before[key])}
    assert differences == {f"dummyjson:{id_}" for id_ in (3, 4, 5, 6)}
    shown = await shopped(medusa)
    for id_ in (3, 4, 5, 6):
        check_shown(both.server.records.by_id(id_), shown[f"dummyjson:{id_}"])
    again = await both.sync()
    assert (again.counts.unchanged, again.writes) == (194, 0)


def _bare(raw: Mapping[str, Any]) -> Any:
    """A product without ids and last-applied state, in an order of its own."""
    if isinstance(raw, Mapping):
        return {
            name: _bare(value)
            for name, value in raw.items()
            if name not in {"id", "catalogsync", "inventory_item_id", "variant_id"}
        }
    if isinstance(raw, list):
        return sorted(map(_bare, raw), key=repr)
    return raw


SIZES, COLORS = ("S", "M", "L"), ("Red", "Blue")


def shirt(*, id_: str = "1", title: str = "Shirt") -> Product:
    """A product with two options and six variants."""
    return Product(
        key=ProductKey("shop", id_),
        title=title,
        description="Cotton",
        brand="Loom",
        images=[
            Image(url="https://i.example/1.png"),
            Image(url="https://i.example/2.png"),
        ],
        tags=["cotton"],
        attributes={"care": "cold", "rating": 4.5},
        variants=[
            Variant(
                id=f"{color}-{size}",
                title=f"{color} {size}",
                sku=f"SH{id_}-{color}-{size}",
                options={"Color": color, "Size": size},
                prices=[Price(amount=Decimal("19.90"), currency="USD")],
                stock=[StockLevel(quantity=5)],
            )
            for color in COLORS
            for size in SIZES
        ],
    )


def edited(product: Product, edit: Callable[[Variant], Variant | None]) -> Product:
    """A product with its variants edited, or dropped."""
    variants = [after for v in product.variants or () if (after := edit(v))]
    return attrs.evolve(product, variants=variants)


async def put(sink: MedusaSink, *products: Product) -> Report:
    return await sync(as_source(products, name="shop"), sink, options=FAST)


async def test_variants_come_go_and_change(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        report = await put(sink, shirt())
        assert report.counts.created == 1, str(report)
        before = await existing(medusa)
        await _add_seventh(medusa, before["shop:1"])

        def edit(variant: Variant) -> Variant | None:
            match variant.id:
                case "Red-S":
                    return None
                case "Red-M":
                    price = Price(amount=Decimal("21.50"), currency="USD")
                    return attrs.evolve(variant, prices=[price])
                case "Red-L":
                    return attrs.evolve(variant, title="Crimson, large")
                case _:
                    return variant

        after = edited(shirt(), edit)
        new = Variant(
            id="Green-XL",
            sku="SH1-Green-XL",
            options={"Color": "Green", "Size": "XL"},
            prices=[Price(amount=Decimal("25.00"), currency="USD")],
            stock=[StockLevel(quantity=2)],
        )
        after = attrs.evolve(after, variants=[*(after.variants or ()), new])
        report = await put(sink, after)
        assert report.counts.updated == 1, str(report)
        shown = _variants((await existing(medusa))["shop:1"])
        assert shown == {
            "SH1-Red-M": ("Red M", {"Color": "Red", "Size": "M"}, [21.5], [5]),
            "SH1-Red-L": ("Crimson, large", {"Color": "Red", "Size": "L"}, [19.9], [5]),
            "SH1-Blue-S": ("Blue S", {"Color": "Blue", "Size": "S"}, [19.9], [5]),
            "SH1-Blue-M": ("Blue M", {"Color": "Blue", "Size": "M"}, [19.9], [5]),
            "SH1-Blue-L": ("Blue L", {"Color": "Blue", "Size": "L"}, [19.9], [5]),
            "SH1-Green-XL": (
                "Green / XL",
                {"Color": "Green", "Size": "XL"},
                [25],
                [2],
            ),
            "theirs": ("Seventh", {"Color": "Red", "Size": "Custom"}, [99], []),
        }
        again = await put(sink, after)
        assert (again.counts.unchanged, again.writes) == (1, 0), str(again)


async def _add_seventh(medusa: Any, raw: Mapping[str, Any]) -> None:
    """A person adds a variant by hand."""
    size = next(o["id"] for o in raw["options"] if o["title"] == "Size")
    path = f"/admin/products/{raw['id']}"
    value = {"product_option_id": size, "add": [{"value": "Custom"}]}
    await medusa.post(f"{path}/options/batch", {"update": [value]})
    await medusa.post(
        f"{path}/variants",
        {
            "title": "Seventh",
            "sku": "theirs",
            "options": {"Color": "Red", "Size": "Custom"},
            "prices": [{"amount": 99, "currency_code": "usd"}],
        },
    )


def _variants(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        v["sku"]: (
            v["title"],
            {o["option"]["title"]: o["value"] for o in v["options"]},
            [price["amount"] for price in v["prices"]],
            [
                level["stocked_quantity"]
                for item in v["inventory_items"]
                for level in item["inventory"]["location_levels"]
            ],
        )
        for v in raw["variants"]
    }


async def test_a_removed_variant_can_come_back(medusa: Any) -> None:
    """Its inventory item must not stand in the way."""
    async with settings(medusa).open() as sink:
        await put(sink, shirt())
        fewer = edited(shirt(), lambda v: None if v.id.startswith("Red") else v)
        assert (await put(sink, fewer)).counts.updated == 1
        raw = (await existing(medusa))["shop:1"]
        assert len(raw["variants"]) == 3
        values = {v["value"] for o in raw["options"] for v in o["values"]}
        assert values == {"Blue", *SIZES}
        report = await put(sink, shirt())
        assert report.counts.updated == 1, str(report)
        assert len((await existing(medusa))["shop:1"]["variants"]) == 6
        assert (await put(sink, shirt())).counts.unchanged == 1


async def test_option_values_can_be_renamed_and_options_added(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await put(sink, shirt())

        def crimson(variant: Variant) -> Variant:
            options = dict(variant.options)
            if options["Color"] == "Red":
                options["Color"] = "Crimson"
            return attrs.evolve(variant, options=options)

        renamed = edited(shirt(), crimson)
        assert (await put(sink, renamed)).counts.updated == 1
        raw = (await existing(medusa))["shop:1"]
        values = {v["value"] for o in raw["options"] for v in o["values"]}
        assert values == {"Crimson", "Blue", *SIZES}

        def fit(variant: Variant) -> Variant:
            return attrs.evolve(variant, options={**variant.options, "Fit": "Slim"})

        fitted = edited(renamed, fit)
        report = await put(sink, fitted)
        assert report.counts.updated == 1, str(report)
        assert (await put(sink, fitted)).counts.unchanged == 1
        assert (await put(sink, renamed)).counts.updated == 1
        assert (await put(sink, renamed)).counts.unchanged == 1
        raw = (await existing(medusa))["shop:1"]
        assert {o["title"] for o in raw["options"]} == {"Color", "Size"}


async def test_what_people_added_by_hand_stays(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await put(sink, shirt())
        raw = (await existing(medusa))["shop:1"]
        theirs = await _add_by_hand(medusa, raw)

        def dearer(variant: Variant) -> Variant:
            price = Price(amount=Decimal("29.90"), currency="USD")
            return attrs.evolve(variant, prices=[price])

        changed = attrs.evolve(
            edited(shirt(), dearer),
            tags=["linen"],
            images=[
                Image(url="https://i.example/2.png"),
                Image(url="https://i.example/3.png"),
            ],
            attributes={"care": "warm"},
        )
        report = await put(sink, changed)
        assert report.counts.updated == 1, str(report)
        after = (await existing(medusa))["shop:1"]
        assert {t["value"] for t in after["tags"]} == {"linen", "hand-picked"}
        assert [c["id"] for c in after["categories"]] == [theirs["category"]]
        assert {c["id"] for c in after["sales_channels"]} == {
            medusa.sales_channel_id,
            medusa.other_sales_channel_id,
        }
        images = sorted(after["images"], key=lambda image: image["rank"])
        assert [image["url"].rsplit("/", 1)[1] for image in images] == [
            "theirs.png",
            "2.png",
            "3.png",
        ]
        metadata = {k: v for k, v in after["metadata"].items() if k != "catalogsync"}
        assert metadata == {"care": "warm", "brand": "Loom", "note": "ask Kim first"}
        prices = [
            sorted(
                (p["currency_code"], p["amount"], len(p["rules"])) for p in v["prices"]
            )
            for v in after["variants"]
            if v["sku"] == "SH1-Red-S"
        ]
        assert prices == [[("eur", 18, 0), ("usd", 15, 1), ("usd", 29.9, 0)]]
        assert (await put(sink, changed)).counts.unchanged == 1


async def _add_by_hand(medusa: Any, raw: Mapping[str, Any]) -> dict[str, str]:
    tag = await medusa.post("/admin/product-tags", {"value": "hand-picked"})
    category = await medusa.post(
        "/admin/product-categories", {"name": "Staff picks", "is_active": True}
    )
    ids = {"category": category["product_category"]["id"]}
    own = (await medusa.get("/admin/product-tags?value=cotton"))["product_tags"][0]
    images = sorted(raw["images"], key=lambda image: image["rank"])
    await medusa.post(
        f"/admin/products/{raw['id']}",
        {
            "tags": [{"id": own["id"]}, {"id": tag["product_tag"]["id"]}],
            "categories": [{"id": ids["category"]}],
            "sales_channels": [
                {"id": medusa.sales_channel_id},
                {"id": medusa.other_sales_channel_id},
            ],
            "images": [
                {"url": "https://i.example/theirs.png"},
                *({"url": image["url"]} for image in images),
            ],
            "metadata": {"note": "ask Kim first"},
        },
    )
    variant = next(v for v in raw["variants"] if v["sku"] == "SH1-Red-S")
    (price,) = variant["prices"]
    rule = {"region_id": medusa.region_id}
    await medusa.post(
        f"/admin/products/{raw['id']}/variants/{variant['id']}",
        {
            "prices": [
                {"id": price["id"], "amount": price["amount"], "currency_code": "usd"},
                {"amount": 18, "currency_code": "eur"},
                {"amount": 15, "currency_code": "usd", "rules": rule},
            ]
        },
    )
    return ids


async def test_emptied_fields_stay_empty(medusa: Any) -> None:
    """None is the source's word too; the run after it finds nothing to do."""
    async with settings(medusa).open() as sink:
        for product in (
            shirt(),
            attrs.evolve(
                shirt(),
                description=None,
                brand=None,
                thumbnail=None,
                images=[],
                tags=[],
                categories=[],
                weight=None,
                dimensions=None,
                attributes={},
            ),
            attrs.evolve(shirt(), thumbnail=None),
            attrs.evolve(shirt(id_="2"), thumbnail=None),
        ):
            await put(sink, product)
            report = await put(sink, product)
            assert (report.counts.unchanged, report.writes) == (1, 0), str(report)


async def test_any_catalog_settles(medusa: Any) -> None:
    """Awkward values and variants: the second run has nothing to do."""
    records = generate_catalog(80, 8, variants=True, awkward=True, seed=3)
    async with pair(medusa, records) as both:
        first = await both.sync()
        assert first.status is RunStatus.SUCCEEDED, str(first)
        assert first.counts.created == 80
        second = await both.sync()
        assert (second.counts.unchanged, second.writes) == (80, 0)
        shown = await shopped(medusa)
        assert len(shown) == 80


async def test_one_bad_product_does_not_hurt_its_neighbours(medusa: Any) -> None:
    await medusa.post(
        "/admin/products",
        {
            "title": "Theirs",
            "options": [{"title": "Size", "values": ["S"]}],
            "variants": [
                {
                    "title": "S",
                    "sku": "SH3-Red-M",
                    "options": {"Size": "S"},
                    "prices": [],
                }
            ],
        },
    )
    async with settings(medusa).open() as sink:
        products = [shirt(id_=str(n), title=f"Shirt {n}") for n in range(1, 6)]
        report = await put(sink, *products)
        assert report.status is RunStatus.DEGRADED
        assert (report.counts.created, report.counts.failed) == (4, 1)
        (failure,) = report.failures
        assert failure.key == ProductKey("shop", "3")
        assert failure.said == "Product variant with sku: SH3-Red-M, already exists."
        assert "SKU SH3-Red-M is taken by product" in failure.reason
        assert "'Theirs'" in failure.reason
        assert len(await existing(medusa)) == 5


async def test_a_taken_sku_with_a_comma(medusa: Any) -> None:
    """Medusa's message names it only up to the comma."""
    sku = "Shirt, [2] x"
    one, two = (
        edited(
            shirt(id_=id_, title=f"Shirt {id_}"), lambda v: attrs.evolve(v, sku=None)
        )
        for id_ in "12"
    )
    one, two = (
        edited(p, lambda v: attrs.evolve(v, sku=sku) if v.id == "Red-M" else v)
        for p in (one, two)
    )
    async with settings(medusa).open() as sink:
        await put(sink, one)
        report = await put(sink, one, two, shirt(id_="3", title="Other"))
    (failure,) = report.failures
    assert failure.key == ProductKey("shop", "2")
    assert failure.reason.startswith(f"SKU {sku} is taken by product")
    assert report.counts.created == 1


async def test_two_products_that_want_one_sku(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        other = edited(
            shirt(id_="2", title="Other"),
            lambda v: attrs.evolve(v, sku=v.sku if v.id == "Red-S" else f"O-{v.id}"),
        )
        twin = edited(
            other, lambda v: attrs.evolve(v, sku="SH1-Red-S") if v.id == "Red-S" else v
        )
        report = await put(sink, shirt(), twin)
        assert (report.counts.created, report.counts.failed) == (1, 1), str(report)
        assert report.failures[0].key == ProductKey("shop", "2")


async def test_two_that_hold_our_key_are_left_alone(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await put(sink, shirt())
        raw = (await existing(medusa))["shop:1"]
        await medusa.post(
            "/admin/products",
            {
                "title": "Copy",
                "external_id": "shop:1",
                "options": [{"title": "Size", "values": ["S"]}],
            },
        )
        report = await put(sink, attrs.evolve(shirt(), title="New"))
        assert report.counts.failed == 1
        assert raw["id"] in report.failures[0].reason
        assert "several products have this external id" in report.failures[0].reason


async def test_a_category_of_ours_is_renamed_and_one_of_theirs_is_used(
    medusa: Any,
) -> None:
    made = await medusa.post(
        "/admin/product-categories", {"name": "Made by hand", "handle": "theirs"}
    )
    root = Category(id="root", name="Root")
    ours = Category(id="ours", name="Existing", parent=root)
    theirs = Category(id="theirs", name="Theirs")
    product = attrs.evolve(shirt(), categories=[ours, theirs])
    async with settings(medusa).open() as sink:
        report = await put(sink, product)
        assert (report.categories.created, report.categories.existing) == (2, 1)
        renamed = attrs.evolve(ours, name="Renamed")
        product = attrs.evolve(product, categories=[renamed, theirs])
        report = await put(sink, product)
        assert (report.categories.updated, report.categories.existing) == (1, 2)
        assert report.counts.unchanged == 1
        after = (await existing(medusa))["shop:1"]["categories"]
        assert {c["name"] for c in after} == {"Renamed", "Made by hand"}
        assert made["product_category"]["id"] in {c["id"] for c in after}
        found = await medusa.get("/admin/product-categories?limit=100")
        by_name = {c["name"]: c for c in found["product_categories"]}
        parent = by_name["Renamed"]["parent_category_id"]
        assert parent == by_name["Root"]["id"]


async def test_status_is_left_to_the_shops_people(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await put(sink, shirt())
        raw = (await existing(medusa))["shop:1"]
        assert raw["status"] == "published"
        await medusa.post(f"/admin/products/{raw['id']}", {"status": "draft"})
        report = await put(sink, attrs.evolve(shirt(), title="New title"))
        assert report.counts.updated == 1
        after = (await existing(medusa))["shop:1"]
        assert (after["status"], after["title"]) == ("draft", "New title")
        assert after["handle"] == raw["handle"]


async def test_a_plan_writes_nothing(medusa: Any, real_records: Records) -> None:
    shown: list[Change | ReferenceChange] = []
    async with pair(medusa, real_records[:30]) as both:
        report = await Sync(both.source, both.sink, options=FAST).plan(shown.append)
        changes = [change for change in shown if isinstance(change, Change)]
        assert report.planned
        assert report.counts.created == len(changes) == 30
        assert await existing(medusa) == {}
        found = await medusa.get("/admin/product-categories")
        assert found["count"] == 0
        paths = {item.path for change in changes for item in diff(change)}
        assert {"title", "categories", "variants.default.prices.USD"} <= paths


@pytest.mark.parametrize("login", ["email", "api_key"])
async def test_wrong_credentials(medusa: Any, login: str) -> None:
    wrong = {"api_key": "sk_wrong"} if login == "api_key" else {"password": "wrong"}
    bad = attrs.evolve(settings(medusa, login), **wrong)
    with pytest.raises(UnauthorizedError, match=login):
        async with bad.open():
            pass
    assert "wrong" not in repr(bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sales_channel": "Nowhere"}, "sales_channel: the store has no sales channel"),
        ({"stock_location": "Moon"}, "stock_location: the store has no stock location"),
        ({"shipping_profile": "x"}, "shipping_profile: the store has no shipping"),
        ({"currency": "EUR"}, "currency: the store does not sell in EUR, only in USD"),
        ({"email": None}, "api_key: set either email and password"),
    ],
)
async def test_wrong_settings_are_named(
    medusa: Any, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(MisconfiguredError, match=message):
        async with attrs.evolve(settings(medusa), **change).open():
            pass


async def test_a_wrong_address(medusa: Any) -> None:
    with pytest.raises(MisconfiguredError, match="is this the address of a Medusa"):
        async with attrs.evolve(settings(medusa), url=f"{medusa.url}/shop").open():
            pass
    closed = attrs.evolve(settings(medusa), url="http://127.0.0.1:9")
    with pytest.raises(TransientError, match="cannot connect"):
        async with closed.open():
            pass


async def test_a_currency_that_the_store_has_not(medusa: Any) -> None:
    def in_euro(variant: Variant) -> Variant:
        price = Price(amount=Decimal(5), currency="EUR")
        return attrs.evolve(variant, prices=[price])

    async with settings(medusa).open() as sink:
        report = await put(sink, edited(shirt(), in_euro))
        assert report.failures[0].status is OutcomeStatus.FAILED
        assert "does not sell in EUR, only in USD" in report.failures[0].reason
        assert report.writes == 0


async def test_check_names_the_places(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        findings = {finding.what: finding for finding in await sink.check()}
        assert findings["sales_channel"].ok
        assert medusa.sales_channel_id in findings["sales_channel"].text
        assert findings["stock_location"].ok
        assert findings["currency"].text == "prices in USD"
    other = settings(medusa, sales_channel=medusa.other_sales_channel_id)
    async with other.open() as sink:
        texts = [finding.text for finding in await sink.check()]
        assert any(medusa.other_sales_channel_id in text for text in texts)


async def test_bodies_and_addresses_stay_within_medusas_limits(medusa: Any) -> None:
    """30 products of 100 KB do not fit into one body, nor long ids into one query."""
    products = [
        Product(
            key=ProductKey("shop", f"{n:03d}-{'x' * 400}"),
            title=f"Product {n}",
            description="ö" * 50_000,
            variants=[Variant(id="only", sku=f"S{n}")],
        )
        for n in range(30)
    ]
    async with settings(medusa).open() as sink:
        report = await put(sink, *products)
        assert report.counts.created == 30, str(report)
        assert report.writes > 1
        again = await put(sink, *products)
        assert (again.counts.unchanged, again.writes) == (30, 0)


async def test_a_product_that_is_too_large_fails_alone(medusa: Any) -> None:
    huge = attrs.evolve(shirt(id_="2"), description="x" * 2_100_000)
    async with settings(medusa).open() as sink:
        report = await put(sink, shirt(), huge)
        assert (report.counts.created, report.counts.failed) == (1, 1), str(report)
        assert report.failures[0].said == "request entity too large"


async def test_stock_at_several_locations(medusa: Any) -> None:
    made = await medusa.post("/admin/stock-locations", {"name": "Outlet"})
    outlet = made["stock_location"]["id"]

    def at_both(main: int, other: int) -> Product:
        levels = [
            StockLevel(quantity=main),
            StockLevel(quantity=other, location="Outlet"),
        ]
        return edited(
            shirt(),
            lambda v: attrs.evolve(v, stock=levels) if v.id == "Red-S" else None,
        )

    main = settings(medusa, stock_location=medusa.stock_location_id)
    async with main.open() as sink:
        for levels in ((1, 2), (1, 0), (5, 0)):
            report = await put(sink, at_both(*levels))
            assert report.counts.failed == 0, str(report)
            (variant,) = (await existing(medusa))["shop:1"]["variants"]
            (item,) = variant["inventory_items"]
            found = {
                level["location_id"]: level["stocked_quantity"]
                for level in item["inventory"]["location_levels"]
            }
            assert found == {medusa.stock_location_id: levels[0], outlet: levels[1]}
            again = await put(sink, at_both(*levels))
            assert (again.counts.unchanged, again.writes) == (1, 0)
    await medusa.ask("DELETE", f"/admin/stock-locations/{outlet}")
