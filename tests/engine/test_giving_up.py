"""When a sink is given up, and sinks with one answer for each change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from catalogsync import (
    Change,
    ConflictError,
    Limits,
    MemorySink,
    Options,
    Outcome,
    OutcomeStatus,
    ProductKey,
    Prune,
    RefusedError,
    Report,
    RetryPolicy,
    RunStatus,
    TransientError,
    UnauthorizedError,
    as_source,
)
from catalogsync.catalog.outcomes import Again
from catalogsync.engine.breaker import Breaker

from .fakes import FaultySink, catalog, fast, key, product, run, server_error

Faults = Mapping[ProductKey, Callable[[], Exception]]


def unavailable() -> TransientError:
    return TransientError("HTTP 503")


@attrs.define(kw_only=True)
class OneByOne(MemorySink):
    """Sends a request for each product and answers for each.

    Attributes:
        faults: What is raised for a product, each time.
        sent: How often each was sent.
        asked: The batches that came.
    """

    faults: Faults = attrs.field(factory=dict[ProductKey, Callable[[], Exception]])
    sent: Counter[str] = attrs.field(factory=Counter[str])
    asked: list[list[str]] = attrs.field(factory=list[list[str]])

    def __attrs_post_init__(self) -> None:
        self.limits = attrs.evolve(self.limits, collides=True)

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome | Again]:  # type: ignore[override]
        self.asked.append([change.key.id for change in changes])
        return [await self.one(change) for change in changes]

    async def one(self, change: Change) -> Outcome | Again:
        self.sent[change.key.id] += 1
        try:
            if fault := self.faults.get(change.key):
                raise fault()
            await super().write([change])
        except RefusedError as error:
            return change.failed(str(error), said=error.said)
        except TransientError as error:
            return change.again(error)
        return change.done()


def everything(error: Callable[[], Exception], size: int = 200) -> Faults:
    return dict.fromkeys(map(key, range(size)), error)


async def go(sink: Any, size: int, **options: Any) -> Report:
    source = as_source(catalog(size), name="shop")
    return await run(source, sink, options=fast(batch_size=None, **options))


def fails_with(faults: Faults) -> Callable[[Sequence[Change]], None]:
    def rule(changes: Sequence[Change]) -> None:
        for change in changes:
            if fault := faults.get(change.key):
                raise fault()

    return rule


class Clock:
    """Tells the time that it is set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(products=3, seconds=30, clock=clock)


ERROR = TransientError("connection refused")


def test_a_sink_is_given_up_after_several_products_and_some_time(
    breaker: Breaker, clock: Clock
) -> None:
    for moment in (0, 29, 29.9):
        clock.now = moment
        breaker.failed(1, ERROR)
        assert not breaker.verdict
    clock.now = 30
    breaker.failed(1, ERROR)
    assert "4 products" in breaker.verdict
    assert breaker.verdict.endswith("connection refused")


def test_one_call_is_not_enough_whatever_its_size(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.failed(100, ERROR)
    clock.now = 1000
    assert not breaker.verdict
    breaker.failed(1, ERROR)
    assert breaker.verdict


def test_products_that_were_tried_one_by_one_are_several_calls(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.failed(3, ERROR, calls=3)
    assert breaker.is_enough
    assert not breaker.verdict
    clock.now = 30
    breaker.failed(1, ERROR)
    assert breaker.verdict


def test_time_that_passes_without_a_failure_is_no_evidence(
    breaker: Breaker, clock: Clock
) -> None:
    for _ in range(5):
        breaker.failed(1, ERROR)
    clock.now = 1000
    assert not breaker.verdict


def test_a_success_clears_the_sink(breaker: Breaker, clock: Clock) -> None:
    breaker.failed(5, ERROR)
    clock.now = 100
    breaker.worked()
    breaker.failed(5, ERROR)
    clock.now = 129
    breaker.failed(5, ERROR)
    assert not breaker.verdict


def test_once_the_time_is_over_each_product_has_one_try(
    breaker: Breaker, clock: Clock
) -> None:
    usual = RetryPolicy(attempts=6)
    breaker.failed(1, ERROR)
    assert breaker.policy(usual) == usual
    clock.now = 31
    breaker.failed(1, ERROR)
    assert breaker.policy(usual).attempts == 1
    breaker.worked()
    assert breaker.policy(usual) == usual


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        (Options(), 31.75),
        (Options(give_up_after=5), 5),
        (Options(retry=RetryPolicy(timeout=7)), 7),
        (Options(retry=RetryPolicy(attempts=10**9, timeout=300)), 300),
        (Options(retry=RetryPolicy(wait_initial=0)), 0),
    ],
)
def test_the_options_say_how_long(options: Options, seconds: float) -> None:
    assert Breaker.of(options).seconds == seconds


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf")])
def test_wrong_times_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="give_up_after"):
        Options(give_up_after=wrong)


