"""Proposals for APIs: what they read must be everything, whatever the pages are like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.adapters.api_runs import api_with, record, things

from catalogsync import (
    MemorySink,
    MisconfiguredError,
    RunStatus,
    UnauthorizedError,
    sync,
)
from catalogsync.adapters.json_api import sniff
from catalogsync.config import load_config
from catalogsync.mapping import Proposal
from catalogsync.testing import dummyjson_server, generate_catalog
from catalogsync.testing.api import APIStyle
from catalogsync.testing.servers import serve

STYLES = ("none", "offset", "page", "cursor", "next", "link")


async def proposed(address: str) -> Proposal:
    found = await sniff(address)
    assert found is not None
    return found


async def ids_of(proposal: Proposal, address: str, folder: Path) -> list[str]:
    """The ids of the products that a proposal reads, as a job that is written down."""
    file = folder / "catalogsync.toml"
    file.write_text(proposal.toml("shop", address), encoding="utf-8")
    job = load_config(file).job("shop")
    sink = MemorySink()
    async with job.open_source() as source:
        report = await sync(source, sink)
    assert report.status is RunStatus.SUCCEEDED, str(report)
    return [key.id for key in sink.products]


@pytest.mark.parametrize("paging", STYLES)
@pytest.mark.parametrize("total", [True, False])
async def test_the_proposal_reads_everything(
    paging: Any, total: bool, tmp_path: Path
) -> None:
    records = [record(n, price=f"{n}.50 EUR") for n in range(1, 46)]
    style = APIStyle(paging=paging, total=total, largest=20)
    async with api_with(records, style) as api:
        proposal = await proposed(f"{api.url}/products")
        found = await ids_of(proposal, f"{api.url}/products", tmp_path)
    assert sorted(map(int, found)) == [*range(1, 46)]
    text = proposal.toml("shop", api.url)
    assert 'items = "data"' in text
    assert ('total = "meta.total"' in text) is total
    assert (f'style = "{paging}"' in text) is (paging != "none")


async def test_a_live_api(tmp_path: Path) -> None:
    async with dummyjson_server(generate_catalog(70, awkward=False)) as server:
        proposal = await proposed(f"{server.url}/products")
        found = await ids_of(proposal, f"{server.url}/products", tmp_path)
    assert len(found) == 70
    paging = '{ style = "offset", parameter = "skip", size_parameter = "limit" }'
    assert proposal.settings == (
        'items = "products"',
        'total = "total"',
        f"paging = {paging}",
        'lookup = "/products/{id}"',
    )
    assert "pages: `skip=30` begins with another record" in proposal.facts
    assert any("which currency?" in each for each in proposal.questions)


async def test_pages_that_nobody_knows_of_are_asked_for() -> None:
    """The API ignores every parameter, so its 30 records may be all or not."""

    async def listed(_: web.Request) -> web.Response:
        return web.json_response(things(30))

    app = web.Application()
    app.router.add_get("/all", listed)
    async with serve(app) as url:
        proposal = await proposed(f"{url}/all")
    assert "paging" not in proposal.toml("shop", url).split("#")[0]
    assert "are there more pages?" in proposal.questions[0]


@pytest.mark.parametrize("body", ["{}", "[1, 2]", "no json", '{"data": []}'])
async def test_what_is_no_list_of_objects(body: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/", answer)
    async with serve(app) as url:
        assert await sniff(f"{url}/") is None


async def test_records_without_a_key() -> None:
    async with api_with([{"id": 1, "x": 2}], APIStyle()) as api:
        with pytest.raises(MisconfiguredError, match="the fields are: `id`, `x`"):
            await sniff(f"{api.url}/products")


async def test_an_api_with_a_lock() -> None:
    async with api_with(things(3), APIStyle(auth="bearer")) as api:
        with pytest.raises(UnauthorizedError, match="credentials"):
            await sniff(f"{api.url}/products")
