"""The kinds of entities, and Medusa's ``fields`` parameter that selects from them."""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import attrs

from ._errors import Row

Selection: TypeAlias = tuple[tuple[str, str, Any], ...]
"""Name, key in the row, and the selection of a relation, or None for a column."""

_Tree: TypeAlias = dict[str, Any]
_COMMON = "id metadata created_at updated_at -deleted_at"


@attrs.frozen
class Kind:
    """A kind of entity.

    Attributes:
        columns: Its columns.
        relations: Its relations, with the kinds of the related entities.
        always: The columns that are always shown.
        default: What is shown by default, written as in the ``fields`` parameter.
        policy: Its name in permissions; empty: it needs none.
    """

    columns: tuple[str, ...]
    relations: dict[str, str]
    always: tuple[str, ...]
    default: tuple[str, ...]
    policy: str


def _bare(text: str, policy: str = "") -> Kind:
    """The kind with these columns and, written ``name:kind``, relations.

    By default, an answer shows all columns but those with a minus, and the relations
    with an asterisk; names with a dot are added to this default as they are. Columns
    with a plus are always shown.
    """
    names = [name for name in text.split() if "." not in name]
    columns = [name for name in names if ":" not in name]
    relations = [name for name in names if ":" in name]
    default = [name.lstrip("+") for name in columns if name[0] != "-"]
    default += [name.split(":")[0] for name in relations if name[0] == "*"]
    return Kind(
        tuple(name.lstrip("+-") for name in columns),
        dict(name.lstrip("*").split(":") for name in relations),
        tuple(name[1:] for name in columns if name[0] == "+"),
        (*default, *(name for name in text.split() if "." in name)),
        policy,
    )


def _kind(text: str, policy: str = "") -> Kind:
    """A kind that also has an id, metadata and times; see `_bare`."""
    named = {name.lstrip("+-") for name in text.split()}
    common = [name for name in _COMMON.split() if name.lstrip("-") not in named]
    return _bare(f"{' '.join(common)} {text}", policy)


_SIZES = "weight length height width hs_code origin_country mid_code material"
_PRODUCT = (
    f"+id title subtitle description handle is_giftcard discountable thumbnail {_SIZES}"
    " collection_id type_id *type:type *collection:collection *options:product_option"
    " *tags:tag *images:image categories:category shipping_profile:profile"
    " shipping_profiles_link:profile_link *options.values *variants.options"
)
_VARIANT = (
    "+id title sku barcode ean upc allow_backorder manage_inventory variant_rank"
    f" thumbnail product_id {_SIZES} *options:value"
)
_CATEGORY = (
    "name description handle -mpath rank external_id parent_category_id"
    " *parent_category:category *category_children:category"
)

KINDS: dict[str, Kind] = {
    "product": _kind(
        f"{_PRODUCT} status external_id deleted_at *variants:variant"
        " *sales_channels:channel *variants.prices *variants.prices.price_rules",
        "product",
    ),
    "store_product": _kind(
        f"{_PRODUCT} -status -external_id -metadata *variants:store_variant"
        " sales_channels:channel *variants.calculated_price"
        " -variants.inventory_quantity"
    ),
    "variant": _kind(
        f"{_VARIANT} deleted_at *prices:price price_set_link:price_link"
        " inventory_items:item_link *prices.price_rules",
        "product_variant",
    ),
    "store_variant": _kind(
        f"{_VARIANT} inventory_quantity calculated_price:calculated_price"
    ),
    "price": _bare(
        "+id amount currency_code min_quantity max_quantity +variant_id created_at"
        " updated_at +rules price_rules:price_rule",
        "price",
    ),
    "price_rule": _bare("attribute value"),
    "calculated_price": _bare("+id +calculated_amount +original_amount +currency_code"),
    "profile_link": _bare("+shipping_profile_id +product_id"),
    "price_link": _bare("+price_set_id +variant_id"),
    "item_link": _bare(
        "+inventory_item_id +variant_id required_quantity inventory:item"
    ),
    "item": _kind(
        f"+id sku title description thumbnail requires_shipping {_SIZES}"
        " reserved_quantity stocked_quantity *location_levels:level variants:variant",
        "inventory_item",
    ),
    "level": _kind(
        "inventory_item_id location_id stocked_quantity reserved_quantity"
        " incoming_quantity -available_quantity",
        "inventory_level",
    ),
    "reservation": _kind(
        "location_id inventory_item_id quantity line_item_id description"
        " *inventory_item:item"
    ),
    "product_option": _kind(
        "title is_exclusive deleted_at *values:value products:product",
        "product_option",
    ),
    "value": _kind(
        "value rank option_id deleted_at option:bare_option", "product_option_value"
    ),
    "bare_option": _kind("+id title is_exclusive", "product_option"),
    "image": _kind("url rank product_id"),
    "tag": _kind("value external_id", "product_tag"),
    "type": _kind("value external_id", "product_type"),
    "collection": _kind("title handle external_id", "product_collection"),
    "category": _kind(f"{_CATEGORY} is_active is_internal", "product_category"),
    "store_category": _kind(f"{_CATEGORY} -is_active -is_internal"),
    "channel": _kind("name -description is_disabled", "sales_channel"),
    "profile": _kind("name type", "shipping_profile"),
    "location": _kind("name address sales_channels:channel", "stock_location"),
    "region": _kind("name currency_code -automatic_taxes"),
    "store": _kind(
        "name default_sales_channel_id default_region_id default_location_id"
        " *supported_currencies:currency",
        "store",
    ),
    "currency": _kind("currency_code is_default store_id"),
    "key": _kind(
        "redacted title type revoked_at -token -last_used_at -metadata -created_at"
        " -updated_at *sales_channels:channel"
    ),
    "user": _kind("first_name last_name email -avatar_url", "user"),
}


@functools.lru_cache(maxsize=256)
def select(kind: str, fields: str | None) -> Selection:
    """The selection for an entity, from the parameter and the defaults of the kind.

    Plain names replace the defaults; if every name has a sign, they change the defaults.
    Unknown names are ignored.
    """
    tokens = [token for token in (fields or "").split(",") if token]
    signed = fields is None or (
        bool(tokens) and all(token[0] in "+-* " for token in tokens)
    )
    tree: _Tree = dict.fromkeys((*KINDS[kind].always, "id"))
    if signed:
        tokens = [*KINDS[kind].default, *tokens]
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


def _linked(name: str, row: Row) -> Row | None:
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
        if inner is not None and (link := _linked(name, row)):
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
