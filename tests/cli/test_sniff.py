"""The command `sniff`: a proposal that works, and questions instead of guesses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from catalogsync.config import load_config

from .conftest import Configure

Call = Callable[..., Result]

ROWS = """Price list
Handle;Title;SKU;Size;Price;Stock
cup;Cup;C-S;S;1,50;3
cup;;C-M;M;2,50;4
"""


def test_a_proposal_with_a_question(configure: Configure, call: Call) -> None:
    Path("Our cups.csv").write_text(ROWS)
    result = call("sniff", "Our cups.csv", "--out", "proposed.toml")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:6] == [
        "Our cups.csv: utf-8, separated by semicolons, header in row 2, 6 columns",
        'key: column "Handle" (its values repeat: rows with the same one are a product)',
        'title: column "Title"',
        'sku: column "SKU"',
        'stock: column "Stock"',
        'options.Size: column "Size"',
    ]
    example = 'price = { from = "Price", currency = "EUR", decimal = "," }'
    assert lines[6] == f"? which currency? for example: {example}"
    assert "= product our-cups:cup  Cup" in result.stdout
    assert load_config("proposed.toml").job("our-cups").source_name == "our-cups"
    again = call("sniff", "Our cups.csv", "--out", "proposed.toml")
    assert again.exit_code == 2
    assert "proposed.toml exists already" in again.stderr


@pytest.mark.parametrize("price", ["1,50 €", "EUR 2.50"])
def test_a_currency_in_the_cells_needs_no_question(
    configure: Configure, call: Call, price: str
) -> None:
    Path("cups.csv").write_text(f"id;name;price\n1;Cup;{price}\n")
    result = call("sniff", "cups.csv")
    assert "?" not in result.stdout
    assert "prices.EUR" in result.stdout


def test_a_preset_is_recognised(configure: Configure, call: Call) -> None:
    Path("export.csv").write_text(
        "Handle,Title,Body (HTML),Vendor,Option1 Name,Option1 Value,Variant SKU,"
        "Variant Price\nmug,Mug,,Acme,Title,Default Title,M,5.00\n"
    )
    result = call("sniff", "export.csv", "--out", "proposed.toml")
    assert "it looks like shopify-csv: " in result.stdout
    assert "? which currency?" in result.stdout
    proposed = Path("proposed.toml")
    text = proposed.read_text()
    assert '[jobs.export.source]\npreset = "shopify-csv"\nname = "export"\n' in text
    assert 'type = "table"' not in text
    answer = 'currency = { value = "EUR" }'
    assert f"# which currency? for example: {answer}" in text
    proposed.write_text(re.sub(r"(?m)^# which.*: (?=currency)", "", text))
    source: Any = load_config(proposed).job("export").source
    assert source.map.currency.value == "EUR"
    assert source.map.sku.columns == ("Variant SKU",)


@pytest.mark.parametrize("price", ["5.00 EUR", "5.00"])
def test_a_preset_asks_only_for_what_the_cells_do_not_say(
    configure: Configure, call: Call, price: str
) -> None:
    Path("feed.tsv").write_text(
        "id\ttitle\titem_group_id\tprice\tcolor\timage_link\n"
        f"M\tMug\t\t{price}\tred\t\n"
    )
    result = call("sniff", "feed.tsv")
    assert 'preset = "google-merchant-tsv"' in result.stdout
    assert ("? which currency?" in result.stdout) is ("EUR" not in price)
    assert ("prices.EUR" in result.stdout) is ("EUR" in price)


def test_files_that_nobody_can_make_sense_of(configure: Configure, call: Call) -> None:
    Path("numbers.csv").write_text("a,b\n1,2\n")
    result = call("sniff", "numbers.csv")
    assert result.exit_code == 2
    assert "`a`, `b`" in result.stderr
    assert call("sniff", "none.csv").exit_code == 2


def test_json_has_columns_too(configure: Configure, call: Call) -> None:
    Path("cups.json").write_text('[{"id": 1, "name": "Cup", "price": 1.5}]')
    result = call("sniff", "cups.json")
    assert result.exit_code == 0
    assert 'title = "name"' in result.stdout
    assert "? which currency?" in result.stdout


FEED = """<?xml version="1.0"?>
<shop xmlns:x="urn:x"><head><name>Our shop</name><id>7</id><currency>EUR</currency></head>
<products>
  <product id="P1">
    <productName>Cup</productName><x:manufacturer>Acme</x:manufacturer>
    <price currency="EUR">9.90</price><weight unit="g">250</weight>
    <images><image>https://x.example/1.jpg</image><image>https://x.example/2.jpg</image></images>
  </product>
  <product id="P2">
    <productName>Pot</productName><x:manufacturer>Acme</x:manufacturer>
    <price currency="EUR">19.90</price><weight unit="g">900</weight>
    <images><image>https://x.example/3.jpg</image></images>
  </product>
