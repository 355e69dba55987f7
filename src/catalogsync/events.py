"""Typed events of a run, for hooks and for the standard logger."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeAlias

import attrs

from ._lib.texts import about, encodable
from .catalog.outcomes import Outcome, WrittenProduct
from .report import Report

__all__ = [
    "BatchWritten",
    "Compared",
    "Event",
    "EventHook",
    "PageRead",
    "PassRepeated",
    "ProductFailed",
    "ProductUnresolved",
    "ProductsWritten",
    "ReferencesWritten",
    "Request",
    "RequestSent",
    "Retrying",
    "RunFinished",
    "RunStarted",
    "RunStopping",
    "SourceReading",
    "observe_reading",
    "observe_requests",
    "report_reading",
    "report_request",
]

logger = logging.getLogger("catalogsync")
logger.addHandler(logging.NullHandler())


@attrs.frozen(kw_only=True)
class Event:
    """Something that happened in a run.

    Attributes:
        run_id: Identity of the run.
    """

    run_id: str


@attrs.frozen(kw_only=True)
class RunStarted(Event):
    """A run has started.

    Attributes:
        job: Name of the job; empty for a run without one.
        source: Name of the source.
        sink: Name of the sink.
    """

    job: str
    source: str
    sink: str


@attrs.frozen(kw_only=True)
class PageRead(Event):
    """A page arrived from the source.

    Attributes:
        products: Number of products on it.
        rejected: Number of records on it that are not valid products.
        total: Number of records in the whole source; None: not known.
        seconds: How long it took, retries included.
    """

    products: int
    rejected: int
    total: int | None
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class SourceReading(Event):
    """A source has read something, but no page yet: most of a large file, for example.

    Attributes:
        done: How much it has read so far.
        total: How much there is; None: not known.
        unit: What is counted: `rows` or `bytes`.
    """

    done: int
    total: int | None
    unit: str


@attrs.frozen(kw_only=True)
class PassRepeated(Event):
    """The source contradicted itself, so it is read once more from the beginning.

    Attributes:
        reason: What was inconsistent.
    """

    reason: str


@attrs.frozen(kw_only=True)
class ReferencesWritten(Event):
    """Categories or tags were written to the sink.

    Attributes:
        created: Number of new ones.
        updated: Number of renamed or moved ones.
    """

    created: int
    updated: int


@attrs.frozen(kw_only=True)
class Retrying(Event):
    """Something failed and will be retried.

    Attributes:
        what: The work, such as `read page 30` or `write a batch`.
        attempt: Number of the next attempt; the first retry is 2.
        reason: Why the last attempt failed.
        next_at: Start of the next attempt, in seconds since the epoch.
    """

    what: str
    attempt: int
    reason: str
    next_at: float = 0.0

    def __str__(self) -> str:
        wait = self.next_at - time.time()
        when = f"in {about(wait)}" if wait > 0 else "now"
        return f"retrying {when} (attempt {self.attempt}): {self.what}: {self.reason}"


@attrs.frozen(kw_only=True)
class Compared(Event):
    """A group of products was compared with the sink.

    Attributes:
        products: Number of products.
        changes: Number of products that have to be written.
        seconds: How long it took, retries included.
    """

    products: int
    changes: int
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class BatchWritten(Event):
    """A batch is finished, whether it succeeded or not.

    Attributes:
        products: Number of products in the batch.
        seconds: How long it took, retries included.
    """

    products: int
    seconds: float


@attrs.frozen(kw_only=True)
class ProductsWritten(Event):
    """Products were written, and the sink confirmed it.

    A hook may miss some of them if the process dies; `Sync.inform` does not.

    Attributes:
        products: The products of one batch or a few. One whose write was unresolved is
            in the event of the run that resolves it, if the state store knows it.
    """

    products: tuple[WrittenProduct, ...] = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Request:
    """An HTTP request of an adapter, and its response.

    Attributes:
        method: HTTP method, such as `GET`.
        host: Host that the request was sent to.
        path: Path of the URL, without the query.
        status: HTTP status; None: no usable response.
        seconds: Time from sending the request to the last byte of the response.
        sent: Size of the request's body in bytes.
        received: Size of the response's body in bytes, after decompression.
    """

    method: str
    host: str
    path: str
    status: int | None
    seconds: float
    sent: int = 0
    received: int = 0


@attrs.frozen(kw_only=True)
class RequestSent(Event):
    """An adapter sent a request, and it was answered or failed."""

    request: Request


@attrs.frozen(kw_only=True)
class ProductFailed(Event):
    """A product failed: it was refused, and we know why."""

    outcome: Outcome


@attrs.frozen(kw_only=True)
class ProductUnresolved(Event):
    """A product is unresolved; the next run checks it again."""

    outcome: Outcome


@attrs.frozen(kw_only=True)
class RunStopping(Event):
    """A run was asked to stop, or gave up.

    Attributes:
        reason: Who or what stopped it.
    """

    reason: str


@attrs.frozen(kw_only=True)
class RunFinished(Event):
    """A run is over.

    Attributes:
        status: Status of the report; without a report, `failed` or `cancelled`.
        summary: First line of the report, or why there is none.
        report: The report; None: the run raised.
    """

    status: str
    summary: str
    report: Report | None = attrs.field(default=None, repr=False, eq=False)


class EventHook(Protocol):
    """Called for each event, in order, in the run's own task.

    It must not block. An exception that it raises is logged and never breaks the run.
    """

    def __call__(self, event: Event, /) -> None:
        """Handle an event."""
        ...


RequestObserver: TypeAlias = Callable[[Request], None]

_observer: ContextVar[RequestObserver | None] = ContextVar(
    "catalogsync_request_observer", default=None
)


@contextmanager
def observe_requests(observer: RequestObserver) -> Generator[None]:
    """Observe each request that is sent in this block and in tasks started in it.

    A run does so while it lasts. If two runs share an adapter, each of them observes
    only its own requests.
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def report_request(request: Request, /) -> None:
    """Report a request to the run that it was sent for; called by adapters."""
    observer = _observer.get()
    if observer is not None:
        observer(request)


