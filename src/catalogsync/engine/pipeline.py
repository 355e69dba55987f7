"""The pipeline: the stations of a run and the bounded queues between them.

    reader --groups--> planner --batches--> writers --outcomes--> recorder
                                                                      |
    when all is written:  prune, write what waited, verify        journal

A product moves forward only. The *reader* reads pages ahead and collects the products
of one `find`. The *planner* finds them in the sink and plans their changes, several
groups at once. *Writers* apply batches of changes, several at once. Whoever knows the outcome of a product
gives it to the *recorder*, which passes it on to the *journal*. Each station waits for
the next, so memory is bounded by the pages ahead and the batches in flight, by number
and by size. Only a write whose result is unknown goes back: its products are found and
planned again (see `writer`).

**Stopping.** A stop has two steps. At once, nothing new begins: the reader and the
planner are cancelled, the queue of batches is emptied, and each writer finds the end
marker. The batches in flight get *grace* seconds, and are cancelled after that. A
product without an outcome is unresolved in the report. Errors of a station, a lost
lease and a sink that is given up all stop the run in this way.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import (
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Sequence,
)
from functools import partial
from operator import itemgetter
from typing import Any, Protocol

from catalogsync.batching import ROOM, batched, batcher
from catalogsync.catalog.changes import (
    Change,
    Delete,
    Existing,
    Reference,
    ReferenceChange,
    Removal,
    Write,
)
from catalogsync.catalog.products import Field, Product
from catalogsync.diff.ownership import OnManualEdit
from catalogsync.errors import CatalogSyncError, TransientError
from catalogsync.events import Compared, RunStopping, logger
from catalogsync.protocols import (
    ReferencingSink,
    RemovingSink,
    Sink,
    SizedSink,
    Source,
)

from . import promises
from .breaker import Breaker
from .defects import explained
from .journal import Journal
from .options import Options
from .pages import is_cancelled
from .planner import Planned, Planner, by_action, no_objection
from .pruning import Pruner
from .reader import Reader
from .recorder import Recorder
from .references import ReferenceResolver, allow_all
from .removing import Recheck, Rechecked, Remover, recheck, repeated
from .verifying import Verifier
from .waiting import LastRound
from .writer import Writer

__all__ = ["Approval", "OnChange", "Pipeline"]

_LEAK = "the cancellation of another task escaped"

OnChange = Callable[[Change | ReferenceChange], None]
Stage = Callable[[], Awaitable[None]]
_Weighed = tuple[Product, int]
_Collector = Generator[list[_Weighed] | None, _Weighed | None, None]

_GRACE = 30.0


class Approval(Protocol):
    """Decides which changes a run may make, such as those of a saved plan."""

    def objection(self, change: Write, /) -> str:
        """Why a change must not be made; empty: it may."""
        ...

    def allows_reference(self, change: ReferenceChange, /) -> bool:
        """Whether a category or tag may be written."""
        ...

    @property
    def references(self) -> Iterable[Reference]:
        """Categories and tags to write, whether a product needs them or not."""
        ...

    @property
    def removes(self) -> bool:
        """Whether there are removals."""
        ...

    async def removals(self, sink: RemovingSink, source: str, /) -> Sequence[Removal]:
        """List a source's products in the sink, and return the removals to make."""
        ...

    def is_removable(self, change: Removal, existing: Existing, /) -> bool:
        """Whether a removal may still be made, given the product as it is now."""
        ...

    @property
    def stale(self) -> str:
        """Removals that were not made because the product changed; empty: none."""
        ...

    @property
    def gone(self) -> str:
        """Removals without a product of ours to remove; empty: none."""
        ...


