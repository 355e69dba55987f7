"""From Medusa's products to the model: the columns to read, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from catalogsync.catalog import lenient
from catalogsync.catalog.changes import Removal, Update
from catalogsync.catalog.checks import check_json
from catalogsync.catalog.products import (
    TEXTS,
    VARIANT_TEXTS,
    Dimensions,
    Field,
    Image,
    Json,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    StockLevel,
    Variant,
    unchecked,
)
from catalogsync.diff.last_applied import LastApplied
from catalogsync.errors import InvalidValueError

from .levels import RESERVED, Stock, levels

__all__ = [
    "BRAND",
    "DEFAULT_OPTIONS",
    "LAST_APPLIED",
    "LOST",
    "TAG_COLUMNS",
    "TEXT_COLUMNS",
    "VARIANT_ID",
    "Raw",
    "cleaned",
    "existing_references",
    "has_default_option",
    "is_ours",
    "is_plain_price",
    "is_unfinished",
    "js_value",
    "last_applied_of",
    "metadata_of",
    "option_values",
    "product_of",
    "query_fields",
    "raw_of",
    "reads_whole",
    "variant_id",
]

Raw = Mapping[str, Any]
"""A JSON object as Medusa sends it."""

LAST_APPLIED = "catalogsync"
"""Metadata key of a product's last-applied state."""
BRAND = "brand"
"""Metadata key of a product's brand; Medusa has no field for it."""
LOST = "__proto__"
"""A key that Medusa always loses: JavaScript does not store it."""
VARIANT_ID = "catalogsync_id"
"""Metadata key of a variant's id in the source."""

DEFAULT_OPTIONS = {"Title": "Default"}
"""The option of a variant without options; Medusa requires one."""

TEXT_COLUMNS = tuple(field for field in TEXTS if field is not Field.BRAND)
"""Texts of a product for which Medusa has columns of the same name."""

_ALWAYS = (
    "id",
    "external_id",
    "handle",
    "metadata",
    "title",
    "variants.id",
)
_LINKS = ("shipping_profile.id", "shipping_profiles_link.shipping_profile_id")
_GROUP_NAMES = {Field.TYPE: "value", Field.COLLECTION: "title"}
_ITEM = "variants.inventory_items"
_COUNTRY = 2  # letters of an ISO 3166 code
_COLUMNS: dict[Field, tuple[str, ...]] = {
    **{field: (field.value,) for field in TEXT_COLUMNS},
    Field.STATUS: ("status",),
    Field.DISCOUNTABLE: ("discountable",),
    Field.IMAGES: ("images.id", "images.url", "images.rank"),
    Field.CATEGORIES: ("categories.id", "categories.name"),
    Field.TAGS: ("tags.id", "tags.value"),
    Field.TYPE: ("type.id", "type.value"),
    Field.COLLECTION: ("collection.id", "collection.title"),
    Field.WEIGHT: ("weight",),
    Field.DIMENSIONS: ("length", "width", "height"),
    Field.VARIANTS: ("variants.metadata",),
    Field.VARIANT_TITLE: ("variants.title",),
    Field.SKU: (
        "variants.sku",
        f"{_ITEM}.inventory_item_id",
        f"{_ITEM}.inventory.sku",
    ),
    Field.BARCODE: ("variants.barcode",),
    Field.VARIANT_WEIGHT: ("variants.weight",),
    Field.VARIANT_DIMENSIONS: ("variants.length", "variants.width", "variants.height"),
    Field.OPTIONS: (
        "variants.options.value",
        "variants.options.option.title",
        "options.id",
        "options.title",
        "options.values.id",
        "options.values.value",
    ),
    Field.PRICES: (
        "variants.price_set_link.price_set_id",
        "variants.prices.id",
        "variants.prices.amount",
        "variants.prices.currency_code",
        "variants.prices.min_quantity",
        "variants.prices.max_quantity",
        "variants.prices.price_rules.attribute",
        "variants.prices.price_rules.value",
    ),
    Field.STOCK: (
        "variants.manage_inventory",
        f"{_ITEM}.inventory_item_id",
        f"{_ITEM}.inventory.id",
        f"{_ITEM}.inventory.location_levels.location_id",
        f"{_ITEM}.inventory.location_levels.stocked_quantity",
    ),
}


TAG_COLUMNS = ",".join(("id", *_COLUMNS[Field.TAGS]))
"""Columns of the separate request for tags."""


def reads_whole(fields: frozenset[Field]) -> bool:
    """Whether these are the fields of a full run, which has title and status."""
    return not fields.isdisjoint({Field.TITLE, Field.STATUS})


