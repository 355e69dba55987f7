"""The books of a run: every product that came in has one outcome when it ends."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager

import attrs

from catalogsync.events import EventHook, ProductFailed, ProductUnsettled, Retrying
from catalogsync.models import Product, ProductKey
from catalogsync.outcomes import Outcome, OutcomeStatus, Rejected
from catalogsync.ownership import Edit
from catalogsync.report import CategoryCounts, Counts, Discrepancy

__all__ = ["Tally"]

_DONE = frozenset({OutcomeStatus.UPDATED, OutcomeStatus.UNCHANGED})
_GOOD = _DONE | {OutcomeStatus.CREATED}

OnSettled = Callable[[Outcome, Product | None], None]
"""Told of each product that met its end, and what it was."""

_BAD: dict[OutcomeStatus, type[ProductFailed | ProductUnsettled]] = {
    OutcomeStatus.FAILED: ProductFailed,
    OutcomeStatus.UNSETTLED: ProductUnsettled,
}


@attrs.define
class _Open:
    """A product that met no end yet.

    Attributes:
        product: As the source gave it; None for a rejected record.
        aim: What the write that was tried first makes of it.
    """

    product: Product | None
    aim: OutcomeStatus | None = None


def _ignore(_: Outcome, __: Product | None) -> None:
    """Nobody asked to be told."""


@attrs.define(kw_only=True)
class Tally:
    """What a run has seen and done until now.

    A product is open from `fetch` until `settle`; only open products are kept, so
    this is as small as the pipeline. Closing the books makes what is still open
    unsettled.

    Attributes:
        touched: Whether anything was sent to the sink that may change it.
        refused_in_a_row: Products that the sink refused since the last success.
        on_settled: Told of each product that met its end.
    """

    run_id: str
    emit: EventHook
    fetched: int = 0
    writes: int = 0
    retries: int = 0
    touched: bool = False
    categories: Counter[str] = attrs.field(factory=Counter[str])
    phases: dict[str, float] = attrs.field(factory=dict[str, float])
    problems: list[str] = attrs.field(factory=list[str])
    failures: list[Outcome] = attrs.field(factory=list[Outcome])
    rejected: list[str] = attrs.field(factory=list[str])
    warnings: list[str] = attrs.field(factory=list[str])
    edits: dict[ProductKey, tuple[Edit, ...]] = attrs.field(
        factory=dict[ProductKey, tuple[Edit, ...]]
    )
    discrepancies: list[Discrepancy] = attrs.field(factory=list[Discrepancy])
    refused_in_a_row: int = 0
    on_settled: OnSettled = _ignore
    _open: dict[ProductKey, _Open] = attrs.field(factory=dict[ProductKey, _Open])
    _ended: Counter[OutcomeStatus] = attrs.field(factory=Counter[OutcomeStatus])

    def fetch(self, key: ProductKey, product: Product | None = None) -> None:
        """A product came in, or a record that is none and has a key."""
        self.fetched += 1
        self._open[key] = _Open(product)

    def reject(self, record: Rejected) -> None:
        """A record came in that is no product."""
        if record.key is None:
            self.fetched += 1
            self._ended[OutcomeStatus.FAILED] += 1
            self.rejected.append(f"{record.where}: {record.reason}")
            return
        self.fetch(record.key)
        reason = f"{record.reason} ({record.where})"
        self.settle(Outcome(record.key, OutcomeStatus.FAILED, reason))

    def is_open(self, key: ProductKey) -> bool:
        """Whether a product has met no end yet."""
        return key in self._open

    def attempt(self, key: ProductKey, aim: OutcomeStatus) -> None:
        """A write begins that makes this of a product; the first aim is kept."""
        found = self._open.get(key)
        if found is not None and found.aim is None:
            found.aim = aim

    def was_attempted(self, key: ProductKey) -> bool:
        """Whether a write of this open product was tried before."""
        found = self._open.get(key)
        return found is not None and found.aim is not None

    def settle(self, outcome: Outcome) -> None:
        """A product met its end; only the first end of an open product counts.

        A product that is found done after its write lost the answer counts as
        what that write made of it.
        """
        found = self._open.pop(outcome.key, None)
        if found is None:
            return
        if found.aim and outcome.status in _DONE:
            outcome = attrs.evolve(outcome, status=found.aim)
        self._ended[outcome.status] += 1
        if outcome.status in _GOOD:
            self.refused_in_a_row = 0
        self.on_settled(outcome, found.product)
        event = _BAD.get(outcome.status)
        if event is not None:
            self.failures.append(outcome)
            self.emit(event(run_id=self.run_id, outcome=outcome))

    def refuse(self, outcome: Outcome) -> None:
        """The sink refused a product."""
        if outcome.key in self._open:
            self.refused_in_a_row += 1
        self.settle(outcome)

    def retire(self, outcome: Outcome) -> None:
        """A product that left the source met its end; it was not fetched."""
        if outcome.status is OutcomeStatus.RETIRED:
            self._ended[outcome.status] += 1
        else:
            self.warn(f"{outcome.key} left the source and stays: {outcome.reason}")
        self.on_settled(outcome, None)

    def note_edits(self, key: ProductKey, edits: tuple[Edit, ...]) -> None:
        """People edited values of ours; the last word on a product counts."""
        if edits:
            self.edits[key] = edits
        elif key in self.edits and not self.was_attempted(key):
            del self.edits[key]

    def close(self, reason: str) -> None:
        """Nothing more will happen: what is open stays unsettled."""
        for key in list(self._open):
            self.settle(Outcome(key, OutcomeStatus.UNSETTLED, reason))

    def retry(self, what: str, attempt: int, reason: str) -> None:
        """Something is tried again."""
        self.retries += 1
        self.emit(
            Retrying(run_id=self.run_id, what=what, attempt=attempt, reason=reason)
        )

    def problem(self, text: str) -> None:
        """Something keeps the run from being complete."""
        if text not in self.problems:
            self.problems.append(text)

    def warn(self, text: str) -> None:
        """Something is not as it should be, and the run goes on."""
        if text not in self.warnings:
            self.warnings.append(text)

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Count the time of a block to a phase."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] = (
                self.phases.get(name, 0.0) + time.perf_counter() - started
            )

    @property
    def counts(self) -> Counts:
        """Products by outcome; while a run goes on, open ones are only fetched."""
        ended = {status.value: n for status, n in self._ended.items()}
        return Counts(fetched=self.fetched, **ended)

    @property
    def category_counts(self) -> CategoryCounts:
        """Categories by outcome."""
        return CategoryCounts(**self.categories)
