"""Runs on demand: each request is fulfilled once, one run at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
from tests.engine.fakes import FAST, NEVER_HELD
from tests.service.shops import (
    Shelf,
    Shop,
    Till,
    finished,
    job,
    key,
    memory_store,
    open_shop,
    shelf_of,
)

from catalogsync import MisconfiguredError, Options, Page, TransientError
from catalogsync.engine import WhenBusy
from catalogsync.events import Event, RunFinished, RunStarted
from catalogsync.plans import Plan, PlanWriter, estimate, plan_head
from catalogsync.report import RunStatus
from catalogsync.service import Service, _service
from catalogsync.state import StateError
from catalogsync.state.held import Decision
from catalogsync.state.protocols import Lease


async def test_a_run_on_demand() -> None:
    """It has the id that was given out, and its trigger is fulfilled."""
    async with open_shop() as shop:
        run_id = await shop.run()
        assert len(shop.till.titles) == 5
        (record,) = await shop.store.runs()
        assert (record.run_id, record.status) == (run_id, RunStatus.SUCCEEDED)
        assert await shop.store.triggers() == []


async def test_old_runs_are_forgotten() -> None:
    """The service may live for years."""
    async with open_shop() as shop:
        shop.service.keep_runs = 2
        ids = [await shop.run() for _ in range(4)]
        assert [run.run_id for run in await shop.store.runs()] == [ids[3], ids[2]]


async def test_only_the_named_products() -> None:
    """Only they are fetched and written, whatever limit the job has."""
    async with open_shop(options=Options(retry=FAST, limit=1)) as shop:
        await shop.run(3, 1)
        assert shop.till.titles == {"1": "Thing 1", "3": "Thing 3"}
        assert (shop.shelf.asked, shop.shelf.passes) == ([["1", "3"]], 0)


async def test_triggers_that_come_meanwhile_share_the_next_run() -> None:
    """However many, they are fulfilled by one, which begins after they came."""
    async with open_shop() as shop, finished(shop.service) as end:
        shop.till.gate.clear()
        first = await shop.ask(0)
        await shop.till.writing.wait()
        shop.shelf.titles[2] = "Changed meanwhile"
        ids = {await shop.ask(number) for number in (1, 2, 2, 3) for _ in range(25)}
        shop.till.gate.set()
        events = [await end(), await end()]
        await shop.store.idle()
        assert [item.event.run_id for item in events] == [first, *ids]
        assert shop.shelf.asked == [["0"], ["1", "2", "3"]]
        assert shop.till.titles["2"] == "Changed meanwhile"


async def test_a_trigger_for_all_swallows_those_for_some() -> None:
    """The run that fulfils both reads everything."""
    async with open_shop() as shop, finished(shop.service) as end:
        shop.till.gate.clear()
        await shop.ask(0)
        await shop.till.writing.wait()
        await shop.ask(1)
        await shop.ask()
        shop.till.gate.set()
        await end()
        await end()
        assert shop.shelf.passes == 1
        assert len(shop.till.titles) == 5


async def test_every_id_that_is_given_out_is_that_of_a_run() -> None:
    """At whatever moment a trigger comes: its run fetches what changed before it."""
    async with open_shop(1) as shop:
        seen: dict[str, list[str]] = {}

        async def trigger(number: int) -> None:
            for _ in range(5 * number):
                await asyncio.sleep(0)
            shop.shelf.titles[number] = "new"
            seen.setdefault(await shop.ask(number), []).append(str(number))

        async with asyncio.TaskGroup() as group:
            for number in range(45):
                group.create_task(trigger(number))
        await shop.store.until(lambda: len(shop.till.titles) == 45)
        await shop.store.idle()
        records = await shop.store.runs(limit=1000)
        assert {record.run_id for record in records} == set(seen)
        desired = [sorted(set(numbers)) for numbers in seen.values()]
        assert sorted(shop.shelf.asked) == sorted(desired)


async def test_a_trigger_that_is_seen_before_it_is_confirmed() -> None:
    """Its run has the id that is given out, however late that is."""
    async with open_shop() as shop, asyncio.TaskGroup() as group:
        await shop.store.idle()
        shop.store.holds["add_trigger"] = confirmed = asyncio.Event()
        trigger = group.create_task(shop.ask(1))
        while not await shop.store.triggers():
            pass
        shop.look(shop.clock.now)
        for _ in range(50):  # many chances to begin
            await shop.store.runs()
        confirmed.set()
        run_id = await trigger
        await shop.store.until(lambda: ("drop_triggers", None) in shop.store.log)
        (record,) = await shop.store.runs()
        assert record.run_id == run_id


async def test_never_two_runs_of_a_job() -> None:
    """Nor two writes, with a single writer."""
    options = Options(retry=FAST, guard=NEVER_HELD)
    async with open_shop(20, options=options) as shop, finished(shop.service) as end:
        for _ in range(5):
            await shop.ask()
            await shop.till.writing.wait()
            shop.till.writing.clear()
            shop.shelf.titles = {n: f"{t}!" for n, t in shop.shelf.titles.items()}
            await end()
        assert (shop.till.at_once, shop.service.job_state("shelf").problem) == (1, "")


async def test_jobs_do_not_wait_for_each_other() -> None:
    """One that hangs leaves the others alone."""
    shelves = {name: attrs.evolve(shelf_of(2), name="shelf") for name in ("a", "b")}
    tills = {name: Till() for name in shelves}
    jobs = {name: job(shelves[name], tills[name], name=name) for name in shelves}
    async with (
        memory_store() as store,
        Service(jobs=jobs, state=store) as service,  # type: ignore[arg-type]
        finished(service) as end,
    ):
        tills["a"].gate.clear()
        await service.trigger("a")
        await tills["a"].writing.wait()
        await service.trigger("b")
        assert (await end()).job == "b"
        tills["a"].gate.set()
        assert (await end()).job == "a"


async def test_a_job_that_is_not_there() -> None:
    async with open_shop() as shop:
        with pytest.raises(MisconfiguredError, match="unknown job 'other'"):
            await shop.service.trigger("other")


async def test_where_a_run_stands() -> None:
    """The state of a job shows the progress of its run."""
    async with open_shop() as shop, finished(shop.service) as end:
        shop.till.gate.clear()
        run_id = await shop.ask()
        await shop.till.writing.wait()
        (state,) = shop.service.states()
        assert (state.run_id, state.total) == (run_id, None)
        assert state.run
        assert state.run.counts.fetched > 0
        assert state.started_at > 0
        shop.till.gate.set()
        await end()
        await shop.store.idle()
        assert state.run_id == ""


class BrokenShelf(Shelf):
    """Its second page cannot be read."""

    async def read(self, cursor: str | None, /) -> Page:
        if cursor is None:
            return attrs.evolve(await super().read(cursor), next=("2",))
        if self.passes == 1:
            raise TransientError("the light went out")
        return Page(products=[])


PROBLEM = "the light went out"


def broken_shelf(what: str) -> Shelf:
    """A source with three products that cannot be read at first."""
    titles = shelf_of(3).titles
    match what:
        case "incomplete":
            return BrokenShelf(titles=titles)
        case "defect":
            return Shelf(titles=titles, faults=[RuntimeError(PROBLEM)])
        case _:
            faults = [TransientError(PROBLEM)] * FAST.attempts
            return Shelf(titles=titles, faults=[*faults])


@pytest.mark.parametrize("what", ["broken off", "incomplete", "defect"])
async def test_what_did_not_work_out_is_done_again(what: str) -> None:
    """Its trigger stays until a run settled all, and the job says why."""
    async with open_shop(shelf=broken_shelf(what), retry_after=0) as shop:
        run_id = await shop.ask()
        await is_mended(shop, PROBLEM)
        last, *_, first = await shop.store.runs()
        assert (first.run_id, last.status) == (run_id, RunStatus.SUCCEEDED)


async def is_mended(shop: Shop, problem: str) -> None:
    """Wait until there was a problem, and then a run that settled all."""
    state = shop.service.job_state("shelf")
    await shop.store.until(lambda: problem in state.problem and state.failures)
    await shop.store.until(lambda: ("drop_triggers", None) in shop.store.log)
    await shop.store.idle()
    assert (state.failures, state.problem) == (0, "")
    assert len(shop.till.titles) == len(shop.shelf.titles)


async def test_a_store_that_is_down() -> None:
    """The service continues once the store works again."""
    async with open_shop(3, retry_after=0) as shop:
        await shop.store.idle()
        shop.store.faults["triggers"] = StateError(PROBLEM)
        shop.service.job_state("shelf").wake.set()
        await shop.store.until(lambda: shop.service.job_state("shelf").failures)
        await shop.run()
        assert len(shop.till.titles) == 3


@pytest.mark.parametrize("when_busy", [WhenBusy.FAIL, WhenBusy.SKIP])
async def test_a_run_that_another_one_keeps_from_beginning(when_busy: WhenBusy) -> None:
    """It is tried until it can begin, with the id that was given out."""
    options = Options(retry=FAST, when_busy=when_busy)
    async with open_shop(3, retry_after=0, options=options) as shop:
        state = shop.service.job_state("shelf")
        name = f"{shop.till.endpoint} <- shelf"
        lease = await shop.store.take_lease(name, "somebody", ttl=60)
        assert isinstance(lease, Lease)
        run_id = await shop.ask()
        await shop.store.until(lambda: state.failures > 1)
        await shop.store.drop_lease(lease)
        await shop.store.until(lambda: ("drop_triggers", None) in shop.store.log)
        (record,) = await shop.store.runs()
        assert record.run_id == run_id


@attrs.define(kw_only=True)
class Versioned(Shelf):
    """A source that knows its version."""

    async def version(self) -> str:
        return str(self.titles)


async def test_a_source_that_has_not_changed() -> None:
    """The request is fulfilled, though its run does nothing."""
    shelf = Versioned(titles={1: "Cup"})
    options = Options(retry=FAST, skip_unchanged=True)
    async with open_shop(shelf=shelf, options=options) as shop:
        for _ in range(3):
            await shop.run()
        last, *_ = await shop.store.runs()
        assert (last.status, shelf.passes) == (RunStatus.SKIPPED, 1)
        assert shop.service.job_state("shelf").problem == ""
        shelf.titles[2] = "Pan"
        await shop.run()
        assert len(shop.till.titles) == 2


async def test_cancel() -> None:
    """The batch in flight ends, and the trigger is withdrawn; a later one is not."""
    async with open_shop() as shop, finished(shop.service) as end:
        shop.till.gate.clear()
        run_id = await shop.ask()
        await shop.till.writing.wait()
        assert not shop.service.cancel("another")
        assert shop.service.cancel(run_id)
        later = await shop.ask(4)
        shop.till.gate.set()
        assert (await end()).counts.created == 2
        assert (await end()).event.run_id == later
        await shop.store.idle()
        assert sorted(shop.till.titles) == ["0", "1", "4"]
        record = await shop.store.run(run_id)
        assert record.status is RunStatus.CANCELLED
        assert record.report.problem == "cancelled on demand"
        assert shop.service.job_state("shelf").problem == ""
        assert not shop.service.cancel(run_id)


async def test_stop() -> None:
    """The batch in flight ends, and the next service does the rest."""
    async with memory_store() as store:
        till, shelf = Till(), shelf_of(5)
        async with open_shop(store=store, shelf=shelf, till=till) as shop:
            till.gate.clear()
            run_id = await shop.ask()
            await till.writing.wait()
            shop.service.stop()
            till.gate.set()
        assert sorted(till.titles) == ["0", "1"]
        record = await store.run(run_id)
        assert record.status is RunStatus.CANCELLED
        assert record.report.problem == "the service was stopped"
        assert len(await store.triggers()) == 1
        store.log.clear()
        async with open_shop(store=store, shelf=shelf, till=till) as shop:
            await store.idle()
            assert len(till.titles) == 5
            assert till.writes == [["0", "1"], ["2", "3"], ["4"]]


async def test_stop_where_nothing_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What hangs is cancelled soon after the grace, and its trigger stays."""
    monkeypatch.setattr(_service, "_TO_FINISH", 0)
    async with memory_store() as store:
        door = Door()
        async with open_shop(store=store, shelf=door) as shop:  # type: ignore[arg-type]
            await shop.ask()
            await door.opening.wait()
            shop.service.stop(grace=0)
        assert len(await store.triggers()) == 1


