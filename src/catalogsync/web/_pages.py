"""The pages of the dashboard; they work without scripts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import attrs
from aiohttp import web

from catalogsync.config import Role
from catalogsync.errors import CatalogSyncError
from catalogsync.state.protocols import RunRecord
from catalogsync.state.stats import in_order, row, to_csv

from . import _answers as api
from ._charts import CHARTS, alt_text, draw
from ._context import Call
from ._endpoints import Endpoint
from ._errors import RefusalError, refusal_of
from ._handlers import cancel, failed_keys, failures_after, found_run, job_parts
from ._held import approve, reject
from ._pages_rendering import refuse, show
from ._parsing import parse_form, read_key
from ._shapes import shape

_RUNS = 50
_FAILURES = 50
_CHANGES = 100
_PLACE = re.compile(r"(jobs|runs)/[\w.~%-]+(/failures|/plan)?", re.ASCII)
_STATIC = Path(__file__).with_name("static")
_TYPES = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_CHART_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@attrs.frozen
class _Form:
    """The fields of all forms.

    Attributes:
        back: Path of the page to return to.
        key: Key of a product, or id of a plan; None: all products.
    """

    csrf: str = ""
    back: str = ""
    key: str | None = None
    next: str = ""
    token: str = ""


@attrs.frozen
class _Next:
    """The page to show after the login."""

    next: str = ""


async def answer_page(page: Endpoint[Any], call: Call) -> web.StreamResponse:
    """Answer a browser: with a page, another page to go to, or an error page."""
    try:
        return await _answer(page, call)
    except (RefusalError, CatalogSyncError) as error:
        return refuse(call, refusal_of(error))


async def _answer(page: Endpoint[Any], call: Call) -> web.StreamResponse:
    guard, request = call.site.guard, call.request
    guard.check_origin(request)
    form: Mapping[str, str] = {}
    session = guard.session(request)
    if session is not None:
        call = attrs.evolve(call, by=session.caller.name, session=session)
    elif page.role is not None:
        return call.go(f"login?next={quote(call.here)}")
    if page.method == "POST":
        form = parse_form(request, await call.body())
    if session is not None and page.role is not None:
        if page.method == "POST":
            session.check(form.get("csrf", ""))
        guard.check_role(session.caller, page.role)
    call.check_job()
    return cast("web.StreamResponse", await page.run(call, form, strict=False))


async def _enter(call: Call, _: None) -> web.Response:
    """Redirect the prefix without a trailing slash to the overview."""
    name = call.request.rel_url.raw_path.rpartition("/")[2]
    return web.Response(status=308, headers={"Location": f"./{name}/"})


async def _overview(call: Call, _: None) -> web.Response:
    jobs = [await _job_tree(call, name) for name in call.service.jobs]
    return show(call, "overview.html", {"jobs": jobs})


async def _job_tree(call: Call, name: str) -> Any:
    return shape(api.Job, await job_parts(call, call.job_of(name)))


async def _job(call: Call, _: None) -> web.Response:
    runs = await _runs(call)
    waiting = await call.service.waiting(call.job.name)
    charts = [
        {"name": name, "title": chart.title, "alt": alt_text(chart, runs)}
        for name, chart in CHARTS.items()
    ]
    values = {
        "job": await _job_tree(call, call.job.name),
        "runs": [{**row(e), "started_at": e.started_at} for e in reversed(runs)],
        "charts": charts,
        "triggers": [
            {"at": each.at, "by": each.by, "products": len(each.keys)}
            for each in waiting
        ],
    }
    return show(call, "job.html", values)


async def _runs(call: Call) -> Sequence[RunRecord]:
    """The latest runs of the job in the path, oldest first."""
    return in_order(await call.service.state.runs(job=call.job.name, limit=_RUNS))


async def _csv(call: Call, _: None) -> web.Response:
    return web.Response(
        text=to_csv(await _runs(call)),
        content_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="runs.csv"'},
    )


async def _chart(call: Call, _: None) -> web.Response:
    chart = CHARTS.get(call.part("chart"))
    if chart is None:
        raise RefusalError(404, "chart not found")
    image = await asyncio.to_thread(draw, chart, await _runs(call))
    headers = {"Content-Security-Policy": _CHART_POLICY}
    return web.Response(body=image, headers=headers, content_type="image/svg+xml")


async def _run(call: Call, _: None) -> web.Response:
    record = await found_run(call)
    known = record.job in call.service.jobs
    running = (await _job_tree(call, record.job))["running"] if known else None
    if running and running["run_id"] != record.run_id:
        running = None
    run = shape(api.WholeRun, api.run_of(record))
    plan = await call.service.state.held_plan(record.run_id)
    held = None if plan is None else shape(api.HeldPlan, api.held_of(plan))
    values = {"run": run, "running": running, "held": held, "known": known}
    return show(call, "run.html", values)


async def _approve(call: Call, form: _Form) -> web.Response:
    await approve(call)
    return _back(call, form, "apply")


async def _reject(call: Call, form: _Form) -> web.Response:
    await reject(call)
    return _back(call, form, "reject")


async def _failures(call: Call, query: api.FailuresQuery) -> web.Response:
    found = await failures_after(call, query.after, _FAILURES)
    page = shape(api.Failures, found)
    values = {**page, "job": call.job.name, "after": query.after}
    return show(call, "failures.html", values)


async def _begin_plan(call: Call, _: _Form) -> web.Response:
    if not call.site.plans.is_making(call.job.name):
        call.site.plans.begin(call.job)
    return call.go(f"jobs/{quote(call.job.name, safe='')}/plan")


async def _plan(call: Call, query: api.PlanQuery) -> web.Response:
    preview = call.site.plans.find(call.job.name)
    plan = await asyncio.to_thread(preview.to_dict, query.offset, _CHANGES)
    most = max(plan["totals"].values())
    values = {"job": call.job.name, "plan": plan, "most": most, "size": _CHANGES}
    return show(call, "plan.html", values)


async def _apply(call: Call, form: _Form) -> web.Response:
    await call.site.plans.apply(call.job, form.key or "")
    return call.go(f"jobs/{quote(call.job.name, safe='')}?said=apply")


async def _clear(call: Call, form: _Form) -> web.Response:
    await call.service.clear(call.job.name)
    return _back(call, form, "clear")


async def _sync(call: Call, form: _Form) -> web.Response:
    await call.service.trigger(call.job.name, by=call.by)
    return _back(call, form, "sync")


async def _retry(call: Call, form: _Form) -> web.Response:
    desired = [] if form.key is None else [read_key("key", form.key)]
    keys = await failed_keys(call, desired)
    await call.service.trigger(call.job.name, keys, by=call.by)
    return _back(call, form, "retry")


async def _cancel(call: Call, form: _Form) -> web.Response:
    return _back(call, form, "cancel-waiting" if await cancel(call) else "cancel")


def _back(call: Call, form: _Form, said: str) -> web.Response:
    """Redirect to the page of the form."""
    return call.go(f"{_known_place(form.back)}?said={said}")


def _known_place(text: str) -> str:
    """A path within the dashboard from a form; the overview if it is not valid."""
    return text if _PLACE.fullmatch(text) else ""


async def _login_page(call: Call, query: _Next) -> web.Response:
    place = _known_place(query.next)
    if call.session is not None:
        return call.go(place)
    return show(call, "login.html", {"next": place, "problem": ""})


async def _login(call: Call, form: _Form) -> web.Response:
    place, guard = _known_place(form.next), call.site.guard
    try:
        caller = guard.log_in(call.request, form.token)
    except RefusalError as refusal:
        values = {"next": place, "problem": str(refusal)}
        return show(call, "login.html", values, status=refusal.status)
    response = call.go(place)
    guard.sessions.begin(caller, call.request, response)
    return response


async def _logout(call: Call, _: _Form) -> web.Response:
    response = call.go("login")
    call.site.guard.sessions.end(call.request, response)
    return response


async def _static(call: Call, _: None) -> web.FileResponse:
    name = call.part("name")
    if name not in _TYPES:
        raise RefusalError(404, "file not found")
    headers = {"Content-Type": _TYPES[name], "Cache-Control": "no-cache"}
    return web.FileResponse(_STATIC / name, headers=headers)


_READ, _OPERATE, _IGNORED = Role.READ, Role.OPERATE, type(None)

PAGES: tuple[Endpoint[Any], ...] = (
    Endpoint("GET", "/", _READ, _IGNORED, _overview),
    Endpoint("GET", "/login", None, _Next, _login_page),
    Endpoint("POST", "/login", None, _Form, _login),
    Endpoint("POST", "/logout", _READ, _Form, _logout),
    Endpoint("GET", "/static/{name}", None, _IGNORED, _static),
    Endpoint("GET", "/jobs/{job}", _READ, _IGNORED, _job),
    Endpoint("GET", "/jobs/{job}/charts/{chart}.svg", _READ, _IGNORED, _chart),
    Endpoint("GET", "/jobs/{job}/runs.csv", _READ, _IGNORED, _csv),
    Endpoint("GET", "/jobs/{job}/failures", _READ, api.FailuresQuery, _failures),
    Endpoint("POST", "/jobs/{job}/sync", _OPERATE, _Form, _sync),
    Endpoint("POST", "/jobs/{job}/plan", _OPERATE, _Form, _begin_plan),
    Endpoint("GET", "/jobs/{job}/plan", _READ, api.PlanQuery, _plan),
    Endpoint("POST", "/jobs/{job}/plan/apply", _OPERATE, _Form, _apply),
    Endpoint("POST", "/jobs/{job}/clear", _OPERATE, _Form, _clear),
    Endpoint("POST", "/jobs/{job}/retry", _OPERATE, _Form, _retry),
    Endpoint("GET", "/runs/{run_id}", _READ, _IGNORED, _run),
    Endpoint("POST", "/runs/{run_id}/approve", _OPERATE, _Form, _approve),
    Endpoint("POST", "/runs/{run_id}/reject", _OPERATE, _Form, _reject),
    Endpoint("POST", "/runs/{run_id}/cancel", _OPERATE, _Form, _cancel),
    # Without a prefix this is the path of the overview, so it must come last.
    Endpoint("GET", "", None, _IGNORED, _enter),
)
"""All pages of the dashboard."""
