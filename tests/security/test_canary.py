"""No secret leaks, wherever it enters and whatever the other side does with it.

Each secret is a text of its own; everything that comes out is searched for it. A
new output is one line more in `outputs.py`.
"""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.security.outputs import (
    CONFIG,
    Outputs,
    command,
    everything_logged,
    sync_into,
)
from tests.security.raw_server import Answer, raw_server, reply

from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.cli._output import Terminal
from catalogsync.config import load_config
from catalogsync.errors import CatalogSyncError, MisconfiguredError
from catalogsync.http._client import HttpOptions
from catalogsync.state import StateSettings
from catalogsync.state.protocols import StateError
from catalogsync.testing import dummyjson_server, generate_catalog

PASSWORD = "canary-password-1"
API_KEY = "sk_canary-key-2"
TOKEN = "canary-token-3.e30.x"
PROXY = "canary/proxy 4"
DATABASE = "canary:database@5"

SECRETS = {
    "password": PASSWORD,
    "api key": API_KEY,
    "encoded api key": b64encode(f"{API_KEY}:".encode()).decode(),
    "token": TOKEN,
    "proxy": PROXY,
    "quoted proxy": "canary%2Fproxy%204",
    "encoded proxy": b64encode(f"me:{PROXY}".encode()).decode(),
    "database": DATABASE,
    "quoted database": "canary%3Adatabase%405",
}
LOGIN = {"email": "admin@example.com", "password": PASSWORD}
KEY = {"api_key": API_KEY}


def assert_silent(outputs: Outputs) -> None:
    """Something came out, and no secret."""
    assert outputs.texts
    assert outputs.leaks(SECRETS) == []


def test_the_search_finds_what_is_there() -> None:
    """Also in causes of an error that are not printed."""
    error = ValueError()
    error.__context__ = KeyError(PASSWORD)
    error.__suppress_context__ = True
    outputs = Outputs()
    outputs.spill(error)
    assert {name for name, *_ in outputs.leaks(SECRETS)} == {"password"}


# --- a server that repeats what it is sent ---


def words(request: bytes) -> bytes:
    """All that is secret in a request, as the server sees it."""
    found = re.findall(rb"(?i)authorization: (?:basic|bearer) (.*)\r\n", request)
    _, _, body = request.partition(b"\r\n\r\n")
    return b" ".join([*found, body])


def decoded(request: bytes) -> bytes:
    """The decoded credentials of HTTP Basic."""
    found = re.findall(rb"(?i)authorization: basic (.*)\r\n", request)
    return b" ".join(map(b64decode, found))


def as_json(request: bytes) -> bytes:
    text = request.decode("latin-1")
    return json.dumps({"type": "invalid_data", "message": text}).encode()


Echo = Callable[[bytes], bytes]

