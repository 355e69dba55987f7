"""Addresses, proxies, certificates and the host's own session."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web
from tests.http.http_ends import app_of, client_of, hello
from yarl import URL

from catalogsync.errors import CatalogSyncError, MisconfiguredError, TransientError
from catalogsync.http._client import (
    HttpClient,
    HttpOptions,
    address_repr,
    base_url,
    open_http,
)
from catalogsync.testing.servers import serve

AUTHORITY = trustme.CA()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://shop.example.com", "https://shop.example.com"),
        ("HTTP://Shop.Example.com:8080/", "http://shop.example.com:8080/"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://shop.example.com/api?x=1#top", "http://shop.example.com/api"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
    ],
)
def test_addresses(text: str, url: str) -> None:
    assert str(base_url("url", text)) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop.example.com",
        "localhost:9000",
        "/products",
        "//shop.example.com",
        "ftp://shop.example.com",
        "http://",
        "http:///products",
        "http://shop:99999",
        "http://shop:port",
        "http://[::1",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        base_url("store.url", text)
    assert str(caught.value) == (
        "store.url: must be an address such as https://shop.example.com"
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://me:secret@shop.example.com",
        "https://secret@shop.example.com",
        "https://:secret@shop.example.com",
        "https://me:secret@@shop.example.com",
        "https://me:secret@shop:port",
        "ftp://me:secret@shop.example.com",
    ],
)
def test_credentials_do_not_belong_into_an_address(text: str) -> None:
    """The message does not contain them."""
    with pytest.raises(MisconfiguredError) as caught:
        base_url("url", text)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(caught.value.__context__)


@pytest.mark.parametrize(
    "values",
    [{"timeout": 0}, {"timeout": -1.0}, {"connect_timeout": 0.0}, {"max_body": 0}],
)
def test_senseless_options(values: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        HttpOptions(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("base", ["", "/", "/shop", "/shop/"])
async def test_paths_are_appended_to_the_address(base: str) -> None:
    paths: list[str] = []

    async def note(request: web.Request) -> web.Response:
        paths.append(request.raw_path)
        return web.json_response({})

    async with (
        serve(app_of(note)) as url,
        open_http(URL(url + base), HttpOptions()) as client,
    ):
        reply = await client.send("GET", "/a%2Fb/%C3%A9", query="x=1%2C2&y=a,b")
    assert paths == [base.rstrip("/") + "/a%2Fb/%C3%A9?x=1%2C2&y=a,b"]
    assert reply.what == f"GET {url}{base.rstrip('/')}/a%2Fb/%C3%A9"


async def test_what_is_sent() -> None:
    sent: list[tuple[str, bytes]] = []
    headers: list[dict[str, str]] = []

    async def note(request: web.Request) -> web.Response:
        sent.append((request.method, await request.read()))
        headers.append({k.lower(): v for k, v in request.headers.items()})
        return web.json_response({})

    async with client_of(note) as client:
        await client.send("GET", "/", headers={"X-Own": "1"})
        await client.send("POST", "/", body=b'{"a":1}')
    assert sent == [("GET", b""), ("POST", b'{"a":1}')]
    assert headers[0]["accept"] == headers[1]["accept"] == "application/json"
    assert headers[0]["x-own"] == "1"
    assert headers[1]["content-type"] == "application/json"


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 3 << 20])
async def test_large_bodies_arrive_whole(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    arrived: list[tuple[bytes, str, str]] = []

    async def note(request: web.Request) -> web.Response:
        headers = request.headers
        length = headers.get("Content-Length", "")
        content = await request.clone(client_max_size=1 << 24).read()
        arrived.append((content, headers["Content-Type"], length))
        return web.json_response({})

    async with client_of(note) as client:
        await client.send("POST", "/", body=body)
        await client.send("POST", "/", body=body)
    assert arrived == [(body, "application/json", str(size))] * 2


async def test_requests_are_counted_also_those_that_fail() -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/0" and request.transport:
            request.transport.abort()
        return web.Response(status=503)

    async with client_of(answer) as client, asyncio.TaskGroup() as group:

        async def ask(number: int) -> None:
            try:
                await client.send("GET", f"/{number}")
            except TransientError:
                assert number == 0

        for number in range(5):
            group.create_task(ask(number))
    assert client.requests == 5


async def test_no_cookies_are_kept() -> None:
    cookies: list[dict[str, str]] = []

    async def give(request: web.Request) -> web.Response:
        cookies.append(dict(request.cookies))
        response = web.json_response({})
        response.set_cookie("session", "1")
        return response

    async with serve(app_of(give)) as url:
        named = url.replace("127.0.0.1", "localhost")
        async with open_http(URL(named), HttpOptions()) as client:
            await client.send("GET", "/")
            await client.send("GET", "/")
    assert cookies == [{}, {}]


async def test_the_hosts_session_is_used_and_left_open() -> None:
    agents: list[str] = []

    async def note(request: web.Request) -> web.Response:
        agents.append(request.headers["User-Agent"])
        return web.json_response({})

    async with aiohttp.ClientSession(headers={"User-Agent": "the host"}) as session:
        async with client_of(note, session=session) as client:
            await client.send("GET", "/")
        assert not session.closed
    assert agents == ["the host"]


async def test_our_own_session_is_closed() -> None:
    async with client_of() as client:
        await client.send("GET", "/")
    assert client.session.closed
    with pytest.raises(KeyError):
        async with client_of() as client:
            raise KeyError
    assert client.session.closed


async def test_a_session_that_raises_for_a_status_of_its_own_accord() -> None:
    """The adapter still sees the answer: a 404 may just mean: not there."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"message": "not here"}, status=404)

    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        client_of(answer, session=session) as client,
    ):
        reply = await client.send("GET", "/")
    assert (reply.status, reply.json()) == (404, {"message": "not here"})


