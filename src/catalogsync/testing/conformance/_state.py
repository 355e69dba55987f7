"""The promises of state stores."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any
from uuid import uuid4

import attrs

from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Json, ProductKey
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.state.protocols import (
    BusyError,
    FailedProduct,
    HistoryEntry,
    Lease,
    RunRecord,
    StateStore,
)

from ._faults import interrupted
from ._promise import Promise, Setup, broken, expect, promise, same

STATE: list[Promise[StateKit]] = []
_DAY = 86400.0
_ODD = ["", " ", "\x00", "a\x00b", "\\x00", "\ud83d", "\U0001f45f", '"', "[]", "Füße"]
_MANY = 35_000
_OFTEN = 60


def _key(id_: str) -> ProductKey:
    return ProductKey("kit", id_)


_A, _B, _C = map(_key, "abc")


def _failed(id_: str, **values: Any) -> FailedProduct:
    times: dict[str, Any] = {"first_at": 1000.0, "last_at": 1000.0, "run_id": "r1"}
    made = FailedProduct(key=_key(id_), reason="no price", said="none, it says")
    return attrs.evolve(made, **{**times, **values})


def _entry(run_id: str, id_: str = "a", *, at: float = 1000.0) -> HistoryEntry:
    outcome = Outcome(_key(id_), OutcomeStatus.UPDATED, "a reason")
    return HistoryEntry(run_id=run_id, at=at, outcome=outcome, fields=("title",))


def _report(run_id: str) -> Report:
    failures = (Outcome(_A, OutcomeStatus.FAILED, "no \x00 price", "Füße \U0001f45f"),)
    return Report(
        run_id=run_id,
        status=RunStatus.DEGRADED,
        counts=Counts(fetched=2, created=1, failed=1),
        started_at=1000.0,
        duration_s=2.5,
        failures=failures,
    )


@attrs.frozen
class StateKit:
    """A state store to check, with a job and an endpoint that nobody else uses."""

    setup: Setup[StateStore]
    job: str = attrs.field(factory=lambda: f"kit-{uuid4().hex[:12]}")

    @property
    def store(self) -> StateStore:
        return self.setup.adapter

    @property
    def shop(self) -> str:
        """An endpoint."""
        return f"shop of {self.job}"

    async def begin(
        self, run_id: str, *, job: str | None = None, **values: Any
    ) -> RunRecord:
        record = RunRecord(
            run_id=run_id,
            job=self.job if job is None else job,
            source="kit",
            sink="shop",
            started_at=1000.0,
        )
        record = attrs.evolve(record, **values)
        await self.store.begin_run(record)
        return record

    async def ids(self, *, limit: int = 20) -> str:
        """The latest runs of the job, whose names have one letter."""
        runs = await self.store.runs(job=self.job, limit=limit)
        return "".join(run.run_id for run in runs)

    async def take(self, owner: str = "me", *, ttl: float = 60) -> Lease:
        """A lease that must be free."""
        lease = await self.store.take_lease(self.shop, owner, ttl=ttl)
        if not isinstance(lease, Lease):
            broken(f"a free lease was refused: {lease}")
        return lease

    async def refuse(self, **how: str) -> str:
        """The holder of a lease that must be taken."""
        lease = await self.store.take_lease(self.shop, "somebody else", ttl=60, **how)
        if not isinstance(lease, BusyError):
            broken(f"a lease that is held was given to another run: {lease}")
        return lease.holder


@promise(
    STATE, mend="Save every field of a run; `end_run` adds time, status and report."
)
async def runs_come_back(kit: StateKit) -> None:
    """A run comes back as it was saved, at its beginning and after its end."""
    begun = await kit.begin("r1")
    same(await kit.store.run("r1"), begun, "a run that goes on")
    same(await kit.store.run("r2"), None, "an unknown run")
    await kit.store.end_run(_report("r1"))
    status, report = RunStatus.DEGRADED, _report("r1")
    ended = attrs.evolve(begun, finished_at=1002.5, status=status, report=report)
    same(await kit.store.run("r1"), ended, "a run that ended")


@promise(
    STATE, mend="Ignore a run that is there already, and the end of an unknown one."
)
async def runs_once(kit: StateKit) -> None:
    """A run that is saved twice stays as it was, and an end without a run is no error."""
    await kit.store.end_run(_report("unknown"))
    same(await kit.store.run("unknown"), None, "a run that only ended")
    first = await kit.begin("r1", status=RunStatus.SKIPPED, finished_at=1000.0)
    await kit.begin("r1", job="other")
    same(await kit.store.run("r1"), first, "a run that was saved twice")


@promise(
    STATE, mend="Order by start, then by order of saving, and apply the limit last."
)
async def runs_newest_first(kit: StateKit) -> None:
    """Runs are listed newest first, of one job or of all, up to the limit."""
    for run_id, at in (("b", 1.0), ("d", 2.0), ("a", 3.0), ("e", 3.0)):
        await kit.begin(run_id, started_at=at)
    await kit.begin("x", job="another job", started_at=4.0)
    same(await kit.ids(), "eadb", "runs of the job")
    same(await kit.ids(limit=2), "ea", "two runs of the job")
    everything = [run.run_id for run in await kit.store.runs(limit=2)]
    same(everything, ["x", "e"], "runs of all jobs")


@promise(STATE, mend="Leave `failures` and other lists out of the reports in lists.")
async def lists_are_light(kit: StateKit) -> None:
    """Lists of runs have reports without what grows with the catalog, but with reasons."""
    await kit.begin("r1")
    await kit.store.end_run(_report("r1"))
    for listed in (
        *await kit.store.runs(job=kit.job),
        await kit.store.last_whole(kit.job),
    ):
        report = listed and listed.report
        same(report, attrs.evolve(_report("r1"), failures=()), "the report in a list")
        same(report and report.reasons, _report("r1").reasons, "its reasons")


@promise(STATE, mend="Count runs that are not partial and ended succeeded or degraded.")
async def last_whole_run(kit: StateKit) -> None:
    """`last_whole` is the latest run over all products that reached its end."""
    same(await kit.store.last_whole(kit.job), None, "the last of no runs")
    ends = [
        *(("a", RunStatus.SUCCEEDED, False), ("b", RunStatus.DEGRADED, False)),
        *(("c", RunStatus.INCOMPLETE, False), ("d", RunStatus.SUCCEEDED, True)),
        ("e", None, False),
    ]
    for day, (run_id, status, partial) in enumerate(ends):
        at = _DAY * day
        await kit.begin(run_id, started_at=at, partial=partial, status=status)
    last = await kit.store.last_whole(kit.job)
    same(last and last.run_id, "b", "the last whole run")


@promise(STATE, mend="Keep the latest run and the last whole run of each job.")
async def trim_keeps_the_last(kit: StateKit) -> None:
    """`trim` deletes old runs with their history, and keeps what is still needed."""
    now = time.time()
    for run_id, age in (("a", 20), ("b", 10), ("c", 6)):
        status = RunStatus.SUCCEEDED if run_id == "a" else RunStatus.FAILED
        await kit.begin(run_id, started_at=now - age * _DAY, status=status)
        await kit.store.add_entries(kit.job, [_entry(run_id)])
    await kit.store.put_failures(kit.job, [_failed("a")])
    same(await kit.store.trim(days=1, runs=1), 1, "deleted runs")
    same(await kit.ids(), "ca", "runs that stay")
    history = [entry.run_id for entry in await kit.store.history(kit.job, _A)]
    same(history, ["c", "a"], "history that stays")
    same(len(await kit.store.failures(kit.job)), 1, "failed products that stay")


@promise(STATE, mend="Select by job and key; order by time, then by order of saving.")
async def history_newest_first(kit: StateKit) -> None:
    """The history has the outcomes of one product in one job, newest first."""
    notes = [
        _entry("r1"),
        _entry("r1", "b"),
        _entry("r2", at=2e3),
        _entry("r3", at=2e3),
    ]
    await kit.store.add_entries(kit.job, notes)
    await kit.store.add_entries("another job", [_entry("r4", at=3e3)])
    found = await kit.store.history(kit.job, _A)
    same([*found], [notes[3], notes[2], notes[0]], "the history of a product")
    same([*await kit.store.history(kit.job, _A, limit=1)], [notes[3]], "its last entry")


@promise(
    STATE, mend="On a second failure, keep `first_at` and a payload, add attempts."
)
async def failures_add_up(kit: StateKit) -> None:
    """A product that fails again keeps its first time and payload, and adds its attempts."""
    first = _failed("a", payload={"title": "Shoe"})
    again = _failed("a", reason="worse", last_at=2000.0, first_at=2000.0, attempts=2)
    for job, calls in (("one", [[first, again]]), ("two", [[first], [again]])):
        for call in calls:
            await kit.store.put_failures(f"{kit.job} {job}", call)
        expected = attrs.evolve(
            again, payload=first.payload, first_at=1000.0, attempts=3
        )
        found = await kit.store.failures(f"{kit.job} {job}")
        same([*found], [expected], f"failed twice, in calls of {job}")


@promise(STATE, mend="Sort by code points, as Python does; page by `after`.")
async def failures_in_key_order(kit: StateKit) -> None:
    """Failed products come in the order of their keys, also in parts."""
    ids = ["b", "B", "a", "Z", "é", "z", "10", "9", '"', " ", "_", "ß", "\U0001f45f"]
    await kit.store.put_failures(kit.job, [_failed(i, payload=i) for i in ids])
    found: list[FailedProduct] = []
    while part := await kit.store.failures(
        kit.job, limit=3, after=found[-1].key if found else None
    ):
        found += part
        expect(len(found) <= len(ids), "parts that repeat")
    same([each.key.id for each in found], sorted(ids), "failed products, in parts of 3")
    light = await kit.store.failures(kit.job, payloads=False)
    same(
        [each.payload for each in light],
        [None] * len(ids),
        "payloads that were not asked for",
    )


@promise(STATE, mend="Delete by job and key, and by endpoint if one is given.")
async def failures_are_dropped(kit: StateKit) -> None:
    """Only the named products are dropped, of this job and, if given, this endpoint."""
    other, here = f"{kit.job} 2", kit.shop
    for job in (kit.job, other):
        await kit.store.put_failures(job, [_failed("a"), _failed("b")], endpoint=here)
    await kit.store.drop_failures(kit.job, [_B], endpoint="elsewhere")
    await kit.store.drop_failures(kit.job, [_A, _C])
    await kit.store.drop_failures(kit.job, [])
    left = {
        job: [f.key for f in await kit.store.failures(job)] for job in (kit.job, other)
    }
    same(left, {kit.job: [_B], other: [_A, _B]}, "failed products that stay")
    same([*await kit.store.failures(kit.job, endpoint="elsewhere")], [], "elsewhere")


@promise(STATE, mend="Insert a handle only if the product has none; renew run and age.")
async def intents_keep_handles(kit: StateKit) -> None:
    """A product that has an intent keeps its handle; the run and the age are new."""
    await kit.store.put_intents(kit.shop, "r1", {_A: "shoe", _B: "boot"})
    await kit.store.put_intents(kit.shop, "r2", {_B: "other", _C: "sock"})
    await kit.store.put_intents("elsewhere", "r2", {_A: "hat"})
    found = await kit.store.intents(kit.shop, "kit")
    seen = {key.id: (i.handle, i.run_id) for key, i in found.items()}
    expected = {"a": ("shoe", "r1"), "b": ("boot", "r2"), "c": ("sock", "r2")}
    same(seen, expected, "handles and runs")
    expect(all(0 <= i.age < _DAY for i in found.values()), "an age is not in seconds")
    await kit.store.drop_intents(kit.shop, [_A, _B, _key("unknown")])
    same([*await kit.store.intents(kit.shop, "kit")], [_C], "intents that stay")
    same([*await kit.store.intents("elsewhere", "kit")], [_A], "intents elsewhere")


@promise(STATE, mend="Keep a set of keys for each endpoint.")
async def remembers(kit: StateKit) -> None:
    """What the sink has is remembered by endpoint, and forgotten at once."""
    store = kit.store
    await store.remember(kit.shop, [_A, _B])
    await store.remember(kit.shop, [_B])
    await store.remember("elsewhere", [_C])
    same(await store.remembered(kit.shop, [_A, _B, _C]), {_A, _B}, "remembered")
    await store.forget(kit.shop, [_B, _C])
    same(await store.remembered(kit.shop, [_A, _B, _C]), {_A}, "after `forget`")
    same(await store.remembered("elsewhere", [_C]), {_C}, "remembered elsewhere")


@promise(
    STATE, mend="Note the first run that missed a product; replace all on each call."
)
async def absences_need_two_runs(kit: StateKit) -> None:
    """A product is absent if two runs in a row missed it; the same run counts once."""
    await kit.store.note_absences("other", kit.shop, "r0", [_A, _B, _C])
    steps = [("r1", "ab", ""), ("r1", "ab", ""), ("r2", "bc", "b"), ("r3", "a", "")]
    for run_id, ids, expected in (*steps, ("r4", "a", "a")):
        keys = [_key(i) for i in ids]
        told = await kit.store.note_absences(kit.job, kit.shop, run_id, keys)
        same({key.id for key in told}, set(expected), f"missed by {run_id} and before")
    await kit.store.drop_absences(kit.job, kit.shop, [_A])
    same([*await kit.store.absences(kit.job, kit.shop)], [], "after the drop")
    others = await kit.store.absences("other", kit.shop)
    same(others, {_A, _B, _C}, "absences of another job")


@promise(
    STATE, mend="Give a lease only if no other is valid; name the holder otherwise."
)
async def one_lease_holder(kit: StateKit) -> None:
    """A lease has one holder; others learn who it is, until it is dropped."""
    first = await kit.take()
    same(await kit.refuse(), "me", "the holder")
    expect(await kit.store.renew_lease(first, ttl=60), "the holder cannot renew it")
    await kit.store.drop_lease(first)
    expect(
        not await kit.store.renew_lease(first, ttl=60), "a dropped lease was renewed"
    )
    second = await kit.take()
    expect(second.token > first.token, "the token of the next holder does not grow")


@promise(STATE, mend="Compare token and owner before you renew or drop a lease.")
async def expired_leases_are_free(kit: StateKit) -> None:
    """A lease that expired can be taken; the earlier holder can no longer touch it."""
    first = await kit.take(ttl=0)
    expect(await kit.store.renew_lease(first, ttl=0), "nobody took it, but it is lost")
    second = await kit.take("the next")
    expect(second.token > first.token, "the token of the next holder does not grow")
    expect(
        not await kit.store.renew_lease(first, ttl=60), "renewed by the earlier holder"
    )
    await kit.store.drop_lease(first)
    same(await kit.refuse(), "the next", "the holder after the earlier one dropped it")


@promise(STATE, mend="Compare the whole text of `dead` with the owner.")
async def dead_owners_are_free(kit: StateKit) -> None:
    """The lease of an owner that is known to be dead is free, and only this one."""
    await kit.take("dead")
    for other in ("", "dea", "dead ", "DEAD"):
        same(await kit.refuse(dead=other), "dead", f"the holder, for dead={other!r}")
    lease = await kit.store.take_lease(kit.shop, "me", ttl=60, dead="dead")
    expect(isinstance(lease, Lease), "the lease of a dead owner was refused")


@promise(STATE, mend="Number triggers with a sequence that never goes back.")
async def triggers_in_order(kit: StateKit) -> None:
    """Triggers come oldest first, until they are dropped; a number never comes again."""
    first = await kit.store.add_trigger(kit.job, [_A, _B], by="a webhook")
    second = await kit.store.add_trigger(kit.job)
    same((first.keys, first.by, second.keys), ((_A, _B), "a webhook", ()), "triggers")
    expect(abs(first.at - time.time()) < _DAY, "the time of a trigger")
    same([*await kit.store.triggers(kit.job)], [first, second], "the queue")
    same((await kit.store.backlog(kit.job)).triggers, 2, "the size of the queue")
    await kit.store.drop_triggers([second.id, 999_999])
    same([*await kit.store.triggers(kit.job)], [first], "the queue after a drop")
    third = await kit.store.add_trigger(kit.job)
    expect(third.id > second.id, "the number of a dropped trigger came again")


@promise(
    STATE, mend="Escape what the database cannot store, such as NUL and surrogates."
)
async def any_text(kit: StateKit) -> None:
    """Any text comes back: NUL, halves of surrogate pairs, quotes, a megabyte of HTML."""
    for text in (*_ODD, "<p>Füße &amp; \U0001f45f</p>" * 50_000):
        payload: Json = {"text": text, "list": [text, None, 1.5, True]}
        failure = _failed("a", reason=text, said=text, payload=payload)
        job = f"{kit.job} {text[:9]}"
        await kit.store.put_failures(job, [failure])
        same([*await kit.store.failures(job)], [failure], "a failed product")
        await kit.store.put_intents(f"{kit.shop} {text[:9]}", "r", {_A: text})
        found = await kit.store.intents(f"{kit.shop} {text[:9]}", "kit")
        same(found[_A].handle, text, "a handle")


@promise(STATE, mend="Split long lists into statements with few enough parameters.")
async def many_keys(kit: StateKit) -> None:
    """A call takes as many keys as a catalog has, and keys of any length."""
    letters = random.Random(1)  # noqa: S311 - not for secrets
    start = "".join(chr(letters.randrange(0x21, 0x7F)) for _ in range(5000))
    keys = [_key(f"{n}") for n in range(_MANY)] + [_key(f"{start}1"), _key(f"{start}2")]
    await kit.store.remember(kit.shop, keys)
    same(len(await kit.store.remembered(kit.shop, keys)), len(keys), "remembered")
    await kit.store.forget(kit.shop, keys[:-1])
    same(await kit.store.remembered(kit.shop, keys), {keys[-1]}, "after `forget`")


@promise(STATE, mend="Read and write in one transaction, and lock what is read.")
async def calls_add_up(kit: StateKit) -> None:
    """Calls at the same time lose nothing of each other."""
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            failures = [_failed("a"), _failed("b")]
            group.create_task(kit.store.put_failures(kit.job, failures))
            group.create_task(kit.store.add_trigger(kit.job))
    found = await kit.store.failures(kit.job)
    same([each.attempts for each in found], [20, 20], "attempts")
    same(len({t.id for t in await kit.store.triggers(kit.job)}), 20, "triggers")


@promise(
    STATE, mend="Write each call in one transaction, and roll back on CancelledError."
)
async def calls_are_atomic(kit: StateKit) -> None:
    """A call that is cancelled at any await does all or nothing, and the store still works."""
    failures = [_failed(f"{n}") for n in range(500)]
    for at in range(1, _OFTEN):
        job = f"{kit.job} {at}"
        end = await interrupted(kit.store.put_failures(job, failures), at)
        expect(end != "swallowed", f"CancelledError was swallowed at await {at}")
        size = len(await kit.store.failures(job))
        expect(size in {0, len(failures)}, f"{size} of {len(failures)} were written")
        if end == "done":
            return
