"""Who is let in, and what is kept from whom."""

from __future__ import annotations

import logging
import socket

import aiohttp
import attrs
import pytest
from aiohttp import web
from tests.service.shops import finished, open_shop
from tests.web.sites import (
    ACCESS,
    JSON,
    OPERATE,
    READ,
    SECRET,
    WRONG_SECRET,
    open_site,
)

from catalogsync import MisconfiguredError
from catalogsync.service import Service
from catalogsync.state import StateError
from catalogsync.web import Access, AccessLogger, Role, Token, web_app
from catalogsync.web._guard import Guard
from catalogsync.web._handlers import ENDPOINTS
from catalogsync.web._rate_limit import Buckets, address_of

OPEN_PATHS = {"/health", "/ready"}
ORIGIN = "https://admin.example.com"


def filled(path: str) -> str:
    return path.format(job="shelf", run_id="0")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
async def test_roles(endpoint: object) -> None:
    """Nothing without a token but the probes; starting and stopping needs a role."""
    assert endpoint.role in {None, Role.READ, Role.OPERATE}
    async with open_site() as site:
        method, path = endpoint.method, filled(endpoint.path)
        wrong = 200 if path in OPEN_PATHS else 400 if "webhooks" in path else 401
        for token in (None, "wrong-token-0123456789", SECRET):
            response, _ = await site.answer(method, path, token=token)
            assert response.status == wrong
        if endpoint.role is Role.OPERATE:
            assert method == "POST"
            await site.ask(method, path, 403, token=READ)
        elif endpoint.role is Role.READ:
            assert method == "GET"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {OPERATE}",
        OPERATE,
        f"Bearer {OPERATE}x",
        f"Bearer {OPERATE[:-1]}",
        f"Bearer {OPERATE} {OPERATE}",
        "Bearer \udcff",
    ],
)
async def test_headers_that_are_no_token(header: str) -> None:
    async with open_site() as site:
        headers = {"Authorization": header}
        response, tree = await site.answer(
            "GET", "/api/jobs", token=None, headers=headers
        )
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert list(tree) == ["error"]


async def test_the_scheme_in_any_case() -> None:
    async with open_site() as site:
        headers = {"Authorization": f"bearer {READ}"}
        await site.get("/api/jobs", token=None, headers=headers)


async def test_who_asked_is_noted() -> None:
    """By the name of the token."""
    async with open_site() as site:
        site.shop.till.gate.clear()
        await site.post("/api/jobs/shelf/runs")
        (trigger,) = await site.shop.store.triggers()
        assert trigger.by == "boss"
        site.shop.till.gate.set()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (None, 200),
        ("localhost", 200),
        ("localhost:1", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:1", 200),
        ("evil.example.com", 403),
        ("evil.example.com:80", 403),
        ("127.0.0.1.example.com", 403),
        ("LocalHost", 200),
        ("[", 403),
        ("[::1", 403),
        (":80", 403),
    ],
)
async def test_open_to_this_machine(host: str | None, status: int) -> None:
    """Other host names, which DNS may point here, are refused."""
    async with open_site(access=Access(open=True)) as site:
        headers = {"Host": host} if host else {}
        await site.ask("GET", "/api/jobs", status, token=None, headers=headers)


