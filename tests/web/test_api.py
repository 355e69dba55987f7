"""What the API does and answers."""

from __future__ import annotations

import asyncio
import datetime as dt
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from tests.engine.fakes import FAST
from tests.service.shops import (
    MIDNIGHT,
    Shelf,
    Till,
    finished,
    key,
    open_shop,
    shelf_of,
)
from tests.web.sites import ACCESS, OPERATE, READ, Site, open_site, serving_narrowly

from catalogsync import (
    BatchRefusedError,
    Change,
    Options,
    Outcome,
    Page,
    Rejected,
    Report,
    RetryPolicy,
    RunStatus,
    TransientError,
)
from catalogsync.catalog.changes import (
    ExistingReference,
    Reference,
    ReferenceChange,
    ReferenceKind,
)
from catalogsync.plans import Estimate, PlanHead, PlanWriter
from catalogsync.protocols import Cursor
from catalogsync.report import Counts
from catalogsync.schedule import Schedule
from catalogsync.service import Service
from catalogsync.state import StateError
from catalogsync.testing import serve
from catalogsync.web import Access, _parsing, web_app
from catalogsync.web._plans import Preview

PREFIXES = pytest.mark.parametrize("prefix", ["", "/sync", "/a/b"])
COUNTS = (
    *("fetched", "created", "updated", "unchanged"),
    *("skipped", "removed", "failed", "unresolved"),
)


def counts(**some: int) -> dict[str, int]:
    return {**dict.fromkeys(COUNTS, 0), **some}


@attrs.define(kw_only=True)
class PickyTill(Till):
    """Refuses products with an even number while `picky` is set."""

    picky: bool = True
    reason: str = "is even"

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        bad = {c.key: self.reason for c in changes if int(c.key.id) % 2 == 0}
        if bad and self.picky:
            raise BatchRefusedError("no", said="E42", culprits=bad)
        return await super().write(changes)


async def finish(site: Site, path: str, **more: object) -> str:
    """Start a run by the API and wait for its end."""
    async with site.events() as events:
        run_id = (await site.post(path, **more))["run_id"]
        data = await events.until("RunFinished")
        assert data["run_id"] == run_id
    await site.shop.store.idle()
    return run_id


@PREFIXES
async def test_from_start_to_report(prefix: str) -> None:
    """A run is started, listed, and returned with its full report."""
    async with open_site(prefix=prefix) as site:
        run_id = await finish(site, "/api/jobs/shelf/runs", json={})
        (run,) = (await site.get("/api/runs"))["runs"]
        expected = {
            "run_id": run_id,
            "job": "shelf",
            "source": "shelf",
            "sink": "till",
            "status": "succeeded",
            "counts": counts(fetched=5, created=5),
            "problem": "",
        }
        assert {name: run[name] for name in expected} == expected
        took = run["finished_at"] - run["started_at"]
        assert took == pytest.approx(run["duration_s"], abs=1e-3)
        whole = await site.get(f"/api/runs/{run_id}", token=READ)
        assert whole.pop("report")["run_id"] == run_id
        assert whole == run
        assert await site.get("/api/jobs/shelf", token=READ) == {
            "name": "shelf",
            "source": "shelf",
            "sink": "till",
            "schedule": None,
            "next_at": None,
            "running": None,
            "last": run,
            "problem": "",
            "waiting": 0,
            "failures": 0,
        }
        (figures,) = (await site.get("/api/jobs/shelf/stats?runs=5"))["runs"]
        assert figures["run_id"] == run_id
        assert figures["counts"] == counts(fetched=5, created=5)
        assert figures["products_per_second"] > 0


