"""Writing: lost answers, refusals, errors without a reason, a sink that is down."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import attrs
import pytest

from catalogsync import (
    Action,
    BatchRefusedError,
    Change,
    Conflict,
    ConflictError,
    Limits,
    MisconfiguredError,
    Outcome,
    OutcomeStatus,
    Product,
    RefusedError,
    RetryPolicy,
    RunStatus,
    TransientError,
    UnauthorizedError,
    Variant,
    as_source,
)

from .fakes import (
    FaultySink,
    Seen,
    answers,
    catalog,
    fails,
    fast,
    hangs,
    key,
    loses,
    poison,
    priced,
    product,
    run,
    server_error,
    until,
    works,
)


def refused(*culprits: object) -> BatchRefusedError:
    return BatchRefusedError(
        "the batch is not acceptable",
        said="Bad Request",
        culprits={key(number): f"{number} is bad" for number in culprits},
    )


async def test_a_lost_answer_is_still_created() -> None:
    sink = FaultySink()
    sink.steps.append(loses(TransientError("timeout")))
    report = await run(as_source(catalog(3)), sink)
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 3
    assert (report.writes, report.retries) == (1, 1)
    assert sink.holds(*catalog(3))


async def test_a_lost_answer_is_still_updated() -> None:
    sink = FaultySink()
    await run(as_source(catalog(3)), sink)
    changed = [attrs.evolve(product, title="New") for product in catalog(3)]
    sink.steps.append(loses(TransientError("timeout")))
    report = await run(as_source(changed), sink)
    assert report.counts.updated == 3
    assert sink.holds(*changed)


async def test_half_of_a_batch_was_done_before_the_answer_was_lost() -> None:
    sink = FaultySink()
    sink.steps.append(loses(TransientError("reset"), done=2))
    report = await run(as_source(catalog(5)), sink)
    assert report.counts.created == 5
    assert sink.writes[1] == [key(2), key(3), key(4)]
    assert sink.holds(*catalog(5))


async def test_an_incomplete_product_that_is_repaired_was_created() -> None:
    """A first write made the product without its variants."""
    sink = FaultySink()

    async def half(sink: FaultySink, changes: Sequence[Change]) -> Sequence[Outcome]:
        bare = [
            attrs.evolve(c, product=product(c.key.id, title=c.product.title))
            for c in changes
        ]
        sink.work(bare)
        raise TransientError("reset")

    sink.steps.append(half)
    report = await run(as_source([priced(1)]), sink)
    assert report.counts.created == 1
    assert [change.action for change in sink.changes] == [Action.CREATE, Action.UPDATE]
    assert sink.holds(priced(1))


async def test_incomplete_products_beside_some_that_were_not_created() -> None:
    """What is missing now is creates and updates, which never go together."""
    sink = FaultySink()

    async def half(sink: FaultySink, changes: Sequence[Change]) -> Sequence[Outcome]:
        first = changes[0]
        sink.work([attrs.evolve(first, product=product(first.key.id))])
        raise TransientError("reset")

    sink.steps.append(half)
    report = await run(as_source([priced(n) for n in range(4)]), sink)
    assert report.counts.created == 4
    assert sink.holds(*(priced(n) for n in range(4)))


async def test_a_refusal_of_the_creates_does_not_lose_the_updates() -> None:
    """After a repeat a unit has both, and each may be refused by itself."""
    sink = FaultySink()

    async def half(sink: FaultySink, changes: Sequence[Change]) -> Sequence[Outcome]:
        last = changes[-1]
        sink.work([attrs.evolve(last, product=product(last.key.id))])
        raise TransientError("reset")

    def rule(changes: Sequence[Change]) -> None:
        if key(3) in sink.products and any(c.key == key(1) for c in changes):
            raise RefusedError("no")

    sink.steps.append(half)
    sink.rule = rule
    report = await run(as_source([priced(n) for n in range(4)]), sink)
    assert report.status is RunStatus.DEGRADED
    assert [o.key for o in report.failures] == [key(1)]
    assert sink.holds(priced(0), priced(2), priced(3))


async def test_an_error_before_the_work_is_repeated() -> None:
    sink = FaultySink()
    seen = Seen()
    sink.steps += [fails(TransientError("busy", retry_after=0))] * 3
    report = await run(as_source(catalog(2)), sink, hooks=[seen])
    assert report.counts.created == 2
    assert (report.writes, report.retries) == (4, 3)
    retries = [
        (event.what, event.attempt, event.reason)
        for event in seen.events
        if type(event).__name__ == "Retrying"
    ]
    assert retries == [("write a batch", n, "busy") for n in (2, 3, 4)]


async def test_a_conflict_is_found_and_planned_again() -> None:
    """Somebody else changed the product between find and write."""
    sink = FaultySink()
    await run(as_source([product(1, tags=["a"])]), sink)

    async def conflict(
        sink: FaultySink, changes: Sequence[Change]
    ) -> Sequence[Outcome]:
        existing = sink.products[key(1)]
        sink.products[key(1)] = attrs.evolve(existing, tags=["a", "theirs"])
        raise ConflictError("changed meanwhile")

    sink.steps.append(conflict)
    report = await run(as_source([product(1, tags=["b"])]), sink)
    assert report.counts.updated == 1
    assert sink.products[key(1)].tags == ("theirs", "b")
    assert len(sink.finds) == 3


async def test_a_stranger_that_came_meanwhile() -> None:
    sink = FaultySink()

    async def taken(sink: FaultySink, changes: Sequence[Change]) -> Sequence[Outcome]:
        sink.others[key(1)] = Conflict(reason="prod_9 has the handle product-1")
        raise ConflictError("handle exists")

    sink.steps.append(taken)
    report = await run(as_source(catalog(3)), sink)
    assert report.status is RunStatus.DEGRADED
    assert report.failures[0].key == key(1)
    assert report.failures[0].reason == "prod_9 has the handle product-1"
    assert report.counts.created == 2


async def test_products_with_a_conflict_are_left_alone() -> None:
    sink = FaultySink()
    sink.others[key(0)] = Conflict(reason="prod_9 has the SKU")
    sink.others[key(2)] = Conflict(reason="prod_1 and prod_2 have the key")
    report = await run(as_source(catalog(4)), sink)
    assert {(o.key, o.reason) for o in report.failures} == {
        (key(0), "prod_9 has the SKU"),
        (key(2), "prod_1 and prod_2 have the key"),
    }
    assert sink.holds(product(1), product(3))


async def test_named_culprits_are_set_aside_and_the_others_written() -> None:
    sink = FaultySink(rule=poison(key(1), key(3), error=lambda: refused(1, 3)))
    report = await run(as_source(catalog(5)), sink)
    assert report.status is RunStatus.DEGRADED
    assert report.counts.created == 3
    assert report.writes == 2
    assert {(o.key, o.status, o.reason, o.said) for o in report.failures} == {
        (key(1), OutcomeStatus.FAILED, "1 is bad", "Bad Request"),
        (key(3), OutcomeStatus.FAILED, "3 is bad", "Bad Request"),
    }
    assert sink.holds(product(0), product(2), product(4))


async def test_culprits_may_come_one_after_the_other() -> None:
    def rule(changes: Sequence[Change]) -> None:
        bad = [c.key.id for c in changes if c.key.id in {"1", "3", "4"}]
        if bad:
            raise refused(bad[0])

    sink = FaultySink(rule=rule)
    report = await run(as_source(catalog(6)), sink)
    assert (report.counts.created, report.counts.failed) == (3, 3)
    assert report.writes == 4


async def test_all_are_culprits() -> None:
    sink = FaultySink(rule=poison(key(0), key(1), error=lambda: refused(0, 1)))
    report = await run(as_source(catalog(2)), sink)
    assert report.counts.failed == 2
    assert report.writes == 1
    assert sink.holds()


async def test_a_culprit_is_not_sent_again_after_its_neighbours_had_bad_luck() -> None:
    sink = FaultySink()
    sink.steps += [fails(refused(1)), fails(TransientError("reset"))]
    report = await run(as_source(catalog(3)), sink)
    assert report.counts.failed == 1
    assert [keys for keys in sink.writes[1:] if key(1) in keys] == []
    assert sink.holds(product(0), product(2))


async def test_a_culprit_is_not_sent_again_when_its_neighbours_are_halved() -> None:
    sink = FaultySink()
    sink.steps += [fails(refused(1)), fails(RefusedError("no"))]
    report = await run(as_source(catalog(5)), sink)
    assert report.counts.failed == 1
    assert [keys for keys in sink.writes[1:] if key(1) in keys] == []
    assert sink.holds(product(0), product(2), product(3), product(4))


@pytest.mark.parametrize("size", [1, 2, 3, 8, 15, 64, 100])
@pytest.mark.parametrize("error", [RefusedError("no", said="Bad Request"), refused(-1)])
async def test_a_refusal_without_culprits_is_halved(
    size: int, error: RefusedError
) -> None:
    """One bad product costs at most twice the depth of the halving, and one."""
    for bad in {0, size // 2, size - 1}:
        sink = FaultySink(rule=poison(key(bad), error=lambda: error))
        report = await run(
            as_source(catalog(size)), sink, options=fast(batch_size=size)
        )
        assert report.counts.created == size - 1
        assert report.writes - 1 <= 2 * math.log2(size) + 1
        assert [(o.key, o.reason, o.said) for o in report.failures] == [
            (key(bad), str(error), error.said)
        ]
        assert report.retries == 0
        assert sink.holds(*(p for p in catalog(size) if p.key != key(bad)))


async def test_everything_is_refused() -> None:
    sink = FaultySink(rule=poison(*map(key, range(8)), error=refused))
    report = await run(as_source(catalog(8)), sink)
    assert report.status is RunStatus.DEGRADED
    assert report.counts.failed == 8


async def test_one_poison_product_among_unexplained_errors() -> None:
    sink = FaultySink(rule=poison(key(11), error=server_error))
    report = await run(as_source(catalog(15)), sink)
    assert report.status is RunStatus.DEGRADED
    assert [(o.key, o.reason) for o in report.failures] == [(key(11), "500")]
    assert report.counts.created == 14
    assert report.writes - 1 <= 2 * math.ceil(math.log2(15)) + 1 + 1
    assert sink.holds(*(p for p in catalog(15) if p.key != key(11)))


async def test_two_poison_products() -> None:
    sink = FaultySink(rule=poison(key(2), key(11), error=server_error))
    report = await run(as_source(catalog(15)), sink)
    assert {o.key for o in report.failures} == {key(2), key(11)}
    assert report.counts.failed == 2
    assert report.counts.created == 13


async def test_a_poison_product_in_each_of_many_batches() -> None:
    """The sink is not down as long as it takes something."""
    bad = [key(number) for number in range(0, 100, 10)]
    sink = FaultySink(rule=poison(*bad, error=server_error))
    report = await run(as_source(catalog(100)), sink, options=fast(batch_size=10))
    assert report.status is RunStatus.DEGRADED
    assert {o.key for o in report.failures} == set(bad)
    assert report.counts.created == 90


async def test_an_unexplained_error_that_passes_is_repeated_once() -> None:
    sink = FaultySink()
    sink.steps.append(fails(server_error()))
    report = await run(as_source(catalog(15)), sink)
    assert report.status is RunStatus.SUCCEEDED
    assert (report.writes, report.retries) == (2, 1)


async def test_an_unexplained_error_after_the_work_was_done() -> None:
    sink = FaultySink()
    sink.steps += [loses(server_error()), loses(server_error())]
    report = await run(as_source(catalog(15)), sink)
    assert report.counts.created == 15
    assert sink.holds(*catalog(15))


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_a_sink_that_is_down_makes_no_dead_letters(size: int) -> None:
    """Unexplained errors for everything: products are unresolved, not failed."""
    everything = poison(*map(key, range(60)), error=server_error)
    sink = FaultySink(rule=everything)
    report = await run(as_source(catalog(60)), sink, options=fast(batch_size=size))
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.failed == 0
    assert report.counts.unresolved == report.counts.fetched
    assert {key_ for keys in sink.writes for key_ in keys} <= {
        key(number) for number in range(max(10, 2 * size))
    }


async def test_a_batch_of_poison_only_does_not_stop_the_run() -> None:
    """One unit that was given up is not two in a row."""
    sink = FaultySink(rule=poison(key(0), key(1), error=server_error))
    report = await run(as_source(catalog(10)), sink, options=fast(batch_size=2))
    assert report.counts.created == 8
    assert {o.key for o in report.failures} == {key(0), key(1)}


async def test_a_suspect_is_not_blamed_for_a_sink_that_is_down() -> None:
    def rule(changes: Sequence[Change]) -> None:
        first = any(change.key == key(0) for change in changes)
        raise server_error() if first else _timeout()

    sink = FaultySink(rule=rule)
    report = await run(as_source(catalog(30)), sink, options=fast(batch_size=1))
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.failed == 0


async def test_a_suspect_is_not_blamed_when_the_run_breaks_off() -> None:
    sink = FaultySink()
    sink.steps += [fails(server_error())] * 2 + [fails(UnauthorizedError("401"))]
    report = await run(as_source(catalog(5)), sink, options=fast(batch_size=1))
    assert report.status is RunStatus.FAILED
    assert report.counts.failed == 0


async def test_a_poison_product_is_found_without_any_repeat_allowed() -> None:
    """Else it would keep its neighbours out of the sink in every run."""
    sink = FaultySink(rule=poison(key(2), error=server_error))
    options = fast(batch_size=5, retry=RetryPolicy(attempts=1))
    report = await run(as_source(catalog(10)), sink, options=options)
    assert report.counts.created == 9


async def test_one_product_alone_that_is_poison() -> None:
    sink = FaultySink(rule=poison(key(2), error=server_error))
    report = await run(as_source(catalog(4)), sink, options=fast(batch_size=1))
    assert report.status is RunStatus.DEGRADED
    assert [o.key for o in report.failures] == [key(2)]


async def test_without_tries_left_products_are_unresolved() -> None:
    sink = FaultySink()
    sink.steps += [fails(TransientError("timeout"))] * 4
    report = await run(as_source(catalog(20)), sink, options=fast(batch_size=10))
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 10
    assert {o.reason for o in report.failures} == {"timeout"}
    assert {o.status for o in report.failures} == {OutcomeStatus.UNRESOLVED}


async def test_after_two_in_a_row_the_run_stops() -> None:
    sink = FaultySink(rule=poison(*map(key, range(90)), error=_timeout))
    seen = Seen()
    report = await run(
        as_source(catalog(90)), sink, options=fast(batch_size=10), hooks=[seen]
    )
    assert report.status is RunStatus.INCOMPLETE
    assert "gave up" in report.problem
    assert report.counts.unresolved == report.counts.fetched
    assert report.writes == 8
    assert seen.names.count("RunStopping") == 1


async def test_a_sink_that_goes_down_while_a_batch_is_bisected_is_left_alone() -> None:
    def rule(changes: Sequence[Change]) -> None:
        raise RefusedError("no") if len(changes) > 2 else _timeout()

    sink = FaultySink(rule=rule)
    options = fast(batch_size=8, give_up_products=4)
    report = await run(as_source(catalog(8)), sink, options=options)
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.unresolved == 8
    assert [len(keys) for keys in sink.writes] == [8, 4, *[2] * 8]


async def test_a_success_in_between_keeps_the_run_going() -> None:
    bad = [*range(10), *range(20, 30), *range(40, 50)]
    sink = FaultySink(rule=poison(*map(key, bad), error=_timeout))
    report = await run(as_source(catalog(60)), sink, options=fast(batch_size=10))
    assert "gave up" not in report.problem
    assert report.counts.unresolved == 30
    assert report.counts.created == 30


async def test_a_sink_that_recovers() -> None:
    sink = FaultySink()
    sink.steps += [fails(TransientError("restarting"))] * 7
    report = await run(as_source(catalog(60)), sink, options=fast(batch_size=10))
    assert report.counts.unresolved == 10
    assert report.counts.created == 50


async def test_a_find_that_fails_once_is_repeated() -> None:
    sink = FaultySink()
    sink.find_faults.append(TransientError("busy"))
    report = await run(as_source(catalog(3)), sink)
    assert report.status is RunStatus.SUCCEEDED
    assert report.retries == 1


async def test_a_find_that_fails_within_a_repeat() -> None:
    sink = FaultySink()
    sink.steps.append(loses(TransientError("reset"), done=1))
    sink.find_faults += [None, TransientError("busy")]
    report = await run(as_source(catalog(3)), sink)
    assert report.counts.created == 3
    assert sink.holds(*catalog(3))


async def test_a_find_without_tries_left_leaves_its_products() -> None:
    sink = FaultySink(limits=Limits(find=10, finders=1))
    sink.find_faults += [None] + [TransientError("busy")] * 4
    report = await run(as_source(catalog(30)), sink, options=fast(batch_size=10))
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 20
    assert {o.reason for o in report.failures} == {"could not ask the sink: busy"}


async def test_a_sink_that_never_answers_a_find_is_left_alone() -> None:
    sink = FaultySink(limits=Limits(find=10, finders=1))
    sink.find_faults += [TransientError("busy")] * 1000
    report = await run(as_source(catalog(100)), sink)
    assert report.status is RunStatus.INCOMPLETE
    assert len(sink.finds) == 8
    assert not sink.writes


@pytest.mark.parametrize(
    "error",
    [
        UnauthorizedError("401"),
        MisconfiguredError("sales_channel", "is gone"),
        ZeroDivisionError("adapter"),
        KeyError(),
    ],
)
async def test_an_error_from_the_first_write_on_gives_a_report(
    error: Exception,
) -> None:
    sink = FaultySink()
    sink.steps += [works, fails(error)]
    report = await run(as_source(catalog(30)), sink, options=fast(batch_size=5))
    assert report.status is RunStatus.FAILED
    assert report.counts.created == 5
    assert report.counts.unresolved == report.counts.fetched - 5
    assert (str(error) or type(error).__name__) in report.problem
    assert len(sink.writes) == 2


@pytest.mark.parametrize("error", [UnauthorizedError("401"), ZeroDivisionError("x")])
async def test_an_error_before_the_first_write_is_raised(error: Exception) -> None:
    sink = FaultySink()
    sink.find_faults.append(error)
    with pytest.raises(type(error)) as caught:
        await run(as_source(catalog(3)), sink)
    assert caught.value is error


async def test_an_error_in_a_later_find_gives_a_report() -> None:
    sink = FaultySink(limits=Limits(find=10))
    sink.find_faults += [None, None, UnauthorizedError("401")]
    report = await run(as_source(catalog(30)), sink, options=fast(batch_size=10))
    assert report.status is RunStatus.FAILED
    assert report.counts.created >= 10


async def test_writers_in_flight_may_end_when_another_breaks_the_run() -> None:
    sink = FaultySink(limits=Limits(writers=2))
    gate = asyncio.Event()
    sink.steps += [hangs(gate), fails(UnauthorizedError("401"))]
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            run(
                as_source(catalog(40)),
                sink,
                options=fast(batch_size=10),
                hooks=[seen],
            )
        )
        await until(lambda: "RunStopping" in seen.names)
        gate.set()
    report = task.result()
    assert report.status is RunStatus.FAILED
    assert report.counts.created == 10


async def test_the_first_of_several_errors_is_reported() -> None:
    sink = FaultySink(limits=Limits(writers=2))
    gate = asyncio.Event()

    async def late(_: FaultySink, __: Sequence[Change]) -> Sequence[Outcome]:
        await gate.wait()
        raise ZeroDivisionError("second")

    sink.steps += [late, fails(UnauthorizedError("first"))]
    seen = Seen()
    options = fast(batch_size=10)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            run(as_source(catalog(20)), sink, options=options, hooks=[seen])
        )
        await until(lambda: "RunStopping" in seen.names)
        gate.set()
    assert task.result().status is RunStatus.FAILED
    assert task.result().problem == "broke off: first"


async def test_missing_outcomes_are_unresolved() -> None:
    sink = FaultySink()
    sink.steps.append(answers(lambda outcomes: outcomes[1:]))
    report = await run(as_source(catalog(3)), sink)
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.created == 2
    assert [(o.key, o.status) for o in report.failures] == [
        (key(0), OutcomeStatus.UNRESOLVED)
    ]


async def test_double_and_unordered_outcomes_count_once() -> None:
    sink = FaultySink()
    sink.steps.append(answers(lambda outcomes: [*outcomes[::-1], *outcomes]))
    report = await run(as_source(catalog(3)), sink)
    assert report.counts.created == 3


async def test_outcomes_for_products_that_were_not_asked_for_do_not_count() -> None:
    """Neither for unknown variants nor for those that other writes will create."""
    sink = FaultySink()
    wrong = [Outcome(key(n), OutcomeStatus.FAILED, "wrong") for n in (3, 99)]
    sink.steps.append(answers(lambda outcomes: [*wrong, *outcomes]))
    report = await run(as_source(catalog(6)), sink, options=fast(batch_size=2))
    assert report.status is RunStatus.FAILED
    assert "answered for shop:3, which was not asked for" in report.problem
    assert (report.counts.created, report.counts.failed) == (2, 0)


async def test_a_sink_may_fail_single_products() -> None:
    sink = FaultySink()
    bad = Outcome(key(1), OutcomeStatus.FAILED, "no price", "Price is required")
    sink.steps.append(answers(lambda outcomes: [outcomes[0], bad, outcomes[2]]))
    report = await run(as_source(catalog(3)), sink)
    assert report.status is RunStatus.DEGRADED
    assert report.failures == (bad,)


async def test_no_product_is_in_two_writes_at_once() -> None:
    sink = FaultySink(limits=Limits(writers=4, find=20))
    sink.steps += [
        loses(TransientError("reset")),
        fails(server_error()),
        loses(TransientError("reset"), done=1),
        works,
    ] * 4
    report = await run(as_source(catalog(200)), sink, options=fast(batch_size=5))
    assert report.status is RunStatus.SUCCEEDED
    assert sink.most_writes == 4
    assert sink.holds(*catalog(200))


async def test_writers_can_be_fewer_than_the_sink_allows() -> None:
    sink = FaultySink(limits=Limits(writers=8))
    options = fast(batch_size=2, writers=3)
    await run(as_source(catalog(60)), sink, options=options)
    assert sink.most_writes == 3


async def test_one_bad_product_does_not_hurt_its_neighbours_in_the_plan() -> None:
    """A value that the model takes must not end the run, whatever it is."""
    bad = product(1, attributes={"number": 10**300})
    sink = FaultySink()
    report = await run(as_source([product(0), bad, product(2)]), sink)
    assert report.counts.created + report.counts.failed == 3
    assert key(2) in sink.products


async def test_variants_that_conflict_with_those_of_others() -> None:
    small = Variant(id="ours", options={"Size": "S"})
    source = as_source([product(1, variants=[small]), product(2)])
    sink = FaultySink()
    await run(source, sink)
    theirs = attrs.evolve(small, id="theirs")
    existing = sink.products[key(1)]
    sink.products[key(1)] = attrs.evolve(existing, variants=[theirs])
    report = await run(source, sink)
    assert report.counts.unchanged == 2
    (warning,) = report.warnings
    assert warning.startswith("shop:1: variant ours is not created: variant theirs,")


def _timeout() -> TransientError:
    return TransientError("timeout")


@attrs.define(kw_only=True)
class NormalizingSink(FaultySink):
    """Holds titles of ten characters and nothing called forbidden."""

    def shape(self, product: Product, /) -> Product:
        if "forbidden" in product.title:
            raise RefusedError("nothing is called so here", said="no")
        return attrs.evolve(product, title=product.title[:10])


async def test_shape_ends_perpetual_differences() -> None:
    sink = NormalizingSink()
    source = as_source([product(1, title="A very long title")])
    assert (await run(source, sink)).counts.created == 1
    assert sink.products[key(1)].title == "A very lon"
    assert (await run(source, sink)).counts.unchanged == 1


async def test_a_product_without_a_right_shape_is_refused_alone() -> None:
    sink = NormalizingSink()
    report = await run(as_source([product(1, title="forbidden"), product(2)]), sink)
    assert [(o.key, o.reason, o.said) for o in report.failures] == [
        (key(1), "nothing is called so here", "no")
    ]
    assert report.counts.created == 1


async def test_where_nothing_has_a_right_shape_nothing_is_asked_for() -> None:
    sink = NormalizingSink()
    report = await run(as_source([product(1, title="forbidden")]), sink)
    assert report.counts.failed == 1
    assert not sink.finds


@attrs.define(kw_only=True)
class SizedSink(FaultySink):
    """Weighs a product by the number in its key."""

    def weigh(self, change: Change, /) -> int:
        return int(change.key.id)


async def test_batches_keep_under_the_weight() -> None:
    sink = SizedSink(limits=Limits(weight=10))
    await run(as_source(catalog(12)), sink, options=fast(batch_size=4))
    sizes = [[int(key_.id) for key_ in keys] for keys in sink.writes]
    assert sizes == [[0, 1, 2, 3], [4, 5], [6], [7], [8], [9], [10], [11]]


async def test_a_weight_limit_without_scales_does_not_count() -> None:
    sink = FaultySink(limits=Limits(weight=1, batch=10))
    await run(as_source(catalog(20)), sink)
    assert [len(keys) for keys in sink.writes] == [10, 10]


async def test_scales_without_a_weight_limit_are_not_used() -> None:
    sink = SizedSink()
    await run(as_source(catalog(12)), sink)
    assert len(sink.writes) == 1


async def test_a_small_catalog_and_a_sink_that_is_down() -> None:
    """Also where there is but one group to ask for, the report says why."""
    sink = FaultySink()
    sink.find_faults.extend([TransientError("connection refused")] * 100)
    report = await run(as_source(catalog(3)), sink, options=fast())
    assert report.status is RunStatus.INCOMPLETE
    assert report.counts.unresolved == 3
    assert report.problem == "could not ask the sink: connection refused"
