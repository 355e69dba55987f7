"""Raw records, and what a mapping finds in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from catalogsync.errors import InvalidValueError

__all__ = ["BadRecordError", "Record", "is_empty"]


@attrs.frozen(kw_only=True)
class Record:
    """One raw record of a source.

    Attributes:
        where: Its position, for messages: `row 17`, `item 3 of page 2`,
            `/catalog/product[12]`.
        values: Its columns or nested data: text, int, Decimal, bool, None, lists and
            mappings; never a float.
    """

    where: str
    values: Mapping[str, object]


class BadRecordError(Exception):
    """A record from which no product can be made; only used within this package."""

    def __init__(self, where: str, error: InvalidValueError) -> None:
        super().__init__(where, error)
        self.where = where
        self.error = error


def is_empty(value: object) -> bool:
    """Whether a value is missing: None, white space, an empty list or mapping."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, int):
        return False
    return isinstance(value, Mapping | Sequence) and not value
