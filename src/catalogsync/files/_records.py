"""Records as every format delivers them, before they are grouped into products."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import attrs

from catalogsync.protocols import CatalogVersion

__all__ = ["FileRecords", "Row", "Rows"]


class Row(NamedTuple):
    """One row of a table, or one record.

    Attributes:
        where: Its position, such as `row 17`.
        cells: Its cells in the order of the columns; a mapping, if the format has
            names in each row.
        problem: What is wrong with it; empty: nothing. Otherwise the cells are those
            that could be read.
    """

    where: str
    cells: Sequence[object] | Mapping[str, object]
    problem: str = ""


Rows: TypeAlias = Iterator[Row]


def _no_version() -> CatalogVersion | None:
    return None


@attrs.frozen(kw_only=True)
class FileRecords:
    """A file that has been opened.

    Attributes:
        columns: Names of the columns; empty: each row has its own names.
        rows: The rows; read once.
        facts: What was found out, for people.
        plain: Whether all values are texts, or lists and mappings of texts.
        outside: Values that each record has too; complete after the last row.
        version: Says which version of a catalog of numbered updates it is, after the
            last row.
    """

    columns: Sequence[str]
    rows: Rows
    facts: str = ""
    plain: bool
    outside: Mapping[str, object] = attrs.field(factory=dict[str, object])
    version: Callable[[], CatalogVersion | None] = _no_version
