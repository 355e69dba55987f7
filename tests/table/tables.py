"""Tables for the tests, and sources that read them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.pages import built

from catalogsync import Product
from catalogsync.adapters.table import TableSettings
from catalogsync.catalog.outcomes import Rejected
from catalogsync.config._problems import ProblemsError, misconfigured
from catalogsync.config._structure import make_converter, read_settings

SHIRTS = """
key = "Handle"
title = "Title"
sku = "SKU"
options.Size = "Size"
price = { from = "Price", currency = "EUR" }
stock = "Stock"
"""
HEADER = "Handle,Title,SKU,Size,Price,Stock\n"


def settings(location: object, toml: str = "", mapping: str = SHIRTS) -> TableSettings:
    """Settings as a configuration has them."""
    text = f'location = "{location}"\nname = "shop"\n{toml}\n[map]\n{mapping}'
    try:
        return read_settings(make_converter(), tomllib.loads(text), TableSettings)
    except ProblemsError as error:
        raise misconfigured(error.problems) from None


async def read(what: TableSettings) -> tuple[list[Product], list[Rejected]]:
    """All products and rejections, page by page."""
    products: list[Product] = []
    rejected: list[Rejected] = []
    async with what.open() as source:
        page = await source.read(None)
        cursors: Sequence[str] = ["", *page.next]
        for cursor in cursors:
            page = await source.read(cursor) if cursor else page
            some, others = built(page)
            products += some
            rejected += others
    return products, rejected


async def read_text(
    folder: Path, text: str | bytes, toml: str = "", mapping: str = SHIRTS
) -> tuple[list[Product], list[Rejected]]:
    """The same, of a file with this content."""
    file = folder / "shop.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return await read(settings(file, toml, mapping))
