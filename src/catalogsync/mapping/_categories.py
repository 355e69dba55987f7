"""Categories: paths with levels, and a table from the supplier's to the shop's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from catalogsync.catalog.products import Category
from catalogsync.errors import InvalidValueError

from ._lines import read_lines
from ._paths import as_text

__all__ = ["Unmapped", "category_reader", "is_in", "load_table", "path_key"]

Unmapped: TypeAlias = Literal["keep", "drop", "reject"]

_CACHED = 10_000
_LEVELS = ">"


def category_reader(
    levels: str | None, table: Mapping[str, str], unmapped: Unmapped
) -> Callable[[object], Category | None]:
    """Reads a category; its id is its path, so that equal names do not collide.

    Args:
        levels: What separates the levels of the supplier's categories; None: nothing.
        table: The shop's categories by the supplier's, in lower case; levels of the
            shop's are separated by `>`. Empty: the supplier's are taken as they are.
        unmapped: What to do with categories that are not in the table.
    """

    @lru_cache(_CACHED)
    def of(text: str) -> Category | None:
        if not table:
            return _of_path(text, levels)
        found = table.get(_key(text))
        if found is not None:
            return _of_path(found, _LEVELS) if found else None
        if unmapped == "reject":
            problem = f'"{text}" is not in the table of categories'
            raise InvalidValueError("", problem)
        return None if unmapped == "drop" else _of_path(text, levels)

    return lambda value: of(as_text(value))


def _of_path(text: str, levels: str | None) -> Category:
    names = [text] if levels is None else [name.strip() for name in text.split(levels)]
    found: Category | None = None
    for name in filter(None, names):
        id_ = name if found is None else f"{found.id} > {name}"
        found = Category(id=id_, name=name, parent=found)
    if found is None:
        raise InvalidValueError("", f'"{text}" names no category')
    return found


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()


def path_key(path: str) -> str:
    """One text for all ways to write a category of the shop, such as `Men > Shirts`."""
    return " > ".join(_key(name) for name in path.split(_LEVELS))


def is_in(table: Mapping[str, str], text: str) -> bool:
    """Whether a table has a category of the supplier."""
    return _key(text) in table


def load_table(inline: Mapping[str, str], file: str | None) -> dict[str, str]:
    """The table of a mapping: what stands in the configuration wins over the file.

    Args:
        inline: The shop's categories by the supplier's.
        file: A CSV file in UTF-8 with these two columns, without a header or with one
            that says so; None: there is no file.

    Raises:
        InvalidValueError: The file cannot be read, or a row has another number of
            cells.
    """
    found = dict(_rows(Path(file))) if file is not None else {}
    found |= {_key(name): value.strip() for name, value in inline.items()}
    return found


def _rows(file: Path) -> Iterator[tuple[str, str]]:
    for _, (supplier, shop) in read_lines("category_file", file, 2):
        yield _key(supplier), shop
