"""What `StateStore` promises, on every store."""

from __future__ import annotations

import asyncio
import json
import random
import time
import tracemalloc

import attrs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.strategies import json_values, product_keys, reports

from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Json, ProductKey
from catalogsync.report import Report, RunStatus, summary_of
from catalogsync.state.protocols import (
    BusyError,
    FailedProduct,
    HistoryEntry,
    Lease,
    RunRecord,
    StateStore,
)

from .conftest import SHARED
from .values import A, B, C, entry, failed, key, record, report

pytestmark = pytest.mark.parametrize("url", ["memory", *SHARED], indirect=True)

DAY = 86400.0


async def taken(
    store: StateStore, name: str = "shop", owner: str = "me", *, ttl: float = 60
) -> Lease:
    """A lease that is free."""
    lease = await store.take_lease(name, owner, ttl=ttl)
    assert isinstance(lease, Lease)
    return lease


async def run_ids(store: StateStore, job: str | None = None, limit: int = 20) -> str:
    """The latest runs, whose names have one letter."""
    return "".join(r.run_id for r in await store.runs(job=job, limit=limit))


# --- runs ---


async def test_a_run_that_goes_on(store: StateStore) -> None:
    """It has no end yet."""
    await store.begin_run(record("r1"))
    assert await store.run("r1") == record("r1")
    assert await store.run("r2") is None


async def test_a_run_that_ended(store: StateStore) -> None:
    """Lists of runs have the same report without its lists, and say the same."""
    await store.begin_run(record("r1"))
    await store.end_run(report("r1"))
    ended = record(
        "r1",
        finished_at=1002.5,
        status=RunStatus.DEGRADED,
        report=report("r1"),
    )
    assert await store.run("r1") == ended
    (listed,) = await store.runs()
    assert listed == attrs.evolve(ended, report=attrs.evolve(report("r1"), failures=()))
    assert listed.report is not None
    assert listed.report.reasons == report("r1").reasons


async def test_lists_of_runs_load_no_whole_reports(store: StateStore) -> None:
    """However many products failed, a line about a run takes no more memory."""
    products = 2000
    failures = tuple(
        Outcome(key(f"{n}"), OutcomeStatus.FAILED, "no price" * 10)
        for n in range(products)
    )
    for n in range(20):
        await store.begin_run(record(f"r{n}"))
        await store.end_run(attrs.evolve(report(f"r{n}"), failures=failures))
    peaks = []
    for _ in range(5):  # the first pays for imports, and any may for a new connection
        tracemalloc.start()
        try:
            records = await store.runs(job="nightly")
            last = await store.last_whole("nightly")
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert len(records) == 20
        assert last in records
    assert min(peaks) < 1_000_000
    whole = await store.run("r0")
    assert whole is not None
    assert whole.report is not None
    assert len(whole.report.failures) == products


async def test_a_run_is_noted_with_its_end(store: StateStore) -> None:
    """As one that was skipped; the second time changes nothing."""
    skipped = record(
        "r1", finished_at=1000.0, status=RunStatus.SKIPPED, report=report("r1")
    )
    await store.begin_run(skipped)
    await store.begin_run(record("r1", job="other"))
    assert await store.run("r1") == skipped
    assert len(await store.runs()) == 1


async def test_the_end_of_an_unknown_run(store: StateStore) -> None:
    """The run was deleted in the meantime; this is not an error."""
    await store.end_run(report("r1"))
    assert await store.runs() == []


@pytest.mark.parametrize(
    ("job", "limit", "expected"),
    [
        (None, 20, "acdb"),
        (None, 2, "ac"),
        ("nightly", 20, "adb"),
        ("nightly", 1, "a"),
        ("", 20, "c"),
        ("other", 20, ""),
    ],
)
async def test_the_latest_runs(
    store: StateStore, job: str | None, limit: int, expected: str
) -> None:
    """The one that began last is first; of two at once, the one noted last."""
    await store.begin_run(record("b", started_at=1.0))
    await store.begin_run(record("c", started_at=3.0, job=""))
    await store.begin_run(record("d", started_at=2.0))
    await store.begin_run(record("a", started_at=3.0))
    assert await run_ids(store, job, limit) == expected


