"""Proposing a map for records, from the names of their columns and from their values.

Nothing is decided silently: each line has a reason, and what the records do not say
(a currency, a unit, what a word means) becomes a question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from catalogsync.catalog.checks import is_country
from catalogsync.errors import InvalidValueError

from ._columns import Column, Records, objects_in, paths_of
from ._deleted import yes_or_no
from ._names import NAMES
from ._numbers import LENGTHS, WEIGHTS, check_currency, check_unit, number_marks

__all__ = ["Guess", "guess"]

_SIGNS = {"€": "EUR", "$": "USD", "£": "GBP", "zł": "PLN", "kr": "SEK"}
_LEVELS = (" > ", ">", " -> ", "->", " » ", " / ", "/", "|", "\\")
_LISTS = ("|", ";", ",")
_TELLING = 5  # in fewer records, much is different by chance
_NOT_A_KEY = re.compile(r"\s|://|.{65}")
_ADDRESS = re.compile(r"https?://")
_SHOWN = 20
_OF_VARIANTS = frozenset({"sku", "barcode", "price", "prices", "currency", "stock"})
_CURRENCIES = ("currency", "currency code", "währung", "devise", "moneda", "valuta")
_LIVE = {"1": "published", "0": "draft", "active": "published", "inactive": "draft"}
_STATUSES = frozenset({"published", "draft", "true", "false"})
_UNITS = {"weight": WEIGHTS, "length": LENGTHS, "width": LENGTHS, "height": LENGTHS}
_MEASURES = {**_UNITS, **{f"variant_{name}": units for name, units in _UNITS.items()}}


@attrs.define
class Guess:
    """A proposed map.

    Attributes:
        lines: Its lines, in TOML.
        facts: Where each field comes from, and why.
        questions: What only a person can know.
        missing: `key` and `title`, if no column looks like it.
    """

    lines: list[str] = attrs.field(factory=list[str])
    facts: list[str] = attrs.field(factory=list[str])
    questions: list[str] = attrs.field(factory=list[str])
    missing: list[str] = attrs.field(factory=list[str])

    def add(self, field: str, column: str, line: str, why: Iterable[str] = ()) -> None:
        """Add the line of a field, and why."""
        reasons = ", ".join(filter(None, why))
        self.lines.append(f"{field} = {line}")
        source = f"{field}: column {_text(column)}"
        self.facts.append(f"{source} ({reasons})" if reasons else source)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def guess(columns: Sequence[str], records: Records) -> Guess:
    """Propose a map.

    Args:
        columns: Names or paths, in their order.
        records: Some of the records.
    """
    result, used = Guess(), set[str]()
    nested = _nested(records)
    known = [
        Column.of(path, records) for path in columns if not _is_below(path, nested)
    ]
    for field, names in NAMES.items():
        found = [] if nested and _is_of_variant(field) else _matching(known, names)
        if not found:
            if field in {"key", "title"}:
                result.missing.append(field)
            continue
        taken = _PROPOSERS.get(field, _single)(result, field, found, known)
        used.update(taken)
    if nested:
        used.update(column for column in columns if _is_below(column, nested))
        _add_nested(result, nested, records)
    if keys := _candidates(known, len(records))[:_SHOWN]:
        result.facts.append(f"different in each record: {', '.join(keys)}")
    unused = [_text(column) for column in columns if column not in used]
    if unused:
        more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
        result.facts.append(f"not used: {', '.join(unused[:_SHOWN])}{more}")
    return result


def _candidates(columns: Sequence[Column], number: int) -> list[str]:
    """The columns that could be keys: each record has a word of its own in them."""
    return [
        _text(column.path)
        for column in columns
        if len(set(column.texts)) == len(column.texts) == number >= _TELLING
        and not any(map(_NOT_A_KEY.search, column.texts))
    ]


def _is_of_variant(field: str) -> bool:
    return field in _OF_VARIANTS or field.startswith("options.")


def _is_below(path: str, name: str) -> bool:
    return bool(name) and path.startswith((f"{name}.", f"{name}[]."))


def _nested(records: Records) -> str:
    """The column with the variants of a record; empty: there is none."""
    for name in {name: None for record in records for name in record}:
        items = [each for record in records for each in objects_in(record.get(name))]
        if not items or not any(isinstance(r.get(name), list) for r in records):
            continue
        fields = {line.partition(" ")[0] for line in _of_items(items).lines}
        if fields & {"sku", "price"} or any(f.startswith("prices.") for f in fields):
            return name
    return ""


def _of_items(items: Records) -> Guess:
    """What is proposed for the variants of records."""
    found = guess(paths_of(items), items)
    at = [n for n, line in enumerate(found.lines) if _is_of_variant(_field(line))]
    facts = [fact for fact in found.facts if _is_of_variant(fact.partition(":")[0])]
    return Guess([found.lines[n] for n in at], facts, found.questions)


def _field(line: str) -> str:
    name = line.partition(" ")[0]
    return "price" if name.startswith("prices.") else name


def _add_nested(result: Guess, name: str, records: Records) -> None:
    items = [each for record in records for each in objects_in(record.get(name))]
    found = _of_items(items)
    result.add("variants", name, _text(name), ["a list with the variants"])
    result.lines += found.lines
    result.facts += found.facts
    result.questions += found.questions


def _matching(columns: Sequence[Column], names: Sequence[str]) -> list[Column]:
    """The columns with the first of these names that any has."""
    for name in names:
        if found := [column for column in columns if column.name == name]:
            return found
    return []


def _single(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    column = found[0]
    result.add(field, column.path, _text(column.path))
    return [column.path]


def _key(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    column, texts = found[0], found[0].texts
    if len(set(texts)) < len(texts):
        why = "its values repeat: rows with the same one are a product"
    else:
        why = f"each of {len(texts)} rows has its own"
    result.add(field, column.path, _text(column.path), [why])
    return [column.path]


def _images(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    paths = [column.path for column in found]
    texts = [text for column in found for text in column.texts]
    several = any(len(_ADDRESS.findall(text)) > 1 for text in texts)
    separator = next((s for s in _LISTS if any(s in t for t in texts)), "")
    split = f", split = {_text(separator)}" if several and separator else ""
    if len(paths) > 1:
        listed = ", ".join(map(_text, paths))
        result.add(
            field,
            paths[0],
            f"{{ all = [{listed}]{split} }}",
            [f"and {len(paths) - 1} more"],
        )
    elif split:
        result.add(field, paths[0], f"{{ from = {_text(paths[0])}{split} }}")
    else:
        result.add(field, paths[0], _text(paths[0]))
    return paths


def _categories(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    column, texts = found[0], found[0].texts
    levels = next(
        (s for s in _LEVELS if sum(s in t for t in texts) * 2 > len(texts)), ""
    )
    why = [f"with levels, separated by {levels.strip()}" if levels else ""]
    result.add(field, column.path, _text(column.path), why)
    if levels:
        result.lines.append(f"category_levels = {_text(levels.strip())}")
    return [column.path]


def _tags(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    column, texts = found[0], found[0].texts
    separator = next((s for s in _LISTS if any(s in t for t in texts)), "")
    if not separator:
        return _single(result, field, found, ())
    line = f"{{ from = {_text(column.path)}, split = {_text(separator)} }}"
    result.add(field, column.path, line, [f"separated by {separator}"])
    return [column.path]


def _status(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    column = found[0]
    values = sorted({text.casefold() for text in column.texts})
    if not values:
        return []
    if _STATUSES.issuperset(values):
        return _single(result, field, found, ())
    words = {value: _LIVE.get(value, "") for value in values if value not in _STATUSES}
    table = ", ".join(f"{_text(word)} = {_text(to)}" for word, to in words.items())
    line = f"{{ from = {_text(column.path)}, words = {{ {table} }} }}"
    if all(words.values()):
        result.add(field, column.path, line)
    elif len(words) <= _SHOWN:
        shown = line.replace('""', '"published"')
        result.questions.append(f"what is published? for example: {field} = {shown}")
    return [column.path]


def _country(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    column = found[0]
    words = [t for t in dict.fromkeys(column.texts) if not is_country(t.upper())]
    if not words:
        return _single(result, field, found, ())
    table = ", ".join(f'{_text(word)} = "DE"' for word in words[:_SHOWN])
    example = f"{field} = {{ from = {_text(column.path)}, words = {{ {table} }} }}"
    result.questions.append(f"which ISO 3166 codes? for example: {example}")
    return [column.path]


def _flag(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    column = found[0]
    words = [t for t in dict.fromkeys(column.texts) if yes_or_no(t) is None]
    if not words:
        return _single(result, field, found, ())
    table = ", ".join(f"{_text(word)} = true" for word in words[:_SHOWN])
    example = f"{field} = {{ from = {_text(column.path)}, words = {{ {table} }} }}"
    result.questions.append(f"which mean yes? for example: {example}")
    return [column.path]


def _measure(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    column, units = found[0], _MEASURES[field]
    unit = _known(column.hint, lambda text: check_unit(text, units))
    marks, named = _marks(column)
    decimal = f', decimal = "{marks}"' if marks else ""
    if column.cells and not named and not unit:
        some = next(iter(units))
        example = (
            f'{field} = {{ from = {_text(column.path)}, unit = "{some}"{decimal} }}'
        )
        result.questions.append(f"which unit? for example: {example}")
        return [column.path]
    given = f', unit = "{unit}"' if unit else ""
    path = _text(column.path)
    line = f"{{ from = {path}{given}{decimal} }}" if given or decimal else path
    why = [f"{unit} from the header" if unit else "", _mark_named(marks)]
    result.add(field, column.path, line, why)
    return [column.path]


def _prices(
    result: Guess, field: str, found: Sequence[Column], columns: Sequence[Column]
) -> list[str]:
    codes: dict[str, Column] = {}
    for column in found:
        if code := _currency(column.hint):
            codes.setdefault(code, column)
    if len(codes) > 1:
        for code, column in codes.items():
            _price(result, f"prices.{code}", column, code)
        return [column.path for column in codes.values()]
    code, column = next(iter(codes.items()), ("", found[0]))
    elsewhere = [] if code else _matching(columns, _CURRENCIES)
    for each in elsewhere[:1]:
        result.add("currency", each.path, _text(each.path))
    _price(result, field, column, code, known=bool(elsewhere))
    return [column.path, *(each.path for each in elsewhere[:1])]


def _price(
    result: Guess, field: str, column: Column, code: str, *, known: bool = False
) -> None:
    """The line of a price, or what is not known of it.

    Args:
        result: Receives it.
        field: `price`, or `prices` with a currency.
        column: The column.
        code: The currency in the header; empty: there is none.
        known: Whether the currency stands in another column.
    """
    path = _text(column.path)
    try:
        marks, named = number_marks(column.cells)
    except InvalidValueError as error:
        result.questions.append(f"column {path} is not a price: {error.problem}")
        return
    decimal = f', decimal = "{marks}"' if marks else ""
    if not (code or named or known):
        example = f'{field} = {{ from = {path}, currency = "EUR"{decimal} }}'
        result.questions.append(f"which currency? for example: {example}")
        return
    given = f', currency = "{code}"' if code and field == "price" else ""
    line = f"{{ from = {path}{given}{decimal} }}" if given or decimal else path
    why = [f"{code} from the header" if code else "", _mark_named(marks)]
    result.add(field, column.path, line, why)


def _stock(
    result: Guess, field: str, found: Sequence[Column], _: Sequence[Column]
) -> list[str]:
    column = found[0]
    words = [t for t in dict.fromkeys(column.texts) if not re.search(r"\d", t)]
    if not words:
        return _single(result, field, found, ())
    table = ", ".join(f"{_text(word)} = 0" for word in words[:_SHOWN])
    example = f"{field} = {{ from = {_text(column.path)}, words = {{ {table} }} }}"
    result.questions.append(f"how many pieces? for example: {example}")
    return [column.path]


def _marks(column: Column) -> tuple[str | None, bool]:
    try:
        return number_marks(column.cells)
    except InvalidValueError:
        return None, False


def _mark_named(mark: str | None) -> str:
    return "" if mark is None else f"decimal {'comma' if mark == ',' else 'point'}"


def _currency(hint: str) -> str:
    return _known(_SIGNS.get(hint, hint), check_currency)


def _known(text: str, check: Callable[[str], str]) -> str:
    try:
        return check(text) if text else ""
    except InvalidValueError:
        return ""


_PROPOSERS: Mapping[
    str, Callable[[Guess, str, Sequence[Column], Sequence[Column]], list[str]]
] = {
    "key": _key,
    "images": _images,
    "categories": _categories,
    "tags": _tags,
    "status": _status,
    "origin_country": _country,
    "discountable": _flag,
    "price": _prices,
    "stock": _stock,
    **dict.fromkeys(_MEASURES, _measure),
}
