"""The header of a table: where it is, and whether it has the columns that are mapped."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from catalogsync.catalog.checks import shortened
from catalogsync.errors import MisconfiguredError
from catalogsync.mapping import RecordMapping

__all__ = ["MOST_COLUMNS", "check_columns", "header_of", "likeness"]

MOST_COLUMNS = 10_000
_SEARCHED = 50


def likeness(cells: Sequence[object], mapping: RecordMapping) -> int:
    """How many of the columns that a mapping needs are among these cells."""
    names = {str(cell).strip() for cell in cells if cell is not None}
    needed = {name for _, spec in mapping.expressions() for name in spec.columns}
    return len(names & needed) + bool(names & {*mapping.key.columns})


def header_of(
    rows: Sequence[Sequence[object]],
    mapping: RecordMapping,
    *,
    row: int | None,
    where: str,
) -> tuple[int, tuple[str, ...]]:
    """The position of the header and the names of the columns.

    Args:
        rows: The first rows.
        mapping: The mapping, whose columns tell the header from other rows.
        row: Number of the header, if it is set; None: the row that looks most like it.
        where: The file, for messages.

    Raises:
        MisconfiguredError: There is none, or it has too many columns.
    """
    if row is not None:
        if row > len(rows):
            problem = f"is {row}, but {where} has {len(rows)} rows there"
            raise MisconfiguredError("header_row", problem)
        return row - 1, _names(rows[row - 1], where)
    best = max(
        range(min(len(rows), _SEARCHED)),
        key=lambda n: (likeness(rows[n], mapping), -n),
        default=None,
    )
    if best is None:
        raise MisconfiguredError("location", f"{where} is empty")
    return best, _names(rows[best], where)


def _names(cells: Sequence[object], where: str) -> tuple[str, ...]:
    """The names of the columns; columns without a name get their number."""
    if len(cells) > MOST_COLUMNS:
        problem = f"{where} has {len(cells)} columns, more than {MOST_COLUMNS}"
        raise MisconfiguredError("location", problem)
    names: dict[str, None] = {}
    for number, cell in enumerate(cells, 1):
        text = "" if cell is None else str(cell).strip()
        name = text or f"column {number}"
        if name in names:
            name = f"{name} (column {number})"
        names[name] = None
    return tuple(names)


def check_columns(columns: Sequence[str], mapping: RecordMapping, where: str) -> None:
    """Check that the columns that a mapping needs exist.

    Of several alternatives, one is enough. With `optional_columns`, only key and title
    must exist.

    Raises:
        MisconfiguredError: One is missing; the error suggests the nearest name.
    """
    for path, spec in mapping.expressions():
        names = [name for name in spec.columns if "*" not in name]
        if not names or any(name in columns for name in names):
            continue
        if mapping.optional_columns and path not in {"key", "title"}:
            continue
        nearest = difflib.get_close_matches(names[0], columns, n=1, cutoff=0.5)
        hint = f"did you mean `{nearest[0]}`?" if nearest else _listed(columns)
        problem = f"{where} has no column `{shortened(names[0])}`; {hint}"
        raise MisconfiguredError(f"map.{path}", problem)


def _listed(columns: Sequence[str]) -> str:
    some = ", ".join(f"`{shortened(name)}`" for name in columns[:20])
    return f"its columns: {some}{', …' if len(columns) > 20 else ''}"
