"""Presets: shipped settings of sources, which a job completes and replaces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.xml_runs import OWN, SHARED, read_all, written

from catalogsync import MisconfiguredError, Product
from catalogsync.config import from_preset, load_config, presets
from catalogsync.testing.api import APIStyle, fake_api

NEEDED: Mapping[str, Mapping[str, object]] = {
    "xml": {"location": "feed.xml", "name": "shop"},
    "json_api": {"url": "https://shop.example/graphql"},
    "table": {"location": "shop.csv", "name": "shop"},
}
KINDS = [(kind, name) for kind in NEEDED for name in presets(kind)]


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_each_preset_is_valid(kind: str, name: str) -> None:
    assert from_preset(name, {**NEEDED[kind], "type": kind}).map.key


def test_each_preset_is_for_one_source() -> None:
    assert sorted(name for _, name in KINDS) == [*presets()]
    assert presets("table") == (
        "akeneo-csv",
        "google-merchant-tsv",
        "magento2-csv",
        "medusa-csv",
        "shopify-csv",
        "spree-csv",
        "woocommerce-csv",
    )
    assert presets("none") == ()


async def products_of(name: str, given: Mapping[str, object]) -> list[Product]:
    products, rejected = await read_all(from_preset(name, given).open())
    assert rejected == []
    return products


def prices(product: Product) -> list[str]:
    return [
        f"{price.amount} {price.currency}"
        for variant in product.variants or ()
        for price in variant.prices or ()
    ]


async def test_google_merchant() -> None:
    given = {"location": str(OWN / "google-merchant-rss.xml"), "name": "shop"}
    cup, pot = await products_of("google-merchant", given)
    assert (prices(cup), prices(pot)) == (["12.50 EUR", "13.50 EUR"], ["40 EUR"])


@pytest.mark.parametrize(
    ("name", "price"),
    [("google-merchant-rss.xml", "105.29 USD"), ("meta-catalog-atom.xml", "9.99 GBP")],
)
async def test_the_shared_merchant_feeds(name: str, price: str) -> None:
    if not (SHARED / name).exists():
        pytest.skip("needs the sample feeds")
    given = {"location": str(SHARED / name), "name": "shop"}
    (product,) = await products_of("google-merchant", given)
    assert {*prices(product)} == {price}


@pytest.mark.parametrize("name", ["bmecat-1.2.xml", "bmecat-2005.xml"])
async def test_the_shared_catalogues(name: str) -> None:
    if not (SHARED / name).exists():
        pytest.skip("needs the sample feeds")
    given = {"location": str(SHARED / name), "name": "supplier"}
    (product,) = await products_of("bmecat", given)
    assert prices(product) == ["1499.5 EUR"]


def category_ids(product: Product) -> list[str]:
    return [category.id for category in product.categories or ()]


async def test_the_groups_of_bmecat_are_categories() -> None:
    """Whether articles name their groups, or a list after them does."""
    given = {"location": str(OWN / "bmecat-1.2.xml"), "name": "supplier"}
    (pliers,) = await products_of("bmecat", given)
    assert category_ids(pliers) == ["Werkzeug > Zangen", "Werkzeug"]
    if (SHARED / "bmecat-2005.xml").exists():
        given = {"location": str(SHARED / "bmecat-2005.xml"), "name": "supplier"}
        (laptop,) = await products_of("bmecat", given)
        assert category_ids(laptop) == ["Hardware > Notebook > Mac"]


async def test_bmecat() -> None:
    given = {"location": str(OWN / "bmecat-2005.xml"), "name": "supplier"}
    key, pliers = await products_of("bmecat", given)
    assert (prices(key), prices(pliers)) == (["1499.5 EUR"], ["5 EUR"])


async def test_prices_for_groups_of_customers_are_not_guessed(tmp_path: Path) -> None:
    text = (OWN / "bmecat-2005.xml").read_text(encoding="iso-8859-1")
    place = written(tmp_path, text.replace(">100<", ">1<").encode("iso-8859-1"))
    given = {"location": str(place), "name": "supplier"}
    products, (rejected,) = await read_all(from_preset("bmecat", given).open())
    assert len(products) == 1
    assert "price" in rejected.reason


async def test_saleor() -> None:
    money = {"price": {"gross": {"amount": 12.5, "currency": "EUR"}}}
    variant = {"id": "V1", "sku": "S1", "name": "M", "quantityAvailable": 3}
    node = {
        "id": "P1",
        "name": "Shirt",
        "media": [{"url": "https://i.example/1.png", "type": "IMAGE"}],
        "category": {"name": "Shirts"},
        "variants": [{**variant, "pricing": money}],
    }
    style = APIStyle(paging="graphql")
    async with fake_api([node], style) as api:
        given = {
            "url": f"{api.url}/graphql",
            "graphql": {"variables": {"channel": "c"}},
        }
        (product,) = await products_of("saleor", given)
    assert prices(product) == ["12.5 EUR"]
    assert product.categories
    assert product.categories[0].name == "Shirts"


async def test_shopify() -> None:
    options = [{"name": "Size", "value": "M"}, {"name": "Color", "value": "Red"}]
    variant = {"legacyResourceId": "11", "title": "M", "sku": "S1", "price": "12.50"}
    node: dict[str, Any] = {
        "id": 1,
        "legacyResourceId": "1",
        "title": "Shirt",
        "tags": ["new"],
        "images": {"nodes": [{"url": "https://i.example/1.png"}]},
        "variants": {"nodes": [{**variant, "selectedOptions": options}]},
    }
    async with fake_api([node], APIStyle(paging="graphql")) as api:
        price = {"from": "price", "currency": "EUR"}
        given = {"url": f"{api.url}/graphql", "map": {"price": price}}
        (product,) = await products_of("shopify", given)
        source = from_preset("shopify", {"url": f"{api.url}/graphql"})
        _, (rejected,) = await read_all(source.open())
    (only,) = product.variants or ()
    assert (prices(product), only.options) == (
        ["12.50 EUR"],
        {"Size": "M", "Color": "Red"},
    )
    assert "currency" in rejected.reason


def config(folder: Path, source: str) -> Path:
    file = folder / "catalogsync.toml"
    sink = '{ type = "sql", url = "sqlite://" }'
    text = f"[jobs.x]\nsink = {sink}\n[jobs.x.source]\n{source}\n"
    file.write_text(text, encoding="utf-8")
    return file


def test_what_a_job_sets_replaces_the_preset(tmp_path: Path) -> None:
    text = 'preset = "google-merchant"\nlocation = "f.xml"\nname = "s"'
    file = config(tmp_path, f"{text}\nmap = {{ sku = '\"g:mpn\"' }}")
    source: Any = load_config(file).job("x").source
    assert source.map.sku.columns == ('"g:mpn"',)
    assert source.map.key.columns == ('"g:item_group_id"', '"g:id"')


def test_a_preset_of_ones_own(tmp_path: Path) -> None:
    own = 'type = "xml"\nrecords = "item"\nmap = { key = "id", title = "name" }\n'
    (tmp_path / "supplier.toml").write_text(own, encoding="utf-8")
    text = 'preset = "supplier.toml"\nlocation = "f.xml"\nname = "s"'
    source: Any = load_config(config(tmp_path, text)).job("x").source
    assert source.records == ("item",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'preset = "google-merchand"',
            "unknown preset; did you mean `google-merchant`?",
        ),
        (
            'preset = "shopify-cvs"',
            "did you mean `shopify-csv`?",
        ),
        ('preset = "x"', "known: `akeneo-csv`, `bmecat`, `google-merchant`, "),
        ('preset = "x"', "`woocommerce-csv`, or a file NAME.toml"),
        ("preset = 7", "preset: must be text"),
        ('preset = "none.toml"', "preset: cannot be read: none.toml: No such file"),
        ('preset = "bad.toml"', "preset: bad.toml is not TOML: "),
        ('type = "table"\npreset = "shopify"', "is for the source `json_api`"),
        (
            'preset = "bmecat"\nname = "s"\nmap = { preset = "shopify" }',
            "source.map.preset: unknown key",
        ),
        ('type = "json_api"\npreset = "bmecat"', "preset: is for the source `xml`"),
        ('preset = "bmecat"\nlocation = "f.xml"', "source.name: is missing"),
    ],
)
def test_what_is_wrong_with_a_preset(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.toml").write_text("key = ")
    with pytest.raises(MisconfiguredError) as caught:
        load_config(config(tmp_path, text))
    assert message in str(caught.value)