@settings(max_examples=80)
@given(
    st.integers(0, 50),
    st.integers(1, 9),
    st.integers(1, 8),
    st.sampled_from([unavailable, server_error]),
    st.booleans(),
)
async def test_a_few_bad_neighbours_do_not_starve_the_others(
    first: int,
    number: int,
    writers: int,
    error: Callable[[], Exception],
    answers: bool,
) -> None:
    """Wherever they are, whether the sink raises or answers for each."""
    bad = [key(n) for n in range(first, first + number)]
    faults: Faults = dict.fromkeys(bad, error)
    limits = Limits(batch=1, writers=writers)
    sink: MemorySink | FaultySink
    if answers:
        sink = OneByOne(limits=limits, faults=faults)
    else:
        sink = FaultySink(limits=limits, rule=fails_with(faults))
    report = await go(sink, 60)
    assert set(sink.products) == {p.key for p in catalog(60)} - set(bad)
    assert {outcome.key for outcome in report.failures} <= set(bad)
    assert "gave up" not in report.problem
    again = await go(sink, 60)
    assert again.counts.unchanged == report.counts.created


@pytest.mark.parametrize("error", [unavailable, server_error])
@pytest.mark.parametrize("writers", [1, 8])
@pytest.mark.parametrize("batch", [1, 7])
async def test_a_sink_that_is_down_is_given_up(
    error: Callable[[], TransientError], writers: int, batch: int
) -> None:
    limits = Limits(batch=batch, writers=writers)
    sink = FaultySink(limits=limits, rule=fails_with(everything(error)))
    report = await go(sink, 200)
    assert report.status is RunStatus.INCOMPLETE
    assert "gave up" in report.problem
    assert str(error()) in report.problem
    assert report.counts.failed == 0
    assert len(sink.writes) < 200


@pytest.mark.parametrize("batch", [1, 5, 100])
async def test_a_sink_that_wants_everything_again_is_given_up(batch: int) -> None:
    sink = OneByOne(limits=Limits(batch=batch), faults=everything(unavailable, 400))
    report = await go(sink, 400)
    assert "gave up" in report.problem
    assert "HTTP 503" in report.problem
    assert len(sink.asked) < 20


async def test_how_many_products_can_be_set() -> None:
    sink = OneByOne(limits=Limits(batch=1), faults=everything(unavailable))
    report = await go(sink, 100, give_up_products=30)
    assert "30 products in a row" in report.problem
    assert len(sink.sent) == 30


async def test_not_before_its_time() -> None:
    """With the time that the test has, each product is tried."""
    sink = OneByOne(limits=Limits(batch=1), faults=everything(unavailable))
    report = await go(sink, 40, give_up_after=3600)
    assert "gave up" not in report.problem
    assert len(sink.sent) == 40


async def test_a_sink_that_answers_no_find_is_given_up_with_its_last_error() -> None:
    sink = FaultySink(limits=Limits(find=10, finders=1))
    sink.find_faults += [TransientError(f"busy {n}") for n in range(100)]
    report = await go(sink, 100)
    assert "gave up" in report.problem
    assert report.problem.endswith("busy 7")


