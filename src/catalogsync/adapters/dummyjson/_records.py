"""Conversion of DummyJSON's records to products.

DummyJSON itself has no `variants`; compatible servers may send them. Reviews contain
names and e-mail addresses, so they are neither requested nor stored. A field that is
missing, empty or white space is empty in the product too, except for the stock: it
becomes UNSET, because 0 would stop the sale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import attrs

from catalogsync._lib.digests import digest_of
from catalogsync.catalog.checks import check_number_of_items, check_text, described
from catalogsync.catalog.products import (
    UNSET,
    Category,
    Dimensions,
    Field,
    Image,
    Json,
    Price,
    Product,
    ProductKey,
    StockLevel,
    Variant,
)
from catalogsync.errors import InvalidValueError

__all__ = ["FIELDS", "Mapper", "names_of"]

_ATTRIBUTES = (
    "discountPercentage",
    "minimumOrderQuantity",
    "rating",
    "returnPolicy",
    "shippingInformation",
    "warrantyInformation",
)
_ONLY_VARIANT = "default"
_VERSION = "1"  # of this conversion: it changes when equal records give other products
_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "a whole number",
    float: "a decimal number",
    str: "text",
    list: "a list",
    dict: "an object",
}

Reader = Callable[[Any], Any]
"""Converts a JSON value; raises `InvalidValueError` if it has the wrong type."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValueError("", f"must be text, not {_kind(value)}")
    return value


def _tag(value: object) -> str:
    """A tag, checked here so that an error contains its position in the list."""
    return check_text("", _text(value))


