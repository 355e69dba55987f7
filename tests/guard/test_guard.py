"""Accidents are held, ordinary nights are not."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random

import pytest
from tests.guard.accidents import ACCIDENTS, CATALOGS, nights, priced

from catalogsync import Existing, Product
from catalogsync.catalog.changes import Delete
from catalogsync.diff.compare import compare
from catalogsync.guard import Assessment, Budget, Budgets, Verdict


def judged(
    before: Sequence[Product],
    after: Sequence[Product],
    budgets: Budgets = Budgets(),  # noqa: B008 - a frozen value
) -> Verdict:
    """What the guard says to a run that finds *before* and wants *after*."""
    made = {p.key: compare(p, None).change for p in before}
    there = {
        key: Existing(product=change.product, last_applied=change.last_applied)
        for key, change in made.items()
        if change is not None
    }
    assessment = Assessment(budgets=budgets)
    desired = {product.key for product in after}
    for product in after:
        change = compare(product, there.get(product.key)).change
        if change is None:
            assessment.add_existing()
        else:
            assessment.add(change)
    gone = [existing for key, existing in there.items() if key not in desired]
    for existing in gone:
        assessment.add(Delete(existing=existing))
    removals = "too many" if len(gone) > 0.1 * len(before) else ""
    return assessment.verdict(missing=len(gone), before=len(before), removals=removals)


@pytest.mark.parametrize("name", CATALOGS)
@pytest.mark.parametrize("accident", ACCIDENTS)
def test_an_accident_is_held(accident: str, name: str) -> None:
    catalog = [*CATALOGS[name]]
    verdict = judged(catalog, ACCIDENTS[accident](catalog, Random(7)))
    assert verdict.is_held
    assert verdict.exceeded[0].text


def test_there_are_enough_accidents() -> None:
    assert len(ACCIDENTS) >= 40


@pytest.mark.parametrize("name", CATALOGS)
def test_an_ordinary_night_is_not_held(name: str) -> None:
    found = [judged(b, a) for b, a in nights([*CATALOGS[name]], seed=11, number=170)]
    held = [v for v in found if v.is_held]
    assert len(held) <= 0.01 * len(found), [str(e) for v in held for e in v.exceeded]


@pytest.mark.parametrize(
    ("factor", "counts"),
    [("1.1", False), ("1.11", True), ("0.905", False), ("0.89", True)],
)
def test_a_price_change_is_relative_to_the_old_price(factor: str, counts: bool) -> None:
    """A tenth up or down is the limit in both directions."""
    before = priced(CATALOGS["small"][0], lambda _: Decimal(100))
    after = priced(before, lambda amount: amount * Decimal(factor))
    verdict = judged([before], [after], Budgets(prices=Budget(share=0, number=0)))
    assert ("prices" in verdict.budgets) is counts
