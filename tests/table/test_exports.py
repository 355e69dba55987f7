"""Presets for exports whose variants are rows of their own: Magento 2 and Akeneo."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from tests.table.test_presets import EURO, facts, read_preset

from catalogsync import Price, Product, ProductStatus, StockLevel
from catalogsync.adapters.table import sniff
from catalogsync.config import from_preset, presets
from catalogsync.mapping import RecordMapping

MAGENTO = """sku,store_view_code,attribute_set_code,product_type,categories,name,description,\
short_description,weight,product_online,visibility,price,special_price,base_image,\
additional_attributes,qty,additional_images,configurable_variations,configurable_variation_labels
SH-S-RED,,Top,simple,"Default Category/Men,Default Category/Men/Shirts",Shirt-S-Red,,,0.2,1,\
Not Visible Individually,19.9000,,/s/h/red.jpg,"color=Red,""features=Soft, warm|Blue"",size=S",\
3.0000,,,
SH-S-RED,french,,,,Chemise-S-Rouge,,,,,,,,,,,,,
SH-M-RED,,Top,simple,Default Category/Men,Shirt-M-Red,,,0.2,1,Not Visible Individually,21.9000,,\
no_selection,"color=Red,size=M",0.0000,,,
SH,,Top,configurable,"Default Category,Default Category/Men/Shirts,Default Category/Sale",Shirt,\
<p>Fine</p>,,,1,"Catalog, Search",,,/s/h/shirt.jpg,"climate=Cool,manufacturer=Acme",,\
"/s/h/back.jpg,/s/h/side.jpg","sku=SH-S-RED,size=S,color=Red|sku=SH-M-RED,size=M,color=Red",\
"size=Size,color=Color"
SH,french,,,,Chemise,<p>Belle</p>,,,,,,,,,,,,
MUG,,Default,simple,Default Category/Cups,Mug,,Short text,0.5,2,"Catalog, Search",5.0000,4.0000,,,\
7.0000,,,
"""
MODELS = """code;family_variant;parent;categories;name-en_US;name-de_DE;\
description-en_US-ecommerce;image
shirt;clothing_color_size;;men,sale;Shirt;Hemd;<p>Fine</p>;files/shirt.jpg
shirt_red;clothing_color_size;shirt;;;;;files/red.jpg
"""
AKENEO = """sku;categories;enabled;family;groups;parent;color;description-en_US-ecommerce;ean;\
image;name-de_DE;name-en_US;price-EUR;price-USD;size;weight;weight-unit
shirt_red_s;men,sale;1;clothing;;shirt_red;red;<p>Fine</p>;4006381333931;files/red.jpg;Hemd;\
Shirt;19.90;21.00;s;0.2;KILOGRAM
shirt_red_m;men,sale;1;clothing;;shirt_red;red;<p>Fine</p>;;files/red.jpg;Hemd;Shirt;21.90;;m;\
200;GRAM
mug;cups;0;ceramics;;;;;;;Becher;Mug;5.00;;;;
"""


async def test_magento(tmp_path: Path) -> None:
    """Children come before their parent, and store views after each row."""
    (shirt, mug), rejected = await read_preset(
        tmp_path, MAGENTO, "magento2-csv", currency=EURO
    )
    assert rejected == []
    assert (shirt.key.id, shirt.title, shirt.description) == (
        "SH",
        "Shirt",
        "<p>Fine</p>",
    )
    assert facts(shirt) == [
        ("SH-S-RED", {"Color": "Red", "Size": "S"}, {"EUR": "19.9000"}),
        ("SH-M-RED", {"Color": "Red", "Size": "M"}, {"EUR": "21.9000"}),
    ]
    assert [variant.stock for variant in shirt.variants or ()] == [
        (StockLevel(quantity=3),),
        (StockLevel(quantity=0),),
    ]
    assert shirt.brand == "Acme"
    assert shirt.status is ProductStatus.PUBLISHED
    names = [(c.name, c.parent and c.parent.name) for c in shirt.categories or ()]
    assert names == [("Shirts", "Men"), ("Sale", None), ("Men", None)]
    assert [image.url for image in shirt.images or ()] == [
        "/s/h/shirt.jpg",
        "/s/h/back.jpg",
        "/s/h/side.jpg",
        "/s/h/red.jpg",
    ]
    assert facts(mug) == [("MUG", {}, {"EUR": "5.0000"})]
    assert (mug.description, mug.status) == ("Short text", ProductStatus.DRAFT)


async def test_magento_needs_a_currency_and_a_unit(tmp_path: Path) -> None:
    _, rejected = await read_preset(tmp_path, MAGENTO, "magento2-csv")
    assert "has no currency" in rejected[0].reason
    weight = {"from": "weight", "unit": "kg", "decimal": "."}
    (shirt, mug), _ = await read_preset(
        tmp_path, MAGENTO, "magento2-csv", currency=EURO, weight=weight
    )
    assert (shirt.weight, mug.weight) == (200, 500)


async def test_magento_another_root_and_image_addresses(tmp_path: Path) -> None:
    text = MAGENTO.replace("Default Category", "Outlet")
    images = {"from": "base_image", "template": "https://img.example{value}"}
    (shirt, _), _ = await read_preset(
        tmp_path, text, "magento2-csv", currency=EURO, images=images
    )
    assert (shirt.images or ())[0].url == "https://img.example/s/h/shirt.jpg"
    roots = {
        (c.parent.parent or c.parent).name for c in shirt.categories or () if c.parent
    }
    assert roots == {"Outlet"}


async def test_a_price_of_a_store_view_is_not_guessed(tmp_path: Path) -> None:
    """With prices per website, a store view has another price for the same variant."""
    text = MAGENTO.replace(
        ",french,,,,Chemise-S-Rouge,,,,,,,", ",french,,,,C,,,,,,24.5,"
    )
    (mug,), (rejected,) = await read_preset(
        tmp_path, text, "magento2-csv", currency=EURO
    )
    assert mug.key.id == "MUG"
    assert "is 19.9000 and 24.5 for one variant" in rejected.reason


def shirts(products: list[Product]) -> list[tuple[str, str, int]]:
    return [(p.key.id, p.title, len(p.variants or ())) for p in products]


async def test_akeneo_products(tmp_path: Path) -> None:
    """Without models, the products of one model are one product."""
    products, rejected = await read_preset(tmp_path, AKENEO, "akeneo-csv")
    assert rejected == []
    assert shirts(products) == [("shirt_red", "Shirt", 2), ("mug", "Mug", 1)]
    shirt, mug = products
    assert facts(shirt) == [
        (
            "shirt_red_s",
            {"Color": "red", "Size": "s"},
            {"EUR": "19.90", "USD": "21.00"},
        ),
        ("shirt_red_m", {"Color": "red", "Size": "m"}, {"EUR": "21.90"}),
    ]
    assert [each.id for each in shirt.categories or ()] == ["men", "sale"]
    assert (shirt.weight, shirt.description) == (Decimal(200), "<p>Fine</p>")
    assert (shirt.variants or ())[0].barcode == "4006381333931"
    assert (mug.status, shirt.status) == (ProductStatus.DRAFT, ProductStatus.PUBLISHED)
    (only,) = mug.variants or ()
    assert only.prices == (Price(amount=Decimal("5.00"), currency="EUR"),)


async def test_akeneo_products_and_models(tmp_path: Path) -> None:
    """Joined into one file, models of two levels are one product."""
    (tmp_path / "models.csv").write_text(MODELS)
    (tmp_path / "products.csv").write_text(AKENEO)
    duckdb.sql(
        f"COPY (FROM read_csv(['{tmp_path}/models.csv', '{tmp_path}/products.csv'],"
        " delim = ';', all_varchar = true, union_by_name = true))"
        f" TO '{tmp_path}/all.csv' (DELIMITER ';')"
    )
    text = (tmp_path / "all.csv").read_text()
    products, rejected = await read_preset(tmp_path, text, "akeneo-csv")
    assert rejected == []
    assert shirts(products) == [("shirt", "Shirt", 2), ("mug", "Mug", 1)]
    urls = [image.url for image in products[0].images or ()]
    assert urls == ["files/shirt.jpg", "files/red.jpg"]


async def test_akeneo_in_another_language(tmp_path: Path) -> None:
    products, _ = await read_preset(tmp_path, AKENEO, "akeneo-csv", title="name-de_DE")
    assert [product.title for product in products] == ["Hemd", "Becher"]


@pytest.mark.parametrize(
    ("text", "name"), [(MAGENTO, "magento2-csv"), (AKENEO, "akeneo-csv")]
)
def test_sniff_recognises_them(tmp_path: Path, text: str, name: str) -> None:
    file = tmp_path / "export.csv"
    file.write_text(text)
    given = {"location": "x.csv", "name": "x"}
    maps: dict[str, RecordMapping] = {
        each: from_preset(each, given).map for each in presets("table")
    }
    assert sniff(str(file), maps).preset == name
