"""Our own adapters keep every promise of the kit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.conformance.adapters import (
    dummyjson,
    json_api,
    json_api_grouped,
    jsonl_sink,
    jsonl_source,
    list_of_products,
    medusa_fake,
    medusa_setup,
    medusa_source,
    memory,
    memory_state,
    sql_source,
    sqlite_sink,
    sqlite_state,
    table,
    too_many,
    xml,
)
from tests.real import real_is_desired

from catalogsync import Sink, Source
from catalogsync.adapters.sql import SQLSettings
from catalogsync.state import StateSettings
from catalogsync.state.protocols import StateStore
from catalogsync.testing.conformance import (
    Setup,
    sink_promises,
    source_promises,
    state_promises,
)

test_memory_source = source_promises(list_of_products)
test_json_api = source_promises(json_api)
test_json_api_grouped = source_promises(json_api_grouped)
test_jsonl_source = source_promises(jsonl_source)
test_medusa_source = source_promises(medusa_source)
test_sql_source = source_promises(sql_source)
test_table = source_promises(table)
test_xml = source_promises(xml)
test_dummyjson = source_promises(dummyjson)
test_memory_sink = sink_promises(memory)
test_jsonl_sink = sink_promises(jsonl_sink)
test_sqlite_sink = sink_promises(sqlite_sink)
test_medusa_fake = sink_promises(medusa_fake)
test_memory_state = state_promises(memory_state)


test_sqlite_state = state_promises(sqlite_state)

real = pytest.mark.skipif(not real_is_desired(), reason="CATALOGSYNC_REAL=0")


@real
@sink_promises
async def test_postgres_sink(postgres: str) -> AsyncIterator[Setup[Sink]]:
    async with SQLSettings(url=postgres).open() as sink:
        yield Setup(sink, refused=too_many)


@real
@source_promises
async def test_postgres_source(postgres: str) -> AsyncIterator[Setup[Source]]:
    async for setup in sql_source(postgres):
        yield setup


@real
@state_promises
async def test_postgres_state(postgres: str) -> AsyncIterator[StateStore]:
    async with StateSettings(url=postgres).open() as store:
        yield store


@real
@sink_promises
async def test_medusa_real(real_store: Any) -> AsyncIterator[Setup[Sink]]:
    facts = real_store.facts
    async with medusa_setup(facts["url"], facts["email"], facts["password"]) as setup:
        yield setup
