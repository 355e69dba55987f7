"""What `StateStore` promises beyond the kit, on every store."""

from __future__ import annotations

import json
import random
import time
import tracemalloc

import attrs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.strategies import json_values, product_keys, reports

from catalogsync.catalog.drafts import Outline, Unchanged
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus
from catalogsync.catalog.products import Json, ProductKey
from catalogsync.report import Report, RunStatus, summary_of
from catalogsync.state.protocols import (
    FailedProduct,
    HistoryEntry,
    Lease,
    RunRecord,
    StateStore,
)

from .conftest import SHARED
from .values import A, entry, failed, key, record, report

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


async def test_trim_deletes_old_unchanged_products(store: StateStore) -> None:
    """Otherwise those that left the source would stay for ever."""
    unchanged = Unchanged(record="1", row="2", outline=Outline(fields=frozenset()))
    now = time.time()
    await store.put_unchanged("shop", {A: unchanged})
    await store.put_snapshots("shop", {A: now})
    await store.trim(days=1, runs=1)
    assert await store.unchanged("shop", [A]) == {A: unchanged}
    assert await store.snapshots("shop", [A]) == {A: now}
    await store.trim(days=0, runs=1)
    assert await store.unchanged("shop", [A]) == {}
    assert await store.snapshots("shop", [A]) == {}


async def test_partial_runs_do_not_push_out_full_ones(store: StateStore) -> None:
    """As those of a lane, every five minutes."""
    now = time.time()
    for number in range(3):
        await store.begin_run(record(f"f{number}", started_at=now - 100 + number))
    for number in range(4):
        partial = record(f"p{number}", started_at=now + number, partial=True)
        await store.begin_run(partial)
    assert await store.trim(days=90, runs=2) == 3
    left = [each.run_id for each in await store.runs(job="nightly")]
    assert left == ["p3", "p2", "f2", "f1"]
