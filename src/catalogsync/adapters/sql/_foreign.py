"""Finding and adopting products without a key."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any, cast
from uuid import uuid4

import attrs
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.batching import batched
from catalogsync.catalog.changes import Adopt, Change, Conflict, Found
from catalogsync.catalog.products import (
    UNSET,
    Field,
    Product,
    ProductKey,
    Variant,
    evolve_unchecked,
)
from catalogsync.errors import BatchRefusedError, ConflictError
from catalogsync.protocols import AdoptBy

from ._digests import Parts
from ._reading import existing, read_parts
from ._tables import IDS, columns_of, lacking, product, variant

_AT_ONCE = 1000
_SHOWN = 3

_HAS_NO_KEY = product.c.source.is_(None)
_WITH_SKU = (
    sa.select(variant.c.sku, variant.c.product_id)
    .join(product)
    .where(variant.c.sku.in_(IDS), _HAS_NO_KEY)
)
_WITH_EXTERNAL_ID = sa.select(product.c.id, product.c.attributes).where(
    product.c.attributes.contains("external_id", autoescape=True), _HAS_NO_KEY
)
_LOCKED = (
    sa.select(product.c.id)
    .where(product.c.id.in_(IDS), _HAS_NO_KEY)
    .order_by(product.c.id)
    .with_for_update()
)
_VARIANTS = sa.select(variant.c.id).where(variant.c.product_id.in_(IDS))
_ADOPT = sa.update(product).where(product.c.id == sa.bindparam("row"))
_RENAME = sa.update(variant).where(variant.c.id == sa.bindparam("row"))


@attrs.frozen
class _Foreign:
    """`Existing.native` of a product without a key.

    Attributes:
        row: Id of its row.
        variants: New ids of the variants that get one, by row.
    """

    row: int
    variants: Mapping[int, str]


async def find_foreign(
    connection: AsyncConnection,
    desired: Sequence[Product],
    by: AdoptBy,
    fields: frozenset[Field],
) -> dict[ProductKey, Found]:
    """Find products without a key that match these."""
    candidates = await _candidates(connection, desired, by)
    claims = Counter(id_ for ids in candidates.values() for id_ in ids)
    found: dict[ProductKey, Found] = {}
    clear: dict[int, Product] = {}
    for each in desired:
        ids = sorted(candidates.get(each.key, ()))
        if len(ids) == 1 and claims[ids[0]] == 1:
            clear[ids[0]] = each
        elif ids:
            found[each.key] = Conflict(reason=_reason(ids, by))
    parts = await read_parts(connection, list(clear), fields | {Field.VARIANTS})
    columns = columns_of(product, lacking(connection))
    rows = sa.select(*columns).where(product.c.id.in_(IDS))
    for row in await connection.execute(rows, {"ids": list(clear)}):
        each = clear[row.id]
        found[each.key] = _foreign(each, row, parts, fields)
    return found


def _reason(ids: Sequence[int], by: AdoptBy) -> str:
    if len(ids) == 1:
        return f"row {ids[0]} of table product matches several products by {by}"
    shown = ", ".join(map(str, ids[:_SHOWN]))
    return f"{len(ids)} rows of table product match by {by}, such as {shown}"


# --- candidates ---


async def _candidates(
    connection: AsyncConnection, desired: Sequence[Product], by: AdoptBy
) -> Mapping[ProductKey, Collection[int]]:
    """The rows that match each product."""
    match by:
        case AdoptBy.SKU:
            return await _by_sku(connection, desired)
        case AdoptBy.EXTERNAL_ID:
            return await _by_external_id(connection, desired)
        case AdoptBy.HANDLE:
            return {}


async def _by_sku(
    connection: AsyncConnection, desired: Sequence[Product]
) -> Mapping[ProductKey, Collection[int]]:
    """The rows that have all SKUs of a product."""
    skus = {each.key: {v.sku for v in each.variants or () if v.sku} for each in desired}
    rows = defaultdict[str, set[int]](set)
    for part in batched(set[str]().union(*skus.values()), _AT_ONCE):
        for row in await connection.execute(_WITH_SKU, {"ids": part}):
            rows[row.sku].add(row.product_id)
    return {
        key: set[int].intersection(*(rows[sku] for sku in of_product))
        for key, of_product in skus.items()
        if of_product
    }


async def _by_external_id(
    connection: AsyncConnection, desired: Sequence[Product]
) -> Mapping[ProductKey, Collection[int]]:
    """The rows in which another script stored the id of a product.

    The attributes are parsed here: people may have entered something other than JSON,
    and the database's own JSON functions would fail.
    """
    keys = defaultdict[str, set[ProductKey]](set)
    for each in desired:
        keys[each.key.id].add(each.key)
        keys[str(each.key)].add(each.key)
    candidates = defaultdict[ProductKey, set[int]](set)
    async with connection.stream(_WITH_EXTERNAL_ID) as rows:
        async for part in rows.partitions(_AT_ONCE):
            for row in part:
                for key in keys.get(_external_id(row.attributes), ()):
                    candidates[key].add(row.id)
    return candidates


def _external_id(attributes: str) -> str:
    """The attribute, a number as it is written; empty: there is none."""
    try:
        tree: object = json.loads(attributes, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(tree, dict):
        return ""
    id_ = cast("dict[str, object]", tree).get("external_id")
    return id_ if isinstance(id_, str) else ""


# --- a row as the desired product ---


def _foreign(
    desired: Product, row: sa.Row[Any], parts: Parts, fields: frozenset[Field]
) -> Found:
    """A row with the key of the desired product and the ids of its variants."""
    there = existing(row, parts, fields, desired.key)
    ours, theirs = desired.variants or (), there.product.variants or ()
    if _is_doubled(ours, theirs):
        problem = "has several variants with the same SKU"
        return Conflict(reason=f"row {row.id} of table product {problem}")
    ids = _new_ids(ours, theirs)
    variants = tuple(
        evolve_unchecked(each, id=ids.get(each.id, each.id)) for each in theirs
    )
    differ = {
        each.id: ids[each.source_id]
        for each in parts[variant][row.id]
        if ids.get(each.source_id, each.source_id) != each.source_id
    }
    return attrs.evolve(
        there,
        product=evolve_unchecked(there.product, variants=variants or UNSET),
        # A state may remain from an earlier owner, but we wrote nothing of it.
        last_applied=None,
        native=_Foreign(row.id, differ),
        foreign=True,
    )


def _is_doubled(ours: Sequence[Variant], theirs: Sequence[Variant]) -> bool:
    desired = {each.sku for each in ours if each.sku}
    skus = [each.sku for each in theirs if each.sku in desired]
    return len(skus) > len(set(skus))


def _new_ids(ours: Sequence[Variant], theirs: Sequence[Variant]) -> dict[str, str]:
    """The new ids of existing variants, by their present ids.

    Variants are matched by SKU; if both products have a single variant, these match.
    An unmatched variant that has the id of an unmatched one of ours matches it too,
    unless both have an SKU. Any other variant with an id of ours gets a new one, so
    that ours can have it.
    """
    of_sku = {each.sku: each.id for each in reversed(ours) if each.sku}
    ids = {
        each.id: of_sku[each.sku] for each in theirs if each.sku and each.sku in of_sku
    }
    if not ids and len(ours) == len(theirs) == 1:
        return {theirs[0].id: ours[0].id}
    by_id = {each.id: each for each in ours}
    matched = set(ids.values())
    taken = by_id.keys() | {each.id for each in theirs}
    for each in theirs:
        if each.id in ids or each.id not in by_id:
            continue
        if each.id in matched or (each.sku and by_id[each.id].sku):
            ids[each.id] = _free(each.id, taken)
    return ids


def _free(id_: str, taken: Collection[str]) -> str:
    names = (f"{id_} ({number})" for number in count(2))
    return next(name for name in names if name not in taken)


# --- adoption ---


async def adopt(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Give our keys to products without one, and the new ids to their variants.

    Raises:
        BatchRefusedError: Several products would adopt the same row.
        ConflictError: A product or variant has changed since it was found.
    """
    adopted = {
        change.key: change.existing.native
        for change in changes
        if isinstance(change, Adopt) and isinstance(change.existing.native, _Foreign)
    }
    if not adopted:
        return
    _check_distinct(adopted)
    ids = {"ids": [each.row for each in adopted.values()]}
    there = set(await connection.scalars(_LOCKED, ids))
    variants = set(await connection.scalars(_VARIANTS, ids))
    for key, each in adopted.items():
        if each.row not in there or not variants.issuperset(each.variants):
            raise ConflictError(f"the row to adopt for {key} has changed since")
    keys = [
        {"row": each.row, "source": key.source, "source_id": key.id}
        for key, each in adopted.items()
    ]
    await connection.execute(_ADOPT, keys)
    await _rename(connection, [each.variants for each in adopted.values()])


def _check_distinct(adopted: Mapping[ProductKey, _Foreign]) -> None:
    owners: dict[int, ProductKey] = {}
    culprits = {
        key: f"row {each.row} of table product is adopted by {owners[each.row]}"
        for key, each in adopted.items()
        if owners.setdefault(each.row, key) != key
    }
    if culprits:
        raise BatchRefusedError("several products match one row", culprits=culprits)


async def _rename(
    connection: AsyncConnection, variants: Sequence[Mapping[int, str]]
) -> None:
    """Change ids, first to temporary ones, because two variants may swap theirs."""
    ids = {row: new for each in variants for row, new in each.items()}
    for step in ({row: f"{uuid4()}" for row in ids}, ids) if ids else ():
        rows = [{"row": row, "source_id": id_} for row, id_ in step.items()]
        await connection.execute(_RENAME, rows)
