"""The bodies that the routes accept."""

from __future__ import annotations

from ._schema import (
    Check,
    anything,
    array,
    boolean,
    either,
    not_negative,
    nullish,
    number,
    one_of,
    record,
    refused,
    shape,
    string,
)

_text = nullish(string)
_size = nullish(number)
_metadata = nullish(record)
_status = one_of("draft", "proposed", "published", "rejected")
_by_id = shape({"id": string}, required=["id"], strict=False)
_by_ids = array(_by_id)
_REMOVED = (
    "The 'options' property was removed in version 2.16.0. Please remove it from"
    " your request payload."
)

_MEASURES: dict[str, Check] = dict.fromkeys(
    ["weight", "length", "height", "width"], _size
)
_CUSTOMS: dict[str, Check] = dict.fromkeys(
    ["hs_code", "mid_code", "origin_country", "material"], _text
)
_PRICE: dict[str, Check] = {
    "currency_code": string,
    "amount": number,
    "min_quantity": _size,
    "max_quantity": _size,
    "rules": record,
}
_VARIANT: dict[str, Check] = {
    "title": string,
    **dict.fromkeys(["sku", "ean", "upc", "barcode"], _text),
    **_MEASURES,
    **_CUSTOMS,
    "allow_backorder": boolean,
    "manage_inventory": boolean,
    "variant_rank": number,
    "metadata": _metadata,
    "options": record,
}
_new_price = shape(_PRICE, required=["currency_code", "amount"], strict=False)
_price = shape({"id": string, **_PRICE}, strict=False)
_item_link = shape(
    {"inventory_item_id": string, "required_quantity": number},
    required=["inventory_item_id", "required_quantity"],
    strict=False,
)
new_variant = shape(
    {**_VARIANT, "prices": array(_new_price), "inventory_items": array(_item_link)},
    required=["title", "prices"],
)
_VARIANT_CHANGE: dict[str, Check] = {
    **_VARIANT,
    "id": string,
    "thumbnail": _text,
    "prices": array(_price),
}
variant_change = shape(_VARIANT_CHANGE)

_OPTION: dict[str, Check] = {
    "title": string,
    "values": array(string),
    "ranks": record,
    "is_exclusive": boolean,
    "metadata": _metadata,
}
new_option = shape(_OPTION, required=["title", "values"])
option_change = shape(_OPTION)
value_change = shape({"value": string, "metadata": _metadata})
_option_link = shape(
    {"id": string, "value_ids": array(string)}, required=["id"], strict=False
)
_values_change = shape(
    {
        "product_option_id": string,
        "add": array(either(string, shape({"value": string}, required=["value"]))),
        "remove": array(string),
    },
    required=["product_option_id"],
    strict=False,
)
options_batch = shape(
    {
        "add": array(either(new_option, string, _option_link)),
        "remove": array(string),
        "update": array(_values_change),
    }
)

_PRODUCT: dict[str, Check] = {
    "title": string,
    "handle": string,
    "status": _status,
    **dict.fromkeys(
        [
            "subtitle",
            "description",
            "thumbnail",
            "external_id",
            "type_id",
            "collection_id",
        ],
        _text,
    ),
    "is_giftcard": boolean,
    "discountable": boolean,
    **dict.fromkeys(["categories", "tags", "sales_channels"], _by_ids),
    **_MEASURES,
    **_CUSTOMS,
    "metadata": _metadata,
    "additional_data": record,
}
new_product = shape(
    {
        **_PRODUCT,
        "status": nullish(_status),
        "images": array(shape({"url": string}, required=["url"], strict=False)),
        "options": array(either(new_option, _option_link)),
        "variants": array(new_variant),
        "shipping_profile_id": string,
    },
    required=["title"],
)
_PRODUCT_CHANGE: dict[str, Check] = {
    **_PRODUCT,
    "images": array(
        shape({"id": string, "url": string}, required=["url"], strict=False)
    ),
    "options": refused(_REMOVED),
    "option_ids": array(string),
    "variants": array(variant_change),
    "shipping_profile_id": nullish(string),
}
product_change = shape(_PRODUCT_CHANGE)


def _batch(create: Check, update: Check) -> Check:
    lists = {"create": array(create), "update": array(update)}
    return shape({**lists, "delete": array(string)})


products_batch = _batch(
    new_product, shape({"id": string, **_PRODUCT_CHANGE}, required=["id"])
)
variants_batch = _batch(new_variant, shape(_VARIANT_CHANGE, required=["id"]))

_LEVEL: dict[str, Check] = {
    "inventory_item_id": string,
    "location_id": string,
    "stocked_quantity": not_negative,
    "incoming_quantity": not_negative,
}
_level = shape(_LEVEL, required=["inventory_item_id", "location_id"], strict=False)
levels_batch = shape(
    {
        "create": array(_level),
        "update": array(_level),
        "delete": array(string),
        "force": boolean,
    }
)
level = shape(_LEVEL, required=["location_id"])
new_location = shape({"name": string, "metadata": _metadata}, required=["name"])
_ITEM: dict[str, Check] = {
    **dict.fromkeys(["sku", "title", "description", "thumbnail"], _text),
    **_MEASURES,
    **_CUSTOMS,
    "requires_shipping": anything,
    "metadata": _metadata,
}
item_change = shape(_ITEM)
new_item = shape(
    {
        **_ITEM,
        "location_levels": array(shape(_LEVEL, required=["location_id"], strict=False)),
    }
)
item_link = shape(
    {"inventory_item_id": string, "required_quantity": number},
    required=["inventory_item_id", "required_quantity"],
)

_CATEGORY: dict[str, Check] = {
    "name": string,
    "description": string,
    "handle": string,
    "is_internal": boolean,
    "is_active": boolean,
    "parent_category_id": _text,
    "external_id": _text,
    "metadata": _metadata,
    "rank": number,
    "additional_data": record,
}
new_category = shape(_CATEGORY, required=["name"])
category_change = shape(_CATEGORY)
links = shape({"add": array(string), "remove": array(string)})


def named(column: str) -> tuple[Check, Check]:
    """The bodies that create and update a tag, a type or a collection."""
    fields = {
        column: string,
        "handle": string,
        "external_id": _text,
        "metadata": _metadata,
    }
    return shape(fields, required=[column]), shape(fields)