class Pipeline:
    """Moves the products of one run from the source to the sink.

    Attributes:
        source: The source.
        sink: The sink.
        options: Options of the run.
        recorder: Receives outcomes.
        journal: The run's side of the state store.
        on_change: Receives each change instead of the sink; None: they are written.
        approval: Decides which changes may be made; None: all.
        error: The first error that broke the run off; None: none did.
        cancelled: Whether somebody stopped the run before it ended.
    """

    def __init__(
        self,
        *,
        source: Source,
        sink: Sink,
        options: Options,
        recorder: Recorder,
        journal: Journal,
        on_change: OnChange | None = None,
        approval: Approval | None = None,
    ) -> None:
        self.source = source
        self.sink = sink
        self.options = options
        self.recorder = recorder
        self.journal = journal
        self.on_change = on_change
        self.approval = approval
        self.error: Exception | None = None
        self.cancelled = False
        self._reader = Reader(
            source=source,
            options=options,
            recorder=recorder,
            deliver=self._deliver,
            on_page=self._end_page,
        )
        self._references = self._make_references()
        self._planner = Planner(
            sink=sink,
            references=self._references,
            options=options,
            recorder=recorder,
            journal=journal,
            rules=options.rules(journal.job),
            objection=no_objection if approval is None else approval.objection,
        )
        self._verifier = Verifier(
            sink=sink, planner=self._planner, options=options, recorder=recorder
        )
        self._writer = Writer(
            sink=sink,
            planner=self._planner,
            options=options,
            recorder=recorder,
            journal=journal,
            on_written=self._verifier.add,
            breaker=Breaker.of(options),
        )
        self._remover = Remover(
            sink=sink,
            options=options,
            recorder=recorder,
            journal=journal,
            in_flight=self._in_flight,
        )
        self._find_breaker = Breaker.of(options)
        self._collect: _Collector = batcher(
            sink.limits.find, weight=ROOM, weigh=itemgetter(1)
        )
        next(self._collect)
        self._collected = 0
        self._enough = 1
        # None in a queue is the end marker, for each of the tasks that take from it.
        self._groups: asyncio.Queue[list[Product] | None] = asyncio.Queue(maxsize=1)
        self._batches: asyncio.Queue[list[Planned] | None] = asyncio.Queue(
            maxsize=self.width
        )
        self._last_stage = asyncio.TaskGroup()
        # Tasks that a stop cancels at once, and those that it gives time to end.
        self._upstream: list[asyncio.Task[None]] = []
        self._planning = 0
        self._writers: list[asyncio.Task[None]] = []
        self._removals: list[asyncio.Task[Any]] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._stopped = False
        self._ended = False

    def _make_references(self) -> ReferenceResolver | None:
        if not isinstance(self.sink, ReferencingSink):
            return None
        approval = self.approval
        return ReferenceResolver(
            sink=self.sink,
            source=self.source.name,
            policy=self.options.retry,
            recorder=self.recorder,
            confirm_lease=self.journal.confirm_lease,
            keep=self.options.on_manual_edit is not OnManualEdit.OVERWRITE,
            on_change=self.on_change,
            is_allowed=allow_all if approval is None else approval.allows_reference,
        )

    @property
    def width(self) -> int:
        """How many writers run at once."""
        most = self.sink.limits.writers
        return min(most, self.options.writers or most)

    @property
    def stopped(self) -> bool:
        """Whether the run was stopped, by anybody or by an error."""
        return self._stopped

    async def run(self) -> None:
        """Process all products; afterwards `error` says what broke the run off."""
        if self._stopped:
            return
        async with asyncio.TaskGroup() as group:

            def start(work: Stage, name: str) -> asyncio.Task[None]:
                return group.create_task(self._guarded(work), name=name)

            self._writers += [
                start(self._write, f"catalogsync-write-{n}") for n in range(self.width)
            ]
            self._planning = self.sink.limits.finders
            self._upstream += [
                start(self._plan, f"catalogsync-plan-{n}")
                for n in range(self._planning)
            ]
            self._upstream.append(start(partial(self._read, group), "catalogsync-read"))
        if not self._stopped:
            self._writer.close()
            self._upstream.clear()
            self._writers.clear()
            async with self._last_stage as group:
                work = self._guarded(self._finish)
                task = group.create_task(work, name="catalogsync-finish")
                self._upstream.append(task)
        self._ended = True
        for timer in self._timers:
            timer.cancel()

    async def keep_lease(self) -> None:
        """Renew the lease while the run lasts; losing it stops the run."""
        try:
            await self.journal.heartbeat()
        except CatalogSyncError as error:
            self._break_off(error)

    # The three stages, each a task or several.

    async def _read(self, group: asyncio.TaskGroup) -> None:
        if self.approval is not None and self._references is not None:
            try:
                await self._references.ensure(self.approval.references)
            except TransientError as error:
                self.recorder.add_problem(
                    f"could not write categories or tags: {error}"
                )
        await self._reader.run(group)
        await self._hand_over(self._collect.send(None))
        for _ in range(self.sink.limits.finders):
            await self._groups.put(None)

    async def _deliver(self, product: Product, weight: int) -> None:
        self._collected += 1
        await self._hand_over(self._collect.send((product, weight)))

    async def _end_page(self) -> None:
        """Hand over what the first pages brought, instead of waiting for a full group.

        The sink has work at once. Each group is at least twice as large as the one
        before, so this costs a few requests only, however many pages there are.
        """
        await self.journal.flush()
        if self._collected >= self._enough:
            self._enough = 2 * self._collected
            await self._hand_over(self._collect.send(None))

    async def _hand_over(self, group: list[_Weighed] | None) -> None:
        if group:
            self._collected -= len(group)
            await self._groups.put([product for product, _ in group])

    async def _plan(self) -> None:
        while (group := await self._groups.get()) is not None and not self._stopped:
            started = time.perf_counter()
            try:
                policy = self._find_breaker.policy(self.options.retry)
                planned = await self._planner.plan(group, policy)
            except TransientError as error:
                problem = TransientError(f"could not ask the sink: {error}")
                self._writer.leave_unresolved(group, problem)
                self._find_breaker.failed(len(group), problem)
                self._stop_if_hopeless()
                continue
            self._find_breaker.worked()
            await self.journal.flush()
            self._stop_if_hopeless()
            event = Compared(
                run_id=self.recorder.run_id,
                products=len(group),
                changes=len(planned),
                seconds=time.perf_counter() - started,
            )
            self.recorder.emit(event)
            for batch in self._batched(planned):
                await self._batches.put(batch)
        self._planning -= 1
        if not self._planning:
            for _ in self._writers:
                await self._batches.put(None)

    async def _write(self) -> None:
        while (batch := await self._batches.get()) is not None:
            if self.on_change is None:
                await self._writer.write(batch)
                self._stop_if_hopeless()
                continue
            self.recorder.add_batch(len(batch))
            for item in batch:
                self.on_change(item.change)
                self.recorder.record(item.change.done())

    def _batched(self, planned: list[Planned]) -> list[list[Planned]]:
        """Batches of about the same size within the sink's limits, one action each."""
        batches: list[list[Planned]] = []
        for items in by_action(planned):
            number = math.ceil(len(items) / self._batch_size)
            size = math.ceil(len(items) / number)
            batches += batched(items, size, weight=self._max_weight, weigh=self._weigh)
        return batches

    @property
    def _batch_size(self) -> int:
        most = self.sink.limits.batch
        return min(most, self.options.batch_size or most)

    @property
    def _max_weight(self) -> int | None:
        has_size = isinstance(self.sink, SizedSink)
        return self.sink.limits.weight if has_size else None

    @property
    def _weigh(self) -> Callable[[Planned], int] | None:
        sink = self.sink
        if self._max_weight is None or not isinstance(sink, SizedSink):
            return None
        return lambda item: promises.weigh(sink, item.change)

    # What can only be done when everything is read and written.

    async def _finish(self) -> None:
        if self._references is not None:
            await self._references.close()
        await self.journal.flush()
        if self._is_complete:
            has_seen, uncertainty = self._reader.has_seen, self._reader.uncertainty
            if self.on_change is None and not uncertainty:
                await self.journal.drop_absent(has_seen)
            if self.options.prune is not None:
                await Pruner(
                    source=self.source,
                    sink=self.sink,
                    options=self.options,
                    recorder=self.recorder,
                    journal=self.journal,
                    remover=self._remover,
                    has_seen=has_seen,
                    uncertainty=uncertainty,
                    on_change=self.on_change,
                ).run(self.options.prune)
        if self.approval is not None:
            await self._remove_approved(self.approval)
        await self._write_waiting()
        await self._verifier.run()

    @property
    def _is_complete(self) -> bool:
        """Whether the run saw the whole source and resolved every product."""
        whole = not self.options.partial and self.approval is None
        return (
            whole and not self.recorder.problems and not self.recorder.counts.unresolved
        )

    async def _remove_approved(self, approval: Approval) -> None:
        """Make the removals of a plan; report those whose product has changed."""
        if not approval.removes or not isinstance(self.sink, RemovingSink):
            return
        work = partial(approval.removals, self.sink, self.source.name)
        try:
            changes = await repeated(
                work, "list our products", self.recorder, self.options
            )
            await self._remover.remove(changes, self._recheck_approved(approval))
        except TransientError as error:
            self.recorder.add_problem(f"could not remove products: {error}")
        if approval.stale:
            self.recorder.add_problem(approval.stale)
        if approval.gone:
            self.recorder.warn(approval.gone)

    def _recheck_approved(self, approval: Approval) -> Recheck:
        async def check(changes: Sequence[Removal]) -> Rechecked:
            deletes = isinstance(changes[0], Delete)
            fields = frozenset(Field if deletes else {Field.STATUS})
            return await recheck(
                self.sink, changes, approval.is_removable, self.recorder, fields=fields
            )

        return check

    async def _write_waiting(self) -> None:
        """Write the products that waited for others to be written or removed."""
        last_round = LastRound(
            room=self._writer.waiting,
            sink=self.sink,
            planner=self._planner,
            write=self._write_all,
            options=self.options,
            recorder=self.recorder,
            journal=self.journal,
        )
        try:
            await self._in_flight(last_round.run)
        except TransientError as error:
            self.recorder.add_problem(f"could not write products that waited: {error}")
        self._writer.close()

    async def _write_all(self, planned: list[Planned]) -> None:
        for batch in self._batched(planned):
            await self._writer.write(batch)

    async def _in_flight(self, work: Stage) -> None:
        """Do work that a stop gives time to end, as it does with the writers.

        The last stage itself is cancelled at once, so the work has a task of its own,
        which the shield protects.
        """
        task = self._last_stage.create_task(_caught(work), name="catalogsync-remove")
        self._removals.append(task)
        error = await asyncio.shield(task)
        if error is not None:
            raise error

    # Stopping.

    def cancel(self, reason: str, grace: float) -> None:
        """Stop because somebody asked for it; see `stop`."""
        if not self._ended and not self._stopped:
            self.cancelled = True
        self.stop(reason, grace)

    def stop(self, reason: str, grace: float) -> None:
        """Begin nothing new; cancel what is in flight after *grace* seconds.

        A later stop can shorten the grace of an earlier one.
        """
        if self._ended:
            return
        if not self._stopped:
            self._stopped = True
            self.journal.stopping.set()
            self.recorder.add_problem(reason)
            self.recorder.emit(RunStopping(run_id=self.recorder.run_id, reason=reason))
            self._begin_nothing_new()
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(grace, self._cancel_in_flight))

    def _begin_nothing_new(self) -> None:
        for task in self._upstream:
            task.cancel()
        while not self._batches.empty():
            self._batches.get_nowait()
        for _ in self._writers:
            self._batches.put_nowait(None)

    def _cancel_in_flight(self) -> None:
        for task in (*self._writers, *self._removals):
            task.cancel()

    def _stop_if_hopeless(self) -> None:
        reason = self._writer.verdict or self._find_breaker.verdict
        if reason:
            self.stop(reason, grace=_GRACE)

    async def _guarded(self, work: Stage) -> None:
        """Turn an error of a stage into an orderly stop of the run."""
        try:
            await work()
        except asyncio.CancelledError:
            if self._stopped or is_cancelled():
                raise
            self._break_off(RuntimeError(_LEAK))
        except Exception as error:  # noqa: BLE001 - the boundary of a task
            self._break_off(error)

    def _break_off(self, error: Exception) -> None:
        text = explained(error, self.source, self.sink)
        if not isinstance(error, CatalogSyncError):
            logger.error("a run broke off: %s", text, exc_info=error)
        if self.error is None:
            self.error = error
        reason = text if isinstance(error, TransientError) else f"broke off: {text}"
        if self.cancelled:  # `stop` ignores its reason now, but people should know it
            self.recorder.add_problem(reason)
        self.stop(reason, grace=_GRACE)


async def _caught(work: Stage) -> Exception | None:
    """The error, so that it is raised where the work is awaited."""
    try:
        await work()
    except Exception as error:  # noqa: BLE001 - raised again by who waits
        return error
    return None
