from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme
from aiohttp import web

pytest.importorskip("aiosmtpd")

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from catalogsync import (
    CatalogSyncError,
    MemorySink,
    MisconfiguredError,
    Page,
    Report,
    RunStatus,
    StateSettings,
    as_source,
    sync,
)
from catalogsync.errors import MissingExtraError
from catalogsync.events import RunFinished, RunStarted
from catalogsync.integrations.notify import (
    DEFAULT_STATUSES,
    Apprise,
    Notice,
    Notifier,
    Webhook,
)
from catalogsync.report import Counts
from catalogsync.state import RunRecord, StateStore
from catalogsync.testing import serve

WELL, BAD = "succeeded", "failed"
SECRET = "whsec_bm90aWZ5LXNlY3JldC0wMTIzNDU2Nzg5"


def run(notifier: Notifier, status: str, *, job: str = "cups", **more: Any) -> None:
    """The events of a run that a notifier sees."""
    run_id = f"run-{status}"
    notifier(RunStarted(run_id=run_id, job=job, source="a", sink="b"))
    notifier(RunFinished(run_id=run_id, status=status, summary="so it ended", **more))


def report(status: str, **more: bool) -> Report:
    return Report(
        run_id="r1",
        job="cups",
        status=RunStatus(status),
        counts=Counts(fetched=2, created=1, failed=1),
        started_at=1.0,
        duration_s=2.0,
        **more,
    )


@attrs.define
class Collected:
    """A channel that keeps what it is given."""

    notices: list[Notice] = attrs.field(factory=list[Notice])

    async def send(self, notice: Notice, /) -> None:
        self.notices.append(notice)

    @property
    def titles(self) -> list[str]:
        return [n.title.removeprefix("catalogsync: ") for n in self.notices]


@pytest.mark.parametrize(
    ("statuses", "options", "expected"),
    [
        ([WELL], {}, []),
        (["skipped"], {}, []),
        (["degraded"], {}, ["cups degraded"]),
        (["incomplete"], {}, ["cups incomplete"]),
        (["cancelled"], {}, []),
        (["cancelled"], {"on": {"cancelled"}}, ["cups cancelled"]),
        ([BAD, BAD, WELL], {}, ["cups failed"] * 2 + ["cups recovered (succeeded)"]),
        ([BAD, WELL, WELL], {}, ["cups failed", "cups recovered (succeeded)"]),
        (["cancelled", WELL], {}, []),
        ([BAD, "cancelled", WELL], {}, ["cups failed", "cups recovered (succeeded)"]),
        ([BAD, "skipped", WELL], {}, ["cups failed", "cups recovered (succeeded)"]),
        ([BAD, WELL], {"recovered": False}, ["cups failed"]),
        (
            [BAD, "degraded"],
            {"on": {BAD}},
            ["cups failed", "cups recovered (degraded)"],
        ),
        (
            [BAD, "incomplete", WELL],
            {"on": {"incomplete"}},
            ["cups incomplete", "cups recovered (succeeded)"],
        ),
    ],
)
async def test_reported_runs(
    statuses: list[str], options: dict[str, Any], expected: list[str]
) -> None:
    channel = Collected()
    async with Notifier([channel], **options) as notifier:
        for status in statuses:
            run(notifier, status)
    assert channel.titles == expected


async def test_a_run_of_some_products_is_no_recovery() -> None:
    some = report(WELL, partial=True)
    channel = Collected()
    async with Notifier([channel]) as notifier:
        run(notifier, BAD)
        run(notifier, WELL, report=some)
        run(notifier, WELL, report=report(WELL))
    assert channel.titles == ["cups failed", "cups recovered (succeeded)"]
    assert channel.notices[1].report == report(WELL)


async def test_jobs_are_distinguished() -> None:
    channel = Collected()
    async with Notifier([channel]) as notifier:
        run(notifier, BAD, job="cups")
        run(notifier, WELL, job="mugs")
        run(notifier, BAD, job="")
    assert channel.titles == ["cups failed", "run failed"]


async def test_a_plan_is_not_reported() -> None:
    channel = Collected()
    async with Notifier([channel]) as notifier:
        run(notifier, "degraded", report=report("degraded", planned=True))
        run(notifier, "degraded", report=report("degraded"))
    assert [notice.report for notice in channel.notices] == [report("degraded")]


