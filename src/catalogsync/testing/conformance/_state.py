"""The promises of state stores: runs, history, products."""

from __future__ import annotations

import time

import attrs

from catalogsync.catalog.drafts import Outline, Unchanged
from catalogsync.catalog.products import Category, Field, ProductKey
from catalogsync.report import RunStatus
from catalogsync.state.protocols import (
    FailedProduct,
)

from ._promise import Promise, expect, promise, same
from ._state_kit import A, B, C, StateKit, ended, entry, failed, key

STATE: list[Promise[StateKit]] = []
_DAY = 86400.0


@promise(
    STATE, mend="Save every field of a run; `end_run` adds time, status and report."
)
async def runs_come_back(kit: StateKit) -> None:
    """A run comes back as it was saved, at its beginning and after its end."""
    begun = await kit.begin("r1")
    same(await kit.store.run("r1"), begun, "a run that goes on")
    same(await kit.store.run("r2"), None, "an unknown run")
    await kit.store.end_run(ended("r1"))
    end, status = ended("r1"), RunStatus.DEGRADED
    whole = attrs.evolve(begun, finished_at=1002.5, status=status, report=end)
    same(await kit.store.run("r1"), whole, "a run that ended")


@promise(
    STATE, mend="Ignore a run that is there already, and the end of an unknown one."
)
async def runs_once(kit: StateKit) -> None:
    """A run that is saved twice stays as it was, and an end without a run is not an error."""
    await kit.store.end_run(ended("unknown"))
    same(await kit.store.run("unknown"), None, "a run that only ended")
    end, status = ended("r1"), RunStatus.SKIPPED
    first = await kit.begin("r1", finished_at=1000.0, status=status, report=end)
    await kit.begin("r1", job="other")
    same(await kit.store.run("r1"), first, "a run that was saved twice")
    same(len(await kit.store.runs()), 1, "runs")


@promise(
    STATE, mend="Order by start, then by order of saving, and apply the limit last."
)
async def runs_newest_first(kit: StateKit) -> None:
    """Runs are listed newest first, of one job or of all, up to the limit."""
    for run_id, at in (("b", 1.0), ("d", 2.0), ("a", 3.0), ("e", 3.0)):
        await kit.begin(run_id, started_at=at)
    await kit.begin("y", job="", started_at=2.5)
    await kit.begin("x", job="another job", started_at=4.0)
    same(await kit.ids(), "eadb", "runs of the job")
    same(await kit.ids(limit=2), "ea", "two runs of the job")
    for job, limit, expected in ((None, 2, "xe"), ("", 9, "y"), ("no job", 9, "")):
        runs = await kit.store.runs(job=job, limit=limit)
        same("".join(run.run_id for run in runs), expected, f"{limit} runs of {job!r}")


@promise(STATE, mend="Leave `failures` and other lists out of the reports in lists.")
async def lists_are_light(kit: StateKit) -> None:
    """Lists of runs have reports without what grows with the catalog, but with reasons."""
    await kit.begin("r1")
    await kit.store.end_run(ended("r1"))
    for listed in (
        *await kit.store.runs(job=kit.job),
        await kit.store.last_whole(kit.job),
    ):
        report = listed and listed.report
        same(report, attrs.evolve(ended("r1"), failures=()), "the report in a list")
        same(report and report.reasons, ended("r1").reasons, "its reasons")


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
        await kit.store.add_entries(kit.job, [entry(run_id)])
    await kit.store.put_failures(kit.job, [failed("a")])
    same(await kit.store.trim(days=1, runs=1), 1, "deleted runs")
    same(await kit.ids(), "ca", "runs that stay")
    history = [entry.run_id for entry in await kit.store.history(kit.job, A)]
    same(history, ["c", "a"], "history that stays")
    same(len(await kit.store.failures(kit.job)), 1, "failed products that stay")


