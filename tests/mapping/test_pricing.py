"""Prices made of those of the source: exchange rates, margins and rounding."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from tests.mapping.mappings import mapping, product

from catalogsync import MisconfiguredError
from catalogsync.catalog.products import Field
from catalogsync.mapping import rules_of

PRICE = 'price = { from = "p", currency = "EUR" }\n'
HEADER = "date,from,to,rate\n"
TODAY = "2026-11-30"


def prices(toml: str, amount: str = "10", **values: str) -> dict[str, str]:
    """The prices of a product that costs this, by currency."""
    found = product(PRICE + toml, {"p": amount, **values})
    assert found.variants
    return {p.currency: f"{p.amount:f}" for p in found.variants[0].prices or ()}


@pytest.fixture
def rates(tmp_path: Path) -> Path:
    file = tmp_path / "rates.csv"
    file.write_text(f"{HEADER}{TODAY},EUR,USD,1.0842\n{TODAY},EUR,JPY,162.5\n")
    return file


def rule(rates: Path, code: str, text: str) -> str:
    return f'rates_file = "{rates}"\nprice_rules.{code} = {{ {text} }}'


@pytest.mark.parametrize(
    ("code", "text", "amount", "expected"),
    [
        ("USD", "", "19.90", "21.58"),  # 21.57558
        ("USD", "margin = 10", "19.90", "23.73"),  # 23.733138: rounded once
        ("USD", 'margin = "-2.5"', "19.90", "21.04"),
        ("JPY", "", "19.90", "3234"),  # 3233.75: no digits
        ("JPY", "", "0.001", "1"),  # never for nothing
        ("JPY", "", "0", "0"),
        ("USD", 'round_to = "0.05"', "19.90", "21.60"),
        ("USD", "round_to = 10", "19.90", "20"),
        ("USD", 'ending = "0.99"', "19.90", "21.99"),
        ("USD", 'ending = ".99"', "20.50", "21.99"),  # 22.2261
        ("USD", 'ending = "9.99"', "19.90", "19.99"),
        ("USD", 'ending = ".99"', "0.10", "0.99"),
    ],
)
def test_a_price_in_another_currency(
    rates: Path, code: str, text: str, amount: str, expected: str
) -> None:
    full = ", ".join(filter(None, ['from = "EUR"', text]))
    given_amount = f"{Decimal(amount):f}"
    assert prices(rule(rates, code, full), amount) == {
        "EUR": given_amount,
        code: expected,
    }


def test_rules_start_from_the_price_of_the_source(rates: Path) -> None:
    text = rule(rates, "USD", 'from = "EUR"') + "\nprice_rules.EUR = { margin = 50 }"
    assert prices(text) == {"EUR": "15.00", "USD": "10.84"}


def test_a_price_of_the_source_is_not_converted_over(rates: Path) -> None:
    text = 'prices.USD = "us"\n' + rule(rates, "USD", 'from = "EUR"')
    assert prices(text, us="9.50") == {"USD": "9.50", "EUR": "10"}
    assert prices(text, us="") == {"EUR": "10", "USD": "10.84"}


@pytest.mark.parametrize(
    ("table", "code", "rate"),
    [
        (f"{TODAY},USD,EUR,0.8", "USD", "1 EUR = 1.25 USD on 2026-11-30"),  # inverse
        (
            "2026-11-30,USD,EUR,0.8\n2026-11-28,USD,GBP,0.8",
            *("GBP", "1 EUR = 1.000 GBP on 2026-11-28"),  # over a third; the older date
        ),
        (
            "2026-11-29,EUR,USD,1.1\n2026-11-30,EUR,USD,1.2\n2026-11-28,EUR,USD,1.3",
            *("USD", "1 EUR = 1.2 USD on 2026-11-30"),  # the newest
        ),
    ],
)
def test_the_rate_of_a_table(tmp_path: Path, table: str, code: str, rate: str) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(HEADER + table)
    text = f'key = "id"\ntitle = "name"\n{PRICE}' + rule(file, code, 'from = "EUR"')
    assert str(mapping(text).rate(code)) == rate
    assert mapping(text).rate("EUR") is None


def test_a_table_in_toml(tmp_path: Path) -> None:
    file = tmp_path / "rates.toml"
    file.write_text("date = 2026-11-30\nEUR.USD = 1.1\nEUR.JPY = 160\n")
    assert prices(rule(file, "USD", 'from = "EUR"'))["USD"] == "11.00"
    file.write_text("EUR.USD = 1.1\n")
    with pytest.raises(MisconfiguredError, match="rates_file: the date of"):
        prices(rule(file, "USD", 'from = "EUR"'))
    file.write_text("EUR = 1.1\ndate = 2026-11-30\n")
    with pytest.raises(MisconfiguredError, match="must be a table of rates"):
        prices(rule(file, "USD", 'from = "EUR"'))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "the header of .* must be date,from,to,rate"),
        (HEADER, "has no rates"),
        (f"{HEADER}{TODAY},EUR,USD\n", "row 2 of .* has 3 cells instead of 4"),
        (f"{HEADER}30.11.2026,EUR,USD,1.1\n", "row 2 .* must be like 2026-11-30"),
        (f"{HEADER}{TODAY},EUR,XYZ,1.1\n", 'row 2 .*: "XYZ" is not an ISO 4217'),
        (f"{HEADER}{TODAY};EUR;USD;1,1\n", "has 2 cells|must be like|the header"),
        (f"{HEADER}{TODAY},EUR,USD,0\n", 'like 1.0842, is "0"'),
        (f"{HEADER}{TODAY},EUR,USD,-1\n", 'like 1.0842, is "-1"'),
        (f"{HEADER}{TODAY},EUR,USD,1e3\n", 'like 1.0842, is "1e3"'),
        (
            f"{HEADER}{TODAY},EUR,USD,1.1\n{TODAY},EUR,USD,1.2\n",
            "has two rates from EUR to USD on 2026-11-30",
        ),
        (f"{HEADER}{TODAY},EUR,JPY,160\n", "the table has no rate from EUR to USD"),
    ],
)
def test_a_table_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(content)
    with pytest.raises(MisconfiguredError, match=f"rates_file: .*({problem})"):
        prices(rule(file, "USD", 'from = "EUR"'))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('price_rules.USD = { from = "EUR" }', r"USD\.from: needs `rates_file`"),
        ('price_rules.EUR = { from = "EUR" }', "must be another currency"),
        ('price_rules.EUR = { from = "eur" }', "must be upper case"),
        ("price_rules.EURO = { margin = 1 }", "price_rules.EURO: is not an ISO 4217"),
        ("price_rules.EUR = { margin = 2.5 }", "margin: .*write it as text"),
        ('price_rules.EUR = { margin = "3%" }', "margin: must be a number"),
        ("price_rules.EUR = { margin = -100 }", "margin: must be above -100"),
        ("price_rules.EUR = { round_to = 0 }", "round_to: must be above 0"),
        (
            "price_rules.EUR = { round_to = 1, ending = 9 }",
            "ending: cannot be set with",
        ),
        ('rates_file = "r.csv"', "rates_file: .* cannot be read"),
    ],
)
def test_a_rule_is_refused(text: str, problem: str) -> None:
    with pytest.raises(MisconfiguredError, match=problem):
        prices(text)


def test_what_a_rule_needs(rates: Path) -> None:
    with pytest.raises(MisconfiguredError, match=r"rates_file: needs `from`"):
        prices(f'rates_file = "{rates}"')
    with pytest.raises(MisconfiguredError, match="price_rules: needs `price`"):
        product("price_rules.EUR = { margin = 3 }", {})


def test_a_mapping_reads_its_table_again(rates: Path) -> None:
    text = f'key = "id"\ntitle = "name"\n{PRICE}' + rule(rates, "USD", 'from = "EUR"')
    before = mapping(text)
    rates.write_text(f"{HEADER}2026-12-01,EUR,USD,2\n")
    after = before.reloaded()
    assert str(before.rate("USD")) == "1 EUR = 1.0842 USD on 2026-11-30"
    assert str(after.rate("USD")) == "1 EUR = 2 USD on 2026-12-01"
    assert before.digest != after.digest
    rates.unlink()
    with pytest.raises(MisconfiguredError, match=r"map.rates_file: .* cannot be read"):
        before.reloaded()
    plain = mapping('key = "id"\ntitle = "name"')
    assert plain.reloaded() is plain


def test_the_rules_that_make_a_price(rates: Path) -> None:
    lines = rule(rates, "USD", 'from = "EUR", margin = 3, ending = "0.99"')
    found = mapping(f'key = "id"\ntitle = "name"\n{PRICE}{lines}')
    rates_line, rule_line = lines.split("\n")
    assert rules_of(found, Field.PRICES, "USD") == [
        PRICE.strip(),
        rule_line,
        rates_line,
    ]
    assert rules_of(found, Field.PRICES, "EUR") == [PRICE.strip()]


AMOUNTS = st.decimals("0.01", "99999", places=2)
ROUNDINGS = st.sampled_from(
    ["", 'round_to = "0.05"', "round_to = 5", 'ending = "0.99"', 'ending = "9.95"']
)


@given(AMOUNTS, st.integers(-99, 300), ROUNDINGS)
def test_a_price_is_rounded_to_the_nearest(
    amount: Decimal, margin: int, rounding: str
) -> None:
    text = ", ".join(filter(None, [f"margin = {margin}", rounding]))
    made = Decimal(prices(f"price_rules.EUR = {{ {text} }}", str(amount))["EUR"])
    exact = amount * (100 + margin) / 100
    first, step = {
        "": ("0.01", "0.01"),
        'round_to = "0.05"': ("0.05", "0.05"),
        "round_to = 5": ("5", "5"),
        'ending = "0.99"': ("0.99", "1"),
        'ending = "9.95"': ("9.95", "10"),
    }[rounding]
    assert (made - Decimal(first)) % Decimal(step) == 0
    assert made >= Decimal(first)
    assert abs(made - exact) <= Decimal(step) / 2 or made == Decimal(first)