@pytest.mark.parametrize("before", [*RunStatus, None])
async def test_the_run_before_may_have_been_in_another_process(
    before: RunStatus | None, tmp_path: Path
) -> None:
    """The state store knows how it ended."""
    channel = Collected()
    async with StateSettings(url=f"sqlite:///{tmp_path / 'runs.db'}").open() as store:
        await sync(_Cups(), MemorySink(), job="cups", state=store)
        if before is not None:
            await _end(store, before)
        async with Notifier([channel], state=store) as notifier:
            await sync(_Cups(), MemorySink(), job="cups", state=store, hooks=[notifier])
    was_bad = before in DEFAULT_STATUSES
    assert channel.titles == ["cups recovered (succeeded)"] * was_bad


async def _end(store: StateStore, status: RunStatus) -> None:
    record = RunRecord(
        run_id="before", job="cups", source="a", sink="b", started_at=2e9
    )
    await store.begin_run(record)
    await store.end_run(attrs.evolve(report(status), run_id="before"))


class _Cups:
    """A source without products, which may be away."""

    name = "cups"

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def read(self, _: str | None, /) -> Page:
        if self._error is not None:
            raise self._error
        return Page(products=[])


async def test_a_run_that_raises_is_reported() -> None:
    """Also if what it raises leaves the block."""
    channel = Collected()
    cups = _Cups(MisconfiguredError("url", "is wrong"))

    async def watched() -> None:
        async with Notifier([channel]) as notifier:
            await sync(cups, MemorySink(), job="cups", hooks=[notifier])

    with pytest.raises(MisconfiguredError):
        await watched()
    assert [(n.status, n.text) for n in channel.notices] == [(BAD, "url: is wrong")]


async def test_a_run_does_not_wait_for_its_notice() -> None:
    """Leaving the block does."""
    free, sent = asyncio.Event(), Collected()

    class Slow:
        async def send(self, notice: Notice, /) -> None:
            await free.wait()
            await sent.send(notice)

    async with Notifier([Slow()]) as notifier:
        cups = _Cups(MisconfiguredError("url", "is wrong"))
        with pytest.raises(MisconfiguredError):
            await sync(cups, MemorySink(), hooks=[notifier])
        assert not sent.notices
        free.set()
    assert len(sent.notices) == 1


async def test_a_channel_that_fails_harms_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel = Collected()

    @attrs.define
    class Broken:
        async def send(self, _: Notice, /) -> None:
            raise ZeroDivisionError("in a channel")

    @attrs.define
    class Endless:
        async def send(self, _: Notice, /) -> None:
            await asyncio.Event().wait()

    async with Notifier([Broken(), Endless(), channel], timeout=0.01) as notifier:
        run(notifier, BAD)
    assert channel.titles == ["cups failed"]
    assert "in a channel" in caplog.text
    assert "TimeoutError" in caplog.text


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def hook_server(status: int = 200) -> AsyncIterator[tuple[str, list[Any]]]:
    """Takes webhooks; gives its address, and what it got."""
    got: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        got.append((request.path_qs, request.headers.copy(), await request.read()))
        return web.Response(status=status, text="said by the server")

    app = web.Application()
    app.router.add_post("/{tail:.*}", take)
    async with serve(app) as url:
        yield url, got


NOTICE = Notice(run_id="r1", job='the "cups"', status=BAD, summary="it broke\nin two")


async def test_a_webhook_gets_json() -> None:
    async with hook_server() as (url, got):
        await Webhook(url=f"{url}/T0/s3cr3t?x=1").send(NOTICE)
    ((path, headers, body),) = got
    assert path == "/T0/s3cr3t?x=1"
    assert headers["Content-Type"] == "application/json"
    assert "webhook-signature" not in headers
    assert json.loads(body) == {
        "text": '*catalogsync: the "cups" failed*\nit broke\nin two'
    }


