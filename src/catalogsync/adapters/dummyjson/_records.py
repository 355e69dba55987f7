"""DummyJSON's records, and how they become products.

`variants` is not part of DummyJSON itself; a server in the same shape may send it.
Reviews hold names and e-mail addresses and are neither asked for nor kept. What a
record does not have, the product has not either; only of a missing stock nothing is
said, for 0 would end the sale. What is empty or all white space is missing.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache, partial
from typing import Any, NewType, cast, get_args

import attrs
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError

from catalogsync._checks import check_number_of_items, check_text, told
from catalogsync.errors import InvalidValueError
from catalogsync.models import (
    UNSET,
    Category,
    Dimensions,
    Image,
    Json,
    Price,
    Product,
    ProductKey,
    StockLevel,
    Variant,
)

__all__ = ["FIELDS", "Mapper"]

_ATTRIBUTES = (
    "discountPercentage",
    "minimumOrderQuantity",
    "rating",
    "returnPolicy",
    "shippingInformation",
    "warrantyInformation",
)
_ONLY_VARIANT = "default"
_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "true or false",
    int: "a whole number",
    float: "a decimal number",
    str: "text",
    list: "a list",
    dict: "an object",
}

_Id = NewType("_Id", str)
_Tag = NewType("_Tag", str)


@attrs.frozen
class _Size:
    width: Decimal | None = None
    height: Decimal | None = None
    depth: Decimal | None = None


@attrs.frozen
class _Meta:
    barcode: str | None = None


@attrs.frozen(kw_only=True)
class _Variant:
    id: _Id
    price: Decimal
    stock: int | None = None
    title: str | None = None
    sku: str | None = None
    barcode: str | None = None
    options: dict[str, str] | None = None


@attrs.frozen(kw_only=True)
class _Record:
    title: str
    description: str | None = None
    category: str | None = None
    price: Decimal | None = None
    stock: int | None = None
    tags: list[_Tag] | None = None
    brand: str | None = None
    sku: str | None = None
    weight: Decimal | None = None
    dimensions: _Size | None = None
    meta: _Meta | None = None
    images: list[str] | None = None
    thumbnail: str | None = None
    variants: list[_Variant] | None = None


FIELDS = (*(field.name for field in attrs.fields(_Record)), *_ATTRIBUTES)
"""What is asked for; `id` comes by itself."""


def _text(value: object, _: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be text, not {_kind(value)}")
    return value


def _tag(value: object, _: object) -> str:
    """A tag, checked while its place in the list is known."""
    return check_text("", _text(value, _))


def _id(value: object, _: object = None) -> str:
    """An id, which may be text or a whole number."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"must be text or a whole number, not {_kind(value)}")
    return str(value)


def _whole(value: object, _: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"must be a whole number, not {_kind(value)}")
    return value


def _decimal(value: object, _: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"must be a number, not {_kind(value)}")
    return Decimal(repr(value))


def _kind(value: object) -> str:
    return told(_KINDS.get(type(value), type(value).__name__), value)


def _converter(*, detailed: bool) -> Converter:
    converter = Converter(detailed_validation=detailed)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _whole)
    converter.register_structure_hook(Decimal, _decimal)
    converter.register_structure_hook(_Id, _id)
    converter.register_structure_hook(_Tag, _tag)
    _demand(converter, dict, _Size, _Meta, dict[str, str], _Variant)
    _demand(converter, list, list[str], list[_Tag], list[_Variant])
    return converter


def _to_first_bad(items: list[object], kind: Any) -> list[object]:
    """The items up to the first that is wrong: no more need to be told of."""
    for index, item in enumerate(items):
        try:
            _quick.structure(item, *get_args(kind))
        except Exception:  # noqa: BLE001 - told by the exact converter
            return items[: index + 1]
    return items


def _demand(converter: Converter, raw: type, *kinds: Any) -> None:
    """Take only this for these: cattrs would take a text for a list of letters."""
    for kind in kinds:
        inner = converter.get_structure_hook(kind)

        def structure(
            value: object, _: object, *, kind: Any = kind, inner: Any = inner
        ) -> Any:
            if not isinstance(value, raw):
                raise TypeError(f"must be {_KINDS[raw]}, not {_kind(value)}")
            items = cast("list[object]", value)
            check_number_of_items("", len(items))
            if raw is list and converter.detailed_validation:
                items = _to_first_bad(items, kind)
            return inner(items, kind)

        converter.register_structure_hook_func(partial(operator.eq, kind), structure)


_quick = _converter(detailed=False)


@cache
def _exact() -> Converter:
    """Slower, and says where something is wrong; needed only after a failure."""
    return _converter(detailed=True)


