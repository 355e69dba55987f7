"""Requests of adapters as events of the run in whose name they are sent."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from aiohttp import web
from tests.integrations.happenings import HAPPENINGS, finished
from yarl import URL

from catalogsync import CatalogSyncError, MemorySink, RunStatus, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.events import Event, Request, RequestSent, observe_requests
from catalogsync.http._client import HttpOptions, open_http
from catalogsync.testing import dummyjson_server, generate_catalog, serve


async def _answer(request: web.Request) -> web.Response:
    status = int(request.query.get("status", 200))
    headers = {"Location": "/elsewhere"} if status == 301 else {}
    return web.Response(status=status, body=b"12345", headers=headers)


async def requests_of(*queries: str, body: bytes | None = None) -> list[Request]:
    """The reported requests with these queries."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", _answer)
    reported: list[Request] = []
    async with (
        serve(app) as url,
        open_http(URL(f"{url}/base"), HttpOptions()) as client,
    ):
        with observe_requests(reported.append):
            for query in queries:
                with suppress(CatalogSyncError):
                    await client.send("POST", "/a%20b", query=query, body=body)
        await client.send("GET", "/not-observed")
    return reported


async def test_a_request_is_reported_with_its_response() -> None:
    """Its query is not: secrets may be in it."""
    (request,) = await requests_of("token=s3cr3t", body=b"{}")
    assert (request.method, request.host) == ("POST", "127.0.0.1")
    assert request.path == "/base/a%20b"
    assert (request.status, request.sent, request.received) == (200, 2, 5)
    assert request.seconds > 0
    assert "s3cr3t" not in repr(request)


async def test_a_refusal_has_a_status_and_what_cannot_be_used_has_none() -> None:
    reported = await requests_of("status=404", "status=301")
    assert [(r.status, r.received) for r in reported] == [(404, 5), (None, 0)]


async def test_no_answer_at_all() -> None:
    reported: list[Request] = []
    async with serve(web.Application()) as url:
        pass
    async with open_http(URL(url), HttpOptions()) as client:
        with observe_requests(reported.append), suppress(CatalogSyncError):
            await client.send("GET", "/")
    assert [request.status for request in reported] == [None]


async def test_runs_that_share_an_adapter_hear_of_their_own_requests() -> None:
    async with (
        dummyjson_server(generate_catalog(25, awkward=False)) as server,
        DummyJSONSettings(url=server.url, page_size=10).open() as source,
    ):
        heard: list[list[Event]] = [[], []]
        async with asyncio.TaskGroup() as group:
            runs = [
                group.create_task(sync(source, MemorySink(), hooks=[events.append]))
                for events in heard
            ]
    for run, events in zip(runs, heard, strict=True):
        requests = [event for event in events if isinstance(event, RequestSent)]
        assert {event.run_id for event in requests} == {run.result().run_id}
        received = sum(event.request.received for event in requests)
        assert received == run.result().bytes_received > 0
    assert sum(isinstance(e, RequestSent) for events in heard for e in events) == len(
        server.requests
    )


@pytest.mark.parametrize(
    "event",
    [*HAPPENINGS, finished(RunStatus.SUCCEEDED)],
    ids=lambda e: type(e).__name__,
)
def test_an_event_can_be_a_key(event: Event) -> None:
    """For hooks that keep what they made of it."""
    assert {event: "seen"}[event] == "seen"