async def test_a_webhook_takes_a_template_and_a_signature() -> None:
    template = '{"job": "$job", "cost": "$$5", "is": ["${status}", $recovered]}'
    async with hook_server() as (url, got):
        webhook = Webhook(
            url=url, template=template, secret=SECRET, headers={"X-Team": "shop"}
        )
        await webhook.send(NOTICE)
    ((_, headers, body),) = got
    expected = {"job": 'the "cups"', "cost": "$5", "is": [BAD, False]}
    assert json.loads(body) == expected
    library = pytest.importorskip("standardwebhooks").Webhook(SECRET)
    assert library.verify(body, dict(headers)) == expected
    assert headers["webhook-id"] == NOTICE.run_id
    assert headers["X-Team"] == "shop"


async def test_a_webhook_that_is_refused_keeps_its_token_secret() -> None:
    async with hook_server(403) as (url, _):
        webhook = Webhook(url=f"{url}/s3cr3t", secret=SECRET)
        with pytest.raises(CatalogSyncError, match="HTTP 403"):
            await webhook.send(NOTICE)
    with pytest.raises(CatalogSyncError, match="cannot connect") as caught:
        await webhook.send(NOTICE)
    for text in (str(caught.value), str(webhook), repr(webhook)):
        assert "s3cr3t" not in text
        assert SECRET not in text


