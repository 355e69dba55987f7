"""Weights and sizes: of a product from its columns, and of its variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from catalogsync.catalog.products import UNSET, Dimensions
from catalogsync.errors import InvalidValueError

from ._expression import Expression
from ._numbers import LENGTHS, WEIGHTS, DecimalMark, measure
from ._record import Record, is_empty

if TYPE_CHECKING:
    from ._mapping import RecordMapping

__all__ = ["SizeLine", "measured", "size_lines", "sizes_in", "sizes_of"]

SizeLine: TypeAlias = tuple[str, str, Expression, Callable[[object], Decimal]]
"""Name in the model, path, expression and reader of a weight or a length."""

_UNITS = {"weight": WEIGHTS, "length": LENGTHS, "width": LENGTHS, "height": LENGTHS}
_SIDES = ("length", "width", "height")


def measured(
    spec: Expression, units: dict[str, Decimal], decimal: DecimalMark | None
) -> Callable[[object], Decimal]:
    """Reads a weight or length in grams or millimetres."""
    mark = spec.decimal or decimal
    return lambda value: measure(value, units, spec.unit_of_numbers, mark)


def size_lines(mapping: RecordMapping) -> list[SizeLine]:
    """The weight and sizes of variants in a mapping."""
    return [
        (name, f"variant_{name}", spec, measured(spec, units, mapping.mark))
        for name, units in _UNITS.items()
        if (spec := getattr(mapping, f"variant_{name}")) is not None
    ]


def sizes_in(record: Record, lines: Sequence[SizeLine]) -> dict[str, Decimal]:
    """The weight and sizes in a record.

    Raises:
        InvalidValueError: One is not valid.
    """
    found: dict[str, Decimal] = {}
    for name, path, spec, reader in lines:
        try:
            value = spec.find(record.values)
            if not is_empty(value):
                found[name] = reader(value)
        except InvalidValueError as error:
            raise error.under(path) from None
    return found


def sizes_of(found: Mapping[str, Decimal], cleared: frozenset[str]) -> dict[str, Any]:
    """The weight and dimensions of a variant; *cleared* ones are empty if missing."""
    sides = {name: found[name] for name in _SIDES if name in found}
    no_sides = UNSET if cleared.isdisjoint(_SIDES) else None
    return {
        "weight": found.get("weight", None if "weight" in cleared else UNSET),
        "dimensions": Dimensions(**sides) if sides else no_sides,
    }
