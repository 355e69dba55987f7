"""A process of its own that works on a state store, in step with a test.

It says what it has reached, a word in a line, and goes on when it is sent a line.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.state.values import entry, failed

from catalogsync.state import StateSettings
from catalogsync.state._sql import Transaction
from catalogsync.state.protocols import Lease, StateError, StateStore

ROOT = Path(__file__).parents[2]
BATCHES, BATCH = 20, 50
_ROOM = 400_000


def reach(what: str) -> None:
    """Say so, and wait until the test says to go on."""
    print(what, flush=True)  # noqa: T201
    sys.stdin.readline()


async def take(store: StateStore) -> str:
    """Try to get the lease."""
    taken = await store.take_lease("shop", "a process", ttl=60)
    return "taken" if isinstance(taken, Lease) else f"refused by {taken.holder}"


async def write(store: StateStore) -> str:
    """Save outcomes of many products."""
    for _ in range(BATCHES):
        await store.add_entries("nightly", [entry("r1")] * BATCH)
        await store.put_failures("nightly", [failed("a")])
    return "written"


async def die(store: Any) -> str:
    """Wait in the midst of a transaction, to be killed there."""

    async def half_done(sql: Transaction) -> None:
        await sql("DELETE FROM catalogsync_failure")
        reach("in the middle")

    await store.database.write(half_done)
    return "not killed"


async def fill(store: StateStore) -> str:
    """Write until there is no room for more."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (_ROOM, limit))
    entries = [entry("r1", reason="x" * 1000)] * BATCH
    try:
        while True:
            await store.add_entries("nightly", entries)
    except StateError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        assert len(await store.history("nightly", entries[0].outcome.key)) > 0
        return str(error)


ACTIONS: Mapping[str, Callable[[Any], Awaitable[str]]] = {
    "take": take,
    "write": write,
    "die": die,
    "fill": fill,
}


async def main(action: str, url: str) -> None:
    """Open the store, do it, and say what came of it."""
    reach("started")
    async with StateSettings(url=url).open() as store:
        reach("opened")
        print(await ACTIONS[action](store))  # noqa: T201


@contextmanager
def child(action: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """Start such a process; at the end it has ended."""
    program = (
        "import asyncio, sys; from tests.state.child import main;"
        "asyncio.run(main(*sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, action, url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def hear(process: subprocess.Popen[str]) -> str:
    """What it reached."""
    assert process.stdout
    return process.stdout.readline().rstrip("\n")


def go_on(process: subprocess.Popen[str]) -> None:
    """Let it continue."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def in_step(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let them start, open the store and work at the same moments; their results."""
    for stage in ("started", "opened"):
        assert [hear(process) for process in processes] == [stage] * len(processes)
        for process in processes:
            go_on(process)
    return [hear(process) for process in processes]
