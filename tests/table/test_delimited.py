"""Delimited text: dialects, encodings, headers, and rows that are not valid."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings as few, strategies as st
from tests.pages import built
from tests.table.tables import HEADER, SHIRTS, read, read_text, settings

from catalogsync import MemorySink, MisconfiguredError, Options, Prune, sync

ROWS = HEADER + "a,Cup,A1,S,1.50,3\na,Cup,A2,M,2.50,4\nb,Pot,B1,S,9,0\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
async def test_the_separator_is_the_one_that_makes_the_mapped_columns(
    separator: str, tmp_path: Path
) -> None:
    products, rejected = await read_text(tmp_path, ROWS.replace(",", separator))
    assert [(p.title, len(p.variants or ())) for p in products] == [
        ("Cup", 2),
        ("Pot", 1),
    ]
    assert rejected == []


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)
async def test_unicode_with_and_without_a_mark(
    encoding: str, mark: bytes, tmp_path: Path
) -> None:
    text = HEADER + "a,Größe ½,A1,S,1,1\n"
    products, _ = await read_text(tmp_path, mark + text.encode(encoding))
    assert products[0].title == "Größe ½"


@pytest.mark.parametrize(
    ("encoding", "title"),
    [("windows-1252", "Größe 5 €"), ("windows-1251", "Чашка большая")],
)
async def test_an_encoding_that_is_declared_or_found_out(
    encoding: str, title: str, tmp_path: Path
) -> None:
    lines = "".join(f"k{n},{title} {n},S{n},S,1,1\n" for n in range(40))
    content = (HEADER + lines).encode(encoding)
    declared, _ = await read_text(tmp_path, content, f'encoding = "{encoding}"')
    detected, _ = await read_text(tmp_path, content)
    assert [product.title for product in declared][:2] == [f"{title} 0", f"{title} 1"]
    assert declared == detected


async def test_an_encoding_that_does_not_exist(tmp_path: Path) -> None:
    for name, problem in (("utf-9", "is not an encoding"), ("zlib", "is not an")):
        with pytest.raises(MisconfiguredError, match=f"encoding: {problem}"):
            await read_text(tmp_path, ROWS, f'encoding = "{name}"')


async def test_bytes_that_are_no_characters_reject_their_row(tmp_path: Path) -> None:
    title = "Cup" * 200
    fine = "".join(f"k{n},{title},S{n},S,1,1\n" for n in range(2000))
    content = (HEADER + fine).encode() + "x,Größe,X,S,1,1\n".encode("latin-1")
    products, rejected = await read_text(tmp_path, content + b"y,Cup,Y,S,1,1\n")
    assert len(products) == 2001
    (only,) = rejected
    assert str(only) == ("row 2002: is not utf-8: set encoding, such as windows-1252")


async def test_quotation_marks_that_are_doubled_or_escaped(tmp_path: Path) -> None:
    doubled = HEADER + 'a,"Cup ""big"", red",A1,S,1,1\nb,5" pipe,B1,S,1,1\n'
    products, _ = await read_text(tmp_path, doubled)
    assert [p.title for p in products] == ['Cup "big", red', '5" pipe']
    escaped = HEADER + 'a,"Cup \\"big\\", red",A1,S,1,1\n'
    products, _ = await read_text(tmp_path, escaped, r'escape = "\\"')
    assert [p.title for p in products] == ['Cup "big", red']
    single = HEADER + "a,'Cup, red',A1,S,1,1\n"
    products, _ = await read_text(tmp_path, single, 'quote = "\'"')
    assert [p.title for p in products] == ["Cup, red"]
    none = HEADER + 'a,"Cup,A1,S,1,1\n'
    products, _ = await read_text(tmp_path, none, 'quote = ""')
    assert [p.title for p in products] == ['"Cup']


async def test_cells_of_several_lines_and_blank_rows(tmp_path: Path) -> None:
    text = HEADER + 'a,"Cup\r\nof tea",A1,S,1,1\r\n\r\n,,,,,\nb,Pot,B1,S,x,1'
    products, rejected = await read_text(tmp_path, text)
    assert [p.title for p in products] == ["Cup\r\nof tea"]
    assert [each.where for each in rejected] == ["row 5 (line 6)"]


async def test_a_header_that_is_not_in_the_first_row(tmp_path: Path) -> None:
    text = "Price list,,,,,\nvalid from,2026-01-01,,,,\n,,,,,\n" + ROWS
    products, _ = await read_text(tmp_path, text)
    assert [p.title for p in products] == ["Cup", "Pot"]
    products, _ = await read_text(tmp_path, text, "header_row = 4")
    assert [p.title for p in products] == ["Cup", "Pot"]
    with pytest.raises(MisconfiguredError, match=r"map.key: shop.csv has no column"):
        await read_text(tmp_path, text, "header_row = 1")
    with pytest.raises(MisconfiguredError, match="header_row: is 40, but"):
        await read_text(tmp_path, text, "header_row = 40")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("x,Bad,X1,S,1", "has 5 cells instead of 6"),
        ("x,Bad,X1,S,1,1,1", "has 7 cells instead of 6"),
        ('x,"Bad,X1,S,1,1', "has a quotation mark that is not closed"),
        ('x,"Bad"ly,X1,S,1,1', "has a quotation mark that is not closed"),
        ('x,"Bad\ny,also bad,Y1,S,1', "has a quotation mark that is not closed"),
        ("only this", "has 1 cell instead of 6"),
        (",Untitled,X1,S,1,1", "key: is missing"),
        ("x,Bad,X1,S,free,1", 'price: "free" is not a number'),
        ("x,,X1,S,1,1", "title: is missing"),
        ("x,Bad\0,X1,S,1,1", "title: contains a NUL character"),
        ("x,Bad,X1,S,1,#REF!", 'stock: "#REF!" is not a number'),
    ],
)
async def test_a_row_that_is_not_valid_is_rejected_and_moves_no_other(
    row: str, problem: str, tmp_path: Path
) -> None:
    before, after = "a,Cup,A1,S,1.50,3\n", 'b,"Pot, red",B1,S,9,0\nc,Pan,C1,S,9,0\n'
    products, rejected = await read_text(tmp_path, f"{HEADER}{before}{row}\n{after}")
    assert [p.title for p in products] == ["Cup", "Pot, red", "Pan"]
    first = rejected[0]
    assert first.where == "row 3"
    assert problem in first.reason


async def test_rows_whose_last_cells_are_left_out(tmp_path: Path) -> None:
    text = HEADER + "a,Cup,A1,S,1\nb,Pot,B1,S,1,1,1\n"
    _, rejected = await read_text(tmp_path, text)
    assert 'set short_rows = "fill"' in rejected[0].reason
    products, rejected = await read_text(tmp_path, text, 'short_rows = "fill"')
    assert [product.title for product in products] == ["Cup"]
    assert [str(each) for each in rejected] == ["row 3: has 7 cells instead of 6"]


async def test_a_product_with_an_invalid_row_is_rejected_as_a_whole(
    tmp_path: Path,
) -> None:
    text = HEADER + "a,Cup,A1,S,1,3\nb,Pot,B1,S,1,1\na,Cup,A2,M,2\n"
    products, rejected = await read_text(tmp_path, text)
    assert [p.title for p in products] == ["Pot"]
    (only,) = rejected
    assert str(only.key) == "shop:a"
    assert str(only).startswith("row 4: has 5 cells instead of 6; if its last")


async def test_a_column_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        await read_text(tmp_path, ROWS, mapping=SHIRTS + 'brand = "Tite"')
    assert str(caught.value) == (
        "map.brand: shop.csv has no column `Tite`; did you mean `Title`?"
    )
    with pytest.raises(MisconfiguredError, match="its columns: `Handle`, `Title`"):
        await read_text(tmp_path, ROWS, mapping=SHIRTS + 'brand = "Maker"')


async def test_files_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match=r"shop.csv is empty"):
        await read_text(tmp_path, "")
    with pytest.raises(MisconfiguredError, match=r"map.key: shop.csv has no column"):
        await read_text(tmp_path, "\n\n")
    assert await read_text(tmp_path, HEADER) == ([], [])


async def test_a_file_that_a_spreadsheet_has_damaged(tmp_path: Path) -> None:
    damaged = 'Handle,Title,SKU,Size,Price,Stock;;;;\n"a,""Cup"",A1,S;;S/M;;",1,1;;\n'
    with pytest.raises(MisconfiguredError, match=r"is damaged.*ask for the original"):
        await read_text(tmp_path, damaged)


async def test_variants_far_apart_and_continuation_rows(tmp_path: Path) -> None:
    many = "".join(f"p{n},Product {n},S{n},S,{n},1\n" for n in range(1500))
    more = "".join(f"p{n},,M{n},M,{n},1\n" for n in range(1500))
    file = tmp_path / "shop.csv"
    file.write_text(HEADER + many + more + ",,L,L,7,1\n")
    products, rejected = await read(settings(file, "page_size = 100"))
    assert [p.key.id for p in products] == [f"p{n}" for n in range(1500)]
    assert rejected == []
    assert [len(p.variants or ()) for p in products[-2:]] == [2, 3]


async def test_pages_and_single_products(tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(ROWS)
    async with settings(file, "page_size = 1").open() as source:
        first = await source.read(None)
        assert (len(first.products), first.total, list(first.next)) == (1, 2, ["1"])
        (pot,), _ = built(await source.read("1"))
        assert (await source.get([pot.key])).products == [pot]
        check = await source.check()
    assert [(each.ok, each.text) for each in check] == [
        (
            True,
            f"{file}: utf-8, separated by commas, header in row 1, 6 columns, 2 products",
        )
    ]


async def test_a_file_with_only_what_changed_removes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    sink = MemorySink()
    file.write_text(ROWS)
    async with settings(file).open() as source:
        await sync(source, sink)
    file.write_text(HEADER + "b,Pan,B1,S,9,0\n")
    async with settings(file, "complete = false").open() as source:
        report = await sync(source, sink)
        with pytest.raises(ValueError, match="complete"):
            await sync(source, sink, options=Options(prune=Prune.DELETE))
    assert report.partial
    assert [product.title for product in sink.products.values()] == ["Cup", "Pan"]


FIXTURE = HEADER + (
    'a,"Cup ""big""\nof tea",A1,S,1.50,3\na,Cup,A2,M,2.50,4\n'
    'b,Größe,B1,S,9,0\nc,Pan,C1,S,"1,5",0\n'
)


@few(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(data=st.data())
async def test_any_damage_ends_in_products_and_rejections(
    data: st.DataObject, tmp_path: Path
) -> None:
    content = bytearray(FIXTURE.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(len(HEADER), len(content)))
        length = data.draw(st.integers(0, 3))
        piece = data.draw(
            st.sampled_from(
                [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b";", b"\\", b"a"]
            )
        )
        content[at : at + length] = piece
    products, rejected = await read_text(tmp_path, bytes(content), 'encoding = "utf-8"')
    keys = {product.key.id for product in products}
    assert len(keys) == len(products)
    assert products or rejected
    assert all(each.reason and each.where.startswith("row ") for each in rejected)


async def test_rows_below_a_row_that_is_not_valid(tmp_path: Path) -> None:
    """They belong to its product, not to the one above."""
    text = f"{HEADER}a,Cup,A1,S,1,2\nb,Pot,B1,S,1,2,3\n,,B2,M,1,2\nc,Jug,C1,S,1,2\n"
    products, rejected = await read_text(tmp_path, text)
    found = {each.key.id: [v.sku for v in each.variants or ()] for each in products}
    assert found == {"a": ["A1"], "c": ["C1"]}
    assert [str(each.key) for each in rejected] == ["shop:b"]