async def test_a_proxy_is_asked_instead_of_the_host() -> None:
    asked: list[tuple[str, str | None]] = []

    async def proxy(request: web.Request) -> web.Response:
        asked.append((str(request.url), request.headers.get("Proxy-Authorization")))
        return web.json_response({"from": "proxy"})

    async with serve(app_of(proxy)) as url:
        address = url.replace("http://", "http://me:secret@")
        options = HttpOptions(proxy=address, allow_plain_http=True)
        assert "secret" not in repr(options)
        async with open_http(URL("http://shop.invalid/api"), options) as client:
            reply = await client.send("GET", "/products", query="limit=1")
    assert reply.json() == {"from": "proxy"}
    url_asked = "http://shop.invalid/api/products?limit=1"
    assert asked == [(url_asked, f"Basic {b64encode(b'me:secret').decode()}")]


async def test_a_proxy_that_refuses() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=407)

    async with serve(app_of(refuse)) as url:
        options = HttpOptions(proxy=url.replace("http://", "http://me:secret@"))
        async with open_http(URL("https://shop.invalid"), options) as client:
            with pytest.raises(TransientError) as caught:
                await client.send("GET", "/products")
    assert str(caught.value) == (
        "GET https://shop.invalid/products: the proxy answers HTTP 407"
    )


@pytest.mark.parametrize(
    "proxy",
    [
        "proxy.example.com:3128",
        "http://",
        "socks5://me:secret@proxy",
        "http://me:secret@proxy:99999",
        "http://me:secret@proxy:port",
    ],
)
async def test_what_is_no_proxy(proxy: str) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        async with open_http(URL("http://shop"), HttpOptions(proxy=proxy)):
            pass
    assert str(caught.value).startswith("http.proxy: must be an address such as ")
    assert "secret" not in str(caught.value)


