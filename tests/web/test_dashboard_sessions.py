"""Logging in and out, and what a session protects from."""

from __future__ import annotations

import math
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict
from tests.web.sites import ACCESS, OPERATE, READ
from tests.web.test_dashboard import Browser, browsing
from yarl import URL

from catalogsync.config import Role
from catalogsync.web import Access
from catalogsync.web._sessions import Caller, Session, Sessions

COOKIE = "catalogsync_session"


def cookie(browser: Browser) -> str:
    """The id of the browser's session; empty if it has none."""
    jar = browser.client.cookie_jar.filter_cookies(URL(browser.url + "/"))
    return jar[COOKIE].value if COOKIE in jar else ""


async def post(browser: Browser, path: str, **more: Any) -> tuple[int, Any]:
    """The status and the headers of an answer, which is not followed."""
    async with browser.client.post(
        browser.url + path, allow_redirects=False, **more
    ) as response:
        return response.status, response.headers


@pytest.mark.parametrize(
    ("headers", "secure"),
    [({}, False), ({"X-Forwarded-Proto": "https"}, True)],
    ids=["http", "https"],
)
async def test_the_cookie_is_for_us_alone(
    headers: dict[str, str], secure: bool
) -> None:
    """No script reads it, no other site sends it, and it names no token."""
    async with browsing("") as browser:
        status, answer = await post(
            browser, "/login", data={"token": OPERATE}, headers=headers
        )
        assert (status, answer["Location"]) == (303, "./")
        first, *parts = answer["Set-Cookie"].split("; ")
        expected = {"HttpOnly", "SameSite=Strict", "Max-Age=43200"}
        assert set(parts) == expected | ({"Secure"} if secure else set())
        assert len(first.removeprefix(f"{COOKIE}=")) >= 43
        assert OPERATE not in answer["Set-Cookie"]


async def test_each_login_is_a_new_session() -> None:
    """A planted session id is worthless."""
    async with browsing("") as browser:
        planted = "planted-by-somebody"
        browser.client.cookie_jar.update_cookies(
            {COOKIE: planted}, URL(browser.url + "/")
        )
        await browser.log_in(OPERATE)
        first = cookie(browser)
        assert first != planted
        await post(browser, "/login", data={"token": OPERATE})
        assert cookie(browser) not in {first, planted, ""}


async def test_logging_out_ends_the_session_for_good() -> None:
    """Also for a copy of the cookie."""
    async with browsing() as browser:
        copied = cookie(browser)
        seen = await browser.send(await browser.open("/"), "logout")
        assert seen.url.endswith("/login")
        assert cookie(browser) == ""
        headers = {"Cookie": f"{COOKIE}={copied}"}
        assert "/login" in (await browser.open("/", headers=headers)).url


async def test_logging_out_ends_its_stream_of_events() -> None:
    """With the next event or sign of life; those of others go on."""
    async with browsing(READ, alive_every=0.001) as browser:
        address, key = f"{browser.url}/api/events", {"Authorization": f"Bearer {READ}"}
        async with (
            browser.client.get(address) as own,
            aiohttp.request("GET", address, headers=key) as other,
        ):
            assert await own.content.readline() == b": events follow\n"
            await browser.send(await browser.open("/"), "logout")
            async for line in own.content:
                assert line in {b"\n", b": still here\n"}
            assert (own.status, other.status) == (200, 200)
            for _ in range(100):
                assert await other.content.readline()


@pytest.mark.parametrize(
    ("asked", "reached"),
    [
        ("/jobs/shelf", "/jobs/shelf"),
        ("/jobs/shelf/failures", "/jobs/shelf/failures"),
        ("/login?next=jobs/shelf", "/jobs/shelf"),
        ("/login?next=https://evil.example/", "/"),
        ("/login?next=//evil.example/jobs/x", "/"),
        ("/login?next=jobs/%0d%0aSet-Cookie:x", "/"),
        ("/login?next=jobs/x%5C..%5C//evil.example", "/"),
    ],
)
async def test_a_login_leads_where_one_desired_to_go(asked: str, reached: str) -> None:
    """And nowhere else."""
    async with browsing("", prefix="/sync") as browser:
        seen = await browser.log_in(OPERATE, asked)
        assert seen.url == browser.url + reached


