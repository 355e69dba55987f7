"""Bringing changes about, inside one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs
from sqlalchemy import Column, Executable, Table, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from catalogsync.errors import ConflictError
from catalogsync.models import Dimensions, Field, Product, Unset, Variant
from catalogsync.protocols import Action, Change, VariantChange

from ._tables import (
    IDS,
    NewRow,
    has_key,
    image,
    key_parameters,
    price,
    product,
    product_category,
    product_tag,
    stock_level,
    variant,
    variant_option,
)

__all__ = ["write_changes"]


async def write_changes(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Write a batch; who began the transaction ends it.

    Raises:
        ConflictError: A product or variant is no longer there as it was found.
    """
    new = [_product_row(c) for c in changes if c.action is Action.CREATE]
    await _execute(connection, insert(product), new)
    targets = await _find_rows(connection, changes)
    updated = [
        (id_, {**_product_columns(c.product, c.fields), "receipt": c.receipt})
        for id_, c in targets
        if c.action is Action.UPDATE
    ]
    await _update(connection, product, updated)
    lists = _Lists()
    for id_, change in targets:
        _put_lists(lists, id_, change)
    await _write_variants(connection, targets, lists)
    await lists.write(connection)