def _id(value: object) -> str:
    """An id, from text or an integer."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        problem = f"must be text or a whole number, not {_kind(value)}"
        raise InvalidValueError("", problem)
    return str(value)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValueError("", f"must be a whole number, not {_kind(value)}")
    return value


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValueError("", f"must be a number, not {_kind(value)}")
    return Decimal(repr(value))


def _kind(value: object) -> str:
    return described(_KINDS.get(type(value), type(value).__name__), value)


def _list(item: Reader) -> Reader:
    """Reads a list whose elements *item* reads."""

    def read(value: object) -> list[Any]:
        if not isinstance(value, list):
            raise InvalidValueError("", f"must be a list, not {_kind(value)}")
        items = cast("list[object]", value)
        check_number_of_items("", len(items))
        found: list[Any] = []
        try:
            for each in items:
                found.append(item(each))  # noqa: PERF401 - an error needs its length
        except InvalidValueError as error:
            raise error.under(f"[{len(found)}]") from None
        return found

    return read


def _object(fields: Mapping[str, Reader], *needed: str) -> Reader:
    """Reads an object; fields that are null or missing are None, unless *needed*."""

    def read(value: object) -> dict[str, Any]:
        given = _entries(value)
        found: dict[str, Any] = {}
        for name, field in fields.items():
            each = given.get(name)
            if each is None and name not in needed:
                found[name] = None
                continue
            if name not in given:
                raise InvalidValueError(name, "is missing")
            try:
                found[name] = field(each)
            except InvalidValueError as error:
                raise error.under(name) from None
        return found

    return read


def _texts(value: object) -> dict[str, str]:
    """An object whose values are texts."""
    given = _entries(value)
    check_number_of_items("", len(given))
    for name, each in given.items():
        if not isinstance(each, str):
            raise InvalidValueError(f"[{name!r}]", f"must be text, not {_kind(each)}")
    return cast("dict[str, str]", given)


def _entries(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise InvalidValueError("", f"must be an object, not {_kind(value)}")
    return cast("dict[str, object]", value)


_VARIANT: dict[str, Reader] = {
    "id": _id,
    "price": _decimal,
    "stock": _whole,
    "title": _text,
    "sku": _text,
    "barcode": _text,
    "options": _texts,
}
_RECORD: dict[str, Reader] = {
    "title": _text,
    "description": _text,
    "category": _text,
    "price": _decimal,
    "stock": _whole,
    "tags": _list(_tag),
    "brand": _text,
    "sku": _text,
    "weight": _decimal,
    "dimensions": _object(dict.fromkeys(("width", "height", "depth"), _decimal)),
    "meta": _object({"barcode": _text}),
    "images": _list(_text),
    "thumbnail": _text,
    "variants": _list(_object(_VARIANT, "id", "price")),
}
_read = _object(_RECORD, "title")

FIELDS = (*_RECORD, *_ATTRIBUTES)
"""The fields to request; the server always sends `id`."""
_ALWAYS = ("title", "price", "stock", "variants")
"""Fields without which a record is not valid, and those of variants."""
_NAMES_OF_FIELDS: Mapping[Field, Sequence[str]] = {
    **{
        field: (field.value,)
        for field in Field
        if field.value in _RECORD and field.value not in _ALWAYS
    },
    Field.CATEGORIES: ("category",),
    Field.BARCODE: ("meta",),
    Field.ATTRIBUTES: _ATTRIBUTES,
}


def names_of(fields: frozenset[Field]) -> tuple[str, ...]:
    """The fields to request for products that need these fields only."""
    needed = {*_ALWAYS}.union(*(_NAMES_OF_FIELDS.get(field, ()) for field in fields))
    return tuple(name for name in FIELDS if name in needed)


@attrs.frozen
class Mapper:
    """Converts records to products.

    Attributes:
        source: Name of the source, for product keys.
        currency: Currency of all prices.
        categories: Categories by slug. The name of any other category is derived from
            its slug.
        context: Digest of all that a product depends on beside its record.
    """

    source: str
    currency: str
    categories: dict[str, Category] = attrs.field(factory=dict[str, Category])
    context: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        parts = (_VERSION, self.currency, repr(self.categories))
        context = digest_of(*(part.encode(errors="surrogatepass") for part in parts))
        object.__setattr__(self, "context", context)

    def key(self, record: object) -> ProductKey:
        """The key of a record.

        Raises:
            InvalidValueError: It has no valid id.
        """
        if not isinstance(record, dict):
            raise InvalidValueError("record", f"must be an object, not {_kind(record)}")
        fields = cast("dict[str, object]", record)
        if "id" not in fields:
            raise InvalidValueError("id", "is missing")
        try:
            return ProductKey(self.source, _id(fields["id"]))
        except InvalidValueError as error:
            raise InvalidValueError("id", error.problem) from None

    def product(self, key: ProductKey, record: Mapping[str, Any]) -> Product:
        """The product of a record.

        Raises:
            InvalidValueError: The record is not a valid product; names the path.
        """
        read = _read(record)
        if not read["title"].strip():
            raise InvalidValueError("title", "must not be empty")
        variants = self._variants(read)
        try:
            return Product(
                key=key,
                title=read["title"],
                description=read["description"],
                brand=read["brand"],
                thumbnail=read["thumbnail"],
                images=_images(read["images"] or ()),
                categories=self._categories(read["category"]),
                tags=dict.fromkeys(read["tags"] or ()),
                weight=read["weight"],
                dimensions=_dimensions(read["dimensions"]),
                attributes=_attributes(record),
                variants=variants,
            )
        except InvalidValueError as error:
            path = error.path.removeprefix("attributes.")
            raise InvalidValueError(path, error.problem) from None

    def _categories(self, slug: str | None) -> tuple[Category, ...]:
        if slug is None or not slug.strip():
            return ()
        if slug not in self.categories:
            try:
                self.categories[slug] = Category(
                    id=slug, name=_name(slug).strip() or slug
                )
            except InvalidValueError as error:
                raise InvalidValueError("category", error.problem) from None
        return (self.categories[slug],)

    def _variants(self, read: Mapping[str, Any]) -> list[Variant]:
        if read["variants"]:
            return [
                self._variant(variant, f"variants[{index}]")
                for index, variant in enumerate(read["variants"])
            ]
        if read["price"] is None:
            raise InvalidValueError("price", "is missing")
        only = {"id": _ONLY_VARIANT, "title": None, "barcode": None, "options": None}
        return [self._variant({**read, **only, **(read["meta"] or {})})]

    def _variant(self, read: Mapping[str, Any], path: str = "") -> Variant:
        """A variant; without a path, its fields are those of the record itself."""
        stock = read["stock"]
        try:
            price = Price(amount=read["price"], currency=self.currency)
            return Variant(
                id=read["id"],
                title=read["title"] or UNSET,
                sku=read["sku"],
                barcode=read["barcode"],
                options=read["options"] or {},
                prices=(price,),
                stock=UNSET if stock is None else (StockLevel(quantity=stock),),
            )
        except InvalidValueError as error:
            names = _NAMES if path else _NAMES_OF_ONLY
            renamed = InvalidValueError(
                names.get(error.path, error.path), error.problem
            )
            raise (renamed.under(path) if path else renamed) from None


_NAMES = {"amount": "price", "quantity": "stock"}
_NAMES_OF_ONLY = {**_NAMES, "barcode": "meta.barcode"}
"""Names in a record of fields that the model calls differently."""


def _name(slug: str) -> str:
    """The name that DummyJSON itself derives from a slug."""
    return " ".join(word[:1].upper() + word[1:] for word in slug.split("-"))


def _images(urls: Sequence[str]) -> Iterable[Image]:
    """The images in order, without duplicates."""
    images: dict[str, Image] = {}
    for index, url in enumerate(urls):
        if not url.strip():
            continue
        try:
            images[url] = Image(url=url)
        except InvalidValueError as error:
            raise InvalidValueError(f"images[{index}]", error.problem) from None
    return images.values()


def _dimensions(size: Mapping[str, Decimal | None] | None) -> Dimensions | None:
    if size is None:
        return None
    try:
        return Dimensions(
            length=size["depth"], width=size["width"], height=size["height"]
        )
    except InvalidValueError as error:
        side = "depth" if error.path == "length" else error.path
        raise InvalidValueError(f"dimensions.{side}", error.problem) from None


def _attributes(record: Mapping[str, Any]) -> dict[str, Json]:
    found = ((name, record.get(name)) for name in _ATTRIBUTES)
    return {name: value for name, value in found if not _is_missing(value)}


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