ECHOES: Mapping[str, Echo] = {
    **{
        f"json {status}": lambda r, status=status: reply(as_json(r), f"{status} No")
        for status in (200, 400, 401, 403, 404, 407, 409, 429, 500, 503)
    },
    "decoded": lambda r: reply(as_json(decoded(r)), "400 No"),
    "unknown error": lambda r: reply(
        as_json(r).replace(b"invalid_data", b"unknown_error"), "500 No"
    ),
    "text 404": lambda r: reply(r, "404 No"),
    "text 500": lambda r: reply(r, "500 No"),
    "no json": lambda r: reply(b'{"a": ' + r),
    "no utf-8": lambda r: reply(b"\xff" + r),
    "place": lambda r: reply(
        b"", "302 Found", b"Location: https://x/" + words(r).replace(b" ", b"/")
    ),
    "place's user": lambda r: reply(
        b"", "302 Found", b"Location: https://me:" + words(r) + b"@x/?" + words(r)
    ),
    "no place": lambda r: reply(b"", "307 Go", b"Location: http://[" + words(r)),
    "header": lambda r: reply(b"{}", "200 OK", b"X-Echo: " + words(r)),
    "no header": lambda r: reply(b"{}", "200 OK", b"X-Echo: " + words(r) + b"\0"),
    "no header's name": lambda r: reply(b"{}", "200 OK", words(r) + b" x: 1"),
    "reason": lambda r: reply(b"{}", f"500 {words(r).decode()}"),
    "status": lambda r: b"HTTP/1.1 " + words(r) + b"\r\n\r\n",
    "version": lambda r: words(r) + b"\r\n\r\n",
    "cookie": lambda r: reply(b"{}", "400 No", b"Set-Cookie: a=" + words(r)),
    "cookie's name": lambda r: reply(
        b"{}", "400 No", b"Set-Cookie: " + words(r) + b"=a; expires=no; path=("
    ),
    "coding": lambda r: reply(words(r), "200 OK", b"Content-Encoding: gzip"),
    "coding's name": lambda r: reply(b"{}", "200 OK", b"Content-Encoding: " + words(r)),
    "length": lambda r: b"HTTP/1.1 200 OK\r\nContent-Length: " + words(r) + b"\r\n\r\n",
    "chunk": lambda r: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + words(r) + b"\r\n"
    ),
    "kind": lambda r: reply(b"{}", "400 No", b"Content-Type: " + words(r)),
    "wait": lambda r: reply(b"{}", "503 No", b"Retry-After: " + words(r)),
    "nothing": lambda _: b"",
}

PLACES = {
    "stores": {"supported_currencies": [{"currency_code": "eur"}]},
    "sales_channels": {"id": "sc_1", "name": "Web"},
    "shipping_profiles": {"id": "sp_1", "name": "Post"},
    "stock_locations": {"id": "sl_1", "name": "Here"},
}


def store(echo: Echo, *, late: bool) -> Answer:
    """A Medusa that hands out tokens and repeats what it is sent.

    Args:
        echo: How.
        late: Only after it was opened in good order.
    """

    def said(request: bytes) -> bytes:
        path = request.split(b" ")[1]
        if b"/auth/" in path and b"refresh" not in path:
            return reply(json.dumps({"token": TOKEN}).encode())
        for name, place in PLACES.items():
            if late and name.replace("_", "-").encode() in path.partition(b"?")[0]:
                return reply(json.dumps({name: [{"id": "1", **place}]}).encode())
        return echo(request)

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said(request))
        await writer.drain()
        if echo is ECHOES["nothing"]:
            writer.close()

    return answer


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize("access", [LOGIN, KEY], ids=["login", "key"])
@pytest.mark.parametrize("echo", ECHOES)
async def test_a_store_that_repeats_what_it_is_sent(
    echo: str, access: Mapping[str, Any], *, late: bool
) -> None:
    async with raw_server(store(ECHOES[echo], late=late)) as url:
        http = HttpOptions(timeout=0.5)
        settings = MedusaSettings(url=url, http=http, **access)
        assert_silent(await sync_into(settings))


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_login_that_repeats_what_it_is_sent(echo: str) -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(ECHOES[echo](request))

    async with raw_server(answer) as url:
        http = HttpOptions(timeout=0.5)
        assert_silent(await sync_into(MedusaSettings(url=url, http=http, **LOGIN)))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("echo", ECHOES)
async def test_a_proxy_that_repeats_what_it_is_sent(echo: str, scheme: str) -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(ECHOES[echo](request))

    async with raw_server(answer) as url:
        proxy = url.replace("://", f"://me:{SECRETS['quoted proxy']}@")
        http = HttpOptions(timeout=0.5, proxy=proxy)
        settings = MedusaSettings(url=f"{scheme}://127.0.0.1:9", http=http, **KEY)
        assert_silent(await sync_into(settings))


async def test_a_proxy_that_is_not_there() -> None:
    proxy = f"http://me:{SECRETS['quoted proxy']}@127.0.0.1:1"
    http = HttpOptions(proxy=proxy)
    outputs = await sync_into(MedusaSettings(url="https://shop", http=http, **KEY))
    assert_silent(outputs)


# --- a database that repeats the password ---


