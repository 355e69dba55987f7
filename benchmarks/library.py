"""The library: one run from the source into the store."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from catalogsync import Options, StateSettings, sync
from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.medusa import MedusaSettings


async def work(job: dict[str, Any]) -> dict[str, Any]:
    """Run once; *expect* names the only outcome that may be, *state* a file."""
    source = DummyJSONSettings(
        url=job["source"], page_size=job["page_size"], max_requests=0
    )
    sink = MedusaSettings(url=job["url"], email=job["email"], password=job["password"])
    options = Options(batch_size=job["batch_size"])
    state = job.get("state")
    kept = StateSettings(url=f"sqlite:///{state}").open() if state else nullcontext()
    async with (
        source.open() as opened_source,
        sink.open() as opened_sink,
        kept as open_,
    ):
        report = await sync(opened_source, opened_sink, options=options, state=open_)
    counts = report.to_dict()["counts"]
    assert counts["fetched"] == counts[job["expect"]], str(report)
    return {
        "products": report.counts.fetched,
        "requests": report.requests,
        "phases": dict(report.phases),
    }
