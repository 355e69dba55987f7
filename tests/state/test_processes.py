"""Several processes on one state store."""

from __future__ import annotations

from pathlib import Path

from tests.adapters.sql_databases import Hand

from catalogsync.state import StateSettings
from catalogsync.state.protocols import Lease

from .child import BATCH, BATCHES, child, in_step
from .values import A, failed


async def test_two_processes_compete_for_a_lease(url: str) -> None:
    """On a new store: both create it, and exactly one gets the lease."""
    with child("take", url) as one, child("take", url) as other:
        results = in_step([one, other])
    assert sorted(results) == ["refused by a process", "taken"]


async def test_two_that_write(url: str) -> None:
    """Nothing is lost."""
    with child("write", url) as one, child("write", url) as other:
        assert in_step([one, other]) == ["written", "written"]
    expected = 2 * BATCHES * BATCH
    async with StateSettings(url=url).open() as store:
        assert len(await store.history("nightly", A, limit=2 * expected)) == expected
        assert [f.attempts for f in await store.failures("nightly")] == [2 * BATCHES]


async def test_one_that_is_killed_as_it_writes(url: str) -> None:
    """The next one finds what was there before, and writes."""
    async with StateSettings(url=url).open() as store:
        await store.put_failures("nightly", [failed("a")])
        with child("die", url) as process:
            assert in_step([process]) == ["in the middle"]
            process.kill()
        assert await store.failures("nightly") == [failed("a")]
        assert isinstance(await store.take_lease("shop", "me", ttl=60), Lease)


async def test_two_stores_in_one_process(url: str) -> None:
    """What one wrote, the other reads; what stays is there when it is opened again."""
    settings = StateSettings(url=url)
    async with settings.open() as one, settings.open() as other:
        await one.put_failures("nightly", [failed("a")])
        assert await other.failures("nightly") == [failed("a")]
        trigger = await other.add_trigger("nightly")
        assert await one.triggers() == [trigger]
    async with settings.open() as again:
        assert await again.triggers() == [trigger]


async def test_time_is_the_stores(url: str, hand: Hand) -> None:
    """Ages are by its clock, and not by when the process noted something."""
    async with StateSettings(url=url).open() as store:
        await store.put_intents("shop", "r1", {A: "shoe"})
        lease = await store.take_lease("shop", "me", ttl=60)
        assert isinstance(lease, Lease)
        await hand("UPDATE catalogsync_intent SET began_at = began_at - 1000")
        await hand("UPDATE catalogsync_lease SET ends_at = ends_at - 1000")
        (intent,) = (await store.intents("shop", "pim")).values()
        assert 1000 <= intent.age < 2000
        await store.put_intents("shop", "r2", {A: "shoe"})
        (intent,) = (await store.intents("shop", "pim")).values()
        assert 0 <= intent.age < 1000
        assert isinstance(await store.take_lease("shop", "me", ttl=60), Lease)


def test_a_full_disk(file: str) -> None:
    """The error names the file, and what was written before is there."""
    with child("fill", file) as process:
        (message,) = in_step([process])
    assert Path(file.removeprefix("sqlite:///")).name in message
    assert "see whether its disk is full" in message
