"""How much of each kind a run may do before a person has to look at it."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from typing import Any

import attrs

from catalogsync.errors import InvalidValueError

__all__ = ["OFF", "Budget", "Budgets", "Group", "Mode"]


class Mode(enum.StrEnum):
    """What the guard does.

    `HOLD`: a run over a budget writes nothing and waits for approval. `WRITE_REST`: only
    the products over a budget wait; the others are written. `ALWAYS`: every run with
    changes waits for approval, even the first one.
    """

    HOLD = "hold"
    WRITE_REST = "write_rest"
    ALWAYS = "always"


class Group(enum.StrEnum):
    """What products are grouped by."""

    BRAND = "brand"
    CATEGORY = "category"


def _share(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 <= value <= 1:
        raise InvalidValueError(attribute.name, f"must be from 0 to 1, is {value:g}")


def _number(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if value < 0:
        raise InvalidValueError(attribute.name, f"must be 0 or more, is {value}")


@attrs.frozen(kw_only=True)
class Budget:
    """How many products a kind of change may concern.

    A budget is exceeded only if both the share and the number are, so that a small
    catalog is not held because of a few products.

    Attributes:
        share: Part of the products that the sink has, from 0 to 1.
        number: Number of products that is always allowed.
    """

    share: float = attrs.field(validator=_share)
    number: int = attrs.field(default=5, validator=_number)

    @classmethod
    def from_text(cls, text: str) -> Budget:
        """The budget for `off`, which allows everything.

        Raises:
            InvalidValueError: The text is not `off`.
        """
        _check_off(text, "a table with a share and a number")
        return OFF

    def allows(self, products: int, of: int) -> bool:
        """Whether this many of all products may change in this way."""
        return products <= self.number or products <= self.share * of


OFF = Budget(share=1, number=sys.maxsize)
"""A budget that allows everything."""


@attrs.frozen(kw_only=True)
class Budgets:
    """How many products a run may change in ways that look like an accident.

    In a configuration file, `off` in place of a budget or of all of them switches it
    off. How many products may be removed is `Options.max_prune`, which counts as one of
    the budgets.

    Attributes:
        prices: Products with a price that changes by more than `price_change`.
        price_change: Relative change of a price that counts, such as 0.1 for 10 %.
        price_jumps: Products with a price that drops to 0, or is at least ten times
            higher or lower.
        currencies: Products with a price whose currency is replaced by another one.
        sold_out: Products whose stock drops to 0.
        titles: Products whose title changes.
        cleared: Products that lose their description or all their images.
        categories: Products whose categories change.
        created: New products.
        shrunk: Products that the source has lost since the last complete run.
        mode: What happens to a run over a budget; see `Mode`.
        within: The budgets also apply to each brand or category by itself, so that a
            small one cannot change as a whole. None: only to all products together.
            `shrunk` always applies to all of them. A job with groups compares all
            products, since it has to know the group of those that need no change.
    """

    prices: Budget = Budget(share=0.5, number=10)
    price_change: float = attrs.field(default=0.1, validator=_share)
    price_jumps: Budget = Budget(share=0.0, number=0)
    currencies: Budget = Budget(share=0.0, number=0)
    sold_out: Budget = Budget(share=0.3, number=10)
    titles: Budget = Budget(share=0.3, number=10)
    cleared: Budget = Budget(share=0.05, number=5)
    categories: Budget = Budget(share=0.4, number=10)
    created: Budget = Budget(share=0.5, number=25)
    shrunk: Budget = Budget(share=0.3, number=10)
    mode: Mode = attrs.field(default=Mode.HOLD, converter=Mode)
    within: Group | None = attrs.field(
        default=None, converter=attrs.converters.optional(Group)
    )

    @classmethod
    def off(cls) -> Budgets:
        """Budgets that allow everything: runs are not guarded."""
        return cls(
            prices=OFF,
            price_jumps=OFF,
            currencies=OFF,
            sold_out=OFF,
            titles=OFF,
            cleared=OFF,
            categories=OFF,
            created=OFF,
            shrunk=OFF,
        )

    @classmethod
    def from_text(cls, text: str) -> Budgets:
        """The budgets for `off`, which allow everything.

        Raises:
            InvalidValueError: The text is not `off`.
        """
        _check_off(text, "a table of budgets")
        return cls.off()

    def named(self) -> Iterator[tuple[str, Budget]]:
        """The budgets that are on, with their names."""
        for field in attrs.fields(Budgets):
            value = getattr(self, field.name)
            if isinstance(value, Budget) and value != OFF:
                yield field.name, value


def _check_off(text: str, expected: str) -> None:
    if text != "off":
        raise InvalidValueError("", f"must be {expected}, or `off`")
