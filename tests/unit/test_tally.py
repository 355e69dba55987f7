from __future__ import annotations

from contextlib import suppress

import attrs

from catalogsync import Event, Outcome, OutcomeStatus, ProductKey, Rejected
from catalogsync.engine.tally import Tally

ONE, OTHER = ProductKey("shop", "1"), ProductKey("shop", "2")


def make(events: list[Event] | None = None) -> Tally:
    return Tally(run_id="r1", emit=(events if events is not None else []).append)


def test_only_the_first_end_of_a_product_counts() -> None:
    tally = make()
    tally.fetch(ONE)
    assert tally.is_open(ONE)
    tally.settle(Outcome(ONE, OutcomeStatus.UNCHANGED))
    tally.settle(Outcome(ONE, OutcomeStatus.FAILED, "late"))
    tally.settle(Outcome(OTHER, OutcomeStatus.CREATED))
    assert not tally.is_open(ONE)
    assert attrs.asdict(tally.counts)["unchanged"] == 1
    assert (tally.counts.failed, tally.counts.created) == (0, 0)
    assert not tally.failures


def test_a_product_that_is_found_done_counts_as_what_the_first_write_made() -> None:
    tally = make()
    tally.fetch(ONE)
    tally.attempt(ONE, OutcomeStatus.CREATED)
    tally.attempt(ONE, OutcomeStatus.UPDATED)
    tally.settle(Outcome(ONE, OutcomeStatus.UNCHANGED))
    assert tally.counts.created == 1


def test_an_attempt_does_not_turn_a_failure_into_a_success() -> None:
    tally = make()
    tally.fetch(ONE)
    tally.attempt(ONE, OutcomeStatus.CREATED)
    tally.settle(Outcome(ONE, OutcomeStatus.FAILED, "no"))
    assert (tally.counts.created, tally.counts.failed) == (0, 1)


def test_closing_leaves_nothing_open() -> None:
    tally = make()
    tally.fetch(ONE)
    tally.fetch(OTHER)
    tally.settle(Outcome(ONE, OutcomeStatus.CREATED))
    tally.close("the run ended early")
    assert (tally.counts.fetched, tally.counts.unsettled) == (2, 1)
    assert [o.reason for o in tally.failures] == ["the run ended early"]


def test_a_rejected_record_is_one_that_came_in_and_failed() -> None:
    events: list[Event] = []
    tally = make(events)
    tally.reject(Rejected(key=ONE, reason="no price", where="record 1"))
    tally.reject(Rejected(key=None, reason="no id", where="record 2"))
    assert (tally.counts.fetched, tally.counts.failed) == (2, 2)
    assert [str(each) for each in tally.rejected] == ["record 2: no id"]
    assert [type(event).__name__ for event in events] == ["ProductFailed"]


def test_a_problem_is_told_once() -> None:
    tally = make()
    for text in ("a", "b", "a"):
        tally.problem(text)
    assert tally.problems == ["a", "b"]


def test_time_is_counted_even_if_the_work_fails() -> None:
    tally = make()
    with suppress(ZeroDivisionError), tally.phase("read"):
        _ = 1 / 0
    with tally.phase("read"):
        pass
    assert tally.phases.keys() == {"read"}
