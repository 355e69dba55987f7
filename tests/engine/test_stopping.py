"""Ending a run early: gracefully by `stop`, promptly by cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from typing import Any

import attrs
import pytest

from catalogsync import (
    Limits,
    Report,
    RetryPolicy,
    Run,
    RunStatus,
    Sync,
    TransientError,
    UnauthorizedError,
    as_source,
    sync,
)
from catalogsync.events import Event, Retrying, RunFinished, RunStopping

from .fakes import (
    FaultySink,
    PagedSource,
    Seen,
    catalog,
    check,
    fails,
    fast,
    hangs,
    idle,
    run,
    running,
    until,
    works,
)

NARROW = Limits(find=10)
OPTIONS = fast(batch_size=10)
SLOW = RetryPolicy(wait_initial=3600, wait_max=3600, timeout=None)


async def stopped(handle: Run, **arguments: Any) -> Report:
    handle.stop(**arguments)
    report = await handle.report()
    check(report)
    assert report.status is RunStatus.CANCELLED
    assert report.problem == arguments.get("reason", "stopped by request")
    assert not running()
    return report


async def test_stop_while_reading() -> None:
    source = PagedSource(products=catalog(50), gates={2: asyncio.Event()})
    sink = FaultySink(limits=NARROW)
    async with Sync(source, sink, options=OPTIONS).run() as handle:
        await until(lambda: len(sink.writes) == 2)
        await idle()
        report = await stopped(handle, reason="on request")
    assert report.counts.created == 20
    assert report.counts.fetched == 20


async def test_stop_while_the_first_page_is_read() -> None:
    source = PagedSource(products=catalog(50), gates={0: asyncio.Event()})
    sink = FaultySink()
    async with Sync(source, sink, options=OPTIONS).run() as handle:
        await until(lambda: source.reads)
        report = await stopped(handle)
    assert report.counts.fetched == 0


@attrs.define(kw_only=True)
class StuckSink(FaultySink):
    """Does not answer the second find."""

    async def find(self, *desired: Any, **fields: Any) -> Any:
        if len(self.finds) == 1:
            await asyncio.Event().wait()
        return await super().find(*desired, **fields)


async def test_stop_while_finding() -> None:
    sink = StuckSink(limits=NARROW)
    async with Sync(as_source(catalog(50)), sink, options=OPTIONS).run() as handle:
        await until(lambda: sink.writes)
        await idle()
        report = await stopped(handle)
    assert report.counts.created == 10
    assert report.counts.unresolved == report.counts.fetched - 10


async def test_stop_lets_a_write_in_flight_end() -> None:
    gate = asyncio.Event()
    sink = FaultySink(limits=NARROW)
    sink.steps += [works, hangs(gate)]
    async with Sync(as_source(catalog(50)), sink, options=OPTIONS).run() as handle:
        await until(lambda: len(sink.writes) == 2)
        handle.stop()
        await idle()
        assert running()
        gate.set()
        report = await handle.report()
    check(report)
    assert report.counts.created == 20
    assert len(sink.writes) == 2


@pytest.mark.parametrize("writers", [1, 3])
async def test_stop_without_grace_cancels_a_write_in_flight(writers: int) -> None:
    sink = FaultySink(limits=Limits(writers=writers))
    sink.steps += [hangs(asyncio.Event())] * writers
    async with Sync(as_source(catalog(50)), sink, options=OPTIONS).run() as handle:
        await until(lambda: len(sink.writes) == writers)
        report = await stopped(handle, grace=0)
    assert report.counts.unresolved == report.counts.fetched
    assert sink.holds()


async def test_stop_during_a_wait_before_a_repeat() -> None:
    sink = FaultySink()
    sink.steps.append(fails(TransientError("busy")))
    options = fast(retry=SLOW)
    seen = Seen()
    async with Sync(
        as_source(catalog(5)), sink, options=options, hooks=[seen]
    ).run() as handle:
        await until(lambda: sink.writes)
        await idle()
        report = await stopped(handle, grace=0)
    assert report.counts.unresolved == 5


async def test_stop_during_a_wait_before_a_page_is_read_again() -> None:
    source = PagedSource(products=catalog(20), faults={1: [TransientError("busy")]})
    sink = FaultySink(limits=NARROW)
    async with Sync(source, sink, options=fast(retry=SLOW)).run() as handle:
        await until(lambda: sink.writes)
        await idle()
        report = await stopped(handle)
    assert report.counts.created == 10


async def test_stop_before_anything_began() -> None:
    source = PagedSource(products=catalog(50))
    sink = FaultySink()
    async with Sync(source, sink).run() as handle:
        report = await stopped(handle)
    assert not source.reads
    assert not sink.writes
    assert report.counts.fetched == 0


async def test_stop_from_a_hook() -> None:
    sink = FaultySink(limits=NARROW)
    handles: list[Run] = []

    def hook(event: Event, /) -> None:
        if type(event).__name__ == "BatchWritten":
            handles[0].stop(reason="enough")

    async with Sync(
        as_source(catalog(100)), sink, options=OPTIONS, hooks=[hook]
    ).run() as handle:
        handles.append(handle)
        report = await handle.report()
    check(report)
    assert report.problem == "enough"
    assert report.counts.created == 10


async def test_a_second_stop_says_nothing_new() -> None:
    gate = asyncio.Event()
    sink = FaultySink()
    sink.steps.append(hangs(gate))
    seen = Seen()
    async with Sync(as_source(catalog(5)), sink, hooks=[seen]).run() as handle:
        await until(lambda: sink.writes)
        handle.stop(reason="first")
        handle.stop(reason="second")
        gate.set()
        report = await handle.report()
    assert report.problem == "first"
    assert report.counts.created == 5
    assert len(seen.of(RunStopping)) == 1


async def test_a_second_stop_may_shorten_the_grace() -> None:
    sink = FaultySink()
    sink.steps.append(hangs(asyncio.Event()))
    async with Sync(as_source(catalog(5)), sink).run() as handle:
        await until(lambda: sink.writes)
        handle.stop(grace=3600)
        await idle()
        handle.stop(grace=0)
        await idle()
        assert not running()


async def test_a_run_that_gave_up_can_still_be_stopped_at_once() -> None:
    """It gives writes in flight a time of its own; a person may be in a hurry."""
    sink = FaultySink(limits=Limits(writers=2))
    sink.steps += [hangs(asyncio.Event()), fails(UnauthorizedError("401"))]
    seen = Seen()
    async with Sync(
        as_source(catalog(50)), sink, options=OPTIONS, hooks=[seen]
    ).run() as handle:
        await until(lambda: seen.of(RunStopping))
        handle.stop(grace=0)
        await idle()
        assert not running()


async def test_stop_after_the_end_does_nothing() -> None:
    seen = Seen()
    async with Sync(as_source(catalog(5)), FaultySink(), hooks=[seen]).run() as handle:
        before = await handle.report()
        handle.stop()
        assert await handle.report() == before
    assert seen.names[-1] == "RunFinished"
    assert not seen.of(RunStopping)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task that runs the library; it ends at once and leaves nothing."""
    task.cancel()
    await idle()
    assert task.cancelled()
    assert not running()


