"""Workbooks, JSON and Parquet."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import duckdb
import pytest
from tests.table.tables import SHIRTS, read, settings

from catalogsync import MisconfiguredError, Product, StockLevel

ROWS = [
    {"Handle": "a", "Title": "Cup", "SKU": "A1", "Size": "S", "Price": 1.5, "Stock": 3},
    {
        "Handle": "a",
        "Title": "Cup",
        "SKU": "A2",
        "Size": "M",
        "Price": 45.89,
        "Stock": 4,
    },
    {"Handle": 7, "Title": "Pot", "SKU": 12, "Size": "S", "Price": 9, "Stock": 0},
]
_SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    "<sheetData>{rows}</sheetData>{merged}</worksheet>"
)
_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def _cell(value: object) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    if str(value).startswith("="):
        return f"<c><f>{str(value)[1:]}</f><v>2.5</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def write_xlsx(
    file: Path,
    sheets: Mapping[str, Sequence[Sequence[object]]],
    merged: Sequence[str] = (),
) -> None:
    """A workbook with these sheets; ranges are merged in each of them."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        names = list(sheets)
        listed = "".join(
            f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>'
            for n, name in enumerate(names, 1)
        )
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1" '
            f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook {_MAIN} xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
        )
        relations = "".join(
            f'<Relationship Id="r{n}" Type="{_OFFICE}/worksheet" '
            f'Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(names) + 1)
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{_PACKAGE}">{relations}</Relationships>',
        )
        cells = "".join(f'<mergeCell ref="{each}"/>' for each in merged)
        for n, rows in enumerate(sheets.values(), 1):
            body = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
            ranges = f"<mergeCells>{cells}</mergeCells>" if merged else ""
            archive.writestr(
                f"xl/worksheets/sheet{n}.xml", _SHEET.format(rows=body, merged=ranges)
            )


def _workbook(file: Path) -> None:
    rows: list[list[object]] = [["Price list"], [], list(ROWS[0])]
    for row in ROWS:
        rows += [list(row.values()), []]
    write_xlsx(file, {"Notes": [["Handle with care"]], "Products": rows})


def _lines(file: Path) -> None:
    file.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")


def _array(file: Path) -> None:
    file.write_text(json.dumps(ROWS, indent=1))


def _parquet(file: Path) -> None:
    texts = [
        {**row, "Handle": str(row["Handle"]), "SKU": str(row["SKU"])} for row in ROWS
    ]
    source = file.with_suffix(".source")
    source.write_text(json.dumps(texts))
    duckdb.sql(f"COPY (FROM read_json('{source}')) TO '{file}' (FORMAT parquet)")


FORMATS = {
    "shop.xlsx": _workbook,
    "shop.jsonl": _lines,
    "lines": _lines,
    "shop.json": _array,
    "shop.parquet": _parquet,
}


@pytest.mark.parametrize("name", FORMATS)
async def test_a_format_is_recognised_and_numbers_are_exact(
    name: str, tmp_path: Path
) -> None:
    write: Callable[[Path], None] = FORMATS[name]
    write(tmp_path / name)
    products, rejected = await read(settings(tmp_path / name))
    assert rejected == []
    assert [product.key.id for product in products] == ["a", "7"]
    cup, pot = (product.variants or () for product in products)
    amounts = [str(price.amount) for v in (*cup, *pot) for price in v.prices or ()]
    assert amounts in (["1.5", "45.89", "9"], ["1.5", "45.89", "9.0"])
    assert pot[0].sku == "12"


async def test_the_sheet_and_merged_cells(tmp_path: Path) -> None:
    rows = [
        ["Handle", "Title", "SKU", "Size", "Price", "Stock"],
        ["a", "Cup", "A1", "S", 1, 3],
        [None, None, "A2", "M", "=1+1.5", 3],
        ["b", "Pot", "B1", "S", "#N/A", 3],
    ]
    file = tmp_path / "shop.xlsx"
    write_xlsx(file, {"One": rows, "Two": rows[:2]}, ["A2:A3", "B2:B3"])
    products, rejected = await read(settings(file))
    (cup,) = products
    assert [v.sku for v in cup.variants or ()] == ["A1", "A2"]
    assert [str(each) for each in rejected] == ['row 4: price: "#N/A" is not a number']
    products, _ = await read(settings(file, 'sheet = "Two"'))
    assert [len(product.variants or ()) for product in products] == [1]
    with pytest.raises(MisconfiguredError, match="its sheets: `One`, `Two`"):
        await read(settings(file, 'sheet = "Three"'))
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(MisconfiguredError, match=r"is not a workbook|damaged zip"):
        await read(settings(file))


