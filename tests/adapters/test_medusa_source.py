"""A Medusa store as a source: everything that the sink writes comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from tests.conftest import FACTS, Medusa, empty_store
from tests.real import real_is_desired
from tests.strategies import products

from catalogsync import (
    UNSET,
    Category,
    Dimensions,
    Image,
    InvalidValueError,
    MemorySink,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    RefusedError,
    Rejected,
    StockLevel,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.jsonl import JSONLSinkSettings, JSONLSourceSettings
from catalogsync.adapters.medusa import MedusaSettings, MedusaSourceSettings
from catalogsync.errors import MisconfiguredError
from catalogsync.testing import fake_medusa

Open = partial[AbstractAsyncContextManager[Medusa]]

_HOME = Category(id="home", name="Home & Living")
_KITCHEN = Category(id="kitchen", name="Kitchen", parent=_HOME)
FULL = Product(
    key=ProductKey("shop", "1"),
    title="Cup",
    description="<p>A cup</p>",
    brand="Cupper",
    status=ProductStatus.DRAFT,
    thumbnail="https://x.example/t.png",
    images=[Image(url="https://x.example/1.png"), Image(url="https://x.example/2.png")],
    categories=[_KITCHEN],
    tags=["blue", "red"],
    weight=Decimal(250),
    dimensions=Dimensions(length=Decimal(10), height=Decimal("12.5")),
    subtitle="For tea",
    material="Clay",
    hs_code="6912.00",
    origin_country="PT",
    mid_code="PTCUP42LIS",
    discountable=False,
    type="Cups",
    collection="Summer",
    attributes={"glaze": "white", "safe": True, "list": [1, {"a": None}]},
    variants=[
        Variant(
            id=size,
            title=f"Size {size}",
            sku=f"CUP-{size}",
            barcode=f"40000{size}",
            weight=Decimal("240.5"),
            dimensions=Dimensions(width=Decimal(9)) if size == "S" else None,
            options={"Size": size, "Color": "Red"},
            prices=[Price(amount=Decimal("9.99"), currency="USD")],
            stock=[StockLevel(quantity=7)] if size == "S" else [],
        )
        for size in "MS"
    ],
)
BARE = Product(key=ProductKey("shop", "2"), title="Pan", variants=[Variant(id="only")])


@asynccontextmanager
async def fake() -> AsyncIterator[Medusa]:
    async with fake_medusa() as one, aiohttp.ClientSession(one.url) as session:
        server = Medusa({name: getattr(one, name) for name in FACTS}, session)
        await server.log_in()
        yield server


@pytest.fixture(params=["fake", "real"] if real_is_desired() else ["fake"])
def open_store(request: pytest.FixtureRequest) -> Any:
    """Opens an empty store; the real one is emptied each time."""
    if request.param == "fake":
        return fake
    return partial(empty_store, request.getfixturevalue("real_store"))


def login(store: Medusa) -> dict[str, str]:
    return {"url": store.url, "email": store.email, "password": store.password}


def source_of(store: Medusa, **more: Any) -> MedusaSourceSettings:
    return MedusaSourceSettings(**login(store), **{"name": "shop", **more})


async def write(store: Medusa, *items: Product) -> None:
    async with MedusaSettings(**login(store)).open() as sink:
        report = await sync(as_source(items, name="shop"), sink)
    assert report.counts.created == len(items), report


async def read(store: Medusa, **more: Any) -> dict[str, Product]:
    sink = MemorySink()
    async with source_of(store, **more).open() as source:
        report = await sync(source, sink)
    assert not report.rejected, report
    return {key.id: product for key, product in sink.products.items()}


async def by_hand(store: Medusa, **more: Any) -> str:
    """A product that somebody entered in the admin; returns its id."""
    body = {
        "title": "By hand",
        "status": "published",
        "options": [{"title": "Size", "values": ["S", "M"]}],
        "variants": [
            {
                "title": size,
                "sku": f"HAND-{size}",
                "manage_inventory": size == "S",
                "options": {"Size": size},
                "prices": [{"amount": 5, "currency_code": "usd"}],
            }
            for size in "SM"
        ],
        "metadata": {"note": "mine"},
    }
    answer = await store.post("/admin/products", {**body, **more})
    return str(answer["product"]["id"])


async def test_from_store_to_lines_to_store(open_store: Any, tmp_path: Path) -> None:
    """A backup of ours and others' products, restored into an empty store."""
    file = str(tmp_path / "store.jsonl")
    async with open_store() as store:
        await write(store, FULL, BARE)
        id_ = await by_hand(store)
        await by_hand(store, title="Erp", handle="erp", external_id="E1", variants=[])
        before = await read(store, page_size=1)
        async with (
            source_of(store).open() as source,
            JSONLSinkSettings(path=file).open() as backup,
        ):
            report = await sync(source, backup)
            assert report.counts.created == 4
    async with open_store() as store:
        async with (
            JSONLSourceSettings(path=file, name="shop").open() as backup,
            MedusaSettings(**login(store)).open() as sink,
        ):
            assert (await sync(backup, sink)).counts.created == 4
            assert (await sync(backup, sink)).counts.unchanged == 4
        after = await read(store)
    assert set(before) == {"1", "2", id_, "E1"}
    # Medusa needs a variant, so the sink has added one.
    restored = attrs.evolve(after["E1"], variants=before["E1"].variants)
    assert {**after, "E1": restored} == before