async def test_the_grace_of_a_stop_is_that_which_was_given() -> None:
    """Leaving the block does not shorten it."""
    async with open_shop() as shop:
        shop.till.gate.clear()
        await shop.ask()
        await shop.till.writing.wait()
        run = shop.service.job_state("shelf").run
        assert run is not None
        graces: list[float] = []
        stop = run.stop
        run.stop = lambda **more: (graces.append(more["grace"]), stop(**more))[1]  # type: ignore[method-assign]
        shop.service.stop(grace=120)
        shop.till.gate.set()
    assert graces == [120]


@attrs.define
class Door:
    """Settings of a source that can be opened only when they may.

    Attributes:
        name: Of the source.
        fault: What opening raises; None: it waits.
        opening: Set when it is tried.
    """

    name: str = "shelf"
    fault: BaseException | None = None
    opening: asyncio.Event = attrs.field(factory=asyncio.Event)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Shelf]:
        self.opening.set()
        if self.fault is None:
            await asyncio.Event().wait()
        elif not isinstance(self.fault, AssertionError):
            fault, self.fault = self.fault, AssertionError()
            raise fault
        yield shelf_of(5)


async def test_cancel_while_it_is_opened() -> None:
    """It has not begun, and the trigger is withdrawn."""
    door = Door()
    async with open_shop(shelf=door) as shop:  # type: ignore[arg-type]
        run_id = await shop.ask()
        await door.opening.wait()
        assert shop.service.cancel(run_id)
        await shop.store.idle()
        assert shop.service.job_state("shelf").problem == ""
        assert await shop.store.triggers() == []
        record = await shop.store.run(run_id)
        assert record.status is RunStatus.CANCELLED
        assert "before it began" in record.report.problem


