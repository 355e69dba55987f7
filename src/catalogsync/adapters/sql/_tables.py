"""The tables of a catalog, for SQLite and PostgreSQL.

A product or category without a `source` is somebody else's; this sink never
touches it.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    and_,
    bindparam,
    func,
)
from sqlalchemy.types import TypeEngine

from catalogsync.models import ProductKey
from catalogsync.protocols import Reference

__all__ = [
    "IDS",
    "NewRow",
    "category",
    "has_key",
    "image",
    "key_parameters",
    "metadata",
    "price",
    "product",
    "product_category",
    "product_tag",
    "stock_level",
    "tag",
    "variant",
    "variant_option",
]

NewRow: TypeAlias = dict[str, Any]
"""Values that are to be written, by column."""


class _DecimalText(TypeDecorator[Decimal]):
    """Decimals in SQLite, which has none.

    They are read as text: one that somebody typed in by hand may be no number, and
    must not spoil the rows beside it.
    """

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok: bool | None = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Write every digit."""
        return None if value is None else format(value, "f")


_ID = BigInteger().with_variant(Integer(), "sqlite")
_TIME = DateTime(timezone=True)
_DECIMAL = Numeric().with_variant(_DecimalText(), "sqlite")


def _id() -> Column[int]:
    return Column("id", _ID, primary_key=True)


def _owner(table: str, *, key: bool = True, index: bool = False) -> Column[int]:
    parent = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(
        f"{table}_id", _ID, parent, primary_key=key, nullable=False, index=index
    )


metadata = MetaData()

# Numbers are never given out twice (`sqlite_autoincrement`): they go through other
# hands, and must not come to mean another row there.
product = Table(
    "product",
    metadata,
    _id(),
    Column("source", Text),
    Column("source_id", Text),
    Column("title", Text, nullable=False),
    Column("description", Text),
    Column("brand", Text),
    Column("status", Text),
    Column("thumbnail", Text),
    Column("weight", _DECIMAL),
    Column("length", _DECIMAL),
    Column("width", _DECIMAL),
    Column("height", _DECIMAL),
    Column("attributes", Text),
    Column("receipt", Text),
    Column("created_at", _TIME, server_default=func.now()),
    Column("updated_at", _TIME, server_default=func.now(), onupdate=func.now()),
    UniqueConstraint("source", "source_id"),
    sqlite_autoincrement=True,
)

image = Table(
    "image",
    metadata,
    _id(),
    _owner("product", key=False, index=True),
    Column("position", Integer, nullable=False),
    Column("url", Text, nullable=False),
)

category = Table(
    "category",
    metadata,
    _id(),
    Column("source", Text),
    Column("source_id", Text),
    Column("name", Text, nullable=False),
    Column(
        "parent_id", _ID, ForeignKey("category.id", ondelete="SET NULL"), index=True
    ),
    UniqueConstraint("source", "source_id"),
    sqlite_autoincrement=True,
)

product_category = Table(
    "product_category",
    metadata,
    _owner("product"),
    _owner("category", index=True),
)

tag = Table(
    "tag",
    metadata,
    _id(),
    Column("text", Text, nullable=False, unique=True),
    sqlite_autoincrement=True,
)

product_tag = Table(
    "product_tag", metadata, _owner("product"), _owner("tag", index=True)
)

variant = Table(
    "variant",
    metadata,
    _id(),
    _owner("product", key=False),
    Column("source_id", Text, nullable=False),
    Column("title", Text),
    Column("sku", Text, index=True),
    Column("barcode", Text),
    UniqueConstraint("product_id", "source_id"),
    sqlite_autoincrement=True,
)

variant_option = Table(
    "variant_option",
    metadata,
    _owner("variant"),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("position", Integer, nullable=False, server_default="0"),
)

price = Table(
    "price",
    metadata,
    _owner("variant"),
    Column("currency", Text, primary_key=True),
    Column("amount", _DECIMAL, nullable=False),
)

stock_level = Table(
    "stock_level",
    metadata,
    _id(),
    _owner("variant", key=False),
    Column("location", Text),
    Column("quantity", BigInteger, nullable=False),
    UniqueConstraint("variant_id", "location"),
)


# --- looking for many rows at once ---

IDS: BindParameter[Any] = bindparam("ids", expanding=True)
"""A parameter that stands for a list."""


def has_key(table: Table) -> ColumnElement[bool]:
    """Whether a row has one of the keys in `key_parameters`.

    Where these are of several sources, other rows of these sources may match too.
    """
    sources: BindParameter[Any] = bindparam("sources", expanding=True)
    return and_(table.c.source.in_(sources), table.c.source_id.in_(IDS))


def key_parameters(keys: Collection[ProductKey | Reference]) -> NewRow:
    """The parameters of `has_key`."""
    return {"sources": list({k.source for k in keys}), "ids": [k.id for k in keys]}
