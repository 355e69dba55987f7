"""The stages of a run and the bounded queues between them.

    intake --groups--> survey --batches--> writers

Reader collects what one `find` asks for, the survey finds and plans, writers
bring batches about. Each stage waits for the next, so what is in memory is
bounded by the pages ahead and the batches in flight, by their number and their size.
"""

from __future__ import annotations

import asyncio
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

import attrs

from catalogsync.batching import ROOM, batched, batcher
from catalogsync.catalog.changes import (
    Action,
    Change,
    Existing,
    Reference,
    ReferenceChange,
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
from .pages import LEAK, is_cancelled
from .planner import Planned, Planner, by_action
from .pruning import Pruner
from .reader import Reader
from .recorder import Recorder
from .references import ReferenceBook
from .removing import Look, Remover, Sight, look_again, repeated
from .verifying import Verifier
from .waiting import LastRound
from .writer import Writer

__all__ = ["Approval", "OnChange", "Pipeline"]

OnChange = Callable[[Change | ReferenceChange], None]
Stage = Callable[[], Awaitable[None]]
_Weighed = tuple[Product, int]
_Collector = Generator[list[_Weighed] | None, _Weighed | None, None]


class Approval(Protocol):
    """Lets through what stands in a plan."""

    def change(self, change: Change, /) -> str:
        """Why a change must not be made; empty if it may."""
        ...

    def reference(self, change: ReferenceChange, /) -> bool:
        """Whether a category or tag may be written."""
        ...

    @property
    def references(self) -> Iterable[Reference]:
        """Those that are written, also if no product needs them."""
        ...

    @property
    def removes(self) -> bool:
        """Whether products are removed."""
        ...

    async def removals(self, sink: RemovingSink, source: str, /) -> Sequence[Change]:
        """Look what there is of a source, and give the removals that may be made."""
        ...

    def remains(self, change: Change, existing: Existing, /) -> bool:
        """Whether a removal may still be made, now that the product is like this."""
        ...

    @property
    def unmet(self) -> str:
        """Which removals may not be made any more; empty: all may."""
        ...

    @property
    def absent(self) -> str:
        """Which removals have nothing left to remove; empty: none."""
        ...


@attrs.define(kw_only=True)
class Pipeline:
    """Carries the products of one run from source to sink.

    Attributes:
        source: Where they come from.
        sink: Where they go.
        options: How.
        recorder: The books.
        journal: This run's side of the state store.
        on_change: Takes each change instead of the sink; None: changes are written.
        approve: Asked for each change of an apply; None: everything may be done.
        error: What broke the run off, if anything did.
        cancelled: Whether the run was asked to stop before it ended by itself.
    """

    source: Source
    sink: Sink
    options: Options
    recorder: Recorder
    journal: Journal
    on_change: OnChange | None = None
    approve: Approval | None = None
    error: Exception | None = None
    cancelled: bool = False
    _reader: Reader = attrs.field(init=False)
    _planner: Planner = attrs.field(init=False)
    _verifier: Verifier = attrs.field(init=False)
    _writer: Writer = attrs.field(init=False)
    _finding: Breaker = attrs.field(init=False)
    _remover: Remover = attrs.field(init=False)
    _finishing: asyncio.TaskGroup = attrs.field(factory=asyncio.TaskGroup, init=False)
    _collect: _Collector = attrs.field(init=False)
    _groups: asyncio.Queue[list[Product] | None] = attrs.field(init=False)
    _batches: asyncio.Queue[list[Planned] | None] = attrs.field(init=False)
    _front: list[asyncio.Task[None]] = attrs.field(
        factory=list[asyncio.Task[None]], init=False
    )
    _writers: list[asyncio.Task[None]] = attrs.field(
        factory=list[asyncio.Task[None]], init=False
    )
    _removals: list[asyncio.Task[Any]] = attrs.field(
        factory=list[asyncio.Task[Any]], init=False
    )
    _timers: list[asyncio.TimerHandle] = attrs.field(
        factory=list[asyncio.TimerHandle], init=False
    )
    _stopped: bool = attrs.field(default=False, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        options, recorder, journal = self.options, self.recorder, self.journal
        self._planner = Planner(
            sink=self.sink,
            book=self._book(),
            options=options,
            recorder=recorder,
            journal=journal,
            rules=options.rules(journal.job),
        )
        if self.approve is not None:
            self._planner.approve = self.approve.change
        self._verifier = Verifier(
            sink=self.sink, planner=self._planner, options=options, recorder=recorder
        )
        self._writer = Writer(
            sink=self.sink,
            planner=self._planner,
            options=options,
            recorder=recorder,
            journal=journal,
            on_written=self._verifier.note,
            breaker=Breaker.of(options),
        )
        self._finding = Breaker.of(options)
        self._remover = Remover(
            sink=self.sink,
            options=options,
            recorder=recorder,
            journal=journal,
            carry_out=self._in_flight,
        )
        recorder.on_settled = journal.note
        most = self.sink.limits.find
        self._collect = batcher(most, weight=ROOM, weigh=itemgetter(1))
        next(self._collect)
        self._groups = asyncio.Queue(maxsize=1)
        self._batches = asyncio.Queue(maxsize=self.width)

    def _book(self) -> ReferenceBook | None:
        if not isinstance(self.sink, ReferencingSink):
            return None
        book = ReferenceBook(
            sink=self.sink,
            source=self.source.name,
            policy=self.options.retry,
            recorder=self.recorder,
            confirm=self.journal.confirm,
            keep=self.options.on_manual_edit is not OnManualEdit.OVERWRITE,
            on_change=self.on_change,
        )
        if self.approve is not None:
            book.allowed = self.approve.reference
        return book

    @property
    def width(self) -> int:
        """Writers at once."""
        most = self.sink.limits.writers
        return min(most, self.options.writers or most)

    async def run(self) -> None:
        """Carry everything through; afterwards `error` says what broke it off."""
        if self._stopped:
            return
        async with asyncio.TaskGroup() as group:

            def start(work: Stage, name: str) -> asyncio.Task[None]:
                return group.create_task(self._guarded(work), name=name)

            self._writers += [
                start(self._write, f"catalogsync-write-{n}") for n in range(self.width)
            ]
            self._front.append(start(self._look, "catalogsync-survey"))
            self._front.append(start(partial(self._read, group), "catalogsync-intake"))
        if not self._stopped:
            self._writer.close()
            self._front.clear()
            self._writers.clear()
            async with self._finishing as group:
                work = self._guarded(self._finish)
                self._front.append(group.create_task(work, name="catalogsync-finish"))
        self._ended = True
        for timer in self._timers:
            timer.cancel()

    async def keep_lease(self) -> None:
        """Renew the lease as long as the run goes on; losing it ends the run."""
        try:
            await self.journal.heartbeat()
        except CatalogSyncError as error:
            self._break(error)

    async def _finish(self) -> None:
        """What can only be done when all is read and written."""
        if self._planner.book is not None:
            await self._planner.book.close()
        await self.journal.flush()
        if self._is_complete:
            saw, doubt = self._reader.saw, self._reader.doubt
            if self.on_change is None and not doubt:
                await self.journal.drop_absent(saw)
            if self.options.prune is not None:
                await Pruner(
                    source=self.source,
                    sink=self.sink,
                    options=self.options,
                    recorder=self.recorder,
                    journal=self.journal,
                    remover=self._remover,
                    saw=saw,
                    doubt=doubt,
                    on_change=self.on_change,
                ).run(self.options.prune)
        if self.approve is not None:
            await self._remove_approved(self.approve)
        await self._write_waiting()
        await self._verifier.run()

    async def _write_waiting(self) -> None:
        """Write the products that waited for others to be written or removed."""
        last = LastRound(
            room=self._writer.waiting,
            sink=self.sink,
            planner=self._planner,
            write=self._settle_all,
            options=self.options,
            recorder=self.recorder,
            journal=self.journal,
        )
        try:
            await self._in_flight(last.run)
        except TransientError as error:
            self.recorder.problem(f"could not write products that waited: {error}")
        self._writer.close()

    async def _settle_all(self, planned: list[Planned]) -> None:
        for batch in self._batched(planned):
            await self._writer.settle(batch)

    async def _remove_approved(self, approve: Approval) -> None:
        """The removals of a plan; those whose product changed since are told."""
        if not approve.removes or not isinstance(self.sink, RemovingSink):
            return
        look = partial(approve.removals, self.sink, self.source.name)
        try:
            changes = await repeated(
                look, "list what is ours", self.recorder, self.options
            )
            await self._remover.remove(changes, self._look_at_approved(approve))
        except TransientError as error:
            self.recorder.problem(f"could not remove products: {error}")
        if approve.unmet:
            self.recorder.problem(approve.unmet)
        if approve.absent:
            self.recorder.warn(approve.absent)

    def _look_at_approved(self, approve: Approval) -> Look:
        async def look(changes: Sequence[Change]) -> Sight:
            deletes = changes[0].action is Action.DELETE
            fields = frozenset(Field if deletes else {Field.STATUS})
            return await look_again(
                self.sink, changes, approve.remains, self.recorder, fields=fields
            )

        return look

    async def _in_flight(self, work: Stage) -> None:
        """Do what a stop lets end within its grace, as it does with the writers."""
        task = self._finishing.create_task(_caught(work), name="catalogsync-remove")
        self._removals.append(task)
        error = await asyncio.shield(task)
        if error is not None:
            raise error

    @property
    def _is_complete(self) -> bool:
        """Whether the whole source was seen, and nothing of it is in doubt."""
        whole = not self.options.partial and self.approve is None
        return (
            whole and not self.recorder.problems and not self.recorder.counts.unresolved
        )

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self._stopped

    def cancel(self, reason: str, grace: float) -> None:
        """Stop because somebody asked for it; see `stop`."""
        if not self._ended and not self._stopped:
            self.cancelled = True
        self.stop(reason, grace)

    def stop(self, reason: str, grace: float) -> None:
        """Begin nothing new; cancel after *grace* seconds what is in flight.

        A later stop may shorten the grace of an earlier one.
        """
        if self._ended:
            return
        if not self._stopped:
            self._stopped = True
            self.journal.stopping.set()
            self.recorder.problem(reason)
            self.recorder.emit(RunStopping(run_id=self.recorder.run_id, reason=reason))
            self._begin_nothing_new()
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(grace, self._cancel_writers))

    def _begin_nothing_new(self) -> None:
        for task in self._front:
            task.cancel()
        while not self._batches.empty():
            self._batches.get_nowait()
        for _ in self._writers:
            self._batches.put_nowait(None)

    def _cancel_writers(self) -> None:
        for task in (*self._writers, *self._removals):
            task.cancel()

    async def _guarded(self, work: Stage) -> None:
        """Let a stage's error end the run in order."""
        try:
            await work()
        except asyncio.CancelledError:
            if self._stopped or is_cancelled():
                raise
            self._break(RuntimeError(LEAK))
        except Exception as error:  # noqa: BLE001 - the boundary of a task
            self._break(error)

    def _break(self, error: Exception) -> None:
        text = explained(error, self.source, self.sink)
        if not isinstance(error, CatalogSyncError):
            logger.error("a run broke off: %s", text, exc_info=error)
        if self.error is None:
            self.error = error
        told = text if isinstance(error, TransientError) else f"broke off: {text}"
        if self.cancelled:  # it ends anyway; what went wrong on the way is told
            self.recorder.problem(told)
        self.stop(told, grace=30.0)

    async def _read(self, group: asyncio.TaskGroup) -> None:
        self._reader = Reader(
            source=self.source,
            options=self.options,
            recorder=self.recorder,
            deliver=self._deliver,
            on_page=self.journal.flush,
            group=group,
        )
        await self._reader.run()
        if rest := self._collect.send(None):
            await self._groups.put([product for product, _ in rest])
        await self._groups.put(None)

    async def _deliver(self, product: Product, weight: int) -> None:
        if group := self._collect.send((product, weight)):
            await self._groups.put([product for product, _ in group])

    async def _look(self) -> None:
        if self.approve is not None and self._planner.book is not None:
            try:
                await self._planner.book.bring_about(self.approve.references)
            except TransientError as error:
                self.recorder.problem(f"could not write categories and tags: {error}")
        while (group := await self._groups.get()) is not None and not self._stopped:
            started = time.perf_counter()
            try:
                policy = self._finding.policy(self.options.retry)
                planned = await self._planner.look(group, policy)
            except TransientError as error:
                problem = TransientError(f"could not ask the sink: {error}")
                self._writer.leave(group, problem)
                self._finding.failed(len(group), problem)
                self._stop_if_hopeless()
                continue
            self._finding.worked()
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
        for _ in self._writers:
            await self._batches.put(None)

    def _batched(self, planned: list[Planned]) -> list[list[Planned]]:
        """Batches within the sink's limits, each of one action only."""
        return [
            batch
            for items in by_action(planned)
            for batch in batched(
                items, self._size, weight=self._weight, weigh=self._weigh
            )
        ]

    @property
    def _size(self) -> int:
        most = self.sink.limits.batch
        return min(most, self.options.batch_size or most)

    @property
    def _weight(self) -> int | None:
        weighs = isinstance(self.sink, SizedSink)
        return self.sink.limits.weight if weighs else None

    @property
    def _weigh(self) -> Callable[[Planned], int] | None:
        sink = self.sink
        if self._weight is None or not isinstance(sink, SizedSink):
            return None
        return lambda item: promises.check_weight(sink, sink.weigh(item.change))

    async def _write(self) -> None:
        while (batch := await self._batches.get()) is not None:
            if self.on_change is None:
                await self._writer.settle(batch)
                self._stop_if_hopeless()
                continue
            self.recorder.batch(len(batch))
            for item in batch:
                self.on_change(item.change)
                self.recorder.settle(item.change.done())

    def _stop_if_hopeless(self) -> None:
        reason = self._writer.verdict or self._finding.verdict
        if reason:
            self.stop(reason, grace=30.0)


async def _caught(work: Stage) -> Exception | None:
    """The error, so that it is raised where the work is awaited."""
    try:
        await work()
    except Exception as error:  # noqa: BLE001 - raised again by who waits
        return error
    return None
