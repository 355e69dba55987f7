"""Notifications about runs, by webhook and by Apprise."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from string import Template
from types import TracebackType
from typing import Any, Protocol, Self

import aiohttp
import attrs
from yarl import URL

from catalogsync._lib.redact import check_secret
from catalogsync._lib.standard_webhooks import key_of, sign
from catalogsync._lib.texts import encodable
from catalogsync.errors import CatalogSyncError, MisconfiguredError, MissingExtraError
from catalogsync.events import Event, RunFinished, RunStarted
from catalogsync.http import HttpOptions, base_url
from catalogsync.report import Report, RunStatus
from catalogsync.state.protocols import RunHistory

from ._posting import Post, redactor_of

__all__ = ["DEFAULT_STATUSES", "Apprise", "Channel", "Notice", "Notifier", "Webhook"]

logger = logging.getLogger("catalogsync.notify")

DEFAULT_STATUSES = (
    RunStatus.DEGRADED,
    RunStatus.INCOMPLETE,
    RunStatus.FAILED,
    RunStatus.HELD,
)
"""The statuses that a `Notifier` reports by default."""

_PLAIN = "insecure"  # Apprise's name for mail without encryption
_WELL = frozenset({RunStatus.SUCCEEDED, RunStatus.DEGRADED})


@attrs.frozen(kw_only=True)
class Notice:
    """A notification about one run.

    Attributes:
        run_id: Id of the run.
        job: Name of the job; empty for a run without one.
        status: Status of the run.
        summary: First line of the report, or why there is no report.
        recovered: Whether this is the first good run after a reported one.
        report: The report; None if the run broke off without one.
    """

    run_id: str
    job: str
    status: str
    summary: str
    recovered: bool = False
    report: Report | None = attrs.field(default=None, repr=False)

    @property
    def title(self) -> str:
        """Job and status in a few words."""
        how = f"recovered ({self.status})" if self.recovered else self.status
        return " ".join(f"catalogsync: {self.job or 'run'} {how}".split())

    @property
    def text(self) -> str:
        """The report as text, or why there is no report."""
        return str(self.report) if self.report else self.summary

    def fields(self) -> dict[str, str]:
        """The fields that a template can use."""
        return {
            "title": self.title,
            "text": self.text,
            "summary": self.summary,
            "status": self.status,
            "job": self.job,
            "run_id": self.run_id,
            "recovered": str(self.recovered).lower(),
        }


class Channel(Protocol):
    """A way to send notices."""

    async def send(self, notice: Notice, /) -> None:
        """Send a notice; the notifier logs errors that it raises."""
        ...


class Notifier:
    """A hook that notifies people of runs, for the length of a block.

    ```python
    webhook = Webhook(url=os.environ["WEBHOOK_URL"])
    async with Notifier([webhook]) as notifier:
        await sync(source, sink, job="products", hooks=[notifier])
    ```

    Notices are sent in the background: no run waits for one or fails because of one.
    Leaving the block waits for notices in flight. Use it in the event loop of the runs.
    Plans and skipped runs cause no notices.

    Args:
        channels: Channels for each notice.
        on: Statuses to report; `cancelled` is possible too.
        recovered: Whether to report the first good run over all products afterwards.
        state: State store with the status of the previous run, in case that was in
            another process; None: only runs of this process count.
        timeout: Seconds for one notice in one channel.
    """

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        on: Collection[str] = DEFAULT_STATUSES,
        recovered: bool = True,
        state: RunHistory | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._channels = tuple(channels)
        self._on = _statuses(on)
        self._report_recovered = recovered
        self._state = state
        self._timeout = timeout
        self._jobs: dict[str, str] = {}
        self._failing: dict[str, bool] = {}
        self._group = asyncio.TaskGroup()
        self._opened = False

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._opened = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # With the error, the group would cancel notices in flight.
        await self._group.__aexit__(None, None, None)

    def __call__(self, event: Event, /) -> None:
        """Send a notice if the event is the end of a run that is to be reported.

        Raises:
            RuntimeError: The notifier is not open.
        """
        if not self._opened:
            raise RuntimeError(
                "the notifier is not open; use `async with Notifier(...)`"
            )
        if isinstance(event, RunStarted):
            self._jobs[event.run_id] = event.job
        elif isinstance(event, RunFinished):
            notice = Notice(
                run_id=event.run_id,
                job=self._jobs.pop(event.run_id, ""),
                status=event.status,
                summary=event.summary,
                report=event.report,
            )
            if not (notice.report and notice.report.planned):
                self._consider(notice)

    def _consider(self, notice: Notice) -> None:
        job = notice.job
        if notice.status in self._on:
            self._failing[job] = True
            self._group.create_task(self._send(notice))
        elif notice.status in _WELL and not (notice.report and notice.report.partial):
            before = self._failing.get(job)
            self._failing[job] = False
            if self._report_recovered and before is not False:
                self._group.create_task(self._send_recovered(notice, before))

    async def _send_recovered(self, notice: Notice, before: bool | None) -> None:
        """Send a recovery notice if the previous run is known to have failed."""
        if before or (self._state and await self._was_failing(self._state, notice)):
            await self._send(attrs.evolve(notice, recovered=True))

    async def _was_failing(self, state: RunHistory, notice: Notice) -> bool:
        try:
            runs = await state.runs(job=notice.job, limit=20)
        except CatalogSyncError as error:
            logger.warning("cannot determine the previous run's status: %s", error)
            return False
        earlier = [
            run.status
            for run in runs
            if run.run_id != notice.run_id
            and (run.status in self._on or (run.status in _WELL and not run.partial))
        ]
        return bool(earlier) and earlier[0] in self._on

    async def _send(self, notice: Notice) -> None:
        async with asyncio.TaskGroup() as group:
            for channel in self._channels:
                group.create_task(self._send_by(channel, notice))

    async def _send_by(self, channel: Channel, notice: Notice) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await channel.send(notice)
        except Exception as error:  # noqa: BLE001 - any channel, never the run
            why = str(error) or type(error).__name__
            logger.error("%s: cannot send notification: %s", channel, why)  # noqa: TRY400


def _statuses(on: Collection[str]) -> frozenset[str]:
    known = list(RunStatus)
    for status in on:
        if status not in known:
            problem = f"unknown status {status!r}; known: {', '.join(known)}"
            raise MisconfiguredError("on", problem)
    return frozenset(on)


def _template(setting: str, text: object) -> Template:
    known = Notice(run_id="", job="", status="", summary="").fields()
    if not isinstance(text, str):
        raise MisconfiguredError(setting, "must be a text")
    template = Template(text)
    names = template.get_identifiers()
    if not template.is_valid() or not known.keys() >= set(names):
        problem = f"must be a text with ${', $'.join(known)}, and $$ for a dollar"
        raise MisconfiguredError(setting, problem)
    return template


def _escaped(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields, escaped for use within a JSON string."""
    return {name: json.dumps(text)[1:-1] for name, text in fields.items()}


