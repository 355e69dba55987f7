"""What a run leaves in the state store, and what happens when the store fails."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

import attrs
import pytest
import pytest_asyncio

from catalogsync import (
    BatchRefusedError,
    Change,
    Limits,
    MemorySink,
    OutcomeStatus,
    Page,
    Product,
    ProductKey,
    Prune,
    RefusedError,
    Rejected,
    Report,
    RunStatus,
    StateSettings,
    Sync,
    TransientError,
    UnauthorizedError,
    as_source,
    sync,
)
from catalogsync.catalog.convert import product_from_json
from catalogsync.engine.retrying import find_failed
from catalogsync.report import summary_of
from catalogsync.state import StateError, StateStore

from .fakes import (
    FAST,
    FaultySink,
    LookupSource,
    check,
    fails,
    fast,
    key,
    poison,
    product,
)


@pytest_asyncio.fixture
async def store() -> AsyncGenerator[StateStore]:
    async with StateSettings().open() as opened:
        yield opened


def sink_that_refuses(*bad: int) -> FaultySink:
    refusal = BatchRefusedError("no price", said="Price is required")
    return FaultySink(rule=poison(*map(key, bad), error=lambda: refusal))


async def run(
    sink: FaultySink, store: StateStore, *products: Product, **more: Any
) -> Report:
    rejected = more.pop("rejected", ())
    source = LookupSource(products=products, rejected={0: rejected})
    report = await sync(source, sink, options=fast(**more), job="j", state=store)
    check(report)
    return report


async def test_a_run_with_its_report(store: StateStore) -> None:
    report = await run(FaultySink(), store, product(1))
    (record,) = await store.runs(job="j")
    assert record.run_id == report.run_id
    assert record.status is RunStatus.SUCCEEDED
    assert record.report is not None
    whole = await store.run(report.run_id)
    assert whole is not None
    assert whole.report is not None
    listed = Report.from_dict(summary_of(whole.report.to_dict()))
    assert record == attrs.evolve(whole, report=listed)


async def test_failures_are_kept_with_all_that_is_needed(store: StateStore) -> None:
    sink = sink_that_refuses(1)
    bad = Rejected(key=key(3), reason="title: is missing", where="page 0")
    await run(sink, store, product(1), product(2), rejected=[bad])
    first, second = await store.failures("j")
    assert (first.key, first.said, first.attempts) == (key(1), "Price is required", 1)
    assert product_from_json(first.payload) == product(1)
    assert (second.key, second.payload) == (key(3), None)
    assert "title: is missing" in second.reason
    await run(sink, store, product(1), product(2), rejected=[bad])
    again, _ = await store.failures("j")
    assert (again.attempts, again.first_at) == (2, first.first_at)
    assert again.last_at >= first.last_at


async def test_the_payload_is_what_the_source_gave(store: StateStore) -> None:
    def louder(item: Product) -> Product:
        return attrs.evolve(item, title=item.title.upper())

    await run(sink_that_refuses(1), store, product(1), transform=louder)
    (failure,) = await store.failures("j")
    assert product_from_json(failure.payload) == product(1)


async def test_a_transform_that_raises_is_a_failure_with_its_payload(
    store: StateStore,
) -> None:
    def broken(_: Product) -> Product:
        raise ZeroDivisionError

    await run(FaultySink(), store, product(1), transform=broken)
    (failure,) = await store.failures("j")
    assert product_from_json(failure.payload) == product(1)


@pytest.mark.parametrize(
    "ending", ["written", "unchanged", "vetoed", "left the source"]
)
async def test_a_failure_ends(store: StateStore, ending: str) -> None:
    sink = sink_that_refuses(1)
    await run(sink, store, product(1), product(2))
    sink.rule = lambda _: None
    if ending == "unchanged":
        await sync(LookupSource(products=[product(1)]), sink, options=fast())
    if ending == "left the source":
        await run(sink, store, product(2))
    elif ending == "vetoed":
        await run(sink, store, product(1), product(2), transform=lambda _: None)
    else:
        await run(sink, store, product(1), product(2))
    assert await store.failures("j") == []


async def test_what_an_unreadable_source_does_not_show_is_kept(
    store: StateStore,
) -> None:
    """As is what an empty one does not: neither says that it is gone."""
    await run(sink_that_refuses(1), store, product(1), product(2))
    nameless = [Rejected(key=None, reason="no id", where="record 5")]
    await run(FaultySink(), store, product(2), rejected=nameless)
    assert [f.key for f in await store.failures("j")] == [key(1)]
    await run(FaultySink(), store)
    assert [f.key for f in await store.failures("j")] == [key(1)]
    await run(FaultySink(), store, product(2))
    assert await store.failures("j") == []


async def test_failed_products_are_asked_for_again(store: StateStore) -> None:
    await run(sink_that_refuses(1, 2), store, product(1), product(2))
    source = LookupSource(products=[product(1)])
    source.lookup_faults.append(TransientError("busy", retry_after=0))
    failed = await find_failed(source, store, job="j", retry=FAST)
    assert (failed.keys, failed.gone, failed.lost) == ((key(1),), [key(2)], ())
    source.lookup_faults += [TransientError("busy", retry_after=0)] * FAST.attempts
    with pytest.raises(TransientError, match="busy"):
        await find_failed(source, store, job="j", retry=FAST)


async def test_an_answer_without_a_key_says_of_none_that_it_is_gone(
    store: StateStore,
) -> None:
    class Garbled(LookupSource):
        async def get(self, keys: Sequence[ProductKey], /) -> Page:
            nameless = [Rejected(key=None, reason="no id", where="answer")]
            return attrs.evolve(await super().get(keys), rejected=nameless)

    await run(sink_that_refuses(1, 2), store, product(1), product(2))
    failed = await find_failed(Garbled(products=[product(1)]), store, job="j")
    assert (failed.keys, failed.gone, failed.lost) == ((key(1),), (), [key(2)])


async def test_a_run_over_some_forgets_no_others(store: StateStore) -> None:
    await run(sink_that_refuses(1, 2), store, product(1), product(2))
    await run(FaultySink(), store, product(2), keys=[key(2)])
    assert [f.key for f in await store.failures("j")] == [key(1)]
    await run(FaultySink(), store, product(2), product(3), limit=1)
    assert [f.key for f in await store.failures("j")] == [key(1)]


async def test_the_story_of_a_product(store: StateStore) -> None:
    sink = FaultySink()
    await run(sink, store, product(1))
    await run(sink, store, product(1, title="New", tags=["red"]))
    await run(sink, store, product(1, title="New", tags=["red"]))
    sink.rule = sink_that_refuses(1).rule
    await run(sink, store, product(1, title="Bad"))
    stories = [
        (entry.outcome.status, entry.fields)
        for entry in await store.history("j", key(1))
    ]
    assert stories == [
        (OutcomeStatus.FAILED, ("title",)),
        (OutcomeStatus.UPDATED, ("title", "tags")),
        (OutcomeStatus.CREATED, ()),
    ]


async def test_a_plan_leaves_nothing(store: StateStore) -> None:
    shown: list[object] = []
    source = LookupSource(products=[product(1)])
    await Sync(source, FaultySink(), job="j", state=store).plan(shown.append)
    assert shown
    assert await store.runs() == []
    assert await store.history("j", key(1)) == []


async def test_a_sink_that_is_down_makes_no_dead_letters(store: StateStore) -> None:
    from .fakes import server_error

    sink = FaultySink()
    sink.steps.extend([fails(server_error())] * 100)
    report = await run(sink, store, *map(product, range(40)))
    assert report.status is RunStatus.INCOMPLETE
    assert await store.failures("j") == []


async def test_a_run_that_breaks_off_is_noted(store: StateStore) -> None:
    class Locked(FaultySink):
        async def find(self, *_: object, **__: object) -> Any:
            raise UnauthorizedError("401")

    with pytest.raises(UnauthorizedError):
        await run(Locked(), store, product(1))
    (record,) = await store.runs()
    assert record.status is RunStatus.FAILED
    assert record.report is not None
    assert record.report.problem == "401"
    assert record.finished_at is not None


@attrs.define
class Failing:
    """A state store one method of which fails."""

    inner: StateStore
    method: str

    def __getattr__(self, name: str) -> Any:
        if name != self.method:
            return getattr(self.inner, name)

        async def fail(*_: object, **__: object) -> None:
            raise StateError("the disk of the state store is full")

        return fail


@pytest.mark.parametrize("method", ["take_lease", "intents", "failures", "begin_run"])
async def test_a_store_that_cannot_be_used_stops_it_before_any_write(
    store: StateStore, method: str
) -> None:
    sink = FaultySink()
    with pytest.raises(StateError, match="disk"):
        await run(sink, Failing(store, method), product(1))  # type: ignore[arg-type]
    assert sink.writes == []


@pytest.mark.parametrize("method", ["put_intents", "renew_lease"])
async def test_without_a_note_nothing_is_written(
    store: StateStore, method: str
) -> None:
    sink = FaultySink()
    with pytest.raises(StateError, match="disk"):
        await run(sink, Failing(store, method), product(1))  # type: ignore[arg-type]
    assert sink.writes == []


@pytest.mark.parametrize("method", ["add_entries", "drop_intents", "put_failures"])
async def test_once_something_is_written_there_is_a_report(
    store: StateStore, method: str
) -> None:
    sink = sink_that_refuses(1)
    failing = Failing(store, method)
    report = await run(sink, failing, product(1), product(2))  # type: ignore[arg-type]
    assert report.status is RunStatus.FAILED
    assert "the disk of the state store is full" in report.problem
    assert key(2) in sink.products


async def test_an_end_that_cannot_be_noted_is_a_warning(store: StateStore) -> None:
    failing = Failing(store, "end_run")
    report = await run(FaultySink(), failing, product(1))  # type: ignore[arg-type]
    assert report.status is RunStatus.DEGRADED
    assert "could not save the report" in report.warnings[0]


async def test_outcomes_are_saved_in_time(store: StateStore) -> None:
    """After each batch, so a process that is killed loses one batch of news."""
    known: list[int] = []

    async def look(sink: FaultySink, changes: Sequence[Change]) -> Any:
        known.append(len(await store.history("j", key(0))))
        return sink.work(changes)

    sink = FaultySink()
    sink.steps.extend([look] * 3)
    await run(sink, store, *map(product, range(6)), batch_size=2)
    assert known == [0, 1, 1]


async def test_outcomes_that_could_not_be_saved_are_saved_at_the_end(
    store: StateStore,
) -> None:
    """The store fails once, and a failed product is kept all the same."""

    @attrs.define
    class Once:
        inner: StateStore
        failed: bool = False

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        async def put_failures(self, *given: Any) -> None:
            if not self.failed:
                self.failed = True
                raise StateError("busy")
            await self.inner.put_failures(*given)

    await run(sink_that_refuses(1), Once(store), product(1), product(2))  # type: ignore[arg-type]
    assert [failure.key for failure in await store.failures("j")] == [key(1)]
    statuses = [entry.outcome.status for entry in await store.history("j", key(1))]
    assert statuses == [OutcomeStatus.FAILED], "and once"


async def test_jobs_without_a_name_drop_only_their_own_state(
    store: StateStore,
) -> None:
    """Another source's failures are no news of this one."""
    source = as_source([product(1), product(2)], name="shop")
    await sync(source, sink_that_refuses(2), options=fast(), state=store)
    kept = await store.failures("")
    assert [failure.key for failure in kept] == [key(2)]
    other = [Product(key=ProductKey("other", "1"), title="Other")]
    await sync(as_source(other, name="other"), MemorySink(), state=store)
    assert await store.failures("") == kept


