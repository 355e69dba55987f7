"""Signed calls: only right and new ones count, and none of those is lost."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from contextlib import nullcontext

import attrs
import pytest
from multidict import CIMultiDict
from tests.service.shops import Till, finished, open_shop
from tests.web.sites import ACCESS, JSON, NEXT_SECRET, SECRET, Site, open_site, serving

from catalogsync import Change
from catalogsync.state import StateError
from catalogsync.web import sign
from catalogsync.web._errors import RefusalError
from catalogsync.web._webhooks import Signatures

PATH = "/webhooks/shelf"
STAMP, SIGNATURE = "X-Catalogsync-Timestamp", "X-Catalogsync-Signature"
WRONG = "wrong-secret-0123456789"
BODY = b'{"keys":["1","shelf:2"]}'


@pytest.fixture
async def site() -> object:
    """A shop that is served, and whose sink waits."""
    access = attrs.evolve(ACCESS, max_body=1000)
    async with open_site(access=access) as site:
        site.shop.till.gate.clear()
        yield site
        site.shop.till.gate.set()


async def call(
    site: Site, headers: dict[str, str], *, body: bytes = BODY, path: str = PATH
) -> tuple[int, str]:
    """The status of a call, and what is told."""
    response, tree = await site.answer(
        "POST", path, token=None, data=body, headers={**JSON, **headers}
    )
    return response.status, tree.get("error", "")


async def keys(site: Site) -> list[tuple[str, ...]]:
    """What is wanted, by each trigger."""
    triggers = await site.shop.store.triggers()
    return [tuple(each.id for each in trigger.keys) for trigger in triggers]


def both(*headers: dict[str, str]) -> dict[str, str]:
    """The headers of one call with the signatures of several."""
    return {
        STAMP: headers[0][STAMP],
        SIGNATURE: ", ".join(each[SIGNATURE] for each in headers),
    }


@pytest.mark.parametrize(
    ("body", "desired"),
    [
        (BODY, ("1", "2")),
        (b"{}", ()),
        (b"", ()),
        (b' {"keys": ["\xc3\xa4"]}\n', ("\u00e4",)),
    ],
)
async def test_a_right_call(site: Site, body: bytes, desired: tuple[str, ...]) -> None:
    """What it names is noted before it is answered."""
    assert await call(site, sign(SECRET, body), body=body) == (202, "")
    assert await keys(site) == [desired]
    (trigger,) = await site.shop.store.triggers()
    assert trigger.by == "webhook"


async def test_the_run_of_a_call(site: Site) -> None:
    """Only the named products are fetched; the answer has the run's id."""
    site.shop.till.gate.set()
    async with site.events() as events:
        run_id = (await site.hook({"keys": ["3"]}))["run_id"]
        assert (await events.until("RunFinished"))["run_id"] == run_id
    assert (site.shop.shelf.asked, site.shop.shelf.passes) == ([["3"]], 0)
    assert site.shop.till.titles == {"3": "Thing 3"}


def test_the_signature() -> None:
    """As anybody else would make it."""
    headers = sign("s" * 16, b'{"keys":["1"]}', at=1700000000)
    assert headers == {
        STAMP: "1700000000.000000",
        SIGNATURE: "v1="
        "2cd6c934a5883d5d01ca5e488f23f83cdf5d69a649bb36aaaeea9f143d8e2f3f",
    }


@pytest.mark.parametrize("off", [-200, 200])
async def test_clocks_that_differ_a_little(site: Site, off: float) -> None:
    assert await call(site, sign(SECRET, BODY, at=time.time() + off)) == (202, "")


@pytest.mark.parametrize("off", [-400, 400, -1e6, 1e6])
async def test_old_and_future_calls(site: Site, off: float) -> None:
    told = f"{STAMP} differs by more than 300 s from the server's clock"
    assert await call(site, sign(SECRET, BODY, at=time.time() + off)) == (401, told)
    assert await keys(site) == []


@pytest.mark.parametrize(
    "stamp", ["", "x", "-1", "1e9", "nan", "inf", "17 00", "1" * 13, "1.", "\u0661"]
)
async def test_times_that_are_none(site: Site, stamp: str) -> None:
    headers = {**sign(SECRET, BODY), STAMP: stamp}
    told = f"{STAMP} must be seconds since the epoch"
    assert await call(site, headers) == (400, told)


async def test_no_headers(site: Site) -> None:
    for missing in (STAMP, SIGNATURE):
        headers = sign(SECRET, BODY)
        del headers[missing]
        status, told = await call(site, headers)
        assert status in {400, 401}
        assert told.startswith(missing)
    assert await keys(site) == []


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "v1=",
        "v1",
        "v2=abc",
        "v1=zz",
        "v1=" + "0" * 64,
        "\udcff",
        "v1=\udcff",
        ",".join(["v1=" + "0" * 64] * 11),
    ],
)
async def test_signatures_that_are_none(site: Site, signature: str) -> None:
    status, told = await call(site, {**sign(SECRET, BODY), SIGNATURE: signature})
    assert (status, SIGNATURE in told) == (401, True)
    assert await keys(site) == []


@pytest.mark.parametrize("change", ["body", "secret", "time", "job"])
async def test_a_signature_of_something_else(site: Site, change: str) -> None:
    body, path, headers = BODY, PATH, sign(SECRET, BODY)
    match change:
        case "body":
            body = BODY.replace(b"1", b"3")
        case "secret":
            headers = sign(WRONG, BODY)
        case "time":
            headers[STAMP] = sign(SECRET, BODY, at=time.time() - 1)[STAMP]
        case _:
            path = "/webhooks/other"
    told = f"{SIGNATURE} does not match"
    assert await call(site, headers, body=body, path=path) == (401, told)
    assert await keys(site) == []


