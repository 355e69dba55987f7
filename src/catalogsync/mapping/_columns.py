"""The columns of records: names without units and currencies, and paths to parts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

import attrs

from ._names import NAMES
from ._paths import as_text, lookup
from ._record import is_empty

__all__ = ["Column", "Records", "objects_in", "paths_of"]

Records: TypeAlias = Sequence[Mapping[str, object]]

_HINT = re.compile(r"\s*[(\[]\s*([^)\]]+?)\s*[)\]]$|[\s_]+(?:in\s+)?(\S+)$")
_PATH = re.compile(
    r"""(?:[A-Za-z_]\w*|"[^"]*")(?:\[\])?(?:\.(?:[A-Za-z_]\w*|"[^"]*")(?:\[\])?)*""",
    re.ASCII,
)
_SEGMENT = re.compile(r"""("[^"]*"|[^.\[\]"]+)(?:\[\])?""")
_PREFIX = re.compile(r"^@|^[a-z]\w*:(?=\w)")
_NUMBERED = re.compile(r"^(.*?) ?\d+$")
_DEEPEST = 3
_WEAK = frozenset(
    {"src", "url", "href", "link", "value", "name", "title", "amount", "text", "label"}
)
_KNOWN = frozenset(name for names in NAMES.values() for name in names)


@attrs.frozen
class Column:
    """A column: its name as written, without its hint, and its values that are not empty.

    Attributes:
        path: Name of the column, or path.
        name: The name in lower case, without hint and signs.
        hint: What stands in brackets or at the end of the name, such as `kg` or `EUR`.
        cells: Values that are not empty.
    """

    path: str
    name: str
    hint: str
    cells: Sequence[object]

    @classmethod
    def of(cls, path: str, records: Records) -> Column:
        """A column of these records."""
        find = lookup(path)
        cells = [cell for each in records if not is_empty(cell := find(each))]
        is_column = not records or any(path in each for each in records)
        parts = [path] if is_column else [p.strip('"') for p in _SEGMENT.findall(path)]
        titles = [_PREFIX.sub("", part.strip()) for part in parts]
        name, hint = _parted(titles[-1])
        # `price.amount` is a price, and `brand.name` a brand.
        if len(parts) > 1 and (name in _WEAK or parts[-1] == "#text"):
            above, below = _parted(titles[-2])
            if above in _KNOWN or parts[-1] == "#text":
                name, hint = above, below
        return cls(path, name, hint, cells)

    @property
    def texts(self) -> list[str]:
        """The values that are simple, as texts."""
        return [
            as_text(cell).strip()
            for cell in self.cells
            if not isinstance(cell, list | Mapping)
        ]


def _parted(title: str) -> tuple[str, str]:
    """A title in lower case, without what follows a known name, and that."""
    plain = _plain(title)
    if plain in _KNOWN:
        return plain, ""
    numbered = _NUMBERED.match(plain)
    if numbered and numbered[1] in _KNOWN:
        return numbered[1], ""
    found = _HINT.search(title)
    if found and (name := _plain(title[: found.start()])) in _KNOWN:
        return name, found[1] or found[2]
    return plain, ""


def _plain(title: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", title)
    return re.sub(r"[\s_\-.:]+", " ", words.casefold()).strip()


def paths_of(records: Records, depth: int = _DEEPEST) -> tuple[str, ...]:
    """The columns of records, and the paths to what their objects and lists contain."""
    found: dict[str, None] = {}
    for record in records:
        for name, value in record.items():
            objects = objects_in(value)
            if not objects or depth == 1:
                found[name] = None
                continue
            mark = "[]" if isinstance(value, list) else ""
            for each in paths_of(objects, depth - 1):
                found[f"{_quoted(name)}{mark}.{_quoted(each)}"] = None
    return tuple(found)


def objects_in(value: object) -> list[Mapping[str, object]]:
    """The objects in a value; empty: it is not an object, nor a list of them."""
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    objects = [
        cast("Mapping[str, object]", each)
        for each in items
        if isinstance(each, Mapping)
    ]
    return objects if len(objects) == len(items) else []


def _quoted(path: str) -> str:
    """A name as JMESPath writes it; paths stay as they are."""
    return path if _PATH.fullmatch(path) else json.dumps(path)
