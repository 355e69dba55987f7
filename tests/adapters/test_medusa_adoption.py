"""Making products ours that stand in Medusa without a key, on the fake and for real."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from catalogsync import (
    Conflict,
    ConflictError,
    Existing,
    Price,
    Product,
    ProductKey,
    StockLevel,
    Variant,
)
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.catalog.changes import Action, Found, Release
from catalogsync.diff.compare import plan, supplied
from catalogsync.diff.last_applied import LastApplied
from catalogsync.protocols import AdoptBy, AdoptingSink

Raw = dict[str, Any]
FIELDS = (
    "limit=1000&fields=id,external_id,handle,title,status,description,metadata,"
    "tags.value,sales_channels.id,shipping_profile.id,variants.id,variants.sku,"
    "variants.title,variants.metadata,variants.options.value,variants.prices.amount,"
    "variants.inventory_items.inventory.location_levels.stocked_quantity"
)


def settings(medusa: Any) -> MedusaSettings:
    return MedusaSettings(url=medusa.url, email=medusa.email, password=medusa.password)


def shirt(id_: str = "7", title: str = "Plain Shirt", **more: Any) -> Product:
    """As the source has it: one option, two variants."""
    return Product(
        key=ProductKey("shop", id_),
        title=title,
        variants=[
            Variant(
                id=size.lower(),
                sku=f"S{id_}-{size}",
                options={"Size": size},
                prices=[Price(amount=Decimal("19.90"), currency="USD")],
                stock=[StockLevel(quantity=5)],
            )
            for size in "SM"
        ],
        **more,
    )


def mug(id_: str = "8", sku: str | None = "MUG") -> Product:
    price = Price(amount=Decimal("9.90"), currency="USD")
    return Product(
        key=ProductKey("shop", id_),
        title="Mug",
        variants=[Variant(id="only", sku=sku, prices=[price])],
    )


def theirs(handle: str = "theirs", sizes: str = "SM", **more: Any) -> Raw:
    """As people, or another script, made it."""
    return {
        "title": "Old title",
        "handle": handle,
        "description": "Written by Kim",
        "status": "published",
        "options": [{"title": "Size", "values": [*sizes]}],
        "metadata": {"note": "ask Kim first"},
        "variants": [
            {
                "title": size,
                "sku": f"S7-{size}",
                "options": {"Size": size},
                "prices": [{"amount": 15, "currency_code": "usd"}],
                "metadata": {"shelf": size},
            }
            for size in sizes
        ],
        **more,
    }


def without_skus(body: Raw) -> Raw:
    for variant in body["variants"]:
        del variant["sku"]
    return body


async def make(medusa: Any, body: Raw) -> str:
    made: str = (await medusa.post("/admin/products", body))["product"]["id"]
    return made


async def read(medusa: Any, id_: str) -> Raw:
    found = await medusa.get(f"/admin/products?id={id_}&{FIELDS}")
    (raw,) = found["products"]
    result: Raw = raw
    return result


async def foreign(
    sink: MedusaSink, *desired: Product, by: AdoptBy
) -> dict[ProductKey, Found]:
    fields = frozenset(field for product in desired for field in supplied(product))
    return dict(await sink.find_foreign(desired, by=by, fields=fields))


async def adopt(sink: MedusaSink, *desired: Product, by: AdoptBy) -> list[Existing]:
    """Find, plan and write; afterwards they are found, and nothing is to be done."""
    existing = await foreign(sink, *desired, by=by)
    assert existing.keys() == {product.key for product in desired}
    ours = [one for one in existing.values() if isinstance(one, Existing)]
    assert len(ours) == len(desired)
    assert all(one.foreign and one.last_applied is None for one in ours)
    changes = [plan(p, one, {}) for p, one in zip(desired, ours, strict=True)]
    writes = [change for change in changes if change]
    assert {change.action for change in writes} == {Action.UPDATE}
    assert len(writes) == len(desired)
    outcomes = await sink.write(writes)
    assert list(outcomes) == [change.done() for change in writes]
    for product in desired:
        found = await sink.find([product], fields=supplied(product))
        now = found[product.key]
        assert isinstance(now, Existing)
        assert (now.missing_parts, now.foreign) == ((), False)
        assert plan(product, now, {}) is None
        assert LastApplied.parse(now.last_applied).variants.keys() == {
            variant.id for variant in product.variants or ()
        }
    return ours


async def test_the_sink_can_adopt(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        assert isinstance(sink, AdoptingSink)
        for by in AdoptBy:
            assert await foreign(sink, shirt(), mug(), by=by) == {}


@pytest.mark.parametrize("by", AdoptBy)
async def test_a_product_is_adopted_and_what_people_made_stays(
    medusa: Any, by: AdoptBy
) -> None:
    body = theirs("plain-shirt", "SML")
    body["metadata"]["external_id"] = 7
    id_ = await make(medusa, body)
    before = await read(medusa, id_)
    async with settings(medusa).open() as sink:
        (existing,) = await adopt(sink, shirt(), by=by)
        assert {v.id for v in existing.product.variants or ()} >= {"s", "m"}
    after = await read(medusa, id_)
    assert after["external_id"] == "shop:7"
    assert after["title"] == "Plain Shirt"
    for name in ("handle", "description", "status", "tags", "sales_channels"):
        assert after[name] == before[name]
    last_applied = after["metadata"].pop("catalogsync")
    assert LastApplied.parse(last_applied).fields.keys() == {"title"}
    assert after["metadata"] == before["metadata"]
    variants = {v["sku"]: v for v in after["variants"]}
    assert {v["id"] for v in before["variants"]} == {v["id"] for v in after["variants"]}
    assert {sku: v["metadata"] for sku, v in variants.items()} == {
        "S7-S": {"shelf": "S", "catalogsync_id": "s"},
        "S7-M": {"shelf": "M", "catalogsync_id": "m"},
        "S7-L": {"shelf": "L"},
    }
    prices = {sku: [p["amount"] for p in v["prices"]] for sku, v in variants.items()}
    assert prices == {"S7-S": [19.9], "S7-M": [19.9], "S7-L": [15]}
    assert after["shipping_profile"] == {"id": medusa.shipping_profile_id}
    levels = {
        sku: [
            level["stocked_quantity"]
            for item in v["inventory_items"]
            for level in item["inventory"]["location_levels"]
        ]
        for sku, v in variants.items()
    }
    assert levels == {"S7-S": [5], "S7-M": [5], "S7-L": []}


async def test_variants_are_matched_by_their_options(medusa: Any) -> None:
    body = without_skus(theirs("plain-shirt", "MS"))
    id_ = await make(medusa, body)
    async with settings(medusa).open() as sink:
        await adopt(sink, shirt(), by=AdoptBy.HANDLE)
    variants = (await read(medusa, id_))["variants"]
    assert {v["sku"]: v["metadata"]["shelf"] for v in variants} == {
        "S7-S": "S",
        "S7-M": "M",
    }


async def test_the_only_variant_is_the_only_one(medusa: Any) -> None:
    """Neither SKU nor options say so."""
    body = without_skus(
        theirs("mug", "X", options=[{"title": "Kind", "values": ["X"]}])
    )
    body["variants"][0]["options"] = {"Kind": "X"}
    id_ = await make(medusa, body)
    async with settings(medusa).open() as sink:
        await adopt(sink, mug(), by=AdoptBy.HANDLE)
    (variant,) = (await read(medusa, id_))["variants"]
    assert variant["sku"] == "MUG"
    assert variant["metadata"] == {"shelf": "X", "catalogsync_id": "only"}


async def test_a_variant_that_is_missing_is_added(medusa: Any) -> None:
    body = theirs("plain-shirt", "S")
    id_ = await make(medusa, body)
    async with settings(medusa).open() as sink:
        await adopt(sink, shirt(), by=AdoptBy.HANDLE)
    variants = (await read(medusa, id_))["variants"]
    assert {v["sku"]: v["metadata"].get("shelf") for v in variants} == {
        "S7-S": "S",
        "S7-M": None,
    }


@pytest.mark.parametrize(
    ("sizes", "desired"),
    [("S", shirt()), ("SM", mug()), ("SM", mug(sku=None)), ("SM", mug(sku="ö" * 4000))],
    ids=["only some", "none", "nothing to look for", "too long to look for"],
)
async def test_all_skus_must_be_there(
    medusa: Any, sizes: str, desired: Product
) -> None:
    await make(medusa, theirs("plain-shirt", sizes))
    await make(medusa, without_skus(theirs("other")) | {"title": "Other"})
    extra = theirs("extra", "X")
    extra["variants"][0]["sku"] = "EXTRA"
    await make(medusa, extra)
    other = mug("9", sku="EXTRA")
    async with settings(medusa).open() as sink:
        existing = await foreign(sink, desired, other, by=AdoptBy.SKU)
        assert existing.keys() == {other.key}
        assert isinstance(existing[other.key], Existing)


@pytest.mark.parametrize("by", AdoptBy)
@pytest.mark.parametrize("external_id", ["shop:7", "other:1", "7"])
async def test_what_has_a_key_is_not_foreign(
    medusa: Any, by: AdoptBy, external_id: str
) -> None:
    body = theirs("plain-shirt", external_id=external_id)
    body["metadata"]["externalId"] = "shop:7"
    await make(medusa, body)
    async with settings(medusa).open() as sink:
        assert await foreign(sink, shirt(), by=by) == {}


async def test_an_empty_external_id_is_no_key(medusa: Any) -> None:
    await make(medusa, theirs(external_id=""))
    async with settings(medusa).open() as sink:
        await adopt(sink, shirt(), by=AdoptBy.SKU)


@pytest.mark.parametrize(
    "metadata",
    [
        {"external_id": "7"},
        {"external_id": 7},
        {"external_id": 7.0},
        {"externalId": "7"},
        {"externalId": "shop:7"},
        {"external_id": "shop:7", "externalId": 7},
    ],
)
async def test_marks_of_other_scripts(medusa: Any, metadata: Raw) -> None:
    await make(medusa, theirs(metadata=metadata))
    async with settings(medusa).open() as sink:
        await adopt(sink, shirt(), by=AdoptBy.EXTERNAL_ID)


@pytest.mark.parametrize(
    "metadata",
    [{"external_id": True}, {"external_id": 7.5}, {"externalId": ["7"]}, {"id": "7"}],
)
async def test_what_is_no_mark(medusa: Any, metadata: Raw) -> None:
    await make(medusa, theirs(metadata=metadata))
    async with settings(medusa).open() as sink:
        desired = [shirt("7"), shirt("1"), shirt("True"), shirt("true")]
        assert await foreign(sink, *desired, by=AdoptBy.EXTERNAL_ID) == {}


async def test_the_store_is_searched_for_marks_once(medusa: Any) -> None:
    for number in range(6):
        mark = {"external_id": number}
        body = without_skus(theirs(f"theirs-{number}", metadata=mark))
        await make(medusa, body)
    async with settings(medusa).open() as sink:
        by = AdoptBy.EXTERNAL_ID
        before = sink.requests
        async with asyncio.TaskGroup() as group:
            searches = [
                group.create_task(
                    foreign(sink, shirt(f"{n}"), shirt(f"{n + 1}"), by=by)
                )
                for n in range(0, 6, 2)
            ]
        assert [len(search.result()) for search in searches] == [2, 2, 2]
        assert sink.requests - before == 1 + 3
        await adopt(sink, shirt("3"), by=by)
        assert await foreign(sink, shirt("3"), by=by) == {}
        assert (await foreign(sink, shirt("4"), by=by)).keys() == {shirt("4").key}


def reason(existing: dict[ProductKey, Found], product: Product) -> str:
    one = existing[product.key]
    assert isinstance(one, Conflict)
    return one.reason


async def test_several_that_could_be_it(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        handles = ("plain-shirt", sink.handle(shirt()))
        ids = [
            await make(
                medusa, without_skus(theirs(handle, metadata={"external_id": "7"}))
            )
            for handle in handles
        ]
        for by in (AdoptBy.HANDLE, AdoptBy.EXTERNAL_ID):
            text = reason(await foreign(sink, shirt(), by=by), shirt())
            assert "matches several products" in text
            assert all(id_ in text for id_ in ids)


async def test_one_that_could_be_several(medusa: Any) -> None:
    """Two products of one title had one handle, before keys were part of it."""
    id_ = await make(medusa, theirs("plain-shirt"))
    async with settings(medusa).open() as sink:
        existing = await foreign(sink, shirt("7"), shirt("9"), mug(), by=AdoptBy.HANDLE)
        assert existing.keys() == {shirt("7").key, shirt("9").key}
        for product in (shirt("7"), shirt("9")):
            assert f"matches product {id_}" in reason(existing, product)


async def test_our_handle_with_the_key_is_found(medusa: Any) -> None:
    """As of a product that was released."""
    async with settings(medusa).open() as sink:
        await make(medusa, theirs(sink.handle(shirt())))
        await adopt(sink, shirt(), by=AdoptBy.HANDLE)


@pytest.mark.parametrize("accident", ["adopted", "deleted"])
async def test_what_happens_between_finding_and_adopting(
    medusa: Any, accident: str
) -> None:
    id_ = await make(medusa, theirs("plain-shirt"))
    async with settings(medusa).open() as sink:
        existing = (await foreign(sink, shirt(), by=AdoptBy.SKU))[shirt().key]
        assert isinstance(existing, Existing)
        change = plan(shirt(), existing, {})
        assert change
        path = f"/admin/products/{id_}"
        if accident == "adopted":
            await medusa.post(path, {"external_id": "other:1"})
        else:
            await medusa.ask("DELETE", path)
        with pytest.raises(ConflictError, match=id_):
            await sink.write([change])
        if accident == "adopted":
            after = await read(medusa, id_)
            assert after["external_id"] == "other:1"
            assert after["variants"][0]["metadata"].keys() == {"shelf"}


async def test_a_key_that_did_not_follow_its_variants(medusa: Any) -> None:
    """The server was killed between the two; the next attempt ends it."""
    body = theirs("plain-shirt", "SML")
    for variant, mark in zip(body["variants"], ("m", "s", ""), strict=True):
        variant["metadata"]["catalogsync_id"] = mark
        variant["sku"] = f"other-{variant['sku']}"
    id_ = await make(medusa, body)
    async with settings(medusa).open() as sink:
        existing = (await foreign(sink, shirt(), by=AdoptBy.HANDLE))[shirt().key]
        assert isinstance(existing, Existing)
        found = {v.id: v.sku for v in existing.product.variants or ()}
        assert (found["m"], found["s"]) == ("other-S7-S", "other-S7-M")
    assert (await read(medusa, id_))["external_id"] is None


async def test_what_was_released_can_be_adopted_again(medusa: Any) -> None:
    products = [shirt("7"), shirt("9", "Other Shirt"), mug()]
    async with settings(medusa).open() as sink:
        await sink.write([c for p in products if (c := plan(p, None, {}))])
        owned: Sequence[Existing] = [
            h async for page in sink.owned("shop") for h in page
        ]
        await sink.write([Release(existing=each) for each in owned])
        for product, by in zip(
            products, (AdoptBy.SKU, AdoptBy.HANDLE, AdoptBy.SKU), strict=True
        ):
            (existing,) = await adopt(sink, product, by=by)
            assert existing.product.title == product.title
