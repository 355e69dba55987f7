"""Products: the canonical model of a catalog.

Frozen values without any wire format or sink id. `UNSET` means that the source does not
supply a field, so the sink's value stays; `None` or an empty list means that the source
supplies an empty value. Each class checks its values and raises `InvalidValueError`
with the path to the bad one. What a store holds need not follow these rules:
`unchecked` builds the same classes without any check.

An optional text that is empty or white space becomes None.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeAlias, TypeVar, cast

import attrs

from catalogsync.errors import InvalidValueError

from . import checks
from .checks import UNSET, Unset

__all__ = [
    "UNSET",
    "Category",
    "Dimensions",
    "Field",
    "Image",
    "Json",
    "Price",
    "Product",
    "ProductKey",
    "ProductStatus",
    "StockLevel",
    "Unset",
    "Variant",
    "unchecked",
]

Json: TypeAlias = "str | int | float | bool | list[Json] | Mapping[str, Json] | None"
"""A JSON value."""


class ProductStatus(enum.StrEnum):
    """Whether shoppers can see a product."""

    DRAFT = "draft"
    PUBLISHED = "published"


class Field(enum.StrEnum):
    """The fields of a product, which are compared and written separately."""

    TITLE = "title"
    DESCRIPTION = "description"
    BRAND = "brand"
    STATUS = "status"
    THUMBNAIL = "thumbnail"
    IMAGES = "images"
    CATEGORIES = "categories"
    TAGS = "tags"
    WEIGHT = "weight"
    DIMENSIONS = "dimensions"
    SUBTITLE = "subtitle"
    MATERIAL = "material"
    HS_CODE = "hs_code"
    ORIGIN_COUNTRY = "origin_country"
    MID_CODE = "mid_code"
    DISCOUNTABLE = "discountable"
    TYPE = "type"
    COLLECTION = "collection"
    ATTRIBUTES = "attributes"
    VARIANTS = "variants"
    VARIANT_TITLE = "variant_title"
    SKU = "sku"
    BARCODE = "barcode"
    VARIANT_WEIGHT = "variant_weight"
    VARIANT_DIMENSIONS = "variant_dimensions"
    OPTIONS = "options"
    PRICES = "prices"
    STOCK = "stock"


DETAILS = (
    Field.SUBTITLE,
    Field.MATERIAL,
    Field.HS_CODE,
    Field.ORIGIN_COUNTRY,
    Field.MID_CODE,
)
"""Short texts of a product, named like its attributes; stores have columns for them."""
TEXTS = (Field.DESCRIPTION, Field.BRAND, Field.THUMBNAIL, *DETAILS)
"""All optional texts of a product, named like its attributes."""
PLAIN = (
    Field.TITLE,
    *TEXTS,
    Field.WEIGHT,
    Field.DIMENSIONS,
    Field.DISCOUNTABLE,
)
"""Fields of a product that have one value and are compared as a whole."""
GROUPS = (Field.TYPE, Field.COLLECTION)
"""Names of groups that a product is in; some sinks have an object for each group."""
UNIQUE = {Field.SKU: "sku", Field.BARCODE: "barcode"}
"""Fields whose values many sinks allow on one variant only, with attribute names."""
VARIANT_TEXTS = {Field.VARIANT_TITLE: "title", **UNIQUE}
"""Texts of a variant, with attribute names."""
VARIANT_SIZES = {
    Field.VARIANT_WEIGHT: "weight",
    Field.VARIANT_DIMENSIONS: "dimensions",
}
"""Weight and dimensions of a variant, with attribute names."""
VARIANT_PLAIN = {**VARIANT_TEXTS, **VARIANT_SIZES}
"""Fields of a variant that have one value, with attribute names."""
VARIANT_FIELDS = {**VARIANT_PLAIN, Field.PRICES: "prices", Field.STOCK: "stock"}
"""All fields of a variant except its options, with attribute names."""


T = TypeVar("T")


def _empty_to_none(value: str | Unset | None) -> str | Unset | None:
    return None if isinstance(value, str) and not value.strip() else value


def _empty_is_unset(value: str | Unset) -> str | Unset:
    return UNSET if isinstance(value, str) and not value.strip() else value


def _frozen(value: Iterable[T]) -> tuple[T, ...]:
    """A list as a tuple; anything else is left to the validator."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return cast("tuple[T, ...]", value)
    return tuple(value)


