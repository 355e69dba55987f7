"""Request bodies for creating and updating products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from catalogsync.catalog.changes import (
    Action,
    Adopt,
    Create,
    Update,
    VariantChange,
    Write,
)
from catalogsync.catalog.products import (
    GROUPS,
    VARIANT_TEXTS,
    Dimensions,
    Field,
    Json,
    Product,
    ProductStatus,
    Unset,
    Variant,
    evolve_unchecked,
)

from .handles import handle
from .mapping import (
    BRAND,
    DEFAULT_OPTIONS,
    LAST_APPLIED,
    TEXT_COLUMNS,
    VARIANT_ID,
    Raw,
    is_plain_price,
    variant_id,
)
from .store_context import Places

__all__ = [
    "create_body",
    "new_variant",
    "own_options",
    "placeholder",
    "update_body",
    "variant_updates",
    "withholds_variants",
]


def create_body(
    change: Create, places: Places, options: Sequence[Raw], items: Mapping[str, str]
) -> dict[str, Any]:
    """The body for a new product, complete and ready to be sold.

    Args:
        change: The creation.
        places: Channel, profile and location for the product.
        options: Its options, new ones or links to existing ones.
        items: Unlinked inventory items that its variants adopt, by SKU.
    """
    product = change.product
    status = product.status or ProductStatus.PUBLISHED
    variants = product.variants or (placeholder(change),)
    body: dict[str, Any] = {
        "title": product.title,
        "handle": change.handle or handle(product),
        "external_id": str(product.key),
        "status": status.value,
        "sales_channels": [{"id": places.channel}],
        "shipping_profile_id": places.profile,
        "options": options,
        "variants": [new_variant(variant, items) for variant in variants],
        "metadata": _metadata(change),
    }
    _add_fields(body, change)
    return body


def update_body(change: Update, raw: Raw) -> dict[str, Any]:
    """The update of an existing product, without its variants.

    A list of variants would delete the variants that others add at the same time.

    Args:
        change: The update.
        raw: The existing product as Medusa sent it.
    """
    body: dict[str, Any] = {"id": raw["id"], "metadata": _metadata(change)}
    if isinstance(change, Adopt):
        body["external_id"] = str(change.key)
    if Field.TITLE in change.fields:
        body["title"] = change.product.title
    if Field.STATUS in change.fields:
        body["status"] = (change.product.status or ProductStatus.DRAFT).value
    _add_fields(body, change)
    if Field.IMAGES in change.fields:
        ids = {image["url"]: image["id"] for image in raw.get("images") or ()}
        body["images"] = [
            {"id": ids[image["url"]], **image} if image["url"] in ids else image
            for image in body["images"]
        ]
    return body


def variant_updates(change: Update, raw: Raw) -> list[dict[str, Any]]:
    """The updates of existing variants, without their options."""
    existing = {variant_id(variant): variant for variant in raw.get("variants") or ()}
    bodies = [
        {"id": found["id"], **_variant_update(item, found)}
        for item in change.variants
        if item.action is Action.UPDATE and (found := existing.get(item.variant.id))
    ]
    return [body for body in bodies if len(body) > 1]


def new_variant(variant: Variant, items: Mapping[str, str]) -> dict[str, Any]:
    """The body for a new variant.

    Args:
        variant: The variant.
        items: Unlinked inventory items that new variants adopt, by SKU.
    """
    options = variant.options or DEFAULT_OPTIONS
    body: dict[str, Any] = {
        "title": variant.title or " / ".join(options.values()),
        "options": options,
        "manage_inventory": not isinstance(variant.stock, Unset),
        "prices": [_price_body(p.currency, p.amount) for p in variant.prices or ()],
        "metadata": {VARIANT_ID: variant.id} if variant.id else {},
    }
    if variant.sku:
        body["sku"] = variant.sku
    if variant.barcode:
        body["barcode"] = variant.barcode
    body |= _sizes(
        variant,
        weight=isinstance(variant.weight, Decimal),
        dimensions=isinstance(variant.dimensions, Dimensions),
    )
    if item := items.get(variant.sku or ""):
        link = {"inventory_item_id": item, "required_quantity": 1}
        body["inventory_items"] = [link]
    return body


def placeholder(change: Write) -> Variant:
    """The variant for a product that gets none from the source; Medusa requires one.

    It has no id, so it stays unmanaged, if the source has variants but may not write
    them.
    """
    variant = Variant(id="default")
    return evolve_unchecked(variant, id="") if withholds_variants(change) else variant


def withholds_variants(change: Write) -> bool:
    """Whether the source has variants for a new product but may not write them."""
    desired = change.desired.variants if change.desired else ()
    return bool(desired) and not change.product.variants


def own_options(product: Product) -> list[Raw]:
    """The options of a product, with the values of all its variants."""
    values: dict[str, dict[str, None]] = {}
    for variant in product.variants or ():
        for title, value in variant.options.items():
            values.setdefault(title, {})[value] = None
    return [{"title": title, "values": [*found]} for title, found in values.items()]


def _add_fields(body: dict[str, Any], change: Write) -> None:
    product, fields = change.product, change.fields
    body |= _plain_columns(product, fields)
    if Field.IMAGES in fields:
        body["images"] = [{"url": image.url} for image in product.images or ()]
    for field, ids in change.references.items():
        if field in GROUPS:
            body[f"{field.value}_id"] = ids[0] if ids else None
        else:
            body[field.value] = [{"id": id_} for id_ in ids]
    body |= _sizes(
        product, weight=Field.WEIGHT in fields, dimensions=Field.DIMENSIONS in fields
    )


def _sizes(of: Product | Variant, *, weight: bool, dimensions: bool) -> dict[str, Any]:
    """The columns of a weight and of dimensions."""
    body: dict[str, Any] = {"weight": _number(of.weight)} if weight else {}
    for name in ("length", "width", "height") if dimensions else ():
        body[name] = _number(getattr(of.dimensions, name, None))
    return body


def _plain_columns(product: Product, fields: frozenset[Field]) -> dict[str, Any]:
    """The columns that have the names and values of the model."""
    names = (*TEXT_COLUMNS, Field.DISCOUNTABLE)
    columns = {n.value: getattr(product, n) for n in names if n in fields}
    if country := columns.get("origin_country"):
        columns["origin_country"] = country.lower()  # as Medusa's dashboard stores it
    return columns


def _metadata(change: Write) -> dict[str, Json]:
    """Only the keys that differ: Medusa merges keys, and "" removes a key."""
    product = change.product
    metadata: dict[str, Json] = {LAST_APPLIED: change.last_applied}
    if Field.BRAND in change.fields:
        metadata[BRAND] = product.brand or ""
    if Field.ATTRIBUTES in change.fields:
        found = None if isinstance(change, Create) else change.existing.product
        before = _attributes(found)
        after = _attributes(product)
        for name in dict.fromkeys((*before, *after)):
            if name not in after:
                metadata[name] = ""
            elif name not in before or before[name] != after[name]:
                metadata[name] = after[name]
    if isinstance(change, Create) and not metadata.get(BRAND, True):
        del metadata[BRAND]
    return metadata


def _attributes(product: Product | None) -> Mapping[str, Json]:
    return (product.attributes or {}) if product else {}


def _variant_update(change: VariantChange, raw: Raw) -> dict[str, Any]:
    body: dict[str, Any] = {
        name: getattr(change.variant, name)
        for field, name in VARIANT_TEXTS.items()
        if field in change.fields
    }
    body |= _sizes(
        change.variant,
        weight=Field.VARIANT_WEIGHT in change.fields,
        dimensions=Field.VARIANT_DIMENSIONS in change.fields,
    )
    if Field.PRICES in change.fields:
        body["prices"] = _prices(change.variant, raw)
    if Field.STOCK in change.fields and not raw.get("inventory_items"):
        body["manage_inventory"] = True
    return body


def _prices(variant: Variant, raw: Raw) -> list[dict[str, Any]]:
    """The complete list, which replaces the old one, with the ids of existing prices."""
    rows: Sequence[Raw] = raw.get("prices") or ()
    ids = {str(r["currency_code"]).upper(): r["id"] for r in rows if is_plain_price(r)}
    prices = [_kept(row) for row in rows if not is_plain_price(row)]
    for price in variant.prices or ():
        body = _price_body(price.currency, price.amount)
        if price.currency in ids:
            body["id"] = ids[price.currency]
        prices.append(body)
    return prices


def _kept(row: Raw) -> dict[str, Any]:
    """A price with conditions, repeated unchanged so that it keeps them."""
    names = ("id", "amount", "currency_code", "min_quantity", "max_quantity", "rules")
    return {name: row[name] for name in names if row.get(name) not in (None, {})}


def _price_body(currency: str, amount: Any) -> dict[str, Any]:
    return {"amount": _number(amount), "currency_code": currency.lower()}


def _number(value: Any) -> int | float | None:
    if value is None or isinstance(value, Unset):
        return None
    number = float(value)
    return int(number) if number.is_integer() and number < 2**53 else number
