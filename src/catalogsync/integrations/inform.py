"""Informs others of written products, by signed webhooks that are never lost.

Runs keep messages in the state store (`Sync.inform`, `Job.inform`), and `Informer`
delivers them: at least once, with the same id each time, until they are accepted or
given up.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import attrs
from yarl import URL

from catalogsync._lib.bounds import above
from catalogsync._lib.redact import check_secret
from catalogsync._lib.standard_webhooks import key_of, sign
from catalogsync._lib.texts import counted, duration
from catalogsync.errors import CatalogSyncError, TransientError
from catalogsync.http import HttpOptions, base_url
from catalogsync.state import Message, Outbox, StateError

from ._posting import Post

__all__ = ["Informer", "Receiver", "message_body"]

logger = logging.getLogger("catalogsync.inform")

_THREE_DAYS = 3 * 86400.0
_FIRST_WAIT = 5.0
_LONGEST_WAIT = 3600.0
_POLL = 30.0
_MOST_PRODUCTS = 100
_HOLD = 60.0
_MOST_REFUSALS = 3
_SUCCESS = range(200, 300)
_BUSY = frozenset({408, 425, 429})


def message_body(message: Message) -> bytes:
    """The JSON of a message, the same for each attempt."""
    at = dt.datetime.fromtimestamp(message.at, dt.UTC)
    tree = {
        "type": "products.written",
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {
            "job": message.job,
            "products": [product.to_dict() for product in message.products],
        },
    }
    return json.dumps(tree).encode()


@attrs.frozen(kw_only=True)
class Receiver:
    """Receives messages about written products by POST.

    Attributes:
        url: Address of the receiver. It may contain a token and appears in no message.
        secret: Secret of Standard Webhooks, `whsec_` and base64, that signs each call.
        headers: Additional headers of the request.
        give_up_after: Seconds after which a message that is still not accepted is
            given up and reported.
        http: Timeouts, proxy and limits.
        session: The host's own session, which stays open; None: a new one.
    """

    url: str = attrs.field(repr=False)
    secret: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    give_up_after: float = attrs.field(default=_THREE_DAYS, validator=above(0))
    http: HttpOptions = attrs.field(factory=HttpOptions)
    session: aiohttp.ClientSession | None = attrs.field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        check_secret("url", self.url)
        check_secret("secret", self.secret)
        key_of("secret", self.secret)
        base_url("url", self.url)

    def __str__(self) -> str:
        return f"webhook to {URL(self.url).host}"

    async def send(self, message: Message, /) -> None:
        """Send a message once.

        Raises:
            TransientError: The receiver is not available now.
            CatalogSyncError: It refuses this message.
        """
        body = message_body(message)
        signed = sign(self.secret, body, call_id=message.id)
        headers = {**self.headers, **signed}
        request = Post(url=self.url, body=body, headers=headers, secret=self.secret)
        try:
            status = await request.send(self.http, self.session)
        except CatalogSyncError as error:
            raise TransientError(str(error)) from None
        if status in _SUCCESS:
            return
        is_down = status >= 500 or status in _BUSY
        raise (TransientError if is_down else CatalogSyncError)(f"HTTP {status}")


@attrs.define
class _Pause:
    """How long a receiver that is not available is left alone."""

    failures: int = 0
    until: float = 0.0

    def failed(self, now: float) -> None:
        """Wait longer after each failure."""
        self.until = now + _wait(self.failures)
        self.failures += 1


def _wait(attempts: int) -> float:
    """Seconds until the next attempt, after this number of earlier ones."""
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(attempts, 20))


@attrs.define(kw_only=True)
class Informer:
    """Delivers the messages of one job.

    ```python
    informer = Informer(job="shop", receivers={"storefront": receiver}, outbox=outbox)
    await sync(source, sink, job="shop", state=store, inform=["storefront"])
    await informer.deliver(within=10)
    ```

    Several may work at the same time, also in different processes.

    Attributes:
        job: Name of the job.
        receivers: The receivers by name.
        outbox: The outbox of the state store, `store.outbox`.
    """

    job: str
    receivers: Mapping[str, Receiver]
    outbox: Outbox
    _pauses: dict[str, _Pause] = attrs.field(factory=dict[str, _Pause], init=False)
    _wake: asyncio.Event = attrs.field(factory=asyncio.Event, init=False)
    _stopping: bool = attrs.field(default=False, init=False)

    def wake(self) -> None:
        """Deliver soon, because there are new messages; for `run`."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` as soon as nothing is due."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Deliver messages as soon as they are due, until `stop`."""
        await self._guarded(self._pack())
        while True:
            self._wake.clear()
            stopping = self._stopping
            await self._deliver()
            if stopping:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._next_look()):
                    await self._wake.wait()

    def _next_look(self) -> float:
        """Seconds until a receiver may be available again, half a minute at most."""
        now = asyncio.get_running_loop().time()
        waits = [pause.until - now for pause in self._pauses.values()]
        return min([_POLL, *(max(0.1, wait) for wait in waits if wait > 0)])

    async def deliver(self, *, within: float) -> None:
        """Deliver what is due; what is not accepted in time is kept for the next call.

        A problem of the state store or a receiver is logged.

        Args:
            within: Seconds after which it stops.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._guarded(self._pack())
                await self._deliver()

    async def _pack(self) -> None:
        """Pack what a process that died has left."""
        await self.outbox.pack(self.job, [*self.receivers], most=_MOST_PRODUCTS)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StateError as error:
            logger.warning("job %s: cannot inform receivers: %s", self.job, error)

    async def _deliver(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, receiver in self.receivers.items():
                group.create_task(self._guarded(self._deliver_to(name, receiver)))

    async def _deliver_to(self, name: str, receiver: Receiver) -> None:
        """Send the messages that are due, until the receiver is not available."""
        pause = self._pauses.setdefault(name, _Pause())
        now, refusals = asyncio.get_running_loop().time, 0
        hold = _HOLD + receiver.http.timeout
        while now() >= pause.until and refusals < _MOST_REFUSALS:
            message = await self.outbox.take(self.job, name, hold=hold)
            if message is None:
                return
            try:
                await receiver.send(message)
            except Exception as error:  # noqa: BLE001 - any receiver, never the others
                is_refused = type(error) is CatalogSyncError
                refusals += is_refused
                if not is_refused:
                    pause.failed(now())
                why = str(error) or type(error).__name__
                await self._failed(receiver, message, why, all_old=not is_refused)
            else:
                pause.failures, pause.until = 0, 0.0
                await self.outbox.delivered(message.id)

    async def _failed(
        self, receiver: Receiver, message: Message, problem: str, *, all_old: bool
    ) -> None:
        """Postpone a message, or give it up; with *all_old*, others of its age too."""
        name = message.receiver
        await self.outbox.postpone(
            message.id, wait=_wait(message.attempts), problem=problem
        )
        if message.age < receiver.give_up_after:
            what = f"message with {counted(len(message.products), 'product')}"
            text = "job %s: %s did not accept a %s: %s; it is sent again later"
            logger.warning(text, self.job, name, what, problem)
            return
        age = receiver.give_up_after if all_old else message.age
        only = None if all_old else message.id
        given_up = await self.outbox.give_up(
            self.job, name, age=age, problem=problem, only=only
        )
        logger.error(
            "job %s: gave up %s for %s after %s: %s",
            self.job,
            counted(given_up, "message"),
            name,
            duration(receiver.give_up_after),
            problem,
        )
