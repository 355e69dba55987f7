"""The handlers of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from heapq import nsmallest
from typing import Any

from aiohttp import web

from catalogsync._lib.texts import natural
from catalogsync.catalog.products import ProductKey
from catalogsync.config import Job, Role
from catalogsync.state.protocols import (
    FailedProduct,
    RunRecord,
    StateError,
    each_failure,
)

from . import _answers as api
from ._context import Call
from ._endpoints import Endpoint
from ._errors import RefusalError
from ._held import approve, reject
from ._openapi import describe
from ._parsing import product_keys, read_key
from ._shapes import Tree


async def _health(call: Call, _: None) -> object:
    """Whether the process is alive."""
    return {"status": "ok"}


async def _ready(call: Call, _: None) -> object:
    """Whether the service accepts work and the state store responds."""
    if call.service.stopping:
        error = "the service is stopping"
        return call.answer({"status": "stopping", "error": error}, status=503)
    try:
        await call.service.state.runs(limit=1)
    except StateError as error:
        problem = {"status": "state store down", "error": str(error)}
        return call.answer(problem, status=503)
    return {"status": "ready"}


async def _metrics(call: Call, _: None) -> object:
    """Metrics for Prometheus."""
    metrics = call.site.metrics
    if metrics is None:
        raise RefusalError(404, "metrics are not enabled")
    headers = {"Content-Type": metrics.content_type}
    return web.Response(body=metrics.text(), headers=headers)


async def _openapi(call: Call, _: None) -> object:
    """This description."""
    prefix = call.request.path.removesuffix("/api/openapi.json")
    return describe(ENDPOINTS, prefix, jobs=list(call.service.jobs))


async def _jobs(call: Call, _: object) -> object:
    """All jobs."""
    return {"jobs": [await job_parts(call, j) for j in call.service.jobs.values()]}


async def _job(call: Call, _: object) -> object:
    """A job."""
    return await job_parts(call, call.job)


async def job_parts(call: Call, job: Job) -> object:
    """The parts of a job and its state."""
    service, store = call.service, call.service.state
    last = await store.runs(job=job.name, limit=1)
    backlog = await store.backlog(job.name)
    waiting = await service.waiting(job.name) if backlog.triggers else ()
    return api.job_of(
        service.job_state(job.name),
        last[0] if last else None,
        waiting=len(waiting),
        failures=backlog.failures,
    )


async def _start(call: Call, body: api.Keys) -> object:
    """Start a run."""
    return await _triggered(call, await _given(call, body))


async def _retry(call: Call, body: api.Keys) -> object:
    """Start a run over failed products."""
    return await _triggered(call, await failed_keys(call, await _given(call, body)))


async def _webhook(call: Call, body: api.Keys) -> object:
    """Sync products that changed at the source; without keys, all products."""
    signatures = call.site.signatures
    run_id = signatures.run_of(call.key)
    if run_id is None:
        keys = await _given(call, body)
        run_id = await call.service.trigger(call.job.name, keys, by="webhook")
    signatures.keep(call.key, run_id)
    return {"run_id": run_id}


async def _triggered(call: Call, keys: Collection[ProductKey]) -> object:
    return {"run_id": await call.service.trigger(call.job.name, keys, by=call.by)}


async def _given(call: Call, body: api.Keys) -> list[ProductKey]:
    """The products in a body; opens the source if its settings have no name."""
    if not body.keys:
        return []
    name = getattr(call.job.source, "name", None)
    if isinstance(name, str):
        return product_keys(body.keys, name)
    async with call.job.open_source() as source:
        return product_keys(body.keys, source.name)


async def failed_keys(
    call: Call, desired: Collection[ProductKey]
) -> Collection[ProductKey]:
    """The failed products among these, or all; refuses if there are none."""
    failures = each_failure(call.service.state, call.job.name)
    failed = [failure.key async for failure in failures]
    keys = set(failed).intersection(desired) if desired else failed
    if not keys:
        raise RefusalError(409, "none of these products has failed")
    return keys


async def _begin_plan(call: Call, _: object) -> object:
    """Start to plan what a run would do."""
    return call.site.plans.begin(call.job)


async def _plan(call: Call, query: api.PlanQuery) -> object:
    """The latest plan, or its progress; limit and offset apply to each list."""
    preview = call.site.plans.find(call.job.name)
    return await asyncio.to_thread(preview.to_dict, query.offset, query.limit)


async def _apply(call: Call, body: api.PlanId) -> object:
    """Make exactly the changes of the plan."""
    return {"run_id": await call.site.plans.apply(call.job, body.plan_id)}


async def _queue(call: Call, _: object) -> object:
    """Queued triggers."""
    return {"waiting": await call.service.waiting(call.job.name)}


async def _clear(call: Call, _: object) -> object:
    """Clear the queue."""
    return {"cleared": await call.service.clear(call.job.name)}


async def _failures(call: Call, query: api.FailuresQuery) -> object:
    """Products that failed and have not succeeded since."""
    return await failures_after(call, query.after, query.limit)


async def failures_after(call: Call, after: str, limit: int) -> Tree:
    """Failed products of the job in the path, and the number of all."""
    last = _sort_key(read_key("after", after)) if after else ()
    shown: list[FailedProduct] = []
    rest: list[FailedProduct] = []
    total = 0
    async for failure in each_failure(call.service.state, call.job.name):
        total += 1
        if _sort_key(failure.key) > last:
            rest.append(failure)
        if len(rest) >= limit:  # keep only what is shown
            shown, rest = _first(limit, (*shown, *rest)), []
    shown = _first(limit, (*shown, *rest))
    return {"failures": shown, "total": total}


def _first(count: int, failures: Iterable[FailedProduct]) -> list[FailedProduct]:
    return nsmallest(count, failures, key=lambda failure: _sort_key(failure.key))


def _sort_key(key: ProductKey) -> tuple[object, ...]:
    return natural(str(key))


async def _statistics(call: Call, query: api.StatisticsQuery) -> object:
    """Statistics of the latest runs."""
    records = await call.service.state.runs(job=call.job.name, limit=query.runs)
    return {"runs": [r.report.to_dict() for r in records if r.report]}


async def _runs(call: Call, query: api.RunsQuery) -> object:
    """The latest runs."""
    store = call.service.state
    records = await store.runs(job=query.job or None, limit=query.limit)
    return {"runs": [api.run_of(record) for record in records]}


async def _run(call: Call, _: object) -> object:
    """A run with its report."""
    return api.run_of(await found_run(call))


async def found_run(call: Call) -> RunRecord:
    """The run in the path."""
    record = await call.service.state.run(call.part("run_id"))
    if record is None:
        raise RefusalError(404, "run not found, or not started yet")
    return record


async def _held(call: Call, query: api.RunsQuery) -> object:
    """The latest runs that the guard held, and the decisions on their plans."""
    store = call.service.state
    plans = await store.held_plans(job=query.job or None, limit=query.limit)
    return {"held": [api.held_of(plan) for plan in plans]}


async def _approve(call: Call, body: api.Approval) -> object:
    """Approve the plan of a held run, and make exactly its changes."""
    return {"run_id": await approve(call, body.exclude)}


async def _reject(call: Call, _: object) -> object:
    """Reject the plan of a held run."""
    return api.held_of(await reject(call))


async def _cancel(call: Call, _: object) -> object:
    """Stop a run gracefully.

    Returns the number of queued triggers, for which the next run starts immediately.
    """
    return {"waiting": await cancel(call)}


async def cancel(call: Call) -> int:
    """Cancel the run in the path; returns the number of triggers of its job."""
    run_id = call.part("run_id")
    states = [s for s in call.service.states() if s.run_id == run_id]
    if not states or not call.service.cancel(run_id):
        raise RefusalError(404, "run not found or already finished")
    return len(await call.service.waiting(states[0].job.name))


async def _events(call: Call, query: api.EventsQuery) -> object:
    """Events of runs, as server-sent events."""
    if query.job:
        call.job_of(query.job)
    return await call.site.streams.serve(call.request, query.job)


_READ, _OPERATE, _IGNORED = Role.READ, Role.OPERATE, type(None)
_JOB, _RUN = "/api/jobs/{job}", "/api/runs/{run_id}"

ENDPOINTS: tuple[Endpoint[Any], ...] = (
    Endpoint("GET", "/health", None, _IGNORED, _health, api.Status),
    Endpoint("GET", "/ready", None, _IGNORED, _ready, api.Status),
    Endpoint(
        *("GET", "/metrics", _READ, _IGNORED, _metrics, str),
        content="text/plain",
        refusals=(404,),
    ),
    Endpoint("GET", "/api/openapi.json", _READ, _IGNORED, _openapi),
    Endpoint("GET", "/api/jobs", _READ, api.Nothing, _jobs, api.Jobs),
    Endpoint("GET", _JOB, _READ, api.Nothing, _job, api.Job),
    Endpoint("POST", f"{_JOB}/runs", _OPERATE, api.Keys, _start, api.Started),
    Endpoint(
        *("POST", f"{_JOB}/plan", _OPERATE, api.Nothing, _begin_plan, api.PlanId),
        refusals=(409,),
    ),
    Endpoint("GET", f"{_JOB}/plan", _READ, api.PlanQuery, _plan, api.Plan),
    Endpoint(
        *("POST", f"{_JOB}/plan/apply", _OPERATE, api.PlanId, _apply, api.Started),
        refusals=(409,),
    ),
    Endpoint("GET", f"{_JOB}/queue", _READ, api.Nothing, _queue, api.Queue),
    Endpoint(
        *("POST", f"{_JOB}/queue/clear", _OPERATE, api.Nothing, _clear, api.Cleared),
        status=200,
    ),
    Endpoint(
        "GET", f"{_JOB}/failures", _READ, api.FailuresQuery, _failures, api.Failures
    ),
    Endpoint(
        *("POST", f"{_JOB}/retry", _OPERATE, api.Keys, _retry, api.Started),
        refusals=(409,),
    ),
    Endpoint(
        "GET", f"{_JOB}/stats", _READ, api.StatisticsQuery, _statistics, api.Statistics
    ),
    Endpoint("GET", "/api/runs", _READ, api.RunsQuery, _runs, api.Runs),
    Endpoint("GET", _RUN, _READ, api.Nothing, _run, api.WholeRun),
    Endpoint("GET", "/api/held", _READ, api.RunsQuery, _held, api.HeldPlans),
    Endpoint(
        *("POST", f"{_RUN}/approve", _OPERATE, api.Approval, _approve, api.Started),
        refusals=(409,),
    ),
    Endpoint(
        *("POST", f"{_RUN}/reject", _OPERATE, api.Nothing, _reject, api.HeldPlan),
        status=200,
        refusals=(409,),
    ),
    Endpoint("POST", f"{_RUN}/cancel", _OPERATE, api.Nothing, _cancel, api.Cancelled),
    Endpoint(
        *("GET", "/api/events", _READ, api.EventsQuery, _events, str),
        content="text/event-stream",
        refusals=(404,),
    ),
    Endpoint(
        *("POST", "/webhooks/{job}", None, api.Keys, _webhook, api.Started),
        signed=True,
    ),
)
"""All endpoints of the API."""
