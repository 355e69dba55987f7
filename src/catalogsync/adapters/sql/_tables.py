"""The tables of a catalog, for SQLite and PostgreSQL.

A product or category without a `source` is not ours; the sink never changes it, unless
the job adopts the product.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from catalogsync.catalog.changes import Reference
from catalogsync.catalog.products import DETAILS, GROUPS, ProductKey

NewRow: TypeAlias = dict[str, Any]
"""Values to write, by column."""


class _DecimalText(sa.TypeDecorator[Decimal]):
    """Decimals as text, because SQLite has no such type.

    They are also read as text: a value that a person entered may not be a number, and
    must not make the other rows unreadable.
    """

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = sa.Text
    cache_ok: bool | None = True

    def process_bind_param(
        self, value: Decimal | None, dialect: sa.Dialect
    ) -> str | None:
        """The number with all digits, without an exponent."""
        return None if value is None else format(value, "f")


_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_DECIMAL = sa.Numeric().with_variant(_DecimalText(), "sqlite")


_SIZES = ("weight", "length", "width", "height")


def _id() -> sa.Column[int]:
    return sa.Column("id", _ID, primary_key=True)


def _owner(table: str, *, key: bool = True, index: bool = False) -> sa.Column[int]:
    parent = sa.ForeignKey(f"{table}.id", ondelete="CASCADE")
    return sa.Column(
        f"{table}_id", _ID, parent, primary_key=key, nullable=False, index=index
    )


Lacking: TypeAlias = frozenset[tuple[str, str]]
"""Table and name of columns that do not exist yet."""

LATER = {"later": True}
"""Marks a column that tables of an earlier version lack until the first write."""

metadata = sa.MetaData()

# Ids are never reused (`sqlite_autoincrement`): changes that are planned or queued
# contain them, and must not come to mean another row.
product = sa.Table(
    "product",
    metadata,
    _id(),
    sa.Column("source", sa.Text),
    sa.Column("source_id", sa.Text),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("brand", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("thumbnail", sa.Text),
    sa.Column("weight", _DECIMAL),
    sa.Column("length", _DECIMAL),
    sa.Column("width", _DECIMAL),
    sa.Column("height", _DECIMAL),
    *(sa.Column(field.value, sa.Text, info=LATER) for field in DETAILS),
    sa.Column("discountable", sa.Boolean, info=LATER),
    *(sa.Column(field.value, sa.Text, info=LATER) for field in GROUPS),
    sa.Column("attributes", sa.Text),
    sa.Column("receipt", sa.Text, key="last_applied"),
    sa.Column("created_at", _TIME, server_default=sa.func.now()),
    sa.Column(
        "updated_at", _TIME, server_default=sa.func.now(), onupdate=sa.func.now()
    ),
    sa.UniqueConstraint("source", "source_id"),
    sqlite_autoincrement=True,
)

image = sa.Table(
    "image",
    metadata,
    _id(),
    _owner("product", key=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
)

category = sa.Table(
    "category",
    metadata,
    _id(),
    sa.Column("source", sa.Text),
    sa.Column("source_id", sa.Text),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column(
        "parent_id", _ID, sa.ForeignKey("category.id", ondelete="SET NULL"), index=True
    ),
    sa.Column("receipt", sa.Text, key="last_applied", info=LATER),
    sa.UniqueConstraint("source", "source_id"),
    sqlite_autoincrement=True,
)

product_category = sa.Table(
    "product_category",
    metadata,
    _owner("product"),
    _owner("category", index=True),
)

tag = sa.Table(
    "tag",
    metadata,
    _id(),
    sa.Column("text", sa.Text, nullable=False, unique=True),
    sqlite_autoincrement=True,
)

product_tag = sa.Table(
    "product_tag", metadata, _owner("product"), _owner("tag", index=True)
)

variant = sa.Table(
    "variant",
    metadata,
    _id(),
    _owner("product", key=False),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("sku", sa.Text, index=True),
    sa.Column("barcode", sa.Text),
    *(sa.Column(name, _DECIMAL, info=LATER) for name in _SIZES),
    sa.UniqueConstraint("product_id", "source_id"),
    sqlite_autoincrement=True,
)

variant_option = sa.Table(
    "variant_option",
    metadata,
    _owner("variant"),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False, server_default="0"),
)

price = sa.Table(
    "price",
    metadata,
    _owner("variant"),
    sa.Column("currency", sa.Text, primary_key=True),
    sa.Column("amount", _DECIMAL, nullable=False),
)

stock_level = sa.Table(
    "stock_level",
    metadata,
    _id(),
    _owner("variant", key=False),
    sa.Column("location", sa.Text),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("variant_id", "location"),
)


# --- tables of earlier versions ---


def lacking(connection: AsyncConnection) -> Lacking:
    """The columns that the tables lack until the first write."""
    found: Lacking = connection.sync_connection.get_execution_options().get(  # type: ignore[union-attr]
        "lacking", frozenset()
    )
    return found


def columns_of(table: sa.Table, lacking: Lacking) -> list[sa.ColumnElement[Any]]:
    """The columns to read, with NULL for those that do not exist yet.

    Times are left out: they are not compared, and people may have made them invalid.
    """
    return [
        sa.null().label(column.name) if (table.name, column.name) in lacking else column
        for column in table.c
        if not isinstance(column.type, sa.DateTime)
    ]


# --- finding many rows at once ---

IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
"""A parameter for a list of values."""


def has_key(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a row has one of the keys in `key_parameters`.

    With keys of several sources, other rows of these sources may match too.
    """
    sources: sa.BindParameter[Any] = sa.bindparam("sources", expanding=True)
    return sa.and_(table.c.source.in_(sources), table.c.source_id.in_(IDS))


def key_parameters(keys: Collection[ProductKey | Reference]) -> NewRow:
    """The parameters of `has_key`."""
    return {"sources": list({k.source for k in keys}), "ids": [k.id for k in keys]}
