"""Presets: the files of well-known systems, as they export them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from tests.table.tables import read
from tests.table.test_feeds import FEEDS

from catalogsync import UNSET, Dimensions, MisconfiguredError, Product, ProductStatus
from catalogsync.adapters.table import TableSettings
from catalogsync.catalog.outcomes import Rejected
from catalogsync.config import from_preset, presets

SHOPIFY = """Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,\
Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Grams,Variant Inventory Qty,\
Variant Price,Variant Barcode,Image Src,Status
shirt,Shirt,<p>Fine</p>,Acme,Apparel > Shirts,,"a, b",TRUE,Size,S,Color,Red,'001,200.0,3,19.90,'40,\
https://img.example.com/1.jpg,active
shirt,,,,,,,,,M,,Red,002,200.0,0,21.90,,https://img.example.com/2.jpg,
shirt,,,,,,,,,,,,,,,,,https://img.example.com/3.jpg,
mug,Mug,,Acme,,Cups,,FALSE,Title,Default Title,,,,0.0,7,5.00,,,draft
"""
WOO = """ID,Type,SKU,Name,Published,Description,Stock,Weight (kg),Regular price,Categories,Images,\
Parent,Attribute 1 name,Attribute 1 value(s)
10,variable,SHIRT,Shirt,1,"Fine\\nsoft",,0.2,,"Clothing > Shirts, Sale","a.jpg, b.jpg",,Size,"S, M"
11,variation,SHIRT-S,Shirt - S,1,,3,,19.90,,,SHIRT,Size,S
12,variation,SHIRT-M,Shirt - M,1,,4,,21.90,,,SHIRT,Size,M
20,variable,,Hat,0,,,,,,,,Size,"S, M"
21,variation,,Hat - S,1,,3,,9,,,id:20,Size,S
30,simple,MUG,Mug,-1,,7,,5,Cups,,,,
"""
GOOGLE = """id\ttitle\tdescription\titem_group_id\tprice\tcolor\tsize\tproduct_type\timage_link\t\
shipping_weight
S-1\tShirt red\tFine\tS\t19.90 EUR\tred\tM\tClothing > Shirts\ta.jpg\t0.2 kg
S-2\tShirt blue\tFine\tS\t19.90 EUR\tblue\tM\tClothing > Shirts\tb.jpg\t0.2 kg
M\tMug\t\t\t5 EUR\t\t\tCups\t\t
"""


EURO = {"value": "EUR"}


def settings_of(location: object, preset: str, **mapping: object) -> TableSettings:
    """Settings of a preset, with what the map of a job adds."""
    given = {"location": str(location), "name": "shop", "map": mapping}
    found: TableSettings = from_preset(preset, given)
    return found


async def read_preset(
    folder: Path, text: str, preset: str, **mapping: object
) -> tuple[list[Product], list[Rejected]]:
    """The products of a file with this content."""
    file = folder / "shop.csv"
    file.write_text(text, encoding="utf-8")
    return await read(settings_of(file, preset, **mapping))


def facts(product: Product) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """Id, options and prices of each variant."""
    return [
        (
            variant.id,
            dict(variant.options),
            {price.currency: str(price.amount) for price in variant.prices or ()},
        )
        for variant in product.variants or ()
    ]


async def test_shopify(tmp_path: Path) -> None:
    (shirt, mug), rejected = await read_preset(
        tmp_path, SHOPIFY, "shopify-csv", currency=EURO
    )
    assert rejected == []
    assert facts(shirt) == [
        ("001", {"Size": "S", "Color": "Red"}, {"EUR": "19.90"}),
        ("002", {"Size": "M", "Color": "Red"}, {"EUR": "21.90"}),
    ]
    assert len(shirt.images or ()) == 3
    assert (shirt.status, shirt.tags) == (ProductStatus.PUBLISHED, ("a", "b"))
    assert shirt.weight == 200
    assert facts(mug) == [("default", {}, {"EUR": "5.00"})]
    assert mug.status == ProductStatus.DRAFT
    _, rejected = await read_preset(tmp_path, SHOPIFY, "shopify-csv")
    assert "has no currency" in rejected[0].reason


async def test_woocommerce(tmp_path: Path) -> None:
    (shirt, hat, mug), rejected = await read_preset(
        tmp_path, WOO, "woocommerce-csv", currency=EURO
    )
    assert rejected == []
    assert facts(shirt) == [
        ("SHIRT-S", {"Size": "S"}, {"EUR": "19.90"}),
        ("SHIRT-M", {"Size": "M"}, {"EUR": "21.90"}),
    ]
    assert (shirt.title, shirt.description) == ("Shirt", "Fine\nsoft")
    assert [each.id for each in shirt.categories or ()] == ["Clothing > Shirts", "Sale"]
    assert facts(hat) == [("21", {"Size": "S"}, {"EUR": "9"})]
    assert facts(mug) == [("MUG", {}, {"EUR": "5"})]
    assert shirt.weight == 200


async def test_woocommerce_in_pounds_and_inches(tmp_path: Path) -> None:
    text = "ID,Type,SKU,Name,Weight (lbs),Length (in)\n30,simple,MUG,Mug,.5,10\n"
    (mug,), _ = await read_preset(tmp_path, text, "woocommerce-csv")
    assert mug.weight == Decimal("226.796185")
    assert mug.dimensions == Dimensions(length=Decimal(254))


async def test_google_merchant(tmp_path: Path) -> None:
    (shirt, mug), rejected = await read_preset(tmp_path, GOOGLE, "google-merchant-tsv")
    assert rejected == []
    assert facts(shirt) == [
        ("S-1", {"Color": "red", "Size": "M"}, {"EUR": "19.90"}),
        ("S-2", {"Color": "blue", "Size": "M"}, {"EUR": "19.90"}),
    ]
    assert shirt.weight == 200
    assert facts(mug) == [("M", {}, {"EUR": "5"})]


async def test_details_in_an_export_of_medusa(tmp_path: Path) -> None:
    """A country that is not a code rejects no product: Medusa takes any text."""
    head = (
        "Product Handle,Product Title,Product Subtitle,Product Material,Product Hs Code,"
        "Product Origin Country,Product Mid Code,Product Discountable,Product Type,"
        "Product Collection Title,Variant Id,Variant Weight,Variant Height\n"
    )
    text = f"{head}a,A,Sub,Clay,6912,pt,PTX,false,Cups,Summer,1,250,9.5\n"
    text += "b,B,,,,Portugal,,TRUE,,,2,,\n"
    (first, second), rejected = await read_preset(tmp_path, text, "medusa-csv")
    assert rejected == []
    found = (first.subtitle, first.material, first.hs_code, first.origin_country)
    assert found == ("Sub", "Clay", "6912", "PT")
    (variant,) = first.variants or ()
    assert variant.weight == 250
    assert variant.dimensions == Dimensions(height=Decimal("9.5"))
    assert (first.type, first.collection) == ("Cups", "Summer")
    assert (first.mid_code, first.discountable) == ("PTX", False)
    assert (second.origin_country, second.discountable) == (UNSET, True)


@pytest.mark.skipif(not FEEDS.is_dir(), reason="needs the sample feeds")
@pytest.mark.parametrize(
    ("name", "preset", "more", "products", "variants"),
    [
        ("medusa-export-semicolon.csv", "medusa-csv", {}, 2, 3),
        ("medusa-prices-with-region.csv", "medusa-csv", {}, 1, 1),
        ("medusa-v1-template.csv", "medusa-csv", {}, 3, 5),
        ("spree-products.csv", "spree-csv", {}, 37, 87),
        ("spree-import.csv", "spree-csv", {"short_rows": "fill"}, 2, 15),
    ],
)
async def test_real_files(
    name: str, preset: str, more: dict[str, str], products: int, variants: int
) -> None:
    given = {"location": str(FEEDS / name), "name": "shop", **more}
    found, rejected = await read(from_preset(preset, given))
    assert rejected == []
    assert len(found) == products
    assert sum(len(product.variants or ()) for product in found) == variants
    currencies = {
        currency for p in found for *_, prices in facts(p) for currency in prices
    }
    assert "USD" in currencies


async def test_an_entry_of_the_map_replaces_that_of_the_preset(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'type = "table"\n[map]\noptional_columns = true\n'
        'key = "Handle"\ntitle = "Vendor"\nbrand = "None"\n'
    )
    found, _ = await read_preset(tmp_path, SHOPIFY, str(own), title="Title")
    assert [product.title for product in found] == ["Shirt", "Mug"]


def test_what_a_job_sets_is_checked_like_the_rest() -> None:
    with pytest.raises(MisconfiguredError, match=r"price_columns\[0\]: must contain"):
        settings_of("shop.csv", "medusa-csv", price_columns=["Price"])


@pytest.mark.parametrize("name", presets("table"))
async def test_only_key_and_title_must_be_there(tmp_path: Path, name: str) -> None:
    preset = settings_of("shop.csv", name)
    mapping, mark = preset.map, preset.separator or ","
    key, title = (
        next(n for n in spec.columns if "*" not in n)
        for spec in (mapping.key, mapping.title)
    )
    (product,), rejected = await read_preset(
        tmp_path, f"{key}{mark}{title}\nmug{mark}Mug\n", name
    )
    assert (product.key.id, product.title, rejected) == ("mug", "Mug", [])
    for text, field in (
        (f"{key}{mark}X\nmug{mark}Mug\n", "title"),
        (f"X{mark}{title}\n1{mark}M\n", "key"),
    ):
        with pytest.raises(MisconfiguredError, match=rf"map\.{field}: .* no column"):
            await read_preset(tmp_path, text, name)
    with pytest.raises(MisconfiguredError, match="no column"):
        await read_preset(
            tmp_path,
            f"{key}{mark}{title}\nmug{mark}Mug\n",
            name,
            optional_columns=False,
        )