def _copied(value: Mapping[str, T]) -> Mapping[str, T]:
    """A copy of a mapping; anything else is left to the validator."""
    return dict(value) if hasattr(value, "keys") else value


def unchecked(cls: type[T], /, **values: Any) -> T:
    """Build a value of the model from what a store has, without any check.

    In a store there are values that no source may supply: a negative stock, an empty
    title, the same price twice. Such a product must still be compared, so sinks build
    what they read with this. Converters do not run either, so pass tuples, not lists.

    Args:
        cls: The class, such as `Product` or `Variant`.
        values: Its attributes; the others have their defaults.
    """
    made = object.__new__(cls)
    _plain_init(cast("Any", cls))(made, **values)
    return made


@cache
def _plain_init(cls: Any) -> Callable[..., None]:
    """The `__init__` of a class without its converters and validators."""
    fields = {
        field.name: attrs.field(default=field.default) for field in attrs.fields(cls)
    }
    plain: Any = attrs.make_class(
        cls.__name__, fields, frozen=True, slots=True, kw_only=True
    )
    return cast("Callable[..., None]", plain.__init__)


def evolve_unchecked(value: T, /, **changes: Any) -> T:
    """Like `attrs.evolve`, without any check: for values that a store has."""
    cls: Any = type(value)
    old = {field.name: getattr(value, field.name) for field in attrs.fields(cls)}
    return unchecked(type(value), **(old | changes))


@attrs.frozen(order=True, cache_hash=True)
class ProductKey:
    """The identity of a product, the same in every sink.

    Attributes:
        source: Name of the source: letters, digits, `.`, `_` and `-`.
        id: The id of the product in that source.
    """

    source: str = attrs.field(validator=checks.source_name)
    id: str = attrs.field(validator=checks.text)

    @classmethod
    def parse(cls, text: str) -> ProductKey:
        """Parse `source:id`, the form of `str(key)`."""
        source, colon, id_ = text.partition(":")
        if not colon:
            raise InvalidValueError("", f"a product key is source:id, not {text!r}")
        return cls(source, id_)

    def __str__(self) -> str:
        return f"{self.source}:{self.id}"


@attrs.frozen(kw_only=True)
class Price:
    """A price in major units (9.99, not 999).

    Attributes:
        amount: The amount, 0 or more.
        currency: ISO 4217 code, in upper case.
    """

    amount: Decimal = attrs.field(validator=checks.amount)
    currency: str = attrs.field(validator=checks.currency)


@attrs.frozen(kw_only=True)
class StockLevel:
    """The stock at one location.

    Attributes:
        quantity: Pieces. Below 0 means that more was sold than there was; a run takes
            that as 0 and warns.
        location: Name of the location in the source; None: the sink's default.
    """

    quantity: int = attrs.field(validator=checks.quantity)
    location: str | None = attrs.field(default=None, validator=checks.text_or_none)


@attrs.frozen(kw_only=True)
class Image:
    """An image of a product, by URL; the order of images matters."""

    url: str = attrs.field(validator=checks.text)


def _parent(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, Category | None):
        problem = f"must be Category, not {type(value).__name__}"
        raise InvalidValueError(attribute.name, problem)
    checks.check_parents(attribute.name, value)


@attrs.frozen(kw_only=True)
class Category:
    """A category in the source's tree.

    Attributes:
        id: The id of the category in the source, such as its slug.
        name: The name that shoppers see.
        parent: The category that contains this one; None: it is at the top level.
    """

    id: str = attrs.field(validator=checks.text)
    name: str = attrs.field(validator=checks.text)
    parent: Category | None = attrs.field(default=None, validator=_parent)


