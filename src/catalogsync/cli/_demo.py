"""A first look: a whole catalog into a SQLite file, with nothing else at hand."""

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
from ._runs import Ended, Selection, carry_out, opened
from ._session import Session

__all__ = ["run_demo"]


def run_demo(session: Session, source: str | None, folder: Path, products: int) -> int:
    """Sync the demo catalog, say what is done, and give the exit status."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"{folder} cannot be made: {error.strerror}"
        raise MisconfiguredError("--directory", problem) from None
    session = attrs.evolve(session, report=folder / "report.json")
    session.check_report()
    ended = asyncio.run(_demo(session, source, folder / "catalog.db", products))
    status = ended.tell(session)
    session.teller.result(f"The report is in {session.report}.")
    if status == 0 and ended.report.writes:
        session.teller.result("Run the demo again: nothing is left to be written.")
    return status


async def _demo(
    session: Session, source: str | None, database: Path, products: int
) -> Ended:
    tell = session.teller.result
    async with _source(session, source, products) as settings:
        sink = SQLSettings(url=f"sqlite:///{database.as_posix()}")
        store = StateSettings(
            url=f"sqlite:///{(database.parent / 'runs.db').as_posix()}"
        )
        job = Job(name="demo", source=settings, sink=sink, state=store)
        tell(f"Syncing it into {database}.")
        with progress_of(session) as progress:
            return await carry_out(opened(job, Selection(), progress), progress)


@asynccontextmanager
async def _source(
    session: Session, source: str | None, products: int
) -> AsyncGenerator[DummyJSONSettings]:
    """The source: at an address, or a server of our own."""
    if source is not None:
        session.teller.result(f"The catalog is at {source}.")
        yield DummyJSONSettings(url=source)
        return
    catalog = generate_catalog(products)
    categories = len({record["category"] for record in catalog})
    async with dummyjson_server(catalog) as server:
        session.teller.result(
            f"The catalog has {products} products in {categories} categories;"
            f" a stand-in for DummyJSON serves it at {server.url}."
        )
        yield DummyJSONSettings(url=server.url, max_requests=0)
