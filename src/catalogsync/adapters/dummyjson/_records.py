"""DummyJSON's records, and how they become products.

`variants` is not part of DummyJSON itself; a server in the same shape may send it.
Reviews hold names and e-mail addresses and are neither asked for nor kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast

import attrs
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError

from catalogsync.errors import InvalidValueError
from catalogsync.models import (
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
    id: str
    price: Decimal
    stock: int
    title: str | None = None
    sku: str | None = None
    barcode: str | None = None
    options: dict[str, str] = attrs.field(factory=dict[str, str])


@attrs.frozen(kw_only=True)
class _Record:
    title: str
    description: str | None = None
    category: str | None = None
    price: Decimal | None = None
    stock: int | None = None
    tags: list[str] | None = None
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


def _whole(value: object, _: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"must be a whole number, not {_kind(value)}")
    return value


def _decimal(value: object, _: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"must be a number, not {_kind(value)}")
    return Decimal(repr(value))


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _converter(*, detailed: bool) -> Converter:
    converter = Converter(detailed_validation=detailed)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _whole)
    converter.register_structure_hook(Decimal, _decimal)
    return converter


_quick = _converter(detailed=False)
_exact = _converter(detailed=True)


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

    def key(self, record: object) -> ProductKey | None:
        """The key of a record, if it has a readable one."""
        if not isinstance(record, Mapping):
            return None
        id_ = cast("Mapping[str, object]", record).get("id")
        if isinstance(id_, bool) or not isinstance(id_, int | str):
            return None
        try:
            return ProductKey(self.source, str(id_))
        except InvalidValueError:
            return None

    def product(self, key: ProductKey, record: Mapping[str, Any]) -> Product:
        """Make a product of a record.

        Raises:
            InvalidValueError: The record is no product; with the path.
        """
        read = _structured(record)
        return Product(
            key=key,
            title=read.title,
            description=read.description,
            brand=read.brand,
            thumbnail=read.thumbnail,
            images=[Image(url=url) for url in dict.fromkeys(read.images or ())],
            categories=()
            if read.category is None
            else (self._category(read.category),),
            tags=dict.fromkeys(read.tags or ()),
            weight=read.weight,
            dimensions=_dimensions(read.dimensions),
            attributes=_attributes(record),
            variants=self._variants(read),
        )

    def _category(self, slug: str) -> Category:
        if slug not in self.categories:
            name = slug.replace("-", " ").title()
            self.categories[slug] = Category(id=slug, name=name or slug)
        return self.categories[slug]

    def _variants(self, read: _Record) -> list[Variant]:
        if read.variants:
            return [self._variant(variant) for variant in read.variants]
        if read.price is None:
            raise InvalidValueError("price", "is missing")
        only = _Variant(
            id=_ONLY_VARIANT,
            price=read.price,
            stock=read.stock or 0,
            sku=read.sku,
            barcode=read.meta.barcode if read.meta else None,
        )
        return [self._variant(only)]

    def _variant(self, read: _Variant) -> Variant:
        values: dict[str, Any] = {} if read.title is None else {"title": read.title}
        return Variant(
            id=read.id,
            sku=read.sku,
            barcode=read.barcode,
            options=read.options,
            prices=(Price(amount=read.price, currency=self.currency),),
            stock=(StockLevel(quantity=read.stock),),
            **values,
        )


def _structured(record: Mapping[str, Any]) -> _Record:
    try:
        return _quick.structure(record, _Record)
    except Exception as error:  # noqa: BLE001 - asked again for the path to it
        cause: Exception = error
    try:
        _exact.structure(record, _Record)
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

    problem, _, path = transform_error(error, format_exception=told)[0].rpartition(
        " @ "
    )
    return path.removeprefix("$").removeprefix("."), problem


def _dimensions(size: _Size | None) -> Dimensions | None:
    if size is None:
        return None
    return Dimensions(length=size.depth, width=size.width, height=size.height)


def _attributes(record: Mapping[str, Any]) -> dict[str, Json]:
    return {
        name: value for name in _ATTRIBUTES if (value := record.get(name)) is not None
    }