@attrs.frozen(kw_only=True)
class Dimensions:
    """Dimensions, in the source's unit; nothing is converted."""

    length: Decimal | None = attrs.field(default=None, validator=checks.amount_or_none)
    width: Decimal | None = attrs.field(default=None, validator=checks.amount_or_none)
    height: Decimal | None = attrs.field(default=None, validator=checks.amount_or_none)


def _prices(value: Iterable[Price] | Unset) -> tuple[Price, ...] | Unset:
    return UNSET if isinstance(value, Unset) else _frozen(value)


def _stock(value: Iterable[StockLevel] | Unset) -> tuple[StockLevel, ...] | Unset:
    return UNSET if isinstance(value, Unset) else _frozen(value)


def _options(value: Mapping[str, str]) -> Mapping[str, str]:
    return _copied(value)


@attrs.frozen(kw_only=True)
class Variant:
    """A variant of a product: the thing that can be bought.

    Attributes:
        id: The id of the variant within its product, in the source.
        title: The title that shoppers see; UNSET: the sink makes one from the options.
        sku: Stock keeping unit.
        barcode: Any barcode, as text.
        weight: Weight in the source's unit.
        dimensions: Dimensions in the source's unit.
        options: Value of each option, such as `{"Color": "Red"}`. All variants of a
            product have the same options, each in another combination. Empty: the
            source supplies none.
        prices: At most one for each currency.
        stock: At most one level for each location.
    """

    id: str = attrs.field(validator=checks.text)
    title: str | Unset = attrs.field(
        default=UNSET, converter=_empty_is_unset, validator=checks.text_or_unset
    )
    sku: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    barcode: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    weight: Decimal | Unset | None = attrs.field(
        default=UNSET, validator=checks.optional_amount
    )
    dimensions: Dimensions | Unset | None = attrs.field(
        default=UNSET, validator=checks.one_of(Dimensions, Unset, None)
    )
    options: Mapping[str, str] = attrs.field(
        factory=dict[str, str], converter=_options, validator=checks.option_texts
    )
    prices: tuple[Price, ...] | Unset = attrs.field(
        default=UNSET,
        converter=_prices,
        validator=checks.items(Price, lambda price: price.currency),
    )
    stock: tuple[StockLevel, ...] | Unset = attrs.field(
        default=UNSET,
        converter=_stock,
        validator=checks.items(StockLevel, lambda level: level.location),
    )


def _check_options(variants: tuple[Variant, ...]) -> None:
    """Check that all variants have the same options, each in another combination."""
    names = set(variants[0].options)
    for index, variant in enumerate(variants):
        if set(variant.options) != names:
            expected = ", ".join(sorted(names)) or "none"
            problem = (
                f"all variants must have the same options; the first has {expected}"
            )
            raise InvalidValueError(f"variants[{index}].options", problem)
    if not names:
        return
    seen: set[frozenset[tuple[str, str]]] = set()
    for index, variant in enumerate(variants):
        chosen = frozenset(variant.options.items())
        if chosen in seen:
            text = ", ".join(f"{name}={value}" for name, value in sorted(chosen))
            problem = f"the options {checks.shortened(text)} appear twice"
            raise InvalidValueError(f"variants[{index}]", problem)
        seen.add(chosen)


def _check_variants(
    _: object, attribute: attrs.Attribute[Any], value: tuple[Variant, ...] | Unset
) -> None:
    if isinstance(value, Unset) or len(value) == 1:
        return
    if not value:
        raise InvalidValueError(
            attribute.name, "must contain at least one variant, or be UNSET"
        )
    _check_options(value)


def _images(value: Iterable[Image] | Unset) -> tuple[Image, ...] | Unset:
    return UNSET if isinstance(value, Unset) else _frozen(value)


