from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.integrations.conftest import Watched

from catalogsync import Report, RunStatus
from catalogsync.events import (
    BatchWritten,
    Event,
    Request,
    RequestSent,
    Retrying,
    RunFinished,
    RunStarted,
)
from catalogsync.integrations.opentelemetry import OpenTelemetryHook
from catalogsync.report import Counts

STARTED = RunStarted(run_id="r1", job="cups", source="a", sink="b")
SECOND = 1_000_000_000


@attrs.frozen
class Host:
    """A program that has set OpenTelemetry up."""

    tracers: TracerProvider
    meters: MeterProvider
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def hook(self) -> OpenTelemetryHook:
        return OpenTelemetryHook(
            tracer_provider=self.tracers, meter_provider=self.meters
        )

    def spans(self, name: str) -> list[ReadableSpan]:
        return [s for s in self.exporter.get_finished_spans() if s.name == name]

    def metrics(self) -> dict[tuple[str, ...], float]:
        """By name and values of attributes, without the job; histograms: the sum."""
        data = self.reader.get_metrics_data()
        return {
            (metric.name, *_values(point.attributes)): (
                point.sum if isinstance(point, HistogramDataPoint) else point.value
            )
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        }


def _values(attributes: Mapping[str, Any] | None) -> list[str]:
    pairs = sorted((attributes or {}).items())
    return [str(value) for name, value in pairs if name != "catalogsync.job"]


@pytest.fixture
def host() -> Iterator[Host]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    yield Host(tracers, meters, exporter, reader)
    tracers.shutdown()
    meters.shutdown()


def finished(status: str, *, planned: bool = False) -> RunFinished:
    report = Report(
        run_id="r1",
        job="cups",
        status=RunStatus(status),
        counts=Counts(fetched=3, created=2, failed=1),
        started_at=1000.0,
        duration_s=2.5,
        planned=planned,
    )
    return RunFinished(run_id="r1", status=status, summary="well", report=report)


def feed(host: Host, *events: Event) -> None:
    hook = host.hook()
    for event in (STARTED, *events):
        hook(event)


async def test_a_real_run_is_one_trace(host: Host, watched: Watched) -> None:
    """Below the span in which it was started."""
    with host.tracers.get_tracer("host").start_as_current_span("host") as outer:
        report = await watched(host.hook())
    (run,) = host.spans("catalogsync.run")
    assert run.parent == outer.get_span_context()
    assert run.attributes is not None
    assert run.attributes["catalogsync.run_id"] == report.run_id
    assert run.attributes["catalogsync.products.created"] == 25
    assert [event.name for event in run.events] == ["Retrying"]
    inner = [s for s in host.exporter.get_finished_spans() if s.parent == run.context]
    names = [span.name for span in inner]
    assert names.count("catalogsync.page") == 3
    assert names.count("GET") == report.requests
    assert {*names} == {
        *("GET", "catalogsync.page", "catalogsync.compare", "catalogsync.batch")
    }
    compared = host.spans("catalogsync.compare")
    changes = sum(dict(s.attributes or {})["catalogsync.changes"] for s in compared)
    assert changes == 25
    for span in inner:
        assert run.start_time <= span.start_time <= span.end_time <= run.end_time
    statuses = {s.attributes["http.response.status_code"] for s in host.spans("GET")}
    assert statuses == {200, 503}


async def test_the_span_of_a_run_is_left_with_it(host: Host, watched: Watched) -> None:
    await watched(host.hook())
    assert not trace.get_current_span().get_span_context().is_valid


async def test_what_others_record_in_a_run_stands_below_it(
    host: Host, watched: Watched
) -> None:
    hook = host.hook()
    tracer = host.tracers.get_tracer("another instrumentation")

    def instrumented(event: Event, /) -> None:
        hook(event)
        if isinstance(event, RequestSent):
            tracer.start_span("theirs").end()

    await watched(instrumented)
    (run,) = host.spans("catalogsync.run")
    theirs = host.spans("theirs")
    assert theirs
    assert all(span.parent == run.context for span in theirs)


def test_a_step_has_the_time_that_it_took(host: Host) -> None:
    feed(
        host,
        BatchWritten(run_id="r1", products=7, seconds=3),
        finished("succeeded"),
    )
    (batch,) = host.spans("catalogsync.batch")
    assert batch.end_time - batch.start_time == pytest.approx(3 * SECOND, abs=SECOND)
    assert dict(batch.attributes or {}) == {"catalogsync.products": 7}


@pytest.mark.parametrize(
    ("end", "is_error"),
    [
        (finished("succeeded"), False),
        (finished("degraded"), False),
        (finished("skipped"), False),
        (finished("incomplete"), True),
        (RunFinished(run_id="r1", status="failed", summary="well"), True),
        (finished("cancelled"), False),
        (RunFinished(run_id="r1", status="cancelled", summary="well"), False),
    ],
    ids=lambda value: getattr(value, "status", ""),
)
def test_the_span_of_a_run_says_how_it_ended(
    host: Host, end: RunFinished, is_error: bool
) -> None:
    feed(host, end)
    (run,) = host.spans("catalogsync.run")
    assert (run.attributes or {})["catalogsync.status"] == end.status
    assert (run.status.status_code is trace.StatusCode.ERROR) is is_error
    assert run.status.description == ("well" if is_error else None)


@pytest.mark.parametrize(
    ("status", "is_error"), [(200, False), (304, False), (404, True), (None, True)]
)
def test_a_request_that_failed_is_an_error(
    host: Host, status: int | None, is_error: bool
) -> None:
    request = Request(
        method="POST", host="shop", path="/x", status=status, seconds=1, sent=9
    )
    feed(host, RequestSent(run_id="r1", request=request), finished("succeeded"))
    (span,) = host.spans("POST")
    assert span.kind is trace.SpanKind.CLIENT
    assert (span.status.status_code is trace.StatusCode.ERROR) is is_error
    recorded = dict(span.attributes or {})
    assert recorded.pop("http.response.status_code", None) == status
    assert recorded == {
        "http.request.method": "POST",
        "server.address": "shop",
        "url.path": "/x",
        "http.request.body.size": 9,
        "http.response.body.size": 0,
    }


def test_metrics(host: Host) -> None:
    feed(
        host,
        BatchWritten(run_id="r1", products=3, seconds=0.5),
        Retrying(run_id="r1", what="write a batch", attempt=2, reason="timeout"),
        finished("degraded"),
    )
    found = host.metrics()
    assert found.pop(("catalogsync.run.duration", "degraded")) >= 0
    assert {name: value for name, value in found.items() if value} == {
        ("catalogsync.runs", "degraded"): 1,
        ("catalogsync.products", "created"): 2,
        ("catalogsync.products", "failed"): 1,
        ("catalogsync.retries",): 1,
        ("catalogsync.batch.duration",): 0.5,
    }


def test_a_plan_is_not_a_run(host: Host) -> None:
    feed(host, finished("succeeded", planned=True))
    assert host.spans("catalogsync.run")
    assert host.metrics() == {("catalogsync.runs.active",): 0}


def test_without_an_sdk_it_does_nothing() -> None:
    """The API alone is enough."""
    hook = OpenTelemetryHook()
    for event in (STARTED, finished("succeeded")):
        hook(event)