async def requests_by_environment(
    patch: pytest.MonkeyPatch, target: str, **variables: str
) -> tuple[list[str], HttpClient]:
    """What a proxy that the environment names is asked, on the way to a target."""
    asked: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        asked.append(str(request.url))
        return web.json_response({})

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        patch.delenv(name, raising=False)
        patch.delenv(name.lower(), raising=False)
    async with serve(app_of(proxy)) as url:
        for name, value in variables.items():
            patch.setenv(name, value.replace("PROXY", url.partition("://")[2]))
        options = HttpOptions(allow_plain_http=True, connect_timeout=1)
        async with open_http(URL(target), options) as client:
            with suppress(TransientError):
                await client.send("GET", "/a")
    return asked, client


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
@pytest.mark.parametrize("value", ["http://PROXY", "PROXY", "http://me:secret@PROXY"])
async def test_a_proxy_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    target = "http://shop.invalid"
    asked, client = await requests_by_environment(
        monkeypatch, target, **{name: value, "HTTPS_PROXY": "http://x.invalid"}
    )
    assert asked == ["http://shop.invalid/a"]
    assert "secret" not in repr(client)
    assert client.quoted("a secret") == ("a ***" if "secret" in value else "a secret")


@pytest.mark.parametrize(
    ("target", "no_proxy"),
    [
        ("http://shop.invalid", "shop.invalid"),
        ("http://a.shop.invalid:81", ".shop.invalid:81"),
        ("http://shop.invalid", "*"),
        ("http://127.0.0.1:1", ""),
        ("http://localhost:1", ""),
        ("http://[::1]:1", ""),
    ],
)
async def test_where_the_proxy_of_the_environment_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, target: str, no_proxy: str
) -> None:
    """Where `NO_PROXY` says so, and never on the way to this machine."""
    variables = {"HTTP_PROXY": "http://PROXY", "NO_PROXY": no_proxy}
    asked, _ = await requests_by_environment(monkeypatch, target, **variables)
    assert asked == []


async def test_a_setting_is_stronger_than_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://other.invalid")
    for proxy, expected in (("", None), ("http://mine.invalid", "http://mine.invalid")):
        options = HttpOptions(proxy=proxy)
        async with open_http(URL("https://shop.invalid"), options) as client:
            assert client.proxy == expected


@pytest.mark.parametrize("proxy", ["socks5://me:secret@proxy", "http://me:1/secret@x"])
async def test_an_environment_that_names_no_proxy(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(MisconfiguredError, match=r"^HTTPS_PROXY: must be") as caught:
        async with open_http(URL("https://shop.invalid"), HttpOptions()):
            pass
    assert "secret" not in str(caught.value)


async def test_no_proxy_may_be_an_empty_text() -> None:
    """As it comes from an environment variable that is not set."""
    async with client_of(options=HttpOptions(proxy="")) as client:
        assert (await client.send("GET", "/")).status == 200


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    """The certificate of the authority for our servers."""
    file = tmp_path / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(file))
    return str(file)


