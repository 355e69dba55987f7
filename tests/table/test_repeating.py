"""`empty = "repeat"`: blank cells that stand for the row above."""

from __future__ import annotations

import asyncio
import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from tests.table.tables import read, read_text, settings

from catalogsync import InvalidValueError, MisconfiguredError
from catalogsync.adapters.json_api import JSONAPISettings
from catalogsync.mapping import Expression, RecordMapping

MAPPING = """
key = { from = "Key", empty = "repeat" }
title = { from = ["Title", "Name"], empty = "repeat" }
brand = { from = "Brand", empty = "repeat" }
description = "Text"
sku = "SKU"
"""
HEADER = "Key,Title,Name,Brand,Text,SKU\n"


async def test_blank_cells_repeat_the_row_above(tmp_path: Path) -> None:
    """Also a key; alternatives repeat together, other columns do not."""
    text = f"""{HEADER}a,Cup,,Acme,Long,A1
,,,,,A2
b,,Pan,,,B1
,,,,,B2
x,y
,,,,,
c,Jug,, ,,C1
"""
    products, rejected = await read_text(tmp_path, text, mapping=MAPPING)
    found = [
        (each.key.id, each.title, each.brand, [v.sku for v in each.variants])
        for each in products
    ]
    assert found == [
        ("a", "Cup", "Acme", ["A1", "A2"]),
        ("b", "Pan", "Acme", ["B1", "B2"]),
        ("c", "Jug", "Acme", ["C1"]),
    ]
    assert [each.where for each in rejected] == ["row 6"]


CELL = st.sampled_from(["", " ", "x", "y"])


@hypothesis_settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", ""]), CELL, CELL), max_size=8))
def test_repeating_is_what_filling_by_hand_is(rows: Sequence[Sequence[str]]) -> None:
    """Wherever the rows of a product are, in a table and in JSON Lines."""
    head = ["Key", "Title", "Brand"]
    rows = [("a", "T", ""), *rows]
    last, filled = ["", "", ""], list[list[str]]()
    for row in rows:
        if any(cell.strip() for cell in row):
            last = [
                new if new.strip() else old for old, new in zip(last, row, strict=True)
            ]
            filled.append([*last])
    plain = 'key = "Key"\ntitle = "Title"\nbrand = "Brand"'
    with tempfile.TemporaryDirectory() as folder:
        desired = _read(Path(folder), head, filled, plain)
        repeats = plain
        for name in head:
            repeats = repeats.replace(
                f'"{name}"', f'{{ from = "{name}", empty = "repeat" }}'
            )
        assert _read(Path(folder), head, rows, repeats) == desired


def _read(
    folder: Path, head: Sequence[str], rows: Sequence[Sequence[str]], mapping: str
) -> list[tuple[str, str, object]]:
    text = io.StringIO()
    csv.writer(text).writerows([head, *rows])
    products, rejected = asyncio.run(
        read_text(folder, text.getvalue(), mapping=mapping)
    )
    assert rejected == []
    return [(each.key.id, each.title, each.brand) for each in products]


async def test_records_with_names_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "shop.jsonl"
    file.write_text('{"Key": "a", "Title": "Cup", "Brand": "Acme"}\n{"Key": "b"}\n')
    mapping = MAPPING.replace('"Title", "Name"', '"Title"')
    products, _ = await read(settings(file, mapping=mapping))
    assert [(each.title, each.brand) for each in products] == [("Cup", "Acme")] * 2
    nested = mapping.replace('"Brand"', '"maker.name"')
    with pytest.raises(MisconfiguredError, match=r"not a path such as `maker.name`"):
        await read(settings(file, mapping=nested))


def test_what_cannot_repeat() -> None:
    for given_ in ({"value": "a"}, {"from_": "a*"}, {"all": "a"}):
        with pytest.raises(InvalidValueError, match="needs `from` with the names"):
            Expression(**given_, empty="repeat")
    title = Expression(from_="title", empty="repeat")
    mapping = RecordMapping(key=Expression(from_="id"), title=title)
    with pytest.raises(MisconfiguredError, match=r"map.title.empty.*in files only"):
        JSONAPISettings(url="https://example.com", name="a", map=mapping)
