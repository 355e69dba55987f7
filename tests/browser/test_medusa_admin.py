"""The plugin for Medusa's admin: real clicks, a real Medusa, a real service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import attrs
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from tests.conftest import RealStore
from tests.real import STORE

from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.dummyjson import Records, dummyjson_app
from catalogsync.testing.servers import serve

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Locator, Page, Response, Route

pytestmark = pytest.mark.patient

TOKEN = "browser-tests-token-5f3c"
JOB = "products"
PRODUCTS = 250
FOUND_AT_ONCE = 210  # in groups of 30, 60 and 120
CHANGED = 45
GREY = '<svg xmlns="http://www.w3.org/2000/svg" style="background:lightgrey"/>'
ROUTES = [
    ("GET", "/admin/catalogsync"),
    ("GET", "/admin/catalogsync/runs"),
    ("POST", "/admin/catalogsync/runs"),
]


@attrs.frozen
class Shop:
    """A store with the plugin, and the port where it looks for the service."""

    store: RealStore
    port: int

    @property
    def url(self) -> str:
        return self.store.facts["url"]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("store")
    command = ["node", "store.mjs", "start", "--json", "--admin", "--data", f"{folder}"]
    settings = {
        "CATALOGSYNC_URL": f"http://127.0.0.1:{port}",
        "CATALOGSYNC_TOKEN": TOKEN,
        "CATALOGSYNC_JOB": JOB,
    }
    with subprocess.Popen(
        command,
        cwd=STORE,
        env={**os.environ, **settings},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        assert line, "the store has ended; its words above say why"
        yield Shop(RealStore(process, json.loads(line)), port)
        process.stdin.close()


@attrs.frozen
class Supplier:
    """Where the products come from; it keeps the last ones until there may be `more`."""

    url: str
    records: Records
    more: asyncio.Event


@pytest.fixture
async def supplier() -> AsyncIterator[Supplier]:
    records = Records(generate_catalog(PRODUCTS, awkward=False))
    more = asyncio.Event()

    @web.middleware
    async def hold(request: web.Request, handler: Handler) -> web.StreamResponse:
        if int(request.query.get("skip", "0")) > FOUND_AT_ONCE:
            await more.wait()
        return await handler(request)

    app = dummyjson_app(records)
    app.middlewares.append(hold)
    async with serve(app) as url:
        yield Supplier(url, records, more)


@attrs.frozen
class Service:
    """Starts `catalogsync serve` for the store."""

    shop: Shop
    source: str
    folder: Path

    @contextlib.contextmanager
    def running(
        self, *, token: str = TOKEN, role: str = "operate", job: str = JOB
    ) -> Generator[None]:
        facts = self.shop.store.facts
        config = self.folder / "catalogsync.toml"
        config.write_text(
            f"""
            [serve]
            port = {self.shop.port}
            tokens.medusa = {{ token = "{token}", role = "{role}" }}

            [jobs.{job}]
            source = {{ type = "dummyjson", url = "{self.source}" }}
            options.batch_size = 50

            [jobs.{job}.sink]
            type = "medusa"
            url = "{facts["url"]}"
            email = "{facts["email"]}"
            password = "{facts["password"]}"
            """
        )
        command = [sys.executable, "-m", "catalogsync", "serve", "--config"]
        with subprocess.Popen(
            [*command, f"{config}"], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            assert process.stdout.readline().split()[1:3] == ["listening", "on"]
            try:
                yield
            finally:
                process.terminate()
                process.stdout.read()


@pytest.fixture
def service(shop: Shop, supplier: Supplier, tmp_path: Path) -> Service:
    shop.store.do("empty")
    return Service(shop, supplier.url, tmp_path)


@pytest.fixture
async def answers(context: BrowserContext) -> list[Response]:
    """All that the browser is sent."""
    answers: list[Response] = []

    def keep(answer: Response) -> None:
        answers.append(answer)

    context.on("response", keep)
    return answers


@pytest.fixture
async def page(context: BrowserContext, shop: Shop, answers: list[Response]) -> Page:
    """The login page; pictures from elsewhere are grey."""

    async def paint(route: Route) -> None:
        await route.fulfill(content_type="image/svg+xml", body=GREY)

    await context.route("https://**/*", paint)
    page = await context.new_page()
    await page.goto(shop.store.facts["admin_url"])
    return page


async def log_in(page: Page, shop: Shop) -> Locator:
    """Go to the products; gives the widget above them."""
    await page.get_by_placeholder("Email").fill(shop.store.facts["email"])
    await page.get_by_placeholder("Password").fill(shop.store.facts["password"])
    await page.get_by_role("button", name="Continue with Email").click()
    await page.get_by_role("link", name="Products").click()
    widget = page.get_by_role("region", name="Catalog sync")
    await widget.wait_for()
    return widget


async def sees(place: Page | Locator, *texts: str) -> None:
    for text in texts:
        await place.get_by_text(text, exact=True).first.wait_for()


async def keep_picture(page: Page, name: str) -> None:
    """Take a picture for the documentation, if requested."""
    if folder := os.environ.get("CATALOGSYNC_PICTURES"):
        await page.screenshot(path=Path(folder, name), animations="disabled")


async def assert_secret(answers: list[Response]) -> None:
    """See to it that the token is in nothing that the browser was sent."""
    read = ""
    for answer in answers:
        assert TOKEN not in f"{await answer.all_headers()}", answer.url
        if answer.ok or answer.status >= 400:
            assert TOKEN.encode() not in await answer.body(), answer.url
            read += f"{answer.url}\n"
    assert ".js\n" in read
    assert "/admin/catalogsync\n" in read


async def test_a_sync_is_started_and_watched(
    service: Service,
    shop: Shop,
    supplier: Supplier,
    page: Page,
    answers: list[Response],
) -> None:
    with service.running():
        widget = await log_in(page, shop)
        await sees(widget, "Never run")
        await sees(page, "No records")

        await widget.get_by_role("button", name="Sync now").click()
        await sees(widget, "Running", f"{FOUND_AT_ONCE} of {PRODUCTS} products done")
        assert await widget.get_by_role("button", name="Sync now").is_disabled()

        supplier.more.set()
        await sees(widget, "Succeeded", f"{PRODUCTS}")
        assert await widget.get_by_role("progressbar").count() == 0
        await sees(page, f"20 of {PRODUCTS} results")
        await keep_picture(page, "medusa-widget.png")

        for record in supplier.records[:CHANGED]:
            record["title"] = f"New {record['title']}"
        await widget.get_by_role("link", name="History").click()
        table = page.get_by_role("table", name="Run history")
        await sees(table, "Succeeded")
        await page.get_by_role("button", name="Sync now").click()
        await sees(table, f"{CHANGED}")
        assert await table.get_by_role("row").count() == 3
        for chart in ("Products changed", "Duration"):
            bars = page.get_by_role("img", name=chart).locator("g")
            assert await bars.count() == 2
        await keep_picture(page, "medusa-history.png")
    await assert_secret(answers)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (None, "The catalogsync service does not answer. Is it running?"),
        (
            {"token": "another-token-9a1b2c3d"},
            "The catalogsync service refused our token. Check CATALOGSYNC_TOKEN.",
        ),
        (
            {"job": "others"},
            "The catalogsync service has no job named products. Check CATALOGSYNC_JOB.",
        ),
    ],
    ids=["down", "token", "job"],
)
async def test_what_is_wrong_is_said(
    settings: dict[str, str] | None,
    text: str,
    service: Service,
    shop: Shop,
    page: Page,
    answers: list[Response],
) -> None:
    with service.running(**settings) if settings else contextlib.nullcontext():
        widget = await log_in(page, shop)
        await widget.get_by_role("alert").filter(has_text=text).wait_for()
        assert await widget.get_by_role("button", name="Sync now").is_disabled()
        await page.get_by_role("link", name="Products").wait_for()  # still logged in
    await assert_secret(answers)


async def test_a_token_that_may_only_read(
    service: Service, shop: Shop, page: Page, answers: list[Response]
) -> None:
    with service.running(role="read"):
        widget = await log_in(page, shop)
        await widget.get_by_role("button", name="Sync now").click()
        await sees(
            page,
            "Our token may look but not start a sync: it needs the role operate.",
        )
        await sees(widget, "Never run")
    await assert_secret(answers)


def test_the_built_admin_holds_no_secret(shop: Shop) -> None:
    built = STORE / ".admin" / ".medusa" / "server" / "public"
    texts = [file.read_bytes() for file in built.rglob("*") if file.is_file()]
    assert any(b"/admin/catalogsync" in text for text in texts)
    for text in texts:
        assert TOKEN.encode() not in text
        assert b"CATALOGSYNC_" not in text


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_strangers_get_nothing(
    method: str, path: str, service: Service, shop: Shop
) -> None:
    key = {"x-publishable-api-key": shop.store.facts["publishable_key"]}
    with service.running():
        async with (
            aiohttp.ClientSession(shop.url, headers=key) as session,
            session.request(method, path) as answer,
        ):
            assert answer.status == 401
            assert await answer.json() == {"message": "Unauthorized"}