ReadingObserver: TypeAlias = Callable[[int, int | None, str], None]

_reading_observer: ContextVar[ReadingObserver | None] = ContextVar(
    "catalogsync_reading_observer", default=None
)


@contextmanager
def observe_reading(observer: ReadingObserver) -> Generator[None]:
    """Observe what sources report in this block, as in `observe_requests`."""
    token = _reading_observer.set(observer)
    try:
        yield
    finally:
        _reading_observer.reset(token)


def report_reading(
    done: int, /, *, total: int | None = None, unit: str = "rows"
) -> None:
    """Report how far a source has read, before it returns its first page.

    Called by sources, in the thread of the event loop; about twice a second is enough.

    Args:
        done: How much was read so far.
        total: How much there is; None: not known.
        unit: What is counted: `rows` or `bytes`.
    """
    observer = _reading_observer.get()
    if observer is not None:
        observer(done, total, unit)


_LEVELS: dict[type[Event], int] = {
    PassRepeated: logging.WARNING,
    Retrying: logging.WARNING,
    ProductFailed: logging.WARNING,
    RunStarted: logging.INFO,
    RunStopping: logging.WARNING,
    RunFinished: logging.INFO,
}


def _details(item: Event | Request) -> Iterator[str]:
    """The attributes of an event, and those of its request, as text."""
    for field in attrs.fields(type(item)):
        value: object = getattr(item, field.name)
        if isinstance(value, Request):
            yield from _details(value)
        elif field.repr and value is not None:
            yield f"{field.name}={value}"


def log_event(event: Event, /) -> None:
    """Log an event to the logger `catalogsync`; every run has this hook."""
    level = _LEVELS.get(type(event), logging.DEBUG)
    if logger.isEnabledFor(level):
        text = encodable(", ".join(_details(event)))
        logger.log(level, "%s: %s", type(event).__name__, text, extra={"event": event})


def emitter(hooks: Iterable[EventHook]) -> EventHook:
    """Join hooks into one that logs their exceptions and continues."""
    everyone = (log_event, *hooks)

    def emit(event: Event, /) -> None:
        for hook in everyone:
            try:
                hook(event)
            except Exception:
                logger.exception("an event hook failed on %s", type(event).__name__)

    return emit
