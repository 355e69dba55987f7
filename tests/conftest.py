"""Fixtures that several folders share: catalogs and servers, fake and real."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from hypothesis import settings
from tests.adapters.sql_databases import Hand
from tests.real import STORE, real_is_desired
from yarl import URL

from catalogsync.testing.catalog import generate_catalog
from catalogsync.testing.dummyjson import dummyjson_server
from catalogsync.testing.medusa import fake_medusa

_ROOT = Path(__file__).parents[1]

settings.register_profile("few", max_examples=10, deadline=None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that two workers end at about the same time."""
    items.sort(key=lambda item: item.get_closest_marker("patient") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None]:
    """Collect garbage after each file, so that what it left open is reported there."""
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()


@pytest.fixture(scope="session")
def real_records() -> list[dict[str, Any]]:
    """DummyJSON's own 194 products where they are at hand, else made ones."""
    file = _ROOT / "../shared/dummyjson/products.json"
    if not file.exists():
        return generate_catalog()
    records: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return records


@pytest.fixture
async def api(
    real_records: list[dict[str, Any]],
) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a DummyJSON server with the real records.

    With ``CATALOGSYNC_DUMMYJSON_URL`` set, of the server at that address, which must
    have its own products and no rate limit: so ours is held against the real one.
    """
    if url := os.environ.get("CATALOGSYNC_DUMMYJSON_URL"):
        async with aiohttp.ClientSession(url) as session:
            yield session
        return
    async with (
        dummyjson_server(real_records) as server,
        aiohttp.ClientSession(server.url) as session,
    ):
        yield session


@attrs.define
class RealStore:
    """A Medusa store that ``store.mjs`` runs.

    Attributes:
        process: Its process.
        facts: Its address and its keys.
        token: What its server gave to the first test that logged in; making one takes a
            tenth of a second.
    """

    process: subprocess.Popen[str]
    facts: dict[str, str]
    token: str = ""

    def do(self, what: str, **how: object) -> None:
        """Empty (``empty``), recreate, kill or boot it."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": what, **how}) + "\n")
        self.process.stdin.flush()
        assert _read_line(self.process) == {"done": what}


def _read_line(process: subprocess.Popen[str]) -> Any:
    assert process.stdout
    line = process.stdout.readline()
    assert line, "the store has ended; its log and its words above say why"
    return json.loads(line)


@pytest.fixture(scope="session")
def real_store() -> Iterator[RealStore]:
    """A real store, whose data ``CATALOGSYNC_STORE_DIR`` keeps for the next time."""
    with contextlib.ExitStack() as stack:
        folder = os.environ.get("CATALOGSYNC_STORE_DIR")
        if not folder:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            Path(folder).chmod(0o755)  # as root, PostgreSQL runs as somebody else
        data = Path(folder, os.environ.get("PYTEST_XDIST_WORKER", "."))
        command = [
            "node",
            "store.mjs",
            "start",
            "--hasty",
            "--json",
            "--data",
            f"{data}",
        ]
        process = stack.enter_context(
            subprocess.Popen(
                command,
                cwd=STORE,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )  # leaving it closes its standard input, so it stops, and waits for it
        yield RealStore(process, _read_line(process))


@attrs.frozen
class Medusa:
    """A Medusa server to test against, and a client that is logged in to it."""

    facts: Mapping[str, str]
    session: aiohttp.ClientSession

    def __getattr__(self, name: str) -> str:
        return self.facts[name]

    async def log_in(self, token: str = "") -> str:
        """Use a token from now on, a new one if none is given."""
        login = {"email": self.email, "password": self.password}
        token = token or (await self.post("/auth/user/emailpass", login))["token"]
        self.session.headers["Authorization"] = f"Bearer {token}"
        return token

    async def ask(
        self, method: str, path: str, body: object = None, **options: Any
    ) -> tuple[int, Any]:
        """The status and the body of an answer."""
        options = {"json": body, **options} if body is not None else options
        async with self.session.request(
            method, URL(path, encoded=True), **options
        ) as answer:
            raw = await answer.read()
            is_json = answer.content_type == "application/json"
            return answer.status, json.loads(raw) if is_json else raw.decode()

    async def get(self, path: str) -> Any:
        """What is at an address."""
        status, body = await self.ask("GET", path)
        assert status == 200, body
        return body

    async def post(self, path: str, body: object) -> Any:
        """The answer to what is accepted."""
        status, answer = await self.ask("POST", path, body)
        assert status == 200, answer
        return answer


FACTS = (
    *("url", "email", "password", "api_key", "publishable_key"),
    *("other_publishable_key", "sales_channel_id", "other_sales_channel_id"),
    *("stock_location_id", "region_id", "shipping_profile_id"),
)


@pytest.fixture(params=["fake", "real"] if real_is_desired() else ["fake"])
async def medusa(request: pytest.FixtureRequest) -> AsyncIterator[Medusa]:
    """An empty store, fake or real."""
    if request.param == "real":
        async with empty_store(request.getfixturevalue("real_store")) as server:
            yield server
        return
    async with fake_medusa() as fake, aiohttp.ClientSession(fake.url) as session:
        server = Medusa({name: getattr(fake, name) for name in FACTS}, session)
        await server.log_in()
        yield server


@contextlib.asynccontextmanager
async def empty_store(store: RealStore) -> AsyncIterator[Medusa]:
    """The real store without products."""
    store.do("empty")
    async with aiohttp.ClientSession(store.facts["url"]) as session:
        server = Medusa(store.facts, session)
        store.token = await server.log_in(store.token)
        yield server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own; gives the URL of its one database."""
    folder = tmp_path_factory.mktemp("postgres")
    script = f"{STORE}/store.mjs"
    command = ["node", script, "postgres", "--hasty", "--json", "--data", f"{folder}"]
    log = folder / "store.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        assert line, f"PostgreSQL did not start: {log.read_text()}"
        url = json.loads(line)["database_url"]
        asyncio.run(_hurry(url))
        yield url
        process.stdin.close()


async def _hurry(url: str) -> None:
    """The password need not survive an attack."""
    from sqlalchemy import make_url

    hand = Hand(url)
    await hand("ALTER SYSTEM SET scram_iterations = 1")
    await hand("SELECT pg_reload_conf()")
    await hand(f"ALTER ROLE CURRENT_USER PASSWORD '{make_url(url).password}'")


@pytest.fixture
async def postgres(postgres_server: str) -> str:
    """The URL of an empty database on PostgreSQL."""
    await Hand(postgres_server)(
        "DO 'BEGIN DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public;"
        " GRANT USAGE ON SCHEMA public TO PUBLIC; END'"
    )
    return postgres_server