@asynccontextmanager
async def secure_server() -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    runner = web.AppRunner(app_of(hello), access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def ask(
    url: str, options: HttpOptions, session: aiohttp.ClientSession | None = None
) -> HttpClient:
    async with open_http(URL(url), options, session=session) as client:
        await client.send("GET", "/")
        return client


async def test_a_certificate_that_nobody_vouches_for() -> None:
    """Asking again would not help, so it is not something that may pass."""
    async with secure_server() as url:
        with pytest.raises(MisconfiguredError) as caught:
            await ask(url, HttpOptions())
    assert str(caught.value) == (
        "url: the certificate of 127.0.0.1 is not trusted (unable to get local issuer certificate);"
        " to trust it, set `http.ca_file`"
    )


async def test_a_certificate_of_somebody_else(ca_file: str) -> None:
    async with secure_server() as url:
        named = url.replace("127.0.0.1", "localhost")
        with pytest.raises(MisconfiguredError) as caught:
            await ask(named, HttpOptions(ca_file=ca_file))
    assert "Hostname mismatch" in str(caught.value)


async def test_a_certificate_that_the_settings_vouch_for(ca_file: str) -> None:
    async with secure_server() as url:
        await ask(url, HttpOptions(ca_file=ca_file))
        async with aiohttp.ClientSession() as session:
            await ask(url, HttpOptions(ca_file=ca_file), session)


async def test_what_the_hosts_session_trusts(ca_file: str) -> None:
    """Without `ca_file` it is left to the host."""
    context = ssl.create_default_context(cafile=ca_file)
    connector = aiohttp.TCPConnector(ssl=context)
    async with (
        secure_server() as url,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        await ask(url, HttpOptions(), session)


async def test_https_where_there_is_none() -> None:
    async with serve(app_of(hello)) as url:
        with pytest.raises(CatalogSyncError, match="cannot connect"):
            await ask(url.replace("http:", "https:"), HttpOptions())


async def test_http_where_there_is_https() -> None:
    async with secure_server() as url:
        with pytest.raises(TransientError):
            await ask(url.replace("https:", "http:"), HttpOptions())


@pytest.mark.parametrize("name", ["missing.pem", "", "a\0b", "empty.pem", "text.pem"])
async def test_an_invalid_certificate_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "text.pem").write_text("no certificate")
    options = HttpOptions(ca_file=f"{tmp_path}/{name}")
    with pytest.raises(MisconfiguredError, match=r"^http\.ca_file: cannot be read"):
        async with open_http(URL("https://shop"), options):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9000",
        "http://shop.localhost/api",
        "http://127.0.0.1",
        "http://127.8.9.10:80",
        "http://[::1]:9000",
        "https://shop.example.com",
        "https://10.0.0.1",
    ],
)
async def test_where_nobody_can_listen(url: str) -> None:
    async with open_http(URL(url), HttpOptions()) as client:
        assert client.requests == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.com",
        "http://medusa:9000",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://128.0.0.1",
        "http://[2001:db8::1]",
        "http://localhost.example.com",
        "http://notlocalhost",
        "http://127.0.0.1.example.com",
        "http://2130706433",
    ],
)
@pytest.mark.parametrize("hosts_own", [False, True])
async def test_plain_http_to_another_machine(url: str, *, hosts_own: bool) -> None:
    """Is refused before anything is sent, also with the host's own session."""
    async with aiohttp.ClientSession() as session:
        given = session if hosts_own else None
        with pytest.raises(MisconfiguredError, match="use https; with http") as caught:
            async with open_http(URL(url), HttpOptions(), session=given):
                pass
        assert caught.value.setting == "url"
        assert "http.allow_plain_http = true" in caught.value.problem
        allowed = HttpOptions(allow_plain_http=True)
        async with open_http(URL(url), allowed, session=given):
            pass


@pytest.mark.parametrize(
    ("url", "proxy", "taken"),
    [
        ("https://shop.example.com", "http://proxy.example.com:3128", True),
        ("http://localhost", "http://127.0.0.1:3128", True),
        ("http://localhost", "http://proxy.example.com:3128", False),
        ("http://shop.example.com", "http://127.0.0.1:3128", False),
    ],
)
async def test_plain_http_by_way_of_a_proxy(url: str, proxy: str, taken: bool) -> None:
    """Within https the proxy sees nothing; else it is one more who can read."""
    options = HttpOptions(proxy=proxy)
    if taken:
        async with open_http(URL(url), options):
            return
    with pytest.raises(MisconfiguredError, match="use https"):
        async with open_http(URL(url), options):
            pass


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://shop.example.com/api", "'https://shop.example.com/api'"),
        ("https://me:secret@shop.example.com", "'***@shop.example.com'"),
        ("https://me:se/cr?et@shop", "'***@shop'"),
        ("me:secret@shop", "'***@shop'"),
        ("https://shop/?token=secret", "'https://shop/?***'"),
        ("https://shop/#token=secret", "'https://shop/?***'"),
        ("", "''"),
    ],
)
def test_the_repr_of_an_address(text: str, shown: str) -> None:
    assert address_repr(text) == shown
