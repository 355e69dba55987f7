"""Each sample file goes into SQLite and into Medusa, without code, and only once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.feed_jobs import FEEDS, FOLDERS, OWN, REFUSED, Feed
from tests.adapters.xml_runs import read_all
from tests.conftest import Medusa
from tests.real import real_is_desired
from tests.table.test_formats import write_xlsx

from catalogsync import Field, MisconfiguredError, Product, Report, RunStatus
from catalogsync.config import load_config

CURRENCIES = ("usd", "eur", "dkk", "pln", "cny", "aud", "nzd", "gbp")
WEB, WEST = "WebStoreWarehouse", "WestStoreWarehouse"
PRICE_LIST = {
    "Prices": [
        [],
        ["Version", "1"],
        ["Currency", "CNY"],
        ["Goods", None, None, None, "Sales"],
        [
            *("Style No", "Product Name", "Brand", "Color", "Size", "Category"),
            *("List Price", "Stock Qty", "FacilityId"),
        ],
        [1211001, "Jacket", "ARC\u2019TERYX", "Red", "S", None, 350, 123, WEB],
        [],
        [1211001, "Jacket", "ARC\u2019TERYX", "Red", "M", None, 350, 67, WEST],
        ["100103688", "Hat", "Kovea", "Black", "One", None, 99.5, 3, WEB],
    ]
}
CASES = [
    pytest.param(name, folder, id=f"{name}-{'own' if folder == OWN else 'shared'}")
    for name in FEEDS
    for folder in FOLDERS
]

IN_MEDUSA = [
    pytest.param(store, name, folder, id=f"{name}-{store}-{n}")
    for store in ("fake", "real" if real_is_desired() else "")
    for name in FEEDS
    for n, folder in enumerate(FOLDERS if store == "fake" else FOLDERS[-1:])
    if store
]
"""The real store gets each file once, as it takes its time."""


def place_of(name: str, folder: Path, tmp_path: Path) -> Path:
    """The file; our workbook is made."""
    if folder == OWN and name.endswith(".xlsx"):
        write_xlsx(tmp_path / name, PRICE_LIST, ("A4:D4",))
        return tmp_path / name
    return folder / name


def job(tmp_path: Path, place: Path, source: str, sink: str) -> Any:
    """The job that a shop owner writes."""
    file = tmp_path / "catalogsync.toml"
    head = f'[jobs.feed.source]\nname = "feed"\nlocation = "{place}"\n'
    file.write_text(f"{head}{source}\n[jobs.feed.sink]\n{sink}", encoding="utf-8")
    return load_config(file).job("feed")


async def run_twice(made: Any, feed: Feed, mine: bool) -> list[Product]:
    """The products; a second run must write nothing, because all is in the sink."""
    products, rejected = await read_all(made.open_source())
    assert rejected == []
    first: Report = await made.run()
    again: Report = await made.run()
    count = feed.products[not mine]
    assert (first.status, again.status) == (RunStatus.SUCCEEDED,) * 2, first
    assert (first.counts.created, again.counts.unchanged) == (count, count)
    variants = sum(len(product.variants or ()) for product in products)
    assert variants == feed.variants[not mine]
    return products


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_nobody_writes_more_than_25_lines(feed: Feed) -> None:
    assert len(feed.source.strip().splitlines()) <= 25


@pytest.mark.parametrize(("name", "folder"), CASES)
async def test_into_sqlite(name: str, folder: Path, tmp_path: Path) -> None:
    sink = f'type = "sql"\nurl = "sqlite:///{tmp_path}/catalog.db"\n'
    made = job(tmp_path, place_of(name, folder, tmp_path), FEEDS[name].source, sink)
    await run_twice(made, FEEDS[name], folder == OWN)


@pytest.fixture
async def shop(medusa: Medusa) -> AsyncIterator[Medusa]:
    """A store that sells in the currencies of the files."""
    (store,) = (await medusa.get("/admin/stores"))["stores"]
    path = f"/admin/stores/{store['id']}"
    chosen = [{"currency_code": c, "is_default": c == "usd"} for c in CURRENCIES]
    fields = "supported_currencies.currency_code,supported_currencies.is_default"
    before = (await medusa.get(f"{path}?fields={fields}"))["store"]
    await medusa.post(path, {"supported_currencies": chosen})
    yield medusa
    columns = ("currency_code", "is_default")
    had = [{c: row[c] for c in columns} for row in before["supported_currencies"]]
    await medusa.post(path, {"supported_currencies": had})


async def stocked(shop: Medusa, names: tuple[str, ...]) -> None:
    """See to it that the store has these stock locations."""
    found = (await shop.get("/admin/stock-locations"))["stock_locations"]
    for name in {*names} - {row["name"] for row in found}:
        await shop.post("/admin/stock-locations", {"name": name})


async def prices_in(shop: Medusa) -> dict[str, list[str]]:
    """The prices in the store, by the key of the product."""
    fields = "external_id,variants.prices.amount,variants.prices.currency_code"
    answer = await shop.get(f"/admin/products?limit=100&fields={fields}")
    return {
        product["external_id"]: sorted(
            f"{price['currency_code'].upper()} {float(price['amount']):g}"
            for variant in product["variants"]
            for price in variant["prices"]
        )
        for product in answer["products"]
    }


def prices_of(product: Product) -> list[str]:
    variants = product.variants or ()
    prices = [price for variant in variants for price in variant.prices or ()]
    return sorted(f"{price.currency} {float(price.amount):g}" for price in prices)


@pytest.mark.parametrize(("medusa", "name", "folder"), IN_MEDUSA, indirect=["medusa"])
async def test_into_medusa(
    name: str, folder: Path, tmp_path: Path, shop: Medusa
) -> None:
    feed = FEEDS[name]
    await stocked(shop, feed.locations)
    sink = f'type = "medusa"\nurl = "{shop.url}"\nemail = "{shop.email}"\n'
    secret = f'password = "{shop.password}"\n'
    place = place_of(name, folder, tmp_path)
    made = job(tmp_path, place, feed.source, sink + secret)
    products = await run_twice(made, feed, folder == OWN)
    assert await prices_in(shop) == {str(p.key): prices_of(p) for p in products}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: "own" * (f == OWN) or "all")
@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_catalogue_is_refused(
    name: str, folder: Path, tmp_path: Path
) -> None:
    """Before anything is written, with words that anyone understands."""
    source, words = REFUSED[name]
    made = job(tmp_path, folder / name, source, 'type = "sql"\nurl = "sqlite://"')
    with pytest.raises(MisconfiguredError, match=re.escape(words)):
        await read_all(made.open_source())


PRICES = """preset = "bmecat"
records = "T_UPDATE_PRICES/ARTICLE"
after_version = 42
map = { title = "SUPPLIER_AID" }
"""


async def test_an_update_of_prices_changes_nothing_else(tmp_path: Path) -> None:
    """It has no titles, so the run may set one only on products that it creates."""
    sink = f'type = "sql"\nurl = "sqlite:///{tmp_path}/catalog.db"\n'
    name = "bmecat-1.2.xml"
    whole = job(tmp_path, OWN / name, FEEDS[name].source, sink)
    assert (await whole.run()).counts.created == 1
    options = '[jobs.feed.options]\nowns = { title = "on_create" }\n'
    place = OWN / "bmecat-1.2-update-prices.xml"
    prices = job(tmp_path, place, PRICES, f"{sink}{options}")
    first, again = await prices.run(), await prices.run()
    assert (first.counts.updated, again.counts.unchanged) == (1, 1)
    (product,), _ = await read_all(whole.open_source())
    async with prices.open_sink() as opened:
        found = await opened.find([product], fields=frozenset(Field))
    kept = found[product.key].product
    assert (kept.title, len(kept.categories)) == ("Zange", 2)
    assert [str(price.amount) for price in kept.variants[0].prices] == ["6"]
