"""The command line delivers messages after a run, within a bounded time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from aiohttp import web
from click.testing import Result

from catalogsync.testing import serve_in_thread
from catalogsync.testing.dummyjson import Records

from .conftest import Configure

Call = Callable[..., Result]
SECRET = "whsec_Y2FuYXJ5LXNlY3JldC0wMTIzNDU2Nzg5"


@attrs.define
class Receiver:
    """A server that keeps what it receives.

    Attributes:
        url: Its address, with a token.
        status: What it answers.
    """

    url: str = ""
    status: int = 200
    messages: list[Any] = attrs.field(factory=list[Any])

    async def handle(self, request: web.Request) -> web.Response:
        self.messages.append(json.loads(await request.read()))
        return web.Response(status=self.status)

    def taken(self) -> list[list[str]]:
        """The keys and statuses of each message since the last call."""
        messages, self.messages = self.messages, []
        return [
            [f"{p['key']} {p['status']}" for p in message["data"]["products"]]
            for message in messages
        ]


@pytest.fixture
def receiver(configure: Configure) -> Iterator[Receiver]:
    found = Receiver()

    def app() -> web.Application:
        made = web.Application()
        made.router.add_post("/{token}", found.handle)
        return made

    with serve_in_thread(app) as url:
        found.url = f"{url}/t0k3n-canary"
        configure(f'inform.it = {{ url = "{found.url}", secret = "{SECRET}" }}')
        yield found


def called(call: Call, *arguments: str) -> Result:
    """Call, and see that nothing secret is in the output."""
    result = call(*arguments)
    for secret in (SECRET, "t0k3n-canary"):
        assert secret not in result.output
    return result


def test_after_a_run(receiver: Receiver, call: Call, records: Records) -> None:
    assert called(call, "run", "products").exit_code == 0
    assert receiver.taken() == [[f"dummyjson:{n} created" for n in range(1, 6)]]
    records[2]["title"] = "New"
    assert called(call, "run", "products", "-v").exit_code == 0
    assert receiver.taken() == [["dummyjson:3 updated"]]
    assert called(call, "run", "products").exit_code == 0
    assert receiver.taken() == []


def test_the_next_run_delivers_what_is_left(
    receiver: Receiver, call: Call, records: Records
) -> None:
    """The run itself has succeeded."""
    receiver.status = 503
    result = called(call, "run", "products", "-v")
    assert result.exit_code == 0
    assert "it did not accept a message with 5 products: HTTP 503" in result.stderr
    receiver.taken()
    receiver.status = 200
    records[2]["title"] = "New"
    assert called(call, "run", "products").exit_code == 0
    assert ["dummyjson:3 updated"] in receiver.taken()


def test_after_retry_and_apply(
    receiver: Receiver, call: Call, records: Records
) -> None:
    price = records[0]["price"]
    records[0]["price"] = "free"
    assert called(call, "run", "products").exit_code == 1
    assert len(receiver.taken()[0]) == 4
    records[0]["price"] = price
    assert called(call, "retry", "products", "--dry-run").exit_code == 0
    assert receiver.taken() == []
    assert called(call, "retry", "products").exit_code == 0
    assert receiver.taken() == [["dummyjson:1 created"]]
    records[1]["title"] = "New"
    assert called(call, "plan", "products", "--out", "p.jsonl").exit_code == 0
    assert receiver.taken() == []
    assert called(call, "apply", "p.jsonl").exit_code == 0
    assert receiver.taken() == [["dummyjson:2 updated"]]


def test_without_a_run(receiver: Receiver, call: Call) -> None:
    """What waits is listed with the reason."""
    receiver.status = 503
    called(call, "run", "products")
    result = called(call, "inform", "products")
    assert result.exit_code == 1
    line = r"it: 1 message about 5 products, waiting since 20[-0-9]+ [:0-9]+: HTTP 503"
    assert re.fullmatch(line, result.stdout.strip())


def test_nothing_waits(receiver: Receiver, call: Call) -> None:
    called(call, "run", "products")
    result = called(call, "inform", "products")
    assert (result.exit_code, result.stdout) == (0, "it: all messages are delivered\n")


def test_a_job_without_receivers(configure: Configure, call: Call) -> None:
    result = call("inform", "products")
    assert result.exit_code == 2
    assert "jobs.products.inform: names no receiver" in result.stderr
