"""Signed calls: only right ones count, each of them once, and none is lost."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import time
from base64 import b64encode
from collections.abc import Sequence
from contextlib import nullcontext

import attrs
import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict
from tests.service.shops import Till, finished, open_shop
from tests.web.sites import (
    ACCESS,
    JSON,
    NEXT_SECRET,
    SECRET,
    WRONG_SECRET,
    Site,
    open_site,
    serving,
)

from catalogsync import Change, MisconfiguredError
from catalogsync.state import StateError
from catalogsync.web import sign
from catalogsync.web._errors import RefusalError
from catalogsync.web._webhooks import Signatures

PATH = "/webhooks/shelf"
ID, STAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
NOW = 1_700_000_000
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
    """The status of a call, and the message."""
    response, tree = await site.answer(
        "POST", path, token=None, data=body, headers={**JSON, **headers}
    )
    return response.status, tree.get("error", "")


async def keys(site: Site) -> list[tuple[str, ...]]:
    """The keys of each trigger."""
    triggers = await site.shop.store.triggers()
    return [tuple(each.id for each in trigger.keys) for trigger in triggers]


def both(*headers: dict[str, str]) -> dict[str, str]:
    """The headers of one call with the signatures of several."""
    return {
        **headers[0],
        SIGNATURE: " ".join(each[SIGNATURE] for each in headers),
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


def test_the_signature_of_the_standard() -> None:
    """The example that its own libraries are tested with."""
    secret, call = (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
    )
    assert sign(secret, b'{"test": 2432232314}', call_id=call, at=1614265330) == {
        ID: call,
        STAMP: "1614265330",
        SIGNATURE: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


SECRETS = st.binary(min_size=24, max_size=64).map(
    lambda key: f"whsec_{b64encode(key).decode()}"
)
IDS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."),
    min_size=1,
    max_size=256,
)


@given(secret=SECRETS, call=IDS, body=st.text().map(str.encode))
def test_the_library_of_the_standard_agrees(
    secret: str, call: str, body: bytes
) -> None:
    """It takes what we sign, and we take what it signs."""
    standardwebhooks = pytest.importorskip("standardwebhooks")
    library, now = standardwebhooks.Webhook(secret), dt.datetime.now(dt.UTC)
    library.verify(body, sign(secret, body, call_id=call), json_parse=False)
    headers = {
        ID: call,
        STAMP: str(int(now.timestamp())),
        SIGNATURE: library.sign(call, now, body.decode()),
    }
    assert Signatures({"a": (secret,)}).check("a", CIMultiDict(headers), body)


@given(st.data())
def test_whatever_is_changed_is_refused(data: st.DataObject) -> None:
    """Any byte of the body, and any character of a header."""
    secret, call = data.draw(SECRETS), data.draw(IDS)
    body = data.draw(st.binary(min_size=1))
    signatures = Signatures({"a": (secret,)}, clock=lambda: NOW)
    headers = CIMultiDict(sign(secret, body, call_id=call, at=NOW))
    signatures.check("a", headers, body)
    name = data.draw(st.sampled_from(["body", *headers]))
    if name == "body":
        at = data.draw(st.integers(0, len(body) - 1))
        changed = bytearray(body)
        changed[at] ^= data.draw(st.integers(1, 255))
        body = bytes(changed)
    else:
        text = headers[name]
        at = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.characters(codec="ascii").filter(lambda c: c != text[at]))
        headers[name] = text[:at] + other + text[at + 1 :]
    with pytest.raises(RefusalError):
        signatures.check("a", headers, body)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "secret-0123456789-0123456789",
        SECRET.removeprefix("whsec_"),
        f"{SECRET}\n",
        SECRET.replace("h", "-"),
        f"whsec_{b64encode(b'x' * 23).decode()}",
        f"whsec_{b64encode(b'x' * 65).decode()}",
    ],
)
def test_secrets_of_another_form(secret: str) -> None:
    with pytest.raises(MisconfiguredError, match="must be whsec_ and the base64 of"):
        sign(secret, BODY)


@pytest.mark.parametrize("off", [-200, 200])
async def test_clocks_that_differ_a_little(site: Site, off: float) -> None:
    assert await call(site, sign(SECRET, BODY, at=time.time() + off)) == (202, "")


@pytest.mark.parametrize("off", [-400, 400, -1e6, 1e6])
async def test_old_and_future_calls(site: Site, off: float) -> None:
    message = f"{STAMP} differs by more than 300 s from the server's clock"
    assert await call(site, sign(SECRET, BODY, at=time.time() + off)) == (401, message)
    assert await keys(site) == []


@pytest.mark.parametrize(
    "stamp", ["", "x", "-1", "1e9", "nan", "inf", "17 00", "1" * 13, "1.5", "\u0661"]
)
async def test_invalid_times(site: Site, stamp: str) -> None:
    headers = {**sign(SECRET, BODY), STAMP: stamp}
    message = f"{STAMP} must be seconds since the epoch"
    assert await call(site, headers) == (400, message)


async def test_no_headers(site: Site) -> None:
    for missing in (ID, STAMP, SIGNATURE):
        headers = sign(SECRET, BODY)
        del headers[missing]
        status, message = await call(site, headers)
        assert status in {400, 401}
        assert message.startswith(missing)
    assert await keys(site) == []


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "v1,",
        "v1",
        ",",
        "v2,abc",
        "v1,zz",
        "v1," + "0" * 43 + "=",
        "\udcff",
        "v1,\udcff",
    ],
)
async def test_invalid_signatures(site: Site, signature: str) -> None:
    status, message = await call(site, {**sign(SECRET, BODY), SIGNATURE: signature})
    assert (status, SIGNATURE in message) == (401, True)
    assert await keys(site) == []


@pytest.mark.parametrize("change", ["body", "secret", "id", "time", "job"])
async def test_a_signature_of_something_else(site: Site, change: str) -> None:
    body, path, headers = BODY, PATH, sign(SECRET, BODY)
    match change:
        case "body":
            body = BODY.replace(b"1", b"3")
        case "secret":
            headers = sign(WRONG_SECRET, BODY)
        case "id":
            headers[ID] = sign(SECRET, BODY)[ID]
        case "time":
            headers[STAMP] = sign(SECRET, BODY, at=time.time() - 1)[STAMP]
        case _:
            path = "/webhooks/other"
    message = f"{SIGNATURE} does not match"
    assert await call(site, headers, body=body, path=path) == (401, message)
    assert await keys(site) == []


@pytest.mark.parametrize("call_id", ["", "a.b", "a b", "x" * 257, "\u00e4", "\udcff"])
async def test_invalid_ids(site: Site, call_id: str) -> None:
    """A dot would let parts of what is signed be taken for others."""
    message = f"{ID} must be 1 to 256 visible characters without dots"
    headers = {**sign(SECRET, BODY, call_id="x"), ID: call_id}
    assert await call(site, headers) == (400, message)


@pytest.mark.parametrize(("off", "good"), [(300, True), (301, False)])
@pytest.mark.parametrize("side", [-1, 1])
async def test_how_much_clocks_may_differ(off: float, side: int, *, good: bool) -> None:
    """To the second, on either side."""
    signatures = Signatures({"a": (SECRET,)}, clock=lambda: NOW)
    headers = CIMultiDict(sign(SECRET, BODY, at=NOW + side * off))
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
    now = NOW
    signatures = Signatures({"a": (SECRET,)}, clock=lambda: now)
    first = signatures.check("a", CIMultiDict(sign(SECRET, BODY, at=now)), BODY)
    signatures.keep(first, "r0")
    for _ in range(100):
        now += 10
        headers = CIMultiDict(sign(SECRET, BODY, at=now))
        signatures.keep(signatures.check("a", headers, BODY), "r1")
        if now <= NOW + 600:
            assert signatures.run_of(first) == "r0"
    assert signatures.run_of(first) is None
    assert len(signatures._answered) == 61


async def test_a_call_that_comes_again(site: Site) -> None:
    """It counts once, however and whenever it is signed, and is answered as before."""
    now = time.time()
    old, new = (sign(secret, BODY, call_id="m1") for secret in (SECRET, NEXT_SECRET))
    later = sign(SECRET, BODY, call_id="m1", at=now + 60)
    for headers in (both(old, new), old, new, both(new, old), later):
        assert await call(site, headers) == (202, "")
    assert await keys(site) == [("1", "2")]
    other = b'{"keys":["3"]}'
    for body in (other, BODY):
        headers = sign(SECRET, body, call_id="m1" if body is other else "m2")
        assert await call(site, headers, body=body) == (202, "")
    assert await keys(site) == [("1", "2"), ("3",), ("1", "2")]


async def test_the_answer_to_a_repeated_call(site: Site) -> None:
    """It names the run of the first, also when that has ended."""
    site.shop.till.gate.set()
    headers = {**JSON, **sign(SECRET, BODY)}
    first = await site.post(PATH, token=None, data=BODY, headers=headers)
    await site.shop.store.idle()
    again = await site.post(PATH, token=None, data=BODY, headers=headers)
    assert again == first
    assert len(await site.shop.store.runs()) == 1


async def test_secrets_that_change(site: Site) -> None:
    """Either is taken, and one right signature among wrong ones is enough."""
    assert await call(site, sign(NEXT_SECRET, BODY)) == (202, "")
    wrong, right = (
        sign(secret, BODY, call_id="m1") for secret in (WRONG_SECRET, SECRET)
    )
    headers = both(wrong, right)
    assert await call(site, headers) == (202, "")


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
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
    site: Site, body: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    """One line says what is wrong, and nothing is noted."""
    signed = {**sign(SECRET, body), **headers}
    assert await call(site, signed, body=body) == (status, message)
    assert await keys(site) == []


async def test_a_store_that_is_down(site: Site) -> None:
    """The call is refused, so it may be repeated unchanged."""
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
        assert first.report.counts.created == 5
        assert last.report.counts.unchanged == 5
        assert last.report.writes == 0
