"""What a run tells the state store, and what it knows from the runs before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import attrs

from catalogsync.catalog.changes import Action, Change
from catalogsync.catalog.convert import product_to_json
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Product, ProductKey
from catalogsync.diff.describe import diff
from catalogsync.diff.ownership import OnManualEdit
from catalogsync.report import Report
from catalogsync.state.protocols import (
    BusyError,
    DamageReporting,
    FailedProduct,
    HistoryEntry,
    Intent,
    Lease,
    LeaseLostError,
    RunRecord,
    StateError,
    StateStore,
)

from .options import OnDeleted, Options, WhenBusy
from .owners import is_dead, this_process

__all__ = ["Journal"]

T = TypeVar("T")
_TellKeys = Callable[[Collection[ProductKey]], Awaitable[None]]

_LOOK_AGAIN = 2.0
_TOLD = frozenset(
    {
        OutcomeStatus.CREATED,
        OutcomeStatus.UPDATED,
        OutcomeStatus.REMOVED,
        OutcomeStatus.FAILED,
        OutcomeStatus.UNRESOLVED,
    }
)
_REMOVED = frozenset({Action.DELETE, Action.RELEASE})
_HELD = frozenset(
    {OutcomeStatus.CREATED, OutcomeStatus.UPDATED, OutcomeStatus.UNCHANGED}
)


@attrs.define
class _News:
    """What was not told to the store yet."""

    entries: list[HistoryEntry] = attrs.field(factory=list[HistoryEntry])
    failures: list[FailedProduct] = attrs.field(factory=list[FailedProduct])
    mended: set[ProductKey] = attrs.field(factory=set[ProductKey])
    ended: set[ProductKey] = attrs.field(factory=set[ProductKey])
    existing: set[ProductKey] = attrs.field(factory=set[ProductKey])
    back: set[ProductKey] = attrs.field(factory=set[ProductKey])

    def add(self, other: _News) -> None:
        """Take over what is not told there."""
        self.entries += other.entries
        self.failures += other.failures
        for name in ("mended", "ended", "existing", "back"):
            getattr(self, name).update(getattr(other, name))


@attrs.define(kw_only=True)
class Journal:
    """One run's side of the state store; without a store it remembers the run only.

    Attributes:
        store: Where it is kept; None: nowhere.
        run_id: The run.
        job: Its job.
        endpoint: Of the sink.
        source: Name of the source.
        sink: Name of the sink.
        options: Of the run.
        writes: Whether the run writes; a plan leaves the store as it is.
        partial: Whether the run takes chosen products only.
        stopping: Set when the run is to end, so that it waits for nobody.
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
    _lease: Lease | None = attrs.field(default=None, init=False)
    _intents: dict[ProductKey, Intent] = attrs.field(
        factory=dict[ProductKey, Intent], init=False
    )
    _opened_at: float = attrs.field(default=0.0, init=False)
    _failed: set[ProductKey] = attrs.field(factory=set[ProductKey], init=False)
    _missed: frozenset[ProductKey] = attrs.field(default=frozenset(), init=False)
    _fields: dict[ProductKey, tuple[str, ...]] = attrs.field(
        factory=dict[ProductKey, tuple[str, ...]], init=False
    )
    _news: _News = attrs.field(factory=_News, init=False)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Hold the lease and note the run, for the length of a block.

        Raises:
            BusyError: Another run writes the same products.
            StateError: The store cannot be used.
        """
        if self.store is None:
            yield
            return
        try:
            if self.writes:
                await self._take(self.store)
            await self._read(self.store)
            yield
        finally:
            if self._lease is not None:
                await _whole(self.store.drop_lease(self._lease))

    async def _take(self, store: StateStore) -> None:
        name = f"{self.endpoint} <- {self.source}"
        what = f"job {self.job}" if self.job else "a run"
        owner = f"{what} ({self.run_id}) on {this_process()}"
        ttl = self.options.lease

        async def ask() -> BusyError | None:
            taken = await store.take_lease(name, owner, ttl=ttl)
            if isinstance(taken, BusyError) and is_dead(taken.holder):
                taken = await store.take_lease(name, owner, ttl=ttl, dead=taken.holder)
            if isinstance(taken, BusyError):
                return taken
            self._lease = taken
            return None

        while (busy := await _whole(ask())) is not None:
            if self.options.when_busy is not WhenBusy.WAIT or self.stopping.is_set():
                raise busy
            with suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_AGAIN, self.options.lease / 4)):
                    await self.stopping.wait()

    async def _read(self, store: StateStore) -> None:
        self._intents = dict(await store.intents(self.endpoint, self.source))
        self._opened_at = time.monotonic()
        if self.writes:
            failures = await store.failures(
                self.job, payloads=False, endpoint=self._only_endpoint
            )
            source = self._only_source
            self._failed = {
                f.key for f in failures if source is None or f.key.source == source
            }
            self._missed = await store.absences(self.job, self.endpoint, source=source)

    # Jobs without a name share one. What another has failed at or missed, which is one
    # of another source or sink, is not for this one to forget.

    @property
    def _only_source(self) -> str | None:
        return None if self.job else self.source

    @property
    def _only_endpoint(self) -> str | None:
        return None if self.job else self.endpoint

    async def begin(self, started_at: float) -> None:
        """Note that the run began."""
        if self.store is not None and self.writes:
            record = RunRecord(
                run_id=self.run_id,
                job=self.job,
                source=self.source,
                sink=self.sink,
                started_at=started_at,
                partial=self.partial,
            )
            await _whole(self.store.begin_run(record))

    async def end(self, report: Report) -> Report:
        """Note how the run ended, also if it is cancelled meanwhile.

        Returns:
            The report with what the store adds to it.
        """
        if self.store is None or not self.writes:
            return report
        return await _whole(self._end(self.store, report))

    async def _end(self, store: StateStore, report: Report) -> Report:
        await self.flush()
        backlog = await store.backlog(self.job)
        report = attrs.evolve(report, still_failing=backlog.failures)
        await store.end_run(report)
        return report

    @property
    def damage(self) -> Sequence[str]:
        """Which rows of the store could not be read."""
        store: object = self.store
        return store.unreadable() if isinstance(store, DamageReporting) else ()

    async def heartbeat(self) -> None:
        """Keep the lease; ends only by an error.

        Raises:
            LeaseLostError: It went to another run.
        """
        while self._lease is not None:
            await asyncio.sleep(self.options.lease / 4)
            await self.confirm()

    async def confirm(self) -> None:
        """See to it that the lease is still ours; called before each write.

        Raises:
            LeaseLostError: It went to another run.
        """
        if self.store is None or self._lease is None:
            return
        if not await self.store.renew_lease(self._lease, ttl=self.options.lease):
            problem = "another run took over, because this one was not heard of"
            raise LeaseLostError(
                f"{problem} for {self.options.lease:g} s; nothing more is written"
            )

    async def announce(self, changes: Collection[Change]) -> None:
        """Note what is about to be written.

        Raises:
            LeaseLostError: Another run took over.
        """
        handles: dict[ProductKey, str] = {}
        for change in changes:
            if change.action is Action.CREATE or self._notes_updates:
                handles[change.key] = change.handle or ""
            self._fields[change.key] = _fields(change)
        await self.confirm()
        if self.store is not None:
            await self._prepare(self.store, changes, handles)
        for key, handle in handles.items():
            kept = self.handle(key) or handle
            self._intents[key] = Intent(key=key, handle=kept, run_id=self.run_id)

    async def _prepare(
        self,
        store: StateStore,
        changes: Collection[Change],
        handles: Mapping[ProductKey, str],
    ) -> None:
        if handles:
            await store.put_intents(self.endpoint, self.run_id, handles)
        # Whatever becomes of these, one that is not there then is no person's doing.
        leaves = self.options.on_deleted is OnDeleted.LEAVE
        unsure = _REMOVED | {Action.CREATE} if leaves else _REMOVED
        if keys := [change.key for change in changes if change.action in unsure]:
            await store.forget(self.endpoint, keys)

    @property
    def _notes_updates(self) -> bool:
        """An update that broke off looks like an edit, if nobody knows of it."""
        return self.options.on_manual_edit is OnManualEdit.KEEP

    def handle(self, key: ProductKey) -> str:
        """The handle of a creation whose end is not known; empty: there is none."""
        intent = self._intents.get(key)
        return intent.handle if intent else ""

    def is_open(self, key: ProductKey) -> bool:
        """Whether something was begun with this product and its end is not known."""
        return key in self._intents

    def is_young(self, key: ProductKey) -> float:
        """Seconds for which a creation of an earlier run may still be going on."""
        intent = self._intents.get(key)
        if intent is None or intent.run_id == self.run_id:
            return 0.0
        age = intent.age + time.monotonic() - self._opened_at
        return max(0.0, self.options.grace - age)

    async def left(self, keys: Collection[ProductKey]) -> frozenset[ProductKey]:
        """Those that were in the sink once, and that people deleted for good."""
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
        """Those that an earlier complete run missed too; None: it cannot be told."""
        if self.store is None or not self.writes:
            return None
        return await self.store.note_absences(
            self.job, self.endpoint, self.run_id, keys, source=self._only_source
        )

    def note(self, outcome: Outcome, product: Product | None) -> None:
        """Take note of what became of a product; told to the store by `flush`."""
        key, news = outcome.key, self._news
        fields = self._fields.pop(key, ())
        if outcome.status is not OutcomeStatus.UNRESOLVED and key in self._intents:
            del self._intents[key]
            news.ended.add(key)
        if self.store is None or not self.writes:
            return
        if outcome.status in _TOLD:
            entry = HistoryEntry(
                run_id=self.run_id, at=time.time(), outcome=outcome, fields=fields
            )
            news.entries.append(entry)
        if outcome.status is OutcomeStatus.FAILED:
            news.failures.append(self._failure(outcome, product))
        elif outcome.status is not OutcomeStatus.UNRESOLVED and key in self._failed:
            news.mended.add(key)
        if self.options.on_deleted is OnDeleted.LEAVE and outcome.status in _HELD:
            news.existing.add(key)
        if outcome.status is not OutcomeStatus.REMOVED and key in self._missed:
            news.back.add(key)

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
        """Tell the store what it does not know yet."""
        if self.store is None or not self.writes:
            return
        news, self._news = self._news, _News()
        try:
            await _whole(self._tell(self.store, news))
        except StateError:
            self._news.add(news)
            raise

    async def _tell(self, store: StateStore, news: _News) -> None:
        """Tell what there is; what is told is taken off *news*."""
        job, endpoint = self.job, self.endpoint
        if news.entries:
            await store.add_entries(job, news.entries)
            news.entries.clear()
        if news.failures:
            put = partial(store.put_failures, job, news.failures)
            await (put() if job else put(endpoint=endpoint))
            news.failures.clear()
        keyed: tuple[tuple[set[ProductKey], _TellKeys], ...] = (
            (
                news.mended,
                partial(store.drop_failures, job, endpoint=self._only_endpoint),
            ),
            (news.existing, partial(store.remember, endpoint)),
            (news.back, partial(store.drop_absences, job, endpoint)),
            (news.ended, partial(store.drop_intents, endpoint)),
        )
        for keys, tell in keyed:
            if keys:
                await tell(keys)
                keys.clear()

    async def drop_absent(self, saw: Callable[[ProductKey], bool]) -> None:
        """Forget failures and old intents of products that left the source."""
        if self.store is None:
            return
        gone = {key for key in self._failed if not saw(key)}
        if gone:
            await self.store.drop_failures(self.job, gone, endpoint=self._only_endpoint)
        over = [
            intent
            for key, intent in self._intents.items()
            if not saw(key) and not self.is_young(key)
        ]
        jobs = {id_: await self._job_of(id_) for id_ in {i.run_id for i in over}}
        left = {i.key for i in over if jobs[i.run_id] in {None, self.job}}
        if left:
            await self.store.drop_intents(self.endpoint, left)

    async def _job_of(self, run_id: str) -> str | None:
        """The job of a run; None: nobody knows it any more."""
        record = await self.store.run(run_id) if self.store else None
        return record.job if record else None


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """Do something short to its end, also if this task is cancelled meanwhile.

    A lease that was taken or not given back, and that nobody knows of, would keep
    all others out until it ends.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait({task})


def _fields(change: Change) -> tuple[str, ...]:
    if change.action is Action.CREATE:
        return ()
    missing_parts = change.existing.missing_parts if change.existing else ()
    return (*(item.path for item in diff(change)), *missing_parts)
