"""The Medusa sink: what people make of products, and no source could supply."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from tests.conftest import Medusa

from catalogsync import (
    Image,
    Options,
    Price,
    Product,
    ProductKey,
    RetryPolicy,
    StockLevel,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings

FAST = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0))
FIELDS = "id,title,metadata,variants.id,variants.title,variants.sku,variants.metadata"


def variant(id_: str, options: dict[str, str] | None = None, **more: Any) -> Variant:
    values: dict[str, Any] = {
        "sku": f"SKU-{id_}",
        "title": f"Title {id_}",
        "options": options or {},
        "prices": [Price(amount=Decimal("5.50"), currency="USD")],
        "stock": [StockLevel(quantity=3)],
    }
    return Variant(id=id_, **{**values, **more})


def product(*variants: Variant, id_: str = "1", **more: Any) -> Product:
    values: dict[str, Any] = {
        "title": "Thing",
        "description": "Long",
        "brand": "Brand",
        "weight": Decimal(5),
        "images": [Image(url="https://example.com/1.png")],
        "attributes": {"ours": 1},
    }
    key = ProductKey("shop", id_)
    return Product(key=key, variants=variants, **{**values, **more})


class Shop:
    """A store, its sink, and a person at the admin pages."""

    def __init__(self, medusa: Medusa) -> None:
        self.medusa = medusa
        self._settings = MedusaSettings(
            url=medusa.url, email=medusa.email, password=medusa.password
        )

    async def put(self, *products: Product) -> Any:
        async with self._settings.open() as sink:
            return await sync(as_source(products, name="shop"), sink, options=FAST)

    async def found(self, id_: str = "1", fields: str = FIELDS) -> Any:
        path = f"/admin/products?external_id=shop:{id_}&fields={fields}"
        (found,) = (await self.medusa.get(path))["products"]
        return found

    async def settle(self, desired: Product) -> None:
        """What was changed by hand is written over, once."""
        report = await self.put(desired)
        assert (report.failures, report.warnings) == ((), ())
        assert report.counts.updated == 1
        again = await self.put(desired)
        assert again.counts.unchanged == 1


@pytest.fixture
def shop(medusa: Medusa) -> Shop:
    return Shop(medusa)


@pytest.mark.parametrize(
    "body",
    [
        {"weight": -4},
        {"length": -1, "width": 1e30},
        {"metadata": {"brand": {"a": []}, "theirs": [[[]]], "more": None}},
        {"metadata": {"catalogsync": {"version": "?"}}, "title": "x"},
        {"description": "", "title": " "},
        {
            "images": [{"url": "https://example.com/1.png"}, {"url": "x y"}],
            "title": "x",
        },
    ],
    ids=str,
)
async def test_a_product_of_any_shape(shop: Shop, body: dict[str, Any]) -> None:
    desired = product(variant("a"))
    await shop.put(desired)
    id_ = (await shop.found())["id"]
    await shop.medusa.post(f"/admin/products/{id_}", body)
    desired = attrs.evolve(desired, dimensions=None, tags=["new"])
    await shop.settle(desired)
    assert (await shop.found())["title"] == "Thing"


@pytest.mark.parametrize(
    "body",
    [
        {"title": ""},
        {"prices": [{"amount": -3, "currency_code": "usd"}]},
        {"prices": [{"amount": n, "currency_code": "usd"} for n in (1, 5.5, 2)]},
        {"sku": "", "barcode": ""},
    ],
    ids=str,
)
async def test_a_variant_of_any_shape(shop: Shop, body: dict[str, Any]) -> None:
    desired = product(variant("a"))
    await shop.put(desired)
    found = await shop.found()
    path = f"/admin/products/{found['id']}/variants/{found['variants'][0]['id']}"
    await shop.medusa.post(path, body)
    await shop.settle(attrs.evolve(desired, title="New"))
    fields = "title,variants.title,variants.sku,variants.prices.amount"
    (found,) = (await shop.found(fields=fields))["variants"]
    assert (found["title"], found["sku"]) == ("Title a", "SKU-a")
    assert [each["amount"] for each in found["prices"]] == [5.5]


async def test_stock_that_is_no_whole_number(shop: Shop) -> None:
    desired = product(variant("a"))
    await shop.put(desired)
    item = "variants.inventory_items.inventory_item_id"
    (found,) = (await shop.found(fields=item))["variants"]
    (link,) = found["inventory_items"]
    location = shop.medusa.stock_location_id
    level = {**link, "location_id": location, "stocked_quantity": 3.5}
    path = "/admin/inventory-items/location-levels/batch"
    await shop.medusa.post(path, {"update": [level]})
    await shop.settle(desired)


async def test_a_copy_of_a_variant_of_ours(shop: Shop) -> None:
    """It has our id, too; the older one is ours, and the copy is left alone."""
    sizes = [variant(size, {"Size": size}) for size in "SM"]
    await shop.put(product(*sizes))
    found = await shop.found()
    options = await shop.found(fields="options.id")
    add = {"product_option_id": options["options"][0]["id"], "add": [{"value": "L"}]}
    path = f"/admin/products/{found['id']}"
    await shop.medusa.post(f"{path}/options/batch", {"update": [add]})
    copy = {
        "title": "Copy",
        "options": {"Size": "L"},
        "prices": [],
        "metadata": {"catalogsync_id": "S"},
    }
    await shop.medusa.post(f"{path}/variants", copy)
    await shop.settle(product(*sizes, title="New"))
    titles = {each["title"] for each in (await shop.found())["variants"]}
    assert titles == {"Title S", "Title M", "Copy"}
    fits = [variant(size, {"Fit": size}) for size in "SM"]
    await shop.settle(product(*fits, title="New"))
    titles = {each["title"] for each in (await shop.found())["variants"]}
    assert titles == {"Title S", "Title M", "Copy"}


async def test_others_have_the_options_of_a_new_variant(shop: Shop) -> None:
    """All else is written, and each run says what is not."""
    small = variant("S", {"Size": "S"})
    await shop.put(product(small))
    found = await shop.found()
    options = await shop.found(fields="options.id")
    add = {"product_option_id": options["options"][0]["id"], "add": [{"value": "L"}]}
    path = f"/admin/products/{found['id']}"
    await shop.medusa.post(f"{path}/options/batch", {"update": [add]})
    theirs = {"title": "Theirs", "options": {"Size": "L"}, "prices": []}
    await shop.medusa.post(f"{path}/variants", theirs)
    desired = product(small, variant("L", {"Size": "L"}), title="New")
    for updated in (1, 0):
        report = await shop.put(desired)
        assert report.failures == ()
        assert report.counts.updated == updated
        (warning,) = report.warnings
        assert warning.startswith("shop:1: variant L is not created: variant medusa:")
    assert (await shop.found())["title"] == "New"


async def _options(shop: Shop) -> dict[str, dict[str, str]]:
    fields = "variants.title,variants.options.value,variants.options.option.title"
    return {
        each["title"]: {o["option"]["title"]: o["value"] for o in each["options"]}
        for each in (await shop.found(fields=fields))["variants"]
    }


async def test_a_renamed_option_gets_its_title_back(shop: Shop) -> None:
    """It is not taken for another option, of which new variants have no value."""
    sizes = [variant(size, {"Size": size}) for size in "SM"]
    await shop.put(product(*sizes))
    (option,) = (await shop.found(fields="options.id"))["options"]
    path = f"/admin/product-options/{option['id']}"
    await shop.medusa.post(path, {"title": "Renamed"})
    await shop.settle(product(*sizes, variant("L", {"Size": "L"})))
    assert await _options(shop) == {f"Title {s}": {"Size": s} for s in "SML"}


async def test_an_option_returns_that_others_have_values_of(shop: Shop) -> None:
    sizes = [variant(size, {"Size": size}) for size in "SM"]
    await shop.put(product(*sizes))
    found = await shop.found(fields="options.id")
    add = {"product_option_id": found["options"][0]["id"], "add": [{"value": "XL"}]}
    path = f"/admin/products/{found['id']}"
    await shop.medusa.post(f"{path}/options/batch", {"update": [add]})
    theirs = {"title": "Theirs", "options": {"Size": "XL"}, "prices": []}
    await shop.medusa.post(f"{path}/variants", theirs)
    await shop.settle(product(variant("default")))
    await shop.settle(product(*sizes))
    after = await _options(shop)
    assert after.keys() == {"Title S", "Title M", "Theirs"}
    assert [after[f"Title {size}"] for size in "SM"] == [{"Size": "S"}, {"Size": "M"}]


async def test_an_option_is_removed_that_distinguishes_our_variants_from_others(
    shop: Shop,
) -> None:
    """Existing get their options; those of others would be the same, and stay as they are."""
    sizes = [variant(size, {"Size": size, "Fit": "slim"}) for size in "SM"]
    await shop.put(product(*sizes))
    found = await shop.found(fields="options.id,options.title")
    (fit,) = (o["id"] for o in found["options"] if o["title"] == "Fit")
    add = {"product_option_id": fit, "add": [{"value": "wide"}, {"value": "loose"}]}
    path = f"/admin/products/{found['id']}"
    await shop.medusa.post(f"{path}/options/batch", {"update": [add]})
    for value in ("wide", "loose"):
        options = {"Size": "S", "Fit": value}
        theirs = {"title": value, "options": options, "prices": []}
        await shop.medusa.post(f"{path}/variants", theirs)
    await shop.settle(product(*(variant(size, {"Size": size}) for size in "SM")))
    after = await _options(shop)
    assert after.keys() == {"Title S", "Title M", "wide", "loose"}
    assert [after[f"Title {size}"] for size in "SM"] == [{"Size": "S"}, {"Size": "M"}]


async def _add_option(shop: Shop, title: str, *values: str) -> None:
    """As a person does it; variants that are there have no value of it yet."""
    id_ = (await shop.found())["id"]
    option = {"title": title, "values": [*values], "is_exclusive": True}
    path = f"/admin/products/{id_}/options/batch"
    await shop.medusa.post(path, {"add": [option]})


async def _share_option(shop: Shop, title: str, *values: str) -> None:
    """As `_add_option`, of an option that other products may have too."""
    path = "/admin/product-options"
    body = {"title": title, "values": ["other", *values], "is_exclusive": False}
    option = (await shop.medusa.post(path, body))["product_option"]
    ids = [v["id"] for v in option["values"] if v["value"] != "other"]
    path = f"/admin/products/{(await shop.found())['id']}/options/batch"
    link = {"id": option["id"], "value_ids": ids}
    await shop.medusa.post(path, {"add": [link]})


async def _give(shop: Shop, **values: dict[str, str]) -> None:
    """Give variants of the product other options, by the value of their size."""
    found = await shop.found(fields=f"{FIELDS},options.id")
    rows = {row["title"].removeprefix("Title "): row["id"] for row in found["variants"]}
    variants = [{"id": id_} for size, id_ in rows.items() if size not in values]
    variants += [{"id": rows[size], "options": values[size]} for size in values]
    ids = [option["id"] for option in found["options"]]
    body = {"option_ids": ids, "variants": variants}
    await shop.medusa.post(f"/admin/products/{found['id']}", body)


async def _values(shop: Shop) -> dict[str, set[str]]:
    found = await shop.found(fields="options.title,options.values.value")
    return {o["title"]: {v["value"] for v in o["values"]} for o in found["options"]}


def _sizes(*sizes: str, **more: str) -> list[Variant]:
    return [variant(size, {"Size": size, **more}) for size in sizes]


OURS = _sizes("S", "M")
COTTON = {"Material": "Cotton"}
TURNS: dict[str, list[Variant]] = {
    "one more": [*OURS, *_sizes("L")],
    "two more": [*OURS, *_sizes("L", "XL")],
    "all others": [
        attrs.evolve(v, sku=f"SKU-new-{v.id}") for v in _sizes("L", "XL", "XXL")
    ],
    "all others, with the same options": [
        attrs.evolve(v, id=f"new {v.id}", sku=f"SKU-new-{v.id}") for v in OURS
    ],
    "all others, with the same SKUs": [attrs.evolve(v, id=f"new {v.id}") for v in OURS],
    "an option more": _sizes("S", "M", "L", Fit="slim"),
    "another option": [variant(s, {"Fit": s}) for s in "SML"],
    "no option": [variant("default")],
    "no option, and one variant stays": [variant("S")],
    "the same option": [
        *_sizes("S", "L", Material="Wool"),
        *_sizes("M", Material="Cotton"),
    ],
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("used", ["used", "half used", "unused", "empty", "shared"])
async def test_an_option_of_a_person(shop: Shop, used: str, turn: str) -> None:
    """New variants get a value of it, once and not silently, and it stays."""
    await shop.put(product(*OURS))
    add = _share_option if used == "shared" else _add_option
    await add(shop, "Material", *([] if used == "empty" else ["Linen", "Cotton"]))
    if used in {"used", "shared"}:
        await _give(shop, S={"Size": "S", **COTTON}, M={"Size": "M", **COTTON})
    if used == "half used":
        await _give(shop, S={"Size": "S", **COTTON})
    before = await _values(shop)
    desired = product(*TURNS[turn])
    report = await shop.put(desired)
    assert report.failures == ()
    assert report.counts.updated == 1
    after = await _options(shop)
    assert after.keys() == {v.title for v in TURNS[turn]}
    for each in TURNS[turn]:
        found = after[str(each.title)]
        assert each.options.items() <= found.items()
        if each.id in {"L", "XL", "default"} and turn != "the same option":
            value = {"unused": "Linen", "empty": "Default"}.get(used, "Cotton")
            if value == "Cotton" and each.id != "default":
                assert found["Material"] == value
            what = f"the value {found['Material']!r} of the option 'Material'"
            (warning,) = (w for w in report.warnings if what in w)
            assert warning.startswith("shop:1: ")
            assert each.id in warning
    assert before["Material"] <= (await _values(shop))["Material"]
    again = await shop.put(desired)
    assert (again.counts.unchanged, again.warnings) == (1, ())
    await shop.settle(attrs.evolve(desired, title="New"))


async def test_a_variant_of_a_person_has_the_only_value(shop: Shop) -> None:
    """Existing gets one that no variant has."""
    await shop.put(product(*OURS))
    await _add_option(shop, "Material", "Cotton")
    await _give(shop, S={"Size": "S", **COTTON}, M={"Size": "M", **COTTON})
    found = await shop.found(fields="options.id,options.title")
    (size,) = (o["id"] for o in found["options"] if o["title"] == "Size")
    path = f"/admin/products/{found['id']}"
    add = {"product_option_id": size, "add": [{"value": "L"}]}
    await shop.medusa.post(f"{path}/options/batch", {"update": [add]})
    options = {"Size": "L", **COTTON}
    theirs = {"title": "Theirs", "options": options, "prices": []}
    await shop.medusa.post(f"{path}/variants", theirs)
    desired = product(*OURS, *_sizes("L"))
    report = await shop.put(desired)
    assert (report.failures, report.counts.updated) == ((), 1)
    after = await _options(shop)
    assert after["Title L"] == {"Size": "L", "Material": "Title L"}
    assert after["Theirs"] == options
    again = await shop.put(desired)
    assert (again.counts.unchanged, again.warnings) == (1, ())
