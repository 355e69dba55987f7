"""The dashboard: real clicks on real runs, from DummyJSON into SQLite."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from playwright.async_api import expect
from tests.web.sites import ACCESS, OPERATE

from catalogsync import Job, Options, StateSettings
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.schedule import Schedule
from catalogsync.service import Service
from catalogsync.state.protocols import RunRecord, StateStore
from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.dummyjson import Records, dummyjson_app
from catalogsync.testing.servers import serve
from catalogsync.web import Access, web_app

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Locator, Page

AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
pytestmark = pytest.mark.patient

PRODUCTS = 600
AT_ONCE = 350  # in groups of 50, 100 and 200
HOSTILE = "<img src=x onerror=alert(1)>"
expect.set_options(timeout=30_000)  # a whole run may have to end within


@attrs.frozen
class Board:
    """A served dashboard of a job from a supplier into a database.

    Attributes:
        url: Its address.
        store: The state store.
        service: Runs the job.
        records: What the supplier has; changed before the first run.
        gate: Shut it to keep the supplier's last pages back.
    """

    url: str
    store: StateStore
    service: Service
    records: Records
    gate: asyncio.Event

    async def run(self) -> str:
        """Carry out a run; gives its id."""
        with self.service.feed.reading() as reader:
            run_id = await self.service.trigger("products")
            async for item in reader:
                if type(item.event).__name__ == "RunFinished":
                    return run_id
        raise AssertionError("the service ended")


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    gate = asyncio.Event()
    gate.set()

    @web.middleware
    async def hold(request: web.Request, handler: Handler) -> web.StreamResponse:
        if int(request.query.get("skip", "0")) > AT_ONCE:
            await gate.wait()
        return await handler(request)

    records = Records(generate_catalog(PRODUCTS, awkward=False))
    source = dummyjson_app(records)
    source.middlewares.append(hold)
    async with serve(source) as supplier, StateSettings().open() as store:
        job = Job(
            name="products",
            source=DummyJSONSettings(url=supplier, page_size=50, max_requests=0),
            sink=SQLSettings(url=f"sqlite:///{tmp_path}/catalog.db"),
            options=Options(batch_size=10),
            schedule=Schedule(cron="0 3 * * *"),
        )
        async with Service(jobs={job.name: job}, state=store) as service:
            access = Access(tokens=ACCESS.tokens)
            app = web.Application()
            app.add_subapp("/sync", web_app(service, access=access))
            async with serve(app) as url:
                yield Board(f"{url}/sync", store, service, records, gate)


@pytest.fixture
async def page(context: BrowserContext, board: Board) -> AsyncIterator[Page]:
    """The overview, logged in; whatever breaks on its way is an error."""
    page = await context.new_page()
    wrong = watch(page)
    await log_in(page, board)
    yield page
    assert wrong == []


def watch(page: Page) -> list[str]:
    """What goes wrong in a page: scripts, inline code, files, and dialogs.

    That somebody is not logged in any more is not wrong.
    """
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"{error}"))
    page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))

    def hear(message: Any) -> None:
        if message.type == "error" and "401" not in message.text:
            wrong.append(message.text)

    page.on("console", hear)
    return wrong


async def log_in(page: Page, board: Board) -> None:
    await page.goto(f"{board.url}/")
    await page.get_by_label("Token").fill(OPERATE)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name)


async def mark(page: Page) -> Callable[[], Awaitable[None]]:
    """A function that asserts that the page was not reloaded."""
    await page.evaluate("window.marked = true")

    async def check() -> None:
        assert await page.evaluate("window.marked")

    return check


async def keep_picture(page: Page, name: str) -> None:
    """Take a picture for the documentation, if requested."""
    if folder := os.environ.get("CATALOGSYNC_PICTURES"):
        await page.screenshot(path=Path(folder, name), animations="disabled")


async def test_a_run_is_started_and_watched(board: Board, page: Page) -> None:
    """Without reloading the page, from the button to the end."""
    board.gate.clear()
    same = await mark(page)
    await expect(page.get_by_text("none yet")).to_be_visible()
    await button(page, "Sync now").click()
    await expect(page.get_by_text("Run requested.")).to_be_visible()
    await expect(page.locator('[data-count="created"]')).to_have_text(f"{AT_ONCE}")
    bar = page.get_by_role("progressbar", name="Running")
    assert await bar.evaluate("bar => [bar.value, bar.max]") == [AT_ONCE, PRODUCTS]
    await expect(page.locator("#said")).to_have_text("products: 50 percent")

    board.gate.set()
    await expect(page.get_by_text("succeeded", exact=True)).to_be_visible()
    await expect(bar).to_have_count(0)
    created = page.get_by_text(f"{PRODUCTS} created", exact=True)
    await expect(created).to_be_visible()
    await expect(page.locator("#said")).to_contain_text("products: succeeded")
    await expect(button(page, "Sync now")).to_be_focused()
    await same()

    await page.get_by_role("definition").get_by_role("link").first.click()
    await expect(page.get_by_role("heading", name="Run of products")).to_be_visible()
    await expect(page.get_by_role("row", name="write")).to_be_visible()


async def test_history_and_charts(board: Board, page: Page) -> None:
    """The page of a job grows with each run."""
    await board.run()
    await page.get_by_role("link", name="products").click()
    await expect(page.get_by_role("row")).to_have_count(2)
    same = await mark(page)
    await board.run()
    await expect(page.get_by_role("row")).to_have_count(3)
    await same()
    charts = page.get_by_role("img")
    await expect(charts).to_have_count(5)
    for chart in await charts.all():
        await expect(chart).not_to_have_js_property("naturalWidth", 0)
    alt = f"Created of 2 runs: latest 0, maximum {PRODUCTS}"
    await expect(page.get_by_role("img", name=alt)).to_be_visible()


async def test_a_failed_product_is_tried_again(board: Board, page: Page) -> None:
    """Once it succeeds it leaves the page; its title runs no script."""
    for record in board.records[:2]:
        record.update(title=HOSTILE, price=-1)
    await board.run()
    await page.get_by_role("link", name="2", exact=True).click()
    failed = page.get_by_role("listitem")
    await expect(failed).to_have_count(2)
    await expect(failed.first).to_contain_text("price")
    same = await mark(page)

    board.records[0]["price"] = 1
    await failed.first.get_by_role("button", name="Retry").click()
    await expect(failed).to_have_count(1)
    await expect(page.locator("#main")).to_be_focused()
    board.records[1]["price"] = 1
    await button(page, "Retry all").click()
    await expect(page.get_by_text("No failed products.")).to_be_visible()
    await same()


async def test_a_run_is_cancelled(board: Board, page: Page) -> None:
    """It ends gracefully, and the report says that it was cancelled."""
    board.gate.clear()
    await button(page, "Sync now").click()
    await button(page, "Cancel").click()
    await expect(page.get_by_text("Stopping the run.")).to_be_visible()
    board.gate.set()
    await expect(page.get_by_text("cancelled on demand")).to_be_visible()
    await expect(button(page, "Cancel")).to_have_count(0)


async def test_a_plan_is_shown(board: Board, page: Page) -> None:
    """Nothing is written; each change can be unfolded."""
    board.records[0]["title"] = HOSTILE
    await page.get_by_role("link", name="products").click()
    await button(page, "Preview changes").click()
    await expect(page.get_by_text("nothing was written.")).to_be_visible()
    change = page.get_by_role("group").filter(has_text=HOSTILE)
    await change.get_by_text("create").click()
    await expect(change.get_by_role("row", name="title")).to_contain_text(HOSTILE)
    assert await board.store.runs() == []


async def test_the_keyboard_does(board: Board, page: Page) -> None:
    """Past what all pages have, to the button, and through to the result."""
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    for _ in range(5):
        await page.keyboard.press("Tab")
        if await button(page, "Sync now").evaluate("e => e === document.activeElement"):
            break
    outline = "e => getComputedStyle(e).outlineStyle"
    assert await button(page, "Sync now").evaluate(outline) == "solid"
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("succeeded", exact=True)).to_be_visible()
    await expect(button(page, "Sync now")).to_be_focused()


async def test_without_scripts(board: Board, context: BrowserContext) -> None:
    """All works, with a page for each step."""
    plain = await browser_of(context).new_context(java_script_enabled=False)
    page = await plain.new_page()
    board.records[0]["price"] = -1
    await log_in(page, board)
    await button(page, "Sync now").click()
    await expect(page.get_by_text("Run requested.")).to_be_visible()
    while not await page.get_by_text("degraded", exact=True).count():
        await page.get_by_role("link", name="Refresh").click()
    await page.get_by_role("link", name="products").click()
    await expect(page.get_by_role("img")).to_have_count(5)
    await page.get_by_role("link", name="1", exact=True).click()
    await expect(page.get_by_role("listitem")).to_contain_text("price")
    board.records[0]["price"] = 1
    await button(page, "Retry all").click()
    while await page.get_by_role("listitem").count():
        await page.get_by_role("link", name="Refresh").click()
    await button(page, "Log out").click()
    await expect(page.get_by_label("Token")).to_be_visible()


async def test_a_stream_that_cannot_be_had(board: Board, page: Page) -> None:
    """The page says so, and its buttons work."""
    board.service.feed.most = 0
    context = page.context
    page = await context.new_page()
    await page.goto(f"{board.url}/")
    await expect(page.get_by_text("Live updates lost")).to_be_visible()
    await button(page, "Sync now").click()
    await expect(page.get_by_text("Run requested.")).to_be_visible()


async def test_a_session_that_ended(board: Board, page: Page) -> None:
    """A button leads to the login page, and that leads back."""
    async with page.expect_request_finished(lambda r: r.resource_type == "fetch"):
        await page.get_by_role("link", name="products").click()
    await page.context.clear_cookies()
    await button(page, "Sync now").click()
    await expect(page.get_by_label("Token")).to_be_visible()
    assert await board.store.runs() == []


def browser_of(context: BrowserContext) -> Browser:
    assert context.browser
    return context.browser


async def fill(board: Board) -> list[str]:
    """Runs, a failed product and a warning; gives the pages that show them."""
    board.records[0].update(title=HOSTILE, price=-1)
    board.records[1].update(stock="many")
    board.records[2].update(title="")
    await history(board.store)
    run_id = await board.run()
    return [
        *("", "jobs/products", "jobs/products/failures", f"runs/{run_id}"),
        *("runs/none", "login"),
    ]


async def history(store: StateStore) -> None:
    """Runs of the days before."""
    for day in range(20):
        run_id, began = f"earlier-{day}", time.time() + (day - 21) * 86400
        counts = Counts(
            fetched=PRODUCTS,
            created=PRODUCTS if day == 0 else day % 4,
            updated=7 * day % 11 if day else 0,
            failed=2 if day in {6, 7} else 0,
        )
        rest = PRODUCTS - counts.created - counts.updated - counts.failed
        report = Report(
            run_id=run_id,
            job="products",
            status=RunStatus.DEGRADED if counts.failed else RunStatus.SUCCEEDED,
            counts=attrs.evolve(counts, unchanged=rest),
            started_at=began,
            duration_s=2.5 + 5 * day % 7 / 3,
        )
        record = RunRecord(
            run_id=run_id,
            job="products",
            source="dummyjson",
            sink="sql",
            started_at=began,
        )
        await store.begin_run(record)
        await store.end_run(report)


async def violations(page: Page) -> list[str]:
    """What axe finds."""
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("axe.run()")
    return [
        f"{each['id']}: {node['html']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_it(
    board: Board, context: BrowserContext, scheme: Any, width: int
) -> None:
    """No page fails an accessibility check or is wider than the window."""
    pages = await fill(board)
    size: Any = {"width": width, "height": 800}
    context = await browser_of(context).new_context(color_scheme=scheme, viewport=size)
    page = await context.new_page()
    await page.goto(f"{board.url}/")
    assert await violations(page) == []
    await log_in(page, board)
    for path in pages:
        await page.goto(f"{board.url}/{path}")
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert await violations(page) == [], path
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path
    board.records[40]["title"] = "New"
    await page.goto(f"{board.url}/jobs/products")
    await button(page, "Preview changes").click()
    await page.locator("summary").first.click()
    assert await violations(page) == []

    board.gate.clear()
    await page.goto(f"{board.url}/")
    await button(page, "Sync now").click()
    await expect(page.get_by_role("progressbar")).to_be_visible()
    assert await violations(page) == []
    board.gate.set()
    await expect(page.get_by_role("progressbar")).to_have_count(0)


async def test_pictures(board: Board, context: BrowserContext) -> None:
    """What the documentation shows."""
    await fill(board)
    page = await context.new_page()
    await page.set_viewport_size({"width": 1280, "height": 480})
    await log_in(page, board)
    board.gate.clear()
    await button(page, "Sync now").click()
    await expect(page.locator('[data-count="done"]')).to_have_text(f"{AT_ONCE - 3}")
    await keep_picture(page, "dashboard-overview.png")
    board.gate.set()
    await expect(page.get_by_role("progressbar")).to_have_count(0)
    await page.set_viewport_size({"width": 1280, "height": 960})
    await page.goto(f"{board.url}/jobs/products")
    await keep_picture(page, "dashboard-job.png")
    await page.set_viewport_size({"width": 1280, "height": 760})
    await page.goto(f"{board.url}/jobs/products/failures")
    await keep_picture(page, "dashboard-failures.png")
    size: Any = {"width": 360, "height": 800}
    context = await browser_of(context).new_context(color_scheme="dark", viewport=size)
    page = await context.new_page()
    await log_in(page, board)
    await page.goto(f"{board.url}/jobs/products")
    await keep_picture(page, "dashboard-dark-360.png")
