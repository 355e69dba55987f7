"""Numbers as people write them; never through a float, and nothing is guessed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Literal, TypeAlias

from catalogsync.catalog.checks import shortened
from catalogsync.errors import InvalidValueError, MissingExtraError

__all__ = [
    "LENGTHS",
    "WEIGHTS",
    "DecimalMark",
    "check_currency",
    "check_unit",
    "decimal_mark_of",
    "measure",
    "money",
    "number",
    "number_marks",
]

DecimalMark: TypeAlias = Literal[".", ","]

WEIGHTS = {
    "g": Decimal(1),
    "mg": Decimal("0.001"),
    "kg": Decimal(1000),
    "t": Decimal(1_000_000),
    "lb": Decimal("453.59237"),
    "oz": Decimal("28.349523125"),
}
"""Grams in a unit."""
LENGTHS = {
    "mm": Decimal(1),
    "cm": Decimal(10),
    "m": Decimal(1000),
    "in": Decimal("25.4"),
    "ft": Decimal("304.8"),
}
"""Millimetres in a unit."""
_OTHER_NAMES = {
    "gr": "g",
    "gram": "g",
    "grams": "g",
    "kilogram": "kg",
    "kilograms": "kg",
    "kgs": "kg",
    "lbs": "lb",
    "pound": "lb",
    "pounds": "lb",
    "ounce": "oz",
    "ounces": "oz",
    '"': "in",
    "inch": "in",
    "inches": "in",
    "'": "ft",
    "feet": "ft",
    "foot": "ft",
    "millimetre": "mm",
    "millimeter": "mm",
    "centimetre": "cm",
    "centimeter": "cm",
    "metre": "m",
    "meter": "m",
}

_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "sv", "da", "nb", "cs", "hu")
_DOLLARS = ("USD", "AUD", "CAD", "NZD", "HKD", "SGD", "MXN")

_PLAIN = re.compile(r"\d+(?:\.\d{1,2})?", re.ASCII)
_SPACES = " \u00a0\u202f\u2009'\u2019"
_NUMBER = re.compile(
    rf"(?P<before>(?:[^\d.,+\-]|\.(?=\s))*)"
    rf"(?P<number>[+-]?(?:\d(?:[\d.,{_SPACES}]*\d)?|[.,]\d+))"
    rf"(?P<after>[^\d]*)",
    re.ASCII,
)
_NO_CENTS = re.compile(r"[.,][-\u2013\u2014]+$")
_GROUPS = r"\d{1,3}(?:SEP\d{2,3})*SEP\d{3}"


@cache
def decimal_mark_of(locale: str) -> DecimalMark:
    """The decimal mark of a language and region, such as `de` or `fr_CH`.

    Raises:
        InvalidValueError: It is not known, or its mark is neither a point nor a comma.
        MissingExtraError: The extra `mapping` is not installed.
    """
    try:
        from babel import Locale
        from babel.core import UnknownLocaleError
        from babel.numbers import get_decimal_symbol
    except ImportError as error:
        raise MissingExtraError("numbers of a locale", "mapping") from error
    try:
        mark = get_decimal_symbol(Locale.parse(locale.replace("-", "_")))
    except (UnknownLocaleError, ValueError, TypeError):
        problem = f"{_quoted(locale)} is not a locale such as `de` or `fr_CH`"
        raise InvalidValueError("locale", problem) from None
    if mark == ".":
        return "."
    if mark == ",":
        return ","
    problem = f"{_quoted(locale)} has the decimal mark {mark!r}; set `decimal` instead"
    raise InvalidValueError("locale", problem)


def number(value: object, decimal: DecimalMark | None) -> Decimal:
    """A number without anything around it.

    Args:
        value: An int, a Decimal, or text such as `1.234,50`.
        decimal: The decimal mark; None: found out, if only one reading is possible.

    Raises:
        InvalidValueError: It is no number, or there are two readings.
    """
    amount, before, after = _parts(value, decimal)
    if before or after:
        raise InvalidValueError("", f"{_quoted(value)} is not a number")
    return amount


def _parts(value: object, decimal: DecimalMark | None) -> tuple[Decimal, str, str]:
    """The number, and the texts before and after it."""
    if isinstance(value, bool):
        raise InvalidValueError("", "is true or false, not a number")
    if isinstance(value, int | Decimal):
        return Decimal(value), "", ""
    if not isinstance(value, str):
        raise InvalidValueError("", f"is not a number but {type(value).__name__}")
    text = value.strip()
    if decimal != "," and _PLAIN.fullmatch(text):
        return Decimal(text), "", ""
    text = _NO_CENTS.sub("", text)
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise InvalidValueError("", f"{_quoted(value)} is not a number")
    digits = _digits(found["number"], decimal, value)
    try:
        amount = Decimal(digits)
    except InvalidOperation:  # pragma: no cover - the pattern admits digits only
        raise InvalidValueError("", f"{_quoted(value)} is not a number") from None
    return amount, found["before"].strip(), found["after"].strip()


def _digits(text: str, decimal: DecimalMark | None, value: str) -> str:
    """The number as Python writes it."""
    sign = "-" if text.startswith("-") else ""
    body = text.lstrip("+-")
    if any(mark in body for mark in _SPACES):
        body = _without_spaces(body, value)
    mark = decimal or _mark(body, value)
    other = "," if mark == "." else "."
    whole, point, fraction = body.partition(mark)
    if other in whole:
        if not _grouped(other).fullmatch(whole):
            raise InvalidValueError("", _wrong_mark(value, mark, other))
        whole = whole.replace(other, "")
    if (point and not fraction.isdigit()) or not (whole or fraction):
        raise InvalidValueError("", _wrong_mark(value, mark, other))
    if whole and not whole.isdigit():
        raise InvalidValueError("", _wrong_mark(value, mark, other))
    return f"{sign}{whole or '0'}{point and '.'}{fraction}"


def _wrong_mark(value: str, mark: str, other: str) -> str:
    name = "point" if mark == "." else "comma"
    return (
        f"{_quoted(value)} is not a number with a decimal {name}; "
        f'see whether it needs decimal = "{other}"'
    )


def _without_spaces(body: str, value: str) -> str:
    """The number without spaces or apostrophes between groups of three digits."""
    whole = re.split(r"[.,]", body)[0]
    if not _grouped(f"[{_SPACES}]", escape=False).fullmatch(whole):
        raise InvalidValueError("", f"{_quoted(value)} is not a number")
    rest = body[len(whole) :]
    if any(mark in rest for mark in _SPACES):
        raise InvalidValueError("", f"{_quoted(value)} is not a number")
    return re.sub(f"[{_SPACES}]", "", whole) + rest


@cache
def _grouped(mark: str, *, escape: bool = True) -> re.Pattern[str]:
    return re.compile(_GROUPS.replace("SEP", re.escape(mark) if escape else mark))


def _mark(body: str, value: str) -> DecimalMark:
    """The decimal mark, if only one is possible."""
    points, commas = body.count("."), body.count(",")
    if points and commas:
        return "." if body.rindex(".") > body.rindex(",") else ","
    if not points and not commas:
        return "."
    mark: DecimalMark = "." if points else ","
    other: DecimalMark = "," if points else "."
    if points + commas > 1:
        return other
    whole, _, fraction = body.partition(mark)
    if len(fraction) != 3 or len(whole) > 3 or whole in {"", "0"}:
        return mark
    raise InvalidValueError(
        "",
        f"{_quoted(value)} may be {whole}{fraction} or {whole}.{fraction}: "
        'set decimal = "." or decimal = ","',
    )


def number_marks(values: Iterable[object]) -> tuple[DecimalMark | None, bool]:
    """The decimal mark of prices, and whether each has a currency.

    Returns:
        The mark if a value shows it and none contradicts, or None if none shows it or
        each can be read on its own.

    Raises:
        InvalidValueError: A value is not a price.
    """
    marks: set[DecimalMark] = set()
    count = with_currency = 0
    for value in values:
        if value is None or value == "":
            continue
        count += 1
        if not isinstance(value, str) or not value.strip():
            continue
        found = _NUMBER.fullmatch(_NO_CENTS.sub("", value.strip()))
        if found is None:
            raise InvalidValueError("", f"{_quoted(value)} is not a number")
        with_currency += bool(found["before"].strip() or found["after"].strip())
        body = found["number"]
        if "." in body or "," in body:
            try:
                marks.add(_mark(body, value))
            except InvalidValueError:
                continue
    mark = next(iter(marks)) if len(marks) == 1 else None
    return mark, 0 < count == with_currency


def check_unit(unit: str, units: dict[str, Decimal] | None = None) -> str:
    """A unit by its usual name, such as `lb` for `lbs`.

    Raises:
        InvalidValueError: It is not known; the error suggests the nearest one.
    """
    known = units or {**WEIGHTS, **LENGTHS}
    name = unit.strip().rstrip(".").lower()
    name = _OTHER_NAMES.get(name, name)
    if name in known:
        return name
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{nearest[0]}`?" if nearest else "known: " + ", ".join(known)
    raise InvalidValueError("", f"unknown unit {_quoted(unit)}; {hint}")


def measure(
    value: object,
    units: dict[str, Decimal],
    unit: str | None,
    decimal: DecimalMark | None,
) -> Decimal:
    """A weight in grams or a length in millimetres.

    Args:
        value: A number, or text such as `1.5 oz`.
        units: `WEIGHTS` or `LENGTHS`.
        unit: The unit of values without one; None: each value must have one.
        decimal: As in `number`.

    Raises:
        InvalidValueError: It is not such a measure, or its unit is not known.
    """
    amount, before, after = _parts(value, decimal)
    if before:
        raise InvalidValueError("", f"{_quoted(value)} is not a measure")
    name = check_unit(after, units) if after else unit
    if name is None:
        base = next(iter(units))
        problem = f'{_quoted(value)} has no unit: set unit = "{base}" or another one'
        raise InvalidValueError("", problem)
    if name not in units:
        problem = f"`{name}` is not a unit here; known: {', '.join(units)}"
        raise InvalidValueError("unit", problem)
    return amount * units[name]


def money(
    value: object, currency: str | None, decimal: DecimalMark | None
) -> tuple[Decimal, str]:
    """An amount and its currency.

    Args:
        value: A number, or text such as `105.29 USD` or `1.234,50 €`.
        currency: The currency of the column; None: each value must have one.
        decimal: As in `number`.

    Raises:
        InvalidValueError: It is not a price, or its currency is not known or another one.
    """
    amount, before, after = _parts(value, decimal)
    if before and after:
        raise InvalidValueError("", f"{_quoted(value)} is not a price")
    mark = before or after
    if not mark:
        if currency is None:
            problem = f'{_quoted(value)} has no currency: set currency = "EUR"'
            raise InvalidValueError("", f"{problem} or another one")
        return amount, currency
    return amount, _currency(mark, currency, value)


def _currency(mark: str, currency: str | None, value: object) -> str:
    """The currency of a code or symbol; it must be the column's, if that is given."""
    codes = _codes_of(mark)
    if currency is None and len(codes) == 1:
        return next(iter(codes))
    if currency is not None and currency in codes:
        return currency
    if not codes:
        raise InvalidValueError(
            "", f"{_quoted(value)} is not a price: {_quoted(mark)}?"
        )
    if currency is not None:
        problem = f"{_quoted(value)} is not in {currency}, the currency that is set"
        raise InvalidValueError("", problem)
    some = ", ".join(sorted(codes)[:6])
    problem = f"{_quoted(value)} may be in {some} or others: set currency"
    raise InvalidValueError("", problem)