@pytest.mark.parametrize(("off", "good"), [(300, True), (300.1, False)])
@pytest.mark.parametrize("side", [-1, 1])
async def test_how_much_clocks_may_differ(off: float, side: int, *, good: bool) -> None:
    """To the second, on either side."""
    signatures = Signatures({"a": (SECRET,)}, clock=lambda: 1e9)
    headers = CIMultiDict(sign(SECRET, BODY, at=1e9 + side * off))
    with nullcontext() if good else pytest.raises(RefusalError, match="more than 300"):
        signatures.check("a", headers, BODY)


async def test_the_secret_of_another_job() -> None:
    """Each webhook has its own."""
    now = time.time()
    signatures = Signatures({"a": (SECRET,), "b": (NEXT_SECRET,)}, clock=lambda: now)
    headers = CIMultiDict(sign(SECRET, BODY, at=now))
    with pytest.raises(RefusalError, match="does not match"):
        signatures.check("b", headers, BODY)
    assert signatures.check("a", headers, BODY)


async def test_old_calls_are_forgotten() -> None:
    """When their time has passed, they would be refused for that."""
    now = 1e9
    signatures = Signatures({"a": (SECRET,)}, clock=lambda: now)
    for _ in range(100):
        now += 10
        headers = CIMultiDict(sign(SECRET, BODY, at=now))
        signatures.check("a", headers, BODY)
    assert len(signatures._seen) == 31


async def test_a_call_that_comes_again(site: Site) -> None:
    """It counts once, however its signatures are put."""
    old = sign(SECRET, BODY)
    new = sign(NEXT_SECRET, BODY, at=float(old[STAMP]))
    assert await call(site, both(old, new)) == (202, "")
    told = "replayed request; retry with a fresh timestamp and signature"
    for again in (both(old, new), old, new, both(new, old)):
        assert await call(site, again) == (401, told)
    assert await call(site, sign(SECRET, BODY)) == (202, "")
    assert await keys(site) == [("1", "2")] * 2


async def test_secrets_that_change(site: Site) -> None:
    """Either is taken, and one right signature among wrong ones is enough."""
    assert await call(site, sign(NEXT_SECRET, BODY)) == (202, "")
    wrong, now = WRONG, time.time()
    headers = both(sign(wrong, BODY, at=now), sign(SECRET, BODY, at=now))
    assert await call(site, headers) == (202, "")


@pytest.mark.parametrize(
    ("body", "headers", "status", "told"),
    [
        (b"x" * 1001, {}, 413, "the body is larger than 1000 bytes"),
        (b"{", {}, 400, "the body is not JSON"),
        (b"[]", {}, 400, "the body must be an object, not a list"),
        (b'{"keys":[1]}', {}, 400, "keys[0]: must be text, not a number"),
        (b'{"key":[]}', {}, 400, "key: unknown key; known: keys"),
        (
            BODY,
            {"Content-Type": "text/plain"},
            415,
            "the body must be application/json",
        ),
        (BODY, {"Content-Encoding": "gzip"}, 415, "the body must not be compressed"),
    ],
)
async def test_bad_bodies(
    site: Site, body: bytes, headers: dict[str, str], status: int, told: str
) -> None:
    """One line says what is wrong, and nothing is noted."""
    signed = {**sign(SECRET, body), **headers}
    assert await call(site, signed, body=body) == (status, told)
    assert await keys(site) == []


async def test_a_store_that_is_down(site: Site) -> None:
    """The call is not taken, so it may come again as it is."""
    site.shop.store.faults["add_trigger"] = StateError("the disk is full")
    headers = sign(SECRET, BODY)
    assert await call(site, headers) == (503, "the disk is full")
    assert await call(site, headers) == (202, "")


async def test_a_burst() -> None:
    """A thousand calls end in the right state, with very few runs."""
    async with open_site(size=100) as site, finished(site.shop.service) as end:
        site.shop.till.gate.clear()
        numbers = itertools.count()

        async def change() -> None:
            for number in itertools.takewhile(lambda n: n < 1000, numbers):
                site.shop.shelf.titles[number % 100] = f"Version {number}"
                await site.hook({"keys": [str(number % 100)]})

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(change())
        site.shop.till.gate.set()
        await end()
        await site.shop.store.idle()
        assert len(await site.shop.store.runs(limit=1000)) <= 3
        assert site.shop.till.titles == {
            str(number): f"Version {900 + number}" for number in range(100)
        }


async def test_calls_that_come_at_any_moment() -> None:
    """With runs going on and ending all the time, none is lost."""
    async with open_site(size=20) as site:

        async def change(number: int) -> None:
            for version in range(50):
                site.shop.shelf.titles[number] = f"Version {version}"
                await site.hook({"keys": [str(number)]})

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(change(number))
        desired = {str(number): "Version 49" for number in range(20)}
        await site.shop.store.until(lambda: site.shop.till.titles == desired)
        await site.shop.store.idle()
        assert len(await site.shop.store.runs(limit=1000)) < 1000


async def test_our_own_changes_do_not_echo() -> None:
    """A sink whose writes call the webhook ends the circle by itself."""
    till = Till()
    async with open_shop(till=till) as shop, serving(shop) as site:
        calls: list[list[str]] = []

        async def tell(changes: Sequence[Change]) -> None:
            calls.append([change.key.id for change in changes])
            await site.hook({"keys": calls[-1]})

        till.after = tell
        await shop.ask()
        await shop.store.until(lambda: len(calls) == 3)
        await shop.store.idle()
        assert till.writes == calls == [["0", "1"], ["2", "3"], ["4"]]
        last, first = await shop.store.runs()
        assert first.report["counts"]["created"] == 5
        assert last.report["counts"]["unchanged"] == 5
        assert last.report["writes"] == 0
