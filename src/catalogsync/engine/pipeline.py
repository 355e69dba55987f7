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
import time
from collections.abc import (
    Awaitable,
    Callable,
    Generator,
    Sequence,
)
from functools import partial
from operator import itemgetter
from typing import Any

from catalogsync.batching import ROOM, batcher
from catalogsync.catalog.changes import (
    Change,
    ReferenceChange,
    Write,
)
from catalogsync.catalog.outcomes import Outcome
from catalogsync.catalog.products import Product
from catalogsync.diff.ownership import OnManualEdit
from catalogsync.errors import CatalogSyncError, TransientError
from catalogsync.events import Compared, RunStopping, logger
from catalogsync.protocols import (
    ReferencingSink,
    RemovingSink,
    Sink,
    Source,
)

from .applying import Approval
from .batches import cut
from .breaker import Breaker
from .defects import explained
from .journal import Journal
from .options import Options
from .pages import is_cancelled
from .planner import Planner, conflict_text, no_objection
from .pruning import Pruner
from .reader import Reader
from .recorder import Recorder
from .references import ReferenceResolver, allow_all
from .removing import Removals, Remover
from .verifying import Verifier
from .waiting import LastRound, WaitingRoom
from .writer import Writer

__all__ = ["OnChange", "Pipeline"]

_LEAK = "the cancellation of another task escaped"

OnChange = Callable[[Change | ReferenceChange], None]
Stage = Callable[[], Awaitable[None]]
_Weighed = tuple[Product, int]
_Collector = Generator[list[_Weighed] | None, _Weighed | None, None]

_GRACE = 30.0


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
        self._waiting = WaitingRoom()
        self._writer = Writer(
            sink=sink,
            plan=self._plan_again,
            options=options,
            recorder=recorder,
            journal=journal,
            breaker=Breaker.of(options),
            on_written=self._written,
            on_refused=self._refused,
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
        self._batches: asyncio.Queue[list[Write] | None] = asyncio.Queue(
            maxsize=self.width
        )
        self._last_stage = asyncio.TaskGroup()
        # Tasks that a stop cancels at once, and those that it gives time to end.
        self._upstream: list[asyncio.Task[None]] = []
        self._planning = 0
        self._writers: list[asyncio.Task[None]] = []
        self._last_tasks: list[asyncio.Task[Any]] = []
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
                self._writer.leave_unresolved([p.key for p in group], problem)
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
            changes = [each.change for each in planned]
            for batch in cut(changes, self.sink, self.options):
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
            for change in batch:
                self.on_change(change)
                self.recorder.record(change.done())

    async def _plan_again(self, changes: Sequence[Write]) -> list[Write]:
        desired = [change.desired for change in changes if change.desired is not None]
        return [each.change for each in await self._planner.plan_once(desired)]

    def _written(self, change: Write, outcome: Outcome) -> None:
        self.recorder.record(outcome)
        if outcome.reason:
            self.recorder.warn(conflict_text(outcome.key, outcome.reason))
        self._verifier.add(change)

    def _refused(self, change: Write, outcome: Outcome) -> None:
        """A product can wait for a value that another one still has."""
        if not self._waiting.admit(change.desired or change.product, outcome):
            self.recorder.record_refusal(outcome)

    # What can only be done when everything is read and written.

    async def _finish(self) -> None:
        if self._references is not None:
            await self._references.close()
        await self.journal.flush()
        if (
            self._is_complete
            and self.on_change is None
            and not self._reader.uncertainty
        ):
            await self.journal.drop_absent(self._reader.has_seen)
        if (removals := self._removals()) is not None:
            await Remover(
                sink=self.sink,
                options=self.options,
                recorder=self.recorder,
                journal=self.journal,
                in_flight=self._in_flight,
                on_change=self.on_change,
            ).remove(removals)
        await self._write_waiting()
        await self._verifier.run()

    @property
    def _is_complete(self) -> bool:
        """Whether the run saw the whole source and resolved every product."""
        whole = not self.options.partial and self.approval is None
        return (
            whole and not self.recorder.problems and not self.recorder.counts.unresolved
        )

    def _removals(self) -> Removals | None:
        """What is to be removed: as approved, or what left the source."""
        sink, options, prune = self.sink, self.options, self.options.prune
        if self.approval is not None or prune is None or not self._is_complete:
            return self.approval
        if not isinstance(sink, RemovingSink):
            self.recorder.warn("`prune` ignored: not supported by this sink")
            return None
        return Pruner(
            source=self.source,
            sink=sink,
            prune=prune,
            options=options,
            recorder=self.recorder,
            journal=self.journal,
            has_seen=self._reader.has_seen,
            uncertainty=self._reader.uncertainty,
            plans=self.on_change is not None,
        )

    async def _write_waiting(self) -> None:
        """Write the products that waited for others to be written or removed."""
        last_round = LastRound(
            room=self._waiting,
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

    async def _write_all(self, changes: Sequence[Write]) -> None:
        for batch in cut(changes, self.sink, self.options):
            await self._writer.write(batch)

    async def _in_flight(self, work: Stage) -> None:
        """Do work that a stop gives time to end, as it does with the writers.

        The last stage itself is cancelled at once, so the work has a task of its own,
        which the shield protects.
        """
        task = self._last_stage.create_task(_caught(work), name="catalogsync-remove")
        self._last_tasks.append(task)
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
        for task in (*self._writers, *self._last_tasks):
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
