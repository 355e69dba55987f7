"""The tables of a catalog, for SQLite and PostgreSQL.

A row without a `source` is somebody else's; this sink never touches it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
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
    func,
)
from sqlalchemy.types import TypeEngine

__all__ = [
    "category",
    "image",
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


class ExactDecimal(TypeDecorator[Any]):
    """Keeps every digit: text in SQLite, which has no decimals, else NUMERIC.

    What is read is left as it is (text in SQLite), because a value that somebody
    typed in by hand must not spoil the rows beside it.
    """

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        sqlite = dialect.name == "sqlite"
        chosen: TypeEngine[Any] = Text() if sqlite else Numeric()
        return dialect.type_descriptor(chosen)

    def process_bind_param(
        self, value: Decimal | None, dialect: Dialect
    ) -> Decimal | str | None:
        """Write a value."""
        if value is None or dialect.name != "sqlite":
            return value
        return format(value, "f")


metadata = MetaData()
_ID = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Column[int]:
    return Column("id", _ID, primary_key=True)


def _owner(table: str, *, key: bool = True, index: bool = False) -> Column[int]:
    parent = ForeignKey(f"{table}.id", ondelete="CASCADE")
    return Column(
        f"{table}_id", _ID, parent, primary_key=key, nullable=False, index=index
    )


def _moment(name: str, onupdate: object = None) -> Column[object]:
    return Column(
        name,
        DateTime(timezone=True),
        nullable=False,
        server_default=func.now(),
        onupdate=onupdate,
    )


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
    Column("weight", ExactDecimal),
    Column("length", ExactDecimal),
    Column("width", ExactDecimal),
    Column("height", ExactDecimal),
    Column("attributes", Text),
    Column("receipt", Text),
    _moment("created_at"),
    _moment("updated_at", onupdate=func.now()),
    UniqueConstraint("source", "source_id"),
    sqlite_autoincrement=True,
)

image = Table(
    "image",
    metadata,
    _owner("product"),
    Column("position", Integer, primary_key=True, autoincrement=False),
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
    Column("amount", ExactDecimal, nullable=False),
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
