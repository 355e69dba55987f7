"""The command `serve`: runs jobs on their schedules and serves HTTP."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import cast

import attrs
from aiohttp import web
from yarl import URL

from catalogsync.config import (
    Config,
    NotifySettings,
    ServeSettings,
    load_config,
    load_serve,
)
from catalogsync.errors import MisconfiguredError, MissingExtraError
from catalogsync.events import Event, RunFinished
from catalogsync.integrations.notify import Channel, Notifier
from catalogsync.integrations.prometheus import PrometheusHook
from catalogsync.service import Service
from catalogsync.state.protocols import StateStore
from catalogsync.web import AccessLogger, web_app

from ._session import Session
from ._signals import STOPPING, interrupts

_TO_FINISH = 2.0
_ALL = ("catalogsync",)
_LOGGERS = (
    *("catalogsync.serve", "catalogsync.service"),
    *("catalogsync.web", "catalogsync.notify"),
)
_ACCESS = "catalogsync.access"

logger = logging.getLogger("catalogsync.serve")


def serve_jobs(session: Session) -> int:
    """Serve all jobs until a signal arrives; returns the exit status."""
    config, settings = load_config(session.config), load_serve(session.config)
    session.terminal.redact(settings.secrets)
    for job in config.jobs.values():
        session.adopt(job)
    say = logger.warning if settings.log == "json" else session.terminal.err
    with _logging(session, settings):
        asyncio.run(_serve(config, settings, say))
    return 0


async def _serve(
    config: Config, settings: ServeSettings, say: Callable[[str], None]
) -> None:
    metrics = _metrics()
    # With JSON logs, the events themselves are logged.
    log_end = (_log_end,) if settings.log == "text" else ()
    async with (
        config.state.open() as store,
        _notifying(settings.notify, store) as notifiers,
    ):
        service = Service(
            jobs=config.jobs,
            state=store,
            hooks=[*log_end, *([metrics] if metrics else []), *notifiers],
            retry_after=settings.retry_after,
            keep_days=config.state.keep_days,
            keep_runs=config.state.keep_runs,
        )
        app = web_app(service, access=settings, metrics=metrics)
        with _stopped(say) as stopped:
            async with _listening(app, settings) as site, service:
                jobs = ", ".join(config.jobs) or "none"
                logger.info("listening on %s; jobs: %s", site.url, jobs)
                await stopped.wait()
                await site.tcp.stop()
                service.stop(grace=settings.grace)


def _log_end(event: Event, /) -> None:
    """Log the end of a run; the service itself logs runs without a report."""
    if isinstance(event, RunFinished) and event.report is not None:
        logger.info("%s", "; ".join((event.summary, *event.report.reasons)))


@asynccontextmanager
async def _notifying(
    settings: NotifySettings | None, store: StateStore
) -> AsyncGenerator[Sequence[Notifier]]:
    """The notifier for the length of a block; empty if none is configured."""
    if settings is None:
        yield ()
        return
    channels: Sequence[Channel] = (*settings.webhooks, *settings.apprise)
    async with Notifier(
        channels, on=settings.on, recovered=settings.recovered, state=store
    ) as notifier:
        yield (notifier,)


def _metrics() -> PrometheusHook | None:
    try:
        return PrometheusHook()
    except MissingExtraError:
        return None


@attrs.frozen
class _Site:
    """A listening server."""

    url: URL
    tcp: web.TCPSite


@asynccontextmanager
async def _listening(
    app: web.Application, settings: ServeSettings
) -> AsyncGenerator[_Site]:
    """Serve requests for the length of a block; its end closes all streams."""
    runner = web.AppRunner(
        app,
        access_log_class=AccessLogger,
        access_log=logging.getLogger(_ACCESS),
        shutdown_timeout=_TO_FINISH,
    )
    await runner.setup()
    try:
        tcp = web.TCPSite(runner, settings.host, settings.port)
        try:
            await tcp.start()
        except OSError as error:
            raise _cannot_listen(settings, error) from error
        port = cast("tuple[str, int]", runner.addresses[0])[1]
        yield _Site(URL.build(scheme="http", host=settings.host, port=port), tcp)
    finally:
        await runner.cleanup()


def _cannot_listen(settings: ServeSettings, error: OSError) -> MisconfiguredError:
    if error.errno == errno.EADDRINUSE:
        problem = f"port {settings.port} on {settings.host} is already in use"
        return MisconfiguredError("serve.port", problem)
    where = f"{settings.host}, port {settings.port}"
    problem = f"cannot listen on {where}: {error.strerror}"
    return MisconfiguredError("serve.host", problem)


@contextmanager
def _stopped(say: Callable[[str], None]) -> Generator[asyncio.Event]:
    """An event that the first signal sets; the second cancels the task."""
    stopped = asyncio.Event()
    task = cast("asyncio.Task[object]", asyncio.current_task())

    def handle() -> None:
        if stopped.is_set():
            task.cancel()
        stopped.set()

    with interrupts(handle, lambda: say(STOPPING)):
        yield stopped


@contextmanager
def _logging(session: Session, settings: ServeSettings) -> Generator[None]:
    """Log important events as text, or all events as JSON."""
    as_json = settings.log == "json"
    session.log.serve(as_json=as_json)
    loggers = [logging.getLogger(name) for name in (_ALL if as_json else _LOGGERS)]
    # aiohttp would log bad requests with their headers.
    silent, server = logging.NullHandler(), logging.getLogger("aiohttp.server")
    with ExitStack() as stack:
        _added(stack, server, silent)
        if session.verbose:  # everything is logged already
            yield
            return
        session.log.addFilter(lambda record: record.name != _ACCESS)
        for each in loggers:
            _added(stack, each, session.log)
        raised = logging.getLogger("catalogsync") if as_json else logger
        stack.callback(raised.setLevel, raised.level)
        raised.setLevel(logging.INFO)
        yield


def _added(stack: ExitStack, to: logging.Logger, handler: logging.Handler) -> None:
    """Add a handler until the stack is closed."""
    to.addHandler(handler)
    stack.callback(to.removeHandler, handler)