async def test_a_current_run() -> None:
    """The job shows it, and the triggers queued behind it."""
    hourly = Schedule(cron="@hourly", timezone="Europe/Berlin")
    async with open_site(schedule=hourly) as site:
        site.shop.till.gate.clear()
        run_id = (await site.post("/api/jobs/shelf/runs"))["run_id"]
        await site.shop.till.writing.wait()
        await site.post("/api/jobs/shelf/runs", json={"keys": ["1"]})
        (job,) = (await site.get("/api/jobs"))["jobs"]
        running = job["running"]
        assert (running["run_id"], running["total"]) == (run_id, None)
        assert running["counts"]["fetched"] > 0
        assert job["waiting"] == 1
        assert job["schedule"] == {"cron": "@hourly", "timezone": "Europe/Berlin"}
        assert job["next_at"] == (MIDNIGHT + dt.timedelta(hours=1)).timestamp()
        run = await site.get(f"/api/runs/{run_id}")
        assert (run["status"], run["counts"], run["report"]) == (None, None, None)
        site.shop.till.gate.set()
        await site.shop.store.until(lambda: len(site.shop.till.writes) == 3)


async def test_a_run_of_some_products() -> None:
    """By their ids, or with the name of the source before them."""
    async with open_site() as site:
        body = {"keys": ["1", "shelf:3", "other:4"]}
        await finish(site, "/api/jobs/shelf/runs", json=body)
        assert site.shop.shelf.asked == [["1", "3", "other:4"]]
        assert sorted(site.shop.till.titles) == ["1", "3"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("[]", "the body must be an object, not a list"),
        ("3", "the body must be an object, not a number"),
        ("{", "the body is not JSON"),
        ("[" * 100_000, "the body is not JSON"),
        ('{"kes": []}', "kes: unknown key; known: keys"),
        ('{"keys": null}', "keys: must be a list, not null"),
        ('{"keys": "1"}', "keys: must be a list, not text"),
        ('{"keys": []}', "keys: must not be empty; omit it for all products"),
        ('{"keys": ["1", 2]}', "keys[1]: must be text, not a number"),
        ('{"keys": [{}]}', "keys[0]: must be text, not an object"),
        ('{"keys": ["1", ""]}', "keys[1]: must not be empty"),
        (f'{{"keys": ["{"9" * 1001}"]}}', "keys[0]: longer than 1000 characters"),
        ('{"keys": ["a\\u0000"]}', "keys[0]: contains a NUL character"),
        ('{"\\ud800": 1}', "?: unknown key; known: keys"),
        ('{"": 1}', ": unknown key; known: keys"),
    ],
)
async def test_bodies_that_are_refused(body: str, error: str) -> None:
    """One line says what is wrong, and where; nothing is started."""
    async with open_site() as site:
        for path in ("/api/jobs/shelf/runs", "/api/jobs/shelf/retry"):
            headers = {"Content-Type": "application/json"}
            answer = await site.post(path, 400, data=body.encode(), headers=headers)
            assert answer == {"error": error}
        assert await site.shop.store.triggers() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 202),
    ],
)
async def test_kinds_of_bodies(headers: dict[str, str], status: int) -> None:
    async with open_site() as site:
        path = "/api/jobs/shelf/runs"
        await site.post(path, status, data=b'{"keys": ["1"]}', headers=headers)


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/api/jobs/other", 404, "job not found"),
        ("/api/jobs/other/stats", 404, "job not found"),
        ("/api/jobs/other/failures", 404, "job not found"),
        ("/api/events?job=other", 404, "job not found"),
        ("/api/runs/0", 404, "run not found, or not started yet"),
        ("/api/nothing", 404, "not found"),
        ("/api/jobs/shelf/runs", 405, "method not allowed"),
        ("/metrics", 404, "metrics are not enabled"),
        ("/api/runs?limit=0", 400, "limit: must be a number from 1 to 1000"),
        ("/api/runs?limit=1001", 400, "limit: must be a number from 1 to 1000"),
        ("/api/runs?limit=x", 400, "limit: must be a number from 1 to 1000"),
        ("/api/runs?limit=%D9%A1", 400, "limit: must be a number from 1 to 1000"),
        ("/api/runs?limit=1&limit=2", 400, "limit: given more than once"),
        ("/api/runs?jobb=1", 400, "jobb: unknown parameter; known: job, limit"),
        ("/api/jobs?x=1", 400, "x: unknown parameter; known: none"),
        (
            "/api/jobs/shelf/failures?after=x",
            400,
            "after: a product key is source:id, not 'x'",
        ),
    ],
)
async def test_questions_that_are_refused(path: str, status: int, error: str) -> None:
    async with open_site() as site:
        assert await site.ask("GET", path, status) == {"error": error}