# --- what became of products ---


async def test_history(store: StateStore) -> None:
    """Of one product in one job, the last first."""
    notes = [
        entry("r1", "a", fields=("title", "variants.1.prices.USD")),
        entry("r1", "b"),
        entry("r2", "a", at=2000.0, reason="again"),
        entry("r3", "a", at=2000.0),
    ]
    await store.add_entries("nightly", notes)
    await store.add_entries("nightly", [])
    await store.add_entries("other", [entry("r4", "a")])
    assert await store.history("nightly", A) == [notes[3], notes[2], notes[0]]
    assert await store.history("nightly", A, limit=1) == [notes[3]]
    assert await store.history("nightly", C) == []
    assert await store.history("nightly", ProductKey("erp", "a")) == []


async def test_failures_add_up(store: StateStore) -> None:
    """What failed again keeps when it failed first, and a payload that is known."""
    await store.put_failures("nightly", [failed("a", payload={"title": "Shoe"})])
    await store.put_failures(
        "nightly", [failed("a", reason="worse", at=2000.0, attempts=2, run_id="r2")]
    )
    assert await store.failures("nightly") == [
        FailedProduct(
            key=A,
            reason="worse",
            said="worse, it says",
            payload={"title": "Shoe"},
            attempts=3,
            first_at=1000.0,
            last_at=2000.0,
            run_id="r2",
        )
    ]
    await store.put_failures("nightly", [failed("a", payload=[1])])
    assert [f.payload for f in await store.failures("nightly")] == [[1]]


async def test_a_product_that_failed_twice_in_a_row(store: StateStore) -> None:
    """In one call it is as in two."""
    twice = [
        failed("a", payload={"title": "Shoe"}),
        failed("b"),
        failed("a", reason="worse", at=2000.0, attempts=2),
    ]
    await store.put_failures("at once", twice)
    for failure in twice:
        await store.put_failures("in turn", [failure])
    assert await store.failures("at once") == await store.failures("in turn")


async def test_failures_are_in_the_order_of_their_keys(store: StateStore) -> None:
    """By code points, as Python orders them, wherever the store is."""
    ids = [
        "b",
        "B",
        "a",
        "Z",
        "é",
        "z",
        "10",
        "9",
        '"',
        " ",
        "_",
        "\u00df",
        "\U0001f45f",
    ]
    await store.put_failures("nightly", [failed(id_) for id_ in ids])
    await store.put_failures("other", [failed("c")])
    found = [f.key.id for f in await store.failures("nightly")]
    assert found == sorted(ids)
    found = [f.key.id for f in await store.failures("nightly", limit=3)]
    assert found == sorted(ids)[:3]


async def test_failures_are_dropped(store: StateStore) -> None:
    """In one job; those that did not fail are no error."""
    for job in ("nightly", "other"):
        await store.put_failures(job, [failed("a"), failed("b")])
    await store.drop_failures("nightly", {A, C})
    await store.drop_failures("nightly", [])
    assert await store.failures("nightly") == [failed("b")]
    assert await store.failures("other") == [failed("a"), failed("b")]


# --- what the sink holds ---


async def test_intents(store: StateStore) -> None:
    """One that is there keeps its handle."""
    await store.put_intents("shop", "r1", {A: "shoe", B: "boot"})
    await store.put_intents("shop", "r2", {B: "other", C: "sock"})
    await store.put_intents("shop", "r2", {ProductKey("erp", "a"): "hat"})
    await store.put_intents("market", "r2", {A: "elsewhere"})
    found = await store.intents("shop", "pim")
    assert {k: (k == i.key, i.handle, i.run_id) for k, i in found.items()} == {
        A: (True, "shoe", "r1"),
        B: (True, "boot", "r2"),
        C: (True, "sock", "r2"),
    }
    await store.drop_intents("shop", [A, B, key("unknown")])
    assert list(await store.intents("shop", "pim")) == [C]
    assert list(await store.intents("market", "pim")) == [A]


