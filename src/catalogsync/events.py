"""What happens in a run, as typed events for hooks and the standard logger."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeAlias

import attrs

from ._lib.texts import about, encodable
from .catalog.outcomes import Outcome
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
    "ReferencesWritten",
    "Request",
    "RequestSent",
    "Retrying",
    "RunFinished",
    "RunStarted",
    "RunStopping",
    "observe_requests",
    "tell_request",
]

logger = logging.getLogger("catalogsync")
logger.addHandler(logging.NullHandler())


@attrs.frozen(kw_only=True)
class Event:
    """Something that happened in a run.

    Attributes:
        run_id: The run it happened in.
    """

    run_id: str


@attrs.frozen(kw_only=True)
class RunStarted(Event):
    """A run begins.

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
        products: How many products it holds.
        rejected: How many records it holds that are no products.
        total: Size of the whole set, where the source says so.
        seconds: How long it took, repeats included.
    """

    products: int
    rejected: int
    total: int | None
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class PassRepeated(Event):
    """The source broke its word, so it is read once more from the beginning."""

    reason: str


@attrs.frozen(kw_only=True)
class ReferencesWritten(Event):
    """Categories or tags were created or renamed in the sink."""

    created: int
    updated: int


@attrs.frozen(kw_only=True)
class Retrying(Event):
    """Something failed and will be tried again.

    Attributes:
        what: Such as `read page 30` or `write a batch`.
        attempt: The number of the next attempt; the first repeat is 2.
        reason: Why the last attempt failed.
        next_at: When the next attempt begins, in seconds since the epoch.
    """

    what: str
    attempt: int
    reason: str
    next_at: float = 0.0

    def __str__(self) -> str:
        wait = self.next_at - time.time()
        when = f"in {about(wait)}" if wait > 0 else "now"
        return (
            f"trying again {when} (attempt {self.attempt}): {self.what}: {self.reason}"
        )


@attrs.frozen(kw_only=True)
class Compared(Event):
    """A group of products was held against the sink.

    Attributes:
        products: How many.
        changes: How many of them have to be written.
        seconds: How long it took, repeats included.
    """

    products: int
    changes: int
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class BatchWritten(Event):
    """A batch reached its end, good or bad.

    Attributes:
        products: How many products have an outcome now.
        seconds: How long it took, repeats included.
    """

    products: int
    seconds: float


@attrs.frozen(kw_only=True)
class Request:
    """A request to one of the two sides, and its answer.

    Attributes:
        method: Such as `GET`.
        host: Whom it went to.
        path: What was asked for, without the query.
        status: HTTP status; None: there was no answer that could be used.
        seconds: From sending it to the last byte.
        sent: Bytes of its body.
        received: Bytes of the answer's body, after decompression.
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
    """A request met its end, good or bad."""

    request: Request


@attrs.frozen(kw_only=True)
class ProductFailed(Event):
    """A product was refused."""

    outcome: Outcome


@attrs.frozen(kw_only=True)
class ProductUnresolved(Event):
    """What became of a product is not known; the next run looks again."""

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
        status: The report's status; `cancelled` also for a run without a report.
        summary: The report's first line, or why there is no report.
        report: The report, if there is one.
    """

    status: str
    summary: str
    report: Report | None = attrs.field(default=None, repr=False, eq=False)


class EventHook(Protocol):
    """Called for each event, in order, in the run's own task.

    It must not block; what it raises is logged and never breaks the run.
    """

    def __call__(self, event: Event, /) -> None:
        """Take note of an event."""
        ...


RequestObserver: TypeAlias = Callable[[Request], None]

_observer: ContextVar[RequestObserver | None] = ContextVar(
    "catalogsync_request_observer", default=None
)


@contextmanager
def observe_requests(observer: RequestObserver) -> Generator[None]:
    """Be told of each request that is sent in this block and in tasks begun in it.

    A run does so for its own length. Two runs that share an adapter each hear of
    their own requests.
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def tell_request(request: Request, /) -> None:
    """Tell the run in whose name a request was sent; for adapters."""
    observer = _observer.get()
    if observer is not None:
        observer(request)


_LEVELS: dict[type[Event], int] = {
    PassRepeated: logging.WARNING,
    Retrying: logging.WARNING,
    ProductFailed: logging.WARNING,
    RunStarted: logging.INFO,
    RunStopping: logging.WARNING,
    RunFinished: logging.INFO,
}


def _details(item: Event | Request) -> Iterator[str]:
    """What is known of an event, and of a request that it is about."""
    for field in attrs.fields(type(item)):
        value: object = getattr(item, field.name)
        if isinstance(value, Request):
            yield from _details(value)
        elif field.repr and value is not None:
            yield f"{field.name}={value}"


def log_event(event: Event, /) -> None:
    """Hand an event to the logger `catalogsync`; a hook that every run has."""
    level = _LEVELS.get(type(event), logging.DEBUG)
    if logger.isEnabledFor(level):
        text = encodable(", ".join(_details(event)))
        logger.log(level, "%s: %s", type(event).__name__, text, extra={"event": event})


def emitter(hooks: Iterable[EventHook]) -> EventHook:
    """Join hooks into one that logs what any of them raises and goes on."""
    everyone = (log_event, *hooks)

    def emit(event: Event, /) -> None:
        for hook in everyone:
            try:
                hook(event)
            except Exception:
                logger.exception("an event hook failed on %s", type(event).__name__)

    return emit
