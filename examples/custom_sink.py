"""A price list in JSON as a sink, in about twenty lines of your own code.

Run it with `python examples/custom_sink.py [FILE]`; needs no network and no extra.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from catalogsync import (
    Existing,
    Field,
    Limits,
    Outcome,
    Price,
    Product,
    ProductKey,
    Variant,
    as_source,
    sync,
)
from catalogsync.catalog.changes import Found, Write


class PriceListSink:
    """A JSON file with the title and the price of each product, by its key."""

    name = "price list"
    limits = Limits(batch=500)

    def __init__(self, file: Path) -> None:
        self._file = file

    def shape(self, product: Product, /) -> Product:
        """The product as the file can hold it: the title and one price."""
        if not product.variants:  # the source does not supply any
            return Product(key=product.key, title=product.title)
        prices = [p for v in product.variants for p in v.prices or ()]
        only = Variant(id="only", prices=prices[:1])
        return Product(key=product.key, title=product.title, variants=[only])

    async def find(
        self, desired: Sequence[Product], /, *, fields: frozenset[Field]
    ) -> Mapping[ProductKey, Found]:
        """Read what the file has for these products."""
        rows, keys = self._read(), [product.key for product in desired]
        return {key: existing(key, *rows[str(key)]) for key in keys if str(key) in rows}

    async def write(self, changes: Sequence[Write], /) -> Sequence[Outcome]:
        """Write these products to the file."""
        rows = self._read() | {str(c.key): row_of(c) for c in changes}
        self._file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        return [change.done() for change in changes]

    def _read(self) -> dict[str, list[str]]:
        text = self._file.read_text(encoding="utf-8") if self._file.exists() else "{}"
        rows: dict[str, list[str]] = json.loads(text)
        return rows


def row_of(change: Write) -> list[str]:
    """A row of the file; it keeps the last-applied state for `existing`."""
    prices = [p for v in change.product.variants or () for p in v.prices or ()]
    texts = [text for p in prices for text in (str(p.amount), p.currency)]
    return [change.last_applied, change.product.title, *texts]


def existing(key: ProductKey, last_applied: str, title: str, *price: str) -> Found:
    """A row of the file as the engine compares it."""
    prices = [Price(amount=Decimal(price[0]), currency=price[1])] if price else []
    only = Variant(id="only", prices=prices)
    return Existing(
        product=Product(key=key, title=title, variants=[only]),
        last_applied=last_applied,
    )


def product(number: str, title: str, price: str) -> Product:
    only = Variant(id="1", prices=[Price(amount=Decimal(price), currency="EUR")])
    return Product(key=ProductKey("shop", number), title=title, variants=[only])


def main() -> None:
    products = [product("1", "Teapot", "24.90"), product("2", "Cup", "6.00")]
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder, "prices.json")
        sink = PriceListSink(Path(sys.argv[1]) if sys.argv[1:] else sample)
        print(asyncio.run(sync(as_source(products, name="shop"), sink)))
        products[1] = product("2", "Cup", "5.50")
        print(asyncio.run(sync(as_source(products, name="shop"), sink)))


if __name__ == "__main__":
    main()
