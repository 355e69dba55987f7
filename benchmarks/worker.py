"""What is measured, alone in a process: ``python -m benchmarks.worker library``.

Reads a job as JSON from its standard input and prints what it cost. Only the work
counts: the interpreter and all imports are there before the clock starts, except in
the peak of memory, which is that of the whole process.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

Job = dict[str, Any]
KINDS = ("between", "library", "record", "replay", "script", "with_dlt")


def main() -> None:
    kind, job = sys.argv[1], json.load(sys.stdin)
    assert kind in KINDS
    if not job.get("orjson", True):
        sys.modules["orjson"] = None  # type: ignore[assignment]  # not to be found
    work: Callable[[Job], Awaitable[Job]] = import_module(f".{kind}", __package__).work
    before = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    told = asyncio.run(_awaited(work(job)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    cpu -= told.get("left_out", 0.0)
    costs = {"cpu": cpu, "wall": wall, "mb": _peak(), "mb_before": before}
    json.dump({**costs, **told}, sys.stdout)


def _peak() -> float:
    """Most memory that this process ever had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


async def _awaited(work: Awaitable[Job]) -> Job:
    return await work


if __name__ == "__main__":
    main()