async def test_failures_and_retry() -> None:
    """Failed products are listed in pages, tried again and forgotten."""
    till = PickyTill()
    async with open_site(till=till) as site:
        await finish(site, "/api/jobs/shelf/runs")
        assert (await site.get("/api/jobs/shelf"))["failures"] == 3
        path = "/api/jobs/shelf/failures"
        page = await site.get(f"{path}?limit=2", token=READ)
        assert page["total"] == 3
        assert [each["key"] for each in page["failures"]] == ["shelf:0", "shelf:2"]
        assert page["failures"][0]["reason"] == "is even"
        assert page["failures"][0]["attempts"] == 1
        rest = await site.get(f"{path}?after=shelf:2")
        assert [each["key"] for each in rest["failures"]] == ["shelf:4"]
        till.picky = False
        retry = "/api/jobs/shelf/retry"
        await finish(site, retry, json={"keys": ["2", "shelf:1"]})
        assert (await site.get(path))["total"] == 2
        await finish(site, retry, json={})
        assert site.shop.shelf.asked == [["2"], ["0", "4"]]
        assert await site.get(path) == {"failures": [], "total": 0}
        assert await site.post(retry, 409) == {
            "error": "none of these products has failed"
        }
        assert len(till.titles) == 5


async def test_retry_of_nothing_is_no_run_of_all() -> None:
    async with open_site() as site:
        await site.post("/api/jobs/shelf/retry", 409)
        await site.post("/api/jobs/shelf/retry", 409, json={"keys": ["1"]})
        assert await site.shop.store.triggers() == []


async def test_a_run_of_one_product_does_not_hide_that_others_fail() -> None:
    """Neither in its own report nor in the state of the job."""
    async with open_site(till=PickyTill()) as site:
        await finish(site, "/api/jobs/shelf/runs")
        last = (await site.get("/api/jobs/shelf"))["last"]
        assert last["reasons"] == [
            '3 products failed, for example shelf:0: is even ("E42")'
        ]
        await finish(site, "/api/jobs/shelf/runs", json={"keys": ["3"]})
        job = await site.get("/api/jobs/shelf")
        last = job["last"]
        assert (last["status"], last["counts"]["failed"]) == ("succeeded", 0)
        assert (last["still_failing"], job["failures"]) == (3, 3)
        assert last["reasons"] == ["3 products of the job still fail"]
        assert last["summary"].endswith("; 3 products of the job still fail")


async def test_a_key_that_nobody_knows_is_a_reason() -> None:
    async with open_site() as site:
        await finish(site, "/api/jobs/shelf/runs", json={"keys": ["99"]})
        last = (await site.get("/api/jobs/shelf"))["last"]
        assert last["status"] == "degraded"
        (reason,) = last["reasons"]
        assert "shelf:99" in reason


async def test_a_source_that_is_down_is_shown() -> None:
    """With the reason, and the time of the next attempt."""
    slow = RetryPolicy(wait_initial=3600, wait_max=3600, timeout=None)
    async with open_site(options=Options(retry=slow)) as site:
        site.shop.shelf.faults = [TransientError("no answer")]
        async with site.events() as events:
            await site.post("/api/jobs/shelf/runs")
            event = await events.until("Retrying")
        running = (await site.get("/api/jobs/shelf"))["running"]
        assert running["retrying"] == {
            "what": "read the first page",
            "attempt": 2,
            "reason": "no answer",
            "next_at": event["next_at"],
        }
        assert event["next_at"] > time.time() + 3000
        site.shop.service.stop(grace=0)


async def test_cancel() -> None:
    async with open_site() as site, site.events("?job=shelf") as events:
        site.shop.till.gate.clear()
        run_id = (await site.post("/api/jobs/shelf/runs"))["run_id"]
        await site.shop.till.writing.wait()
        assert await site.post(f"/api/runs/{run_id}/cancel") == {"waiting": 0}
        site.shop.till.gate.set()
        assert (await events.until("RunFinished"))["status"] == "cancelled"
        run = await site.get(f"/api/runs/{run_id}")
        assert run["problem"] == "cancelled on demand"
        error = await site.post(f"/api/runs/{run_id}/cancel", 404)
        assert error == {"error": "run not found or already finished"}


