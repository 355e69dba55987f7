"""Counting harms, and the verdict over all of them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import attrs

from catalogsync.catalog.changes import Change, Removal
from catalogsync.catalog.products import Category, Product, ProductKey

from ._budgets import Budget, Budgets, Group, Mode
from ._harms import Found, Harm, harms_of

__all__ = ["Assessment", "Excess", "Verdict", "Worst"]

_SHOWN = 20
_ALWAYS = "every run of this job waits for approval"
_WORDS = {
    "prices": "prices change by more than {change:.0%}",
    "price_jumps": "prices drop to 0, or become ten times higher or lower",
    "currencies": "prices get another currency",
    "sold_out": "stock drops to 0",
    "titles": "titles change",
    "cleared": "descriptions or images are lost",
    "categories": "categories change",
    "created": "products are new",
    "shrunk": "products are missing at the source",
}
_HARMS = {harm.value: harm for harm in Harm} | {"max_prune": Harm.REMOVED}


@attrs.frozen(order=True)
class Worst:
    """One of the worst changes.

    Attributes:
        weight: How bad it is, compared with others of its kind.
        key: The product.
        text: What changes.
    """

    weight: float
    key: ProductKey = attrs.field(order=str)
    text: str = attrs.field(order=False)

    def __str__(self) -> str:
        return f"{self.key}: {self.text}"


@attrs.frozen(kw_only=True)
class Excess:
    """A budget that is exceeded.

    Attributes:
        budget: Its name, as in the settings.
        text: The reason, for people.
        groups: The brands or categories in which it is; empty: in all products.
    """

    budget: str
    text: str
    groups: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.text


@attrs.frozen(kw_only=True)
class Verdict:
    """Whether a run may write.

    Attributes:
        exceeded: The budgets that are exceeded; none: it may.
        worst: The twenty worst changes under them.
    """

    exceeded: tuple[Excess, ...] = ()
    worst: tuple[Worst, ...] = ()

    def budget_of(self, change: Change, budgets: Budgets) -> str:
        """The name of an exceeded budget that a change counts for; empty: of none."""
        harms = {harm.value for harm, _, _ in harms_of(change, budgets.price_change)}
        groups = _groups_of(_product_of(change), budgets.within)
        over = (
            each.budget
            for each in self.exceeded
            if each.budget in harms
            and (not each.groups or not each.groups.isdisjoint(groups))
        )
        return min(over, default="")

    @property
    def is_held(self) -> bool:
        """Whether a person has to look at it."""
        return bool(self.exceeded)


def _groups_of(product: Product, within: Group | None) -> frozenset[str]:
    """The brand or the categories of a product, by their names."""
    if within is Group.BRAND:
        return frozenset([product.brand]) if product.brand else frozenset()
    if within is Group.CATEGORY:
        return frozenset(_path(category) for category in product.categories or ())
    return frozenset()


def _path(category: Category) -> str:
    parent = category.parent
    return f"{_path(parent)} / {category.name}" if parent else category.name


def _product_of(change: Change) -> Product:
    return (
        change.product
        if isinstance(change, Removal)
        else change.desired or change.product
    )


_Heap: TypeAlias = list[Worst]


@attrs.define
class _Counts:
    """What changes do to all products, or to those of a brand or category."""

    harms: Counter[Harm] = attrs.field(factory=Counter[Harm])
    worst: dict[Harm, _Heap] = attrs.field(factory=dict[Harm, _Heap])
    existing: int = 0

    def add(self, change: Change, found: Sequence[Found]) -> None:
        kinds = {harm for harm, _, _ in found}
        self.harms.update(kinds)
        self.existing += Harm.CREATED not in kinds
        for harm, weight, text in found:
            heap = self.worst.setdefault(harm, [])
            push = heapq.heappush if len(heap) < _SHOWN else heapq.heappushpop
            push(heap, Worst(weight, change.key, text))

    def of(self, harm: Harm) -> tuple[int, int]:
        """How many products have a harm, and of how many."""
        # Into a sink that has none of our products, all are new.
        is_free = harm is Harm.CREATED and not self.existing
        return 0 if is_free else self.harms[harm], self.existing


@attrs.define(kw_only=True)
class Assessment:
    """Counts what changes do; its size does not grow with the catalog.

    Attributes:
        budgets: The budgets.
    """

    budgets: Budgets
    _all: _Counts = attrs.field(factory=_Counts, init=False)
    _groups: dict[str, _Counts] = attrs.field(factory=dict[str, _Counts], init=False)
    _changes: int = attrs.field(default=0, init=False)

    def add_existing(self, products: int = 1) -> None:
        """Count products that the store has and that need no change."""
        self._all.existing += products

    def add_unchanged(self, product: Product) -> None:
        """Count a product that needs no change in its brand or categories."""
        for counts in self._within(product):
            counts.existing += 1

    def add(self, change: Change) -> None:
        """Count a change."""
        self._changes += 1
        found = [*harms_of(change, self.budgets.price_change)]
        for counts in (self._all, *self._within(_product_of(change))):
            counts.add(change, found)

    def _within(self, product: Product) -> list[_Counts]:
        names = _groups_of(product, self.budgets.within)
        return [self._groups.setdefault(name, _Counts()) for name in names]

    def verdict(
        self, *, missing: int = 0, before: int = 0, removals: str = ""
    ) -> Verdict:
        """The verdict, once all changes are counted.

        Args:
            missing: Products that the source has lost since the last complete run.
            before: Products that the source had then; 0: not known.
            removals: Why the removals exceed `max_prune`; empty: they do not.
        """
        exceeded: list[Excess] = []
        for name, budget in self.budgets.named():
            if name == "shrunk":
                found = self._excess(name, budget, missing if before else 0, before)
            else:
                found = self._excess(name, budget, *self._all.of(Harm(name)))
                found = found or self._excess_within(name, budget)
            exceeded += [found] if found else []
        if self.budgets.mode is Mode.ALWAYS and self._changes:
            exceeded.append(Excess(budget="mode", text=_ALWAYS))
        if removals:
            exceeded.append(Excess(budget="max_prune", text=removals))
        worst = {w for e in exceeded for w in self._worst_of(e)}
        return Verdict(
            exceeded=tuple(exceeded),
            worst=tuple(sorted(worst, key=lambda w: (-w.weight, str(w.key)))[:_SHOWN]),
        )

    def _worst_of(self, excess: Excess) -> Iterator[Worst]:
        harm = _HARMS.get(excess.budget)
        for counts in [self._groups[name] for name in excess.groups] or [self._all]:
            yield from counts.worst.get(harm, ()) if harm else ()

    def _excess(self, name: str, budget: Budget, count: int, of: int) -> Excess | None:
        if budget.allows(count, of):
            return None
        what = _WORDS[name].format(change=self.budgets.price_change)
        share = f" ({count / of:.0%})" if of else ""
        return Excess(budget=name, text=f"{what}: {count} of {of} products{share}")

    def _excess_within(self, name: str, budget: Budget) -> Excess | None:
        """A budget that is exceeded in brands or categories; the largest is named."""
        over = {
            group: found
            for group, counts in sorted(self._groups.items())
            if (found := self._excess(name, budget, *counts.of(Harm(name))))
        }
        if not over:
            return None
        largest = max(over, key=lambda group: self._groups[group].of(Harm(name)))
        text = f"{over[largest].text} of {self.budgets.within} {largest!r}"
        if len(over) > 1:
            text += f", and as much in {len(over) - 1} more"
        return Excess(budget=name, text=text, groups=frozenset(over))
