"""The mapping of a source: which records are one product, and where its fields are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import attrs

from catalogsync._lib.bounds import at_least
from catalogsync._lib.digests import digest_of
from catalogsync._lib.versions import installed_version
from catalogsync.catalog.checks import shortened
from catalogsync.catalog.outcomes import Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.errors import InvalidValueError, MisconfiguredError

from ._categories import Unmapped
from ._deleted import is_deleted
from ._expression import Expression
from ._numbers import DecimalMark, decimal_mark_of
from ._paths import as_text
from ._pricing import PriceRule
from ._products import Parts, product_of
from ._rates import Rate
from ._record import BadRecordError, Record, is_empty

__all__ = ["RecordMapping", "refuse_of_files"]

_not_negative = at_least(0, InvalidValueError)
_LIBRARIES = ("catalogsync", "babel", "jmespath", "nh3")


def _pairs(value: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for index, pair in enumerate(value):
        if len(pair) != 2 or not all(pair):
            problem = "must be the column of the name and the column of the value"
            raise InvalidValueError(f"option_pairs[{index}]", problem)
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)


def _stars(_: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
    for index, name in enumerate(value):
        if name.count("*") != 1:
            path = f"{attribute.name}[{index}]"
            raise InvalidValueError(path, "must contain one `*` for the currency")


def _is_locale(_: object, __: object, value: str | None) -> None:
    if value is not None:
        decimal_mark_of(value)


def _currency_codes(
    _: object, attribute: attrs.Attribute[Any], value: Mapping[str, Expression]
) -> None:
    for code in value:
        if len(code) != 3 or not code.isascii() or not code.isupper():
            problem = "must be an ISO 4217 code in upper case, such as `EUR`"
            raise InvalidValueError(f"{attribute.name}.{shortened(code)}", problem)


@attrs.frozen(kw_only=True)
class RecordMapping:
    """Where the key and the fields of a product come from.

    Fields that are not mapped are not supplied: the sink's values stay. A field of the
    product is taken from the first of its records that has it; lists are those of all
    records together, without duplicates.

    Attributes:
        key: Id of the product; records with the same key are one product. A record
            without key and title continues the one before.
        delete_when: Whether the source deleted the product: a value that means yes or
            no, such as `true`, or that `words` turns into true or false. Missing: no. A
            product whose records all say so is deleted; of others, such records are
            left out.
        title: The title.
        description: Text or HTML.
        brand: Manufacturer or label.
        subtitle: A second, shorter title.
        material: What the product is made of.
        hs_code: Code of the Harmonized System, for customs.
        origin_country: Country of origin: an ISO 3166 code of two letters.
        mid_code: Manufacturer identification code, for customs.
        discountable: Whether discounts apply: true or false, yes or no, 1 or 0.
        type: Name of the product's type.
        collection: Name of the product's collection.
        status: `published` or `draft`; true and false mean the same.
        thumbnail: URL of the small image.
        images: URLs of the images.
        categories: Categories; see `category_levels`.
        category_levels: Text that separates the levels in `Men > Shirts`; None: each
            category stands alone.
        category_map: The shop's categories by the supplier's, such as
            `{"Herren/Hemden" = "Men > Shirts"}`; an empty text drops the category.
        category_file: A CSV file with these two columns, in UTF-8.
        unmapped_categories: What to do with categories that are in neither of them:
            `keep` them as they are, `drop` them, or `reject` the product.
        tags: Tags.
        weight: Weight, converted to grams.
        length: Length, converted to millimetres.
        width: Width, converted to millimetres.
        height: Height, converted to millimetres.
        attributes: Anything else, by name.
        variants: Path to a list with the variants of the record, whose fields are then
            looked up in its items. None: the records themselves are variants.
        members: Keys of other records of the source, which are then variants of this
            record's product and no products of their own.
        variant: Id of a variant; records with the same id are one variant. None: the
            SKU, or else the options.
        variant_if: Whether a record is a variant of its own: yes unless missing or
            false. Others only add to the product, or to a variant with the same id.
            If no record is, all are. None: those that have a value of a variant.
        variant_order: Number by which variants are sorted; None: as they come.
        variant_title: Title of a variant.
        variant_weight: Weight of a variant, converted to grams.
        variant_length: Length of a variant, converted to millimetres.
        variant_width: Width of a variant, converted to millimetres.
        variant_height: Height of a variant, converted to millimetres.
        sku: Stock keeping unit.
        barcode: Any barcode.
        options: Value of each option, by its name.
        option_pairs: Pairs of columns with the name and the value of an option; `*`
            in both stands for the same text. Two paths to lists give several options.
        option_list: Options in one cell, each with its name, such as
            `Color=Red, Size: M` with `split`.
        option_blank: Values that stand for no option, such as `Default Title`.
        price: One price, or several in different currencies.
        prices: One price for each currency, by its code.
        price_columns: Columns with one price for each currency; `*` stands for its
            code, as in `Variant Price *`.
        currency: Currency of `price`, if it stands elsewhere in the record.
        price_rules: How prices are made of those of the source, by currency: exchange
            rate, margin, rounding. A rule starts from the source's price, never from
            what another rule made; a price that the source has is not converted over.
        rates_file: The exchange rates: a CSV file with the columns `date`, `from`, `to`
            and `rate`, or TOML with a `date` and lines such as `EUR.USD = 1.08`. The
            newest rate of each pair of currencies counts.
        stock: Pieces in stock.
        stock_location: Location of `stock`, if it stands in the record.
        stock_at: Pieces in stock, by location.
        stock_buffer: Pieces of each variant and location that are held back from sale;
            stock never falls below 0 by it.
        stock_buffer_in: The same by category of the shop, such as `Men > Shirts`,
            which includes those below it. Of several, the nearest counts, and of the
            categories of a product the one with the largest buffer. `stock_buffer` is
            for products in none of them.
        as_of: When the stock was counted: an ISO 8601 time with an offset from UTC, or
            seconds since the epoch; of several records, the oldest. None: the file or
            the start of the run says so.
        decimal: The decimal mark of all numbers. None: found out for each, if only one
            reading is possible.
        locale: Language and region whose way to write numbers they follow, such as
            `de` or `fr_CH`, if `decimal` is not set.
        optional_columns: Whether a table may lack columns that are mapped, except for
            those of key and title; if not, a missing column is an error.
    """

    key: Expression
    title: Expression
    delete_when: Expression | None = None
    description: Expression | None = None
    brand: Expression | None = None
    subtitle: Expression | None = None
    material: Expression | None = None
    hs_code: Expression | None = None
    origin_country: Expression | None = None
    mid_code: Expression | None = None
    discountable: Expression | None = None
    type: Expression | None = None
    collection: Expression | None = None
    status: Expression | None = None
    thumbnail: Expression | None = None
    images: Expression | None = None
    categories: Expression | None = None
    category_levels: str | None = None
    category_map: Mapping[str, str] = attrs.field(factory=dict[str, str])
    category_file: str | None = None
    unmapped_categories: Unmapped = "keep"
    tags: Expression | None = None
    weight: Expression | None = None
    length: Expression | None = None
    width: Expression | None = None
    height: Expression | None = None
    attributes: Mapping[str, Expression] = attrs.field(factory=dict[str, Expression])
    variants: Expression | None = None
    members: Expression | None = None
    variant: Expression | None = None
    variant_if: Expression | None = None
    variant_order: Expression | None = None
    variant_title: Expression | None = None
    variant_weight: Expression | None = None
    variant_length: Expression | None = None
    variant_width: Expression | None = None
    variant_height: Expression | None = None
    sku: Expression | None = None
    barcode: Expression | None = None
    options: Mapping[str, Expression] = attrs.field(factory=dict[str, Expression])
    option_pairs: tuple[tuple[str, ...], ...] = attrs.field(
        default=(), converter=_pairs
    )
    option_list: Expression | None = None
    option_blank: tuple[str, ...] = ()
    price: Expression | None = None
    prices: Mapping[str, Expression] = attrs.field(
        factory=dict[str, Expression], validator=_currency_codes
    )
    price_columns: tuple[str, ...] = attrs.field(default=(), validator=_stars)
    currency: Expression | None = None
    price_rules: Mapping[str, PriceRule] = attrs.field(factory=dict[str, PriceRule])
    rates_file: str | None = None
    stock: Expression | None = None
    stock_location: Expression | None = None
    stock_at: Mapping[str, Expression] = attrs.field(factory=dict[str, Expression])
    stock_buffer: int = attrs.field(default=0, validator=_not_negative)
    stock_buffer_in: Mapping[str, int] = attrs.field(factory=dict[str, int])
    as_of: Expression | None = None
    decimal: DecimalMark | None = None
    locale: str | None = attrs.field(default=None, validator=_is_locale)
    optional_columns: bool = False
    _parts: Parts = attrs.field(
        init=False,
        eq=False,
        repr=False,
        default=attrs.Factory(Parts.of, takes_self=True),
    )

    @property
    def mark(self) -> DecimalMark | None:
        """The decimal mark of all numbers, or None if it is found out for each."""
        if self.decimal is None and self.locale is not None:
            return decimal_mark_of(self.locale)
        return self.decimal

    def group_of(self, record: Record, /) -> str | None:
        """The key of the product that a record belongs to.

        Returns:
            The key, or None if it continues the record before it.

        Raises:
            InvalidValueError: The key is a list or a mapping, a step fails, or it is
                missing in a record with a title: that is a product of its own.
        """
        found = self.key.evaluate(record)
        if not is_empty(found):
            return as_text(found)
        if not self.title.constant and not is_empty(self.title.evaluate(record)):
            raise InvalidValueError("", "is missing")
        return None

    def members_of(self, record: Record, /) -> Sequence[str]:
        """The keys of other records that belong to the product of this one.

        Raises:
            InvalidValueError: A step fails, or a key is a list or a mapping.
        """
        if self.members is None:
            return ()
        try:
            found = self.members.evaluate(record)
            keys = cast("list[object]", found) if isinstance(found, list) else [found]
            return [as_text(key) for key in keys if not is_empty(key)]
        except InvalidValueError as error:
            raise error.under("members") from None

    def product(self, source: str, records: Sequence[Record], /) -> Product | Rejected:
        """Make one product.

        Args:
            source: Name of the source, for the key.
            records: All records of the product, in their order; one or more.

        Returns:
            The product, or why there is none, with the position of the record.
        """
        key = None
        try:
            key = self._key(source, records[0])
            left = self.without_deleted(records)
            if left:
                return product_of(self._parts, key, left)
            error = InvalidValueError("delete_when", "says that it was deleted")
            return _rejected(key, error, _places(records))
        except BadRecordError as bad:
            return _rejected(key, bad.error, bad.where)
        except InvalidValueError as error:
            return _rejected(key, error, _places(records))

    def without_deleted(self, records: Sequence[Record], /) -> Sequence[Record]:
        """The records of a product that are left; none: the source deleted it.

        Raises:
            InvalidValueError: It is not known whether a record was deleted.
        """
        when = self.delete_when
        if when is None:
            return records
        return [record for record in records if not is_deleted(when, record)]

    def unmapped(self, record: Record, /) -> Sequence[str]:
        """The supplier's categories in a record that the tables do not have."""
        return self._parts.unmapped(record)

    def rate(self, currency: str, /) -> Rate | None:
        """The exchange rate that makes prices in a currency; None: there is none."""
        pricing = self._parts.pricing
        return pricing.rate(currency) if pricing else None

    def reloaded(self) -> RecordMapping:
        """The mapping with the files that it names as they are now.

        Raises:
            MisconfiguredError: A file cannot be read or has values that are not valid.
        """
        if self.category_file is None and self.rates_file is None:
            return self
        try:
            return attrs.evolve(self)
        except InvalidValueError as error:
            raise MisconfiguredError(f"map.{error.path}", error.problem) from None

    @property
    def digest(self) -> bytes | None:
        """Digest of all that products depend on besides their records.

        None: that is not known, because the mapping calls a function.
        """
        if any(spec.python is not None for _, spec in self.expressions()):
            return None
        libraries: list[str] = []
        for name in _LIBRARIES:
            with suppress(ModuleNotFoundError):
                libraries.append(installed_version(name))
        tables = self._parts.table, self._parts.rates
        return digest_of(repr((self, *tables, libraries)).encode())

    @property
    def repeated(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """The expressions with `empty = "repeat"`: path and columns."""
        every = self.expressions()
        return [(path, spec.columns) for path, spec in every if spec.empty == "repeat"]

    def expressions(self) -> Iterator[tuple[str, Expression]]:
        """All expressions with their path, such as `prices.EUR`."""
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, Expression):
                yield field.name, value
            elif isinstance(value, dict):
                for name, each in cast("dict[str, object]", value).items():
                    if isinstance(each, Expression):
                        yield f"{field.name}.{name}", each

    def _key(self, source: str, record: Record) -> ProductKey:
        try:
            return ProductKey(source, self.group_of(record) or "")
        except InvalidValueError as error:
            problem = error.problem.replace("must not be empty", "is missing")
            raise InvalidValueError("key", problem) from None


def refuse_of_files(_: object, __: object, mapping: RecordMapping) -> None:
    """Refuse what only sources of files can do: `empty = "repeat"` and `delete_when`.

    A validator of attrs.

    Raises:
        MisconfiguredError: The mapping has it.
    """
    if mapping.delete_when is not None:
        problem = "is for files only; leave deleted products out"
        raise MisconfiguredError("map.delete_when", problem)
    for path, _columns in mapping.repeated:
        problem = "can be `repeat` in files only, whose rows have an order"
        raise MisconfiguredError(f"map.{path}.empty", problem)


def _rejected(key: ProductKey | None, error: InvalidValueError, where: str) -> Rejected:
    return Rejected(key=key, reason=str(error), where=where, path=error.path)


def _places(records: Sequence[Record]) -> str:
    first, last = records[0].where, records[-1].where
    return first if len(records) == 1 else f"{first} to {last}"
