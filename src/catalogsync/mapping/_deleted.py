"""Whether a record says that its product was deleted."""

from __future__ import annotations

from catalogsync.catalog.checks import shortened
from catalogsync.errors import InvalidValueError

from ._expression import Expression
from ._paths import as_text
from ._record import Record, is_empty

__all__ = ["is_deleted", "yes_or_no"]

_DELETED = frozenset({"deleted", "delete"})
_YES = frozenset({"true", "yes", "1"})
_NO = frozenset({"false", "no", "0"})


def yes_or_no(text: str) -> bool | None:
    """What a word means; None: it is neither yes nor no."""
    word = text.casefold()
    return word in _YES if word in _YES | _NO else None


def is_deleted(spec: Expression, record: Record) -> bool:
    """Whether a record says so; a missing value does not.

    Raises:
        InvalidValueError: The value is neither yes nor no: nothing is deleted because
            of a word that might mean something else.
    """
    try:
        found = spec.evaluate(record)
    except InvalidValueError as error:
        raise error.under("delete_when") from None
    if is_empty(found):
        return False
    if isinstance(found, bool):
        return found
    text = as_text(found)
    if text.casefold() in _DELETED:
        return True
    if (says := yes_or_no(text)) is not None:
        return says
    problem = (
        f'"{shortened(text)}" may or may not mean that the product was deleted: say so'
        f" with words = {{ {_quoted(text)} = true }} or false"
    )
    raise InvalidValueError("delete_when", problem)


def _quoted(text: str) -> str:
    short = shortened(text)
    return short if short.isascii() and short.isalnum() else f"'{short}'"