async def start(group: asyncio.TaskGroup, *arguments: Any) -> asyncio.Task[Report]:
    source, sink, options = arguments
    return group.create_task(sync(source, sink, options=options))


async def test_cancel_while_reading() -> None:
    source = PagedSource(
        products=catalog(90), parallel=True, gates={3: asyncio.Event()}
    )
    async with asyncio.TaskGroup() as group:
        task = await start(group, source, FaultySink(), OPTIONS)
        await until(lambda: 3 in source.reads)
        await cancel(task)
    assert source.in_flight == 0


async def test_cancel_while_finding() -> None:
    sink = StuckSink(limits=NARROW)
    async with asyncio.TaskGroup() as group:
        task = await start(group, as_source(catalog(50)), sink, OPTIONS)
        await until(lambda: sink.writes)
        await cancel(task)


async def test_cancel_while_writing() -> None:
    sink = FaultySink(limits=Limits(writers=2))
    sink.steps += [hangs(asyncio.Event())] * 2
    async with asyncio.TaskGroup() as group:
        task = await start(group, as_source(catalog(50)), sink, OPTIONS)
        await until(lambda: len(sink.writes) == 2)
        await cancel(task)
    assert not sink.in_flight


async def test_cancel_during_a_wait_before_a_repeat() -> None:
    sink = FaultySink()
    sink.steps.append(fails(TransientError("busy")))
    async with asyncio.TaskGroup() as group:
        task = await start(group, as_source(catalog(5)), sink, fast(retry=SLOW))
        await until(lambda: sink.writes)
        await cancel(task)


