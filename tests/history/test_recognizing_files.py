"""Products of a file are recognised in a SQL database, and nobody can tell.

Between two runs the supplier changes the file, and people change the database by hand.
One store recognises products, the other compares all of them every time.
"""

from __future__ import annotations

import asyncio
import csv
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import attrs
import pytest
from hypothesis import given, settings, strategies as st
from tests import strategies  # noqa: F401 # pyright: ignore[reportUnusedImport] - settings of Hypothesis

from catalogsync import OnManualEdit, Options, ProductKey, Report, StateSettings, sync
from catalogsync.adapters.sql import SQLSettings
from catalogsync.adapters.table import TableSettings
from catalogsync.catalog.drafts import Draft
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product
from catalogsync.mapping import Expression, RecordMapping
from catalogsync.protocols import Cursor, Page, Source

from .test_recognizing import anothers, garbled, intact, nothing, the_first, told
from .world import Memory, Remembering

_COLUMNS: tuple[str, ...] = (
    "id",
    "title",
    "sku",
    "size",
    "price",
    "stock",
    "image",
    "category",
    "tag",
)
_TABLES = (
    *("product", "image", "category", "product_category", "tag", "product_tag"),
    *("variant", "variant_option", "price", "stock_level"),
)

Rows = list[dict[str, str]]


def _of(column: str, **more: Any) -> Expression:
    return Expression(from_=column, **more)


_MAP = RecordMapping(
    key=_of("id"),
    title=_of("title"),
    sku=_of("sku"),
    options={"Size": _of("size")},
    price=_of("price", currency="EUR"),
    stock=_of("stock"),
    images=_of("image"),
    categories=_of("category"),
    category_levels=">",
    tags=_of("tag"),
)


def _rows(products: int) -> Rows:
    return [
        {
            "id": f"p{n}",
            "title": f"Thing {n}",
            "sku": f"S{n}-{size}",
            "size": size,
            "price": f"{10 + n}.50",
            "stock": str(n),
            "image": f"https://img.example.com/{n}",
            "category": f"All > Some {n % 2}",
            "tag": f"tag {n % 2}",
        }
        for size in ("S", "M")
        for n in range(products)
    ]


# --- what happens between two runs ---

_IN_FILE: dict[str, Callable[[Rows, int], Any]] = {
    "nothing": lambda rows, at: None,
    "price": lambda rows, at: rows[at].update(price="99.95"),
    "title": lambda rows, at: rows[at].update(title="Another thing"),
    "title of the second row": lambda rows, at: rows[-1].update(title="Ignored"),
    "category": lambda rows, at: rows[at].update(category="All > Others"),
    "tag": lambda rows, at: rows[at].update(tag="other"),
    "stock": lambda rows, at: rows[at].update(stock="77"),
    "damage": lambda rows, at: rows[at].update(price="cheap"),
    "repair": lambda rows, at: rows[at].update(price="10.50"),
    "no row": lambda rows, at: len(rows) > 2 and rows.pop(at),
    "moved row": lambda rows, at: rows.append(rows.pop(at)),
    "new row": lambda rows, at: rows.append(
        {**rows[at], "size": f"X{len(rows)}", "sku": f"X{len(rows)}"}
    ),
    "new product": lambda rows, at: rows.insert(0, {**rows[at], "id": f"n{len(rows)}"}),
}
_BY_HAND = {
    "price": "UPDATE price SET amount = '1.23' WHERE variant_id = 2",
    "title": "UPDATE product SET title = 'By hand' WHERE id = 1",
    "brand": "UPDATE product SET brand = 'By hand' WHERE id = 2",
    "variant": "DELETE FROM variant WHERE id = 3",
    "product": "DELETE FROM product WHERE id = 3",
    "stock": "UPDATE stock_level SET quantity = 5 WHERE variant_id = 1",
    "image": "INSERT INTO image (product_id, position, url) VALUES (1, 9, 'https://x')",
    "option": "UPDATE variant_option SET value = 'XXL' WHERE variant_id = 4",
    "category": "UPDATE category SET name = 'Renamed' WHERE id = 2",
    "moved category": "UPDATE category SET parent_id = NULL WHERE id = 2",
    "link": "DELETE FROM product_category WHERE product_id = 2",
    "tag": "DELETE FROM product_tag WHERE product_id = 1",
    "no receipt": "UPDATE product SET receipt = NULL WHERE id = 1",
    "damaged": "UPDATE price SET amount = 'cheap' WHERE variant_id = 1",
}