PLAN = "/api/jobs/shelf/plan"


async def planned(site: Site, query: str = "") -> Any:
    """Have a plan made, and wait until it is ready or failed."""
    plan_id = (await site.post(PLAN))["plan_id"]
    while (plan := await site.get(f"{PLAN}{query}"))["state"] == "making":
        pass
    assert plan["plan_id"] == plan_id
    return plan


async def test_plan() -> None:
    """What a run would do, in pages, and nothing is done."""
    async with open_site(size=205) as site:
        assert (await site.get(PLAN, status=404))["error"].startswith("no plan")
        plan = await planned(site)
        assert plan["counts"] == counts(fetched=205, created=205)
        assert plan["summary"] == "shelf: 205 to create, 0 to update, 0 unchanged"
        assert (plan["read"], plan["problem"], plan["reasons"]) == (205, "", [])
        assert plan["estimate"]["writes"] == 103
        assert plan["estimate"]["summary"].startswith("would take 103 writes, at least")
        assert plan["totals"]["changes"] == 205
        assert plan["changes"][0] == {
            "action": "create",
            "key": "shelf:0",
            "title": "Thing 0",
            "diff": [{"path": "title", "old": None, "new": "Thing 0"}],
            "incomplete": [],
            "adopts": False,
        }
        found = [change["key"] for change in plan["changes"]]
        for offset in (100, 200, 300):
            part = await site.get(f"{PLAN}?offset={offset}&limit=100", token=READ)
            found += [change["key"] for change in part["changes"]]
        assert found == [f"shelf:{n}" for n in range(205)]
        assert (site.shop.till.titles, await site.shop.store.runs()) == ({}, [])


async def hold(site: Site) -> str:
    """Let the guard hold a run; returns its id."""
    site.shop.shelf.titles = {n: f"Thing {n}" for n in range(20)}
    await finish(site, "/api/jobs/shelf/runs")
    site.shop.shelf.titles = {n: f"#name# {n}" for n in range(20)}
    return await finish(site, "/api/jobs/shelf/runs")


async def test_a_held_run_is_approved() -> None:
    """By whom is kept, and nobody can decide again."""
    async with open_site() as site:
        run_id = await hold(site)
        (held,) = (await site.get("/api/held?job=shelf"))["held"]
        assert (held["run_id"], held["decision"]) == (run_id, "waiting")
        assert held["reasons"][0].startswith("titles change: 20 of 20")
        assert len(held["worst"]) == 20
        run = await site.get(f"/api/runs/{run_id}")
        assert (run["status"], run["counts"]["skipped"]) == ("held", 20)
        assert site.shop.till.titles["3"] == "Thing 3"

        approve = f"/api/runs/{run_id}/approve"
        error = await site.post(approve, 409, json={"exclude": ["99"]})
        assert "no change of this product" in error["error"]
        await finish(site, approve, json={"exclude": ["3"]})
        titles = site.shop.till.titles
        assert (titles["3"], titles["4"]) == ("Thing 3", "#name# 4")
        (held,) = (await site.get("/api/held"))["held"]
        assert (held["decision"], held["by"]) == ("approved", "boss")
        error = await site.post(approve, 409)
        assert error["error"] == "the plan was approved by boss"


async def test_a_held_run_is_rejected() -> None:
    async with open_site() as site:
        run_id = await hold(site)
        reject = f"/api/runs/{run_id}/reject"
        assert (await site.post(reject, 200))["decision"] == "rejected"
        assert (await site.post(reject, 409))["error"].startswith("the plan was reje")
        error = await site.post("/api/runs/unknown/reject", 404)
        assert error["error"] == "the run was not held"


