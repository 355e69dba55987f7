from __future__ import annotations

from contextlib import suppress

import attrs

from catalogsync import Outcome, OutcomeStatus, ProductKey, Rejected
from catalogsync.engine.recorder import Recorder
from catalogsync.events import Event

ONE, OTHER = ProductKey("shop", "1"), ProductKey("shop", "2")


def make(events: list[Event] | None = None) -> Recorder:
    return Recorder(run_id="r1", emit=(events if events is not None else []).append)


def test_only_the_first_outcome_of_a_product_counts() -> None:
    recorder = make()
    recorder.record_fetched(ONE)
    assert recorder.is_open(ONE)
    recorder.record(Outcome(ONE, OutcomeStatus.UNCHANGED))
    recorder.record(Outcome(ONE, OutcomeStatus.FAILED, "late"))
    recorder.record(Outcome(OTHER, OutcomeStatus.CREATED))
    assert not recorder.is_open(ONE)
    assert attrs.asdict(recorder.counts)["unchanged"] == 1
    assert (recorder.counts.failed, recorder.counts.created) == (0, 0)
    assert not recorder.failures


def test_a_product_that_is_found_written_counts_as_the_first_attempt() -> None:
    recorder = make()
    recorder.record_fetched(ONE)
    recorder.record_attempt(ONE, OutcomeStatus.CREATED)
    recorder.record_attempt(ONE, OutcomeStatus.UPDATED)
    recorder.record(Outcome(ONE, OutcomeStatus.UNCHANGED))
    assert recorder.counts.created == 1


def test_an_attempt_does_not_turn_a_failure_into_a_success() -> None:
    recorder = make()
    recorder.record_fetched(ONE)
    recorder.record_attempt(ONE, OutcomeStatus.CREATED)
    recorder.record(Outcome(ONE, OutcomeStatus.FAILED, "no"))
    assert (recorder.counts.created, recorder.counts.failed) == (0, 1)


def test_closing_leaves_nothing_open() -> None:
    recorder = make()
    recorder.record_fetched(ONE)
    recorder.record_fetched(OTHER)
    recorder.record(Outcome(ONE, OutcomeStatus.CREATED))
    recorder.close("the run ended early")
    assert (recorder.counts.fetched, recorder.counts.unresolved) == (2, 1)
    assert [o.reason for o in recorder.failures] == ["the run ended early"]


def test_a_rejected_record_is_fetched_and_failed() -> None:
    events: list[Event] = []
    recorder = make(events)
    recorder.record_rejected(Rejected(key=ONE, reason="no price", where="record 1"))
    recorder.record_rejected(Rejected(key=None, reason="no id", where="record 2"))
    assert (recorder.counts.fetched, recorder.counts.failed) == (2, 2)
    assert [str(each) for each in recorder.rejected] == ["record 2: no id"]
    assert [type(event).__name__ for event in events] == ["ProductFailed"]


def test_a_problem_is_added_once() -> None:
    recorder = make()
    for text in ("a", "b", "a"):
        recorder.add_problem(text)
    assert recorder.problems == ["a", "b"]


def test_time_is_counted_even_if_the_work_fails() -> None:
    recorder = make()
    with suppress(ZeroDivisionError), recorder.phase("read"):
        _ = 1 / 0
    with recorder.phase("read"):
        pass
    assert recorder.phases.keys() == {"read"}