async def test_cancel_during_the_grace() -> None:
    sink = FaultySink()
    sink.steps.append(hangs(asyncio.Event()))

    async def work() -> None:
        async with Sync(as_source(catalog(5)), sink).run() as handle:
            await until(lambda: sink.writes)
            handle.stop(grace=3600)
            await handle.report()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await until(lambda: sink.writes)
        await idle()
        await cancel(task)


async def test_cancel_while_the_block_waits_for_the_end() -> None:
    """Nobody asked for the report, so leaving the block is what waits."""
    sink = FaultySink()
    sink.steps.append(hangs(asyncio.Event()))

    async def work() -> None:
        async with Sync(as_source(catalog(5)), sink).run():
            pass

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await until(lambda: sink.writes)
        await cancel(task)


async def broken_block(sink: FaultySink) -> None:
    async with Sync(as_source(catalog(5)), sink).run():
        await idle()
        raise ZeroDivisionError


async def test_an_error_in_the_block_cancels_the_run() -> None:
    sink = FaultySink()
    sink.steps.append(hangs(asyncio.Event()))
    with pytest.raises(ZeroDivisionError):
        await broken_block(sink)
    assert not running()


async def test_a_timeout_around_the_report_cancels_the_run() -> None:
    sink = FaultySink()
    sink.steps.append(hangs(asyncio.Event()))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sync(as_source(catalog(5)), sink)
    assert not running()


async def test_a_caller_who_stops_waiting_does_not_stop_the_run() -> None:
    gate = asyncio.Event()
    sink = FaultySink()
    sink.steps.append(hangs(gate))
    async with Sync(as_source(catalog(5)), sink).run() as handle:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await handle.report()
        gate.set()
        report = await handle.report()
    assert report.counts.created == 5


async def test_leaving_the_block_waits_for_the_end() -> None:
    sink = FaultySink()
    async with Sync(as_source(catalog(50)), sink).run() as handle:
        pass
    assert handle.counts.created == 50
    assert not running()


async def test_leaving_the_block_raises_what_broke_the_run_off() -> None:
    sink = FaultySink()
    sink.find_faults.append(UnauthorizedError("401"))
    with pytest.raises(UnauthorizedError):
        async with Sync(as_source(catalog(5)), sink).run():
            pass


async def test_an_error_that_was_reported_is_not_raised_again() -> None:
    sink = FaultySink()
    sink.find_faults.append(UnauthorizedError("401"))
    async with Sync(as_source(catalog(5)), sink).run() as handle:
        with pytest.raises(UnauthorizedError):
            await handle.report()


