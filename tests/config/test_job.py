"""Jobs made in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalogsync import (
    Change,
    MemorySink,
    MisconfiguredError,
    Options,
    Product,
    ProductKey,
    StateSettings,
    as_source,
)
from catalogsync.config import Job, secrets_of
from catalogsync.events import Event

from .stand_ins import BoxSettings, Net, ShelfSettings

SHELF = ShelfSettings(url="here")
BOX = BoxSettings(email="e", password="p")


async def test_run() -> None:
    """Settings are opened, the run carries the job's name, hooks hear of it."""
    events: list[Event] = []
    report = await Job(name="x", source=SHELF, sink=BOX).run(hooks=[events.append])
    assert (report.job, report.counts.created) == ("x", 2)
    assert events


async def test_open_ends() -> None:
    """Sources and sinks that are open already do as well."""
    sink = MemorySink()
    products = [Product(key=ProductKey("memory", "1"), title="One")]
    job = Job(name="x", source=as_source(products), sink=sink)
    assert (await job.run()).counts.created == 1
    assert (await job.run()).counts.unchanged == 1


async def test_start() -> None:
    """The handle of a run, with the job's options."""
    job = Job(name="x", source=SHELF, sink=BOX, options=Options(limit=1))
    async with job.start() as run:
        report = await run.report()
    assert report.run_id == run.run_id
    assert report.counts.created == 1


async def test_plan() -> None:
    """A plan shows the changes and writes nothing."""
    changes: list[Change] = []
    sink = MemorySink()
    report = await Job(name="x", source=SHELF, sink=sink).plan(on_change=changes.append)
    assert [str(change.key) for change in changes] == ["shelf:1", "shelf:2"]
    assert (report.job, report.counts.created, report.writes) == ("x", 2, 1)
    assert report.planned
    assert not sink.products


async def test_store(tmp_path: Path) -> None:
    """Runs are noted in a store, which settings open or which is open already."""
    settings = StateSettings(url=f"sqlite:///{tmp_path}/runs.db")
    report = await Job(name="x", source=SHELF, sink=MemorySink(), state=settings).run()
    async with settings.open() as store:
        job = Job(name="x", source=SHELF, sink=MemorySink(), state=store)
        again = await job.run()
        await job.plan(on_change=lambda _: None)
        runs = await store.runs(job="x")
    assert [each.run_id for each in runs] == [again.run_id, report.run_id]


async def test_a_wrong_address_of_a_store() -> None:
    """The error has the path that the address has in a file."""
    settings = StateSettings(url="postgresql://host:port/database")
    job = Job(name="x", source=SHELF, sink=MemorySink(), state=settings)
    with pytest.raises(MisconfiguredError, match=r"^state\.url: "):
        await job.run()


async def test_no_store() -> None:
    """Without one, nothing is remembered."""
    async with Job(name="x", source=SHELF, sink=BOX).open_store() as store:
        assert store is None


async def test_a_side_alone() -> None:
    """Each side can be opened by itself."""
    job = Job(name="x", source=ShelfSettings(url="nowhere"), sink=BOX)
    async with job.open_sink() as sink:
        assert sink.name == "memory"
    with pytest.raises(MisconfiguredError, match=r"^jobs\.x\.source\.url: "):
        async with job.open_source():
            pass


async def test_wrong_setting() -> None:
    """An error about a setting names its path."""
    job = Job(name="x", source=ShelfSettings(url="nowhere"), sink=BOX)
    with pytest.raises(MisconfiguredError) as caught:
        await job.run()
    assert caught.value.setting == "jobs.x.source.url"


@pytest.mark.parametrize("name", ["", " ", "a\x1b[31m", ".", ".."])
def test_bad_name(name: str) -> None:
    """A name is something to be read."""
    with pytest.raises(MisconfiguredError, match=r"^name: "):
        Job(name=name, source=SHELF, sink=BOX)


def test_bad_schedule() -> None:
    """A schedule is checked here as well."""
    with pytest.raises(
        MisconfiguredError, match=r"^schedule: 'daily' is not a cron expression"
    ):
        Job(name="x", source=SHELF, sink=BOX, schedule="daily")


def test_secrets_of() -> None:
    """Secret texts are found in settings, also within addresses and one level down."""
    shelf = ShelfSettings(url="u", net=Net(proxy="http://me:h%40sh@proxy"))
    box = BoxSettings(email="e@example.com", password="hush!", api_key="key1")
    assert secrets_of(shelf, box, object()) == {
        "http://me:h%40sh@proxy",
        "h%40sh",
        "h@sh",
        "hush!",
        "key1",
    }
    assert secrets_of(BoxSettings(email="e", password="http://[x")) == {"http://[x"}