async def test_what_the_sink_existing(store: StateStore) -> None:
    """By place; remembered twice is forgotten at once."""
    await store.remember("shop", [A, B])
    await store.remember("shop", {B})
    await store.remember("market", [C])
    assert await store.remembered("shop", [A, B, C]) == {A, B}
    assert await store.remembered("shop", [B, B]) == {B}
    assert await store.remembered("shop", []) == frozenset()
    await store.forget("shop", [B, C])
    assert await store.remembered("shop", [A, B, C]) == {A}
    assert await store.remembered("market", [A, B, C]) == {C}


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([("r1", "ab")], ""),
        ([("r1", "ab"), ("r1", "ab")], ""),
        ([("r1", "ab"), ("r2", "bc")], "b"),
        ([("r1", "a"), ("r1", "ab"), ("r2", "ab")], "ab"),
        ([("r1", "ab"), ("r1", "a"), ("r2", "ab")], "a"),
        ([("r1", "a"), ("r2", "a"), ("r2", "a")], "a"),
        ([("r1", "a"), ("r2", "a"), ("r3", "a")], "a"),
        ([("r1", "a"), ("r2", ""), ("r3", "a")], ""),
        ([("r1", "a"), ("r2", ""), ("r3", "a"), ("r4", "a")], "a"),
    ],
)
async def test_absences(
    store: StateStore, runs: list[tuple[str, str]], expected: str
) -> None:
    """Told is what an earlier run missed too, and was not seen since."""
    await store.note_absences("other", "shop", "r0", [A, B, C])
    await store.note_absences("nightly", "market", "r0", [A, B, C])
    found: frozenset[ProductKey] = frozenset()
    for run_id, ids in runs:
        absent = [key(id_) for id_ in ids * 2]
        found = await store.note_absences("nightly", "shop", run_id, absent)
    assert found == {key(id_) for id_ in expected}


async def test_absences_that_were_seen_again(store: StateStore) -> None:
    for job, place in (("nightly", "shop"), ("nightly", "market"), ("other", "shop")):
        await store.note_absences(job, place, "r1", [A, B, C])
    assert await store.absences("nightly", "shop") == {A, B, C}
    await store.drop_absences("nightly", "shop", [B, key("z")])
    await store.drop_absences("nightly", "shop", [])
    assert await store.absences("nightly", "shop") == {A, C}
    assert await store.note_absences("nightly", "shop", "r2", [A, B]) == {A}
    for job, place in (("nightly", "market"), ("other", "shop")):
        assert await store.absences(job, place) == {A, B, C}
    assert await store.absences("weekly", "shop") == frozenset()


async def test_a_large_catalog(store: StateStore) -> None:
    """More keys than a statement has parameters, in every method that takes keys."""
    keys = [key(f"{number}") for number in range(35_000)]
    await store.remember("shop", keys)
    assert await store.remembered("shop", keys) == set(keys)
    await store.forget("shop", keys[1:])
    assert await store.remembered("shop", keys) == {keys[0]}


# --- leases ---


async def test_a_lease_has_one_holder(store: StateStore) -> None:
    """The second one receives the holder, even if that is itself."""
    lease = await taken(store, owner="job nightly on host 1")
    assert (lease.name, lease.owner) == ("shop", "job nightly on host 1")
    for owner in ("somebody else", lease.owner):
        refused = await store.take_lease("shop", owner, ttl=60)
        assert isinstance(refused, BusyError)
        assert refused.holder == lease.owner
        assert lease.owner in str(refused)
    assert isinstance(await store.take_lease("market", "me", ttl=60), Lease)


async def test_a_lease_is_given_back(store: StateStore) -> None:
    """Then it is free, and the next one's token is larger."""
    first = await taken(store)
    await store.drop_lease(first)
    assert not await store.renew_lease(first, ttl=60)
    second = await taken(store)
    assert second.token > first.token