def _categories(value: Iterable[Category] | Unset) -> tuple[Category, ...] | Unset:
    return UNSET if isinstance(value, Unset) else _frozen(value)


def _tags(value: Iterable[str] | Unset) -> tuple[str, ...] | Unset:
    """The tags, without empty ones."""
    if isinstance(value, Unset):
        return UNSET
    tags = _frozen(value)
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return tags  # not a list: the validator refuses it
    return tuple(filter(_is_not_empty, tags))


def _is_not_empty(tag: object) -> bool:
    return not isinstance(tag, str) or bool(tag.strip())


def _variants(value: Iterable[Variant] | Unset) -> tuple[Variant, ...] | Unset:
    return UNSET if isinstance(value, Unset) else _frozen(value)


def _attributes(value: Mapping[str, Json] | Unset) -> Mapping[str, Json] | Unset:
    return UNSET if isinstance(value, Unset) else _copied(value)


@attrs.frozen(kw_only=True)
class Product:
    """A product as its source describes it.

    Attributes:
        key: The identity of the product.
        title: The title that shoppers see.
        description: Longer text, plain or HTML, as the source has it.
        brand: Manufacturer or label.
        status: Whether shoppers see it; written when the product is created, then left
            to the people of the store.
        thumbnail: URL of the small image.
        images: Images, in order.
        categories: The categories that contain it.
        tags: Tags; their order does not matter, and empty ones are dropped.
        weight: Weight in the source's unit.
        dimensions: Dimensions in the source's unit.
        subtitle: A second, shorter title.
        material: What it is made of.
        hs_code: Code of the Harmonized System, for customs, as text.
        origin_country: Country of origin: ISO 3166 code of two letters, in upper case.
        mid_code: Manufacturer identification code, for customs.
        discountable: Whether discounts apply to it.
        type: Name of its type, such as `Shirt`.
        collection: Name of its collection, such as `Summer`.
        attributes: Anything else, as JSON values by name.
        variants: The variants; at least one, or UNSET.
        as_of: When its stock was counted, with a time zone; None: the page or the run
            says so. It is not compared, and no sink keeps it.
    """

    key: ProductKey = attrs.field(validator=checks.one_of(ProductKey))
    title: str = attrs.field(validator=checks.text)
    description: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    brand: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    status: ProductStatus | Unset = attrs.field(
        default=UNSET, validator=checks.one_of(ProductStatus, Unset)
    )
    thumbnail: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    images: tuple[Image, ...] | Unset = attrs.field(
        default=UNSET,
        converter=_images,
        validator=checks.items(Image, lambda image: image.url),
    )
    categories: tuple[Category, ...] | Unset = attrs.field(
        default=UNSET,
        converter=_categories,
        validator=checks.items(Category, lambda category: category.id),
    )
    tags: tuple[str, ...] | Unset = attrs.field(
        default=UNSET,
        converter=_tags,
        validator=[checks.tags, checks.items(str, lambda tag: tag)],
    )
    weight: Decimal | Unset | None = attrs.field(
        default=UNSET, validator=checks.optional_amount
    )
    dimensions: Dimensions | Unset | None = attrs.field(
        default=UNSET, validator=checks.one_of(Dimensions, Unset, None)
    )
    subtitle: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    material: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    hs_code: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    origin_country: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_country
    )
    mid_code: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    discountable: bool | Unset = attrs.field(default=UNSET, validator=checks.flag)
    type: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    collection: str | Unset | None = attrs.field(
        default=UNSET, converter=_empty_to_none, validator=checks.optional_text
    )
    attributes: Mapping[str, Json] | Unset = attrs.field(
        default=UNSET, converter=_attributes, validator=checks.json_object
    )
    variants: tuple[Variant, ...] | Unset = attrs.field(
        default=UNSET,
        converter=_variants,
        validator=[checks.items(Variant, lambda variant: variant.id), _check_variants],
    )
    as_of: datetime | None = attrs.field(
        default=None, eq=False, validator=checks.moment_or_none
    )
