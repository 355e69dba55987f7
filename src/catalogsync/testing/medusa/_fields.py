"""Medusa's ``fields`` parameter: the columns and relations in an answer."""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import attrs

from ._errors import Row

Selection: TypeAlias = tuple[tuple[str, str, Any], ...]
"""Name, key in the row, and the selection of a relation, or None for a column."""

_Tree: TypeAlias = dict[str, Any]


@attrs.frozen
class Kind:
    """A kind of entity.

    Attributes:
        columns: Its columns.
        relations: Its relations, with the kinds of the related entities.
        always: The columns that are always shown.
    """

    columns: tuple[str, ...]
    relations: dict[str, str] = attrs.field(factory=dict[str, str])
    always: tuple[str, ...] = ()


def _columns(text: str) -> tuple[str, ...]:
    return ("id", *text.split(), "metadata", "created_at", "updated_at", "deleted_at")


_SIZES = "hs_code origin_country mid_code material weight length height width"

KINDS: dict[str, Kind] = {
    "product": Kind(
        _columns(
            "title subtitle status external_id description handle is_giftcard"
            f" discountable thumbnail collection_id type_id {_SIZES}"
        ),
        {
            "type": "type",
            "collection": "collection",
            "options": "product_option",
            "tags": "tag",
            "images": "image",
            "variants": "variant",
            "categories": "category",
            "sales_channels": "channel",
            "shipping_profile": "profile",
            "shipping_profiles_link": "profile_link",
        },
        ("id",),
    ),
    "variant": Kind(
        _columns(
            "title sku barcode ean upc allow_backorder manage_inventory"
            f" variant_rank thumbnail product_id {_SIZES}"
        ),
        {
            "options": "value",
            "prices": "price",
            "price_set_link": "price_link",
            "inventory_items": "item_link",
        },
        ("id",),
    ),
    "store_variant": Kind(
        _columns(
            "title sku barcode ean upc allow_backorder manage_inventory"
            f" variant_rank thumbnail product_id inventory_quantity {_SIZES}"
        ),
        {"options": "value", "calculated_price": "calculated_price"},
        ("id",),
    ),
    "price": Kind(
        (
            *("id", "amount", "currency_code", "min_quantity", "max_quantity"),
            *("variant_id", "created_at", "updated_at", "rules"),
        ),
        {"price_rules": "price_rule"},
        ("id", "variant_id", "rules"),
    ),
    "price_rule": Kind(("attribute", "value")),
    "calculated_price": Kind(
        ("id", "calculated_amount", "original_amount", "currency_code"),
        always=("id", "calculated_amount", "original_amount", "currency_code"),
    ),
    "profile_link": Kind(
        ("shipping_profile_id", "product_id"),
        always=("shipping_profile_id", "product_id"),
    ),
    "price_link": Kind(
        ("price_set_id", "variant_id"), always=("price_set_id", "variant_id")
    ),
    "item_link": Kind(
        ("inventory_item_id", "variant_id", "required_quantity"),
        {"inventory": "item"},
        ("inventory_item_id", "variant_id"),
    ),
    "item": Kind(
        _columns(
            f"sku title description thumbnail requires_shipping {_SIZES}"
            " reserved_quantity stocked_quantity"
        ),
        {"location_levels": "level", "variants": "variant"},
        ("id",),
    ),
    "level": Kind(
        _columns(
            "inventory_item_id location_id stocked_quantity reserved_quantity"
            " incoming_quantity available_quantity"
        )
    ),
    "product_option": Kind(
        _columns("title is_exclusive"), {"values": "value", "products": "product"}
    ),
    "option": Kind(_columns("title is_exclusive"), {"values": "value"}, ("id",)),
    "value": Kind(_columns("value rank option_id"), {"option": "bare_option"}),
    "bare_option": Kind(_columns("title is_exclusive"), always=("id",)),
    "image": Kind(_columns("url rank product_id")),
    "tag": Kind(_columns("value external_id")),
    "type": Kind(_columns("value external_id")),
    "collection": Kind(_columns("title handle external_id")),
    "category": Kind(
        _columns(
            "name description handle mpath is_active is_internal rank external_id"
            " parent_category_id"
        ),
        {"parent_category": "category", "category_children": "category"},
    ),
    "channel": Kind(_columns("name description is_disabled")),
    "profile": Kind(_columns("name type")),
    "location": Kind(_columns("name address"), {"sales_channels": "channel"}),
    "region": Kind(_columns("name currency_code automatic_taxes")),
    "store": Kind(
        _columns("name default_sales_channel_id default_region_id default_location_id"),
        {"supported_currencies": "currency"},
    ),
    "currency": Kind(_columns("currency_code is_default store_id")),
    "key": Kind(
        _columns("token redacted title type last_used_at revoked_at"),
        {"sales_channels": "channel"},
    ),
    "user": Kind(_columns("first_name last_name email avatar_url")),
}
KINDS["store_product"] = attrs.evolve(
    KINDS["product"],
    relations={**KINDS["product"].relations, "variants": "store_variant"},
)


