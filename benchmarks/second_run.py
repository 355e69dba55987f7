"""A program that runs one sync and says where its time went."""

import time

BEGIN = time.perf_counter()

import asyncio  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

from catalogsync import Options, Report, sync  # noqa: E402
from catalogsync.adapters.dummyjson import DummyJSONSettings  # noqa: E402
from catalogsync.adapters.medusa import MedusaSettings  # noqa: E402

IMPORTED = time.perf_counter()


async def run(job: dict[str, Any]) -> tuple[Report, float, float]:
    source = DummyJSONSettings(url=job["source"])
    sink = MedusaSettings(url=job["url"], email=job["email"], password=job["password"])
    options = Options(batch_size=job["batch_size"])
    started = time.perf_counter()
    async with source.open() as opened_source, sink.open() as opened_sink:
        opened = time.perf_counter()
        report = await sync(opened_source, opened_sink, options=options)
    return report, started, opened


def main() -> None:
    report, started, opened = asyncio.run(run(json.load(sys.stdin)))
    assert report.counts.unchanged == report.counts.fetched, str(report)
    parts = {
        "importing": IMPORTED - BEGIN,
        "logging in and looking around": opened - started,
        "syncing": time.perf_counter() - opened,
    }
    of_it = {
        "reading pages, several at once": report.phases["read"],
        "asking the store": report.phases["find"],
    }
    json.dump({"parts": parts, "of_it": of_it}, sys.stdout)


if __name__ == "__main__":
    main()