@promise(STATE, mend="Select by job and key; order by time, then by order of saving.")
async def history_newest_first(kit: StateKit) -> None:
    """The history has the outcomes of one product in one job, newest first."""
    notes = [
        entry("r1"),
        entry("r1", "b"),
        entry("r2", at=2e3),
        entry("r3", at=2e3),
    ]
    await kit.store.add_entries(kit.job, notes)
    await kit.store.add_entries("another job", [entry("r4", at=3e3)])
    found = await kit.store.history(kit.job, A)
    same([*found], [notes[3], notes[2], notes[0]], "the history of a product")
    same([*await kit.store.history(kit.job, A, limit=1)], [notes[3]], "its last entry")
    for other in (C, ProductKey("erp", "a")):
        same([*await kit.store.history(kit.job, other)], [], f"the history of {other}")


@promise(
    STATE, mend="On a second failure, keep `first_at` and a payload, add attempts."
)
async def failures_add_up(kit: StateKit) -> None:
    """A product that fails again keeps its first time and payload, and adds its attempts."""
    first = failed("a", payload={"title": "Shoe"})
    again = failed("a", reason="worse", last_at=2000.0, first_at=2000.0, attempts=2)
    for job, calls in (("one", [[first, again]]), ("two", [[first], [again]])):
        for call in calls:
            await kit.store.put_failures(f"{kit.job} {job}", call)
        expected = attrs.evolve(
            again, payload=first.payload, first_at=1000.0, attempts=3
        )
        found = await kit.store.failures(f"{kit.job} {job}")
        same([*found], [expected], f"failed twice, in calls of {job}")
    await kit.store.put_failures(f"{kit.job} one", [failed("a", payload=[1])])
    (last,) = await kit.store.failures(f"{kit.job} one")
    same((last.payload, last.attempts), ([1], 4), "with another payload, attempts")


@promise(STATE, mend="Sort by code points, as Python does; page by `after`.")
async def failures_in_key_order(kit: StateKit) -> None:
    """Failed products come in the order of their keys, also in parts."""
    ids = ["b", "B", "a", "Z", "é", "z", "10", "9", '"', " ", "_", "ß", "\U0001f45f"]
    await kit.store.put_failures(kit.job, [failed(i, payload=i) for i in ids])
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
        await kit.store.put_failures(job, [failed("a"), failed("b")], endpoint=here)
    await kit.store.drop_failures(kit.job, [B], endpoint="elsewhere")
    await kit.store.drop_failures(kit.job, [A, C])
    await kit.store.drop_failures(kit.job, [])
    left = {
        job: [f.key for f in await kit.store.failures(job)] for job in (kit.job, other)
    }
    same(left, {kit.job: [B], other: [A, B]}, "failed products that stay")
    same([*await kit.store.failures(kit.job, endpoint="elsewhere")], [], "elsewhere")


@promise(STATE, mend="Insert a handle only if the product has none; renew run and age.")
async def intents_keep_handles(kit: StateKit) -> None:
    """A product that has an intent keeps its handle; the run and the age are new."""
    await kit.store.put_intents(kit.shop, "r1", {A: "shoe", B: "boot"})
    await kit.store.put_intents(kit.shop, "r2", {B: "other", C: "sock"})
    await kit.store.put_intents(kit.shop, "r2", {ProductKey("erp", "a"): "cap"})
    await kit.store.put_intents("elsewhere", "r2", {A: "hat"})
    found = await kit.store.intents(kit.shop, "kit")
    seen = {key.id: (i.handle, i.run_id) for key, i in found.items()}
    expected = {"a": ("shoe", "r1"), "b": ("boot", "r2"), "c": ("sock", "r2")}
    same(seen, expected, "handles and runs")
    expect(all(0 <= i.age < _DAY for i in found.values()), "an age is not in seconds")
    await kit.store.drop_intents(kit.shop, [A, B, key("unknown")])
    same([*await kit.store.intents(kit.shop, "kit")], [C], "intents that stay")
    same([*await kit.store.intents("elsewhere", "kit")], [A], "intents elsewhere")