class Panic(BaseException):
    """As those of extensions in other languages."""


@pytest.mark.parametrize(
    "fault", [MisconfiguredError("url", "no"), asyncio.CancelledError(), Panic("no")]
)
async def test_a_side_that_cannot_be_opened(fault: BaseException) -> None:
    """Whatever it raises: the job is tried again, and hooks and store know of it."""
    door = Door(fault=fault)
    events: list[Event] = []
    async with open_shop(shelf=door, retry_after=0) as shop:  # type: ignore[arg-type]
        shop.service.hooks = [events.append]
        run_id = await shop.ask()
        await shop.store.until(lambda: len(shop.till.titles) == 5)
        await shop.store.idle()
        runs = await shop.store.runs()
    assert runs[0].status is RunStatus.SUCCEEDED
    if isinstance(fault, Exception):
        assert (runs[1].run_id, runs[1].status) == (run_id, RunStatus.FAILED)
        assert runs[1].report.problem == "jobs.shelf.source.url: no"
        began, ended = events[:2]
        assert isinstance(began, RunStarted)
        assert isinstance(ended, RunFinished)
        assert (ended.status, ended.report) == (RunStatus.FAILED, None)


async def test_an_id_outlives_a_store_that_fails() -> None:
    """The run that fulfils the trigger has the id that was given out."""
    async with open_shop(retry_after=0) as shop:
        await shop.store.idle()
        shop.store.faults |= {"take_lease": StateError("a"), "run": StateError("b")}
        run_id = await shop.ask()
        await shop.store.until(lambda: len(shop.till.titles) == 5)
        await shop.store.idle()
        (record,) = await shop.store.runs()
    assert record.run_id == run_id


