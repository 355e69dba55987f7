"""Reading products by what they have."""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import partial

from catalogsync._lib.concurrency import each
from catalogsync.catalog.products import Field
from catalogsync.errors import BrokenReplyError

from .client import MedusaClient
from .handles import in_pieces
from .mapping import TAG_COLUMNS, Raw, cleaned, query_fields

__all__ = ["check_asked_for", "list_products", "read_products"]

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

    Raises:
        BrokenReplyError: The answers hold what was not asked for.
    """
    desired = list(values)
    found: list[Raw] = []
    for piece in in_pieces(name, desired):
        query = f"fields={columns}&{piece}"
        found += await client.get_all(_PRODUCTS, "products", query, size=len(desired))
    check_asked_for(name.removesuffix("[]"), found, frozenset(desired))
    return [cleaned(raw) if "variants" in raw else raw for raw in found]


async def read_products(
    client: MedusaClient, name: str, values: Iterable[str], fields: frozenset[Field]
) -> list[Raw]:
    """The same with all that is needed to compare these fields.

    Medusa joins what it reads, and tags beside images and categories take it longer
    than a request of their own at the same time.
    """
    desired = list(values)
    found: list[Raw]
    columns = [query_fields(fields - {Field.TAGS})]
    if Field.TAGS in fields:
        columns.append(TAG_COLUMNS)
    read = partial(list_products, client, name, desired)
    found, *more = await each(read, columns, at_once=len(columns))
    for others in more:
        by_id = {raw["id"]: raw for raw in others}
        found = [{**raw, **by_id[raw["id"]]} for raw in found if raw["id"] in by_id]
    return found


def check_asked_for(name: str, found: Iterable[Raw], desired: Container[str]) -> None:
    """Notice products under another name: overlooked, they would be made once more.

    Args:
        name: The column by which they were looked for.
        found: What came.
        desired: The values that were asked for.

    Raises:
        BrokenReplyError: One has another.
    """
    for raw in found:
        if name in raw and raw[name] not in desired:
            problem = f"product {raw['id']} was not asked for by its {name}"
            raise BrokenReplyError(f"GET {_PRODUCTS}: {problem}")
