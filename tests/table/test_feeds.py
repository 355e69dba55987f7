"""Real files, if they are there: what a careful person would read from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.table.tables import read, settings

from catalogsync import (
    UNSET,
    MisconfiguredError,
    Price,
    Product,
    ProductStatus,
    Variant,
)

FEEDS = Path(__file__).parents[3] / "shared" / "feeds"
pytestmark = pytest.mark.skipif(not FEEDS.is_dir(), reason="needs the sample feeds")

MEDUSA = """
key = "Product Handle"
title = "Product Title"
description = "Product Description"
status = { from = "Product Status", words = { proposed = "draft" } }
thumbnail = { from = "Product Thumbnail", template = "https://img.example.com/{value}" }
images = { all = "Product Image *", template = "https://img.example.com/{value}" }
tags = { all = "Product Tag *" }
variant = "Variant Id"
variant_title = "Variant Title"
sku = "Variant Sku"
barcode = { from = ["Variant Ean", "Variant Upc", "Variant Barcode"] }
option_pairs = [["Variant Option * Name", "Variant Option * Value"]]
variant_order = "Variant Variant Rank"
prices.USD = "Variant Price USD"
"""
MEDUSA_1 = """
key = "Product Handle"
title = "Product Title"
description = { from = "Product Description", escapes = true }
status = "Product Status"
thumbnail = { from = "Product Thumbnail", template = "https://img.example.com/{value}" }
tags = { from = "Product Tags", split = "," }
sku = "Variant SKU"
variant_title = "Variant Title"
barcode = "Variant Barcode"
stock = "Variant Inventory Quantity"
option_pairs = [["Option * Name", "Option * Value"]]
prices.USD = "Price USD"
"""
SPREE = """
key = "slug"
title = "name"
description = "description"
status = { from = "status", words = { active = "published", archived = "draft" } }
tags = { from = "tags", split = "," }
images = { all = "image*_src" }
categories = { all = "category*" }
category_levels = "->"
weight = { from = "weight", blank = ["0.0"], template = "{value} {weight_unit}" }
variant_if = "option1_value"
sku = "sku"
option_pairs = [["option*_name", "option*_value"]]
price = "price"
currency = "currency"
stock = "inventory_count"
"""
OFBIZ = """
key = "Style No"
title = "Product Name"
brand = "Brand"
variant = { template = "{Style No}-{Color}-{Size}" }
options = { Color = "Color", Size = "Size" }
price = { from = "List Price", currency = "CNY" }
stock = "Stock Qty"
stock_location = "FacilityId"
"""


async def products_of(name: str, mapping: str, toml: str = "") -> Mapping[str, Product]:
    """The products of a file by id, of which none is rejected."""
    products, rejected = await read(settings(FEEDS / name, toml, mapping))
    assert rejected == []
    return {product.key.id: product for product in products}


def variants(product: Product) -> tuple[Variant, ...]:
    assert product.variants
    return product.variants


def amounts(variant: Variant) -> dict[str, str]:
    found: tuple[Price, ...] = variant.prices or ()
    return {price.currency: str(price.amount) for price in found}


@pytest.mark.parametrize("mapping", [MEDUSA, MEDUSA_1, SPREE, OFBIZ])
def test_a_map_has_at_most_25_lines(mapping: str) -> None:
    assert len(mapping.strip().splitlines()) <= 25


async def test_a_medusa_export() -> None:
    more = 'prices.DKK = "Variant Price DKK"\nprices.EUR = "Variant Price EUR"\n'
    found = await products_of("medusa-export-semicolon.csv", MEDUSA + more)
    assert list(found) == ["base-product", "proposed-product"]
    base = found["base-product"]
    assert base.description == "test-product-description\ntest line 2"
    assert (base.status, base.tags) == (ProductStatus.DRAFT, ("123", "456"))
    assert [variant.options for variant in variants(base)] == [
        {"size": "large", "color": "green"},
        {"size": "small", "color": "green"},
    ]
    assert amounts(variants(base)[1]) == {"USD": "200", "DKK": "50", "EUR": "65"}


async def test_prices_of_regions_are_not_those_of_the_currency() -> None:
    found = await products_of("medusa-prices-with-region.csv", MEDUSA)
    assert amounts(variants(found["product-with-prices"])[0]) == {"USD": "100"}


async def test_the_template_of_medusa_1() -> None:
    found = await products_of("medusa-v1-template.csv", MEDUSA_1)
    assert [len(variants(product)) for product in found.values()] == [1, 1, 3]
    first, _, last = found.values()
    assert str(first.description).partition("\n")[2].startswith("100% organic")
    assert last.thumbnail == "https://img.example.com/test-image.png"
    assert [amounts(variant) for variant in variants(last)] == [
        {"USD": "1.10"},
        {"USD": "1.20"},
        {},
    ]


async def test_an_import_of_spree() -> None:
    found = await products_of("spree-import.csv", SPREE, 'short_rows = "fill"')
    shirt = found["denim-shirt"]
    assert len(variants(shirt)) == 10
    assert [category.id for category in shirt.categories or ()] == [
        "Men > Shirts",
        "Women",
        "Sportswear",
    ]
    assert shirt.weight == UNSET
    assert amounts(variants(shirt)[0]) == {"USD": "62.99"}


async def test_three_kinds_of_rows_of_spree() -> None:
    found = await products_of("spree-products.csv", SPREE)
    assert (len(found), sum(len(variants(p)) for p in found.values())) == (37, 87)
    assert all(
        set(amounts(variant)) == {"USD", "EUR"}
        for product in found.values()
        for variant in variants(product)
    )
    espresso = found["automatic-espresso-machine"]
    assert espresso.status == ProductStatus.PUBLISHED
    assert len(espresso.images or ()) == 4
    assert str(espresso.weight) == "8981.128926"


async def test_a_price_list_of_ofbiz() -> None:
    found = await products_of("ofbiz-price-list.xlsx", OFBIZ)
    assert [len(variants(product)) for product in found.values()] == [1, 2, 4]
    jacket = found["1211001"]
    assert [
        (level.location, level.quantity)
        for variant in variants(jacket)
        for level in variant.stock or ()
    ] == [
        ("WebStoreWarehouse", 123),
        ("WestStoreWarehouse", 67),
        ("WebStoreWarehouse", 54),
        ("WebStoreWarehouse", 3),
    ]
    assert found["100103688"].brand == "ARC\u2019TERYX"


async def test_a_damaged_file_is_refused_with_an_explanation() -> None:
    mapping = 'key = "sku"\ntitle = "name"'
    with pytest.raises(MisconfiguredError, match="ask for the original file"):
        await read(settings(FEEDS / "magmi-multilang.csv", mapping=mapping))


async def test_texts_that_are_no_products() -> None:
    with pytest.raises(MisconfiguredError, match=r"map.status: .*no column `status`"):
        await read(settings(FEEDS / "spree-translations.csv", mapping=SPREE))