async def test_stop_ends_a_pause() -> None:
    """Nobody waits an hour for it."""
    async with open_shop() as shop:
        shop.shelf.faults = [RuntimeError("no")]
        await shop.ask()
        await shop.store.until(lambda: shop.service.job_state("shelf").failures)


async def test_a_trigger_after_the_end_is_kept() -> None:
    """Nothing runs any more, and nothing is lost."""
    async with memory_store() as store:
        async with open_shop(store=store) as shop:
            pass
        await shop.ask(1)
        (trigger,) = await store.triggers()
        assert trigger.keys == (key(1),)


async def planned(shop: Shop, folder: Path) -> Plan:
    """A plan of what a run would do now."""
    job, path = shop.service.jobs["shelf"], folder / "plan.jsonl"
    with PlanWriter(path, plan_head("shelf", shop.shelf, shop.till)) as writer:
        report = await job.plan(on_change=writer.add)
        writer.finish(report, estimate(report, []))
    return Plan.read(path)


async def test_a_plan_is_applied_after_the_current_run(tmp_path: Path) -> None:
    """Never two at once; a second plan is refused."""
    async with open_shop(2) as shop, finished(shop.service) as end:
        plan = await planned(shop, tmp_path)
        shop.till.gate.clear()
        await shop.ask(0)
        await shop.till.writing.wait()
        run_id = shop.service.apply(plan)
        with pytest.raises(MisconfiguredError, match="another plan"):
            shop.service.apply(plan)
        shop.till.gate.set()
        assert (await end()).event.run_id != run_id
        last = await end()
        assert (last.event.run_id, last.counts.created) == (run_id, 1)
        assert last.counts.unchanged == 1  # the run made it meanwhile
        assert shop.till.at_once == 1
        await shop.store.idle()
        assert shop.service.job_state("shelf").plan is None