async def test_a_lease_that_ran_out_is_taken_over(store: StateStore) -> None:
    """The earlier holder learns of it, and cannot affect the new one."""
    first = await taken(store, ttl=0)
    second = await taken(store)
    assert second.token > first.token
    assert not await store.renew_lease(first, ttl=60)
    await store.drop_lease(first)
    assert isinstance(await store.take_lease("shop", "me", ttl=60), BusyError)
    assert await store.renew_lease(second, ttl=60)


async def test_a_lease_that_ran_out_and_was_not_taken(store: StateStore) -> None:
    """It is renewed."""
    lease = await taken(store, ttl=0)
    assert await store.renew_lease(lease, ttl=60)
    assert isinstance(await store.take_lease("shop", "me", ttl=60), BusyError)
    assert await store.renew_lease(lease, ttl=0)
    assert await taken(store)


async def test_the_lease_of_an_owner_that_is_dead_is_free(store: StateStore) -> None:
    """Exactly this lease: another run that has taken it keeps it."""
    first = await taken(store, owner="dead")
    for other in ("", "dea", "dead ", "DEAD"):
        refused = await store.take_lease("shop", "me", ttl=60, dead=other)
        assert isinstance(refused, BusyError)
        assert refused.holder == "dead"
    second = await store.take_lease("shop", "me", ttl=60, dead="dead")
    assert isinstance(second, Lease)
    assert second.token > first.token
    assert not await store.renew_lease(first, ttl=60)
    assert isinstance(
        await store.take_lease("shop", "me too", ttl=60, dead="dead"), BusyError
    )
    assert await store.renew_lease(second, ttl=60)


# --- triggers ---


async def test_triggers(store: StateStore) -> None:
    """They stay in order until they are dropped; a number is never given again."""
    first = await store.add_trigger("nightly", [A, B], by="a webhook")
    second = await store.add_trigger("other")
    third = await store.add_trigger("nightly")
    assert (first.job, first.keys, first.by) == ("nightly", (A, B), "a webhook")
    assert (third.job, third.keys, third.by) == ("nightly", (), "")
    assert abs(first.at - time.time()) < DAY
    assert first.id < second.id < third.id
    assert await store.triggers() == [first, second, third]
    assert await store.triggers("nightly") == [first, third]
    await store.drop_triggers([third.id, second.id, 999])
    await store.drop_triggers([])
    assert await store.triggers() == [first]
    assert (await store.add_trigger("nightly")).id > third.id


# --- forgetting ---


@pytest.mark.parametrize(
    ("days", "runs", "stay"),
    [
        (90, 200, "zcba"),
        (90, 2, "zcb"),
        (15, 200, "zcb"),
        (5, 200, "zc"),
        (5, 1, "zc"),
        (0, 0, "zc"),
    ],
)
async def test_trim(store: StateStore, days: float, runs: int, stay: str) -> None:
    """A job's last run stays, with its entries."""
    now = time.time()
    for run_id, age in (("a", 20), ("b", 10), ("c", 6)):
        await store.begin_run(record(run_id, started_at=now - age * DAY))
        await store.add_entries("nightly", [entry(run_id)])
    await store.begin_run(record("z", job="other", started_at=now))
    assert await store.trim(days=days, runs=runs) == 4 - len(stay)
    assert await run_ids(store) == stay
    message = [e.run_id for e in await store.history("nightly", A)]
    assert message == list(stay.removeprefix("z"))
    assert await store.trim(days=days, runs=runs) == 0


async def test_the_last_run_that_took_everything(store: StateStore) -> None:
    """It stays when later ones of some products push the rest out."""
    assert await store.last_whole("nightly") is None
    ends = [
        ("a", RunStatus.SUCCEEDED, False),
        ("b", RunStatus.DEGRADED, False),
        ("c", RunStatus.INCOMPLETE, False),
        ("d", RunStatus.SUCCEEDED, True),
        ("e", None, False),
    ]
    for number, (run_id, status, partial) in enumerate(ends):
        message = record(
            run_id, started_at=DAY * number, partial=partial, status=status
        )
        await store.begin_run(message)
    await store.begin_run(record("z", job="other", started_at=9 * DAY))
    assert await store.trim(days=1, runs=1) == 3
    assert await run_ids(store, "nightly") == "eb"
    last = await store.last_whole("nightly")
    assert last is not None
    assert (last.run_id, last.status) == ("b", RunStatus.DEGRADED)


