"""The pipeline: the stations of a run and the bounded queues between them.

    reader --groups--> planner --batches--> writers --outcomes--> recorder
                                                                      |
    when all is written:  remove, write what waited, verify       journal

A product moves forward only. The *reader* reads pages ahead and delivers products one
by one; here they are collected into groups for one `find`. The *planner* finds them in
the sink and plans their changes, several groups at once. *Writers* apply batches of
changes, several at once. Whoever knows the outcome of a product gives it to the
*recorder*, which passes it on to the *journal*. Each station waits for the next, so
memory is bounded by the pages ahead and the batches in flight, by number and by size.
Only a write whose result is unknown goes back: its products are found and planned again
(see `writer`).

A run that only plans writes nothing: its changes go to a *collector*. So do those of
the first of a guarded run's two pipelines (see `guarding`).

When the run stops (see `stopping`), the queue of batches is emptied, and each writer
finds the end marker. A product without an outcome is unresolved in the report.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Generator, Sequence
from functools import partial
from operator import itemgetter

from catalogsync.batching import ROOM, batcher
from catalogsync.catalog.changes import Reference, Write
from catalogsync.catalog.outcomes import Outcome
from catalogsync.catalog.products import ProductKey
from catalogsync.diff.ownership import OnManualEdit
from catalogsync.errors import TransientError
from catalogsync.events import Compared
from catalogsync.protocols import ReferencingSink, RemovingSink, SellOutSink

from .applying import Approval
from .batches import cut
from .breaker import Breaker
from .collecting import Collector
from .context import RunContext
from .images import ImageStore
from .options import Prune
from .planner import Planner, conflict_text, ignore, no_objection
from .pruning import Pruner
from .reader import Reader
from .recognizing import Fetched, Recognizer
from .references import ReferenceResolver, allow_all
from .removing import Removals, Remover
from .stopping import Stage
from .verifying import Verifier
from .waiting import LastRound, WaitingRoom
from .writer import Writer

__all__ = ["Pipeline"]

_Weighed = tuple[Fetched, int]
_Collector = Generator[list[_Weighed] | None, _Weighed | None, None]


class Pipeline:
    """Moves the products of one run from the source to the sink.

    Attributes:
        collector: Takes the changes instead of the sink; None: they are written.
        approval: Decides which changes may be made; None: all.
        references: The categories and tags of the run.

    Args:
        follows: An earlier pipeline of the same run, which has counted categories.
    """

    def __init__(
        self,
        context: RunContext,
        *,
        collector: Collector | None = None,
        approval: Approval | None = None,
        follows: Pipeline | None = None,
    ) -> None:
        self.source, self.sink = source, sink = context.source, context.sink
        self.options = options = context.options
        self.recorder = recorder = context.recorder
        self.journal = journal = context.journal
        self.tasks = context.tasks
        self.collector = collector
        self.approval = approval
        before = follows.references if follows else None
        self.references: ReferenceResolver | None = self._make_references(
            before.existing if before else ()
        )
        self._planner = Planner(
            sink=sink,
            references=self.references,
            options=options,
            recorder=recorder,
            journal=journal,
            recognizer=self._make_recognizer(),
            rules=options.rules(journal.job),
            objection=no_objection if approval is None else approval.objection,
            on_unchanged=ignore if collector is None else collector.unchanged,
            images=ImageStore.of(sink, options, recorder, journal),
            stores=collector is None,
        )
        self._reader = Reader(
            source=source,
            options=options,
            recorder=recorder,
            recognizer=self._planner.recognizer,
            updates=context.updates,
            deliver=self._deliver,
            on_page=self._end_page,
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
        # Products that are in no group yet, and how many of them close one early.
        self._collected = 0
        self._enough = 1
        # None in a queue is the end marker, for each of the tasks that take from it.
        self._groups: asyncio.Queue[list[Fetched] | None] = asyncio.Queue(maxsize=1)
        self._batches: asyncio.Queue[list[Write] | None] = asyncio.Queue(
            maxsize=context.width
        )
        self._width = context.width
        # Tasks that still take from the queue of groups, and from that of batches.
        self._planning = 0
        self._writers = 0

    def _make_references(
        self, counted: Collection[Reference]
    ) -> ReferenceResolver | None:
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
            on_change=self.collector.reference if self.collector else None,
            counted=counted,
            is_allowed=allow_all if approval is None else approval.allows_reference,
        )

    def _make_recognizer(self) -> Recognizer:
        options, journal = self.options, self.journal
        return Recognizer.of(
            self.sink,
            journal,
            self.references,
            options.rules(journal.job),
            skips=options.transform is not None
            or options.only is not None
            or options.guard.within is not None,
        )

    async def run(self) -> None:
        """Process all products; afterwards `tasks.error` says what broke the run off."""
        if self.tasks.stopped:
            return
        self.tasks.begin(self._empty_queue)
        async with asyncio.TaskGroup() as group:

            def start(work: Stage, name: str) -> asyncio.Task[None]:
                work_ = self.tasks.supervised(work)
                return group.create_task(work_, name=f"catalogsync-{name}")

            self._writers, self._planning = self._width, self.sink.limits.finders
            self.tasks.in_flight += [
                start(self._write, f"write-{n}") for n in range(self._writers)
            ]
            self.tasks.upstream += [
                *(start(self._plan, f"plan-{n}") for n in range(self._planning)),
                start(partial(self._read, group), "read"),
            ]
        if not self.tasks.stopped:
            self._writer.close()
            self._writers = 0
            self.tasks.upstream.clear()
            self.tasks.in_flight.clear()
            async with self.tasks.last_stage as group:
                work = self.tasks.supervised(self._finish)
                task = group.create_task(work, name="catalogsync-finish")
                self.tasks.upstream.append(task)

    def has_read(self, key: ProductKey) -> bool:
        """Whether it read this product at the source."""
        return self._reader.has_seen(key)

    # The tasks of reader, planner and writers: one, or several.

    async def _read(self, group: asyncio.TaskGroup) -> None:
        if self.approval is not None and self.references is not None:
            try:
                await self.references.ensure(self.approval.references)
            except TransientError as error:
                self.recorder.add_problem(
                    f"could not write categories or tags: {error}"
                )
        await self._reader.run(group)
        await self._hand_over(self._collect.send(None))
        for _ in range(self.sink.limits.finders):
            await self._groups.put(None)

    async def _deliver(self, item: Fetched, weight: int) -> None:
        self._collected += 1
        await self._hand_over(self._collect.send((item, weight)))

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
            await self._groups.put([item for item, _ in group])

    async def _plan(self) -> None:
        while (group := await self._groups.get()) is not None:
            if self.tasks.stopped:
                break
            started = time.perf_counter()
            try:
                policy = self._find_breaker.policy(self.options.retry)
                planned = await self._planner.plan(group, policy)
            except TransientError as error:
                problem = TransientError(f"could not ask the sink: {error}")
                self._writer.leave_unresolved([item.key for item in group], problem)
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
            for _ in range(self._writers):
                await self._batches.put(None)

    async def _write(self) -> None:
        while (batch := await self._batches.get()) is not None:
            if self.collector is not None:
                self.collector.batch(batch)
                continue
            await self._writer.write(batch)
            self._stop_if_hopeless()

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
        if self.references is not None:
            await self.references.close()
        await self.journal.flush()
        forgets = self.collector is None and self.is_certain
        if forgets:
            await self.journal.drop_absent(self.has_read)
        if (removals := self._removals()) is not None:
            await Remover(
                sink=self.sink,
                options=self.options,
                recorder=self.recorder,
                journal=self.journal,
                in_flight=self.tasks.to_the_end,
                collect=self.collector.removals if self.collector else None,
            ).remove(removals)
        await self._write_waiting()
        if forgets:
            await self.journal.inform_absent(self.sink, self.has_read)
        await self._verifier.run()

    @property
    def is_certain(self) -> bool:
        """Whether a product that it has not read is not at the source."""
        uncertain = not self.options.complete or self._reader.uncertainty
        return self._is_done and not uncertain

    @property
    def _is_done(self) -> bool:
        """Whether the run resolved every product that the source has."""
        chosen = self.options.chosen or self.approval is not None
        open_ = self.recorder.problems or self.recorder.counts.unresolved
        return not chosen and not open_

    def _removals(self) -> Removals | None:
        """What is to be removed: as approved, or what left the source."""
        sink, options, prune = self.sink, self.options, self.options.prune
        if self.approval is not None or prune is None or not self._is_done:
            return self.approval
        reader, deleted = self._reader, self._reader.deleted
        whole = options.complete
        if not whole and not deleted:
            return None
        if not isinstance(sink, RemovingSink):
            self.recorder.warn("`prune` ignored: not supported by this sink")
            return None
        if prune is Prune.SOLD_OUT and not isinstance(sink, SellOutSink):
            self.recorder.warn(
                '`prune = "sold_out"` ignored: not supported by this sink'
            )
            return None
        return Pruner(
            source=self.source,
            sink=sink,
            prune=prune,
            options=options,
            recorder=self.recorder,
            journal=self.journal,
            has_seen=reader.has_seen if whole else lambda key: key not in deleted,
            uncertainty=reader.uncertainty if whole else "",
            explicit=not whole,
            plans=self.collector is not None,
            on_excess=self.collector.on_excess if self.collector else None,
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
            await self.tasks.to_the_end(last_round.run)
        except TransientError as error:
            self.recorder.add_problem(f"could not write products that waited: {error}")
        self._writer.close()

    async def _write_all(self, changes: Sequence[Write]) -> None:
        for batch in cut(changes, self.sink, self.options):
            await self._writer.write(batch)

    def _empty_queue(self) -> None:
        """Begin no further batch; each writer finds the end marker."""
        while not self._batches.empty():
            self._batches.get_nowait()
        for _ in range(self._writers):
            self._batches.put_nowait(None)

    def _stop_if_hopeless(self) -> None:
        if reason := self._writer.verdict or self._find_breaker.verdict:
            self.tasks.stop(reason)