async def test_finds_that_work_clear_those_that_did_not() -> None:
    """Also where nothing has to be written."""
    sink = FaultySink(limits=Limits(find=10, finders=1))
    await go(sink, 60)
    four = [TransientError("busy")] * 4
    sink.find_faults += [*four, None, *four, None]
    report = await go(sink, 60)
    assert "gave up" not in report.problem
    assert report.counts.unchanged == 40


async def test_suspects_are_tried_again_once_the_sink_works() -> None:
    """A short outage without a reason is no product's fault."""
    sink = FaultySink(limits=Limits(batch=1))
    left = 4

    def rule(_: Sequence[Change]) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise server_error()

    sink.rule = rule
    report = await go(sink, 20)
    assert report.status is RunStatus.SUCCEEDED
    assert sink.holds(*catalog(20))


async def test_a_batch_of_which_the_sink_takes_nothing() -> None:
    """Its products are tried one by one, and the sink is to blame."""
    sink = FaultySink(rule=fails_with(everything(server_error)))
    report = await go(sink, 100)
    assert (report.counts.unresolved, report.counts.failed) == (100, 0)
    assert "gave up: the sink failed 100 products in a row" in report.problem
    assert len(sink.writes) < 120


@given(st.integers(0, 60), st.integers(1, 60))
async def test_an_outage_without_a_reason_is_no_products_fault(
    first: int, length: int
) -> None:
    """It begins with any write and is over after so many, unless the run is before."""
    sink = FaultySink(limits=Limits(batch=30))

    def rule(_: Sequence[Change]) -> None:
        if first < len(sink.writes) <= first + length:
            raise server_error()

    sink.rule = rule
    report = await go(sink, 60)
    refused = report.counts.failed
    assert refused <= 3, "only those that failed twice by themselves"
    assert len(sink.products) + refused + report.counts.unresolved == 60


async def test_one_that_is_desired_again_does_not_keep_its_neighbours() -> None:
    sink = OneByOne(limits=Limits(batch=10), faults={key(3): unavailable})
    report = await go(sink, 20)
    assert report.counts.created == 19
    assert [(o.key, o.status, o.reason) for o in report.failures] == [
        (key(3), OutcomeStatus.UNRESOLVED, "HTTP 503")
    ]
    assert sink.asked[1:4] == [["3"]] * 3
    assert {n for id_, n in sink.sent.items() if id_ != "3"} == {1}


async def test_each_answer_has_its_own_reason() -> None:
    faults: Faults = {
        key(1): lambda: TransientError("one"),
        key(2): lambda: TransientError("two"),
        key(4): lambda: RefusedError("four", said="no"),
        key(5): lambda: ConflictError("five"),
    }
    report = await go(OneByOne(limits=Limits(batch=10), faults=faults), 8)
    assert report.counts.created == 4
    assert {(o.key.id, o.status.value, o.reason, o.said) for o in report.failures} == {
        ("1", "unresolved", "one", ""),
        ("2", "unresolved", "two", ""),
        ("4", "failed", "four", "no"),
        ("5", "unresolved", "five", ""),
    }


async def test_one_that_is_desired_again_without_a_reason_is_refused_at_last() -> None:
    faults: Faults = {key(1): server_error, key(5): server_error}
    report = await go(OneByOne(limits=Limits(batch=10), faults=faults), 8)
    assert report.status is RunStatus.DEGRADED
    assert {o.key for o in report.failures} == {key(1), key(5)}
    assert report.counts.failed == 2


async def test_it_waits_as_long_as_the_sink_asks_for() -> None:
    """A time beyond the policy's gives up at once."""
    faults: Faults = {
        key(1): lambda: TransientError("busy", retry_after=1e6),
        key(2): unavailable,
    }
    sink = OneByOne(limits=Limits(batch=10), faults=faults)
    report = await go(sink, 5)
    assert report.counts.unresolved == 2
    assert len(sink.asked) == 1


