"""Metrics for Prometheus; requires the extra `prometheus`."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, TypedDict

import attrs

from catalogsync.errors import MissingExtraError
from catalogsync.events import (
    BatchWritten,
    Compared,
    Event,
    PageRead,
    RequestSent,
    Retrying,
    RunFinished,
    RunStarted,
)
from catalogsync.report import Counts, Report, RunStatus

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["PrometheusHook"]

_JOB = ("job_name",)  # `job` is a label of Prometheus itself
_STEPS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RUNS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
_OUTCOMES = tuple(f.name for f in attrs.fields(Counts) if f.name != "fetched")


class _Shared(TypedDict):
    namespace: str
    registry: CollectorRegistry


@attrs.frozen
class _Begun:
    """A run in progress."""

    job: str
    at: float


class PrometheusHook:
    """Records metrics of runs; one hook serves any number of jobs.

    ```python
    hook = PrometheusHook()
    await sync(source, sink, job="products", hooks=[hook])
    answer = Response(body=hook.text(), headers={"Content-Type": hook.content_type})
    ```

    Plans do not count.

    Attributes:
        registry: The registry with the metrics.
        content_type: Content type of `text`.

    Args:
        registry: Registry for the metrics; None: a new one.

    Raises:
        MissingExtraError: The extra `prometheus` is not installed.
    """

    registry: CollectorRegistry
    content_type: str

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            import prometheus_client as prom
        except ImportError as error:
            raise MissingExtraError("metrics", "prometheus") from error
        self.registry = registry or prom.CollectorRegistry()
        self.content_type = prom.CONTENT_TYPE_LATEST
        self._render = prom.generate_latest
        self._begun: dict[str, _Begun] = {}

        shared: _Shared = {"namespace": "catalogsync", "registry": self.registry}
        counter = partial(prom.Counter, **shared)
        gauge = partial(prom.Gauge, **shared, labelnames=_JOB)
        steps = partial(prom.Histogram, **shared, labelnames=_JOB, buckets=_STEPS)

        self._runs = counter("runs", "Finished runs by status.", (*_JOB, "status"))
        self._products = counter("products", "Products by outcome.", (*_JOB, "outcome"))
        self._retries = counter("retries", "Retries of pages and batches.", _JOB)
        self._requests = counter(
            "requests", "HTTP requests.", (*_JOB, "host", "method", "status")
        )
        self._sent = counter("sent_bytes", "Bytes of request bodies.", _JOB)
        self._received = counter("received_bytes", "Bytes of response bodies.", _JOB)
        self._running = gauge("runs_in_progress", "Runs in progress.")
        self._last_success = gauge(
            "last_success_timestamp_seconds",
            "End of the last complete run over all products, as a Unix time.",
        )
        self._run = prom.Histogram(
            "run_duration_seconds", "Duration of a run.", _JOB, buckets=_RUNS, **shared
        )
        self._request = steps(
            "request_duration_seconds", "Duration of an HTTP request."
        )
        self._steps = {
            PageRead: steps("page_duration_seconds", "Duration of reading a page."),
            Compared: steps(
                "compare_duration_seconds",
                "Duration of comparing products with the sink.",
            ),
            BatchWritten: steps(
                "batch_duration_seconds", "Duration of writing a batch."
            ),
        }

    def text(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return self._render(self.registry)

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
                self._steps[type(event)].labels(begun.job).observe(event.seconds)
            case Retrying():
                self._retries.labels(begun.job).inc()
            case RequestSent():
                self._count_request(begun.job, event)
            case RunFinished():
                self._finish(begun, event)
            case _:
                pass

    def _start(self, event: RunStarted) -> None:
        job = event.job
        self._begun[event.run_id] = _Begun(job, time.perf_counter())
        self._running.labels(job).inc()
        # Prometheus sees no increase in a series that starts above zero.
        for status in RunStatus:
            self._runs.labels(job, status.value)
        for outcome in _OUTCOMES:
            self._products.labels(job, outcome)
        self._retries.labels(job)

    def _count_request(self, job: str, event: RequestSent) -> None:
        request = event.request
        status = str(request.status or "none")
        self._requests.labels(job, request.host, request.method, status).inc()
        self._request.labels(job).observe(request.seconds)
        self._sent.labels(job).inc(request.sent)
        self._received.labels(job).inc(request.received)

    def _finish(self, begun: _Begun, event: RunFinished) -> None:
        job = begun.job
        del self._begun[event.run_id]
        self._running.labels(job).dec()
        report = event.report
        if report is not None and report.planned:
            return
        self._runs.labels(job, event.status).inc()
        self._run.labels(job).observe(time.perf_counter() - begun.at)
        if report is not None:
            self._count_products(job, report)

    def _count_products(self, job: str, report: Report) -> None:
        for outcome in _OUTCOMES:
            self._products.labels(job, outcome).inc(getattr(report.counts, outcome))
        good = report.status.is_complete or report.is_up_to_date
        if good and not report.partial:
            self._last_success.labels(job).set(report.started_at + report.duration_s)
