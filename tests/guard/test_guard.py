"""Accidents are held, ordinary nights are not."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random

import attrs
import pytest
from tests.guard.accidents import ACCIDENTS, CATALOGS, catalog, nights, priced

from catalogsync import Category, Existing, Product
from catalogsync.catalog.changes import Delete
from catalogsync.diff.compare import compare
from catalogsync.guard import Assessment, Budget, Budgets, Group, Verdict


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
            assessment.add_unchanged(product)
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
    products = [*CATALOGS[name]]
    verdict = judged(products, ACCIDENTS[accident](products, Random(7)))
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
    assert any(each.budget == "prices" for each in verdict.exceeded) is counts


_GROUPED = [
    attrs.evolve(
        product,
        brand=f"Brand {n % 10}",
        categories=(Category(id="c", name="Tea", parent=Category(id="p", name="All")),)
        if n % 10 == 7
        else (),
    )
    for n, product in enumerate(catalog(300, 1, 5))
]


def _dearer(products: Sequence[Product], brand: str) -> list[Product]:
    return [
        priced(p, lambda amount: amount * 2) if p.brand == brand else p
        for p in products
    ]


@pytest.mark.parametrize(
    ("within", "group"), [("brand", "brand 'Brand 7'"), ("category", "'All / Tea'")]
)
def test_a_small_part_of_the_catalog_cannot_change_as_a_whole(
    within: str, group: str
) -> None:
    after = _dearer(_GROUPED, "Brand 7")
    assert not judged(_GROUPED, after).is_held
    verdict = judged(_GROUPED, after, Budgets(within=Group(within)))
    (excess,) = verdict.exceeded
    assert excess.budget == "prices"
    assert group in excess.text
    assert "(100%)" in excess.text
    assert len(verdict.worst) == 20


def test_brands_that_change_alike_are_one_reason() -> None:
    after = _dearer(_dearer(_GROUPED, "Brand 7"), "Brand 3")
    (excess,) = judged(_GROUPED, after, Budgets(within=Group.BRAND)).exceeded
    assert excess.groups == {"Brand 3", "Brand 7"}
    assert excess.text.endswith("and as much in 1 more")


def test_a_new_brand_is_not_held() -> None:
    before = [p for p in _GROUPED if p.brand != "Brand 7"]
    assert not judged(before, _GROUPED, Budgets(within=Group.BRAND)).is_held


@pytest.mark.parametrize("within", Group)
@pytest.mark.parametrize("name", CATALOGS)
def test_an_ordinary_night_is_not_held_within_groups(name: str, within: Group) -> None:
    budgets = Budgets(within=within)
    made = nights([*CATALOGS[name]], seed=12, number=40)
    held = sum(judged(b, a, budgets).is_held for b, a in made)
    assert held <= 1
