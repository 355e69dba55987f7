"""The pages of the dashboard; they work without scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
from aiohttp import web

from catalogsync.config import Role
from catalogsync.state.protocols import Trigger
from catalogsync.state.stats import RunRow, rows, to_csv

from ._charts import CHARTS, alt_text, draw
from ._errors import RefusalError
from ._handlers import cancelled_job, failure_tree, job_tree, retry_keys
from ._page_context import Page, Visit, known_place
from ._parsing import Query, read_key
from ._schemas import whole_run_json

__all__ = ["PAGES"]

_RUNS = 50
_FAILURES = 50
_CHANGES = 100
_FARTHEST = 999_999_999
_OF_PLAN = ("offset", "said")
_STATIC = Path(__file__).with_name("static")
_TYPES = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_CHART_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


async def _enter(visit: Visit) -> web.StreamResponse:
    """Redirect the prefix without a trailing slash to the overview."""
    name = visit.call.request.rel_url.raw_path.rpartition("/")[2]
    return web.Response(status=308, headers={"Location": f"./{name}/"})


async def _overview(visit: Visit) -> web.StreamResponse:
    call = visit.call
    jobs = [await job_tree(call, job) for job in call.service.jobs.values()]
    return visit.show("overview.html", {"jobs": jobs})


async def _job(visit: Visit) -> web.StreamResponse:
    call, job = visit.call, visit.call.job
    runs = await _runs(visit)
    waiting = await call.service.waiting(job.name)
    charts = [
        {"name": name, "title": chart.title, "alt": alt_text(chart, runs)}
        for name, chart in CHARTS.items()
    ]
    values = {
        "job": await job_tree(call, job),
        "runs": [attrs.asdict(run) for run in reversed(runs)],
        "charts": charts,
        "triggers": [_trigger_tree(trigger) for trigger in waiting],
    }
    return visit.show("job.html", values)


async def _runs(visit: Visit) -> Sequence[RunRow]:
    """The latest runs of the job in the path, oldest first."""
    store, job = visit.call.service.state, visit.call.job
    return rows(await store.runs(job=job.name, limit=_RUNS))


async def _csv(visit: Visit) -> web.StreamResponse:
    return web.Response(
        text=to_csv(await _runs(visit)),
        content_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="runs.csv"'},
    )


def _trigger_tree(trigger: Trigger) -> dict[str, Any]:
    return {"at": trigger.at, "by": trigger.by, "products": len(trigger.keys)}


async def _chart(visit: Visit) -> web.StreamResponse:
    chart = CHARTS.get(visit.call.request.match_info["chart"])
    if chart is None:
        raise RefusalError(404, "chart not found")
    image = await asyncio.to_thread(draw, chart, await _runs(visit))
    headers = {"Content-Security-Policy": _CHART_POLICY}
    return web.Response(body=image, headers=headers, content_type="image/svg+xml")


async def _run(visit: Visit) -> web.StreamResponse:
    service, run_id = visit.call.service, visit.call.request.match_info["run_id"]
    record = await service.state.run(run_id)
    if record is None:
        raise RefusalError(404, "run not found, or not started yet")
    job = service.jobs.get(record.job)
    tree = await job_tree(visit.call, job) if job else None
    running = tree["running"] if tree else None
    if running and running["run_id"] != run_id:
        running = None
    return visit.show("run.html", {"run": whole_run_json(record), "running": running})


async def _failures(visit: Visit) -> web.StreamResponse:
    after = visit.call.request.query.get("after", "")
    found = await failure_tree(visit.call, limit=_FAILURES, after=after)
    values = {**found, "job": visit.call.job.name, "after": after}
    return visit.show("failures.html", values)


async def _begin_plan(visit: Visit) -> web.StreamResponse:
    job, plans = visit.call.job, visit.call.site.plans
    if not plans.is_making(job.name):
        plans.begin(job)
    return visit.go(f"jobs/{quote(job.name, safe='')}/plan")


async def _plan(visit: Visit) -> web.StreamResponse:
    job, query = visit.call.job.name, Query(visit.call.request.query, _OF_PLAN)
    offset = query.number("offset", default=0, least=0, most=_FARTHEST)
    preview = visit.call.site.plans.find(job)
    plan = await asyncio.to_thread(preview.to_dict, offset, _CHANGES)
    most = max(plan["totals"].values())
    values = {"job": job, "plan": plan, "most": most, "size": _CHANGES}
    return visit.show("plan.html", values)


async def _apply(visit: Visit) -> web.StreamResponse:
    job = visit.call.job
    await visit.call.site.plans.apply(job, visit.form.get("key", ""))
    return visit.go(f"jobs/{quote(job.name, safe='')}?said=apply")


async def _clear(visit: Visit) -> web.StreamResponse:
    await visit.call.service.clear(visit.call.job.name)
    return _back(visit, "clear")


async def _sync(visit: Visit) -> web.StreamResponse:
    await visit.call.service.trigger(visit.call.job.name, by=visit.call.by)
    return _back(visit, "sync")


async def _retry(visit: Visit) -> web.StreamResponse:
    job, text = visit.call.job, visit.form.get("key")
    desired = [] if text is None else [read_key("key", text)]
    keys = await retry_keys(visit.call, job, desired)
    await visit.call.service.trigger(job.name, keys, by=visit.call.by)
    return _back(visit, "retry")


async def _cancel(visit: Visit) -> web.StreamResponse:
    job = cancelled_job(visit.call)
    waiting = await visit.call.service.waiting(job)
    return _back(visit, "cancel-waiting" if waiting else "cancel")


def _back(visit: Visit, said: str) -> web.StreamResponse:
    """Redirect to the page of the form."""
    return visit.go(f"{known_place(visit.form.get('back', ''))}?said={said}")


async def _login_page(visit: Visit) -> web.StreamResponse:
    place = known_place(visit.call.request.query.get("next", ""))
    if visit.session is not None:
        return visit.go(place)
    return visit.show("login.html", {"next": place, "problem": ""})


async def _login(visit: Visit) -> web.StreamResponse:
    place = known_place(visit.form.get("next", ""))
    response, request = visit.go(place), visit.call.request
    try:
        caller = visit.call.site.guard.log_in(request, visit.form.get("token", ""))
    except RefusalError as refusal:
        values = {"next": place, "problem": str(refusal)}
        return visit.show("login.html", values, status=refusal.status)
    visit.call.site.guard.sessions.begin(caller, request, response)
    return response


async def _logout(visit: Visit) -> web.StreamResponse:
    response = visit.go("login")
    visit.call.site.guard.sessions.end(visit.call.request, response)
    return response


async def _static(visit: Visit) -> web.StreamResponse:
    name = visit.call.request.match_info["name"]
    if name not in _TYPES:
        raise RefusalError(404, "file not found")
    headers = {"Content-Type": _TYPES[name], "Cache-Control": "no-cache"}
    return web.FileResponse(_STATIC / name, headers=headers)


_READ, _OPERATE = Role.READ, Role.OPERATE

PAGES = (
    Page("GET", "/", _overview, _READ),
    Page("GET", "/login", _login_page, None),
    Page("POST", "/login", _login, None),
    Page("POST", "/logout", _logout, _READ),
    Page("GET", "/static/{name}", _static, None),
    Page("GET", "/jobs/{job}", _job, _READ),
    Page("GET", "/jobs/{job}/charts/{chart}.svg", _chart, _READ),
    Page("GET", "/jobs/{job}/runs.csv", _csv, _READ),
    Page("GET", "/jobs/{job}/failures", _failures, _READ),
    Page("POST", "/jobs/{job}/sync", _sync, _OPERATE),
    Page("POST", "/jobs/{job}/plan", _begin_plan, _OPERATE),
    Page("GET", "/jobs/{job}/plan", _plan, _READ),
    Page("POST", "/jobs/{job}/plan/apply", _apply, _OPERATE),
    Page("POST", "/jobs/{job}/clear", _clear, _OPERATE),
    Page("POST", "/jobs/{job}/retry", _retry, _OPERATE),
    Page("GET", "/runs/{run_id}", _run, _READ),
    Page("POST", "/runs/{run_id}/cancel", _cancel, _OPERATE),
    # Without a prefix this is the path of the overview, so it must come last.
    Page("GET", "", _enter, None),
)
"""All pages of the dashboard."""
