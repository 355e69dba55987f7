"""Serving jobs: on their schedules, and over HTTP."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import attrs
from aiohttp import web
from yarl import URL

from catalogsync.config import Config, ServeSettings, load_config, load_serve
from catalogsync.errors import MisconfiguredError, MissingExtraError
from catalogsync.events import Event, RunFinished
from catalogsync.hooks.prometheus import PrometheusHook
from catalogsync.service import Service
from catalogsync.web import AccessLogger, web_app

from ._interrupts import STOPPING, interrupts
from ._output import LogHandler, Teller
from ._session import Session

__all__ = ["serve_jobs"]

_TO_FINISH = 2.0
_LOGGERS = ("catalogsync.service", "catalogsync.web")


def serve_jobs(session: Session) -> int:
    """Serve all jobs until a signal comes, and give the exit status."""
    config, settings = load_config(session.config), load_serve(session.config)
    session.teller.keep_secret(settings.secrets)
    for job in config.jobs.values():
        session.adopt(job)
    with _logging(session):
        asyncio.run(_serve(session.teller, config, settings))
    return 0


async def _serve(teller: Teller, config: Config, settings: ServeSettings) -> None:
    def tell(event: Event, /) -> None:
        # Of a run without a report the service itself tells.
        if isinstance(event, RunFinished) and event.report is not None:
            parts = (event.summary, event.report.problem)
            teller.result("; ".join(part for part in parts if part))

    metrics = _metrics()
    async with config.store.open() as store:
        service = Service(
            jobs=config.jobs,
            store=store,
            hooks=[tell, *([metrics] if metrics else [])],
            retry_after=settings.retry_after,
            keep_days=config.store.keep_days,
            keep_runs=config.store.keep_runs,
        )
        app = web_app(service, access=settings, metrics=metrics)
        with _stopped(teller) as stopped:
            async with _listening(app, settings) as site, service:
                jobs = ", ".join(config.jobs) or "none"
                teller.result(f"listening on {site.url}; jobs: {jobs}")
                await stopped.wait()
                await site.tcp.stop()
                service.stop(grace=settings.grace)


def _metrics() -> PrometheusHook | None:
    try:
        return PrometheusHook()
    except MissingExtraError:
        return None


@attrs.frozen
class _Site:
    """Where it listens.

    Attributes:
        url: Its address, with the port that it really has.
        tcp: What ends it.
    """

    url: URL
    tcp: web.TCPSite


@asynccontextmanager
async def _listening(
    app: web.Application, settings: ServeSettings
) -> AsyncGenerator[_Site]:
    """Answer requests for the length of a block; at its end all streams end."""
    runner = web.AppRunner(
        app,
        access_log_class=AccessLogger,
        access_log=logging.getLogger("catalogsync.access"),
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
        problem = f"{settings.port} is taken on {settings.host}"
        return MisconfiguredError("serve.port", problem)
    where = f"{settings.host}, port {settings.port}"
    problem = f"cannot listen on {where}: {error.strerror}"
    return MisconfiguredError("serve.host", problem)


@contextmanager
def _stopped(teller: Teller) -> Generator[asyncio.Event]:
    """Set at the first signal; the second one stops at once."""
    stopped = asyncio.Event()
    task = cast("asyncio.Task[object]", asyncio.current_task())

    def handle() -> None:
        if stopped.is_set():
            task.cancel()
        stopped.set()

    with interrupts(handle, lambda: teller.remark(STOPPING)):
        yield stopped


@contextmanager
def _logging(session: Session) -> Generator[None]:
    """Show what goes wrong between runs; a verbose session shows all anyway."""
    handler: logging.Handler = logging.NullHandler()
    if not session.verbose:
        handler = LogHandler(session.teller, logging.WARNING)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    # Of bad requests aiohttp would tell with their headers.
    silent, server = logging.NullHandler(), logging.getLogger("aiohttp.server")
    server.addHandler(silent)
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        server.removeHandler(silent)
        for logger in loggers:
            logger.removeHandler(handler)
