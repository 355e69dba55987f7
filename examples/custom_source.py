"""A price list in CSV as a source, in about twenty lines of your own code.

Run it with `python examples/custom_source.py [FILE]`; needs no network and no extra.
"""

from __future__ import annotations

import asyncio
import csv
import sys
import tempfile
from decimal import Decimal, DecimalException
from itertools import islice
from pathlib import Path

from catalogsync import (
    InvalidValueError,
    MemorySink,
    Page,
    Price,
    Product,
    ProductKey,
    Rejected,
    StockLevel,
    Variant,
    sync,
)
from catalogsync.protocols import Cursor


class PriceListSource:
    """Reads a CSV file with the columns id, title, price and stock."""

    name = "pricelist"

    def __init__(self, file: Path, page_size: int = 100) -> None:
        self._file, self._size = file, page_size

    async def read(self, cursor: Cursor | None, /) -> Page:
        """Read one page; the cursor is the number of rows to skip."""
        skip = int(cursor or 0)
        with self._file.open(encoding="utf-8", newline="") as lines:
            rows = list(islice(csv.DictReader(lines), skip, skip + self._size))
        products: list[Product] = []
        rejected: list[Rejected] = []
        for number, row in enumerate(rows, start=skip + 1):
            try:
                products.append(product_of(row))
            except (DecimalException, InvalidValueError, ValueError):
                reason, where = f"cannot be read: {row}", f"row {number}"
                rejected.append(Rejected(key=None, reason=reason, where=where))
        more = (str(skip + self._size),) if len(rows) == self._size else ()
        return Page(products=products, rejected=rejected, next=more)


def product_of(row: dict[str, str]) -> Product:
    """Turn a row into a product."""
    price = Price(amount=Decimal(row["price"]), currency="EUR")
    level = StockLevel(quantity=int(row["stock"]))
    only = Variant(id="default", sku=row["id"], prices=[price], stock=[level])
    key = ProductKey(PriceListSource.name, row["id"])
    return Product(key=key, title=row["title"], variants=[only])


SAMPLE = """\
id,title,price,stock
A-1,Teapot,24.90,7
A-2,Tea strainer,3.50,120
A-3,Cup,six euros,40
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder, "pricelist.csv")
        sample.write_text(SAMPLE, encoding="utf-8")
        source = PriceListSource(Path(sys.argv[1]) if sys.argv[1:] else sample)
        sink = MemorySink()
        print(asyncio.run(sync(source, sink)))
    for product in sink.products.values():
        print(product.key, product.title)


if __name__ == "__main__":
    main()