def _check_json(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    empty = Notice(run_id="", job="", status="", summary="")
    try:
        json.loads(
            _template(attribute.name, value).substitute(_escaped(empty.fields()))
        )
    except ValueError:
        raise MisconfiguredError(attribute.name, "must be JSON") from None


def _check_text(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    _template(attribute.name, value)


@attrs.frozen(kw_only=True)
class Webhook:
    """Sends a notice as JSON by POST.

    Attributes:
        url: Address of the receiver. It may contain a token and appears in no message.
        template: The JSON, with fields of the notice such as `$title` inside of its
            texts. The default suits Slack and Mattermost.
        secret: Secret of Standard Webhooks, `whsec_` and base64, that signs the call;
            the id of the run is the id of the call. None: no signature.
        headers: Additional headers of the request.
        http: Timeouts, proxy and limits.
        session: The host's own session, which stays open; None: a new one.
    """

    url: str = attrs.field(repr=False)
    template: str = attrs.field(
        default='{"text": "*$title*\\n$text"}', validator=_check_json
    )
    secret: str | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    http: HttpOptions = attrs.field(factory=HttpOptions)
    session: aiohttp.ClientSession | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        check_secret("url", self.url)
        if self.secret is not None:
            check_secret("secret", self.secret)
            key_of("secret", self.secret)
        base_url("url", self.url)

    def __str__(self) -> str:
        return f"webhook to {URL(self.url).host}"

    async def send(self, notice: Notice, /) -> None:
        """Send a notice.

        Raises:
            CatalogSyncError: The receiver cannot be reached, or refuses the notice.
        """
        fields = _escaped(notice.fields())
        body = Template(self.template).substitute(fields).encode()
        headers = dict(self.headers)
        if self.secret:
            headers |= sign(self.secret, body, call_id=notice.run_id)
        request = Post(url=self.url, body=body, headers=headers, secret=self.secret)
        status = await request.send(self.http, self.session)
        if status >= 400:
            raise CatalogSyncError(f"HTTP {status}")


def _apprise() -> Any:
    try:
        return importlib.import_module("apprise")
    except ImportError:
        raise MissingExtraError("Apprise", "notify") from None


@attrs.frozen(kw_only=True)
class Apprise:
    """Sends a notice by e-mail, to a chat, or to another service that Apprise knows.

    Attributes:
        url: Address as of https://appriseit.com/services, such as
            `mailtos://USER:PASSWORD@HOST?to=ADDRESS`. It appears in no message.
        title: Title, with fields of the notice such as `$title`.
        text: Text, with fields of the notice such as `$text`.
    """

    url: str = attrs.field(repr=False)
    title: str = attrs.field(default="$title", validator=_check_text)
    text: str = attrs.field(default="$text", validator=_check_text)

    def __attrs_post_init__(self) -> None:
        check_secret("url", self.url)
        service = self._service()
        plain = service.protocol and not service.secure
        if service.password and (
            plain or getattr(service, "secure_mode", "") == _PLAIN
        ):
            problem = "a password is not sent without encryption"
            raise MisconfiguredError("url", problem)

    def __str__(self) -> str:
        return f"Apprise ({self.url.partition('://')[0]})"

    def _service(self) -> Any:
        service = _apprise().Apprise.instantiate(self.url)
        if service is None:
            problem = "must be the address of a service that Apprise knows"
            raise MisconfiguredError("url", problem)
        return service

    async def send(self, notice: Notice, /) -> None:
        """Send a notice, in a thread of its own.

        Raises:
            CatalogSyncError: The service cannot be reached, or refuses the notice.
        """
        fields = {name: encodable(text) for name, text in notice.fields().items()}
        services = _apprise().Apprise([self._service()])
        result = await services.async_notify(
            Template(self.text).substitute(fields),
            " ".join(Template(self.title).substitute(fields).split()),
            body_format="text",
        )
        if not result:
            logged = "; ".join(entry.message for entry in result.logs())
            redactor = redactor_of(self.url, self.url.partition("://")[2])
            raise CatalogSyncError(redactor.text(logged or result.status.name.lower()))
