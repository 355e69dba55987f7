"""The handlers of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from heapq import nsmallest

from aiohttp import web

from catalogsync._lib.texts import natural
from catalogsync.catalog.products import ProductKey
from catalogsync.config import Job, Role
from catalogsync.state.protocols import FailedProduct, StateError, each_failure

from ._context import Call, Endpoint
from ._errors import RefusalError
from ._openapi import describe
from ._parsing import no_keys, parse_json, read_body, read_key, read_keys, read_text
from ._schemas import (
    Tree,
    failure_json,
    job_json,
    run_json,
    stats_json,
    trigger_json,
    whole_run_json,
)

__all__ = ["ENDPOINTS", "cancelled_job", "failure_tree", "job_tree", "retry_keys"]

_MOST = 1000
_FARTHEST = 999_999_999


async def _health(call: Call) -> web.StreamResponse:
    return call.answer({"status": "ok"})


async def _ready(call: Call) -> web.StreamResponse:
    if call.service.stopping:
        error = "the service is stopping"
        return call.answer({"status": "stopping", "error": error}, status=503)
    try:
        await call.service.state.runs(limit=1)
    except StateError as error:
        problem = {"status": "state store down", "error": str(error)}
        return call.answer(problem, status=503)
    return call.answer({"status": "ready"})


async def _metrics(call: Call) -> web.StreamResponse:
    metrics = call.site.metrics
    if metrics is None:
        raise RefusalError(404, "metrics are not enabled")
    headers = {"Content-Type": metrics.content_type}
    return web.Response(body=metrics.text(), headers=headers)


async def _openapi(call: Call) -> web.StreamResponse:
    prefix = call.request.path.removesuffix("/api/openapi.json")
    jobs = list(call.service.jobs)
    return call.answer(describe(prefix, jobs=jobs, most=_MOST))


async def _jobs(call: Call) -> web.StreamResponse:
    call.query()
    jobs = [await job_tree(call, job) for job in call.service.jobs.values()]
    return call.answer({"jobs": jobs})


async def _job(call: Call) -> web.StreamResponse:
    call.query()
    return call.answer(await job_tree(call, call.job))


async def job_tree(call: Call, job: Job) -> Tree:
    """A job and its state."""
    service, store = call.service, call.service.state
    last = await store.runs(job=job.name, limit=1)
    backlog = await store.backlog(job.name)
    waiting = await service.waiting(job.name) if backlog.triggers else ()
    return job_json(
        service.job_state(job.name),
        last[0] if last else None,
        waiting=len(waiting),
        failures=backlog.failures,
    )


async def _start(call: Call) -> web.StreamResponse:
    job = call.job
    keys = read_keys(await call.body(), await _source_name(job))
    return await _triggered(call, job, keys)


async def _triggered(
    call: Call, job: Job, keys: Collection[ProductKey]
) -> web.StreamResponse:
    run_id = await call.service.trigger(job.name, keys, by=call.by)
    return call.answer({"run_id": run_id}, status=202)


async def _source_name(job: Job) -> str:
    """The name of a job's source; opens the source if its settings have no name."""
    name = getattr(job.source, "name", None)
    if isinstance(name, str):
        return name
    async with job.open_source() as source:
        return source.name


async def _retry(call: Call) -> web.StreamResponse:
    job = call.job
    desired = read_keys(await call.body(), await _source_name(job))
    return await _triggered(call, job, await retry_keys(call, job, desired))


async def retry_keys(
    call: Call, job: Job, desired: Collection[ProductKey]
) -> Collection[ProductKey]:
    """The failed products among these; all failed products if none are given.

    Raises:
        RefusalError: None of them has failed.
    """
    failures = each_failure(call.service.state, job.name)
    failed = [failure.key async for failure in failures]
    keys = set(failed).intersection(desired) if desired else failed
    if not keys:
        raise RefusalError(409, "none of these products has failed")
    return keys


async def _plan(call: Call) -> web.StreamResponse:
    job = call.job
    no_keys(await call.body())
    preview = call.site.plans.begin(job)
    return call.answer({"plan_id": preview.plan_id}, status=202)


async def _planned(call: Call) -> web.StreamResponse:
    query = call.query("offset", "limit")
    limit = query.number("limit", default=100, most=_MOST)
    offset = query.number("offset", default=0, least=0, most=_FARTHEST)
    preview = call.site.plans.find(call.job.name)
    return call.answer(await asyncio.to_thread(preview.to_dict, offset, limit))


async def _apply(call: Call) -> web.StreamResponse:
    job = call.job
    plan_id = read_text(await call.body(), "plan_id")
    run_id = await call.site.plans.apply(job, plan_id)
    return call.answer({"run_id": run_id}, status=202)


async def _queue(call: Call) -> web.StreamResponse:
    call.query()
    waiting = await call.service.waiting(call.job.name)
    return call.answer({"waiting": [trigger_json(each) for each in waiting]})