async def test_a_plan_drops_nothing() -> None:
    """Warnings and failures are in it as they are in `catalogsync plan`."""
    shelf = FussyShelf(titles=shelf_of(5).titles)
    options = Options(retry=FAST, adopt=["handle"])
    async with open_site(shelf=shelf, options=options) as site:
        plan = await planned(site, "?limit=1")
        assert plan["totals"] == {
            **dict.fromkeys(("rejected", "manual_edits"), 0),
            "changes": 5,
            "failures": 2,
            "warnings": 1,
        }
        assert plan["reasons"][0].startswith("2 products failed, for example shelf:9:")
        (failure,) = plan["failures"]
        assert (failure["key"], failure["reason"]) == ("shelf:9", "no price (page 1)")
        (failure,) = (await site.get(f"{PLAN}?offset=1"))["failures"]
        assert failure["key"] == "shelf:10"
        assert len(plan["warnings"]) == 1
        assert f"warning: {plan['warnings'][0]}" in plan["reasons"]


async def test_a_plan_is_applied_and_nothing_else() -> None:
    """What changed since is left alone, and no plan is applied twice."""
    async with open_site(size=4) as site:
        shop = site.shop
        plan = await planned(site)
        shop.shelf.titles = {**shop.shelf.titles, 3: "Other", 7: "New"}
        body = {"plan_id": plan["plan_id"]}
        run_id = await finish(site, f"{PLAN}/apply", json=body)
        titles = {str(n): f"Thing {n}" for n in range(4)}
        assert shop.till.titles == titles
        run = await site.get(f"/api/runs/{run_id}")
        assert (run["status"], run["counts"]["created"]) == ("succeeded", 4)
        assert (await site.get(PLAN))["applied"]
        error = await site.post(f"{PLAN}/apply", 409, json=body)
        assert error["error"].startswith("the plan was already applied")

        plan = await planned(site)
        changed = attrs.evolve(shop.till.inner.products[key(3)], title="By hand")
        shop.till.inner.products[key(3)] = changed
        body = {"plan_id": plan["plan_id"]}
        run_id = await finish(site, f"{PLAN}/apply", json=body)
        assert shop.till.titles == {**titles, "3": "By hand", "7": "New"}
        run = await site.get(f"/api/runs/{run_id}")
        assert (run["status"], run["counts"]["unresolved"]) == ("incomplete", 1)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "plan_id: is missing"),
        ({"plan_id": 3}, 400, "plan_id: must be text, not a number"),
        ({"plan": "x"}, 400, "plan: unknown key; known: plan_id"),
        ({"plan_id": "x"}, 409, "there is a newer plan; review that one"),
    ],
)
async def test_plans_that_are_not_applied(
    body: dict[str, object], status: int, error: str
) -> None:
    async with open_site() as site:
        await planned(site)
        answer = await site.post(f"{PLAN}/apply", status, json=body)
        assert answer == {"error": error}
        await finish(site, "/api/jobs/shelf/runs")
        plan_id = (await planned(site))["plan_id"]
        answer = await site.post(f"{PLAN}/apply", 409, json={"plan_id": plan_id})
        assert answer == {"error": "the plan has no changes"}


async def test_the_files_of_old_plans_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def files() -> list[Path]:
        return list(tmp_path.rglob("*.jsonl"))

    async with open_site() as site:
        for _ in range(3):
            await planned(site)
            assert len(files()) == 1
    assert not files()


async def test_what_waits_can_be_withdrawn() -> None:
    """Cancelling says that it starts the next run; the queue can be cleared."""
    async with open_site() as site, finished(site.shop.service) as end:
        site.shop.till.gate.clear()
        run_id = (await site.post("/api/jobs/shelf/runs"))["run_id"]
        await site.shop.till.writing.wait()
        queue = "/api/jobs/shelf/queue"
        assert await site.get(queue) == {"waiting": []}
        await site.post("/api/jobs/shelf/runs", json={"keys": ["1"]})
        await site.post("/api/jobs/shelf/runs")
        some, whole = (await site.get(queue, token=READ))["waiting"]
        assert (some["keys"], whole["keys"]) == (["shelf:1"], [])
        assert (some["by"], (await site.get("/api/jobs/shelf"))["waiting"]) == (
            "boss",
            2,
        )
        cancelled = await site.post(f"/api/runs/{run_id}/cancel")
        assert cancelled == {"waiting": 2}
        assert await site.post(f"{queue}/clear", 200) == {"cleared": 2}
        assert await site.post(f"{queue}/clear", 200) == {"cleared": 0}
        site.shop.till.gate.set()
        assert (await end()).event.status == "cancelled"
        await site.shop.store.idle()
        assert len(await site.shop.store.runs()) == 1


