"""Exchange rates from a dated table: the newest rate of each pair of currencies."""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal
from pathlib import Path
from typing import TypeAlias, cast

import attrs

from catalogsync.catalog.checks import shortened
from catalogsync.errors import InvalidValueError

from ._lines import read_lines, read_text
from ._numbers import check_currency

__all__ = ["EXACT", "Rate", "Rates", "find_rate", "load_rates"]

Rates: TypeAlias = Mapping[tuple[str, str], "Rate"]
"""Rates by the two currencies."""

EXACT = Context(prec=60)
"""Enough digits for any price times any rate."""

_SETTING = "rates_file"
_COLUMNS = ["date", "from", "to", "rate"]
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,30})?", re.ASCII)


@attrs.frozen(kw_only=True)
class Rate:
    """What one unit of a currency is worth in another one.

    Attributes:
        base: The currency of the unit.
        quote: The other currency.
        value: The rate.
        date: The date of the rate.
    """

    base: str
    quote: str
    value: Decimal
    date: dt.date

    def __str__(self) -> str:
        value = f"{self.value:.8g}" if len(str(self.value)) > 12 else self.value
        return f"1 {self.base} = {value} {self.quote} on {self.date}"


def load_rates(file: str | None) -> Rates:
    """The newest rates of a file.

    Args:
        file: A CSV file with the columns `date`, `from`, `to` and `rate`, or a TOML
            file with a `date` and tables of rates; None: there are none.

    Raises:
        InvalidValueError: The file cannot be read, or a rate is not valid.
    """
    if file is None:
        return {}
    path = Path(file)
    found: dict[tuple[str, str], Rate] = {}
    for rate in _of_toml(path) if path.suffix == ".toml" else _of_csv(path):
        pair = rate.base, rate.quote
        known = found.get(pair, rate)
        if known.date == rate.date and known.value != rate.value:
            problem = f"{file} has two rates from {pair[0]} to {pair[1]} on {rate.date}"
            raise InvalidValueError(_SETTING, problem)
        found[pair] = max(known, rate, key=lambda each: each.date)
    if not found:
        raise InvalidValueError(_SETTING, f"{file} has no rates")
    return found


def find_rate(rates: Rates, base: str, quote: str) -> Rate | None:
    """The rate of two currencies: their own, its inverse, or over a third currency."""
    if (found := _direct(rates, base, quote)) is not None:
        return found
    for third in sorted({each for pair in rates for each in pair}):
        one, two = _direct(rates, base, third), _direct(rates, third, quote)
        if one is not None and two is not None:
            value = EXACT.multiply(one.value, two.value)
            date = min(one.date, two.date)
            return Rate(base=base, quote=quote, value=value, date=date)
    return None


def _direct(rates: Rates, base: str, quote: str) -> Rate | None:
    if (found := rates.get((base, quote))) is not None:
        return found
    if (found := rates.get((quote, base))) is None:
        return None
    value = EXACT.divide(Decimal(1), found.value)
    return Rate(base=base, quote=quote, value=value, date=found.date)


def _of_csv(file: Path) -> Iterator[Rate]:
    rows = read_lines(_SETTING, file, len(_COLUMNS))
    names: list[str] = []
    for _, header in rows:
        names = [name.casefold() for name in header]
        break
    if sorted(names) != sorted(_COLUMNS):
        problem = f"the header of {file} must be {','.join(_COLUMNS)}"
        raise InvalidValueError(_SETTING, problem)
    for number, cells in rows:
        row = dict(zip(names, cells, strict=True))
        where = f"row {number} of {file}"
        yield _rate(
            row["from"], row["to"], row["rate"], _date(row["date"], where), where
        )


def _of_toml(file: Path) -> Iterator[Rate]:
    try:
        table = tomllib.loads(read_text(_SETTING, file), parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        problem = f"{file} is not TOML: {error}"
        raise InvalidValueError(_SETTING, problem) from None
    date = _date(table.pop("date", ""), str(file))
    for base, quotes in table.items():
        for quote, value in _items(quotes, f"{base} of {file}"):
            yield _rate(base, quote, value, date, f"{base}.{quote} of {file}")


def _items(value: object, where: str) -> Iterable[tuple[str, object]]:
    if not isinstance(value, dict):
        problem = f"{where} must be a table of rates, such as EUR.USD = 1.08"
        raise InvalidValueError(_SETTING, problem)
    return cast("dict[str, object]", value).items()


def _date(value: object, where: str) -> dt.date:
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        problem = f"the date of {where} must be like 2026-11-30, is {_quoted(value)}"
        raise InvalidValueError(_SETTING, problem) from None


def _rate(base: str, quote: str, value: object, date: dt.date, where: str) -> Rate:
    for code in (base, quote):
        try:
            check_currency(code)
        except InvalidValueError as error:
            problem = f"{where}: {_quoted(code)} {error.problem}"
            raise InvalidValueError(_SETTING, problem) from None
    if not _NUMBER.fullmatch(str(value)) or not Decimal(str(value)):
        problem = f"{where}: a rate must be like 1.0842, is {_quoted(value)}"
        raise InvalidValueError(_SETTING, problem)
    return Rate(base=base, quote=quote, value=Decimal(str(value)), date=date)


def _quoted(value: object) -> str:
    return f'"{shortened(value)}"'