async def test_trim_leaves_what_is_not_a_run(store: StateStore) -> None:
    """Of a run that is forgotten."""
    await store.begin_run(record("r1"))
    await store.begin_run(record("r2"))
    await store.put_failures("nightly", [failed("a", run_id="r1")])
    await store.put_intents("shop", "r1", {A: "shoe"})
    await store.remember("shop", [A])
    await store.note_absences("nightly", "shop", "r1", [A])
    lease = await taken(store)
    trigger = await store.add_trigger("nightly")
    assert await store.trim(days=1, runs=1) == 1
    assert await store.failures("nightly") == [failed("a", run_id="r1")]
    assert list(await store.intents("shop", "pim")) == [A]
    assert await store.remembered("shop", [A]) == {A}
    assert await store.note_absences("nightly", "shop", "r2", [A]) == {A}
    assert await store.renew_lease(lease, ttl=60)
    assert await store.triggers() == [trigger]


# --- any values ---


async def test_long_words(store: StateStore) -> None:
    """A server that answers with a page of HTML."""
    page = "<p>Füße &amp; \U0001f45f</p>" * 50_000
    failures = [failed("a", reason=page, payload={"html": page})]
    await store.put_failures("nightly", failures)
    assert await store.failures("nightly") == failures


anything = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=25,
)
odd = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "Cc"]), max_size=5),
    st.sampled_from(
        [
            "\x00",
            "\x01",
            "\\",
            "\\n",
            "\\\\x00",
            "a\x00b",
            '"',
            "\\u0000",
            "\ud83d\udc5f",
            "[]",
        ]
    ),
)


@anything
@given(
    places=st.tuples(odd, odd),
    product=product_keys(),
    texts=st.tuples(odd, odd),
    field=st.text(),
    payload=json_values(),
)
async def test_any_text_comes_back(
    store: StateStore,
    places: tuple[str, str],
    product: ProductKey,
    texts: tuple[str, str],
    field: str,
    payload: Json,
) -> None:
    """NUL, halves of surrogate pairs, quotes: also where the database takes none."""
    name, run_id = places
    reason, said = texts
    failure = FailedProduct(
        key=product, reason=reason, said=said, payload=payload, run_id=run_id
    )
    outcome = Outcome(product, OutcomeStatus.FAILED, reason, said)
    noted = HistoryEntry(run_id=run_id, at=0.1, outcome=outcome, fields=(field,))

    await store.put_failures(name, [failure])
    await store.add_entries(name, [noted])
    await store.put_intents(name, run_id, {product: reason})
    trigger = await store.add_trigger(name, [product], by=said)
    lease = await taken(store, name, said)

    assert await store.failures(name) == [failure]
    assert (await store.history(name, product, limit=1)) == [noted]
    (intent,) = (await store.intents(name, product.source)).values()
    assert (intent.handle, intent.run_id) == (reason, run_id)
    assert await store.triggers(name) == [trigger]
    assert (trigger.keys, trigger.by) == ((product,), said)
    assert (lease.name, lease.owner) == (name, said)

    await store.drop_failures(name, [product])
    await store.drop_intents(name, [product])
    await store.drop_triggers([trigger.id])
    await store.drop_lease(lease)
    assert await store.failures(name) == []
    assert await store.intents(name, product.source) == {}