def query_fields(fields: frozenset[Field], counts: Stock = "on_hand") -> str:
    """The columns needed to compare these fields, and to notice missing parts.

    Args:
        fields: The fields.
        counts: What quantities count.
    """
    columns = [*_ALWAYS, *(_LINKS if reads_whole(fields) else ())]
    for field, names in _COLUMNS.items():
        if field in fields:
            columns += names
    if Field.STOCK in fields and counts == "available":
        columns.append(RESERVED)
    return ",".join(columns)


def product_of(
    raw: Raw,
    key: ProductKey,
    fields: frozenset[Field],
    location: str,
    *,
    counts: Stock = "on_hand",
    hide_default: bool = True,
) -> Product:
    """A product as stored, including invalid values that people entered.

    Args:
        raw: The product.
        key: Its key.
        fields: The fields to read; all others stay UNSET.
        location: The stock location that levels without a name belong to.
        counts: What quantities count.
        hide_default: Whether variants that only have the default option read as
            variants without options.
    """
    values: dict[str, Any] = {
        name: read(raw) for field, name, read in _NAMED_READERS if field in fields
    }
    if Field.VARIANTS in fields and raw.get("variants"):
        hide = hide_default and has_default_option(raw)
        hidden = DEFAULT_OPTIONS if hide else None
        values["variants"] = tuple(
            _variant(v, fields, location, counts, hidden) for v in raw["variants"]
        )
    title = lenient.text(raw.get("title")) or ""
    return unchecked(Product, key=key, title=title, **values)


def cleaned(raw: Raw) -> Raw:
    """A product without null rows, and with each `catalogsync_id` on one variant only.

    If several variants have the same one, the oldest keeps it (Medusa's ids grow with
    time). The others are copies that somebody made.
    """
    variants: Sequence[Raw] = raw.get("variants") or ()
    owners: dict[str, str] = {}
    for variant in sorted(variants, key=lambda variant: str(variant["id"])):
        owners.setdefault(variant_id(variant), variant["id"])
    return {
        **raw,
        "variants": [
            _cleaned_variant(v, is_copy=owners[variant_id(v)] != v["id"])
            for v in variants
        ],
    }


def _cleaned_variant(raw: Raw, *, is_copy: bool) -> Raw:
    changed: dict[str, Any] = {
        name: [row for row in raw[name] if row is not None]
        for name in ("prices", "inventory_items")
        if raw.get(name)
    }
    if raw.get("options"):
        changed["options"] = [o for o in raw["options"] if o.get("option")]
    if is_copy:
        metadata = metadata_of(raw).items()
        changed["metadata"] = {n: v for n, v in metadata if n != VARIANT_ID}
    return {**raw, **changed} if changed else raw


def last_applied_of(raw: Raw) -> str | None:
    """The last-applied state in a product's metadata."""
    text = metadata_of(raw).get(LAST_APPLIED)
    return text if isinstance(text, str) else None


def is_unfinished(change: Update) -> bool:
    """Whether an earlier update of the product was interrupted."""
    return LastApplied.parse(change.existing.last_applied).writing


def raw_of(change: Update | Removal) -> Raw:
    """The existing product as Medusa sent it."""
    return cast("Raw", change.existing.native)


def existing_references(raw: Raw) -> dict[Field, dict[str, str]]:
    """Ids and names of a product's categories, tags, type and collection."""
    return {
        Field.CATEGORIES: {c["id"]: c["name"] for c in raw.get("categories") or ()},
        Field.TAGS: {t["id"]: t["value"] for t in raw.get("tags") or ()},
        **{
            field: {row["id"]: row[name]}
            for field, name in _GROUP_NAMES.items()
            if (row := raw.get(field.value))
        },
    }


def variant_id(raw: Raw) -> str:
    """The source's id of a variant; for unmanaged variants `medusa:` and Medusa's id."""
    id_ = metadata_of(raw).get(VARIANT_ID)
    return id_ if isinstance(id_, str) and id_ else f"medusa:{raw['id']}"


def is_ours(raw_variant: Raw) -> bool:
    """Whether a variant is managed, that is, has a `catalogsync_id`."""
    id_ = metadata_of(raw_variant).get(VARIANT_ID)
    return isinstance(id_, str) and bool(id_)


def option_values(raw_variant: Raw) -> dict[str, str]:
    """A variant's value of each option."""
    return {o["option"]["title"]: o["value"] for o in raw_variant.get("options") or ()}


def has_default_option(raw: Raw) -> bool:
    """Whether a product only has the option and value that stand for no options."""
    options = {
        option["title"]: [value["value"] for value in option.get("values") or ()]
        for option in raw.get("options") or ()
    }
    return all(options.get(t) == [value] for t, value in DEFAULT_OPTIONS.items())


def is_plain_price(raw: Raw) -> bool:
    """Whether a price has no conditions: no rules and no quantity limits."""
    bounds = (raw.get("min_quantity"), raw.get("max_quantity"))
    return not raw.get("rules") and bounds == (None, None)


