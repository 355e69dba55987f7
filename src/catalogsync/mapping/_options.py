"""The options of a variant: declared by name, or as pairs of name and value."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias, cast

import attrs

from catalogsync.catalog.checks import shortened
from catalogsync.errors import InvalidValueError

from ._expression import Expression
from ._paths import as_text, lookup
from ._record import Record, is_empty

__all__ = ["OptionNames", "OptionParts"]

OptionNames: TypeAlias = dict[tuple[str, str], str]
"""The option names that were seen in a product so far, by pair of columns."""

_Pair: TypeAlias = Callable[[Record, OptionNames], Iterator[tuple[object, object]]]


_NAMED = re.compile(r"\s*([^=:]*[^=:\s])\s*[=:]\s*(.*?)\s*", re.DOTALL)


@attrs.frozen
class OptionParts:
    """What a mapping says about options, prepared for many products.

    Attributes:
        named: Options by name.
        pairs: Each finds names and values in a record.
        blank: Values that stand for no option, in lower case.
    """

    named: Mapping[str, Expression]
    pairs: Sequence[_Pair]
    blank: Collection[str]

    @classmethod
    def of(
        cls,
        named: Mapping[str, Expression],
        pairs: Sequence[Sequence[str]],
        listed: Expression | None,
        blank: Sequence[str],
    ) -> OptionParts:
        """Prepare them; the arguments are as in `RecordMapping`."""
        prepared = [_pair(name, value) for name, value in pairs]
        if listed is not None:
            prepared.append(_listed(listed))
        return cls(named, prepared, {text.strip().casefold() for text in blank})

    def __bool__(self) -> bool:
        return bool(self.named or self.pairs)

    def find(self, record: Record, names: OptionNames) -> dict[str, str]:
        """The options in a record, by name.

        Args:
            record: The record.
            names: Names seen in the product so far; new ones are added.

        Raises:
            InvalidValueError: One is not a text; names the path.
        """
        found = [
            (name, spec.find(record.values), f"options.{name}")
            for name, spec in self.named.items()
        ]
        for pair in self.pairs:
            for name, value in pair(record, names):
                text = _text(name, "option_pairs")
                found.append((text, value, f"options.{text}"))
        texts = ((n, _text(value, path)) for n, value, path in found)
        return {n: t for n, t in texts if t and t.casefold() not in self.blank}


def _text(value: object, path: str) -> str:
    try:
        return "" if is_empty(value) else as_text(value).strip()
    except InvalidValueError as error:
        raise error.under(path) from None


def _pair(name: str, value: str) -> _Pair:
    if "*" in value and "[" not in value:
        return _columns(name, value)
    find_name, find_value = lookup(name), lookup(value)

    def find(record: Record, names: OptionNames) -> Iterator[tuple[object, object]]:
        found = find_name(record.values), find_value(record.values)
        if isinstance(found[0], list) and isinstance(found[1], list):
            listed = cast("tuple[list[object], list[object]]", found)
            if len(listed[0]) != len(listed[1]):
                problem = f"`{name}` and `{value}` have different numbers of items"
                raise InvalidValueError("option_pairs", problem)
            yield from zip(*listed, strict=True)
        else:
            yield from _one(*found, (name, value), names)

    return find


def _listed(spec: Expression) -> _Pair:
    """Options in one value, each with its name, such as `Color=Red`."""

    def find(record: Record, _: OptionNames) -> Iterator[tuple[object, object]]:
        try:
            found = spec.find(record.values)
        except InvalidValueError as error:
            raise error.under("option_list") from None
        items = cast("list[object]", found) if isinstance(found, list) else [found]
        for item in items:
            if not (text := _text(item, "option_list")):
                continue
            parts = _NAMED.fullmatch(text)
            if parts is None:
                problem = f"{shortened(text)!r} has no name, as in `Color=Red`"
                raise InvalidValueError("option_list", problem)
            yield parts[1], parts[2]

    return find


def _columns(name: str, value: str) -> _Pair:
    """Pairs of columns; `*` stands for the same text in both."""
    before, _, after = value.partition("*")

    def find(record: Record, names: OptionNames) -> Iterator[tuple[object, object]]:
        for column, found in record.values.items():
            if column.startswith(before) and column.endswith(after):
                text = column[len(before) : len(column) - len(after)]
                place = name.replace("*", text), column
                yield from _one(record.values.get(place[0]), found, place, names)

    return find


def _one(
    name: object, value: object, place: tuple[str, str], names: OptionNames
) -> Iterator[tuple[object, object]]:
    """One option; a missing name is that of the record before."""
    if not is_empty(name):
        names[place] = _text(name, place[0])
    if not is_empty(value) and place in names:
        yield names[place], value