</products></shop>
"""


def test_xml_is_examined(configure: Configure, call: Call) -> None:
    Path("feed.xml").write_text(FEED)
    result = call("sniff", "feed.xml", "--out", "proposed.toml")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[:3] == [
        "feed.xml: XML, shop",
        "records: 2 elements at /shop/products/product",
        'key: column "@id" (each of 2 rows has its own)',
    ]
    text = Path("proposed.toml").read_text()
    assert 'type = "xml"' in text
    assert 'records = "/shop/products/product"' in text
    assert "= product feed:P1  Cup" in result.stdout
    assert 'brand: "Acme"' in result.stdout
    assert 'variants.default.prices.EUR: "9.90"' in result.stdout
    assert (
        'images: ["https://x.example/1.jpg", "https://x.example/2.jpg"]'
        in result.stdout
    )
    assert "which unit?" in result.stdout


def test_a_preset_for_xml_is_recognised(configure: Configure, call: Call) -> None:
    Path("feed.xml").write_text(
        '<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:id>1</g:id>'
        "<title>Cup</title><g:price>5 EUR</g:price><g:brand>Acme</g:brand></item>"
        "</channel></rss>"
    )
    result = call("sniff", "feed.xml")
    assert "it looks like google-merchant: " in result.stdout
    assert "= product feed:1  Cup" in result.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<a><b><x>1</x><y>2</y><z>3</z></b></a>", "no elements look like products; "),
        ("<a><b></a>", "feed.xml"),
        ("<a/>", "has no elements with values"),
        (re.sub(r">([^<>\s]+)<", r">{{\1}}<", FEED), "is a template, not data"),
    ],
)
def test_xml_that_is_no_catalog(
    configure: Configure, call: Call, text: str, said: str
) -> None:
    Path("feed.xml").write_text(text)
    result = call("sniff", "feed.xml")
    assert result.exit_code == 2
    assert said in result.stderr


def test_variants_in_a_list_of_each_record(configure: Configure, call: Call) -> None:
    Path("cups.json").write_text(
        '[{"id": 1, "name": "Cup", "brand": {"name": "Acme"}, "images": [{"src": "i"}],'
        ' "variants": [{"sku": "C-S", "size": "S", "price": "5 EUR"},'
        ' {"sku": "C-M", "size": "M", "price": "6 EUR"}]}]'
    )
    result = call("sniff", "cups.json")
    assert result.exit_code == 0, result.stderr
    assert 'variants = "variants"' in result.stdout
    assert 'brand: "Acme"' in result.stdout
    assert 'images: ["i"]' in result.stdout
    assert 'variants.C-M.prices.EUR: "6"' in result.stdout


def test_an_api_is_examined(configure: Configure, call: Call, server: str) -> None:
    result = call("sniff", f"{server}/products", "--out", "proposed.toml")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[:2] == [
        f"{server}/products: JSON, 5 records at `products`",
        "total: `total` says 5",
    ]
    text = Path("proposed.toml").read_text()
    assert f'type = "json_api"\nname = "products"\nurl = "{server}/products"\n' in text
    assert "= product products:1" in result.stdout
