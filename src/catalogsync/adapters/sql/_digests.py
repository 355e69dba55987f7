"""Digests of the rows of a product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import sqlalchemy as sa

from catalogsync._lib.digests import digest_of

from ._tables import (
    category,
    image,
    price,
    product_category,
    product_tag,
    stock_level,
    variant,
    variant_option,
)

__all__ = ["Parts", "RowId", "digest"]

Parts: TypeAlias = Mapping[sa.Table, Mapping[int, Sequence[sa.Row[Any]]]]
"""Rows by table, and by the id of the product or variant that they belong to."""


class RowId(int):
    """The id of a row of `product`, with what was read of it."""

    row: sa.Row[Any]
    parts: Parts

    @classmethod
    def of(cls, row: sa.Row[Any], parts: Parts) -> RowId:
        """The id of this row, to which these parts belong."""
        id_ = cls(row.id)
        id_.row, id_.parts = row, parts
        return id_

    @property
    def digest(self) -> str:
        """A digest of all that was read."""
        return digest(self.row, self.parts)


def digest(row: sa.Row[Any], parts: Parts) -> str:
    """A digest of a row of `product` and of the rows that belong to it."""
    links, variants = parts[product_category][row.id], parts[variant][row.id]
    found: list[tuple[Any, ...]] = [tuple(row)]
    for rows in (parts[image][row.id], links, parts[product_tag][row.id], variants):
        found += map(tuple, rows)
        found.append(())
    for link in links:
        found += map(tuple, _line(link.category_id, parts[category]))
    for table in (variant_option, price, stock_level):
        of_variants = parts[table]
        for each in variants:
            found += map(tuple, of_variants[each.id])
        found.append(())
    return digest_of(repr(found).encode(errors="surrogatepass")).hex()


def _line(id_: int, tree: Mapping[int, Sequence[sa.Row[Any]]]) -> Sequence[sa.Row[Any]]:
    """A category and those above it, until there is none, or a cycle."""
    line: dict[int, sa.Row[Any]] = {}
    above = tree[id_]
    while above and above[0].id not in line:
        line[above[0].id] = above[0]
        above = tree[above[0].parent_id]
    return [*line.values()]