@attrs.define(kw_only=True)
class Moody(OneByOne):
    """Has its troubles with some products, one after the other."""

    troubles: dict[ProductKey, list[str]] = attrs.field(
        factory=dict[ProductKey, list[str]]
    )

    async def one(self, change: Change) -> Outcome | Again:
        kinds = self.troubles.get(change.key)
        match kinds.pop(0) if kinds else "":
            case "again":
                return change.again(unavailable())
            case "500":
                return change.again(server_error())
            case "conflict":
                return change.again(ConflictError("changed"))
            case "refused":
                return change.failed("no", said="No")
            case "lost":
                await super().one(change)
                return change.again(unavailable())
            case "raise":
                raise unavailable()
            case _:
                return await super().one(change)


@settings(max_examples=150)
@given(
    st.dictionaries(
        st.integers(0, 29),
        st.lists(
            st.sampled_from(["again", "500", "conflict", "refused", "lost", "raise"]),
            min_size=1,
            max_size=5,
        ),
        max_size=6,
    ),
    st.integers(1, 12),
    st.integers(1, 4),
)
async def test_whatever_it_answers_every_product_is_right_or_reported(
    troubles: dict[int, list[str]], batch: int, writers: int
) -> None:
    left = {key(number): list(kinds) for number, kinds in troubles.items()}

    sink = Moody(limits=Limits(batch=batch, writers=writers), troubles=left)
    report = await go(sink, 30)
    missing = {p.key for p in catalog(30)} - set(sink.products)
    bad = {outcome.key for outcome in report.failures}
    assert missing <= bad
    # What is raised speaks of all products of the call.
    raised = any("raise" in kinds for kinds in troubles.values())
    assert raised or bad <= set(map(key, troubles))
    left.clear()
    assert (await go(sink, 30)).status is RunStatus.SUCCEEDED
    assert set(sink.products) == {p.key for p in catalog(30)}


async def test_an_error_of_the_whole_call_ends_the_run_as_before() -> None:
    sink = OneByOne(
        limits=Limits(batch=1), faults={key(3): lambda: UnauthorizedError("401")}
    )
    report = await go(sink, 6)
    assert report.status is RunStatus.FAILED
    assert report.counts.created == 3


async def pruned(faults: Faults, batch: int = 10) -> tuple[OneByOne, Report]:
    sink = OneByOne(limits=Limits(batch=batch))
    both = [*catalog(6), product("stays")]

    class Kept:
        name = "shop"

        async def read(self, cursor: object, /) -> Any:
            return await as_source(both, name="shop").read(None)

        async def get(self, keys: Sequence[ProductKey], /) -> Any:
            some = [p for p in both if p.key in keys]
            return await as_source(some, name="shop").read(None)

    await run(Kept(), sink)
    both[:] = both[-1:]
    sink.asked.clear()
    sink.faults = faults
    options = fast(prune=Prune.DELETE, max_prune=0.9)
    return sink, await run(Kept(), sink, options=options)


async def test_a_removal_that_is_desired_again_does_not_keep_its_neighbours() -> None:
    sink, report = await pruned({key(2): unavailable})
    assert report.counts.removed == 5
    assert sink.asked == [["0", "1", "2", "3", "4", "5"], *[["2"]] * 3]
    assert any("shop:2" in text and "HTTP 503" in text for text in report.warnings)


async def test_removals_of_a_sink_that_is_down() -> None:
    sink, report = await pruned(everything(unavailable), batch=2)
    assert report.counts.removed == 0
    assert report.status is RunStatus.INCOMPLETE
    assert "HTTP 503" in report.problem
    assert len(sink.asked) == 4


async def test_removals_that_pass_at_last() -> None:
    times = iter([unavailable] * 3)

    def fault() -> Exception:
        return next(times, lambda: RefusedError("in an order"))()

    _, report = await pruned({key(2): fault})
    assert report.counts.removed == 5
    assert any("in an order" in text for text in report.warnings)
