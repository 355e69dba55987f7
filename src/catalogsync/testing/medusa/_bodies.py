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
_by_ids = array(shape({"id": string}, "id", strict=False))
_REMOVED = (
    "The 'options' property was removed in version 2.16.0. Please remove it from"
    " your request payload."
)


def _each(names: str, check: Check) -> dict[str, Check]:
    return dict.fromkeys(names.split(), check)


_SIZES = {
    **_each("weight length height width", _size),
    **_each("hs_code mid_code origin_country material", _text),
}
_PRICE = {
    "currency_code": string,
    "amount": number,
    **_each("min_quantity max_quantity", _size),
    "rules": record,
}
_VARIANT = {
    "title": string,
    **_each("sku ean upc barcode", _text),
    **_SIZES,
    **_each("allow_backorder manage_inventory", boolean),
    "variant_rank": number,
    "metadata": _metadata,
    "options": record,
}
_ITEM_LINK = {"inventory_item_id": string, "required_quantity": number}
_new_price = shape(_PRICE, "currency_code", "amount", strict=False)
_new_item_link = shape(_ITEM_LINK, *_ITEM_LINK, strict=False)
new_variant = shape(
    _VARIANT | {"prices": array(_new_price), "inventory_items": array(_new_item_link)},
    "title",
    "prices",
)
_price = shape({"id": string, **_PRICE}, strict=False)
_VARIANT_CHANGE = {
    **_VARIANT,
    "id": string,
    "thumbnail": _text,
    "prices": array(_price),
}
variant_change = shape(_VARIANT_CHANGE)
item_link = shape(_ITEM_LINK, *_ITEM_LINK)

_OPTION = {
    "title": string,
    "values": array(string),
    "ranks": record,
    "is_exclusive": boolean,
    "metadata": _metadata,
}
new_option = shape(_OPTION, "title", "values")
option_change = shape(_OPTION)
value_change = shape({"value": string, "metadata": _metadata})
_option_link = shape({"id": string, "value_ids": array(string)}, "id", strict=False)
_values_change = shape(
    {
        "product_option_id": string,
        "add": array(either(string, shape({"value": string}, "value"))),
        "remove": array(string),
    },
    "product_option_id",
    strict=False,
)
options_batch = shape(
    {
        "add": array(either(new_option, string, _option_link)),
        "remove": array(string),
        "update": array(_values_change),
    }
)

_PRODUCT = {
    **_each("title handle", string),
    "status": _status,
    **_each("subtitle description thumbnail external_id type_id collection_id", _text),
    **_each("is_giftcard discountable", boolean),
    **_each("categories tags sales_channels", _by_ids),
    **_SIZES,
    "metadata": _metadata,
    "additional_data": record,
}
new_product = shape(
    {
        **_PRODUCT,
        "status": nullish(_status),
        "images": array(shape({"url": string}, "url", strict=False)),
        "options": array(either(new_option, _option_link)),
        "variants": array(new_variant),
        "shipping_profile_id": string,
    },
    "title",
)
_PRODUCT_CHANGE = {
    **_PRODUCT,
    "images": array(shape({"id": string, "url": string}, "url", strict=False)),
    "options": refused(_REMOVED),
    "option_ids": array(string),
    "variants": array(variant_change),
    "shipping_profile_id": _text,
}
product_change = shape(_PRODUCT_CHANGE)


def _batch(create: Check, update: Check) -> dict[str, Check]:
    return {"create": array(create), "update": array(update), "delete": array(string)}


products_batch = shape(
    _batch(new_product, shape({"id": string, **_PRODUCT_CHANGE}, "id"))
)
variants_batch = shape(_batch(new_variant, shape(_VARIANT_CHANGE, "id")))

_LEVEL = {
    **_each("inventory_item_id location_id", string),
    **_each("stocked_quantity incoming_quantity", not_negative),
}
_any_level = shape(_LEVEL, "inventory_item_id", "location_id", strict=False)
levels_batch = shape({**_batch(_any_level, _any_level), "force": boolean})
level = shape(_LEVEL, "location_id")
_new_level = shape(_LEVEL, "location_id", strict=False)
new_reservation = shape(
    {
        **_each("location_id inventory_item_id", string),
        "quantity": number,
        **_each("line_item_id description", _text),
        "metadata": _metadata,
    },
    *("location_id", "inventory_item_id", "quantity"),
)
new_location = shape({"name": string, "metadata": _metadata}, "name")
store_change = shape(
    {
        "name": string,
        "supported_currencies": array(
            shape(
                {"currency_code": string, "is_default": boolean},
                "currency_code",
                strict=False,
            )
        ),
    }
)
_ITEM = {
    **_each("sku title description thumbnail", _text),
    **_SIZES,
    "requires_shipping": anything,
    "metadata": _metadata,
}
item_change = shape(_ITEM)
new_item = shape({**_ITEM, "location_levels": array(_new_level)})

_CATEGORY = {
    **_each("name description handle", string),
    **_each("is_internal is_active", boolean),
    **_each("parent_category_id external_id", _text),
    "metadata": _metadata,
    "rank": number,
    "additional_data": record,
}
new_category = shape(_CATEGORY, "name")
category_change = shape(_CATEGORY)
links = shape(_each("add remove", array(string)))


def named(column: str) -> tuple[Check, Check]:
    """The bodies that create and update a tag, a type or a collection."""
    fields = {
        **_each(f"{column} handle", string),
        "external_id": _text,
        "metadata": _metadata,
    }
    return shape(fields, column), shape(fields)
