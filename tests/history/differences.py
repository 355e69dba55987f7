"""What the source supplies and the store has not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from catalogsync import UNSET, Product, Variant

from .story import SOURCE


def holds(row: Any, what: str) -> set[str]:
    match what:
        case "tag":
            return {tag["value"] for tag in row["tags"]}
        case "image":
            return {image["url"] for image in row["images"]}
        case "category":
            return {category["id"] for category in row["categories"]}
        case "metadata":
            return set(row["metadata"] or {})
        case "option":
            return {option["title"] for option in row["options"]}
        case _:
            return {variant["title"] for variant in row["variants"]}


def wrong_parts(
    product: Product, row: Any
) -> Iterator[tuple[str, tuple[object, object]]]:
    """What the source supplies and the store has not, by path."""
    metadata: dict[str, Any] = row["metadata"] or {}
    pairs: dict[str, tuple[object, object]] = {
        "title": (product.title, row["title"]),
        "description": (product.description or None, row["description"] or None),
        "weight": (float(str(product.weight)), row["weight"]),
        "tags": (set(product.tags or ()), holds(row, "tag") & set(product.tags or ())),
        "images": (
            [image.url for image in product.images or ()],
            _in_order([i.url for i in product.images or ()], row["images"]),
        ),
        "categories": (
            {f"{SOURCE}:{c.id}" for c in product.categories or ()},
            {c["external_id"] for c in row["categories"] if c["external_id"]},
        ),
        "attributes.color": (dict(product.attributes or {})["color"], metadata["color"])
        if "color" in metadata
        else (True, False),
    }
    for path, (desired, found) in pairs.items():
        if desired != found:
            yield path, (desired, found)
    ours: dict[Any, Any] = {_id(variant): variant for variant in row["variants"]}
    ours.pop(None, None)
    ours.pop("", None)
    for variant in product.variants or ():
        found_variant = ours.pop(variant.id, None)
        path = f"variants.{variant.id}"
        if found_variant is None:
            yield path, (variant.id, None)
            continue
        yield from _wrong_variant(path, variant, found_variant)
    for id_ in ours:
        yield f"variants.{id_}", (None, id_)


def _id(variant: Any) -> Any:
    metadata: dict[str, Any] = variant["metadata"] or {}
    return metadata.get("catalogsync_id")


def _in_order(ours: Sequence[str], images: Sequence[Any]) -> list[str]:
    ranked = sorted(images, key=lambda image: image["rank"] or 0)
    return [image["url"] for image in ranked if image["url"] in ours]


def _wrong_variant(
    path: str, variant: Variant, row: Any
) -> Iterator[tuple[str, tuple[object, object]]]:
    options = {o["option"]["title"]: o["value"] for o in row["options"]}
    prices = {p["currency_code"].upper(): p["amount"] for p in row.get("prices") or ()}
    items = row["inventory_items"] or ()
    stock = [
        x["stocked_quantity"]
        for item in items[:1]
        for x in item["inventory"]["location_levels"] or ()
    ]
    yielded: dict[str, tuple[object, object]] = {
        "options": (
            dict(variant.options),
            {
                t: v
                for t, v in options.items()
                if not t.startswith(("Their ", "Renamed "))
                and (t != "Title" or variant.options == {t: v})
            },
        ),
    }
    for name in ("sku", "barcode"):
        if (value := getattr(variant, name)) is not UNSET:
            yielded[name] = (value, row[name])
    if isinstance(variant.prices, Sequence):
        amounts = [float(price.amount) for price in variant.prices]
        yielded["prices.USD"] = ([*amounts, None][0], prices.get("USD"))
    if variant.stock:
        yielded["stock"] = ([variant.stock[0].quantity], stock)
    yielded["item"] = (row["sku"], _item_sku(variant, row))
    for name, (desired, found) in yielded.items():
        if desired != found:
            yield f"{path}.{name}", (desired, found)


def _item_sku(variant: Variant, row: Any) -> str | None:
    """The SKU of the inventory item, or that of the variant where it may differ."""
    skus = {item["inventory"]["sku"] for item in row["inventory_items"] or ()}
    others = {sku for sku in skus - {None, row["sku"]} if sku[0] not in "2I"}
    if others and row["sku"] and row["sku"] == variant.sku:
        return str(others)
    found: str | None = row["sku"]
    return found
