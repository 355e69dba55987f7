"""The recorder: counts, outcomes, problems and warnings of one run.

Every other station reports here, the report is made from what is here, and each outcome
is passed on to the `journal`, which keeps it. The recorder is the only one that decides
which outcome of a product counts: each product that was fetched has exactly one when
the run ends.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import attrs

from catalogsync._lib.texts import counted
from catalogsync.catalog.changes import Action, Removal
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus, Rejected
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.diff.ownership import ManualEdit
from catalogsync.errors import TransientError
from catalogsync.events import (
    EventHook,
    ProductFailed,
    ProductUnresolved,
    Request,
    RequestSent,
    Retrying,
    SourceReading,
)
from catalogsync.report import (
    BatchSizes,
    CategoryCounts,
    Counts,
    Discrepancy,
    Latency,
)
from catalogsync.retry import OnRetry, RetryPolicy

__all__ = ["Durations", "OnOutcome", "Recorder"]

T = TypeVar("T")

_LOG_STEP = math.log(1.05)
_SHORTEST = 1e-6
_CALLS = ("read", "find", "write")

_AS_DESIRED = frozenset({OutcomeStatus.UPDATED, OutcomeStatus.UNCHANGED})
_SUCCESSES = _AS_DESIRED | {OutcomeStatus.CREATED}

OnOutcome = Callable[[Outcome, Product | None], None]
"""Receives each outcome, and the product as the source gave it."""

_EVENTS: dict[OutcomeStatus, type[ProductFailed | ProductUnresolved]] = {
    OutcomeStatus.FAILED: ProductFailed,
    OutcomeStatus.UNRESOLVED: ProductUnresolved,
}


@attrs.define
class _Open:
    """A product that has no outcome yet.

    Attributes:
        product: As the source gave it; None for a rejected record, a removal, and a
            product that is not built yet.
        removal: How it is removed; None: it was fetched.
        attempted: The outcome that its first write would have; None: no write yet.
    """

    product: Product | None = None
    removal: Action | None = None
    attempted: OutcomeStatus | None = None


@attrs.define
class Durations:
    """A histogram of durations, for percentiles.

    Only counts are kept, in steps of five percent, so memory does not grow with the
    number of calls: a few hundred steps lie between a microsecond and a day.

    Attributes:
        count: How many durations were added.
    """

    total: float = 0.0
    count: int = 0
    _longest: float = 0.0
    _steps: Counter[int] = attrs.field(factory=Counter[int])

    def add(self, seconds: float) -> None:
        """Add one duration."""
        self.total += seconds
        self.count += 1
        self._longest = max(self._longest, seconds)
        step = math.floor(math.log(max(seconds, _SHORTEST)) / _LOG_STEP)
        self._steps[step] += 1

    def percentile(self, percent: float) -> float:
        """The duration that this percentage did not exceed, accurate to 2.5 percent."""
        rank = math.ceil(self.count * percent / 100)
        for step in sorted(self._steps):
            rank -= self._steps[step]
            if rank <= 0:
                return min(math.exp((step + 0.5) * _LOG_STEP), self._longest)
        return 0.0

    def latency(self) -> Latency:
        """The percentiles that a report shows."""
        return Latency(
            p50=self.percentile(50),
            p95=self.percentile(95),
            p99=self.percentile(99),
            count=self.count,
        )


def _stays(action: Action) -> str:
    release = action is Action.RELEASE
    return "keeps our key" if release else "left the source and stays"


def _ignore(_: Outcome, __: Product | None) -> None:
    pass


@attrs.define(kw_only=True)
class Recorder:
    """What a run has seen and done so far.

    A product is open from `record_fetched` or `open_removal` until `record`. Only open
    products are kept, so memory is bounded by the pipeline. `close` makes those that
    are still open unresolved.

    Attributes:
        touched: Whether any request that may change the sink was sent.
        waiting: Products whose change is kept back; they are not open.
        resumed: Whether what was kept back is fetched again, to be written.
        refused_in_a_row: Products that the sink refused since its last success.
        unresolved_removal: Why a removal is left to the next run; empty: none is.
    """

    run_id: str
    emit: EventHook
    on_outcome: OnOutcome = _ignore
    fetched: int = 0
    writes: int = 0
    retries: int = 0
    touched: bool = False
    waiting: int = 0
    resumed: bool = False
    categories: Counter[str] = attrs.field(factory=Counter[str])
    bytes_sent: int = 0
    bytes_received: int = 0
    problems: list[str] = attrs.field(factory=list[str])
    failures: list[Outcome] = attrs.field(factory=list[Outcome])
    rejected: list[Rejected] = attrs.field(factory=list[Rejected])
    warnings: list[str] = attrs.field(factory=list[str])
    examples: dict[str, tuple[int, str]] = attrs.field(
        factory=dict[str, tuple[int, str]]
    )
    manual_edits: dict[ProductKey, tuple[ManualEdit, ...]] = attrs.field(
        factory=dict[ProductKey, tuple[ManualEdit, ...]]
    )
    category_manual_edits: dict[str, tuple[ManualEdit, ...]] = attrs.field(
        factory=dict[str, tuple[ManualEdit, ...]]
    )
    discrepancies: list[Discrepancy] = attrs.field(factory=list[Discrepancy])
    refused_in_a_row: int = 0
    unresolved_removal: str = ""
    _open: dict[ProductKey, _Open] = attrs.field(factory=dict[ProductKey, _Open])
    _outcomes: Counter[OutcomeStatus] = attrs.field(factory=Counter[OutcomeStatus])
    _durations: defaultdict[str, Durations] = attrs.field(
        factory=lambda: defaultdict[str, Durations](Durations)
    )
    _batches: Counter[int] = attrs.field(factory=Counter[int])

    def record_fetched(self, key: ProductKey, product: Product | None = None) -> None:
        """Open a product; None: it is not built yet, or its record is not valid."""
        if self.resumed:
            self.waiting -= 1
        else:
            self.fetched += 1
        self._open[key] = _Open(product)

    def keep_back(self, key: ProductKey) -> None:
        """Close an open product without an outcome, until `resume`."""
        del self._open[key]
        self.waiting += 1

    def resume(self) -> None:
        """From now on only products that were kept back are fetched, once more."""
        self.resumed = True
        self._forget_planned()

    def hold_back(self) -> None:
        """Skip all products that were kept back."""
        self._outcomes[OutcomeStatus.SKIPPED] += self.waiting
        self.waiting = 0
        self._forget_planned()

    def _forget_planned(self) -> None:
        """Count no change of a category that was kept back."""
        for planned in ("created", "updated"):
            del self.categories[planned]

    def record_built(self, product: Product) -> None:
        """Add the product of an open record that was not built before."""
        found = self._open.get(product.key)
        if found is not None:
            found.product = product

    def open_removal(self, change: Removal) -> None:
        """Open a product that is to be removed; it was not fetched."""
        self._open[change.key] = _Open(removal=change.action)

    def record_rejected(self, record: Rejected) -> None:
        """Count a record that is not a product; one with a key fails."""
        if record.key is None:
            self.set_aside(record)
            return
        self.record_fetched(record.key)
        reason = f"{record.reason} ({record.where})"
        self.record(Outcome(record.key, OutcomeStatus.FAILED, reason))

    def set_aside(self, record: Rejected) -> None:
        """Count a record as failed that no outcome of a product can represent.

        It has no readable key, or a key that another record has too.
        """
        self.fetched += 1
        self._outcomes[OutcomeStatus.FAILED] += 1
        self.rejected.append(record)

    def is_open(self, key: ProductKey) -> bool:
        """Whether a product has no outcome yet."""
        return key in self._open

    def record_attempt(self, key: ProductKey, outcome: OutcomeStatus) -> None:
        """Note that a write begins; the outcome that the first one aims at is kept."""
        found = self._open.get(key)
        if found is not None and found.attempted is None:
            found.attempted = outcome

    def was_attempted(self, key: ProductKey) -> bool:
        """Whether an earlier write of this open product began."""
        found = self._open.get(key)
        return found is not None and found.attempted is not None

    def record(self, outcome: Outcome) -> None:
        """Record the outcome of an open product; later ones are ignored.

        The answer to a write may be lost. If the next look finds the product as it
        should be, the planner says `unchanged`, but it was our write that created or
        updated it, and so it is counted.
        """
        found = self._open.pop(outcome.key, None)
        if found is None:
            return
        if found.attempted and outcome.status in _AS_DESIRED:
            outcome = attrs.evolve(outcome, status=found.attempted)
        if found.removal is not None:
            self._record_removal(found.removal, outcome)
            return
        self._outcomes[outcome.status] += 1
        if outcome.status in _SUCCESSES:
            self.refused_in_a_row = 0
        self.on_outcome(outcome, found.product)
        event = _EVENTS.get(outcome.status)
        if event is not None:
            self.failures.append(outcome)
            self.emit(event(run_id=self.run_id, outcome=outcome))

    def record_refusal(self, outcome: Outcome) -> None:
        """Record a product that the sink refused."""
        if outcome.key in self._open:
            self.refused_in_a_row += 1
        self.record(outcome)

    def _record_removal(self, action: Action, outcome: Outcome) -> None:
        """Count a removal, or warn of a product that stays although it should not."""
        match outcome.status:
            case OutcomeStatus.REMOVED:
                self._outcomes[outcome.status] += 1
            case OutcomeStatus.FAILED | OutcomeStatus.UNRESOLVED:
                self.warn(f"{outcome.key} {_stays(action)}: {outcome.reason}")
            case _:  # somebody else removed it, or it may stay
                return
        if outcome.status is OutcomeStatus.UNRESOLVED:
            self.unresolved_removal = outcome.reason
        self.on_outcome(outcome, None)

    def record_manual_edits(
        self, key: ProductKey, manual_edits: tuple[ManualEdit, ...]
    ) -> None:
        """Keep the manual edits of a product, in place of those found before.

        Once a write was attempted, finding none proves nothing: it may have
        overwritten them.
        """
        if manual_edits:
            self.manual_edits[key] = manual_edits
        elif key in self.manual_edits and not self.was_attempted(key):
            del self.manual_edits[key]

    def close(self, reason: str) -> None:
        """Make the fetched products that are still open unresolved."""
        for key, found in list(self._open.items()):
            if found.removal is None:
                self.record(Outcome(key, OutcomeStatus.UNRESOLVED, reason))

    def add_batch(self, size: int) -> None:
        """Count one write of *size* products."""
        self.writes += 1
        self._batches[size] += 1

    def add_request(self, request: Request) -> None:
        """Count a request that an adapter sent."""
        self.bytes_sent += request.sent
        self.bytes_received += request.received
        self.emit(RequestSent(run_id=self.run_id, request=request))

    def add_reading(self, done: int, total: int | None, unit: str) -> None:
        """Pass on how far the source has read."""
        self.emit(SourceReading(run_id=self.run_id, done=done, total=total, unit=unit))

    def retrying(self, what: str) -> OnRetry:
        """What counts and reports retries of work, such as `read page 30`."""

        def on_retry(error: TransientError, attempt: int, wait: float) -> None:
            self.retries += 1
            event = Retrying(
                run_id=self.run_id,
                what=what,
                attempt=attempt,
                reason=str(error),
                next_at=time.time() + wait,
            )
            self.emit(event)

        return on_retry

    async def repeated(
        self, work: Callable[[], Awaitable[T]], what: str, policy: RetryPolicy
    ) -> T:
        """Do work until it succeeds; raises the `TransientError` of the last retry."""
        async for attempt in policy.tries(on_retry=self.retrying(what)):
            with attempt:
                return await work()
        raise AssertionError("unreachable")

    def add_problem(self, text: str) -> None:
        """Add a reason why the run is incomplete."""
        if text not in self.problems:
            self.problems.append(text)

    def warn(self, text: str) -> None:
        """Add a warning; the run can still be complete."""
        if text not in self.warnings:
            self.warnings.append(text)

    def count_warning(self, what: str, example: str) -> None:
        """Add a warning that may concern many products, which are only counted."""
        number, first = self.examples.get(what, (0, example))
        self.examples[what] = number + 1, first

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """All warnings, with one line for each kind that was counted."""
        lines = (
            f"{what}: {counted(number, 'product')}, for example {first}"
            for what, (number, first) in self.examples.items()
        )
        return (*self.warnings, *lines)

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Add the time of a block to a phase."""
        if self.resumed and name == "read":  # of what this run itself kept back
            yield
            return
        started = time.perf_counter()
        try:
            yield
        finally:
            self._durations[name].add(time.perf_counter() - started)

    @property
    def phases(self) -> dict[str, float]:
        """Seconds spent in each phase."""
        return {name: each.total for name, each in self._durations.items()}

    @property
    def latency(self) -> dict[str, Latency]:
        """Percentiles of the adapters' calls, by phase."""
        timed = self._durations
        return {name: timed[name].latency() for name in _CALLS if name in timed}

    @property
    def batch_sizes(self) -> BatchSizes:
        """Products in one write."""
        sizes = self._batches
        if not sizes:
            return BatchSizes()
        mean = sum(size * n for size, n in sizes.items()) / sizes.total()
        return BatchSizes(least=min(sizes), mean=round(mean, 3), most=max(sizes))

    @property
    def counts(self) -> Counts:
        """Products by outcome; open ones are counted in `fetched` only."""
        outcomes = {status.value: n for status, n in self._outcomes.items()}
        return Counts(fetched=self.fetched, **outcomes)

    @property
    def category_counts(self) -> CategoryCounts:
        """Categories by status."""
        return CategoryCounts(**self.categories)