async def test_a_product_of_ours_comes_back_as_it_was(open_store: Any) -> None:
    async with open_store() as store:
        await write(store, FULL)
        found = await read(store)
    assert found == {"1": FULL}


async def test_a_product_made_by_hand(open_store: Any) -> None:
    """Its variants have Medusa's ids; stock that nobody counts is not supplied."""
    async with open_store() as store:
        id_ = await by_hand(store)
        found = (await read(store))[id_]
    assert found.attributes == {"note": "mine"}
    variants = {variant.sku: variant for variant in found.variants or ()}
    assert variants["HAND-S"].stock == ()
    assert not variants["HAND-M"].stock
    assert variants["HAND-M"].stock != ()
    assert variants["HAND-S"].id.startswith("medusa:")
    assert variants["HAND-S"].options == {"Size": "S"}


async def test_keys_and_drafts(medusa: Medusa) -> None:
    await write(medusa, FULL, BARE)
    id_ = await by_hand(medusa, external_id="E1")
    assert set(await read(medusa)) == {"1", "2", "E1"}
    assert set(await read(medusa, drafts=False)) == {"2", "E1"}
    assert set(await read(medusa, name="other")) == {"shop:1", "shop:2", "E1"}
    assert id_ in await read(medusa, key="id")


async def test_the_handle_as_an_attribute(medusa: Medusa) -> None:
    await by_hand(medusa, handle="my-handle", external_id="E1")
    found = await read(medusa, handle_attribute="url")
    assert found["E1"].attributes == {"note": "mine", "url": "my-handle"}
    async with source_of(medusa, handle_attribute="url").open() as source:
        page = await source.get([found["E1"].key])
    assert [*page.products] == [found["E1"]]


async def test_lookup_by_either_id(medusa: Medusa) -> None:
    await write(medusa, FULL, BARE)
    hand = await by_hand(medusa)
    async with source_of(medusa).open() as source:
        keys = [ProductKey("shop", each) for each in ("1", hand, "nothing", "ü b")]
        page = await source.get(keys)
        assert {each.key.id for each in page.products} == {"1", hand}
    async with source_of(medusa, drafts=False).open() as source:
        assert [p.key.id for p in (await source.get(keys)).products] == [hand]


