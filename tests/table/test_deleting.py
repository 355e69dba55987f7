"""`delete_when`: rows that say that a product was deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.table.tables import settings

from catalogsync import MemorySink, MisconfiguredError, Options, Prune, Report, sync
from catalogsync.adapters.json_api import JSONAPISettings
from catalogsync.adapters.table import TableSettings
from catalogsync.mapping import Expression, RecordMapping

MAPPING = """
key = "Key"
title = "Title"
sku = "SKU"
delete_when = { from = "Action", words = { U = false, I = false, D = true } }
"""
HEAD = "Key,Title,SKU,Action\n"
FULL = f"{HEAD}a,Cup,A1,\na,,A2,\nb,Pan,B1,I\nc,Jug,C1,U\n"


async def run(what: TableSettings, sink: MemorySink, prune: Prune | None) -> Report:
    async with what.open() as source:
        options = Options(prune=prune, max_prune=10)
        return await sync(source, sink, options=options)


@pytest.mark.parametrize("delta", [True, False])
async def test_rows_that_delete(tmp_path: Path, delta: bool) -> None:
    """A product whose rows all do so goes; of others, only the rows."""
    file, sink = tmp_path / "shop.csv", MemorySink()
    file.write_text(FULL)
    what = settings(file, f"complete = {str(not delta).lower()}", MAPPING)
    assert (await run(what, sink, Prune.DELETE)).counts.created == 3
    kept = "" if delta else "c,Jug,C1,\n"
    file.write_text(f"{HEAD}a,Cup,A1,U\na,,A2,D\nb,,,D\nx,,,D\n{kept}")
    report = await run(what, sink, Prune.DELETE)
    assert (report.counts.updated, report.counts.removed) == (1, 1)
    assert report.status == "succeeded"
    found = {
        each.key.id: [v.sku for v in each.variants or ()]
        for each in sink.products.values()
    }
    assert found == {"a": ["A1"], "c": ["C1"]}


async def test_a_word_that_is_not_known_deletes_nothing(tmp_path: Path) -> None:
    file, sink = tmp_path / "shop.csv", MemorySink()
    file.write_text(FULL)
    what = settings(file, "complete = false", MAPPING)
    await run(what, sink, Prune.DELETE)
    file.write_text(f"{HEAD}a,Cup,A1,Delta\n")
    report = await run(what, sink, Prune.DELETE)
    assert (report.counts.removed, report.counts.failed) == (0, 1)
    assert report.failures[0].reason == (
        'delete_when: "Delta" may or may not mean that the product was deleted: say so'
        " with words = { Delta = true } or false (row 2)"
    )


async def test_single_products(tmp_path: Path) -> None:
    """A deleted product is not there when it is looked up."""
    file = tmp_path / "shop.csv"
    file.write_text(f"{HEAD}a,Cup,A1,D\nb,Pan,B1,\n")
    async with settings(file, mapping=MAPPING).open() as source:
        page = await source.read(None)
        (gone,) = page.deleted
        page = await source.get([gone, page.products[0].key])
        assert ([each.id for each in page.deleted], len(page.products)) == (["a"], 1)
        samples = await source.samples(5)
    assert str(samples[0].result.reason).startswith("delete_when: says that it was")


def test_apis_cannot() -> None:
    mapping = RecordMapping(
        key=Expression(from_="id"),
        title=Expression(from_="title"),
        delete_when=Expression(from_="gone"),
    )
    with pytest.raises(MisconfiguredError, match="delete_when: is for files only"):
        JSONAPISettings(url="https://example.com", name="a", map=mapping)
