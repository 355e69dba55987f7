"""Receipts: what we wrote to a product, as short text kept beside it.

A receipt tells ours from theirs: an element of a list that stands in it and left
the source is removed, any other element is somebody else's and stays. It never
proves what the sink holds now; that is read.

The text is JSON: a version, a digest for each plain field (`f`), for each element
of a list (`l`), for each attribute (`a`), and for the fields and prices of each
variant (`v`).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Any, cast

import attrs

from .models import Dimensions, Field, Product, Unset, Variant

__all__ = ["Receipt", "digest", "write_receipt"]

_VERSION = 1


def digest(value: object) -> str:
    """8 characters that stand for a value; equal values have equal ones."""
    if isinstance(value, Decimal):
        value = format(value.normalize(), "f")
    elif isinstance(value, Dimensions):
        value = tuple(map(digest, attrs.astuple(value)))
    elif isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value).items()
        value = sorted((str(k), digest(v)) for k, v in entries)
    elif isinstance(value, int | float):
        value = float(value)
    text = value if isinstance(value, str) else repr(value)
    return b64encode(blake2b(text.encode(), digest_size=6).digest()).decode()


@attrs.frozen
class Receipt:
    """What a receipt says.

    Attributes:
        fields: Digests of the product's plain fields.
        lists: Digests of the elements of `images`, `tags` and `categories`.
        attributes: Digest of each attribute, by name.
        variants: The plain fields and prices of each variant, by its id.
    """

    fields: Mapping[str, str] = attrs.field(factory=dict[str, str])
    lists: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]]
    )
    attributes: Mapping[str, str] = attrs.field(factory=dict[str, str])
    variants: Mapping[str, Mapping[str, str]] = attrs.field(
        factory=dict[str, Mapping[str, str]]
    )

    @classmethod
    def parse(cls, text: str | None) -> Receipt:
        """Read a receipt; text that is none gives an empty one."""
        try:
            data = json.loads(text) if text else None
        except ValueError:
            return cls()
        if not isinstance(data, dict):
            return cls()
        tree = cast("dict[str, Any]", data)
        if tree.get("version") != _VERSION:
            return cls()
        parts: list[Any] = [tree.get(name) or {} for name in "flav"]
        if not all(isinstance(part, dict) for part in parts):
            return cls()
        return cls(*parts)

    def wrote(self, field: Field, element: str) -> bool:
        """Whether we wrote this element into that list."""
        return digest(element) in self.lists.get(field, ())

    def wrote_attribute(self, name: str) -> bool:
        """Whether we wrote this attribute."""
        return name in self.attributes

    def wrote_variant(self, id_: str) -> bool:
        """Whether we wrote the variant with this id."""
        return id_ in self.variants

    def wrote_price(self, variant: str, currency: str) -> bool:
        """Whether we wrote this variant's price in that currency."""
        return currency in self.variants.get(variant, {})


_PLAIN = (
    Field.TITLE,
    Field.DESCRIPTION,
    Field.BRAND,
    Field.STATUS,
    Field.THUMBNAIL,
    Field.WEIGHT,
    Field.DIMENSIONS,
)
_VARIANT_PLAIN = ("title", "sku", "barcode")


def write_receipt(
    wanted: Product,
    references: Mapping[Field, tuple[str, ...]],
    before: Receipt,
) -> str:
    """The receipt for a product that is written as wanted.

    Args:
        wanted: What the source supplies, as the sink can hold it.
        references: Elements of `categories` and `tags`, as the sink names them.
        before: The receipt until now; what it says of fields that the source no
            longer supplies is kept.
    """
    fields = dict(before.fields)
    for field in _PLAIN:
        value = getattr(wanted, field)
        if value is not Unset.UNSET:
            fields[field] = digest(value)
    lists = dict(before.lists)
    for field, ids in references.items():
        lists[field] = tuple(map(digest, ids))
    if not isinstance(wanted.images, Unset):
        lists[Field.IMAGES] = tuple(digest(image.url) for image in wanted.images)
    attributes, variants = before.attributes, before.variants
    if not isinstance(wanted.attributes, Unset):
        attributes = {name: digest(v) for name, v in wanted.attributes.items()}
    if not isinstance(wanted.variants, Unset):
        variants = {v.id: _of_variant(v) for v in wanted.variants}
    tree = {"version": _VERSION, "f": fields, "l": lists, "a": attributes}
    return json.dumps({**tree, "v": variants}, separators=(",", ":"))


def _of_variant(variant: Variant) -> dict[str, str]:
    parts = {
        name: digest(value)
        for name in _VARIANT_PLAIN
        if (value := getattr(variant, name)) is not Unset.UNSET
    }
    if variant.options:
        parts["options"] = digest(variant.options)
    if not isinstance(variant.prices, Unset):
        for price in variant.prices:
            parts[price.currency] = digest(price.amount)
    return parts