@attrs.frozen
class Mapper:
    """Makes products of records.

    Attributes:
        source: Name of the source, for keys.
        currency: Of all prices; DummyJSON names none.
        categories: Names by slug; others get one made of the slug.
    """

    source: str
    currency: str
    categories: dict[str, Category] = attrs.field(factory=dict[str, Category])

    def key(self, record: object) -> ProductKey:
        """The key of a record.

        Raises:
            InvalidValueError: It has no readable one.
        """
        if not isinstance(record, dict):
            raise InvalidValueError("record", f"must be an object, not {_kind(record)}")
        fields = cast("dict[str, object]", record)
        if "id" not in fields:
            raise InvalidValueError("id", "is missing")
        try:
            return ProductKey(self.source, _id(fields["id"]))
        except TypeError as error:
            raise InvalidValueError("id", str(error)) from None

    def product(self, key: ProductKey, record: Mapping[str, Any]) -> Product:
        """Make a product of a record.

        Raises:
            InvalidValueError: The record is no product; with the path in it.
        """
        read = _structured(record)
        if not read.title.strip():
            raise InvalidValueError("title", "must not be empty")
        variants = self._variants(read)
        try:
            return Product(
                key=key,
                title=read.title,
                description=read.description,
                brand=read.brand,
                thumbnail=read.thumbnail,
                images=_images(read.images or ()),
                categories=self._categories(read.category),
                tags=dict.fromkeys(read.tags or ()),
                weight=read.weight,
                dimensions=_dimensions(read.dimensions),
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

    def _variants(self, read: _Record) -> list[Variant]:
        if read.variants:
            return [
                self._variant(variant, f"variants[{index}]")
                for index, variant in enumerate(read.variants)
            ]
        if read.price is None:
            raise InvalidValueError("price", "is missing")
        only = _Variant(
            id=_Id(_ONLY_VARIANT),
            price=read.price,
            stock=read.stock,
            sku=read.sku,
            barcode=read.meta.barcode if read.meta else None,
        )
        return [self._variant(only)]

    def _variant(self, read: _Variant, path: str = "") -> Variant:
        """Make a variant; without a path, its fields are the record's own."""
        try:
            price = Price(amount=read.price, currency=self.currency)
            return Variant(
                id=read.id,
                title=read.title or UNSET,
                sku=read.sku,
                barcode=read.barcode,
                options=read.options or {},
                prices=(price,),
                stock=UNSET if read.stock is None else (_level(read.stock),),
            )
        except InvalidValueError as error:
            places = _PLACES if path else _PLACES_OF_ONLY
            place = places.get(error.path, error.path)
            told = InvalidValueError(place, error.problem)
            raise (told.under(path) if path else told) from None


_PLACES = {"amount": "price", "quantity": "stock"}
_PLACES_OF_ONLY = {**_PLACES, "barcode": "meta.barcode"}
"""Where a record has what the model calls otherwise."""


def _level(quantity: int) -> StockLevel:
    return StockLevel(quantity=quantity)


def _name(slug: str) -> str:
    """A name as DummyJSON makes it of a slug."""
    return " ".join(word[:1].upper() + word[1:] for word in slug.split("-"))


def _images(urls: Sequence[str]) -> Iterable[Image]:
    """The images, each once, where it comes first."""
    images: dict[str, Image] = {}
    for index, url in enumerate(urls):
        if not url.strip():
            continue
        try:
            images[url] = Image(url=url)
        except InvalidValueError as error:
            raise InvalidValueError(f"images[{index}]", error.problem) from None
    return images.values()


def _structured(record: Mapping[str, Any]) -> _Record:
    try:
        return _quick.structure(record, _Record)
    except Exception as error:  # noqa: BLE001 - asked again for the path to it
        cause: Exception = error
    try:
        _exact().structure(record, _Record)
    except BaseValidationError as error:
        cause = error
    path, problem = _first_problem(cause)
    raise InvalidValueError(path, problem) from None


def _first_problem(error: Exception) -> tuple[str, str]:
    """Path and text of the first thing that is wrong."""

    def told(cause: BaseException, _: type | None) -> str:
        if isinstance(cause, KeyError):
            return "is missing"
        return str(cause)

    first = transform_error(error, format_exception=told)[0]
    problem, _, path = first.partition(" @ $")
    return path.removeprefix("."), problem


def _dimensions(size: _Size | None) -> Dimensions | None:
    if size is None:
        return None
    try:
        return Dimensions(length=size.depth, width=size.width, height=size.height)
    except InvalidValueError as error:
        side = "depth" if error.path == "length" else error.path
        raise InvalidValueError(f"dimensions.{side}", error.problem) from None


def _attributes(record: Mapping[str, Any]) -> dict[str, Json]:
    found = ((name, record.get(name)) for name in _ATTRIBUTES)
    return {name: value for name, value in found if not _is_missing(value)}


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
