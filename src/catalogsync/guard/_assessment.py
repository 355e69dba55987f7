"""Counting harms, and the verdict over all of them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import attrs

from catalogsync.catalog.changes import Change
from catalogsync.catalog.products import ProductKey

from ._budgets import Budgets, Mode
from ._harms import Harm, harms_of

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
    """

    budget: str
    text: str

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

    @property
    def budgets(self) -> frozenset[str]:
        """Names of the budgets that are exceeded."""
        return frozenset(each.budget for each in self.exceeded)

    @property
    def is_held(self) -> bool:
        """Whether a person has to look at it."""
        return bool(self.exceeded)


_Heap: TypeAlias = list[Worst]


@attrs.define(kw_only=True)
class Assessment:
    """Counts what changes do; its size does not grow with the catalog.

    Attributes:
        budgets: The budgets.
    """

    budgets: Budgets
    _counts: Counter[Harm] = attrs.field(factory=Counter[Harm], init=False)
    _worst: dict[Harm, _Heap] = attrs.field(factory=dict[Harm, _Heap], init=False)
    _changes: int = attrs.field(default=0, init=False)
    _existing: int = attrs.field(default=0, init=False)

    def add_existing(self, products: int = 1) -> None:
        """Count products that the store has and that need no change."""
        self._existing += products

    def add(self, change: Change) -> None:
        """Count a change."""
        self._changes += 1
        found = [*harms_of(change, self.budgets.price_change)]
        kinds = {harm for harm, _, _ in found}
        self._counts.update(kinds)
        self._existing += Harm.CREATED not in kinds
        for harm, weight, text in found:
            heap = self._worst.setdefault(harm, [])
            push = heapq.heappush if len(heap) < _SHOWN else heapq.heappushpop
            push(heap, Worst(weight, change.key, text))

    def verdict(
        self, *, missing: int = 0, before: int = 0, removals: str = ""
    ) -> Verdict:
        """The verdict, once all changes are counted.

        Args:
            missing: Products that the source has lost since the last whole run.
            before: Products that the source had then; 0: not known.
            removals: Why the removals exceed `max_prune`; empty: they do not.
        """
        exceeded: list[Excess] = []
        for name, budget in self.budgets.named():
            count, of = self._counted(name, missing, before)
            if not budget.allows(count, of):
                exceeded.append(self._excess(name, count, of))
        if self.budgets.mode is Mode.ALWAYS and self._changes:
            exceeded.append(Excess(budget="mode", text=_ALWAYS))
        if removals:
            exceeded.append(Excess(budget="max_prune", text=removals))
        worst = [w for e in exceeded for w in self._shown(e.budget)]
        return Verdict(
            exceeded=tuple(exceeded),
            worst=tuple(sorted(worst, key=lambda w: -w.weight)[:_SHOWN]),
        )

    def _shown(self, budget: str) -> Sequence[Worst]:
        harm = _HARMS.get(budget)
        return self._worst.get(harm, ()) if harm else ()

    def _counted(self, name: str, missing: int, before: int) -> tuple[int, int]:
        if name == "shrunk":
            return (missing, before) if before else (0, 0)
        harm = Harm(name)
        # Into a sink that has none of our products, all are new.
        is_free = harm is Harm.CREATED and not self._existing
        return (0 if is_free else self._counts[harm]), self._existing

    def _excess(self, name: str, count: int, of: int) -> Excess:
        what = _WORDS[name].format(change=self.budgets.price_change)
        share = f" ({count / of:.0%})" if of else ""
        text = f"{what}: {count} of {of} products{share}"
        return Excess(budget=name, text=text)
