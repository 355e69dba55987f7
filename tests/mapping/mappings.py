"""Mappings as a configuration has them, and records as a source has them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from catalogsync import Product
from catalogsync.catalog.outcomes import Rejected
from catalogsync.config._problems import ProblemsError, misconfigured
from catalogsync.config._structure import make_converter, read_settings
from catalogsync.mapping import Record, RecordMapping


def mapping(toml: str) -> RecordMapping:
    """The mapping of this TOML, read as a configuration is."""
    try:
        return read_settings(make_converter(), tomllib.loads(toml), RecordMapping)
    except ProblemsError as error:
        raise misconfigured(error.problems) from None


def rows(*records: Mapping[str, object]) -> list[Record]:
    """Records as rows, counted from 2 as below a header."""
    return [Record(where=f"row {n}", values=r) for n, r in enumerate(records, 2)]


def made(toml: str, *records: Mapping[str, object]) -> Product | Rejected:
    """The product of these records; `key` and `title` are mapped already."""
    full = 'key = "id"\ntitle = "name"\n' + toml
    given = [{"id": "1", "name": "Cup", **record} for record in records]
    return mapping(full).product("shop", rows(*given))


def product(toml: str, *records: Mapping[str, object]) -> Product:
    """The same, if it must be a product."""
    found = made(toml, *records)
    assert isinstance(found, Product), found
    return found


def reason(toml: str, *records: Mapping[str, object]) -> str:
    """Why there is no product."""
    found = made(toml, *records)
    assert isinstance(found, Rejected), found
    return str(found)


def value(toml: str, **values: Any) -> object:
    """The attribute `x`, declared by this TOML."""
    found = product(f"attributes.x = {toml}", values).attributes
    return found["x"] if found else None
