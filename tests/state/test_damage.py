"""A damaged value in a state store affects only its own row."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, reject, settings, strategies as st
from sqlalchemy.exc import IntegrityError
from tests.adapters.sql_databases import Hand
from tests.engine.fakes import fast, product

from catalogsync import (
    BatchRefusedError,
    Change,
    Field,
    MemorySink,
    OnDeleted,
    Outcome,
    Prune,
    Report,
    RunStatus,
    StateSettings,
    as_source,
    sync,
)
from catalogsync.catalog.drafts import Outline, Unchanged
from catalogsync.state import StateStore
from catalogsync.state.protocols import BusyError, DamageReporting

from .values import A, B, failed

TABLES = {
    "catalogsync_absence": "job endpoint source id first_run noted",
    "catalogsync_counter": "value",
    "catalogsync_entry": "number run_id job source id noted_at status reason said fields",
    "catalogsync_failure": "job endpoint source id reason said payload attempts first_at last_at"
    " run_id",
    "catalogsync_intent": "endpoint source id handle run_id began_at",
    "catalogsync_known": "endpoint source id",
    "catalogsync_lease": "name owner token ends_at ttl",
    "catalogsync_run": "number run_id job source sink started_at partial finished_at"
    " status report summary",
    "catalogsync_unchanged": "endpoint source id record existing outline noted_at",
    "catalogsync_snapshot": "endpoint source id counted_at",
    "catalogsync_trigger": "number job keys asked_at asked_by",
}
NUMBERS = {"value", "number", "noted", "attempts", "partial", "token"}
TIMES = {
    *("counted_at", "noted_at", "first_at", "last_at", "began_at", "started_at"),
    *("finished_at", "asked_at", "ends_at", "ttl"),
}

WORDS = st.one_of(
    st.sampled_from(["", "\\x", "\\ud800", "{", "null", "[1, [2]]", '{"a": NaN}']),
    st.just("[" * 100_000),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.sampled_from([-1.0, 0.0, 1e300, math.inf, -math.inf])


def values(column: str, url: str) -> st.SearchStrategy[Any]:
    """Any value for a column; SQLite accepts every type everywhere."""
    if url.startswith("sqlite"):
        return WORDS | INTEGERS | FLOATS | st.binary(max_size=3)
    if column in NUMBERS:
        return INTEGERS
    return FLOATS | st.just(math.nan) if column in TIMES else WORDS


class Picky(MemorySink):
    """It refuses one product."""

    async def write(self, changes: Sequence[Change], /) -> Sequence[Outcome]:
        if bad := {c.key: "no" for c in changes if c.key.id == "bad"}:
            raise BatchRefusedError("refused", culprits=bad)
        return await super().write(changes)


async def one_run(store: StateStore, sink: MemorySink, title: str) -> Report:
    """A run that needs all that is kept."""
    products = [product(n, title=title) for n in ("1", "2", "bad")]
    options = fast(prune=Prune.DELETE, on_deleted=OnDeleted.LEAVE)
    source = as_source(products, name="shop")
    return await sync(source, sink, options=options, job="j", state=store)


async def fill(url: str) -> MemorySink:
    """A row in every table."""
    sink, key = Picky(), product("1").key
    async with StateSettings(url=url).open() as store:
        await one_run(store, sink, "first")
        await store.add_trigger("j", [key])
        await store.put_intents(sink.endpoint, "r", {key: "h"})
        await store.note_absences("j", sink.endpoint, "r", [product("9").key])
        outline = Outline(fields=frozenset({Field.TITLE}), tags=("new",))
        unchanged = Unchanged(record="1f", row="2e", outline=outline)
        await store.put_unchanged(sink.endpoint, {key: unchanged})
        await store.put_snapshots(sink.endpoint, {key: 1000.5})
        await store.take_lease("other", "somebody", ttl=60)
    return sink


async def read_all(store: StateStore, endpoint: str) -> None:
    """What the command line, the dashboard and the service read."""
    for run in await store.runs():
        await store.run(run.run_id)
    await store.last_whole("j")
    await store.failures("j")
    await store.triggers()
    await store.backlog("j")
    await store.history("j", product("bad").key)
    taken = await store.take_lease("other", "me", ttl=60)
    assert isinstance(taken, BusyError) or taken.token > 0
    await store.unchanged(endpoint, [product("1").key])
    await store.snapshots(endpoint, [product("1").key])
    await store.trim(days=1, runs=1)


async def empty(url: str) -> str:
    """The URL of a store that is not there yet."""
    if url.startswith("sqlite"):
        return f"{url}-{uuid4()}"
    await Hand(url)("DROP SCHEMA public CASCADE")
    await Hand(url)("CREATE SCHEMA public")
    return url


@pytest.mark.parametrize("table", TABLES)
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_any_value_in_any_column(
    url: str, table: str, data: st.DataObject
) -> None:
    """The runs go on, and everything else is read."""
    column = data.draw(st.sampled_from(TABLES[table].split()))
    url = await empty(url)
    sink = await fill(url)
    statement = f"UPDATE {table} SET {column} = :value WHERE {column} ="
    try:
        await Hand(url)(
            f"{statement} (SELECT MIN({column}) FROM {table})",
            value=data.draw(values(column, url)),
        )
    except (sqlite3.IntegrityError, IntegrityError):
        reject()  # it is the value of another row
    async with StateSettings(url=url).open() as store:
        await read_all(store, sink.endpoint)
        for title in ("second", "third"):
            report = await one_run(store, sink, title)
            assert report.status is RunStatus.DEGRADED, report.summary
            assert {each.title for each in sink.products.values()} == {title}
        await read_all(store, sink.endpoint)


@pytest.mark.parametrize(
    ("column", "value"),
    [("payload", "{"), ("payload", "[" * 100_000), ("id", ""), ("said", "\\\\x")],
)
async def test_a_damaged_failure(url: str, hand: Hand, column: str, value: str) -> None:
    """The others are returned, and the skipped one is reported once."""
    async with StateSettings(url=url).open() as store:
        assert isinstance(store, DamageReporting)
        await store.put_failures("j", [failed("a", payload=1), failed("b", payload=2)])
        await hand(
            f"UPDATE catalogsync_failure SET {column} = :value WHERE id = 'a'",
            value=value,
        )
        assert [each.key for each in await store.failures("j")] == [B]
        assert [each.key for each in await store.failures("j", limit=1)] == [B]
        (message,) = store.unreadable()
        assert "catalogsync_failure ('pim', " in message
        assert column in message
        assert not store.unreadable()


async def test_a_run_says_what_it_left_out(url: str, hand: Hand) -> None:
    """As a warning, which names the row."""
    sink = MemorySink()
    async with StateSettings(url=url).open() as store:
        await store.put_intents(sink.endpoint, "r", {product("1").key: "h"})
        await hand("UPDATE catalogsync_intent SET id = ''")
        report = await sync(
            as_source([product("1")], name="shop"), sink, options=fast(), state=store
        )
        (warning,) = report.warnings
        assert "catalogsync_intent ('shop', '')" in warning
        assert report.status is RunStatus.DEGRADED


async def test_a_run_that_nobody_can_read_hides_no_other(url: str, hand: Hand) -> None:
    """Not even from who asks for the last one."""
    async with StateSettings(url=url).open() as store:
        for title in ("one", "two"):
            await one_run(store, MemorySink(), title)
        latest, first = await store.runs()
        await hand(
            "UPDATE catalogsync_run SET summary = '{' WHERE run_id = :id",
            id=latest.run_id,
        )
        assert await store.runs(limit=1) == [first]
        assert await store.last_whole("j") == first


async def test_a_counter_that_was_set_back(url: str, hand: Hand) -> None:
    """Numbers are given out once."""
    async with StateSettings(url=url).open() as store:
        for harm in ("UPDATE catalogsync_counter SET value = 0", "DELETE FROM %s"):
            before = await store.add_trigger("j", [A])
            await hand(harm.replace("%s", "catalogsync_counter"))
            assert (await store.add_trigger("j")).id == before.id + 1


async def test_a_lease_outlives_no_clock_that_was_set_back(
    url: str, hand: Hand
) -> None:
    """It ends when it would have ended, counted from the first who asks for it."""
    async with StateSettings(url=url).open() as store:
        dead = await store.take_lease("shop", "dead", ttl=60)
        await hand("UPDATE catalogsync_lease SET ends_at = ends_at + 36000")
        assert isinstance(await store.take_lease("shop", "me", ttl=600), BusyError)
        await hand("UPDATE catalogsync_lease SET ends_at = ends_at - 61")
        assert not isinstance(await store.take_lease("shop", "me", ttl=600), BusyError)
        assert not isinstance(dead, BusyError)
        assert not await store.renew_lease(dead, ttl=60)