async def _clear(call: Call) -> web.StreamResponse:
    job = call.job
    no_keys(await call.body())
    return call.answer({"cleared": await call.service.clear(job.name)})


async def _failures(call: Call) -> web.StreamResponse:
    query = call.query("limit", "after")
    limit = query.number("limit", default=100, most=_MOST)
    return call.answer(await failure_tree(call, limit=limit, after=query.text("after")))


async def failure_tree(call: Call, *, limit: int, after: str) -> Tree:
    """Failed products.

    Args:
        call: The request, with the job in its path.
        limit: Largest number to return.
        after: Start after this key; empty: start with the first.
    """
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
    return {"failures": [failure_json(failure) for failure in shown], "total": total}


def _first(count: int, failures: Iterable[FailedProduct]) -> list[FailedProduct]:
    return nsmallest(count, failures, key=lambda failure: _sort_key(failure.key))


def _sort_key(key: ProductKey) -> tuple[object, ...]:
    return natural(str(key))


async def _stats(call: Call) -> web.StreamResponse:
    limit = call.query("runs").number("runs", default=50, most=_MOST)
    records = await call.service.state.runs(job=call.job.name, limit=limit)
    return call.answer({"runs": stats_json(records)})


async def _runs(call: Call) -> web.StreamResponse:
    query = call.query("job", "limit")
    limit = query.number("limit", default=20, most=_MOST)
    records = await call.service.state.runs(job=query.text("job") or None, limit=limit)
    return call.answer({"runs": [run_json(record) for record in records]})


async def _run(call: Call) -> web.StreamResponse:
    call.query()
    record = await call.service.state.run(call.request.match_info["run_id"])
    if record is None:
        raise RefusalError(404, "run not found, or not started yet")
    return call.answer(whole_run_json(record))


async def _cancel(call: Call) -> web.StreamResponse:
    no_keys(await call.body())
    job = cancelled_job(call)
    waiting = await call.service.waiting(job)
    return call.answer({"waiting": len(waiting)}, status=202)


def cancelled_job(call: Call) -> str:
    """Cancel the run in the path; returns the name of its job.

    Raises:
        RefusalError: There is no such run, or it has finished.
    """
    run_id = call.request.match_info["run_id"]
    states = [s for s in call.service.states() if s.run_id == run_id]
    if not states or not call.service.cancel(run_id):
        raise RefusalError(404, "run not found or already finished")
    return states[0].job.name


async def _events(call: Call) -> web.StreamResponse:
    name = call.query("job").text("job")
    if name:
        call.job_of(name)
    return await call.site.streams.serve(call.request, name)


async def _webhook(call: Call) -> web.StreamResponse:
    request, guard = call.request, call.site.guard
    name, signatures = request.match_info["job"], call.site.signatures
    guard.check_address(request)
    body = await read_body(request, guard.access.max_body)
    try:
        call_key = signatures.check(name, request.headers, body)
    except RefusalError:
        guard.refused(request)
        raise
    run_id = signatures.run_of(call_key)
    if run_id is None:
        keys = read_keys(parse_json(request, body), await _source_name(call.job))
        run_id = await call.service.trigger(name, keys, by="webhook")
    signatures.keep(call_key, run_id)
    return call.answer({"run_id": run_id}, status=202)


_READ, _OPERATE = Role.READ, Role.OPERATE

ENDPOINTS = (
    Endpoint("GET", "/health", _health, None),
    Endpoint("GET", "/ready", _ready, None),
    Endpoint("GET", "/metrics", _metrics, _READ),
    Endpoint("GET", "/api/openapi.json", _openapi, _READ),
    Endpoint("GET", "/api/jobs", _jobs, _READ),
    Endpoint("GET", "/api/jobs/{job}", _job, _READ),
    Endpoint("POST", "/api/jobs/{job}/runs", _start, _OPERATE),
    Endpoint("POST", "/api/jobs/{job}/plan", _plan, _OPERATE),
    Endpoint("GET", "/api/jobs/{job}/plan", _planned, _READ),
    Endpoint("POST", "/api/jobs/{job}/plan/apply", _apply, _OPERATE),
    Endpoint("GET", "/api/jobs/{job}/queue", _queue, _READ),
    Endpoint("POST", "/api/jobs/{job}/queue/clear", _clear, _OPERATE),
    Endpoint("GET", "/api/jobs/{job}/failures", _failures, _READ),
    Endpoint("POST", "/api/jobs/{job}/retry", _retry, _OPERATE),
    Endpoint("GET", "/api/jobs/{job}/stats", _stats, _READ),
    Endpoint("GET", "/api/runs", _runs, _READ),
    Endpoint("GET", "/api/runs/{run_id}", _run, _READ),
    Endpoint("POST", "/api/runs/{run_id}/cancel", _cancel, _OPERATE),
    Endpoint("GET", "/api/events", _events, _READ),
    Endpoint("POST", "/webhooks/{job}", _webhook, None),
)
"""All endpoints of the API."""