async def test_several_sheets_are_one_table(tmp_path: Path) -> None:
    """With a header each, and merged cells; a product may stand in several of them."""
    head = ["Handle", "Title", "SKU", "Size", "Price", "Stock"]
    file = tmp_path / "shop.xlsx"
    sheets = {
        "Mugs 1": [head, ["a", "Cup", "A1", "S", 1, 3]],
        "Notes": [["Do not print"], [None, "Ask Ann"]],
        "Mugs 2": [
            ["new"],
            ["Price", "Stock", *head[:4], "Brand"],
            [2, 4, "b", "Pot", "B1", "S", "Acme"],
            [3, 4, "a", "Cup", "A2", "M", None],
            ["?", 4, "c", "Jug", "C1", "M", None],
        ],
        "Pans": [head, ["d", "Pan", "D1", "S", 1, 3]],
    }
    write_xlsx(file, sheets)
    for sheet in ('["Mugs 2", "Mugs 1"]', '"Mugs *"'):
        products, rejected = await read(settings(file, f"sheet = {sheet}"))
        found = [(p.title, [v.sku for v in p.variants or ()]) for p in products]
        assert found == [("Cup", ["A1", "A2"]), ("Pot", ["B1"])]
        (bad,) = rejected
        assert str(bad) == 'sheet Mugs 2, row 5: price: "?" is not a number'
    products, _ = await read(settings(file, 'sheet = "*"'))
    assert [p.title for p in products] == ["Cup", "Pot", "Pan"]
    for sheet, problem in (
        ('["Pans", "Lids"]', "its sheets: `Mugs 1`, `Notes`, `Mugs 2`, `Pans`"),
        ('["Pans", ""]', "must not be empty"),
        ("[]", "must not be empty"),
    ):
        with pytest.raises(MisconfiguredError, match=problem):
            await read(settings(file, f"sheet = {sheet}"))
    sheets["Pans"] = [["Handle", "Name"], ["d", "Pan"]]
    write_xlsx(file, sheets)
    with pytest.raises(
        MisconfiguredError, match=r"sheet Pans of shop.xlsx has no column"
    ):
        await read(settings(file, 'sheet = "*"'))


async def test_json_within_an_object_and_nested_variants(tmp_path: Path) -> None:
    shop = {"meta": 1, "data": {"list": ROWS}, "other": [1]}
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(shop))
    products, _ = await read(settings(file, 'items = "data.list"'))
    assert len(products) == 2
    with pytest.raises(MisconfiguredError, match=r"Its lists: `other` \(1\)"):
        await read(settings(file))
    with pytest.raises(MisconfiguredError, match="there is no list at `data`"):
        await read(settings(file, 'items = "data"'))
    nested = {"id": 1, "name": "Cup", "items": [{"no": "A", "stock": {"Rome": 2}}]}
    file.write_text(json.dumps([nested]))
    mapping = (
        'key = "id"\ntitle = "name"\nvariants = "items"\nsku = "no"\n'
        'stock_at.Rome = "stock.Rome"'
    )
    ((cup,), _) = await read(settings(file, mapping=mapping))
    assert cup.variants
    assert cup.variants[0].stock == (StockLevel(quantity=2, location="Rome"),)


async def test_damaged_json_rejects_what_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "shop.jsonl"
    lines = [json.dumps(row) for row in ROWS]
    deep = "[" * 100_000
    file.write_bytes(
        "\n".join([*lines[:2], '{"Handle": ', "[]", deep]).encode() + b"\n\xff"
    )
    products, rejected = await read(settings(file))
    assert len(products) == 1
    assert [each.where for each in rejected] == ["line 3", "line 4", "line 5", "line 6"]
    file = tmp_path / "shop.json"
    file.write_text("[" + ",".join(lines)[:-5])
    products, rejected = await read(settings(file))
    assert [type(each) for each in products] == [Product]
    assert [each.where for each in rejected] == ["item 3"]
    file.write_text("[" + ",".join(lines))
    _, rejected = await read(settings(file))
    assert [str(each) for each in rejected] == [
        "shop.json: the array has no end: the file is cut"
    ]


async def test_a_large_array_is_read_piece_by_piece(tmp_path: Path) -> None:
    file = tmp_path / "shop.json"
    rows = [{"id": n, "name": f"{'x' * 900} {n}"} for n in range(4000)]
    file.write_text(json.dumps(rows))
    found = await read(settings(file, mapping='key = "id"\ntitle = "name"'))
    assert len(found[0]) == 4000


async def test_parquet_with_nested_values(tmp_path: Path) -> None:
    file = tmp_path / "shop.parquet"
    duckdb.sql(
        "COPY (SELECT 1 AS id, 'Cup' AS name, ['a', 'b'] AS tags, 1.10::DECIMAL(9,2) "
        f"AS price, DATE '2026-01-02' AS day) TO '{file}' (FORMAT parquet)"
    )
    mapping = (
        'key = "id"\ntitle = "name"\ntags = "tags"\nattributes.day = "day"\n'
        'price = { from = "price", currency = "EUR" }'
    )
    ((cup,), _) = await read(settings(file, mapping=mapping))
    assert (cup.tags, cup.attributes) == (("a", "b"), {"day": "2026-01-02"})
    with pytest.raises(MisconfiguredError, match="no column `Handle`"):
        await read(settings(file, mapping=SHIRTS))
    file.write_bytes(b"PAR1" + b"x" * 50)
    with pytest.raises(MisconfiguredError, match="is not a Parquet file"):
        await read(settings(file))


@pytest.mark.parametrize("damage", ["cut", "directory", "sheet"])
async def test_a_damaged_workbook_is_refused(damage: str, tmp_path: Path) -> None:
    """Wherever the damage is: in the archive, in its directory, or in a sheet."""
    file = tmp_path / "shop.xlsx"
    _workbook(file)
    content = file.read_bytes()
    if damage == "sheet":
        with zipfile.ZipFile(file) as had:
            pieces = {name: had.read(name) for name in had.namelist()}
        with zipfile.ZipFile(file, "w") as has:
            for name, piece in pieces.items():
                has.writestr(name, piece.replace(b"</row>", b'<c r="', 1))
    elif damage == "directory":
        file.write_bytes(content.replace(b"PK\x01\x02", b"PK\x01\x03"))
    else:
        file.write_bytes(content[: len(content) // 2])
    with pytest.raises(MisconfiguredError, match=r"shop.xlsx is not a workbook that"):
        await read(settings(file))


async def test_a_workbook_without_sheets_is_refused(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "shop.xlsx", {})
    with pytest.raises(MisconfiguredError, match="is a workbook without a sheet"):
        await read(settings(tmp_path / "shop.xlsx"))
