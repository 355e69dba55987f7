"""The dashboard as a browser without scripts sees it."""

from __future__ import annotations

import csv
import datetime as dt
import html
import re
import sys
import tracemalloc
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any
from urllib.parse import quote, urljoin
from xml.etree import ElementTree as ET

import aiohttp
import attrs
import pytest
from aiohttp import web
from tests.service.shops import (
    MIDNIGHT,
    Shelf,
    Shop,
    Till,
    finished,
    key,
    open_shop,
)
from tests.web.sites import ACCESS, OPERATE, READ

from catalogsync import Change, Field, MemorySink, Outcome, RefusedError
from catalogsync.catalog.changes import FieldDiff
from catalogsync.config import Lane
from catalogsync.diff.ownership import ManualEdit
from catalogsync.errors import MissingExtraError
from catalogsync.events import Event
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.service import Service
from catalogsync.state import StateError
from catalogsync.state.protocols import FailedProduct, RunRecord
from catalogsync.testing import serve
from catalogsync.web import Access, web_app

HOSTILE = "<script>alert(1)</script>\"' onload=x {{7*7}} \u202e\ud800"
_HIDDEN = re.compile(r'name="(csrf|back|key|next)" value="([^"]*)"')


@attrs.frozen
class Seen:
    """A page as it came."""

    status: int
    url: str
    text: str
    headers: Mapping[str, str]

    def form(self, action: str) -> tuple[str, dict[str, str]]:
        """The address of a form, and the fields that it hides."""
        for form in re.findall(r"<form.*?</form>", self.text, re.DOTALL):
            address = html.unescape(re.search(r'action="([^"]*)"', form)[1])
            if address.endswith(action):
                fields = {k: html.unescape(v) for k, v in _HIDDEN.findall(form)}
                return urljoin(self.url, address), fields
        raise AssertionError(f"no form leads to {action}")


@attrs.frozen
class Browser:
    """Follows links and sends forms, and keeps cookies.

    Attributes:
        shop: What is served.
        url: Where.
        client: What keeps the cookies.
    """

    shop: Shop
    url: str
    client: aiohttp.ClientSession

    async def ask(self, method: str, url: str, **more: Any) -> Seen:
        async with self.client.request(method, url, **more) as response:
            text = await response.text()
            return Seen(response.status, str(response.url), text, response.headers)

    async def open(self, path: str, status: int = 200, **more: Any) -> Seen:
        seen = await self.ask("GET", self.url + path, **more)
        assert seen.status == status, seen.text
        return seen

    async def send(
        self, page: Seen, action: str, status: int = 200, **fields: str
    ) -> Seen:
        """Fill in a form of a page and send it."""
        url, hidden = page.form(action)
        seen = await self.ask("POST", url, data={**hidden, **fields})
        assert seen.status == status, seen.text
        return seen

    async def log_in(self, token: str, path: str = "/login", **more: Any) -> Seen:
        return await self.send(await self.open(path), "login", token=token, **more)


@asynccontextmanager
async def browsing(
    token: str = OPERATE,
    *,
    prefix: str = "",
    access: Access = ACCESS,
    dashboard: bool = True,
    alive_every: float = 15.0,
    **more: Any,
) -> AsyncIterator[Browser]:
    """A shop that is served, and a browser, logged in unless its token is empty."""
    # The server is at an address without a name, whose cookies are not kept else.
    jar = aiohttp.CookieJar(unsafe=True)
    async with open_shop(**more) as shop:
        app = web_app(
            shop.service, access=access, dashboard=dashboard, alive_every=alive_every
        )
        if prefix:
            host = web.Application()
            host.add_subapp(prefix, app)
            app = host
        async with (
            serve(app) as url,
            aiohttp.ClientSession(cookie_jar=jar) as client,
        ):
            browser = Browser(shop, url + prefix, client)
            if token:
                await browser.log_in(token)
            yield browser


async def see_plan(browser: Browser) -> Seen:
    """Have a plan made, and look again until it is ready."""
    seen = await browser.send(await browser.open("/jobs/shelf"), "jobs/shelf/plan")
    while "data-poll" in seen.text:
        seen = await browser.open("/jobs/shelf/plan")
    return seen