@attrs.frozen
class Step:
    """What happens before a run, and what the run does about manual edits."""

    in_file: Sequence[tuple[str, int]]
    by_hand: Sequence[str]
    keep: bool


_STEPS = st.lists(
    st.builds(
        Step,
        st.lists(
            st.tuples(st.sampled_from(sorted(_IN_FILE)), st.integers(0, 9)), max_size=2
        ),
        st.lists(st.sampled_from(sorted(_BY_HAND)), max_size=2),
        st.booleans(),
    ),
    max_size=3,
)
_QUIET = Step([], [], keep=False)


@pytest.mark.parametrize("memory", [intact, the_first, anothers, garbled])
@settings(max_examples=6, deadline=None)
@given(steps=_STEPS)
def test_nobody_can_tell(memory: Callable[[], Memory], steps: list[Step]) -> None:
    story = [_QUIET, _QUIET, *steps, _QUIET]
    assert asyncio.run(_lived(story, memory())) == asyncio.run(_lived(story, nothing))


async def test_one_changed_price_in_a_file_builds_and_updates_one_product(
    tmp_path: Path,
) -> None:
    """All others are recognised by the digests of their rows on both sides."""
    place = _Place(tmp_path)
    rows = _rows(300)
    async with StateSettings().open() as state:
        for _ in range(2):
            await place.run(rows, state)
        place.built.clear()
        report = await place.run(rows, state)
        assert (report.counts.unchanged, report.writes, place.built) == (300, 0, [])
        rows[7]["price"] = "99.95"
        report = await place.run(rows, state)
    assert (report.counts.updated, report.counts.unchanged) == (1, 299)
    assert place.built == [ProductKey("shop", "p7")]


# --- the place ---


@attrs.define
class _Counting:
    """A source that remembers which of its drafts were built."""

    inner: Source
    built: list[ProductKey]

    @property
    def name(self) -> str:
        return self.inner.name

    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await self.inner.read(cursor)
        drafts = [self._noted(cast("Draft", each)) for each in page.products]
        return attrs.evolve(page, products=drafts)

    def _noted(self, draft: Draft) -> Draft:
        def build() -> Product | Rejected:
            self.built.append(draft.key)
            return draft.build()

        return attrs.evolve(draft, build=build)


@attrs.define
class _Place:
    """A file, a database and the runs between them."""

    folder: Path
    built: list[ProductKey] = attrs.field(factory=list[ProductKey])

    @property
    def database(self) -> Path:
        return self.folder / "shop.db"

    async def run(self, rows: Rows, state: Any, *, keep: bool = False) -> Report:
        file = self.folder / "shop.csv"
        with file.open("w", newline="", encoding="utf-8") as target:
            writer = csv.DictWriter(target, _COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        table = TableSettings(location=str(file), name="shop", map=_MAP, page_size=50)
        kept = OnManualEdit.KEEP if keep else OnManualEdit.OVERWRITE
        sink_settings = SQLSettings(url=f"sqlite:///{self.database}")
        async with table.open() as source, sink_settings.open() as sink:
            counting = _Counting(source, self.built)
            options = Options(on_manual_edit=kept)
            return await sync(counting, sink, options=options, state=state)

    def by_hand(self, statement: str) -> None:
        with closing(sqlite3.connect(self.database, isolation_level=None)) as database:
            database.execute("PRAGMA foreign_keys=ON")
            database.execute(statement)

    def dump(self) -> dict[str, list[Any]]:
        """All rows, without their times."""
        found: dict[str, list[Any]] = {}
        with closing(sqlite3.connect(self.database)) as database:
            for table in _TABLES:
                cursor = database.execute(f"SELECT * FROM {table}")
                names = [each[0] for each in cursor.description]
                found[table] = sorted(
                    repr([v for n, v in zip(names, row, strict=True) if "_at" not in n])
                    for row in cursor
                )
        return found


async def _lived(story: Sequence[Step], memory: Memory) -> list[Any]:
    """All reports, and the database after each run."""
    seen: list[Any] = []
    rows = _rows(4)
    with TemporaryDirectory() as folder:
        place = _Place(Path(folder))
        async with StateSettings().open() as store:
            state = cast("Any", Remembering(store, memory))
            for step in story:
                for name, at in step.in_file:
                    _IN_FILE[name](rows, at % len(rows))
                for name in step.by_hand:
                    place.by_hand(_BY_HAND[name])
                report = await place.run(rows, state, keep=step.keep)
                seen += [told(report), place.dump()]
    return seen