async def test_open_is_closed_on_other_addresses() -> None:
    """Whatever the host says who mounts it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        address = probe.getsockname()[0]
    async with open_shop() as shop, aiohttp.ClientSession() as client:
        runner = web.AppRunner(
            web_app(shop.service, access=Access(open=True), dashboard=False)
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, address, 0).start()
            port = runner.addresses[0][1]
            headers = {"Host": "localhost"}
            url = f"http://{address}:{port}/api/jobs"
            async with client.get(url, headers=headers) as response:
                assert response.status == 401
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("access", [ACCESS, Access(open=True)], ids=["tokens", "open"])
@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "", "a://["])
async def test_pages_from_elsewhere(access: Access, origin: str) -> None:
    """They start nothing and read nothing, whatever their browser sends along."""
    async with open_site(access=access) as site:
        headers = {"Origin": origin}
        path = "/api/jobs/shelf/runs"
        response, _ = await site.answer("POST", path, headers=headers)
        assert response.status == 403
        response, _ = await site.answer("GET", "/api/jobs", headers=headers)
        assert "Access-Control-Allow-Origin" not in response.headers
        response, _ = await site.answer(
            "OPTIONS",
            path,
            headers={**headers, "Access-Control-Request-Method": "POST"},
        )
        assert response.status == 405


async def test_pages_from_here() -> None:
    async with open_site() as site:
        headers = {"Origin": site.url}
        await site.post("/api/jobs/shelf/runs", headers=headers)


async def test_pages_of_the_list() -> None:
    """Browsers may send them and read all answers."""
    async with open_site(access=attrs.evolve(ACCESS, cors=(ORIGIN,))) as site:
        asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        path = "/api/jobs/shelf/runs"
        response, _ = await site.answer("OPTIONS", path, token=None, headers=asks)
        assert response.status == 204
        allowed = response.headers["Access-Control-Allow-Headers"]
        assert allowed == "Authorization, Content-Type"
        assert "Access-Control-Allow-Credentials" not in response.headers
        for token, status in ((OPERATE, 202), (READ, 403), (None, 401)):
            response, _ = await site.answer(
                "POST", path, token=token, headers={"Origin": ORIGIN}
            )
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "path", ["/health", "/api/jobs", "/api/openapi.json", "/nothing", "/api/events"]
)
async def test_headers_of_all_answers(path: str) -> None:
    async with (
        open_site(prefix="/sync") as site,
        site.client.get(
            site.url + path, headers={"Authorization": f"Bearer {READ}"}
        ) as response,
    ):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "Server" not in response.headers


async def test_too_many_wrong_tokens() -> None:
    """After that, even a valid token is refused, so guessing is useless."""
    async with open_site(access=attrs.evolve(ACCESS, refusals_per_minute=3)) as site:
        for _ in range(3):
            await site.ask("GET", "/api/jobs", 401, token="wrong")
        response, tree = await site.answer("GET", "/api/jobs")
        assert response.status == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 20
        assert "too many wrong tokens" in tree["error"]
        await site.hook(status=429)
        await site.get("/health", token=None)


async def test_wrong_signatures_count_as_well() -> None:
    async with open_site(access=attrs.evolve(ACCESS, refusals_per_minute=2)) as site:
        for _ in range(2):
            await site.hook(status=401, secret=WRONG_SECRET)
        await site.hook(status=429)
        await site.ask("GET", "/api/jobs", 429)


async def test_too_many_requests() -> None:
    async with open_site(access=attrs.evolve(ACCESS, requests_per_minute=5)) as site:
        for _ in range(5):
            await site.get("/health", token=None)
        response, _ = await site.answer("GET", "/health")
        assert response.status == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 12


def test_buckets() -> None:
    """They fill again, each address has its own, and not too many are kept."""
    now = 1000.0
    buckets = Buckets(6, clock=lambda: now)
    for _ in range(6):
        assert buckets.wait("a") == 0
        buckets.spend("a")
    assert buckets.wait("a") == pytest.approx(10)
    assert buckets.wait("b") == 0
    now += 10
    assert buckets.wait("a") == 0
    buckets.spend("a")
    assert buckets.wait("a") == pytest.approx(10)
    for number in range(25_000):
        buckets.spend(str(number))
        buckets.spend("a")
    assert len(buckets._full_at) <= 10_000
    assert buckets.wait("a") > 60


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:202", "192.0.2.2"),
        ("::1", "::/64"),
        (None, ""),
        ("a socket", "a socket"),
    ],
)
def test_addresses(remote: str | None, address: str) -> None:
    assert address_of(remote) == address


@pytest.mark.parametrize("chunked", [False, True])
async def test_bodies_that_are_too_large(chunked: bool) -> None:
    """Whether they say so or not; also where the host takes more."""
    async with open_site(access=attrs.evolve(ACCESS, max_body=1000)) as site:
        data = b'{"keys": ["' + b"x" * 1000 + b'"]}'

        async def parts() -> object:
            for start in range(0, len(data), 100):
                yield data[start : start + 100]

        for path, token in (
            ("/api/jobs/shelf/runs", OPERATE),
            ("/webhooks/shelf", None),
        ):
            error = await site.post(
                path,
                413,
                token=token,
                data=parts() if chunked else data,
                headers=JSON,
            )
            assert error == {"error": "the body is larger than 1000 bytes"}


async def test_a_webhook_for_nothing() -> None:
    async with open_shop() as shop:
        with pytest.raises(MisconfiguredError, match=r"webhooks\.other"):
            web_app(shop.service, access=Access(webhooks={"other": (SECRET,)}))


def test_nothing_secret_is_shown() -> None:
    """In any representation."""
    for thing in (ACCESS, Guard(ACCESS), Token(token=OPERATE)):
        assert not any(secret in repr(thing) for secret in (READ, OPERATE, SECRET))


async def test_a_secret_that_stands_in_a_name() -> None:
    """It would have to be kept back wherever the name is shown."""
    async with open_shop() as shop:
        token = Token(token="shelf-shelf-shelf")
        web_app(shop.service, access=Access(tokens={"me": token}))
        job = attrs.evolve(shop.service.jobs["shelf"], name="my shelf-shelf-shelf")
        service = Service(jobs={job.name: job}, state=shop.store)
        with pytest.raises(
            MisconfiguredError, match="the name of a job or side contains"
        ) as caught:
            web_app(service, access=Access(tokens={"me": token}))
        assert "shelf-shelf" not in str(caught.value)


async def test_secrets_that_the_other_side_repeats() -> None:
    """They stand in no answer, no event and no line of the log."""
    async with open_site() as site:
        site.shop.store.faults["runs"] = StateError(f"{OPERATE} and {SECRET}")
        assert await site.ask("GET", "/api/jobs", 503) == {"error": "*** and ***"}
        site.shop.shelf.titles = {0: f"as {SECRET} has it"}
        await site.post("/api/jobs/shelf/plan")
        while (plan := await site.get("/api/jobs/shelf/plan"))["state"] == "making":
            pass
        assert plan["changes"][0]["title"] == "as *** has it"
        async with site.events() as events, finished(site.shop.service) as end:
            site.shop.shelf.faults = [RuntimeError(f"not {OPERATE}")]
            await site.post("/api/jobs/shelf/runs")
            await end()
            data = await events.until("RunFinished")
            assert SECRET not in str(data)
            assert OPERATE not in str(data)
        await site.shop.store.until(
            lambda: site.shop.service.job_state("shelf").problem
        )
        job = await site.get("/api/jobs/shelf")
        assert job["problem"] == "RuntimeError: not ***"


async def test_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    """No query, no headers, and nothing that steers a terminal."""
    caplog.set_level(logging.INFO)
    async with open_shop() as shop, aiohttp.ClientSession() as client:
        runner = web.AppRunner(
            web_app(shop.service, access=ACCESS, dashboard=False),
            access_log_class=AccessLogger,
            access_log=logging.getLogger("test.access"),
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            path = f"/api/runs%1b%0a?job={OPERATE}"
            async with client.get(
                url + path, headers={"Authorization": f"Bearer {OPERATE}"}
            ) as response:
                assert response.status == 404
        finally:
            await runner.cleanup()
    (record,) = (r for r in caplog.records if r.name == "test.access")
    assert record.getMessage().startswith("127.0.0.1 GET /api/runs%1B%0A 404 ")
    assert OPERATE not in caplog.text