def message(kind: bytes, content: bytes) -> bytes:
    """A message as PostgreSQL sends it."""
    return kind + (len(content) + 4).to_bytes(4, "big") + content


@asynccontextmanager
async def evil_postgres(code: str) -> AsyncIterator[int]:
    """A PostgreSQL that asks for the password itself, and repeats it; its port."""

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        async def read(kind: int) -> bytes:
            await reader.readexactly(kind)
            length = int.from_bytes(await reader.readexactly(4), "big")
            return await reader.readexactly(length - 4)

        if len(await read(0)) == 4:  # asks for TLS
            writer.write(b"N")
            await read(0)
        writer.write(message(b"R", (3).to_bytes(4, "big")))
        password = (await read(1)).rstrip(b"\0")
        fields = {b"S": b"FATAL", b"C": code.encode(), b"M": b"no " + password}
        fields |= {b"D": password, b"H": password, b"n": password}
        told = b"".join(k + value + b"\0" for k, value in fields.items())
        writer.write(message(b"E", told + b"\0"))
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def database_url(port: int) -> str:
    """As written in a configuration."""
    return f"postgresql://me:{SECRETS['quoted database']}@127.0.0.1:{port}/shop"


def by_parameter(port: int, _: Path, __: pytest.MonkeyPatch) -> str:
    quoted = SECRETS["quoted database"]
    return f"postgresql://127.0.0.1:{port}/shop?user=me&password={quoted}"


def by_variable(port: int, _: Path, patch: pytest.MonkeyPatch) -> str:
    patch.setenv("PGPASSWORD", DATABASE)
    return f"postgresql://me@127.0.0.1:{port}/shop"


def by_file(port: int, folder: Path, patch: pytest.MonkeyPatch) -> str:
    file = folder / "passwords"
    file.write_text("*:*:*:me:" + DATABASE.replace(":", "\\:") + "\n")
    file.chmod(0o600)
    patch.setenv("PGPASSFILE", f"{file}")
    return f"postgresql://me@127.0.0.1:{port}/shop"


@pytest.mark.parametrize("kind", [SQLSettings, StateSettings])
@pytest.mark.parametrize("way", [by_parameter, by_variable, by_file])
async def test_a_password_that_is_not_in_front_of_the_host(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[int, Path, pytest.MonkeyPatch], str],
    kind: type[Any],
) -> None:
    outputs = Outputs()
    async with evil_postgres("28P01") as port:
        settings = kind(url=way(port, tmp_path, monkeypatch))
        outputs.add("settings", settings)
        with everything_logged(outputs), pytest.raises(CatalogSyncError) as caught:
            async with settings.open():
                pass
    outputs.spill(caught.value)
    assert any("***" in text for _, text in outputs.texts)
    assert_silent(outputs)


@pytest.mark.parametrize(
    "code", ["28P01", "3D000", "42501", "22000", "23505", "57P03", "XX000", "99999"]
)
async def test_a_database_that_repeats_the_password(code: str) -> None:
    async with evil_postgres(code) as port:
        outputs = await sync_into(SQLSettings(url=database_url(port)))
    assert any("***" in text for _, text in outputs.texts)
    assert_silent(outputs)


@pytest.mark.parametrize("code", ["28P01", "XX000"])
async def test_a_state_store_that_repeats_the_password(code: str) -> None:
    outputs = Outputs()
    async with evil_postgres(code) as port:
        settings = StateSettings(url=database_url(port))
        outputs.add("settings", settings)
        with pytest.raises(StateError) as caught, everything_logged(outputs):
            async with settings.open():
                pass
    outputs.spill(caught.value)
    assert any("***" in text for _, text in outputs.texts)
    assert_silent(outputs)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{DATABASE}@127.0.0.1:1/shop",
        f"postgresql://127.0.0.1:1/shop?user=me&password={PASSWORD}",
        f"postgresql://127.0.0.1:1/shop?pasword={PASSWORD}",
        f"postgresql://127.0.0.1:1/shop?command_timeout={PASSWORD}",
        f"postgresql://{PASSWORD}/?host=/{PASSWORD}:x",
        f"mysql://me:{PASSWORD}@host/shop",
        f"postgresql://me:p@{PASSWORD}@127.0.0.1:1/shop",
        f"postgresql://me:p@127.0.0.1:1/{PASSWORD}@127.0.0.1:1/shop",
        f"postgresql://me:p@127.0.0.1:1/?{PASSWORD}@127.0.0.1:1/shop",
        f"postgresql://me@{PASSWORD}@127.0.0.1:1/shop",
    ],
)
async def test_the_address_of_a_database(url: str) -> None:
    outputs = Outputs()
    try:
        settings = SQLSettings(url=url)
    except MisconfiguredError as error:
        outputs.spill(error)
    else:
        outputs = await sync_into(settings)
    assert_silent(outputs)


