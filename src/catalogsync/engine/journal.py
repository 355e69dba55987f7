"""The journal: one run's side of the state store.

It holds the lease, loads what earlier runs left behind, and notes intents before
writes, outcomes after them, and products that needed no change. All but intents is
buffered and saved by `flush`, once for each page, group and batch. Without a state
store it knows the intents of this run only, and keeps nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import attrs

from catalogsync._lib.concurrency import uninterrupted
from catalogsync.catalog.changes import Change, Create
from catalogsync.catalog.convert import product_to_json
from catalogsync.catalog.drafts import Unchanged
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.diff.describe import diff
from catalogsync.errors import TransientError
from catalogsync.events import EventHook, ProductsWritten, log_event
from catalogsync.protocols import Sink
from catalogsync.report import Report
from catalogsync.state.held import HeldPlan, keep_plan
from catalogsync.state.outbox import outbox_of
from catalogsync.state.protocols import (
    DamageReporting,
    FailedProduct,
    HistoryEntry,
    RunRecord,
    StateError,
    StateStore,
    each_failure,
)

from .informing import Informing
from .intents import Intents
from .leases import RunLease
from .options import OnDeleted, Options
from .owners import this_process
from .snapshots import Snapshots

__all__ = ["Journal"]

_LATEST = 1000
"""How far to look back for a run that was not a lane."""
_SaveKeys = Callable[[Collection[ProductKey]], Awaitable[None]]

_IN_HISTORY = frozenset(
    {
        OutcomeStatus.CREATED,
        OutcomeStatus.UPDATED,
        OutcomeStatus.REMOVED,
        OutcomeStatus.FAILED,
        OutcomeStatus.UNRESOLVED,
    }
)
_IN_SINK = frozenset(
    {OutcomeStatus.CREATED, OutcomeStatus.UPDATED, OutcomeStatus.UNCHANGED}
)


@attrs.define
class _Pending:
    """What is not saved in the store yet.

    Attributes:
        recovered: Products that failed in an earlier run and no longer do.
        finished: Products whose intent is over.
        present: Products that the sink has now.
        reappeared: Products that an earlier run missed at the source.
        unchanged: Products that needed no change, with both sides.
        snapshots: When the stock of products was counted.
    """

    entries: list[HistoryEntry] = attrs.field(factory=list[HistoryEntry])
    failures: list[FailedProduct] = attrs.field(factory=list[FailedProduct])
    recovered: set[ProductKey] = attrs.field(factory=set[ProductKey])
    finished: set[ProductKey] = attrs.field(factory=set[ProductKey])
    present: set[ProductKey] = attrs.field(factory=set[ProductKey])
    reappeared: set[ProductKey] = attrs.field(factory=set[ProductKey])
    unchanged: dict[ProductKey, Unchanged] = attrs.field(
        factory=dict[ProductKey, Unchanged]
    )
    snapshots: dict[ProductKey, float] = attrs.field(factory=dict[ProductKey, float])

    def add(self, other: _Pending) -> None:
        """Add all that is in another one."""
        self.entries += other.entries
        self.failures += other.failures
        self.recovered |= other.recovered
        self.finished |= other.finished
        self.present |= other.present
        self.reappeared |= other.reappeared
        self.unchanged |= other.unchanged
        self.snapshots |= other.snapshots


@attrs.define(kw_only=True)
class Journal:
    """One run's side of the state store.

    Without a store it still knows the intents of this run.

    Attributes:
        store: The state store; None: nothing outlives the run.
        writes: Whether the run writes; a plan leaves the store unchanged.
        partial: Whether the run takes selected products only.
        stopping: Set when the run stops, so that it no longer waits for a lease.
        receivers: Names of those who are informed of written products.
        emit: Receives `ProductsWritten`.
    """

    store: StateStore | None
    run_id: str
    job: str
    endpoint: str
    source: str
    sink: str
    options: Options
    writes: bool = True
    partial: bool = False
    stopping: asyncio.Event = attrs.field(factory=asyncio.Event)
    receivers: Sequence[str] = ()
    emit: EventHook = log_event
    informing: Informing = attrs.field(init=False)
    _warnings: list[str] = attrs.field(factory=list[str], init=False)
    _lease: RunLease | None = attrs.field(init=False)
    intents: Intents = attrs.field(init=False)
    snapshots: Snapshots = attrs.field(init=False)
    _failed: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _missing: frozenset[ProductKey] = attrs.field(default=frozenset(), init=False)
    _fields: dict[ProductKey, tuple[str, ...]] = attrs.field(
        factory=dict[ProductKey, tuple[str, ...]], init=False
    )
    _pending: _Pending = attrs.field(factory=_Pending, init=False)

    def __attrs_post_init__(self) -> None:
        self._lease = self._make_lease() if self.writes else None
        receivers = self.receivers if self.writes else ()
        self.informing = Informing(
            outbox=outbox_of(self.store, receivers),
            job=self.job,
            endpoint=self.endpoint,
            receivers=receivers,
            lane=self.options.only is not None,
        )
        self.intents = Intents(
            store=self.store,
            endpoint=self.endpoint,
            run_id=self.run_id,
            options=self.options,
        )
        self.snapshots = Snapshots(store=self.store, endpoint=self.endpoint)

    def _make_lease(self) -> RunLease | None:
        if self.store is None:
            return None
        what = f"job {self.job}" if self.job else "a run"
        return RunLease(
            store=self.store,
            name=f"{self.endpoint} <- {self.source}",
            owner=f"{what} ({self.run_id}) on {this_process()}",
            options=self.options,
            stopping=self.stopping,
        )

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Hold the lease for the length of a block, and load earlier runs' state.

        Raises:
            BusyError: Another run writes the same products.
            StateError: The store cannot be used.
        """
        async with self._lease.held() if self._lease else nullcontext():
            self.snapshots.begin()
            if self.store is not None:
                await self._load(self.store)
            yield

    async def _load(self, store: StateStore) -> None:
        await self.intents.load(store, self.source)
        if self.writes:
            failures = each_failure(store, self.job, endpoint=self._only_endpoint)
            source = self._only_source
            self._failed = {
                failure.key
                async for failure in failures
                if source is None or failure.key.source == source
            }
            self._missing = await store.absences(self.job, self.endpoint, source=source)
            self._warnings += await self.informing.load()

    # Jobs without a name share one name in the store. They may have different sources
    # and sinks, so each must only drop the failures and absences of its own pair.

    @property
    def _only_source(self) -> str | None:
        return None if self.job else self.source

    @property
    def _only_endpoint(self) -> str | None:
        return None if self.job else self.endpoint

    async def begin(self, started_at: float) -> None:
        """Save that the run began."""
        if self.store is not None and self.writes:
            record = RunRecord(
                run_id=self.run_id,
                job=self.job,
                source=self.source,
                sink=self.sink,
                started_at=started_at,
                partial=self.partial,
            )
            await uninterrupted(self.store.begin_run(record))

    async def previous(self) -> RunRecord | None:
        """The run of this job before this one; None: there is none."""
        if self.store is None or not self.writes:
            return None
        latest = await self.store.runs(job=self.job, limit=_LATEST)
        return next((each for each in latest if self._is_earlier(each)), None)

    async def catalog_version(self) -> str:
        """The version of the catalog that this job applied last; empty: not known."""
        if self.store is None or not self.job:
            return ""
        latest = await self.store.runs(job=self.job, limit=_LATEST)
        reports = (each.report for each in latest if self._is_earlier(each))
        found = (report.catalog_version for report in reports if report is not None)
        return next(filter(None, found), "")

    def _is_earlier(self, record: RunRecord) -> bool:
        """Whether a run is one before this one; a lane says nothing of the whole."""
        is_lane = record.report is not None and record.report.only
        return record.run_id != self.run_id and not is_lane

    async def last_complete(self) -> RunRecord | None:
        """The latest complete run of this job over both sides; None: there is none."""
        if self.store is None or not self.job or not self.writes:
            return None
        whole = await self.store.last_whole(self.job)
        latest = [whole] if whole else await self.store.runs(job=self.job)
        sides = self.source, self.sink
        complete = (
            each
            for each in latest
            if (each.source, each.sink) == sides
            and each.status is not None
            and each.status.is_complete
        )
        return next(complete, None)

    async def hold(self, held: HeldPlan, path: Path) -> None:
        """Keep the plan of a held run.

        Raises:
            StateError: The store cannot be used.
        """
        if self.store is not None:
            await keep_plan(self.store, held, path)

    async def end(self, report: Report) -> Report:
        """Save the report, even if the task is cancelled meanwhile.

        Returns:
            The report with `still_failing` from the store.
        """
        if self.store is None or not self.writes:
            await self.flush()
            return report
        return await uninterrupted(self._end(self.store, report))

    async def _end(self, store: StateStore, report: Report) -> Report:
        await self.flush()
        await self.informing.close()
        backlog = await store.backlog(self.job)
        report = attrs.evolve(report, still_failing=backlog.failures)
        await store.end_run(report)
        wrote_all = report.status.is_complete and not report.partial
        if self.job and wrote_all and report.held is None:
            await store.supersede(self.job)
        return report

    @property
    def warnings(self) -> Sequence[str]:
        """Rows that could not be read, and messages given up, as texts."""
        store: object = self.store
        damage = store.unreadable() if isinstance(store, DamageReporting) else ()
        return (*damage, *self._warnings)

    async def heartbeat(self) -> None:
        """Renew the lease until it is lost.

        Raises:
            LeaseLostError: Another run took it.
        """
        while self._lease is not None:
            await asyncio.sleep(self.options.lease / 4)
            await self._lease.confirm()

    async def confirm_lease(self) -> None:
        """Check before each write that this run still holds the lease.

        Raises:
            LeaseLostError: Another run took it.
        """
        if self._lease is not None:
            await self._lease.confirm()

    async def add_intents(self, changes: Collection[Change]) -> None:
        """Note which products are about to be written, before they are.

        Raises:
            LeaseLostError: Another run took the lease.
        """
        for change in changes:
            self._fields[change.key] = _fields(change)
        await self.confirm_lease()
        if self.writes:
            await self.informing.add(changes, lambda change: self._fields[change.key])
        await self.intents.add(changes)

    async def deleted_by_people(
        self, keys: Collection[ProductKey]
    ) -> frozenset[ProductKey]:
        """Those of these missing products that must not be created again.

        The sink had them, we did not remove them, and `on_deleted` is LEAVE.
        """
        if (
            self.options.on_deleted is not OnDeleted.LEAVE
            or self.store is None
            or not keys
        ):
            return frozenset()
        return await self.store.remembered(self.endpoint, keys)

    async def missed_before(
        self, keys: Collection[ProductKey]
    ) -> frozenset[ProductKey] | None:
        """Those that an earlier complete run missed too; None: not known.

        Args:
            keys: Products of ours that this run did not see at the source.
        """
        if self.store is None or not self.writes:
            return None
        self._missing = self._missing.difference(keys)  # they did not reappear
        return await self.store.note_absences(
            self.job, self.endpoint, self.run_id, keys, source=self._only_source
        )

    def add_outcome(self, outcome: Outcome, product: Product | None) -> None:
        """Buffer the outcome of a product; `flush` saves it.

        An unresolved product keeps its intent, so that the next run checks it.
        """
        key, pending = outcome.key, self._pending
        fields = self._fields.pop(key, ())
        counted = self.snapshots.resolved(outcome)
        self.informing.resolve(outcome)
        if outcome.status is not OutcomeStatus.UNRESOLVED and self.intents.end(key):
            pending.finished.add(key)
        if self.store is None or not self.writes:
            return
        if counted is not None:
            pending.snapshots[key] = counted
        if outcome.status in _IN_HISTORY:
            entry = HistoryEntry(
                run_id=self.run_id, at=time.time(), outcome=outcome, fields=fields
            )
            pending.entries.append(entry)
        if self.options.only is None:
            self._add_whole(outcome, product)

    def _add_whole(self, outcome: Outcome, product: Product | None) -> None:
        """Buffer what a lane cannot know, because it sees a part of the product only."""
        key, pending = outcome.key, self._pending
        if outcome.status is OutcomeStatus.FAILED:
            pending.failures.append(self._failure(outcome, product))
        elif outcome.status is not OutcomeStatus.UNRESOLVED and key in self._failed:
            pending.recovered.add(key)
        if self.options.on_deleted is OnDeleted.LEAVE and outcome.status in _IN_SINK:
            pending.present.add(key)
        if outcome.status is not OutcomeStatus.REMOVED and key in self._missing:
            pending.reappeared.add(key)

    async def unchanged(
        self, keys: Collection[ProductKey]
    ) -> Mapping[ProductKey, Unchanged]:
        """Both sides of those of these products that needed no change before."""
        if self.store is None or not keys:
            return {}
        return await self.store.unchanged(self.endpoint, keys)

    def keep_unchanged(self, key: ProductKey, unchanged: Unchanged) -> None:
        """Buffer both sides of a product that needs no change; `flush` saves them."""
        self._pending.unchanged[key] = unchanged

    def _failure(self, outcome: Outcome, product: Product | None) -> FailedProduct:
        now = time.time()
        return FailedProduct(
            key=outcome.key,
            reason=outcome.reason,
            said=outcome.said,
            payload=None if product is None else product_to_json(product),
            first_at=now,
            last_at=now,
            run_id=self.run_id,
        )

    async def flush(self) -> None:
        """Save what is buffered; without a store, forget it."""
        await self.informing.save()
        pending, self._pending = self._pending, _Pending()
        if self.store is not None and self.writes:
            try:
                await uninterrupted(self._save(self.store, pending))
            except StateError:
                self._pending.add(pending)
                raise
        if products := self.informing.take():
            self.emit(ProductsWritten(run_id=self.run_id, products=products))

    async def _save(self, store: StateStore, pending: _Pending) -> None:
        """Save all; what is saved is removed from *pending*."""
        job, endpoint = self.job, self.endpoint
        if pending.entries:
            await store.add_entries(job, pending.entries)
            pending.entries.clear()
        if pending.failures:
            put = partial(store.put_failures, job, pending.failures)
            await (put() if job else put(endpoint=endpoint))
            pending.failures.clear()
        if pending.unchanged:
            await store.put_unchanged(endpoint, pending.unchanged)
            pending.unchanged.clear()
        if pending.snapshots:
            await store.put_snapshots(endpoint, pending.snapshots)
            pending.snapshots.clear()
        # Intents go last: if this breaks off, the next run checks once too often.
        keyed: tuple[tuple[set[ProductKey], _SaveKeys], ...] = (
            (
                pending.recovered,
                partial(store.drop_failures, job, endpoint=self._only_endpoint),
            ),
            (pending.present, partial(store.remember, endpoint)),
            (pending.reappeared, partial(store.drop_absences, job, endpoint)),
            (pending.finished, partial(store.drop_intents, endpoint)),
        )
        for keys, save in keyed:
            if keys:
                await save(keys)
                keys.clear()

    async def drop_absent(self, has_seen: Callable[[ProductKey], bool]) -> None:
        """Drop failures and old intents of products that left the source.

        Args:
            has_seen: Whether this complete run saw a product at the source.
        """
        if self.store is None:
            return
        gone = {key for key in self._failed if not has_seen(key)}
        if gone:
            await self.store.drop_failures(self.job, gone, endpoint=self._only_endpoint)
        await self.intents.drop_absent(self.store, self.job, has_seen)

    async def inform_absent(
        self, sink: Sink, has_seen: Callable[[ProductKey], bool]
    ) -> None:
        """Find out whether unresolved products that left the source were written.

        Args:
            sink: The sink.
            has_seen: As in `drop_absent`.
        """
        with suppress(TransientError):  # the next run asks again
            await self.informing.resolve_absent(sink, has_seen)


def _fields(change: Change) -> tuple[str, ...]:
    if isinstance(change, Create):
        return ()
    missing_parts = change.existing.missing_parts
    return (*(item.path for item in diff(change)), *missing_parts)
