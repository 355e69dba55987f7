"""Traces and metrics for OpenTelemetry; needs the extra `otel`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import Token
from typing import TYPE_CHECKING

import attrs

from catalogsync._lib.texts import encodable
from catalogsync._lib.versions import installed_version
from catalogsync.errors import MissingExtraError
from catalogsync.events import (
    BatchWritten,
    Compared,
    Event,
    PageRead,
    PassRepeated,
    Request,
    RequestSent,
    Retrying,
    RunFinished,
    RunStarted,
    RunStopping,
)
from catalogsync.report import Report, RunStatus

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["OpenTelemetryHook"]

_SECOND = 1_000_000_000
_BAD = frozenset({RunStatus.INCOMPLETE, RunStatus.FAILED})
_Attributes = Mapping[str, str | int | float]


@attrs.frozen
class _Begun:
    """A run in progress."""

    job: str
    span: Span
    token: Token[Context]
    at: float

    @property
    def labels(self) -> dict[str, str]:
        """The labels of every metric of the run."""
        return {"catalogsync.job": self.job}


class OpenTelemetryHook:
    """Records spans and metrics of runs.

    Each run has a span, with child spans for pages, comparisons, batches and requests.
    Its parent is the span in which the run was started. It is the current span during
    the run, so that spans of other instrumentations become its children. Retries, a
    second pass and a stop are events of the span.

    The hook uses only OpenTelemetry's API; the host configures where the data goes.
    One hook serves any number of jobs. Plans have spans, but do not count in metrics.

    Args:
        tracer_provider: Provider of the tracer; None: the global one.
        meter_provider: Provider of the meter; None: the global one.

    Raises:
        MissingExtraError: The extra `otel` is not installed.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        try:
            from opentelemetry import context, metrics, trace
        except ImportError as error:
            raise MissingExtraError("traces", "otel") from error
        self._context, self._trace = context, trace
        version = installed_version("catalogsync")
        self._tracer = trace.get_tracer("catalogsync", version, tracer_provider)
        meter = metrics.get_meter("catalogsync", version, meter_provider)
        self._begun: dict[str, _Begun] = {}
        self._running = meter.create_up_down_counter("catalogsync.runs.active")
        self._runs = meter.create_counter("catalogsync.runs")
        self._products = meter.create_counter("catalogsync.products")
        self._retries = meter.create_counter("catalogsync.retries")
        self._seconds = {
            kind: meter.create_histogram(f"catalogsync.{kind}.duration", "s")
            for kind in ("run", "page", "compare", "batch", "request")
        }

    def __call__(self, event: Event, /) -> None:
        """Record an event."""
        if isinstance(event, RunStarted):
            self._start(event)
            return
        begun = self._begun.get(event.run_id)
        if begun is None:
            return
        match event:
            case PageRead() | Compared() | BatchWritten():
                self._step(begun, event)
            case RequestSent():
                self._request(begun, event.request)
            case Retrying() | PassRepeated() | RunStopping():
                self._note(begun, event)
            case RunFinished():
                self._finish(begun, event)
            case _:
                pass

    def _start(self, event: RunStarted) -> None:
        attributes = {
            "catalogsync.run_id": event.run_id,
            "catalogsync.job": event.job,
            "catalogsync.source": event.source,
            "catalogsync.sink": event.sink,
        }
        span = self._tracer.start_span("catalogsync.run", attributes=attributes)
        token = self._context.attach(self._trace.set_span_in_context(span))
        begun = _Begun(event.job, span, token, time.perf_counter())
        self._begun[event.run_id] = begun
        self._running.add(1, begun.labels)

    def _step(self, begun: _Begun, event: PageRead | Compared | BatchWritten) -> None:
        kind, attributes = "batch", {"catalogsync.products": event.products}
        if isinstance(event, PageRead):
            kind, attributes["catalogsync.rejected"] = "page", event.rejected
        elif isinstance(event, Compared):
            kind, attributes["catalogsync.changes"] = "compare", event.changes
        self._span(begun, f"catalogsync.{kind}", event.seconds, attributes).end()
        self._seconds[kind].record(event.seconds, begun.labels)

    def _request(self, begun: _Begun, request: Request) -> None:
        attributes: dict[str, str | int | float] = {
            "http.request.method": request.method,
            "server.address": request.host,
        }
        if request.status is not None:
            attributes["http.response.status_code"] = request.status
        self._seconds["request"].record(request.seconds, {**begun.labels, **attributes})
        attributes |= {
            "url.path": request.path,
            "http.request.body.size": request.sent,
            "http.response.body.size": request.received,
        }
        span = self._span(
            begun, request.method, request.seconds, attributes, client=True
        )
        if request.status is None or request.status >= 400:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def _span(
        self,
        begun: _Begun,
        name: str,
        seconds: float,
        attributes: _Attributes,
        *,
        client: bool = False,
    ) -> Span:
        """A span for something that has just ended."""
        kind = self._trace.SpanKind
        return self._tracer.start_span(
            name,
            context=self._trace.set_span_in_context(begun.span),
            kind=kind.CLIENT if client else kind.INTERNAL,
            start_time=time.time_ns() - round(seconds * _SECOND),
            attributes=attributes,
        )

    def _note(
        self, begun: _Begun, event: Retrying | PassRepeated | RunStopping
    ) -> None:
        attributes: dict[str, str | int] = {"reason": encodable(event.reason)}
        if isinstance(event, Retrying):
            attributes |= {"what": encodable(event.what), "attempt": event.attempt}
            self._retries.add(1, begun.labels)
        begun.span.add_event(type(event).__name__, attributes)

    def _finish(self, begun: _Begun, event: RunFinished) -> None:
        del self._begun[event.run_id]
        begun.span.set_attribute("catalogsync.status", event.status)
        if event.status in _BAD:
            begun.span.set_status(
                self._trace.StatusCode.ERROR, encodable(event.summary)
            )
        self._running.add(-1, begun.labels)
        report = event.report
        if report is not None:
            self._record_report(begun, report)
        if report is None or not report.planned:
            labels = {**begun.labels, "catalogsync.status": event.status}
            self._runs.add(1, labels)
            self._seconds["run"].record(time.perf_counter() - begun.at, labels)
        begun.span.end()
        self._context.detach(begun.token)

    def _record_report(self, begun: _Begun, report: Report) -> None:
        for outcome, number in attrs.asdict(report.counts).items():
            begun.span.set_attribute(f"catalogsync.products.{outcome}", number)
            if outcome != "fetched" and not report.planned:
                labels = {**begun.labels, "catalogsync.outcome": outcome}
                self._products.add(number, labels)
