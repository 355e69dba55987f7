"""The books of a run: every product that came in has one outcome when it ends."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

import attrs

from catalogsync.events import EventHook, ProductFailed, ProductUnsettled, Retrying
from catalogsync.models import ProductKey
from catalogsync.outcomes import Outcome, OutcomeStatus, Rejected
from catalogsync.report import CategoryCounts, Counts

__all__ = ["Tally"]

_DONE = frozenset({OutcomeStatus.UPDATED, OutcomeStatus.UNCHANGED})

_BAD: dict[OutcomeStatus, type[ProductFailed | ProductUnsettled]] = {
    OutcomeStatus.FAILED: ProductFailed,
    OutcomeStatus.UNSETTLED: ProductUnsettled,
}


@attrs.define(kw_only=True)
class Tally:
    """What a run has seen and done until now.

    A product is open from `fetch` until `settle`; only open products are kept, so
    this is as small as the pipeline. Closing the books makes what is still open
    unsettled.

    Attributes:
        touched: Whether anything was sent to the sink that may change it.
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
    _open: dict[ProductKey, OutcomeStatus | None] = attrs.field(
        factory=dict[ProductKey, OutcomeStatus | None]
    )
    _ended: Counter[OutcomeStatus] = attrs.field(factory=Counter[OutcomeStatus])

    def fetch(self, key: ProductKey) -> None:
        """A product came in."""
        self.fetched += 1
        self._open[key] = None

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
        if self._open.get(key, aim) is None:
            self._open[key] = aim

    def settle(self, outcome: Outcome) -> None:
        """A product met its end; only the first end of an open product counts.

        A product that is found done after its write lost the answer counts as
        what that write made of it.
        """
        if outcome.key not in self._open:
            return
        aim = self._open.pop(outcome.key)
        done = outcome.status in _DONE
        self._ended[aim if aim and done else outcome.status] += 1
        event = _BAD.get(outcome.status)
        if event is not None:
            self.failures.append(outcome)
            self.emit(event(run_id=self.run_id, outcome=outcome))

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