@promise(STATE, mend="Keep a set of keys for each endpoint.")
async def remembers(kit: StateKit) -> None:
    """What the sink has is remembered by endpoint, and forgotten at once."""
    store = kit.store
    await store.remember(kit.shop, [A, B])
    await store.remember(kit.shop, [B])
    await store.remember("elsewhere", [C])
    same(await store.remembered(kit.shop, [A, B, C]), {A, B}, "remembered")
    same(await store.remembered(kit.shop, [B, B]), {B}, "remembered, asked twice")
    same([*await store.remembered(kit.shop, [])], [], "remembered of nothing")
    await store.forget(kit.shop, [B, C])
    same(await store.remembered(kit.shop, [A, B, C]), {A}, "after `forget`")
    same(await store.remembered("elsewhere", [C]), {C}, "remembered elsewhere")


@promise(STATE, mend="Keep one row for each endpoint and key, and replace it.")
async def keeps_unchanged(kit: StateKit) -> None:
    """What is saved last about an unchanged product counts, by endpoint."""
    pots = Category(id="pots", name="Pots")
    outline = Outline(
        fields=frozenset({Field.TITLE, Field.STOCK}),
        categories=(Category(id="pans", name="Pans", parent=pots),),
        tags=("new",),
        type="Pan",
        collection=None,
    )
    first = Unchanged(record="1", row="2", outline=outline)
    second = attrs.evolve(first, record="3", outline=Outline(fields=frozenset()))
    await kit.store.put_unchanged(kit.shop, {A: first, B: first})
    await kit.store.put_unchanged(kit.shop, {B: second})
    await kit.store.put_unchanged("elsewhere", {A: second})
    found = await kit.store.unchanged(kit.shop, [A, B, C])
    same(dict(found), {A: first, B: second}, "unchanged products")
    found = await kit.store.unchanged("elsewhere", [A, B])
    same(dict(found), {A: second}, "unchanged products elsewhere")


@promise(STATE, mend="Keep the largest time for each endpoint and key.")
async def newest_snapshot_stays(kit: StateKit) -> None:
    """Of the times at which a product's stock was counted, the latest counts."""
    store = kit.store
    await store.put_snapshots(kit.shop, {A: 1000.5, B: 1000.5})
    await store.put_snapshots(kit.shop, {A: 900.0, B: 1001.25})
    await store.put_snapshots("elsewhere", {A: 2000.0})
    found = await store.snapshots(kit.shop, [A, B, C])
    same(dict(found), {A: 1000.5, B: 1001.25}, "when stock was counted")


@promise(
    STATE, mend="Note the first run that missed a product; replace all on each call."
)
async def absences_need_two_runs(kit: StateKit) -> None:
    """A product is absent if two runs in a row missed it; the same run counts once."""
    await kit.store.note_absences("other", kit.shop, "r0", [A, B, C])
    steps = [
        *(("r1", "a", ""), ("r1", "ab", ""), ("r2", "bc", "b"), ("r2", "bc", "b")),
        *(("r3", "a", ""), ("r4", "a", "a"), ("r5", "", ""), ("r6", "a", "")),
        *(("r7", "a", "a"), ("r8", "ab", "a"), ("r8", "a", "a"), ("r9", "ab", "a")),
    ]
    for run_id, ids, expected in steps:
        keys = [key(i) for i in ids * 2]
        told = await kit.store.note_absences(kit.job, kit.shop, run_id, keys)
        same({key.id for key in told}, set(expected), f"missed by {run_id} and before")
    await kit.store.drop_absences(kit.job, kit.shop, [A, C])
    await kit.store.drop_absences(kit.job, kit.shop, [])
    same({*await kit.store.absences(kit.job, kit.shop)}, {B}, "after the drop")
    told = await kit.store.note_absences(kit.job, kit.shop, "r10", [A, B])
    same({*told}, {B}, "missed before and after the drop")
    others = await kit.store.absences("other", kit.shop)
    same(others, {A, B, C}, "absences of another job")
