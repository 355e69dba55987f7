"""The command `preview`: records beside products, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from .conftest import Configure

Call = Callable[..., Result]

FILE = """Handle;Title;SKU;Size;Price
cup;Cup;C-S;S;1,50
cup;;C-M;M;2,50
pot;Pot;P-S;S;free
pan;Pan;P
"""
SOURCE = """
[jobs.shop.source]
type = "table"
name = "shop"
location = "shop.csv"
[jobs.shop.source.map]
key = "Handle"
title = "Title"
sku = "SKU"
options.Size = "Size"
price = { from = "Price", currency = "EUR" }
[jobs.shop.sink]
type = "sql"
url = "sqlite:///shop.db"
"""


def test_records_products_and_rejections(configure: Configure, call: Call) -> None:
    Path("shop.csv").write_text(FILE)
    Path("catalogsync.toml").write_text(SOURCE)
    result = call("preview", "shop")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:17] == [
        "row 2",
        "    Handle: cup",
        "    Title: Cup",
        "    SKU: C-S",
        "    Size: S",
        "    Price: 1,50",
        "row 3",
        "    Handle: cup",
        "    SKU: C-M",
        "    Size: M",
        "    Price: 2,50",
        "= product shop:cup  Cup",
        '    title: "Cup"',
        '    variants.C-S.sku: "C-S"',
        '    variants.C-S.options.Size: "S"',
        '    variants.C-S.prices.EUR: "1.50"',
        '    variants.C-M.sku: "C-M"',
    ]
    assert '! rejected row 4: price: "free" is not a number' in result.stdout
    assert "! rejected row 5: has 3 cells instead of 5" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 product, 2 rejected"
    assert not Path("shop.db").exists()


def test_chosen_products(configure: Configure, call: Call) -> None:
    Path("shop.csv").write_text(FILE)
    Path("catalogsync.toml").write_text(SOURCE)
    result = call("preview", "shop", "--key", "cup", "--key", "none")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "1 product, 0 rejected"
    result = call("preview", "shop", "--limit", "1")
    assert result.stdout.splitlines()[-1] == "1 product, 0 rejected"


def test_a_source_that_cannot_show_its_records(
    configure: Configure, call: Call
) -> None:
    result = call("preview", "products", "--limit", "2")
    assert result.exit_code == 0
    assert result.stdout.startswith("= product dummyjson:1 ")
    assert result.stdout.splitlines()[-1] == "2 products, 0 rejected"
    result = call("preview", "products", "--key", "3")
    assert result.stdout.startswith("= product dummyjson:3 ")


def test_categories_that_the_map_does_not_have(
    configure: Configure, call: Call
) -> None:
    Path("shop.csv").write_text(
        "Handle;Title;SKU;Size;Price;Group\na;A;A;S;1;Men\nb;B;B;S;1;Hats\nc;C;C;S;1;Hats\n"
        "d;D;D;S;1;Bags\n"
    )
    more = (
        'categories = "Group"\ncategory_map = { Men = "Men > All" }\n[jobs.shop.sink]'
    )
    text = SOURCE.replace("[jobs.shop.sink]", more)
    Path("catalogsync.toml").write_text(text)
    result = call("preview", "shop", "--unmapped")
    assert result.exit_code == 1
    assert result.stdout == "Hats: 2 products\nBags: 1 product\n2 categories unmapped\n"
