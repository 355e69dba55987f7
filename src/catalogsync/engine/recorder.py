"""The books of a run: every product that came in has one outcome when it ends."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager

import attrs

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
)
from catalogsync.report import (
    BatchSizes,
    CategoryCounts,
    Counts,
    Discrepancy,
    Latency,
)
from catalogsync.retry import OnRetry

__all__ = ["Durations", "Recorder"]

_LOG_STEP = math.log(1.05)
_SHORTEST = 1e-6
_CALLS = ("read", "find", "write")

_DONE = frozenset({OutcomeStatus.UPDATED, OutcomeStatus.UNCHANGED})
_GOOD = _DONE | {OutcomeStatus.CREATED}

OnSettled = Callable[[Outcome, Product | None], None]
"""Told of each product that met its end, and what it was."""

_BAD: dict[OutcomeStatus, type[ProductFailed | ProductUnresolved]] = {
    OutcomeStatus.FAILED: ProductFailed,
    OutcomeStatus.UNRESOLVED: ProductUnresolved,
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


@attrs.define
class Durations:
    """How long something took, each time it happened.

    Only counts are kept, in steps of five percent, so the memory does not grow with
    the number of times: a few hundred steps lie between a microsecond and a day.

    Attributes:
        total: The sum, in seconds.
        count: How many times.
    """

    total: float = 0.0
    count: int = 0
    _longest: float = 0.0
    _steps: Counter[int] = attrs.field(factory=Counter[int])

    def add(self, seconds: float) -> None:
        """It happened once more."""
        self.total += seconds
        self.count += 1
        self._longest = max(self._longest, seconds)
        step = math.floor(math.log(max(seconds, _SHORTEST)) / _LOG_STEP)
        self._steps[step] += 1

    def percentile(self, percent: float) -> float:
        """What so many of 100 did not exceed, to 2.5 percent."""
        rank = math.ceil(self.count * percent / 100)
        for step in sorted(self._steps):
            rank -= self._steps[step]
            if rank <= 0:
                return min(math.exp((step + 0.5) * _LOG_STEP), self._longest)
        return 0.0

    def latency(self) -> Latency:
        """The same in short."""
        return Latency(
            p50=self.percentile(50),
            p95=self.percentile(95),
            p99=self.percentile(99),
            count=self.count,
        )


def _ignore(_: Outcome, __: Product | None) -> None:
    """Nobody asked to be told."""


@attrs.define(kw_only=True)
class Recorder:
    """What a run has seen and done until now.

    A product is open from `fetch` until `settle`; only open products are kept, so
    this is as small as the pipeline. Closing the books makes what is still open
    unresolved.

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
    on_settled: OnSettled = _ignore
    _open: dict[ProductKey, _Open] = attrs.field(factory=dict[ProductKey, _Open])
    _ended: Counter[OutcomeStatus] = attrs.field(factory=Counter[OutcomeStatus])
    _durations: defaultdict[str, Durations] = attrs.field(
        factory=lambda: defaultdict[str, Durations](Durations)
    )
    _batches: Counter[int] = attrs.field(factory=Counter[int])

    def fetch(self, key: ProductKey, product: Product | None = None) -> None:
        """A product came in, or a record that is none and has a key."""
        self.fetched += 1
        self._open[key] = _Open(product)

    def reject(self, record: Rejected) -> None:
        """A record came in that is no product."""
        if record.key is None:
            self.set_aside(record)
            return
        self.fetch(record.key)
        reason = f"{record.reason} ({record.where})"
        self.settle(Outcome(record.key, OutcomeStatus.FAILED, reason))

    def set_aside(self, record: Rejected) -> None:
        """A record came in that stands for no product of its own."""
        self.fetched += 1
        self._ended[OutcomeStatus.FAILED] += 1
        self.rejected.append(record)

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

    def unpublish(self, outcome: Outcome) -> None:
        """A product that left the source met its end; it was not fetched."""
        if outcome.status is OutcomeStatus.REMOVED:
            self._ended[outcome.status] += 1
        else:
            self.warn(f"{outcome.key} left the source and stays: {outcome.reason}")
        self.on_settled(outcome, None)

    def note_manual_edits(
        self, key: ProductKey, manual_edits: tuple[ManualEdit, ...]
    ) -> None:
        """People edited values of ours; the last word on a product counts."""
        if manual_edits:
            self.manual_edits[key] = manual_edits
        elif key in self.manual_edits and not self.was_attempted(key):
            del self.manual_edits[key]

    def close(self, reason: str) -> None:
        """Nothing more will happen: what is open stays unresolved."""
        for key in list(self._open):
            self.settle(Outcome(key, OutcomeStatus.UNRESOLVED, reason))

    def batch(self, size: int) -> None:
        """So many products go to the sink in one write."""
        self.writes += 1
        self._batches[size] += 1

    def request(self, request: Request) -> None:
        """An adapter sent a request."""
        self.bytes_sent += request.sent
        self.bytes_received += request.received
        self.emit(RequestSent(run_id=self.run_id, request=request))

    def retrying(self, what: str) -> OnRetry:
        """What `RetryPolicy.tries` calls before it tries something again."""

        def note(error: TransientError, attempt: int, wait: float) -> None:
            self.retries += 1
            event = Retrying(
                run_id=self.run_id,
                what=what,
                attempt=attempt,
                reason=str(error),
                next_at=time.time() + wait,
            )
            self.emit(event)

        return note

    def problem(self, text: str) -> None:
        """Something keeps the run from being complete."""
        if text not in self.problems:
            self.problems.append(text)

    def warn(self, text: str) -> None:
        """Something is not as it should be, and the run goes on."""
        if text not in self.warnings:
            self.warnings.append(text)

    def warn_of(self, what: str, example: str) -> None:
        """Something is not as it should be with one product of perhaps many."""
        number, first = self.examples.get(what, (0, example))
        self.examples[what] = number + 1, first

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """Every warning; what happened to many products is one of them."""
        counted = (
            f"{what} in products: {number}, such as {first}"
            for what, (number, first) in self.examples.items()
        )
        return (*self.warnings, *counted)

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Count the time of a block to a phase."""
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
        """How long the calls of the adapters took."""
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
        """Products by outcome; while a run goes on, open ones are only fetched."""
        ended = {status.value: n for status, n in self._ended.items()}
        return Counts(fetched=self.fetched, **ended)

    @property
    def category_counts(self) -> CategoryCounts:
        """Categories by outcome."""
        return CategoryCounts(**self.categories)
