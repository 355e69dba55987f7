"""Numbers as people write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st
from tests.mapping.mappings import mapping, product

from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.mapping._numbers import LENGTHS, WEIGHTS, measure, money, number


@pytest.mark.parametrize(
    ("text", "decimal", "expected"),
    [
        ("12", None, "12"),
        ("12.5", None, "12.5"),
        ("12,50", None, "12.50"),
        (".5", None, "0.5"),
        (",5", ",", "0.5"),
        ("1.234,50", None, "1234.50"),
        ("1,234.50", None, "1234.50"),
        ("1,234,567", None, "1234567"),
        ("1.234.567", None, "1234567"),
        ("12,34,567.8", None, "1234567.8"),
        ("0.125", None, "0.125"),
        ("1234.567", None, "1234.567"),
        ("1.234", ".", "1.234"),
        ("1.234", ",", "1234"),
        ("1,234", ",", "1.234"),
        ("1 234,5", None, "1234.5"),
        ("1\u00a0234,50", None, "1234.50"),
        ("1\u202f234\u202f567", None, "1234567"),
        ("1'234.50", None, "1234.50"),
        ("5,-", None, "5"),
        ("-3", None, "-3"),
        ("+3", None, "3"),
        (" 7 ", None, "7"),
        (7, None, "7"),
        (Decimal("1.10"), ",", "1.10"),
    ],
)
def test_a_number_is_read(text: object, decimal: str | None, expected: str) -> None:
    found = number(text, decimal)  # type: ignore[arg-type]
    assert str(found) == expected


@pytest.mark.parametrize(
    ("text", "decimal", "message"),
    [
        ("1.234", None, '"1.234" may be 1234 or 1.234: set decimal'),
        ("1,234", None, '"1,234" may be 1234 or 1.234: set decimal'),
        ("12.50", ",", '"12.50" is not a number with a decimal comma'),
        ("1,5", ".", '"1,5" is not a number with a decimal point'),
        ("abc", None, '"abc" is not a number'),
        ("#price_with_tax#", None, "is not a number"),
        ("1 23", None, '"1 23" is not a number'),
        ("1.2.3", None, "is not a number"),
        ("1,2 3", None, "is not a number"),
        ("12 pcs", None, '"12 pcs" is not a number'),
        ("NaN", None, "is not a number"),
        ("1e5", None, "is not a number"),
        (True, None, "is true or false"),
        (["1"], None, "is not a number but list"),
    ],
)
def test_what_is_no_number_or_has_two_readings_is_refused(
    text: object, decimal: str | None, message: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        number(text, decimal)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "currency", "expected"),
    [
        ("105.29 USD", None, ("105.29", "USD")),
        ("USD 105.29", None, ("105.29", "USD")),
        ("105.29usd", None, ("105.29", "USD")),
        ("1.234,50 €", None, ("1234.50", "EUR")),
        ("€5", "EUR", ("5", "EUR")),
        ("$5", "USD", ("5", "USD")),
        ("$5", "CAD", ("5", "CAD")),
        ("29,99 zł", None, ("29.99", "PLN")),
        ("5", "EUR", ("5", "EUR")),
    ],
)
def test_a_price_is_read(
    text: str, currency: str | None, expected: tuple[str, str]
) -> None:
    amount, code = money(text, currency, None)
    assert (str(amount), code) == expected


@pytest.mark.parametrize(
    ("text", "currency", "message"),
    [
        ("5", None, '"5" has no currency: set currency = "EUR" or another one'),
        ("$5", None, '"$5" may be in AUD, CAD, '),
        ("5 USD", "EUR", '"5 USD" is not in EUR, the currency that is set'),
        ("5 XXY", None, '"5 XXY" is not a price: "XXY"?'),
        ("from 5 USD", None, "is not a price"),
        ("", "EUR", '"" is not a number'),
    ],
)
def test_a_currency_is_never_guessed(
    text: str, currency: str | None, message: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        money(text, currency, None)
    assert message in str(caught.value)


def test_measures_become_grams_and_millimetres() -> None:
    assert measure("1.5 oz", WEIGHTS, None, None) == Decimal("42.5242846875")
    assert measure("2", WEIGHTS, "kg", None) == 2000
    assert measure("1,5 Lbs.", WEIGHTS, "kg", None) == Decimal("680.388555")
    assert measure('10"', LENGTHS, None, None) == 254
    assert measure("3 cm", LENGTHS, "in", None) == 30
    with pytest.raises(InvalidValueError, match='"5" has no unit: set unit = "g"'):
        measure("5", WEIGHTS, None, None)
    with pytest.raises(InvalidValueError, match="unknown unit"):
        measure("5 stone", WEIGHTS, None, None)
    with pytest.raises(InvalidValueError, match="unknown unit"):
        measure("5 cm", WEIGHTS, None, None)


@given(
    st.decimals(min_value=0, max_value=10**9, places=2, allow_nan=False),
    st.sampled_from([(".", ","), (",", "."), (".", " "), (",", "\u00a0"), (".", "'")]),
)
def test_any_amount_survives_the_way_people_write_it(
    amount: Decimal, marks: tuple[str, str]
) -> None:
    point, group = marks
    text = f"{amount:,.2f}".translate({ord(","): group, ord("."): point})
    assert number(text, point) == amount  # type: ignore[arg-type]


@given(st.text(max_size=20), st.sampled_from([None, ".", ","]))
def test_any_text_is_a_number_or_refused(text: str, decimal: str | None) -> None:
    for read in (
        lambda: number(text, decimal),  # type: ignore[arg-type]
        lambda: money(text, None, decimal),  # type: ignore[arg-type]
        lambda: measure(text, WEIGHTS, "g", decimal),  # type: ignore[arg-type]
    ):
        try:
            read()
        except InvalidValueError as error:
            assert error.problem  # noqa: PT017 - either is fine


@pytest.mark.parametrize(
    ("locale", "text", "amount"),
    [
        ("de", "1.234", "1234"),
        ("en-US", "1,234", "1234"),
        ("fr_CH", "1,234", "1.234"),
        ("de_CH", "1.234", "1.234"),
    ],
)
def test_a_locale_says_how_numbers_are_written(
    locale: str, text: str, amount: str
) -> None:
    toml = f'locale = "{locale}"\nprice = {{ from = "p", currency = "EUR" }}'
    (variant,) = product(toml, {"p": text}).variants or ()
    assert variant.prices
    assert str(variant.prices[0].amount) == amount


@pytest.mark.parametrize("locale", ["xx_YY", "", "bgn", "de;"])
def test_locales_that_cannot_be_used(locale: str) -> None:
    with pytest.raises(MisconfiguredError, match="locale: "):
        mapping(f'key = "id"\ntitle = "name"\nlocale = "{locale}"')