@anything
@given(
    texts=st.tuples(odd, odd, odd),
    times=st.tuples(st.floats(0, 1e10), st.floats(0, 1e10)),
    ended=reports(),
)
async def test_any_run_comes_back(
    store: StateStore,
    texts: tuple[str, str, str],
    times: tuple[float, float],
    ended: Report,
) -> None:
    """With all digits of its times and its report."""
    job, source, sink = texts
    run_id = f"{texts}{times}{json.dumps(ended.to_dict())}"
    run = RunRecord(
        run_id=run_id,
        job=job,
        source=source,
        sink=sink,
        started_at=times[0],
        finished_at=times[1],
        status=RunStatus.SUCCEEDED,
        report=ended,
    )
    await store.begin_run(run)
    assert await store.run(run_id) == run
    listed = attrs.evolve(run, report=Report.from_dict(summary_of(ended.to_dict())))
    assert listed in await store.runs(job=job, limit=1000)


# --- several at once ---


async def test_tasks_at_once(store: StateStore) -> None:
    """Each call is a separate transaction."""
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(store.put_failures("nightly", [failed("a"), failed("b")]))
            group.create_task(store.add_trigger("nightly"))
            group.create_task(store.failures("nightly"))
    assert [f.attempts for f in await store.failures("nightly")] == [20, 20]
    assert len({t.id for t in await store.triggers()}) == 20


async def test_a_call_that_is_cancelled(store: StateStore) -> None:
    """It is atomic, and the store keeps working."""
    failures = [failed(f"{number}") for number in range(1000)]
    for steps in range(5):
        task = asyncio.get_running_loop().create_task(
            store.put_failures(f"{steps}", failures)
        )
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(await store.failures(f"{steps}")) in {0, 1000}


async def test_ids_of_any_length(store: StateStore) -> None:
    """Longer than an entry of an index, and alike up to the last letter."""
    letters = random.Random(1)
    start = "".join(chr(letters.randrange(0x21, 0x7F)) for _ in range(5000))
    one, two = key(f"{start}1"), key(f"\\{start}2")
    await store.add_entries("j", [entry("r", one.id), entry("r", two.id)])
    for _ in range(2):
        await store.put_failures("j", [failed(one.id), failed(two.id)])
        await store.put_intents("shop", "r", {one: "1", two: "2"})
        await store.remember("shop", [one, two])
        await store.note_absences("j", "shop", "r", [one, two])
    assert [e.outcome.key for e in await store.history("j", two)] == [two]
    assert {f.key: f.attempts for f in await store.failures("j")} == {one: 2, two: 2}
    begun = await store.intents("shop", "pim")
    assert {each: begun[each].handle for each in begun} == {one: "1", two: "2"}
    assert await store.remembered("shop", [one, two]) == {one, two}
    assert await store.absences("j", "shop") == {one, two}

    await store.drop_failures("j", [one])
    await store.drop_intents("shop", [one])
    await store.forget("shop", [one])
    await store.drop_absences("j", "shop", [one])
    assert [f.key for f in await store.failures("j")] == [two]
    assert list(await store.intents("shop", "pim")) == [two]
    assert await store.remembered("shop", [one, two]) == {two}
    assert await store.absences("j", "shop") == {two}


async def test_failures_in_parts(store: StateStore) -> None:
    """Each part starts after the last key of the previous one; payloads on request."""
    everything = [failed(id_, payload={"title": id_}) for id_ in "abcde"]
    await store.put_failures("j", [*everything, failed("c", payload=None)])
    found: list[FailedProduct] = []
    while part := await store.failures(
        "j", limit=2, after=found[-1].key if found else None
    ):
        found += part
    assert [each.payload for each in found] == [each.payload for each in everything]
    light = await store.failures("j", payloads=False)
    assert [each.key for each in light] == [each.key for each in everything]
    assert not any(each.payload for each in light)


async def test_absences_of_one_source(store: StateStore) -> None:
    """Jobs without a name share one; what others noted stays."""
    other = ProductKey("erp", "a")
    await store.note_absences("", "shop", "r1", [A], source="pim")
    await store.note_absences("", "shop", "r2", [other], source="erp")
    assert await store.absences("", "shop", source="pim") == {A}
    assert await store.absences("", "shop") == {A, other}
    assert await store.note_absences("", "shop", "r3", [A], source="pim") == {A}
    assert await store.note_absences("", "shop", "r4", [], source="erp") == set()
    assert await store.absences("", "shop") == {A}