async def test_jobs_without_a_name_into_two_sinks(store: StateStore) -> None:
    """What succeeds in one has still failed in the other."""
    sinks = sink_that_refuses(2), MemorySink()
    for sink in sinks:
        source = as_source([product(1), product(2)], name="shop")
        await sync(source, sink, options=fast(), state=store)
        assert [failure.key for failure in await store.failures("")] == [key(2)]
    await sync(
        as_source([product(2)], name="shop"), FaultySink(), options=fast(), state=store
    )
    assert await store.failures("") == []


async def test_jobs_without_a_name_share_no_absences(store: StateStore) -> None:
    """What one source does not have any more is removed, whatever else runs."""
    sink = MemorySink()
    options = fast(prune=Prune.DELETE, max_prune=1.0)

    async def one_run(name: str, ids: str) -> None:
        products = [Product(key=ProductKey(name, id_), title=id_) for id_ in ids]
        source = as_source(products, name=name)
        await sync(source, sink, options=options, state=store)

    await one_run("north", "12")
    for _ in range(2):
        await one_run("north", "1")
        await one_run("south", "1")
    assert set(sink.products) == {ProductKey("north", "1"), ProductKey("south", "1")}


@attrs.frozen
class Cancelling:
    """A state store that cancels its user while a method is at work."""

    store: StateStore
    method: str

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.store, name)
        if name != self.method:
            return real

        async def cancelled(*args: Any, **options: Any) -> Any:
            # The task that waits for this one, or is this one.
            for task in asyncio.all_tasks():
                if task.get_name() == "catalogsync-run":
                    task.cancel()
            await asyncio.sleep(0)
            return await real(*args, **options)

        return cancelled