@pytest.mark.parametrize(
    ("setting", "make"),
    [
        ("url", lambda: Webhook(url="shop.example.com")),
        ("secret", lambda: Webhook(url="https://x.example", secret="k3y")),
        ("template", lambda: Webhook(url="https://x.example", template="$title")),
        ("template", lambda: Webhook(url="https://x.example", template='"$nobody"')),
        ("template", lambda: Webhook(url="https://x.example", template='"5 $"')),
        ("title", lambda: mail(title="$nobody")),
        ("text", lambda: mail(text="$")),
        ("url", lambda: mail(schema="mailto")),
        ("url", lambda: mail(mode="insecure")),
        ("url", lambda: Apprise(url="jsons://user:s3cr3t@localhost\n")),
        ("url", lambda: Apprise(url="json://user:s3cr3t@localhost")),
        ("url", lambda: Apprise(url="carrier-pigeon://localhost")),
        ("url", lambda: Apprise(url="slack://too-short")),
        ("url", lambda: Apprise(url="")),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    setting: str, make: Callable[[], object]
) -> None:
    with pytest.raises(MisconfiguredError) as caught:
        make()
    assert caught.value.setting == setting


def mail(
    port: int = 25,
    *,
    schema: str = "mailtos",
    login: str = "shop:s3cr3t@",
    to: str = "b@x.example",
    mode: str = "starttls",
    **settings: str,
) -> Apprise:
    """A channel that sends mail."""
    pytest.importorskip("apprise")
    query = f"from=a@x.example&to={to}&mode={mode}&format=text"
    url = f"{schema}://{login}localhost:{port}?{query if schema != 'mailto' else ''}"
    return Apprise(url=url, **settings)


@attrs.define
class Mailbox:
    """Takes mail."""

    port: int = 0
    messages: list[EmailMessage] = attrs.field(factory=list[EmailMessage])
    encrypted: list[bool] = attrs.field(factory=list[bool])

    async def handle_DATA(  # noqa: N802 - the name that the server looks for
        self, _: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def mail_server(
    authority: trustme.CA, *, tls: bool = False, login: bool = False
) -> AsyncIterator[Mailbox]:
    """An SMTP server; its user is `shop` with the password `s3cr3t`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    mailbox = Mailbox()

    def authenticate(*arguments: Any) -> AuthResult:
        given = arguments[-1]
        right = given == LoginPassword(b"shop", b"s3cr3t")
        return AuthResult(success=right, handled=right)

    def session() -> SMTP:
        return SMTP(
            mailbox,
            hostname="localhost",
            tls_context=None if tls else context,
            auth_required=login,
            authenticator=authenticate,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        session, "localhost", 0, ssl=context if tls else None
    )
    async with server:
        mailbox.port = server.sockets[0].getsockname()[1]
        yield mailbox


@pytest.fixture
def trusted(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Has the mail server's certificate trusted."""
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


@pytest.mark.usefixtures("trusted")
async def test_an_email_arrives(authority: trustme.CA) -> None:
    """Encrypted, with what is from elsewhere in its place."""
    async with mail_server(authority, login=True) as mailbox:
        channel = mail(
            mailbox.port, to="b@x.example,c@x.example", title="$job: $summary"
        )
        await channel.send(NOTICE)
    first, second = mailbox.messages
    assert first["Subject"] == 'the "cups": it broke in two'
    assert {first["To"], second["To"]} == {"b@x.example", "c@x.example"}
    assert first.get_content().splitlines() == ["it broke", "in two"]
    assert mailbox.encrypted == [True, True]
    assert "s3cr3t" not in f"{channel} {channel!r}"


@pytest.mark.usefixtures("trusted")
async def test_an_email_by_tls_from_the_beginning(authority: trustme.CA) -> None:
    async with mail_server(authority, tls=True) as mailbox:
        await mail(mailbox.port, login="", mode="ssl").send(NOTICE)
    assert [m["Subject"] for m in mailbox.messages] == [
        'catalogsync: the "cups" failed'
    ]


async def test_an_email_without_encryption(authority: trustme.CA) -> None:
    async with mail_server(authority) as mailbox:
        await mail(mailbox.port, login="", mode="insecure").send(NOTICE)
    assert mailbox.encrypted == [False]


async def test_a_mail_server_that_is_not_trusted_gets_nothing(
    authority: trustme.CA,
) -> None:
    async with mail_server(authority) as mailbox:
        with pytest.raises(CatalogSyncError):
            await mail(mailbox.port).send(NOTICE)
    assert not mailbox.messages


@pytest.mark.usefixtures("trusted")
async def test_a_wrong_password_is_reported_without_it(
    authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    async with mail_server(authority, login=True) as mailbox:
        channel = mail(mailbox.port, login="shop:n0t-it@")
        async with Notifier([channel]) as notifier:
            run(notifier, BAD)
    assert "Apprise (mailtos): cannot send notification: Connection" in caplog.text
    assert "n0t-it" not in caplog.text
    assert not mailbox.messages


async def test_apprise_does_not_block_the_runs() -> None:
    """Its service answers only when the loop has gone on."""
    pytest.importorskip("apprise")
    async with hook_server() as (url, got):
        channel = Apprise(url=url.replace("http://", "json://") + "/T0")
        async with Notifier([channel]) as notifier:
            run(notifier, BAD, report=report(BAD))
            run(notifier, WELL, report=report(WELL))
    expected = [json.loads(body) for _, _, body in got]
    assert sorted(each["title"] for each in expected) == [
        *("catalogsync: cups failed", "catalogsync: cups recovered (succeeded)")
    ]
    assert str(report(BAD)) in {each["message"] for each in expected}


@pytest.mark.parametrize("place", ["/{}", "/T0/{}/x", "?:{}=1", "?+X-Key={}"])
@pytest.mark.parametrize("status", [403, 500])
async def test_a_service_that_refuses_keeps_its_token_secret(
    status: int, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("apprise")
    async with hook_server(status) as (url, _):
        address = url.replace("http://", "json://") + place.format("s3cr3t-t0ken")
        channel = Apprise(url=address)
        with pytest.raises(CatalogSyncError, match=f"error={status}") as caught:
            await channel.send(NOTICE)
    assert "s3cr3t" not in f"{caught.value} {channel} {channel!r} {caplog.text}"


def test_apprise_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to fix it."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    expected = r"^Apprise needs: pip install 'catalogsync\[notify\]'$"
    with pytest.raises(MissingExtraError, match=expected):
        Apprise(url="json://localhost")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Notifier([], on={"bad"}), "unknown status 'bad'; known: succeeded"),
        (
            lambda: Webhook(url="https://h.test/x", template={"x": 1}),  # type: ignore[arg-type]
            "must be a text",
        ),
    ],
)
def test_settings_that_would_never_notify(make: Any, expected: str) -> None:
    with pytest.raises(MisconfiguredError, match=expected):
        make()


async def test_a_notifier_that_is_not_open(caplog: pytest.LogCaptureFixture) -> None:
    """The run continues, and the log says what to do."""
    notifier = Notifier([Collected()])
    report = await sync(as_source([], name="cups"), MemorySink(), hooks=[notifier])
    assert report.counts.fetched == 0
    assert "async with Notifier" in caplog.text