async def test_a_plan_that_waits_can_be_withdrawn(tmp_path: Path) -> None:
    async with open_shop(2) as shop, finished(shop.service) as end:
        plan = await planned(shop, tmp_path)
        shop.till.gate.clear()
        await shop.ask(0)
        await shop.till.writing.wait()
        shop.service.apply(plan)
        await shop.ask(1)
        assert [trigger.keys for trigger in await shop.service.waiting("shelf")] == [
            (key(1),)
        ]
        assert await shop.service.clear("shelf") == 2
        shop.till.gate.set()
        await end()
        await shop.store.idle()
        assert list(shop.till.titles) == ["0"]


async def test_a_plan_that_cannot_be_applied_is_in_the_history(tmp_path: Path) -> None:
    """As any run whose side cannot be opened; it is not tried for ever."""
    async with open_shop(2) as shop:
        plan = await planned(shop, tmp_path)
        state = shop.service.job_state("shelf")
        state.job = attrs.evolve(state.job, sink=Door(fault=StateError("no")))  # type: ignore[arg-type]
        async with finished(shop.service) as end:
            run_id = shop.service.apply(plan)
            assert (await end()).event.status == "failed"
        await shop.store.idle()
        (record,) = await shop.store.runs()
        assert (record.run_id, record.status) == (run_id, RunStatus.FAILED)


async def test_a_held_run_waits_for_a_person() -> None:
    """It is not repeated, and its plan stays the one to approve."""
    async with open_shop(20, retry_after=0.0) as shop:
        await shop.run()
        shop.shelf.titles = {n: f"#name# {n}" for n in range(20)}
        held = await shop.run()
        (plan,) = await shop.store.held_plans()
        assert (plan.run_id, plan.decision) == (held, Decision.WAITING)
        assert len(await shop.store.runs()) == 2
        assert "titles change" in shop.service.job_state("shelf").problem
        assert shop.till.titles["3"] == "Thing 3"
