"""Examining a file and proposing settings for it; what is not certain is asked."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import cast

from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.files import find_file
from catalogsync.mapping import (
    NAMES,
    Expression,
    Proposal,
    RecordMapping,
    guess,
    number_marks,
    paths_of,
)

from ._formats import opened_table
from ._settings import TableSettings

__all__ = ["sniff"]

_SAMPLE = 500
_ENOUGH = 4
_TELLING = 2


def sniff(location: str, presets: Mapping[str, RecordMapping]) -> Proposal:
    """Examine a file; blocks.

    Args:
        location: A path or an address.
        presets: Maps of presets, by name: `from_preset(name, settings).map` for each of
            `catalogsync.config.presets("table")`. A file with enough of the columns of
            one gets this preset as the proposal.

    Raises:
        MisconfiguredError: It cannot be read, or has no column that could be a key or a
            title; the error lists its columns.
        TransientError: It cannot be read now.
    """
    probe = _probe(presets)
    settings = TableSettings(location=location, name="sniff", map=probe)
    file = find_file(location)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        table = opened_table(settings, file, Path(folder), stack)
        rows = [row.cells for row in islice(table.rows, _SAMPLE) if not row.problem]
        columns = table.columns or _columns_of(rows)
    facts = [f"{file.place}: {table.facts}"]
    records = [
        dict(zip(columns, row, strict=False)) if not isinstance(row, Mapping) else row
        for row in rows
    ]
    if (found := _preset(columns, presets)) is not None:
        name, count = found
        facts.append(f"it looks like {name}: {count} of its columns are there")
        asked = _currency_of(presets[name], columns, records)
        return Proposal(facts=tuple(facts), questions=asked, preset=name)
    return _guessed(columns, records, facts)


def _forms(name: str) -> tuple[str, ...]:
    return (name, name.capitalize(), name.title(), name.upper())


def _probe(presets: Mapping[str, RecordMapping]) -> RecordMapping:
    """A mapping with all names that are known, for finding the header."""
    columns = {name for each in presets.values() for name in _columns_in(each)}
    known = (form for names in NAMES.values() for n in names for form in _forms(n))
    everything = [*columns, *known]
    return RecordMapping(
        optional_columns=True,
        key=Expression(from_=tuple(everything)),
        title=Expression(from_=tuple(everything)),
        attributes={"any": Expression(from_=tuple(everything))},
    )


def _columns_of(rows: Iterable[object]) -> tuple[str, ...]:
    """The names in rows that have them."""
    found: dict[str, None] = {}
    for row in rows:
        if isinstance(row, Mapping):
            found |= dict.fromkeys(map(str, cast("Mapping[object, object]", row)))
    return tuple(found)


def _columns_in(mapping: RecordMapping) -> frozenset[str]:
    """The columns that a map names."""
    return frozenset(name for _, spec in mapping.expressions() for name in spec.columns)


def _preset(
    columns: Sequence[str], presets: Mapping[str, RecordMapping]
) -> tuple[str, int] | None:
    """The preset most of whose columns exist, and how many; None: there is none."""
    shared = {n: _columns_in(m).intersection(columns) for n, m in presets.items()}
    name = max(shared, key=lambda name: len(shared[name]), default="")
    found = shared.get(name, frozenset[str]())
    # `title` and `price` are in many files; a name of several words is more telling.
    telling = [column for column in found if re.search(r"[\W_]", column)]
    is_enough = len(found) >= _ENOUGH and len(telling) >= _TELLING
    return (name, len(found)) if is_enough else None


def _currency_of(
    mapping: RecordMapping,
    columns: Sequence[str],
    records: Sequence[Mapping[str, object]],
) -> tuple[str, ...]:
    """The question which currency a map's price is in, unless map or cells say it."""
    price = mapping.price
    if price is None or price.currency is not None or mapping.currency is not None:
        return ()
    column = next((name for name in price.columns if name in columns), None)
    if column is None:
        return ()
    try:
        _, named = number_marks(record.get(column) for record in records)
    except InvalidValueError:
        named = False
    question = 'which currency? for example: currency = { value = "EUR" }'
    return () if named else (question,)


def _guessed(
    columns: Sequence[str], records: Sequence[Mapping[str, object]], facts: list[str]
) -> Proposal:
    found = guess(paths_of(records) or columns, records)
    if found.missing:
        some = ", ".join(f"`{name}`" for name in columns[:20])
        problem = f"no column looks like it; the columns are: {some}"
        raise MisconfiguredError(f"map.{found.missing[0]}", problem)
    return Proposal(
        type="table",
        facts=(*facts, *found.facts),
        questions=tuple(found.questions),
        map=tuple(found.lines),
    )
