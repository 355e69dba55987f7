"""Reading products by the value of a column."""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import partial

from catalogsync._lib.concurrency import each
from catalogsync.catalog.products import Field
from catalogsync.errors import BrokenReplyError

from .client import MedusaClient
from .handles import in_pieces
from .levels import Stock
from .mapping import TAG_COLUMNS, Raw, cleaned, query_fields

__all__ = ["check_requested", "list_products", "read_products"]

_PRODUCTS = "/admin/products"


async def list_products(
    client: MedusaClient, name: str, values: Iterable[str], columns: str
) -> list[Raw]:
    """Some columns of the products that have one of these values.

    Args:
        client: The store.
        name: The filter, for example `external_id[]`.
        values: The values to look for.
        columns: The columns to read, separated by commas.

    Raises:
        BrokenReplyError: A reply contains a product that does not match the filter.
    """
    desired = list(values)
    found: list[Raw] = []
    for piece in in_pieces(name, desired):
        query = f"fields={columns}&{piece}"
        found += await client.get_all(_PRODUCTS, "products", query, size=len(desired))
    check_requested(name.removesuffix("[]"), found, frozenset(desired))
    return [cleaned(raw) if "variants" in raw else raw for raw in found]


async def read_products(
    client: MedusaClient,
    name: str,
    values: Iterable[str],
    fields: frozenset[Field],
    counts: Stock = "on_hand",
) -> list[Raw]:
    """As `list_products`, with the columns needed to compare these fields.

    Medusa joins the relations of one request, so that tags beside images and categories
    take longer than a separate request at the same time.
    """
    desired = list(values)
    found: list[Raw]
    columns = [query_fields(fields - {Field.TAGS}, counts)]
    if Field.TAGS in fields:
        columns.append(TAG_COLUMNS)
    read = partial(list_products, client, name, desired)
    found, *more = await each(read, columns, at_once=len(columns))
    for others in more:
        by_id = {raw["id"]: raw for raw in others}
        found = [{**raw, **by_id[raw["id"]]} for raw in found if raw["id"] in by_id]
    return found


def check_requested(name: str, found: Iterable[Raw], desired: Container[str]) -> None:
    """Check that all products match the filter of the request.

    A product under a wrong key would be overlooked and then created a second time.

    Args:
        name: The column of the filter.
        found: The products in the reply.
        desired: The requested values.

    Raises:
        BrokenReplyError: A product has another value.
    """
    for raw in found:
        if name in raw and raw[name] not in desired:
            problem = f"product {raw['id']} has a {name} that was not requested"
            raise BrokenReplyError(f"GET {_PRODUCTS}: {problem}")
