"""`catalogsync explain`: where each value in the store comes from."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from .conftest import Configure

Call = Callable[..., Result]
WHEN = r"written 20[-0-9]+ [:0-9]+ by run (\w{12})"
CONFIG = """
[jobs.files.source]
type = "table"
name = "s"
location = "shop.csv"
[jobs.files.source.map]
key = "id"
title = "name"
brand = { from = "maker", default = "ACME" }
price = { from = "price", currency = "EUR" }
attributes.colour = "colour"
[jobs.files.sink]
type = "sql"
url = "sqlite:///shop.db"
[jobs.files.options.owns]
brand = "on_create"
"""


@pytest.fixture
def shop(configure: Configure) -> Callable[[str], None]:
    """Writes the file of the source."""
    Path("catalogsync.toml").write_text(CONFIG)

    def write(row: str) -> None:
        Path("shop.csv").write_text(f"id,name,maker,price,colour\n{row}\n")

    return write


def execute(sql: str) -> None:
    with closing(sqlite3.connect("shop.db")) as connection:
        connection.execute(sql)
        connection.commit()


def origins(result: Result) -> dict[str, tuple[str, str]]:
    """The value and the origin of each path."""
    _, _, text = result.stdout.partition("in the store\n")
    pairs = re.findall(r"^  (\S.*?): (.*)\n      (.*)$", text, re.MULTILINE)
    return {path: (value, origin) for path, value, origin in pairs}


def test_each_value_has_its_record_rule_owner_and_last_write(
    shop: Callable[[str], None], call: Call
) -> None:
    shop("1,Cup,,5.50,red")
    call("run", "files")
    shop("1,Mug,,5.50,red")
    call("run", "files")
    result = call("explain", "files", "1")
    assert result.exit_code == 0
    raw = "raw record\n  row 2\n      id: 1\n      name: Mug\n      price: 5.50\n"
    assert raw in result.stdout
    found = origins(result)
    title, brand = found["title"], found["brand"]
    price, colour = found["variants.default.prices.EUR"], found["attributes.colour"]
    assert [value for value, _ in (title, brand, price, colour)] == [
        *('"Mug"', '"ACME"', '"5.50"', '"red"')
    ]
    runs = [
        re.fullmatch(rf"{re.escape(source)}; owner {owner}; {WHEN}", origin)
        for (_, origin), source, owner in (
            (title, 'from the source by `title = "name"`', "always"),
            (
                brand,
                'from the source by `brand = { from = "maker", default = "ACME" }`',
                "on_create",
            ),
            (
                price,
                'from the source by `price = { from = "price", currency = "EUR" }`',
                "always",
            ),
            (
                colour,
                'from the source by `attributes.colour = "colour"`',
                "always",
            ),
        )
    ]
    assert all(runs)
    second, first, *others = (run[1] for run in runs if run)
    assert second != first
    assert others == [first, first]


def test_manual_edits_and_what_is_to_change(
    shop: Callable[[str], None], call: Call
) -> None:
    shop("1,Cup,Maker,5.50,red")
    call("run", "files")
    execute("UPDATE product SET title = 'Edited', description = 'By hand'")
    shop("1,Cup,Maker,6.50,red")
    found = origins(call("explain", "files", "1"))
    assert found["title"][0] == '"Edited"'
    assert found["title"][1].startswith(
        'edited in the store, is overwritten by the next run; the source has "Cup";'
    )
    assert found["description"][1].startswith(
        "not from the source: a default, or added in the store or by another job; "
        "owner always; no "
    )
    assert found["variants.default.prices.EUR"][1].startswith(
        'the next run changes it to "6.50" by `price = '
    )


def test_a_value_that_the_source_no_longer_supplies(
    shop: Callable[[str], None], call: Call
) -> None:
    shop("1,Cup,Maker,5.50,red")
    call("run", "files")
    shop("1,Cup,Maker,5.50,blue")
    call("run", "files")
    shop("1,Cup,Maker,5.50,")
    found = origins(call("explain", "files", "1"))
    assert found["attributes.colour"][1].startswith(
        "written by an earlier run; the source does not supply it now; owner always; w"
    )


def test_a_product_that_is_not_in_the_store(
    shop: Callable[[str], None], call: Call
) -> None:
    shop("1,Cup,Maker,5.50,red")
    result = call("explain", "files", "1")
    assert "raw record\n  row 2\n" in result.stdout
    assert "in the store" not in result.stdout


def test_a_source_that_is_code_has_no_rules(configure: Configure, call: Call) -> None:
    call("run", "products")
    found = origins(call("explain", "products", "1"))
    value, origin = found["title"]
    assert value.startswith('"')
    assert re.fullmatch(f"from the source; owner always; {WHEN}", origin)


def test_a_converted_price_has_its_rule_rate_and_date(
    shop: Callable[[str], None], call: Call
) -> None:
    rules = """
price = { from = "price", currency = "EUR" }
rates_file = "rates.csv"
price_rules.USD = { from = "EUR", margin = 3, ending = "0.99" }
"""
    Path("catalogsync.toml").write_text(
        CONFIG.replace('price = { from = "price", currency = "EUR" }', rules)
    )
    shop("1,Cup,,5.50,red")
    Path("rates.csv").write_text("date,from,to,rate\n2026-11-30,EUR,USD,1.2\n")
    call("run", "files")
    value, origin = origins(call("explain", "files", "1"))[
        "variants.default.prices.USD"
    ]
    assert value == '"6.99"'
    assert origin.startswith(
        'from the source by `price = { from = "price", currency = "EUR" }`, '
        '`price_rules.USD = { from = "EUR", margin = 3, ending = "0.99" }`, '
        '`rates_file = "rates.csv"` (1 EUR = 1.2 USD on 2026-11-30); owner always'
    )
