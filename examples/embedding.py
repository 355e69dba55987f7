"""catalogsync inside another asyncio program: session, hooks, shutdown.

Run it with `python examples/embedding.py [URL]`, where URL is a DummyJSON server;
without a URL it starts one. Needs the extra `sql`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter
from contextlib import AsyncExitStack

import aiohttp
import attrs

from catalogsync import Report, Sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.events import BatchWritten, Event, ProductFailed
from catalogsync.testing import dummyjson_server, generate_catalog


@attrs.define
class Host:
    """The surrounding program; it owns the HTTP session and decides when to close."""

    session: aiohttp.ClientSession
    url: str
    closing: asyncio.Event = attrs.field(factory=asyncio.Event)
    seen: Counter[str] = attrs.field(factory=Counter[str])

    def note(self, event: Event, /) -> None:
        """Count events; any callable that takes an event is a hook."""
        self.seen[type(event).__name__] += 1
        if isinstance(event, ProductFailed) and event.outcome.status == "failed":
            print("failed:", event.outcome.key, event.outcome.reason)

    async def sync(self) -> Report:
        """Sync the catalog; when the host closes, shut the run down gracefully."""
        source_settings = DummyJSONSettings(url=self.url, max_requests=0)
        sink_settings = SQLSettings(url="sqlite://", batch=15)
        async with (
            source_settings.open(self.session) as source,
            sink_settings.open() as sink,
            Sync(source, sink, job="nightly", hooks=[self.note]).run() as run,
            asyncio.TaskGroup() as group,
        ):

            async def stop_when_closing() -> None:
                await self.closing.wait()
                run.stop(grace=10, reason="the host is closing")

            watcher = group.create_task(stop_when_closing())
            report = await run.report()
            watcher.cancel()
        return report


class HurriedHost(Host):
    """A host that closes as soon as the first batch is written."""

    def note(self, event: Event, /) -> None:
        """Close after a batch."""
        super().note(event)
        if isinstance(event, BatchWritten):
            self.closing.set()


async def main() -> None:
    logging.basicConfig(level=logging.ERROR)  # events also go to the logger
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        if sys.argv[1:]:
            url = sys.argv[1]
        else:
            server = dummyjson_server(generate_catalog())
            url = (await stack.enter_async_context(server)).url

        host = Host(session, url)
        print(await host.sync())
        print(f"{host.seen['PageRead']} pages, {host.seen['BatchWritten']} batches")

        report = await HurriedHost(session, url).sync()
        print(f"{report.status}: {report.problem}")


if __name__ == "__main__":
    asyncio.run(main())
