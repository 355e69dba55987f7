"""From the model to rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from catalogsync.models import (
    Dimensions,
    Field,
    Json,
    Product,
    Unset,
    Variant,
)
from catalogsync.protocols import Change

__all__ = [
    "PRODUCT_FIELDS",
    "VARIANT_FIELDS",
    "Row",
    "attributes_text",
    "image_rows",
    "option_rows",
    "price_rows",
    "product_columns",
    "product_row",
    "stock_rows",
    "variant_columns",
    "variant_row",
]

Row: TypeAlias = dict[str, Any]
"""The values of one row, by column."""

PRODUCT_FIELDS = frozenset(
    {
        Field.TITLE,
        Field.DESCRIPTION,
        Field.BRAND,
        Field.STATUS,
        Field.THUMBNAIL,
        Field.WEIGHT,
        Field.DIMENSIONS,
        Field.ATTRIBUTES,
    }
)
"""The fields that are columns of `product`."""

VARIANT_FIELDS = frozenset({Field.VARIANT_TITLE, Field.SKU, Field.BARCODE})
"""The fields that are columns of `variant`."""


def product_row(change: Change) -> Row:
    """A new product's row."""
    key = {"source": change.key.source, "source_id": change.key.id}
    columns = product_columns(change.product, PRODUCT_FIELDS)
    return {**key, **columns, "receipt": change.receipt}


def product_columns(product: Product, fields: Iterable[Field]) -> Row:
    """The columns of these fields; what is not supplied is empty."""
    row: Row = {}
    for field in PRODUCT_FIELDS.intersection(fields):
        value = _given(getattr(product, field))
        if field is Field.DIMENSIONS:
            size = value or Dimensions()
            row |= {"length": size.length, "width": size.width, "height": size.height}
        elif field is Field.ATTRIBUTES:
            row["attributes"] = attributes_text(value) if value else None
        else:
            row[field.value] = value
    return row


def attributes_text(attributes: Mapping[str, Json]) -> str:
    """Attributes as JSON; a `Mapping` inside is an object."""
    return json.dumps(attributes, ensure_ascii=False, allow_nan=False, default=dict)


def image_rows(product_id: int, product: Product) -> list[Row]:
    """The rows of a product's images."""
    return [
        {"product_id": product_id, "position": position, "url": image.url}
        for position, image in enumerate(product.images or ())
    ]


def variant_row(product_id: int, variant: Variant) -> Row:
    """A new variant's row."""
    columns = variant_columns(variant, VARIANT_FIELDS)
    return {"product_id": product_id, "source_id": variant.id, **columns}


def variant_columns(variant: Variant, fields: Iterable[Field]) -> Row:
    """The columns of these fields; what is not supplied is empty."""
    values = {
        Field.VARIANT_TITLE: ("title", variant.title),
        Field.SKU: ("sku", variant.sku),
        Field.BARCODE: ("barcode", variant.barcode),
    }
    chosen = (values[field] for field in VARIANT_FIELDS.intersection(fields))
    return {column: _given(value) for column, value in chosen}


def option_rows(variant_id: int, variant: Variant) -> list[Row]:
    """The rows of a variant's options."""
    return [
        {"variant_id": variant_id, "name": name, "value": value, "position": position}
        for position, (name, value) in enumerate(variant.options.items())
    ]


def price_rows(variant_id: int, variant: Variant) -> list[Row]:
    """The rows of a variant's prices."""
    return [
        {"variant_id": variant_id, "currency": price.currency, "amount": price.amount}
        for price in variant.prices or ()
    ]


def stock_rows(variant_id: int, variant: Variant) -> list[Row]:
    """The rows of a variant's stock."""
    return [
        {
            "variant_id": variant_id,
            "location": level.location,
            "quantity": level.quantity,
        }
        for level in variant.stock or ()
    ]


def _given(value: Any) -> Any:
    return None if isinstance(value, Unset) else value
