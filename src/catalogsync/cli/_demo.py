"""The command `demo`: syncs a generated catalog into a SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from catalogsync.adapters.dummyjson import DummyJSONSettings
from catalogsync.adapters.sql import SQLSettings
from catalogsync.config import Job
from catalogsync.errors import MisconfiguredError
from catalogsync.state import StateSettings
from catalogsync.testing import dummyjson_server, generate_catalog

from ._progress import progress_of
from ._runs import RunResult, Selection, opened, run_interruptible
from ._session import Session


def run_demo(session: Session, source: str | None, folder: Path, products: int) -> int:
    """Sync the demo catalog and print the steps; returns the exit status."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot create {folder}: {error.strerror}"
        raise MisconfiguredError("--directory", problem) from None
    session = attrs.evolve(session, report=folder / "report.json")
    session.check_report()
    result = asyncio.run(_demo(session, source, folder / "catalog.db", products))
    status = result.show(session)
    session.terminal.out(f"Report written to {session.report}.")
    if status == 0 and result.report.writes:
        session.terminal.out("Run the demo again: there is nothing left to write.")
    return status


async def _demo(
    session: Session, source: str | None, database: Path, products: int
) -> RunResult:
    async with _source(session, source, products) as settings:
        sink = SQLSettings(url=f"sqlite:///{database.as_posix()}")
        store = StateSettings(
            url=f"sqlite:///{(database.parent / 'runs.db').as_posix()}"
        )
        job = Job(name="demo", source=settings, sink=sink, state=store)
        session.terminal.out(f"Syncing it into {database}.")
        with progress_of(session) as progress:
            return await run_interruptible(opened(job, Selection(), progress), progress)


@asynccontextmanager
async def _source(
    session: Session, source: str | None, products: int
) -> AsyncGenerator[DummyJSONSettings]:
    """The source at an address, or a local server with a generated catalog."""
    if source is not None:
        session.terminal.out(f"The catalog is at {source}.")
        yield DummyJSONSettings(url=source)
        return
    catalog = generate_catalog(products)
    categories = len({record["category"] for record in catalog})
    async with dummyjson_server(catalog) as server:
        session.terminal.out(
            f"The catalog has {products} products in {categories} categories;"
            f" a fake DummyJSON server serves it at {server.url}."
        )
        yield DummyJSONSettings(url=server.url, max_requests=0)