# --- settings ---


@pytest.mark.parametrize(
    "url",
    [
        f"https://me:{PASSWORD}@shop.example.com",
        f"https://{PASSWORD}@shop.example.com",
        f"https://shop.example.com@{PASSWORD}:x@",
        f"ftp://me:{PASSWORD}@shop.example.com",
        f"https://127.0.0.1:1/?token={PASSWORD}",
        f"https://me:1/{PASSWORD}@127.0.0.1:1",
        f"https://127.0.0.1:1/#token={PASSWORD}",
    ],
)
@pytest.mark.parametrize("kind", [DummyJSONSettings, MedusaSettings])
async def test_an_address_with_a_secret(kind: type[Any], url: str) -> None:
    access = LOGIN if kind is MedusaSettings else {}
    assert_silent(await sync_into(kind(url=url, **access)))


GOOD = f"""
[jobs.products]
source = {{ type = "dummyjson", url = "https://me:{PASSWORD}@shop.example.com" }}
[jobs.products.source.http]
proxy = "http://me:{SECRETS["quoted proxy"]}@proxy.example.com"
[jobs.products.sink]
type = "medusa"
url = "https://shop.example.com/?token={TOKEN}"
email = "admin@example.com"
password = "${{SHOP_PASSWORD}}"
[jobs.other]
source.type = "dummyjson"
sink = {{ type = "sql", url = "{database_url(5432)}" }}
"""


def loaded(folder: Path, text: str) -> Outputs:
    """What reading a configuration gives, good or bad."""
    outputs = Outputs()
    file = folder / CONFIG
    file.write_text(text)
    try:
        config = load_config(file, environ={"SHOP_PASSWORD": PASSWORD})
        outputs.add("config", config)
        for job in config.jobs.values():
            outputs.add("job", job)
    except CatalogSyncError as error:
        outputs.spill(error)
    return outputs


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("password =", "pasword ="),
        ("password =", "http ="),
        ("password =", "email ="),
        ("password =", "name = 1\nurl2 ="),
        ("password =", "password.value ="),
        ("password =", "password = 1\n'${{SHOP_PASSWORD}}' ="),
        ('"${SHOP_PASSWORD}"', '["${SHOP_PASSWORD}"]'),
        ('"${SHOP_PASSWORD}"', f'"{PASSWORD}'),
        ('"${SHOP_PASSWORD}"', f"{PASSWORD}"),
        ('"${SHOP_PASSWORD}"', f'"{PASSWORD}" "'),
        ('"${SHOP_PASSWORD}"', f'"{PASSWORD}\\x"'),
        ('"${SHOP_PASSWORD}"', f'"${{{PASSWORD}}}"'),
        ("proxy =", "timeout ="),
        ("proxy =", "proxi ="),
        ("[jobs.other]", '[jobs.third]\nsource = "${SHOP_PASSWORD}"\n[jobs.other]'),
        ("[jobs.other]", '[jobs.other]\nschedule = "${SHOP_PASSWORD}"'),
        ("[jobs.other]", '[jobs.other]\noptions.retry.attempts = "${SHOP_PASSWORD}"'),
        ('type = "medusa"', 'type = "${SHOP_PASSWORD}"'),
    ],
)
def test_a_configuration(tmp_path: Path, before: str, after: str) -> None:
    """A right one, and with a secret in a wrong place, or in a wrong form."""
    assert before in GOOD
    assert_silent(loaded(tmp_path, GOOD.replace(before, after)))