def js_value(value: Json) -> Json:
    """A JSON value as JavaScript stores it."""
    match value:
        case str() | float() | None:
            return value
        case int():
            return float(value) if abs(value) > 2**53 else value
        case list():
            return [js_value(item) for item in value]
        case Mapping():
            items = value.items()
            return {name: js_value(item) for name, item in items if name != LOST}


def _variant(
    raw: Raw,
    fields: frozenset[Field],
    location: str,
    counts: Stock,
    hidden: Mapping[str, str] | None = None,
) -> Variant:
    """A variant; options equal to *hidden* stand for no options."""
    values: dict[str, Any] = {}
    for field, name in VARIANT_TEXTS.items():
        if field in fields:
            values[name] = lenient.text(raw.get(name))
    if Field.VARIANT_WEIGHT in fields:
        values["weight"] = lenient.amount(raw.get("weight"))
    if Field.VARIANT_DIMENSIONS in fields:
        values["dimensions"] = _dimensions(raw)
    if Field.OPTIONS in fields:
        options = option_values(raw)
        values["options"] = {} if options == hidden else options
    if Field.PRICES in fields:
        plain = filter(is_plain_price, raw.get("prices") or ())
        values["prices"] = tuple(
            unchecked(
                Price,
                amount=lenient.amount(price["amount"]),
                currency=str(price["currency_code"]).upper(),
            )
            for price in plain
        )
    if Field.STOCK in fields:
        values["stock"] = tuple(
            unchecked(
                StockLevel,
                quantity=level.quantity(counts),
                location=None if id_ == location else id_,
            )
            for id_, level in levels(raw).items()
        )
    return unchecked(Variant, id=variant_id(raw), **values)


def metadata_of(raw: Raw) -> Mapping[str, Json]:
    """The metadata of a product or variant; empty if it is not an object."""
    found: object = raw.get("metadata")
    return cast("dict[str, Json]", found) if isinstance(found, dict) else {}


def _status(raw: Raw) -> ProductStatus:
    """Medusa's `proposed` and `rejected` products are hidden, like drafts."""
    is_published = raw.get("status") == ProductStatus.PUBLISHED
    return ProductStatus.PUBLISHED if is_published else ProductStatus.DRAFT


def _brand(raw: Raw) -> str | None:
    return lenient.text(metadata_of(raw).get(BRAND))


def _attributes(raw: Raw) -> dict[str, Json]:
    found = metadata_of(raw).items()
    return {
        name: _attribute(value)
        for name, value in found
        if name not in {BRAND, LAST_APPLIED}
    }


def _attribute(value: Json) -> Json:
    """A value as compared; a description of it if it is nested too deeply."""
    if isinstance(value, bool) or value is None:
        return value
    try:
        check_json("", value)
    except InvalidValueError as error:
        return f"({error.problem})"
    return js_value(value)


def _images(raw: Raw) -> tuple[Image, ...]:
    ranked = sorted(raw.get("images") or (), key=lambda image: image.get("rank") or 0)
    urls = dict.fromkeys(image["url"] for image in ranked)
    return tuple(unchecked(Image, url=url) for url in urls)


def _dimensions(raw: Raw) -> Dimensions | None:
    names = ("length", "width", "height")
    sizes = {name: lenient.amount(raw.get(name)) for name in names}
    is_there = any(v is not None for v in sizes.values())
    return unchecked(Dimensions, **sizes) if is_there else None


def _text(column: str) -> Callable[[Raw], str | None]:
    return lambda raw: lenient.text(raw.get(column))


def _country(raw: Raw) -> str | None:
    """The country in upper case; Medusa's dashboard stores it in lower case."""
    text = lenient.text(raw.get("origin_country"))
    return text.upper() if text and len(text) == _COUNTRY else text


def _group(field: Field, column: str) -> Callable[[Raw], str | None]:
    def read(raw: Raw) -> str | None:
        group: Raw = raw.get(field.value) or {}
        return lenient.text(group.get(column))

    return read


_READERS: dict[Field, Callable[[Raw], object]] = {
    **{field: _group(field, column) for field, column in _GROUP_NAMES.items()},
    **{field: _text(field.value) for field in TEXT_COLUMNS},
    Field.ORIGIN_COUNTRY: _country,
    Field.BRAND: _brand,
    Field.STATUS: _status,
    Field.DISCOUNTABLE: lambda raw: raw.get("discountable"),
    Field.IMAGES: _images,
    Field.WEIGHT: lambda raw: lenient.amount(raw.get("weight")),
    Field.DIMENSIONS: _dimensions,
    Field.ATTRIBUTES: _attributes,
}
_NAMED_READERS = [(field, field.value, read) for field, read in _READERS.items()]
