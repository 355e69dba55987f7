"""Messages about written products reach their receivers, signed, or are reported."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp import web
from tests.engine.fakes import until
from tests.service.shops import finished

from catalogsync import (
    Job,
    MemorySink,
    MisconfiguredError,
    Product,
    ProductKey,
    RunStatus,
    StateSettings,
    as_source,
    load_config,
)
from catalogsync.catalog.outcomes import OutcomeStatus, WrittenProduct
from catalogsync.integrations.inform import Informer, Receiver
from catalogsync.service import Service
from catalogsync.state import HasOutbox, Message, Outbox, StateStore
from catalogsync.testing import serve

SECRET = "whsec_aW5mb3JtLXNlY3JldC0wMTIzNDU2Nzg5"


@attrs.define
class Storefront:
    """A server that receives messages.

    Attributes:
        url: Its address.
        statuses: What it answers next; 200 at the end.
        calls: Headers and body of each request.
        gate: Closed while it hangs.
        arrived: Set when it has accepted a message.
    """

    url: str = ""
    statuses: list[int] = attrs.field(factory=list[int])
    calls: list[tuple[dict[str, str], bytes]] = attrs.field(
        factory=list[tuple[dict[str, str], bytes]]
    )
    gate: asyncio.Event = attrs.field(factory=asyncio.Event)
    arrived: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.calls.append((dict(request.headers), body))
        await self.gate.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.arrived.set()
        return web.Response(status=status, text=f"{SECRET} {body.decode()}")

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.calls]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.calls]

    def receiver(self, **settings: Any) -> Receiver:
        return Receiver(url=f"{self.url}/t0k3n-abc", secret=SECRET, **settings)


@asynccontextmanager
async def storefront(*statuses: int) -> AsyncGenerator[Storefront]:
    front = Storefront(statuses=[*statuses])
    front.gate.set()
    app = web.Application()
    app.router.add_post("/t0k3n-abc", front.handle)
    async with serve(app) as url:
        front.url = url
        yield front


def job(receiver: Receiver, store: StateStore, *ids: int, title: str = "Cup") -> Job:
    cups = [Product(key=ProductKey("pim", f"{n}"), title=title) for n in ids]
    return Job(
        name="cups",
        source=as_source(cups, name="pim"),
        sink=MemorySink(),
        state=store,
        schedule=None,
        inform={"storefront": receiver},
    )


def outbox(store: StateStore) -> Outbox:
    assert isinstance(store, HasOutbox)
    return store.outbox


async def waiting(store: StateStore) -> list[Message]:
    return [*await outbox(store).messages("cups")]


async def again(store: StateStore, receiver: Receiver, *, within: float = 30) -> None:
    """Deliver as a later process does, when all messages are due again."""
    await make_due(store)
    await deliver(store, receiver, within=within)


async def make_due(store: StateStore) -> None:
    for message in await waiting(store):
        problem = message.problem
        await outbox(store).postpone(message.id, wait=-1, problem=problem)


async def deliver(store: StateStore, receiver: Receiver, *, within: float = 30) -> None:
    """Deliver what is due, as a process without a memory does."""
    receivers = {"storefront": receiver}
    informer = Informer(job="cups", receivers=receivers, outbox=outbox(store))
    await informer.deliver(within=within)


async def test_a_run_informs_a_receiver_in_a_signed_message() -> None:
    async with storefront() as front, StateSettings().open() as store:
        await job(front.receiver(headers={"x-team": "shop"}), store, 1, 2).run()
        assert await waiting(store) == []
    ((headers, body),) = front.calls
    library = pytest.importorskip("standardwebhooks").Webhook(SECRET)
    tree = library.verify(body, headers)
    assert tree["type"] == "products.written"
    at = dt.datetime.fromisoformat(tree["timestamp"])
    assert at.utcoffset() == dt.timedelta(0)
    new: dict[str, Any] = {
        "status": "created",
        "handle": None,
        "id": None,
        "fields": [],
    }
    assert tree["data"] == {
        "job": "cups",
        "products": [{"key": "pim:1", **new}, {"key": "pim:2", **new}],
    }
    assert headers["Content-Type"] == "application/json"
    assert headers["x-team"] == "shop"


@pytest.mark.parametrize("status", [500, 503, 429, 408, 400, 401, 404, 302])
async def test_what_is_not_accepted_is_sent_again_under_the_same_id(
    status: int,
) -> None:
    async with storefront(status) as front, StateSettings().open() as store:
        receiver = front.receiver()
        report = await job(receiver, store, 1).run()
        assert report.status is RunStatus.SUCCEEDED
        (message,) = await waiting(store)
        assert (message.attempts, message.problem != "") == (1, True)
        await again(store, receiver)
        assert await waiting(store) == []
    assert front.ids == [message.id] * 2
    assert front.bodies[0] == front.bodies[1]


async def test_a_message_is_not_due_again_at_once() -> None:
    async with storefront(500) as front, StateSettings().open() as store:
        await job(front.receiver(), store, 1).run()
        assert await outbox(store).take("cups", "storefront", hold=60) is None


async def test_a_receiver_that_is_down_gets_one_attempt_and_the_order_stays() -> None:
    async with storefront(500) as front, StateSettings().open() as store:
        receiver = front.receiver()
        await job(receiver, store, *range(250)).run()
        assert len(front.calls) == 1
        assert [m.attempts for m in await waiting(store)] == [1, 0, 0]
        await again(store, receiver)
    assert [len(body["data"]["products"]) for body in front.bodies] == [100] * 3 + [50]
    keys = [p["key"] for body in front.bodies[1:] for p in body["data"]["products"]]
    assert len(set(keys)) == 250


async def test_a_refused_message_does_not_hold_up_the_next() -> None:
    async with storefront(400) as front, StateSettings().open() as store:
        await job(front.receiver(), store, *range(150)).run()
        assert len(front.calls) == 2
        (left,) = await waiting(store)
        assert left.id == front.ids[0]


async def test_one_receiver_does_not_hold_up_another() -> None:
    async with (
        storefront(500) as bad,
        storefront() as good,
        StateSettings().open() as store,
    ):
        two = attrs.evolve(
            job(bad.receiver(), store, 1),
            inform={"bad": bad.receiver(), "good": good.receiver()},
        )
        await two.run()
        assert good.arrived.is_set()
        (left,) = await waiting(store)
        assert left.receiver == "bad"


async def test_a_receiver_that_hangs_does_not_hold_up_the_end() -> None:
    async with storefront() as front, StateSettings().open() as store:
        receiver = front.receiver()
        await job(receiver, store, 1).run()
        front.gate.clear()
        await (
            job(receiver, store, 2)
            .sync(as_source([], name="pim"), MemorySink(), store)
            .run()
        )
        await outbox(store).confirm("cups", "x", [_written()])
        await again(store, receiver, within=0.05)
        assert len(await waiting(store)) == 1
        front.gate.set()
        await again(store, receiver)
        assert await waiting(store) == []


def _written() -> WrittenProduct:
    return WrittenProduct(key=ProductKey("pim", "9"), status=OutcomeStatus.UPDATED)


async def test_what_is_given_up_is_logged_and_in_the_next_report(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with storefront(500) as front, StateSettings().open() as store:
        receiver = front.receiver(give_up_after=1e-9)
        await job(receiver, store, *range(150)).run()
        assert await waiting(store) == []
        (record,) = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert record.name == "catalogsync.inform"
        assert "job cups: gave up 2 messages for storefront" in record.getMessage()
        report = await job(receiver, store, 1).run()
        assert report.warnings == (
            "gave up informing storefront (2 messages about 150 products): HTTP 500",
        )
        report = await job(receiver, store, 1).run()
        assert report.warnings == ()


async def test_two_processes_do_not_send_the_same_message_at_once() -> None:
    async with storefront(503) as front, StateSettings().open() as store:
        receiver = front.receiver()
        await job(receiver, store, *range(250)).run()
        await make_due(store)
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(deliver(store, receiver))
    accepted = front.ids[1:]
    assert len(accepted) == len(set(accepted)) == 3


def contents(folder: Path) -> list[str]:
    return [path.read_bytes().decode("latin-1") for path in folder.iterdir()]


@pytest.mark.parametrize("status", [500, 400, None])
async def test_secrets_are_in_no_log_and_not_in_the_store(
    status: int | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "state.db"
    async with storefront(status or 200) as front:
        receiver = front.receiver(headers={"authorization": "Bearer h3ad3r-t0k3n"})
        if status is None:
            receiver = attrs.evolve(receiver, url="http://127.0.0.1:9/t0k3n-abc")
        async with StateSettings(url=f"sqlite:///{file}").open() as store:
            await job(receiver, store, 1).run()
            assert len(await waiting(store)) == 1
    texts = [caplog.text, repr(receiver), str(receiver)]
    texts += contents(tmp_path)
    for text in texts:
        for secret in (SECRET, SECRET.removeprefix("whsec_"), "t0k3n", "h3ad3r"):
            assert secret not in text


async def test_the_service_delivers_while_it_runs() -> None:
    async with storefront() as front, StateSettings().open() as store:
        one = job(front.receiver(), store, 1)
        async with Service(jobs={"cups": one}, state=store) as service:
            await service.trigger("cups")
            await front.arrived.wait()
        assert await waiting(store) == []


async def test_the_service_delivers_what_a_crash_has_left() -> None:
    async with storefront() as front, StateSettings().open() as store:
        await outbox(store).confirm("cups", "x", [_written()])
        one = job(front.receiver(), store, 1)
        async with Service(jobs={"cups": one}, state=store):
            await front.arrived.wait()
    assert front.bodies[0]["data"]["products"][0]["key"] == "pim:9"


async def test_a_receiver_that_hangs_delays_no_run_of_the_service() -> None:
    async with storefront() as front, StateSettings().open() as store:
        front.gate.clear()
        one = job(front.receiver(), store, 1)
        async with Service(jobs={"cups": one}, state=store) as service:
            async with finished(service) as end:
                for _ in range(3):
                    await service.trigger("cups")
                    await end()
            front.gate.set()


async def test_a_service_that_is_cancelled_leaves_no_task() -> None:
    """Not even if it is cancelled again while it waits for a receiver."""
    async with storefront() as front, StateSettings().open() as store:
        front.gate.clear()
        await outbox(store).confirm("cups", "x", [_written()])
        one = job(front.receiver(), store, 1)

        async def serving() -> None:
            async with Service(jobs={"cups": one}, state=store):
                await asyncio.Event().wait()

        def names() -> set[str]:
            return {task.get_name() for task in asyncio.all_tasks()}

        task = asyncio.get_running_loop().create_task(serving())
        await until(lambda: front.calls)
        assert "catalogsync-inform-cups" in names()
        await until(lambda: not task.cancel())  # again and again, until it is done
        assert "catalogsync-inform-cups" not in names()
        front.gate.set()


def test_receivers_in_toml(tmp_path: Path) -> None:
    file = tmp_path / "catalogsync.toml"
    file.write_text(
        """
        [jobs.shop]
        source = { type = "dummyjson", url = "https://dummyjson.com" }
        sink = { type = "sql", url = "sqlite:///catalog.db" }
        [jobs.shop.inform.storefront]
        url = "https://shop.example.com/api/catalog"
        secret = "${INFORM_SECRET}"
        give_up_after = 3600
        """
    )
    config = load_config(file, environ={"INFORM_SECRET": SECRET})
    (receiver,) = config.job("shop").inform.values()
    assert receiver == Receiver(
        url="https://shop.example.com/api/catalog", secret=SECRET, give_up_after=3600
    )


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("inform = 3", "jobs.shop.inform: must be a table of receivers"),
        ("inform.x.url = 'https://x.example'", "jobs.shop.inform.x.secret: is missing"),
        (
            "inform.x = { url = 'https://x.example', secret = 'k3y' }",
            "jobs.shop.inform.x.secret: must be whsec_ and the base64",
        ),
        (
            f"inform.x = {{ url = 'x', secret = '{SECRET}' }}",
            "jobs.shop.inform.x.url: ",
        ),
        (
            f"inform.x = {{ url = 'https://x.example', secret = '{SECRET}', ur = 1 }}",
            "jobs.shop.inform.x.ur: unknown key",
        ),
    ],
)
def test_receivers_that_are_not_valid(lines: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "catalogsync.toml"
    file.write_text(
        f"""
        [jobs.shop]
        source = {{ type = "dummyjson", url = "https://dummyjson.com" }}
        sink = {{ type = "sql", url = "sqlite:///catalog.db" }}
        {lines}
        """
    )
    with pytest.raises(MisconfiguredError) as caught:
        load_config(file)
    assert problem in str(caught.value)
    assert SECRET not in str(caught.value)