@pytest.mark.parametrize("name", ["{job}", "a{b", "{}", "{{x}}", "50%", "a/b", "{a:b}"])
async def test_any_name_of_a_job(name: str) -> None:
    """Braces and the like are no part of a route."""
    async with open_site() as site:
        job = attrs.evolve(site.shop.service.jobs["shelf"], name=name)
        async with Service(jobs={name: job}, state=site.shop.store) as service:
            app = web_app(service, access=Access(tokens=ACCESS.tokens))
            async with serve(app) as url:
                other = attrs.evolve(site, url=url)
                path = f"/api/jobs/{quote(name, safe='')}"
                assert (await other.get(path))["name"] == name
                assert await other.get(f"{path}/failures")
                async with other.events() as events:
                    await other.post(f"{path}/runs")
                    await events.until("RunFinished")
            service.stop(grace=0)


@attrs.define(kw_only=True)
class FussyShelf(Shelf):
    """A source with records that are no products."""

    async def read(self, cursor: Cursor | None, /) -> Page:
        page = await super().read(cursor)
        rejected = [
            Rejected(key=key(n), reason="no price", where="page 1") for n in (10, 9)
        ]
        return attrs.evolve(page, rejected=rejected)


@attrs.define(kw_only=True)
class SlowShelf(Shelf):
    """A source that waits before it answers."""

    reading: asyncio.Event = attrs.field(factory=asyncio.Event)
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def read(self, cursor: Cursor | None, /) -> Page:
        self.reading.set()
        await self.gate.wait()
        return await super().read(cursor)


async def test_one_plan_at_a_time() -> None:
    """A job's second one is refused while the first is being made."""
    shelf = SlowShelf(titles=shelf_of(2).titles)
    async with open_site(shelf=shelf) as site:
        plan_id = (await site.post(PLAN))["plan_id"]
        await shelf.reading.wait()
        plan = await site.get(PLAN)
        assert (plan["state"], plan["read"], plan["counts"]) == ("making", 0, None)
        error = await site.post(PLAN, 409)
        assert error == {"error": "a plan of this job is already in progress"}
        error = await site.post(f"{PLAN}/apply", 409, json={"plan_id": plan_id})
        assert error == {"error": "the plan is not ready"}
        shelf.gate.set()
        while (plan := await site.get(PLAN))["state"] == "making":
            pass
        assert plan["counts"]["created"] == 2


async def test_the_end_of_the_host_ends_a_plan() -> None:
    """Nothing of it stays behind."""
    shelf = SlowShelf(titles=shelf_of(2).titles)
    async with open_shop(shelf=shelf) as shop, serving_narrowly(shop) as site:
        await site.post(PLAN)
        await shelf.reading.wait()
        await site.runner.cleanup()
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        assert "catalogsync-plan" not in tasks


