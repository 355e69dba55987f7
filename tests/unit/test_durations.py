from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from catalogsync.engine.recorder import Durations, Recorder
from catalogsync.events import Event, Request, RequestSent
from catalogsync.report import BatchSizes

SECONDS = st.floats(min_value=1e-6, max_value=1e5)


def filled(values: list[float]) -> Durations:
    durations = Durations()
    for value in values:
        durations.add(value)
    return durations


@given(
    st.lists(SECONDS, min_size=1, max_size=300),
    st.integers(min_value=1, max_value=100),
)
def test_percentiles_are_right_to_2_5_percent(
    values: list[float], percent: int
) -> None:
    """Held against the value of that rank in all that were seen."""
    exact = sorted(values)[math.ceil(len(values) * percent / 100) - 1]
    assert filled(values).percentile(percent) == pytest.approx(exact, rel=0.025)


@given(st.lists(SECONDS, min_size=1, max_size=300))
def test_the_sum_and_the_order_are_kept(values: list[float]) -> None:
    durations = filled(values)
    latency = durations.latency()
    assert durations.total == pytest.approx(sum(values))
    assert latency.count == len(values)
    assert latency.p50 <= latency.p95 <= latency.p99 <= max(values)


def test_memory_does_not_grow_with_the_number() -> None:
    """Over eleven orders of magnitude."""
    durations = filled([1.001**n * 1e-6 for n in range(25_400)])
    assert durations.count == 25_400
    assert len(durations._steps) < 530


def test_no_time_and_no_call_at_all() -> None:
    assert filled([0.0, 0.0]).latency().p99 == 0
    assert Durations().latency().p50 == 0


def make(events: list[Event] | None = None) -> Recorder:
    return Recorder(run_id="r1", emit=(events if events is not None else []).append)


def test_calls_of_adapters_have_a_latency_and_planning_has_none() -> None:
    recorder = make()
    for name in ("write", "read", "plan", "read"):
        with recorder.phase(name):
            pass
    assert list(recorder.latency) == ["read", "write"]
    assert recorder.latency["read"].count == 2
    assert recorder.phases.keys() == {"read", "write", "plan"}


def test_sizes_of_batches() -> None:
    recorder = make()
    assert recorder.batch_sizes == BatchSizes()
    for size in (10, 10, 3):
        recorder.add_batch(size)
    assert recorder.writes == 3
    assert recorder.batch_sizes == BatchSizes(least=3, mean=7.667, most=10)


def test_requests_are_reported_and_their_bytes_counted() -> None:
    events: list[Event] = []
    recorder = make(events)
    request = Request(
        method="GET",
        host="h",
        path="/",
        status=200,
        seconds=1.0,
        sent=3,
        received=7,
    )
    recorder.add_request(request)
    recorder.add_request(request)
    assert events == [RequestSent(run_id="r1", request=request)] * 2
    assert (recorder.bytes_sent, recorder.bytes_received) == (6, 14)
