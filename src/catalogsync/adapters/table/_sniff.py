"""Examining a file and proposing settings for it; what is not certain is asked."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import cast

import attrs

from catalogsync.errors import InvalidValueError, MisconfiguredError
from catalogsync.files import find_file
from catalogsync.mapping import Expression, RecordMapping, number_marks, presets

from ._formats import opened_table
from ._settings import TableSettings

__all__ = ["Proposal", "sniff"]

_SAMPLE = 500
_ENOUGH = 4
_NAMES: Mapping[str, tuple[str, ...]] = {
    "key": (
        "handle",
        "slug",
        "parent sku",
        "parent_sku",
        "item_group_id",
        "group",
        "style no",
        "product id",
        "product_id",
        "id",
        "sku",
        "article number",
        "artikelnummer",
    ),
    "title": ("title", "name", "product name", "product title", "bezeichnung", "titel"),
    "description": ("description", "body", "beschreibung", "text"),
    "brand": ("brand", "vendor", "manufacturer", "hersteller", "marke"),
    "categories": ("category", "categories", "kategorie", "product type"),
    "tags": ("tags", "keywords"),
    "images": ("image", "image url", "image_link", "picture", "bild"),
    "sku": ("sku", "variant sku", "item number", "artikelnummer"),
    "barcode": ("barcode", "ean", "gtin", "upc"),
    "stock": ("stock", "qty", "quantity", "stock qty", "inventory", "bestand"),
    "price": ("price", "list price", "preis", "regular price", "retail price"),
    "options.Size": ("size", "größe"),
    "options.Color": ("color", "colour", "farbe"),
}


@attrs.frozen(kw_only=True)
class Proposal:
    """What was found in a file, and settings for it.

    Attributes:
        facts: What was found, and why.
        questions: What only a person can know; without the answers, the proposed
            settings leave it out.
        map: The lines of the proposed map, in TOML.
    """

    facts: tuple[str, ...]
    questions: tuple[str, ...]
    map: tuple[str, ...]

    def toml(self, job: str, location: str) -> str:
        """A configuration with the proposal, for a SQLite file."""
        asked = [f"# {question}" for question in self.questions]
        lines = [
            f"[jobs.{job}.source]",
            'type = "table"',
            f"name = {_text(job)}",
            f"location = {_text(location)}",
            "",
            f"[jobs.{job}.source.map]",
            *self.map,
            *asked,
            "",
            f"[jobs.{job}.sink]",
            'type = "sql"',
            'url = "sqlite:///catalog.db"',
        ]
        return "\n".join(lines) + "\n"


def sniff(location: str) -> Proposal:
    """Examine a file; blocks.

    Args:
        location: A path or an address.

    Raises:
        MisconfiguredError: It cannot be read, or has no column that could be a key or a
            title; the error lists its columns.
        TransientError: It cannot be read now.
    """
    probe = _probe()
    settings = TableSettings(location=location, name="sniff", map=probe)
    file = find_file(location)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        table = opened_table(file, settings, Path(folder), stack)
        rows = [row.cells for row in islice(table.rows, _SAMPLE) if not row.problem]
        columns = table.columns or _columns_of(rows)
    facts = [f"{file.place}: {table.facts}"]
    records = [
        dict(zip(columns, row, strict=False)) if not isinstance(row, Mapping) else row
        for row in rows
    ]
    if (preset := _preset(columns)) is not None:
        name, count = preset
        facts.append(f"it looks like {name}: {count} of its columns are there")
        return _with_preset(name, facts)
    return _guessed(columns, records, facts)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _forms(name: str) -> tuple[str, ...]:
    return (name, name.capitalize(), name.title(), name.upper())


def _probe() -> RecordMapping:
    """A mapping with all names that are known, for finding the header."""
    known = {
        field: [f for n in names for f in _forms(n)] for field, names in _NAMES.items()
    }
    columns = {name for each in presets().values() for name in each}
    everything = [*columns, *(name for names in known.values() for name in names)]
    return RecordMapping(
        preset="sniff",
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


def _preset(columns: Sequence[str]) -> tuple[str, int] | None:
    """The preset most of whose columns exist, and how many; None: there is none."""
    best = max(
        ((sum(n in columns for n in names), name) for name, names in presets().items())
    )
    return (best[1], best[0]) if best[0] >= _ENOUGH else None


def _with_preset(name: str, facts: Sequence[str]) -> Proposal:
    lines, questions = [f"preset = {_text(name)}"], list[str]()
    if name in {"shopify", "woocommerce"}:
        questions.append('which currency? for example: currency = { value = "EUR" }')
    return Proposal(facts=tuple(facts), questions=tuple(questions), map=tuple(lines))


def _guessed(
    columns: Sequence[str], records: Sequence[Mapping[str, object]], facts: list[str]
) -> Proposal:
    found = {field: _column(columns, names) for field, names in _NAMES.items()}
    lines: list[str] = []
    questions: list[str] = []
    for field, column in found.items():
        if column is None or field == "price":
            continue
        lines.append(f"{field} = {_text(column)}")
        facts.append(f"{field}: column {_text(column)}")
    for field in ("key", "title"):
        if found[field] is None:
            some = ", ".join(f"`{name}`" for name in columns[:20])
            problem = f"no column looks like it; the columns are: {some}"
            raise MisconfiguredError(f"map.{field}", problem)
    if (price := found["price"]) is not None:
        _add_price(price, records, lines, questions)
    return Proposal(facts=tuple(facts), questions=tuple(questions), map=tuple(lines))


def _column(columns: Sequence[str], names: Iterable[str]) -> str | None:
    by_name = {column.casefold(): column for column in reversed(columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def _add_price(
    column: str,
    records: Sequence[Mapping[str, object]],
    lines: list[str],
    questions: list[str],
) -> None:
    """The line of the price, or what is not known of it."""
    cells = [record.get(column) for record in records]
    try:
        marks, named = number_marks(cells)
    except InvalidValueError as error:
        questions.append(f"column {_text(column)} is no price: {error.problem}")
        return
    decimal = f", decimal = {_text(marks)}" if marks else ""
    if named:
        lines.append(f"price = {{ from = {_text(column)}{decimal} }}")
        return
    example = f'price = {{ from = {_text(column)}, currency = "EUR"{decimal} }}'
    questions.append(f"which currency? for example: {example}")
