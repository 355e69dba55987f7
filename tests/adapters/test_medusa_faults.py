"""The Medusa sink when answers get lost, and the server is busy or forgets us."""

from __future__ import annotations

import copy
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
from yarl import URL

from catalogsync import Options, Report, RetryPolicy, RunStatus, UnauthorizedError, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.adapters.medusa.client import Login, MedusaClient
from catalogsync.events import BatchWritten, Event
from catalogsync.http import HttpOptions
from catalogsync.http._client import HttpClient, open_http
from catalogsync.testing import FakeMedusa, FaultPlan, dummyjson_server, fake_medusa
from catalogsync.testing.faults import bad_gateway, lost, reset, status, truncated

Records = list[dict[str, Any]]
OPTIONS = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0), batch_size=15)
BATCH = "/admin/products/batch"


@asynccontextmanager
async def opened(
    fake: FakeMedusa, records: Records, **settings: Any
) -> AsyncIterator[tuple[Any, MedusaSink]]:
    login = {"email": fake.email, "password": fake.password, **settings}
    async with (
        dummyjson_server(copy.deepcopy(records)) as server,
        DummyJSONSettings(url=server.url).open() as source,
        MedusaSettings(url=fake.url, **login).open() as sink,
    ):
        yield source, sink


async def synced(fake: FakeMedusa, records: Records, **settings: Any) -> Report:
    async with opened(fake, records, **settings) as (source, sink):
        return await sync(source, sink, options=OPTIONS)


def external_ids(fake: FakeMedusa) -> list[str]:
    return [row["external_id"] for row in fake.state.products.values()]


@pytest.mark.parametrize(
    "fault",
    [
        lost("POST", f"{BATCH}*", on=[1, 4, 7]),
        reset("POST", f"{BATCH}*", on=[1, 4, 7]),
        status(503, "POST", f"{BATCH}*", on=[2, 3]),
        status(429, "POST", f"{BATCH}*", on=2, headers={"Retry-After": "0"}),
        status(500, "POST", f"{BATCH}*", on=2),
        bad_gateway("POST", f"{BATCH}*", on=[2, 5]),
        truncated("POST", f"{BATCH}*", on=[3], keep=100),
        lost("POST", "/admin/inventory-items/*", on=[2, 3]),
        lost("POST", "/admin/product-categories*", on=[1, 5]),
        lost("POST", "/admin/product-tags*", on=[1, 50]),
        truncated("GET", "/admin/products?*", on=[1], keep=20),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.path}",
)
async def test_nothing_doubles_and_nothing_is_lost(
    fault: Any, real_records: Records
) -> None:
    async with fake_medusa(faults=(plan := FaultPlan(fault))) as fake:
        report = await synced(fake, real_records)
        assert plan.injected
        assert report.status is RunStatus.SUCCEEDED, str(report)
        assert (report.counts.created, report.categories.created) == (194, 24)
        ids = external_ids(fake)
        assert len(ids) == len(set(ids)) == 194
        again = await synced(fake, real_records)
        assert (again.counts.unchanged, again.writes) == (194, 0)


async def test_a_token_is_renewed_before_it_ends(real_records: Records) -> None:
    """With less than five minutes left, each request gets a new one."""
    async with fake_medusa(token_lifetime=200) as fake:
        report = await synced(fake, real_records)
        assert (report.counts.created, report.retries) == (194, 0)
        paths = [request.path for request in fake.requests]
        assert paths.count("/auth/user/emailpass") == 1
        assert paths.count("/auth/token/refresh") > report.writes


async def test_a_token_that_ends_on_the_way_is_replaced() -> None:
    """A slow network, or a machine that slept: nothing is wrong with the login."""
    now = [1_800_000_000.0]

    class Late(Login):
        async def headers(self, http: HttpClient) -> Mapping[str, str]:
            headers = await super().headers(http)
            if not late:
                late.append(True)
                now[0] += 60
            return headers

    late: list[bool] = []
    async with (
        fake_medusa(token_lifetime=60, clock=lambda: now[0]) as fake,
        open_http(URL(fake.url), HttpOptions()) as http,
    ):
        login = Late(fake.email, fake.password, clock=lambda: now[0])
        client = MedusaClient(http, login)
        assert (await client.get("/admin/stores"))["stores"]
        paths = [request.path for request in fake.requests]
        assert paths.count("/auth/user/emailpass") == 2


async def test_a_clock_that_is_days_ahead_renews_no_token() -> None:
    async with (
        fake_medusa() as fake,
        open_http(URL(fake.url), HttpOptions()) as http,
    ):
        ahead = Login(fake.email, fake.password, clock=lambda: time.time() + 1e6)
        client = MedusaClient(http, ahead)
        for _ in range(3):
            await client.get("/admin/stores")
        paths = [request.path for request in fake.requests]
        assert [path.startswith("/auth") for path in paths] == [
            True,
            False,
            False,
            False,
        ]


async def test_a_token_that_is_forgotten_is_replaced(real_records: Records) -> None:
    async with fake_medusa() as fake, opened(fake, real_records) as (source, sink):

        def forget(event: Event) -> None:
            if isinstance(event, BatchWritten):
                fake.forget_tokens()

        report = await sync(source, sink, options=OPTIONS, hooks=[forget])
        assert (report.counts.created, report.retries) == (194, 0)


async def test_a_key_that_stops_working_for_a_while(real_records: Records) -> None:
    """While its database is down, Medusa answers 401 to a good key."""
    plan = FaultPlan(status(401, "POST", f"{BATCH}*", on=[2]))
    async with fake_medusa(faults=plan) as fake:
        report = await synced(
            fake, real_records, email=None, password=None, api_key=fake.api_key
        )
        assert report.status is RunStatus.SUCCEEDED
        assert report.retries == 1


async def test_a_login_that_is_taken_away_stops_the_run(real_records: Records) -> None:
    async with fake_medusa() as fake, opened(fake, real_records) as (source, sink):
        client = attrs.evolve(sink.client, auth=Login(fake.email, "changed"))
        broken = attrs.evolve(sink, client=client)
        with pytest.raises(UnauthorizedError, match="does not accept the login"):
            await sync(source, broken, options=OPTIONS)
        assert external_ids(fake) == []


async def test_a_store_that_goes_down_makes_no_dead_letters(
    real_records: Records,
) -> None:
    plan = FaultPlan(status(503, "POST", f"{BATCH}*", on=range(4, 1000)))
    async with fake_medusa(faults=plan) as fake:
        report = await synced(fake, real_records)
        assert report.status is RunStatus.INCOMPLETE
        assert (report.counts.created, report.counts.failed) == (45, 0)
        assert report.counts.unresolved == 149
        plan.clear()
        after = await synced(fake, real_records)
        assert (after.counts.created, after.counts.unchanged) == (149, 45)