@pytest.mark.parametrize("method", ["begin_run", "put_failures", "end_run"])
async def test_a_run_cancelled_while_its_store_is_written(
    store: StateStore, method: str
) -> None:
    """It does not go on for ever."""
    cancelling: Any = Cancelling(store, method)
    with pytest.raises(asyncio.CancelledError):
        await run(sink_that_refuses(2), cancelling, product(1), product(2))
    (record,) = await store.runs()
    assert record.status is not None
    assert record.report is not None
    if method == "put_failures":
        assert [each.key for each in await store.failures("j")] == [key(2)]


async def _large(size: int) -> AsyncGenerator[Product]:
    for n in range(size):
        yield product(n, description=f"{n}" * 10_000)


def _refuse(_: Product) -> Product:
    raise ValueError("no")


@pytest.mark.parametrize("refused", ["by the transform", "by the sink's shape"])
async def test_what_failed_takes_little_memory(store: StateStore, refused: str) -> None:
    """Payloads are saved before they pile up, and loaded when needed."""
    options = fast(transform=_refuse) if refused == "by the transform" else fast()
    sink: Any = (
        FaultySink() if options.transform else _Shapeless(limits=Limits(find=20))
    )
    size = 2000
    for make in (partial(_large, size), partial(_large, 0)):
        tracemalloc.start()
        try:
            source = as_source(make(), name="shop")
            await sync(source, sink, options=options, state=store, job="nightly")
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # The payloads are more than 60 MB.
        assert most < 30_000_000


class _Shapeless(FaultySink):
    """It takes no product at all."""

    def shape(self, product: Product, /) -> Product:
        raise RefusedError("no shape")
