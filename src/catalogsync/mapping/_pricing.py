"""Prices that are made from those of the source: exchange rate, margin, rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from catalogsync.catalog.products import Price, Unset, Variant, evolve_unchecked
from catalogsync.errors import InvalidValueError, MissingExtraError

from ._numbers import check_currency
from ._rates import EXACT, Rate, Rates, find_rate

if TYPE_CHECKING:
    from ._mapping import RecordMapping

__all__ = ["PriceRule", "Pricing"]

Amount: TypeAlias = str | int
"""A number in TOML; one with a fraction is a text, so that it is never a float."""

_CACHED = 4096
_HUNDRED = Decimal(100)


def _number(name: str, value: Amount) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number >= 10**9 or len(number.as_tuple().digits) > 18:
        problem = f'must be a number such as "0.05", is {str(value)[:40]!r}'
        raise InvalidValueError(name, problem)
    return number


def _margin(_: object, attribute: attrs.Attribute[Any], value: Amount) -> None:
    if _number(attribute.name, value) <= -_HUNDRED:
        raise InvalidValueError(attribute.name, f"must be above -100, is {value}")


def _step(_: object, attribute: attrs.Attribute[Any], value: Amount | None) -> None:
    if value is not None and _number(attribute.name, value) <= 0:
        raise InvalidValueError(attribute.name, f"must be above 0, is {value}")


def _base(_: object, __: object, value: str | None) -> None:
    if value is not None:
        try:
            check_currency(value)
        except InvalidValueError as error:
            raise error.under("from") from None


@attrs.frozen(kw_only=True)
class PriceRule:
    """How the price in one currency is made; the steps are taken in this order.

    Attributes:
        from_: The currency of the source's price that is converted by the table of
            exchange rates; None: the source's price in the rule's own currency is used.
            In TOML, `from`.
        margin: Per cent that are added; may be negative.
        round_to: The price is rounded to the nearest multiple of this, such as
            `"0.05"`. None: to the digits of the currency, unless `ending` is set.
        ending: The price is rounded to the nearest one that ends like this: `"0.99"` is
            for 7.99 and 8.99, `"9.99"` for 19.99 and 29.99.

    No price above 0 is rounded to 0; halves are rounded up.
    """

    from_: str | None = attrs.field(
        default=None, alias="from_", metadata={"name": "from"}, validator=_base
    )
    margin: str | int = attrs.field(default=0, validator=_margin)
    round_to: str | int | None = attrs.field(default=None, validator=_step)
    ending: str | int | None = attrs.field(default=None, validator=_step)

    def __attrs_post_init__(self) -> None:
        if self.round_to is not None and self.ending is not None:
            raise InvalidValueError("ending", "cannot be set with `round_to`")

    def of(self, currency: str, rate: Decimal) -> Callable[[Decimal], Decimal]:
        """What makes an amount in *currency* of one of the source."""
        factor = EXACT.divide(_HUNDRED + _number("margin", self.margin), _HUNDRED)
        factor = EXACT.multiply(factor, rate)
        if self.ending is not None:
            first = _number("ending", self.ending)
            whole = int(first)
            step = Decimal(10) ** len(str(whole)) if whole else Decimal(1)
        else:
            step = first = _step_of(currency, self.round_to)

        def made(amount: Decimal) -> Decimal:
            if not amount:
                return amount
            steps = EXACT.divide(EXACT.multiply(amount, factor) - first, step)
            count = max(steps.to_integral_value(ROUND_HALF_UP), Decimal(0))
            return EXACT.add(first, EXACT.multiply(count, step))

        return lru_cache(_CACHED)(made)


def _step_of(currency: str, given: Amount | None) -> Decimal:
    if given is not None:
        return _number("round_to", given)
    try:
        from babel.numbers import get_currency_precision
    except ImportError as error:
        raise MissingExtraError("rounding prices", "mapping") from error
    return Decimal(1).scaleb(-get_currency_precision(currency))


@attrs.frozen(kw_only=True)
class _Line:
    """One rule, ready to be used.

    Attributes:
        currency: The currency of the price that it makes.
        base: The currency of the price that it starts from.
        made: What makes the amount.
        rate: The exchange rate; None: the price is not converted.
    """

    currency: str
    base: str
    made: Callable[[Decimal], Decimal]
    rate: Rate | None


@attrs.frozen
class Pricing:
    """The price rules of a mapping, with the rates that they use."""

    lines: tuple[_Line, ...]

    @classmethod
    def of(cls, mapping: RecordMapping, rates: Rates) -> Pricing | None:
        """The pricing of a mapping; None: prices stay as the source has them.

        Raises:
            InvalidValueError: A rate is missing, or the mapping lacks what it needs.
        """
        rules = mapping.price_rules
        converts = any(rule.from_ is not None for rule in rules.values())
        if mapping.rates_file is not None and not converts:
            raise InvalidValueError("rates_file", "needs `from` in `price_rules`")
        if not rules:
            return None
        if not (mapping.price or mapping.prices or mapping.price_columns):
            problem = "needs `price`, `prices` or `price_columns`"
            raise InvalidValueError("price_rules", problem)
        return cls(tuple(_line(rules, code, rates) for code in rules))

    def applied(self, variants: Iterable[Variant]) -> tuple[Variant, ...]:
        """The variants with the prices that the rules make."""
        return tuple(map(self._priced, variants))

    def rate(self, currency: str) -> Rate | None:
        """The rate that makes prices in a currency; None: they are not converted."""
        return next((x.rate for x in self.lines if x.currency == currency), None)

    def _priced(self, variant: Variant) -> Variant:
        if isinstance(variant.prices, Unset) or not variant.prices:
            return variant
        given = {price.currency: price.amount for price in variant.prices}
        after = {price.currency: price for price in variant.prices}
        for line in self.lines:
            converts = line.base != line.currency
            if line.base in given and not (converts and line.currency in given):
                amount = line.made(given[line.base])
                after[line.currency] = Price(amount=amount, currency=line.currency)
        return evolve_unchecked(variant, prices=tuple(after.values()))


def _line(rules: Mapping[str, PriceRule], code: str, rates: Rates) -> _Line:
    rule, path = rules[code], f"price_rules.{code}"
    try:
        check_currency(code)
    except InvalidValueError as error:
        raise InvalidValueError(path, error.problem) from None
    base = rule.from_ or code
    rate = None
    if rule.from_ is not None:
        if base == code:
            raise InvalidValueError(f"{path}.from", "must be another currency")
        if not rates:
            raise InvalidValueError(f"{path}.from", "needs `rates_file`")
        rate = find_rate(rates, base, code)
        if rate is None:
            problem = f"the table has no rate from {base} to {code}"
            raise InvalidValueError("rates_file", problem)
    made = rule.of(code, rate.value if rate else Decimal(1))
    return _Line(currency=code, base=base, made=made, rate=rate)