def test_changes_of_categories(tmp_path: Path) -> None:
    """They are among the changes of a plan."""
    books = Reference(kind=ReferenceKind.CATEGORY, source="s", id="7", name="Books")
    existing = ExistingReference(id="x", name="Book", ours=True)
    preview = Preview(path=tmp_path / "plan.jsonl", plan_id="p")
    head = PlanHead(job="j", source="s", sink="t", endpoint="t", made_at=0.0)
    report = Report(
        run_id="r",
        status=RunStatus.SUCCEEDED,
        counts=Counts(),
        started_at=0.0,
        duration_s=1.0,
        planned=True,
    )
    expected = Estimate(writes=0, requests=2, seconds=None)
    with PlanWriter(preview.path, head) as writer:
        writer.add(ReferenceChange(reference=books))
        writer.add(ReferenceChange(reference=books, existing=existing))
        writer.finish(report, expected)
    preview.finish(report, expected)
    new, renamed = preview.to_dict(0, 10)["changes"]
    shared = {"key": "category:7", "title": "Books", "incomplete": [], "adopts": False}
    diff = {"path": "name", "old": None, "new": "Books"}
    assert new == {**shared, "action": "create", "diff": [diff]}
    diff = {"path": "name", "old": "Book", "new": "Books"}
    assert renamed == {**shared, "action": "update", "diff": [diff]}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"Content-Length: 10\r\n\r\n{", b"408"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
    ],
)
async def test_bodies_without_an_end(
    sent: bytes, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for them for long."""
    monkeypatch.setattr(_parsing, "_PATIENCE", 0)
    async with open_site() as site:
        host, port = site.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = (
            *("POST /api/jobs/shelf/runs HTTP/1.1", "Host: x", "Connection: close"),
            *(f"Authorization: Bearer {OPERATE}", "Content-Type: application/json", ""),
        )
        writer.write("\r\n".join(lines).encode() + sent)
        assert (await reader.readline()).split()[1] == status
        writer.close()
        await writer.wait_closed()
        assert await site.shop.store.triggers() == []


async def test_a_plan_that_cannot_be_made() -> None:
    """The source is down."""
    async with open_site() as site:
        site.shop.shelf.faults = [TransientError("the light is out")] * FAST.attempts
        plan = await planned(site)
        assert (plan["state"], plan["problem"]) == ("failed", "the light is out")
        assert (await planned(site))["state"] == "ready"


async def test_the_list_of_runs() -> None:
    """The last first, of one job or of all, and not too many."""
    async with open_site() as site:
        ids = [await finish(site, "/api/jobs/shelf/runs") for _ in range(3)]
        for query, found in [
            ("", ids[::-1]),
            ("?limit=2", ids[:0:-1]),
            ("?job=shelf&limit=1", [ids[2]]),
            ("?job=", ids[::-1]),
            ("?job=other", []),
        ]:
            runs = (await site.get(f"/api/runs{query}"))["runs"]
            assert [run["run_id"] for run in runs] == found


async def test_health_and_readiness() -> None:
    """Nobody needs a token for them; readiness needs the state store."""
    async with open_site() as site:
        assert await site.get("/health", token=None) == {"status": "ok"}
        assert await site.get("/ready", token=None) == {"status": "ready"}
        site.shop.store.faults["runs"] = StateError("the disk is full")
        answer = await site.ask("GET", "/ready", 503, token=None)
        assert answer == {"status": "state store down", "error": "the disk is full"}
        site.shop.store.faults["runs"] = StateError("the disk is full")
        answer = await site.ask("GET", "/api/runs", 503)
        assert answer == {"error": "the disk is full"}
        site.shop.service.stop()
        answer = await site.ask("GET", "/ready", 503, token=None)
        assert answer["status"] == "stopping"
        assert await site.get("/health", token=None) == {"status": "ok"}


async def test_the_unexpected(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and hidden from the caller."""
    async with open_site() as site:
        site.shop.store.faults["runs"] = RuntimeError("inner parts")
        answer = await site.ask("GET", "/api/runs?job=private", 500)
        assert answer["error"].startswith("unexpected error")
        assert "inner parts" in caplog.text
        assert "private" not in caplog.text


class Figures:
    """What counts for Prometheus."""

    content_type = "text/plain; version=1.0.0; charset=utf-8"

    def text(self) -> bytes:
        return b"runs_total 1\n"


async def test_metrics() -> None:
    async with open_site(metrics=Figures()) as site:
        response, text = await site.answer("GET", "/metrics", token=READ)
        assert text == "runs_total 1\n"
        assert response.headers["Content-Type"] == Figures.content_type
        await site.ask("GET", "/metrics", 401, token=None)


async def test_a_source_whose_settings_have_no_name() -> None:
    """Its name is needed for keys."""
    async with open_site() as site:
        job = site.shop.service.jobs["shelf"]

        class Settings:
            def open(self) -> object:
                return nullcontext(shelf_of(5))

        site.shop.service.jobs["shelf"] = attrs.evolve(job, source=Settings())
        site.shop.till.gate.clear()
        await site.post("/api/jobs/shelf/runs", json={"keys": ["shelf:2"]})
        (trigger,) = await site.shop.store.triggers()
        assert trigger.keys == (key(2),)
        site.shop.till.gate.set()
