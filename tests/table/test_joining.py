"""`join`: prices and stock in files of their own."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from tests.table.tables import read, settings
from tests.table.test_formats import write_xlsx

from catalogsync import MemorySink, MisconfiguredError, Options, StateSettings, Sync

MAPPING = """
key = "Key"
title = "Title"
sku = "SKU"
price = { from = "Net", currency = "EUR" }
stock = "at_Pieces"
"""
MAIN = "Key,Title,SKU\na,Cup,A1\na,,A2\nb,Pan,B1\n"
JOIN = """
[[join]]
location = "{folder}/prices.csv"
key = "SKU"
separator = ";"
[[join]]
location = "{folder}/stock.xlsx"
key = "Article"
on = "SKU"
prefix = "at_"
"""


def write(folder: Path) -> None:
    (folder / "shop.csv").write_text(MAIN)
    (folder / "prices.csv").write_text("Net;SKU\n1.50;A1\n2.00;A2\n9;Z9\n;\n")
    write_xlsx(folder / "stock.xlsx", {"S": [["Article", "Pieces"], ["B1", 4]]})


async def test_prices_and_stock_of_other_files(tmp_path: Path) -> None:
    """Rows without a match miss the values; those nobody asks for are left out."""
    write(tmp_path)
    what = settings(tmp_path / "shop.csv", JOIN.format(folder=tmp_path), MAPPING)
    products, rejected = await read(what)
    found = {
        v.sku: (
            [str(p.amount) for p in v.prices or ()],
            [s.quantity for s in v.stock or ()],
        )
        for each in products
        for v in each.variants or ()
    }
    assert found == {"A1": (["1.50"], []), "A2": (["2.00"], []), "B1": ([], [4])}
    assert rejected == []
    file = tmp_path / "shop.jsonl"
    file.write_text('{"Key": "a", "Title": "Cup", "SKU": "A1"}\n')
    products, _ = await read(settings(file, JOIN.format(folder=tmp_path), MAPPING))
    assert [str(p.amount) for p in products[0].variants[0].prices] == ["1.50"]


async def test_rows_that_are_not_certain(tmp_path: Path) -> None:
    """A key that stands there twice, and a row that cannot be read."""
    write(tmp_path)
    (tmp_path / "prices.csv").write_text("Net;SKU\n1.50;A1\n2;A1\n3;4;5\n6;B1\n7;\n")
    what = settings(tmp_path / "shop.csv", JOIN.format(folder=tmp_path), MAPPING)
    products, rejected = await read(what)
    assert [each.key.id for each in products] == ["b"]
    assert [str(each.key) for each in rejected] == ["shop:a", "None", "None"]
    assert [str(each) for each in rejected] == [
        "row 2: prices.csv has SKU A1 in row 2 and in row 3",
        "prices.csv, row 4: has 3 cells instead of 2",
        "prices.csv, row 6: SKU is missing",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('key = "SKU"', 'key = "Sku"', "prices.csv has no column `Sku`"),
        ('on = "SKU"', 'on = "Sku"', "the file has no column `Sku`"),
        ("prices.csv", "none.csv", "none.csv does not exist"),
        ('prefix = "at_"', "", r"stock: .*no column `at_Pieces`"),
    ],
)
async def test_what_does_not_fit(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    write(tmp_path)
    join = JOIN.format(folder=tmp_path).replace(old, new)
    with pytest.raises(MisconfiguredError, match=problem):
        await read(settings(tmp_path / "shop.csv", join, MAPPING))


async def test_columns_of_both_files(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "prices.csv").write_text("Title;SKU\nx;A1\n")
    what = settings(tmp_path / "shop.csv", JOIN.format(folder=tmp_path), MAPPING)
    with pytest.raises(MisconfiguredError, match="`Title` is a column of both files"):
        await read(what)


async def test_a_changed_joined_file_is_a_change(tmp_path: Path) -> None:
    write(tmp_path)
    what = settings(tmp_path / "shop.csv", JOIN.format(folder=tmp_path), MAPPING)
    sink, options = MemorySink(), Options(skip_unchanged=True)
    statuses: list[str] = []
    async with StateSettings().open() as store:
        for number in range(3):
            async with what.open() as source:
                sync = Sync(source, sink, options=options, job="j", state=store)
                statuses.append(str((await sync.run()).status))
            if number == 1:
                os.utime(tmp_path / "prices.csv", (1, 1))
    assert statuses == ["succeeded", "skipped", "succeeded"]


KEY = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=4)


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.dictionaries(KEY, KEY, max_size=6), st.lists(KEY, max_size=6, unique=True))
def test_joining_is_a_lookup(extra: Mapping[str, str], keys: list[str]) -> None:
    """Whatever the texts are."""
    by_key = {key.strip(): value.strip() for key, value in extra.items()}
    names = {key.strip(): None for key in keys if key.strip()}
    with tempfile.TemporaryDirectory() as folder:
        main, more = Path(folder) / "a.jsonl", Path(folder) / "b.csv"
        rows = [{"Key": name, "Title": "T"} for name in names]
        main.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
        lines = [
            f'"{key.replace(chr(34), chr(34) * 2)}","{value.replace(chr(34), chr(34) * 2)}"\n'
            for key, value in by_key.items()
            if key
        ]
        more.write_text("Id,Brand\n" + "".join(lines), encoding="utf-8")
        join = f'[[join]]\nlocation = "{more}"\nkey = "Id"\non = "Key"\nencoding = "utf-8"\nseparator = ","'
        mapping = 'key = "Key"\ntitle = "Title"\nbrand = "Brand"'
        products, rejected = asyncio.run(
            read(settings(main, f'format = "jsonl"\n{join}', mapping))
        )
    assert {each.key.id: each.brand or "" for each in products} == {
        name: by_key.get(name, "") for name in names
    } or rejected
