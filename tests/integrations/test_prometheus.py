from __future__ import annotations

import re

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families
from tests.integrations.conftest import Watched
from tests.integrations.happenings import HAPPENINGS, STARTED, finished

from catalogsync import RunStatus
from catalogsync.events import (
    Event,
    Request,
    RequestSent,
    Retrying,
    RunFinished,
    RunStarted,
)
from catalogsync.integrations.prometheus import PrometheusHook


def samples(hook: PrometheusHook) -> dict[tuple[str, ...], float]:
    """What a scrape reads: name and label values, without the job."""
    families = text_string_to_metric_families(hook.text().decode())
    return {
        (
            sample.name,
            *(v for k, v in sorted(sample.labels.items()) if k != "job_name"),
        ): (sample.value)
        for family in families
        for sample in family.samples
    }


def fed(*events: Event) -> dict[tuple[str, ...], float]:
    """What a hook exports after these."""
    hook = PrometheusHook()
    for event in events:
        hook(event)
    return samples(hook)


def test_a_run_is_counted_when_it_ends() -> None:
    found = fed(STARTED, finished(RunStatus.DEGRADED))
    assert found["catalogsync_runs_total", "degraded"] == 1
    assert found["catalogsync_runs_in_progress",] == 0
    assert found["catalogsync_last_success_timestamp_seconds",] == 1002.5
    assert found["catalogsync_run_duration_seconds_count",] == 1
    products = {k[1]: v for k, v in found.items() if k[0].endswith("products_total")}
    assert products == {
        "created": 5,
        "updated": 2,
        "failed": 2,
        "removed": 1,
        "unchanged": 0,
        "skipped": 0,
        "unresolved": 0,
    }


def test_a_current_run_is_reported() -> None:
    found = fed(STARTED)
    assert found["catalogsync_runs_in_progress",] == 1
    assert ("catalogsync_run_duration_seconds_count",) not in found


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (finished(RunStatus.INCOMPLETE), "incomplete"),
        (finished(RunStatus.FAILED), "failed"),
        (finished(RunStatus.SKIPPED), "skipped"),
        (finished(RunStatus.CANCELLED), "cancelled"),
        (RunFinished(run_id="r1", status="cancelled", summary=""), "cancelled"),
    ],
)
def test_only_a_run_that_settled_all_is_a_success(
    end: RunFinished, status: str
) -> None:
    found = fed(STARTED, end)
    assert found["catalogsync_runs_total", status] == 1
    assert ("catalogsync_last_success_timestamp_seconds",) not in found


def test_a_run_of_some_products_does_not_say_that_all_is_in_step() -> None:
    found = fed(STARTED, finished(RunStatus.SUCCEEDED, partial=True))
    assert found["catalogsync_runs_total", "succeeded"] == 1
    assert ("catalogsync_last_success_timestamp_seconds",) not in found


def test_a_plan_is_not_a_run() -> None:
    found = fed(STARTED, finished(RunStatus.SUCCEEDED, planned=True))
    assert not any(v for k, v in found.items() if not k[0].endswith("_created"))


def test_series_begin_at_zero() -> None:
    """So that the first increase is seen."""
    begun, ended = fed(STARTED), fed(STARTED, finished(RunStatus.DEGRADED))
    new = {name for name, *_ in ended.keys() - begun.keys()}
    assert begun["catalogsync_products_total", "created"] == 0
    assert all(re.match(r"catalogsync_(run_duration|last_success)_", n) for n in new)


def test_what_happens_in_a_run_is_measured() -> None:
    found = fed(STARTED, *HAPPENINGS)
    assert found["catalogsync_page_duration_seconds_sum",] == 0.3
    assert found["catalogsync_compare_duration_seconds_sum",] == 0.7
    assert found["catalogsync_batch_duration_seconds_bucket", "10.0"] == 0
    assert found["catalogsync_batch_duration_seconds_bucket", "30.0"] == 1
    assert found["catalogsync_retries_total",] == 1
    assert found["catalogsync_requests_total", "shop", "GET", "200"] == 1
    assert found["catalogsync_request_duration_seconds_sum",] == 0.2
    assert found["catalogsync_sent_bytes_total",] == 3
    assert found["catalogsync_received_bytes_total",] == 40


def test_a_request_without_an_answer_has_no_status() -> None:
    lost = Request(method="PUT", host="shop", path="/x", status=None, seconds=1)
    found = fed(STARTED, RequestSent(run_id="r1", request=lost))
    assert found["catalogsync_requests_total", "shop", "PUT", "none"] == 1


def test_two_jobs_at_once_are_distinguished() -> None:
    hook = PrometheusHook()
    for job in ("cups", "mugs"):
        hook(RunStarted(run_id=job, job=job, source="a", sink="b"))
    hook(Retrying(run_id="mugs", what="x", attempt=2, reason="y"))
    value = hook.registry.get_sample_value
    assert value("catalogsync_retries_total", {"job_name": "mugs"}) == 1
    assert value("catalogsync_retries_total", {"job_name": "cups"}) == 0
    assert value("catalogsync_runs_in_progress", {"job_name": "cups"}) == 1


def test_every_hook_has_a_registry_of_its_own() -> None:
    first, second = PrometheusHook(), PrometheusHook()
    first(STARTED)
    assert ("catalogsync_runs_in_progress",) in samples(first)
    assert ("catalogsync_runs_in_progress",) not in samples(second)
    assert "text/plain" in first.content_type


async def test_a_real_run(watched: Watched) -> None:
    """What is exported agrees with the report."""
    hook = PrometheusHook()
    report = await watched(hook)
    found = samples(hook)
    assert found["catalogsync_runs_total", "succeeded"] == 1
    assert found["catalogsync_products_total", "created"] == 25
    assert found["catalogsync_retries_total",] == report.retries == 1
    host = "127.0.0.1"
    answered = found["catalogsync_requests_total", host, "GET", "200"]
    failed = found["catalogsync_requests_total", host, "GET", "503"]
    assert (failed, answered + failed) == (1, report.requests)
    assert found["catalogsync_received_bytes_total",] == report.bytes_received > 0