@attrs.define
class Picky:
    """A sink that refuses some titles."""

    refused: set[str]
    inner: MemorySink = attrs.field(factory=MemorySink)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def write(self, changes: list[Change], /) -> list[Outcome]:
        for change in changes:
            if change.product.title in self.refused:
                raise RefusedError(f"not {change.product.title}")
        return list(await self.inner.write(changes))


@pytest.mark.parametrize("prefix", ["", "/tools/sync"])
async def test_from_login_to_a_run(prefix: str) -> None:
    """Where it is mounted does not matter."""
    async with browsing("", prefix=prefix) as browser:
        seen = await browser.open("/")
        assert seen.url == f"{browser.url}/login?next="
        seen = await browser.log_in(OPERATE)
        assert seen.url == f"{browser.url}/"
        assert "none yet" in seen.text
        seen = await browser.send(seen, "jobs/shelf/sync")
        assert seen.url == f"{browser.url}/?said=sync"
        assert "Run requested." in seen.text
        store = browser.shop.store
        await store.until(lambda: ("drop_triggers", None) in store.log)
        seen = await browser.open("/jobs/shelf")
        assert '<td><span class="status succeeded">' in seen.text
        (run,) = set(re.findall(r'href="../(runs/[^"]+)"', seen.text))
        assert "5</b> created" in (await browser.open(f"/{run}")).text


async def test_the_prefix_alone_leads_to_the_overview() -> None:
    """A folder's address ends in a slash, else relative links would lead astray."""
    async with browsing(prefix="/sync") as browser:
        assert (await browser.open("")).url == f"{browser.url}/"


PAGES = ["/", "/login", "/jobs/shelf", "/jobs/shelf/failures", "/jobs/none"]


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_lets_in_what_is_not_ours(path: str) -> None:
    """Nothing is inline, and the policy would not have it."""
    async with browsing() as browser:
        seen = await browser.ask("GET", browser.url + path)
        assert seen.headers["Content-Security-Policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self';"
            " img-src 'self'; connect-src 'self'; form-action 'self';"
            " frame-ancestors 'none'; base-uri 'none'"
        )
        assert seen.headers["Cache-Control"] == "no-store"
        assert seen.headers["Referrer-Policy"] == "same-origin"
        assert not re.findall(r"<style|<script(?! src)|style=|\son\w+=", seen.text)
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', seen.text)


@pytest.mark.parametrize("path", PAGES)
async def test_links_and_files_are_there(path: str) -> None:
    """Also from below a prefix."""
    async with browsing(prefix="/a/b") as browser:
        seen = await browser.ask("GET", browser.url + path)
        links = re.findall(r'(?:src|href)="([^"#]+)"', seen.text)
        assert links
        for link in set(links) - {f"../{path[1:]}"}:
            found = await browser.ask("GET", urljoin(seen.url, html.unescape(link)))
            assert found.status == 200, link


async def test_a_job_without_any_run() -> None:
    """Everything says so, and the charts can be drawn."""
    async with browsing() as browser:
        assert "none yet" in (await browser.open("/")).text
        assert "No runs yet." in (await browser.open("/jobs/shelf")).text
        seen = await browser.open("/jobs/shelf/failures")
        assert "No failed products." in seen.text
        chart = await browser.open("/jobs/shelf/charts/created.svg")
        assert "no finished runs yet" in chart.text


async def test_the_first_run_while_it_goes_on() -> None:
    """It is seen on every page, can be cancelled, and has no report yet."""
    till = Till()
    till.gate.clear()
    async with browsing(till=till) as browser:
        run_id = await browser.shop.ask()
        await till.writing.wait()
        for path in ("/", "/jobs/shelf", f"/runs/{run_id}"):
            seen = await browser.open(path)
            assert "Running</label>" in seen.text
            seen.form(f"runs/{run_id}/cancel")
        seen = await browser.send(await browser.open("/"), f"runs/{run_id}/cancel")
        assert "Stopping the run." in seen.text
        till.gate.set()
        store = browser.shop.store
        await store.until(lambda: ("drop_triggers", None) in store.log)
        seen = await browser.open(f"/runs/{run_id}")
        assert "cancelled on demand" in seen.text
        page = Seen(200, seen.url, f"{_cancel(run_id)}{seen.text}", {})
        csrf = (await browser.open("/")).form("sync")[1]["csrf"]
        seen = await browser.send(page, f"runs/{run_id}/cancel", 404, csrf=csrf)
        assert "run not found or already finished" in seen.text