async def test_an_error_of_the_run_is_not_lost_in_the_log_of_the_loop() -> None:
    """The error of the block wins; asyncio need not complain about the other."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    sink = FaultySink()
    sink.find_faults.append(UnauthorizedError("401"))
    with pytest.raises(ZeroDivisionError):
        await broken_block(sink)
    gc.collect()
    assert not complaints


async def test_the_report_can_be_had_after_the_block() -> None:
    async with Sync(as_source(catalog(5)), FaultySink()).run() as handle:
        first = await handle.report()
    assert await handle.report() is first


async def test_a_report_needs_a_run_that_began() -> None:
    handle = Sync(as_source(catalog(5)), FaultySink()).run()
    with pytest.raises(RuntimeError, match="async with"):
        await handle.report()


async def test_a_run_is_begun_once() -> None:
    handle = Sync(as_source(catalog(5)), FaultySink()).run()
    async with handle:
        await handle.report()
    with pytest.raises(RuntimeError):
        async with handle:
            pass


async def test_a_writer_that_leaks_a_cancellation_ends_the_run() -> None:
    sink = FaultySink(limits=NARROW)
    sink.steps += [works, fails(asyncio.CancelledError())]
    async with Sync(as_source(catalog(90)), sink, options=OPTIONS).run() as handle:
        await until(lambda: len(sink.writes) == 2)
        await idle()
        assert not running()
        report = await handle.report()
    assert report.status is RunStatus.FAILED
    assert report.counts.created == 10


async def test_hooks_see_a_run_that_broke_off_as_finished() -> None:
    """Who counts runs by events must see each end."""
    sink = FaultySink()
    sink.find_faults.append(UnauthorizedError("401"))
    seen = Seen()
    with pytest.raises(UnauthorizedError):
        await run(as_source(catalog(5)), sink, hooks=[seen])
    assert [event.status for event in seen.of(RunFinished)] == ["failed"]


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.parametrize("orderly", [True, False])
async def test_an_end_in_the_very_first_turns_leaves_nothing_behind(
    turn: int, orderly: bool
) -> None:
    """Nor a coroutine that was never awaited, which pytest would report."""

    async def work() -> None:
        async with Sync(PagedSource(products=catalog(5)), FaultySink()).run() as handle:
            await idle(turn)
            if orderly:
                handle.stop()
            else:
                raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        await work()
    gc.collect()
    assert not running()


async def test_errors_in_a_cancelled_run_are_reported() -> None:
    """Even a defect in its last batch does not make it a failed one."""
    gate = asyncio.Event()
    sink = FaultySink()

    async def break_down(*_: Any) -> Any:
        await gate.wait()
        raise RuntimeError("out of paper")

    sink.steps.append(break_down)
    async with Sync(as_source(catalog(5)), sink).run() as handle:
        await until(lambda: sink.writes)
        handle.stop(reason="enough")
        gate.set()
        report = await handle.report()
    check(report)
    assert report.status is RunStatus.CANCELLED
    assert report.problem.startswith("enough")
    assert "out of paper" in report.problem


async def test_a_stop_after_the_run_broke_off_changes_nothing() -> None:
    gate = asyncio.Event()
    sink = FaultySink(limits=Limits(writers=2, find=10))

    async def break_down(*_: Any) -> Any:
        raise UnauthorizedError("401")

    sink.steps += [works, break_down, hangs(gate)]
    options = fast(batch_size=10)
    seen = Seen()
    async with Sync(
        as_source(catalog(50)), sink, options=options, hooks=[seen]
    ).run() as handle:
        await until(lambda: seen.of(RunStopping))
        handle.stop(reason="enough")
        gate.set()
        report = await handle.report()
    assert report.status is RunStatus.FAILED


async def test_a_wait_is_reported_before_it_begins() -> None:
    """Who watches sees why nothing goes on, and when it will."""
    sink = FaultySink()
    sink.steps.append(fails(TransientError("busy")))
    seen, before = Seen(), time.time()
    async with Sync(
        as_source(catalog(5)), sink, options=fast(retry=SLOW), hooks=[seen]
    ).run() as handle:
        await until(lambda: seen.of(Retrying))
        (event,) = seen.of(Retrying)
        handle.stop(grace=0)
        await handle.report()
    assert (event.what, event.attempt, event.reason) == ("write a batch", 2, "busy")
    assert event.next_at >= before + 3600
