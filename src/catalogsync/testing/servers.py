"""Real HTTP servers on a free local port, for the length of a block."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future

from aiohttp import web

HOST = "127.0.0.1"

SHUTDOWN_TIMEOUT = 0.05


@contextlib.asynccontextmanager
async def serve(app: web.Application, *, port: int = 0) -> AsyncGenerator[str]:
    """Serve ``app`` on the local host and yield its base URL.

    Leaving the block closes every connection. A handler that still hangs is
    cancelled after a moment, so a test that provokes a timeout ends at once.

    Args:
        app: The application to serve. aiohttp lets it be served only once.
        port: The port to listen on; 0 takes a free one.

    Yields:
        The base URL, without a trailing slash.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    async with running(runner, port) as url:
        yield url


@contextlib.asynccontextmanager
async def running(runner: web.AppRunner, port: int) -> AsyncGenerator[str]:
    """Let a runner serve on the local host and yield its base URL."""
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def serve_in_thread(
    app_factory: Callable[[], web.Application], *, port: int = 0
) -> Generator[str]:
    """Serve an application from a thread of its own and yield its base URL.

    For callers that block: command-line tests, WSGI hosts, scripts.

    Args:
        app_factory: Makes the application. Called in the server's thread, with
            its event loop running.
        port: The port to listen on; 0 takes a free one.

    Yields:
        The base URL, without a trailing slash.
    """
    started: Future[tuple[str, Callable[[], object]]] = Future()
    thread = threading.Thread(
        target=_run, args=(app_factory, port, started), name="catalogsync-test-server"
    )
    thread.start()
    try:
        url, stop = started.result()
    except BaseException:
        thread.join()
        raise
    try:
        yield url
    finally:
        stop()
        thread.join()


def _run(
    app_factory: Callable[[], web.Application],
    port: int,
    started: Future[tuple[str, Callable[[], object]]],
) -> None:
    async def main() -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        async with serve(app_factory(), port=port) as url:
            started.set_result((url, lambda: loop.call_soon_threadsafe(stopped.set)))
            await stopped.wait()

    try:
        asyncio.run(main())
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