async def test_categories_keep_their_tree(medusa: Medusa) -> None:
    """Also those of others, by handle, and a cycle, which Medusa allows."""
    made = [
        (await medusa.post("/admin/product-categories", {"name": n, "handle": n}))[
            "product_category"
        ]["id"]
        for n in ("top", "middle", "low")
    ]
    for child, parent in ((1, 0), (2, 1)):
        body = {"parent_category_id": made[parent]}
        await medusa.post(f"/admin/product-categories/{made[child]}", body)
    await by_hand(medusa, external_id="E1", categories=[{"id": made[2]}])
    (low,) = (await read(medusa))["E1"].categories or ()
    line = [low.id, low.parent and low.parent.id]
    assert line == ["low", "middle"]
    body = {"parent_category_id": made[2]}
    await medusa.post(f"/admin/product-categories/{made[0]}", body)
    (low,) = (await read(medusa))["E1"].categories or ()
    assert (low.id, low.parent) == ("low", None)


async def test_stock_at_several_locations(medusa: Medusa) -> None:
    other = (await medusa.post("/admin/stock-locations", {"name": "Outlet"}))[
        "stock_location"
    ]["id"]
    (only,) = BARE.variants or ()
    stock = [StockLevel(quantity=3), StockLevel(quantity=4, location=other)]
    await write(medusa, attrs.evolve(BARE, variants=[attrs.evolve(only, stock=stock)]))
    named = [StockLevel(quantity=3), StockLevel(quantity=4, location="Outlet")]
    (found,) = (await read(medusa))["2"].variants or ()
    assert sorted(found.stock or (), key=repr) == sorted(named, key=repr)
    (found,) = (await read(medusa, stock_location="Outlet"))["2"].variants or ()
    assert StockLevel(quantity=4) in (found.stock or ())


async def test_what_is_no_product_is_rejected(medusa: Medusa) -> None:
    await by_hand(medusa, weight=-1, external_id="E1")
    async with source_of(medusa).open() as source:
        page = await source.read(None)
    (rejected,) = page.rejected
    assert isinstance(rejected, Rejected)
    assert rejected.key == ProductKey("shop", "E1")
    assert rejected.reason == "weight: must be 0 or more, is -1"


async def test_a_country_that_is_no_code_is_not_supplied(medusa: Medusa) -> None:
    """The dashboard stores lower case; anything else that people enter is left out."""
    await by_hand(medusa, origin_country="pt", external_id="E1")
    await by_hand(
        medusa, origin_country="Portugal", external_id="E2", handle="b", variants=[]
    )
    found = await read(medusa)
    assert found["E1"].origin_country == "PT"
    assert found["E2"].origin_country is UNSET


@hypothesis_settings(max_examples=15)
@given(st.lists(products(), max_size=3, unique_by=lambda p: p.key))
async def test_all_products_come_back_as_the_sink_finds_them(
    generated: list[Product],
) -> None:
    """What the sink compares as unchanged is equal for the source."""
    async with fake() as store, MedusaSettings(**login(store)).open() as sink:
        shaped: list[Product] = []
        for product in generated:
            try:
                shaped.append(sink.shape(product))
            except (RefusedError, InvalidValueError):
                continue
        report = await sync(as_source(shaped, name="shop"), sink)
        shelf = MemorySink()
        async with source_of(store).open() as source:
            read_report = await sync(source, shelf)
        assert not read_report.rejected
        assert len(shelf.products) == report.counts.created
        again = await sync(as_source([*shelf.products.values()], name="shop"), sink)
        assert again.counts.unchanged == len(shelf.products), again


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "a b"}, "name: must be"),
        ({"page_size": 501}, "page_size: must be 1 to 500"),
        ({"api_key": "sk_1"}, "api_key: set either"),
    ],
)
async def test_refused_settings(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(MisconfiguredError, match=expected):
        async with MedusaSourceSettings(
            **{"url": "http://127.0.0.1:1", "name": "x", "email": "e", "password": "p"}
            | given
        ).open():
            pass


async def test_a_location_that_does_not_exist(medusa: Medusa) -> None:
    with pytest.raises(MisconfiguredError, match="no stock location 'Nowhere'"):
        async with source_of(medusa, stock_location="Nowhere").open() as source:
            await source.read(None)


async def test_check_says_how_many(medusa: Medusa) -> None:
    await by_hand(medusa)
    async with source_of(medusa).open() as source:
        results = await source.check()
    assert all(result.ok for result in results)
    assert "1 products" in results[-1].text