# --- the command line ---


COMMANDS = (
    ("check", "products"),
    ("plan", "products", "--report", "report.json"),
    ("run", "products", "--report", "report.json"),
    ("run", "products", "--report", "report.json", "-v"),
)


def configuration(source: str, sink: str) -> str:
    """A job between these."""
    return f"""
[jobs.products]
source = {{ type = "dummyjson", url = "{source}" }}
options.retry = {{ attempts = 2, wait_initial = 0, wait_jitter = 0 }}
[jobs.products.sink]
{sink}
"""


async def ran(folder: Path, text: str, arguments: tuple[str, ...]) -> Outputs:
    """What a command gives with this configuration."""
    (folder / CONFIG).write_text(text)
    environ = {"SHOP_SECRET": PASSWORD, "SHOP_KEY": API_KEY}
    return await command(folder, *arguments, environ=environ)


MEDUSA = 'type = "medusa"\nurl = "%s"\n'
ACCESS = {
    "login": 'email = "admin@example.com"\npassword = "${SHOP_SECRET}"',
    "key": 'api_key = "${SHOP_KEY}"',
}


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("echo", ["json 400", "json 500", "place"])
async def test_commands(
    tmp_path: Path, echo: str, access: str, arguments: tuple[str, ...]
) -> None:
    """With a store that opens well, and then repeats what it is sent."""
    async with (
        dummyjson_server(generate_catalog(2, awkward=False)) as source,
        raw_server(store(ECHOES[echo], late=True)) as sink,
    ):
        text = configuration(source.url, MEDUSA % sink + ACCESS[access])
        outputs = await ran(tmp_path, text, arguments)
    assert_silent(outputs)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
async def test_commands_with_a_database(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    async with (
        dummyjson_server(generate_catalog(2, awkward=False)) as source,
        evil_postgres("28P01") as port,
    ):
        sink = f'type = "sql"\nurl = "{database_url(port)}"'
        outputs = await ran(tmp_path, configuration(source.url, sink), arguments)
    assert any("***" in text for _, text in outputs.texts)
    assert_silent(outputs)


@pytest.mark.parametrize(
    ("address", "sink"),
    [
        (f"https://me:{PASSWORD}@shop.example.com", 'type = "sql"\nurl = "sqlite://"'),
        ("http://127.0.0.1:1", MEDUSA % f"https://me:{PASSWORD}@shop" + ACCESS["key"]),
        ("http://127.0.0.1:1", f'{MEDUSA % "https://shop"}pasword = "{PASSWORD}"'),
        ("http://127.0.0.1:1", f'{MEDUSA % "https://shop"}password = ["{PASSWORD}"]'),
    ],
)
async def test_commands_with_a_secret_in_a_wrong_place(
    tmp_path: Path, address: str, sink: str
) -> None:
    outputs = await ran(
        tmp_path, configuration(address, sink), ("run", "products", "-v")
    )
    assert any("error: " in text for _, text in outputs.texts)
    assert_silent(outputs)


@pytest.mark.parametrize(
    "secret",
    ["canary", "can'ary", 'can"ary', "can\\ary", "can\nary", "canäry", "c/n ry"],
)
def test_a_secret_in_any_form(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As other systems' messages may contain it: quoted, encoded, as JSON."""
    terminal = Terminal(verbose=True)
    terminal.redact([secret])
    for form in (secret, repr(secret), json.dumps(secret), quote(secret)):
        terminal.out(f"<{form}>")
        terminal.error(RuntimeError(form))
        tree = {"a": [form, {"b": f"{form}!"}], "c": 1}
        assert json.dumps(terminal.redacted(tree)).count("***") == 2
    out, err = capsys.readouterr()
    assert (out.count("***"), err.count("***")) == (4, 8)
    assert "ary" not in out