def _cancel(run_id: str) -> str:
    return f'<form action="../runs/{run_id}/cancel"></form>'


CHARTS = ["duration", "speed", "created", "updated", "failed"]


async def test_charts_are_images_without_scripts() -> None:
    """Each has a text alternative, and its numbers are in the table."""
    async with browsing() as browser:
        await browser.shop.run()
        seen = await browser.open("/jobs/shelf")
        images = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', seen.text)
        assert [re.search(r"(\w+)\.svg", src)[1] for src, _ in images] == CHARTS
        assert "Created of 1 run: latest 5, maximum 5" in images[2][1]
        for src, _ in images:
            chart = await browser.ask("GET", urljoin(seen.url, html.unescape(src)))
            assert chart.headers["Content-Type"] == "image/svg+xml"
            assert "prefers-color-scheme: dark" in re.sub(r":(?=d)", ": ", chart.text)
            assert "<script" not in chart.text
            ET.fromstring(chart.text.encode())
        await browser.open("/jobs/shelf/charts/none.svg", 404)


async def test_the_history_can_be_taken_along() -> None:
    """In the same form as on the command line."""
    async with browsing() as browser:
        run_id = await browser.shop.run()
        seen = await browser.open("/jobs/shelf")
        (link,) = re.findall(r'href="([^"]+/runs\.csv)" download', seen.text)
        found = await browser.ask("GET", urljoin(seen.url, link))
        assert found.headers["Content-Type"].startswith("text/csv")
        assert "attachment" in found.headers["Content-Disposition"]
        (row,) = csv.DictReader(found.text.splitlines())
        assert (row["run_id"], row["status"]) == (run_id, "succeeded")
        assert (row["created"], row["batch_most"]) == ("5", "2")


async def test_hostile_texts_stay_texts() -> None:
    """Wherever they come from, and however they are broken."""
    shelf = Shelf(titles={1: HOSTILE.replace("\ud800", ""), 2: "Plain"})
    sink = Picky({shelf.titles[1]})
    async with browsing(shelf=shelf, till=sink) as browser:
        seen = await see_plan(browser)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in seen.text
        run_id = await browser.shop.run()
        for path in ("/", "/jobs/shelf", "/jobs/shelf/failures", f"/runs/{run_id}"):
            seen = await browser.open(path)
            assert "<script>alert" not in seen.text
            assert "{{7*7}}" in seen.text or path in {"/", "/jobs/shelf"}
        seen = await browser.open("/jobs/%3Cscript%3Ealert(1)%3C%2Fscript%3E", 404)
        assert "<script>alert" not in seen.text
        await browser.open("/jobs/shelf/failures?after=%3Cscript%3E", 400)


async def test_half_of_a_surrogate_pair_breaks_no_page() -> None:
    """Such a text cannot be encoded."""
    async with browsing() as browser:
        browser.shop.service.job_state("shelf").problem = HOSTILE
        assert "onload=x {{7*7}}" in (await browser.open("/")).text


@pytest.mark.parametrize("one", [True, False])
async def test_failed_products_are_tried_again(one: bool) -> None:
    """One of them, or all."""
    sink = Picky({"Thing 1", "Thing 2"})
    async with browsing(till=sink) as browser:
        await browser.shop.run()
        seen = await browser.open("/jobs/shelf/failures")
        assert "2 products failed" in seen.text
        assert "not Thing 1" in seen.text
        sink.refused.clear()
        browser.shop.store.log.clear()
        more = {"key": "shelf:1"} if one else {}
        seen = await browser.send(seen, "jobs/shelf/retry", **more)
        assert seen.url.endswith("/jobs/shelf/failures?said=retry")
        store = browser.shop.store
        await store.until(lambda: ("drop_triggers", None) in store.log)
        seen = await browser.open("/jobs/shelf/failures")
        message = "1 product failed" if one else "No failed products."
        assert message in seen.text
        assert ("shelf:2" in seen.text) is one
        assert "shelf:1" not in seen.text


