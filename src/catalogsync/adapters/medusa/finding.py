"""Reading products by what they have."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from catalogsync._concurrency import each
from catalogsync.models import Field

from .client import MedusaClient
from .naming import in_pieces
from .reading import TAG_COLUMNS, Raw, query_fields

__all__ = ["list_products", "read_products"]

_PRODUCTS = "/admin/products"


async def list_products(
    client: MedusaClient, name: str, values: Iterable[str], columns: str
) -> list[Raw]:
    """Some columns of the products that have one of these values.

    Args:
        client: The store.
        name: The filter, such as `external_id[]`.
        values: What to look for.
        columns: What to read.
    """
    wanted = list(values)
    found: list[Raw] = []
    for piece in in_pieces(name, wanted):
        found += await _pages(client, f"fields={columns}&{piece}", size=len(wanted))
    return found


async def read_products(
    client: MedusaClient, name: str, values: Iterable[str], fields: frozenset[Field]
) -> list[Raw]:
    """The same with all that is needed to compare these fields.

    Medusa joins what it reads, and tags beside images and categories take it longer
    than a request of their own at the same time.
    """
    wanted = list(values)
    found: list[Raw]
    columns = [query_fields(fields - {Field.TAGS})]
    if Field.TAGS in fields:
        columns.append(TAG_COLUMNS)
    read = partial(list_products, client, name, wanted)
    found, *more = await each(read, columns, at_once=len(columns))
    for others in more:
        by_id = {raw["id"]: raw for raw in others}
        found = [{**raw, **by_id[raw["id"]]} for raw in found if raw["id"] in by_id]
    return found


async def _pages(client: MedusaClient, query: str, *, size: int) -> list[Raw]:
    found: list[Raw] = []
    while True:
        page = f"limit={size}&offset={len(found)}"
        reply = await client.get(_PRODUCTS, f"{page}&{query}")
        products: list[Raw] = reply["products"]
        found += products
        if not products or len(found) >= reply["count"]:
            return found