@cache
def _codes_of(mark: str) -> frozenset[str]:
    """The currencies that a code or symbol may stand for."""
    symbols = _symbols()
    if mark.upper() in symbols and len(mark) == 3:
        return frozenset({mark.upper()})
    plain = mark.rstrip(".")
    return frozenset(
        c for c, marks in symbols.items() if mark in marks or plain in marks
    )


@cache
def _codes() -> frozenset[str]:
    """The currencies that are legal tender somewhere."""
    try:
        from babel.core import get_global
        from babel.numbers import list_currencies
    except ImportError as error:
        raise MissingExtraError("reading currencies", "mapping") from error
    tender = {
        code
        for currencies in get_global("territory_currencies").values()
        for code, _, end, is_tender in currencies
        if is_tender and end is None
    }
    return frozenset(list_currencies() & tender)


@cache
def _symbols() -> dict[str, frozenset[str]]:
    """The symbols of each currency, in English and in the languages of its regions."""
    codes = _codes()
    from babel.numbers import get_currency_symbol

    found: dict[str, set[str]] = {}
    for code in codes:
        found[code] = {get_currency_symbol(code, each) for each in _LANGUAGES}
    for code in _DOLLARS:
        found[code].add("$")
    return {code: frozenset(marks) for code, marks in found.items()}


def check_currency(code: str) -> str:
    """A currency code, if it exists.

    Raises:
        InvalidValueError: It does not; the error suggests the nearest one.
    """
    known = _codes()
    if code in known:
        return code
    if code.upper() in known:
        raise InvalidValueError("", f"must be upper case: `{code.upper()}`")
    nearest = difflib.get_close_matches(code.upper(), sorted(known), n=1)
    hint = f"; did you mean `{nearest[0]}`?" if nearest else ""
    raise InvalidValueError("", f"is not an ISO 4217 code of a currency{hint}")


def _quoted(value: object) -> str:
    return f'"{shortened(value)}"'