async def test_a_wrong_token() -> None:
    """It is reported, and after several attempts all are refused."""
    access = Access(tokens=ACCESS.tokens, refusals_per_minute=2)
    async with browsing("", access=access) as browser:
        page = await browser.open("/login")
        for token in ("wrong", "ΩΩΩ"):
            seen = await browser.send(page, "login", 401, token=token)
            assert "invalid token" in seen.text
            assert token not in seen.text
        seen = await browser.send(page, "login", 429, token=OPERATE)
        assert "too many" in seen.text
        assert cookie(browser) == ""


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        ({"csrf": True}, {}, 303),
        ({}, {}, 403),
        ({"csrf": "guessed"}, {}, 403),
        ({"csrf": "ΩΩ"}, {}, 403),
        ({"csrf": True}, {"Origin": "https://evil.example"}, 403),
        ({"csrf": True}, {"Content-Type": "text/plain"}, 415),
        ({"csrf": True} | {f"f{n}": "x" for n in range(30)}, {}, 400),
        ({"csrf": True, "x": "x" * 1000}, {}, 413),
    ],
)
async def test_only_forms_of_our_own_pages_count(
    fields: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    """Whatever a strange page makes a browser send changes nothing."""
    access = Access(tokens=ACCESS.tokens, max_body=1000)
    async with browsing(access=access) as browser:
        csrf = (await browser.open("/")).form("sync")[1]["csrf"]
        given = {k: csrf if v is True else v for k, v in fields.items()}
        form = aiohttp.FormData(given)()
        sent = CIMultiDict({"Content-Type": "application/x-www-form-urlencoded"})
        sent.update(headers)
        found, _ = await post(browser, "/jobs/shelf/sync", data=form, headers=sent)
        assert found == status
        asked = len(await browser.shop.store.triggers())
        runs = len(await browser.shop.store.runs())
        assert (asked + runs > 0) is (status == 303)


async def test_the_token_of_a_form_is_that_of_one_session() -> None:
    """Another one's does not do."""
    async with browsing() as browser:
        first = (await browser.open("/")).form("sync")[1]["csrf"]
        await post(browser, "/login", data={"token": OPERATE})
        status, _ = await post(browser, "/jobs/shelf/sync", data={"csrf": first})
        assert status == 403


@pytest.mark.parametrize(
    ("path", "answer"),
    [("/jobs/shelf/sync", 405), ("/jobs/shelf/plan", 404), ("/logout", 405)],
)
async def test_what_changes_something_is_a_post(path: str, answer: int) -> None:
    """A link makes no plan, and does nothing else; nor does who is not logged in."""
    async with browsing() as browser:
        assert (await browser.ask("GET", browser.url + path)).status == answer
    async with browsing("") as browser:
        status, headers = await post(browser, path, data={})
        assert (status, "login?next=" in headers["Location"]) == (303, True)


async def test_the_session_is_good_for_the_api() -> None:
    """To look; to change something, a header shows that the page is ours."""
    async with browsing() as browser:
        url = f"{browser.url}/api/jobs"
        assert (await browser.ask("GET", url)).status == 200
        csrf = (await browser.open("/")).form("sync")[1]["csrf"]
        assert (await post(browser, "/api/jobs/shelf/runs"))[0] == 403
        headers = {"X-CSRF-Token": csrf}
        status, _ = await post(browser, "/api/jobs/shelf/runs", headers=headers)
        assert status == 202
    async with browsing(READ) as browser:
        csrf = (await browser.open("/")).form("logout")[1]["csrf"]
        headers = {"X-CSRF-Token": csrf}
        status, _ = await post(browser, "/api/jobs/shelf/runs", headers=headers)
        assert status == 403


class _Request:
    """What a session looks at of a request."""

    secure = False

    def __init__(self, session_id: str = "") -> None:
        self.cookies = {COOKIE: session_id}
        self.headers: dict[str, str] = {}


def begin(sessions: Sessions, name: str) -> Any:
    """A request of a browser that has just logged in."""
    response = aiohttp.web.Response()
    request: Any = _Request()
    sessions.begin(Caller(name, Role.READ), request, response)
    return _Request(response.cookies[COOKIE].value)


def test_sessions_end_by_themselves() -> None:
    """Half a day after the login, however much they were used."""
    now = [1000.0]
    sessions = Sessions(lambda: now[0])
    request = begin(sessions, "me")
    now[0] += 12 * 3600 - 1
    assert sessions.find(request)
    now[0] += 1
    assert sessions.find(request) is None


def test_there_are_only_so_many_sessions() -> None:
    """The oldest makes room."""
    sessions = Sessions()
    first, second, *_, last = [begin(sessions, f"{n}") for n in range(1001)]
    assert sessions.find(first) is None
    assert sessions.find(second)
    assert sessions.find(last)


def test_what_is_secret_is_not_shown() -> None:
    """Neither in logs nor in errors."""
    sessions = Sessions()
    request = begin(sessions, "me")
    session = Session(Caller("me", Role.READ), math.inf)
    assert session.csrf not in repr(session)
    assert request.cookies[COOKIE] not in repr(sessions)
