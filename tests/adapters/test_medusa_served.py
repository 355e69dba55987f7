"""Every column that is read of a product: one that the server leaves out is missed."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from tests.conftest import Medusa

from catalogsync import (
    BrokenReplyError,
    Category,
    Dimensions,
    Field,
    Image,
    Price,
    Product,
    ProductKey,
    StockLevel,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.medusa.mapping import TAG_COLUMNS, query_fields
from catalogsync.adapters.medusa.schema import shaped
from catalogsync.adapters.medusa.served import left_out

EVERY = frozenset(Field)
SINGLE = frozenset(
    {"inventory", "option", "price_set_link", "shipping_profile", "type", "collection"}
    | {"rules", "shipping_profiles_link"}
)
WHOLE = Product(
    key=ProductKey("served", "1"),
    title="Lamp",
    description="It shines.",
    brand="Acme",
    thumbnail="https://example.com/lamp.png",
    images=[Image(url="https://example.com/lamp.png")],
    categories=[Category(id="lamps", name="Lamps")],
    tags=["light"],
    type="Lamps",
    collection="Home",
    weight=Decimal(3),
    dimensions=Dimensions(length=Decimal(1), width=Decimal(2), height=Decimal(3)),
    attributes={"colour": "red"},
    variants=[
        Variant(
            id="v",
            title="Small",
            sku="lamp-s",
            barcode="4006381333931",
            options={"Size": "S"},
            prices=[Price(amount=Decimal("9.90"), currency="USD")],
            stock=[StockLevel(quantity=5)],
        )
    ],
)


def paths(columns: str) -> Iterator[tuple[str, ...]]:
    """The columns as they come in answers, and all that they stand in."""
    for column in columns.split(","):
        names = column.split(".")
        if "price_rules" in names:  # as they are shown by Medusa
            names = [*names[: names.index("price_rules")], "rules"]
        for end in range(1, len(names) + 1):
            yield tuple(names[:end])


def strip(rows: Iterable[dict[str, Any]], path: tuple[str, ...]) -> None:
    """Leave out a column of all rows."""
    name, *rest = path
    for row in rows:
        if rest:
            strip([row[name]] if name in SINGLE else row[name], (*rest,))
        else:
            del row[name]


def is_missed(body: dict[str, Any], query: str) -> bool:
    try:
        products = shaped("GET /admin/products", body, query)["products"]
    except BrokenReplyError as error:
        assert str(error).endswith(("is missing", "must be an object"))  # noqa: PT017
        return True
    return bool(left_out(products[0], EVERY))


@pytest.mark.parametrize("columns", [query_fields(EVERY - {Field.TAGS}), TAG_COLUMNS])
async def test_a_column_that_the_server_leaves_out_is_missed(
    medusa: Medusa, columns: str
) -> None:
    settings = MedusaSettings(
        url=medusa.url, email=medusa.email, password=medusa.password
    )
    async with settings.open() as sink:
        report = await sync(as_source([WHOLE]), sink)
        report.raise_for_status()
    query = f"fields={columns}"
    body = await medusa.get(f"/admin/products?{query}")
    assert not is_missed(copy.deepcopy(body), query)
    for path in dict.fromkeys(paths(columns)):
        without = copy.deepcopy(body)
        strip(without["products"], path)
        assert is_missed(without, query), path
