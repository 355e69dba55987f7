"""Catalog and state store behind a pooler that has no sessions of one's own."""

from __future__ import annotations

import asyncio

import pytest
from tests.engine.fakes import fast, product
from tests.pooler import pooled

from catalogsync import Category, Options, RunStatus, StateSettings, as_source, sync
from catalogsync.adapters.sql import SQLSettings
from catalogsync.protocols import AdoptBy


async def one_process(url: str, *, title: str, options: Options) -> None:
    """Open both sides, run, and close them again."""
    products = [
        product(n, title=title, tags=["new"], categories=[Category(id="c", name="C")])
        for n in range(30)
    ]
    async with (
        SQLSettings(url=url).open() as sink,
        StateSettings(url=url).open() as store,
    ):
        source = as_source(products, name="shop")
        report = await sync(source, sink, options=options, job="j", state=store)
        assert report.status is RunStatus.SUCCEEDED, report.summary
        assert [run.report for run in await store.runs()]


@pytest.mark.parametrize("sessions", [1, 2, 5])
async def test_each_transaction_has_another_session(
    postgres: str, sessions: int
) -> None:
    """One process after the other, whichever sessions they get."""
    options = fast(batch_size=4, adopt=[AdoptBy.EXTERNAL_ID])
    async with pooled(postgres, sessions=sessions) as url, asyncio.timeout(60):
        for title in ("first", "second", "third"):
            await one_process(url, title=title, options=options)
