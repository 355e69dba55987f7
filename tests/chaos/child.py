"""One run in a process of its own.

`python -m tests.chaos.child` reads an `Order` as JSON from its standard input, and
prints how the run ended as one line of JSON. Those that are to be killed are forked,
which is quicker, from a process that has imported everything.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import attrs
from tests.engine.fakes import FAST, NEVER_HELD

from catalogsync import BusyError, Options, Sink, StateSettings, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.sql import SQLSettings


@attrs.frozen(kw_only=True)
class Order:
    """What a process is to do.

    Attributes:
        source: Address of the DummyJSON server.
        store: URL of the state store.
        file: The SQLite file that is the sink, if one is.
        medusa: Otherwise the settings of a Medusa store.
        options: Of the run.
        dies_at: The number of the SQL statement before which it kills itself.
    """

    source: str
    store: str
    file: str = ""
    medusa: dict[str, str] = attrs.field(factory=dict)
    options: dict[str, Any] = attrs.field(factory=dict)
    dies_at: int = 0


def run_options(**options: Any) -> Options:
    """Small batches, short leases, and no waits but for the lease."""
    return Options(
        **{
            "retry": FAST,
            "batch_size": 5,
            "prune": "delete",
            "max_prune": 0.5,
            "grace": 0.2,
            "lease": 0.2,
            "when_busy": "wait",
            "guard": NEVER_HELD,
            **options,
        }
    )


def source_settings(url: str) -> DummyJSONSettings:
    return DummyJSONSettings(url=url, page_size=6, max_requests=0)


@asynccontextmanager
async def _sink(order: Order) -> AsyncIterator[Sink]:
    if order.file:
        async with SQLSettings(url=f"sqlite:///{order.file}").open() as sink:
            yield sink
    else:
        async with MedusaSettings(**order.medusa).open() as sink:
            yield sink


async def _carry_out(order: Order) -> dict[str, Any]:
    async with (
        source_settings(order.source).open() as source,
        _sink(order) as sink,
        StateSettings(url=order.store).open() as store,
    ):
        options = run_options(**order.options)
        try:
            report = await sync(source, sink, options=options, job="chaos", state=store)
        except BusyError as error:
            return {"status": "busy", "holder": error.holder}
        return report.to_dict()


@attrs.define
class Statements:
    """Counts SQL statements, and kills this process before the nth of them."""

    deadly: int = 0
    heard: int = 0

    def __call__(self, *_: object) -> None:
        self.heard += 1
        if self.heard == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """For the length of a block."""
        from sqlalchemy import Engine, event

        event.listen(Engine, "before_cursor_execute", self)
        yield
        event.remove(Engine, "before_cursor_execute", self)


async def start(order: Order) -> asyncio.subprocess.Process:
    """Start a process that carries the order out; `ended` waits for it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.child"),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin
    process.stdin.write(json.dumps(attrs.asdict(order)).encode())
    process.stdin.close()
    return process


def fork(order: Order) -> BaseProcess:
    """Start a process for an order and ignore its output."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "catalogsync.adapters.sql._sink"])
    process = context.Process(target=_obey, args=(order,))
    process.start()
    return process


async def gone(process: BaseProcess) -> None:
    """Wait until it has ended, by itself or not."""
    await asyncio.to_thread(process.join)


def _obey(order: Order) -> dict[str, Any]:
    with Statements(order.dies_at).listening():
        return asyncio.run(_carry_out(order))


async def ended(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """How a process ended; `killed` is a status as well."""
    assert process.stdout
    try:
        printed = await process.stdout.read()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == -signal.SIGKILL:
        return {"status": "killed"}
    found: dict[str, Any] = json.loads(printed)
    return found


def main() -> None:
    print(json.dumps(_obey(Order(**json.load(sys.stdin)))))  # noqa: T201


if __name__ == "__main__":
    main()