@functools.lru_cache(maxsize=256)
def select(kind: str, fields: str | None, defaults: str) -> Selection:
    """The selection for an entity, from the parameter and the defaults.

    Plain names replace the defaults; if every name has a sign, they change the defaults.
    Unknown names are ignored.
    """
    tokens = [token for token in (fields or "").split(",") if token]
    signed = fields is None or (
        bool(tokens) and all(token[0] in "+-* " for token in tokens)
    )
    tree: _Tree = dict.fromkeys((*KINDS[kind].always, "id"))
    if signed:
        tokens = [*defaults.split(","), *tokens]
    for token in tokens:
        if token[0] == "-":
            _remove(tree, token[1:].split("."))
        else:
            path = token.lstrip("+* ").split(".")
            _add(tree, kind, path, whole=token[0] == "*")
    return _freeze(tree)


def _add(tree: _Tree, kind: str, path: list[str], *, whole: bool) -> None:
    name, *rest = path
    target = KINDS[kind].relations.get(name)
    if target is None:
        if not rest and name in KINDS[kind].columns:
            tree.setdefault(name, None)
    elif rest or whole:
        branch = tree.setdefault(name, dict.fromkeys(KINDS[target].always))
        if rest:
            _add(branch, target, rest, whole=whole)
        else:
            _add_whole(branch, target)


def _add_whole(branch: _Tree, kind: str) -> None:
    branch.update(dict.fromkeys(KINDS[kind].columns))
    if kind == "value":
        branch["option"] = dict.fromkeys(KINDS["bare_option"].columns)


def _remove(tree: _Tree, path: list[str]) -> None:
    *parents, last = path
    for name in parents:
        tree = tree.get(name) or {}
    tree.pop(last, None)


def _freeze(tree: _Tree) -> Selection:
    rules = tree.pop("price_rules", None)
    unasked = "rules" in tree and not {"attribute", "value"} <= set(rules or ())
    return tuple(
        (
            name,
            "unasked_rules" if unasked and name == "rules" else name,
            None if branch is None else _freeze(branch),
        )
        for name, branch in tree.items()
    )


def _link(name: str, row: Row) -> Row | None:
    """The row that links to a shipping profile or a price set; None: there is none."""
    if name == "shipping_profiles_link" and "shipping_profile" in row:
        profile = row["shipping_profile"]["id"]
        return {"shipping_profile_id": profile, "product_id": row["id"]}
    if name == "price_set_link" and "prices" in row:
        price_set = str(row["id"]).replace("variant_", "pset_", 1)
        return {"price_set_id": price_set, "variant_id": row["id"]}
    return None


def render(row: Row, selection: Selection) -> Row:
    """The row as the answer shows it, without keys that the row lacks."""
    shown: Row = {}
    for name, key, inner in selection:
        if inner is not None and (link := _link(name, row)):
            shown[name] = render(link, inner)
        if key not in row:
            continue
        if inner is None:
            shown[name] = row[key]
            continue
        related: list[Row | None] | Row | None = row[key]
        if isinstance(related, list):
            shown[name] = [item and render(item, inner) for item in related]
        else:
            shown[name] = related and render(related, inner)
    return shown