async def test_many_failed_products_come_in_parts() -> None:
    """Each is on one page."""
    failed = [FailedProduct(key=key(number), reason="refused") for number in range(120)]
    async with browsing() as browser:
        await browser.shop.store.put_failures("shelf", failed)
        path, found = "/jobs/shelf/failures", list[str]()
        for expected in (50, 50, 20):
            seen = await browser.open(path)
            keys = re.findall(r"<h2>([^<]+)</h2>", seen.text)
            assert len(keys) == expected
            found += keys
            link = re.search(r'href="([^"]+)">Next', seen.text)
            path = path if link is None else link[1].removeprefix("../..")
        assert len(set(found)) == 120


@pytest.mark.parametrize("path", ["/jobs/shelf/failures", "/api/jobs/shelf/failures"])
async def test_failed_products_are_existing_a_few_at_a_time(path: str) -> None:
    """Only what is shown, of 40 MB."""
    async with browsing() as browser:
        for first in range(0, 4000, 500):
            failed = [
                FailedProduct(key=key(number), reason=f"{number:08}" * 1250)
                for number in range(first, first + 500)
            ]
            await browser.shop.store.put_failures("shelf", failed)
        del failed
        log: Any = deque(maxlen=2)  # else it would keep all that the store answers
        browser.shop.store.log = log
        tracemalloc.start()
        try:
            seen = await browser.open(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert "shelf:1" in seen.text
        assert peak < 25_000_000


async def test_a_plan_writes_nothing() -> None:
    """It shows what a run would do."""
    async with browsing() as browser:
        seen = await see_plan(browser)
        assert seen.text.count("<details") == 5
        assert "Thing 3" in seen.text
        assert "shelf: 5 to create, 0 to update, 0 unchanged" in seen.text
        assert browser.shop.till.titles == {}


async def test_the_plan_that_is_shown_is_applied() -> None:
    """Not what a new run would do."""
    async with browsing() as browser:
        seen = await see_plan(browser)
        browser.shop.shelf.titles = {9: "New"}
        async with finished(browser.shop.service) as end:
            seen = await browser.send(seen, "jobs/shelf/plan/apply")
            assert "The plan will be applied" in seen.text
            assert (await end()).counts.created == 5
        assert "9" not in browser.shop.till.titles
        seen = await browser.open("/jobs/shelf/plan")
        assert "This plan was applied." in seen.text
        assert "Apply this plan" not in seen.text


async def test_a_held_run_is_approved() -> None:
    """On the page of the run, which then says by whom."""
    async with browsing(size=20) as browser:
        shop = browser.shop
        await shop.run()
        shop.shelf.titles = {n: f"#name# {n}" for n in range(20)}
        run_id = await shop.run()
        seen = await browser.open(f"/runs/{run_id}")
        assert "The plan waits for approval" in seen.text
        assert "titles change: 20 of 20" in seen.text
        assert "#name# 7" in seen.text
        async with finished(shop.service) as end:
            seen = await browser.send(seen, f"runs/{run_id}/approve")
            assert (await end()).counts.updated == 20
        assert shop.till.titles["3"] == "#name# 3"
        seen = await browser.open(f"/runs/{run_id}")
        assert "The plan was approved by" in seen.text
        assert "Reject" not in seen.text


async def test_a_held_run_is_rejected() -> None:
    async with browsing(size=20) as browser:
        await browser.shop.run()
        browser.shop.shelf.titles = {n: f"#name# {n}" for n in range(20)}
        run_id = await browser.shop.run()
        seen = await browser.open(f"/runs/{run_id}")
        seen = await browser.send(seen, f"runs/{run_id}/reject")
        assert "The plan is rejected" in seen.text
        assert browser.shop.till.titles["3"] == "Thing 3"


async def test_a_large_plan_comes_in_pages() -> None:
    async with browsing(size=205) as browser:
        found: list[str] = []
        seen = await see_plan(browser)
        while True:
            found += re.findall(r"<b>(shelf:[0-9]+)</b>", seen.text)
            link = re.search(r'href="([^"]+)">Next', seen.text)
            if link is None:
                break
            url = urljoin(seen.url, html.unescape(link[1]))
            seen = await browser.ask("GET", url)
        assert len(found) == len(set(found)) == 205


async def test_a_run_of_one_product_does_not_hide_that_others_fail() -> None:
    """On no page: the products that still fail are shown with its result."""
    async with browsing(till=Picky({"Thing 1", "Thing 2"})) as browser:
        await browser.shop.run()
        run_id = await browser.shop.run(3)
        for path in ("/", "/jobs/shelf", f"/runs/{run_id}"):
            seen = await browser.open(path)
            assert "succeeded</span> <span" in seen.text
            assert "(chosen products)" in seen.text
            assert "2 products of the job still fail" in seen.text


async def test_a_lane_is_shown_with_its_fields() -> None:
    lane = Lane(only=[Field.STOCK, Field.TITLE], schedule="*/5 * * * *")
    async with browsing(lanes=[lane]) as browser:
        await browser.shop.run()
        async with finished(browser.shop.service) as end:
            browser.shop.look(MIDNIGHT + dt.timedelta(minutes=5))
            await end()
        seen = await browser.open("/jobs/shelf")
        assert "(only stock, title)" in seen.text
        assert "(chosen products)" not in seen.text


@pytest.mark.parametrize("name", ["{job}", "a{b}c", "{a:b}", "50%"])
async def test_a_job_of_any_name_has_its_pages(name: str) -> None:
    async with browsing() as browser:
        job = attrs.evolve(browser.shop.service.jobs["shelf"], name=name)
        async with Service(jobs={name: job}, state=browser.shop.store) as service:
            app = web_app(service, access=Access(tokens=ACCESS.tokens))
            async with serve(app) as url:
                other = attrs.evolve(browser, url=url)
                await other.log_in(OPERATE)
                seen = await other.open("/")
                path = f"/jobs/{quote(name, safe='')}"
                assert html.escape(f'href="./{path[1:]}"', quote=False) in seen.text
                seen = await other.open(path)
                async with finished(service) as end:
                    seen = await other.send(seen, "/sync")
                    assert "Run requested." in seen.text
                    await end()
                await other.open(f"{path}/failures")
                await other.open(f"{path}/charts/created.svg")
            service.stop(grace=0)


async def test_the_queue_is_cleared() -> None:
    """Whoever cancels a run hears that the next one begins at once."""
    async with browsing() as browser, finished(browser.shop.service) as end:
        browser.shop.till.gate.clear()
        await browser.shop.ask()
        await browser.shop.till.writing.wait()
        await browser.shop.ask(1)
        seen = await browser.open("/jobs/shelf")
        assert "1 queued trigger" in seen.text
        seen = await browser.send(seen, "/cancel")
        assert "starts right afterwards" in seen.text
        seen = await browser.send(seen, "jobs/shelf/clear")
        assert "Queue cleared." in seen.text
        browser.shop.till.gate.set()
        assert (await end()).event.status == "cancelled"
        await browser.shop.store.idle()
        assert len(await browser.shop.store.runs()) == 1


async def test_the_overview_reads_well() -> None:
    """With spaces between words, plural forms and durations that people read."""
    async with browsing() as browser:
        await browser.shop.run()
        for path in ("/", "/jobs/shelf"):
            seen = await browser.open(path)
            text = " ".join(re.sub(r"<[^>]+>", "", seen.text).split())
            assert re.search(r"succeeded in \d+\.\d\d s|succeeded 20\d\d-", text), text
        (run,) = await browser.shop.store.runs()
        seen = await browser.open(f"/runs/{run.run_id}")
        assert "3 writes" in seen.text
        assert not re.search(
            r"(?<![.\d])1 (writes|requests|retries|products)\b", seen.text
        )


@pytest.mark.parametrize(
    "path", ["/", "/jobs/shelf", "/jobs/shelf/failures", "/runs/x"]
)
async def test_a_state_store_that_is_down(path: str) -> None:
    """The page says so, and does not say that all is well."""
    async with browsing() as browser:
        store = browser.shop.store
        for name in ("run", "runs", "failures"):
            store.faults[name] = StateError("the disk <b>is</b> full")
        seen = await browser.open(path, 503)
        assert "the disk &lt;b&gt;is&lt;/b&gt; full" in seen.text
        assert "<h1>Temporarily unavailable</h1>" in seen.text


async def test_secrets_are_on_no_page() -> None:
    """Not even where the other side repeats them."""
    async with browsing() as browser:
        browser.shop.service.job_state("shelf").problem = f"wrong token {OPERATE}"
        seen = await browser.open("/")
        assert "wrong token ***" in seen.text


async def test_whoever_may_only_look_has_no_buttons() -> None:
    """And cannot do without them either."""
    async with browsing(READ) as browser:
        for path in ("/", "/jobs/shelf"):
            assert "Sync now" not in (await browser.open(path)).text
        fields = {"csrf": (await browser.open("/")).form("logout")[1]["csrf"]}
        url = f"{browser.url}/jobs/shelf/sync"
        seen = await browser.ask("POST", url, data=fields)
        assert seen.status == 403
        assert await browser.shop.store.triggers() == []


async def test_open_on_this_machine_needs_no_login() -> None:
    """There is no login to end, and forms are still protected."""
    async with browsing("", access=Access(open=True)) as browser:
        seen = await browser.open("/")
        assert "Log out" not in seen.text
        url, _ = seen.form("sync")
        assert (await browser.ask("POST", url, data={"csrf": "x"})).status == 403
        await browser.send(seen, "sync")
        strange = {"Host": "shop.example"}
        await browser.open("/", 403, headers=strange)


async def test_without_a_dashboard() -> None:
    """The API is there alone."""
    async with browsing("", dashboard=False) as browser:
        await browser.open("/", 404)
        await browser.open("/login", 404)
        await browser.open("/api/jobs", 401)


async def test_what_the_dashboard_needs_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error says how to fix it."""
    monkeypatch.setitem(sys.modules, "catalogsync.web._pages", None)
    with pytest.raises(MissingExtraError, match=r"catalogsync\[serve\]"):
        async with browsing():
            pass


LITTLE: dict[str, object] = {
    "run_id": "x/y",
    "started_at": 0.0,
    "duration_s": 0.0,
    "counts": {},
}


@pytest.mark.parametrize(
    "report", [None, Report.from_dict({**LITTLE, "status": "failed"})]
)
async def test_a_run_with_little_information(
    report: Report | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process died, or it is from an earlier version."""
    record = RunRecord(
        run_id="x/y", job="gone", source="a", sink="b", started_at=0.0, report=report
    )

    async def tell(_: str) -> RunRecord:
        return record

    async with browsing() as browser:
        monkeypatch.setattr(browser.shop.store, "run", tell, raising=False)
        seen = await browser.open("/runs/x%2Fy")
        assert "Run of gone" in seen.text
        assert ("No report:" in seen.text) is not bool(report)


async def test_manual_edits_are_on_the_page_of_their_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    diff = FieldDiff(path="title", old="Theirs", new="New")
    edit = ManualEdit(key=key(1), diff=diff, kept=True)
    report = Report(
        run_id="x",
        status=RunStatus.SUCCEEDED,
        counts=Counts(),
        started_at=0.0,
        duration_s=1.0,
        manual_edits=(edit,),
    )
    record = RunRecord(
        run_id="x", job="shelf", source="a", sink="b", started_at=0.0, report=report
    )

    async def load(_: str) -> RunRecord:
        return record

    async with browsing() as browser:
        monkeypatch.setattr(browser.shop.store, "run", load, raising=False)
        seen = await browser.open("/runs/x")
        assert "Theirs" in seen.text


async def test_a_page_beside_the_api_costs_no_rights() -> None:
    """The tokens of the API are for the API."""
    async with browsing("") as browser:
        headers = {"Authorization": f"Bearer {OPERATE}"}
        seen = await browser.open("/", headers=headers)
        assert seen.url.endswith("/login?next=")


def test_the_script_follows_events_that_exist() -> None:
    script = resources.files("catalogsync.web").joinpath("static/dashboard.js")
    lists = re.findall(r"const (?:KINDS|WORKED) = .*?;", script.read_text(), re.DOTALL)
    kinds = set(re.findall(r'"(\w+)"', "".join(lists)))
    unseen = {
        *("RequestSent", "PassRepeated", "ReferencesWritten"),
        "ProductsWritten",  # no page gets lists of products
    }
    assert kinds == {each.__name__ for each in Event.__subclasses__()} - unseen
