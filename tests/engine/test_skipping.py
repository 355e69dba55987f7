"""`skip_unchanged`: a run is skipped only if it would find what the last one left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from catalogsync import (
    MemorySink,
    Options,
    Page,
    Product,
    RefusedError,
    Report,
    RunStatus,
    StateSettings,
    Sync,
    TransientError,
)
from catalogsync.protocols import Cursor
from catalogsync.state import StateStore

from .fakes import FAST, fast, key, product

STEPS = (
    "change",
    "run",
    "run",
    "full",
    "one",
    "refuse",
    "accept",
    "rename",
    "settings",
)


@attrs.define
class Versioned:
    """A source that knows its version, and counts how often it is read."""

    products: list[Product] = attrs.field(factory=lambda: [product(1), product(2)])
    number: str | None = "1"
    broken: bool = False
    name: str = "shop"
    reads: int = 0

    async def read(self, cursor: Cursor | None, /) -> Page:
        self.reads += 1
        return Page(products=self.products)

    async def version(self) -> str | None:
        if self.broken:
            raise TransientError("not now")
        return self.number


@attrs.define
class Fussy(MemorySink):
    """Refuses all products while it is asked to."""

    refuses: bool = False

    def shape(self, product: Product, /) -> Product:
        if self.refuses:
            raise RefusedError("not today")
        return product


def skipping(**more: object) -> Options:
    return fast(skip_unchanged=True, **more)


async def again(
    source: Versioned, store: StateStore | None, sink: MemorySink, options: Options
) -> Report:
    return await Sync(source, sink, options=options, job="j", state=store).run()


async def test_a_run_names_the_run_that_read_the_source() -> None:
    source, sink = Versioned(), MemorySink()
    async with StateSettings().open() as store:
        reports = [await again(source, store, sink, skipping()) for _ in range(3)]
        assert await store.last_whole("j") == await store.run(reports[0].run_id)
    first = reports[0].run_id
    assert [each.status for each in reports] == ["succeeded", "skipped", "skipped"]
    text = f"the source has not changed since run {first}"
    assert [each.problem for each in reports[1:]] == [text, text]
    assert reports[1].reasons == (text,)
    assert Report.from_dict(reports[1].to_dict()).is_up_to_date
    assert source.reads == 1


@pytest.mark.parametrize("what", ["unknown", "broken", "transform", "stateless", "off"])
async def test_nothing_is_skipped_that_is_not_known(what: str) -> None:
    source, sink = Versioned(), MemorySink()
    source.number = None if what == "unknown" else "1"
    source.broken = what == "broken"
    options = fast(
        skip_unchanged=what != "off",
        transform=(lambda each: each) if what == "transform" else None,
    )
    async with StateSettings().open() as store:
        for _ in range(2):
            state = None if what == "stateless" else store
            report = await again(source, state, sink, options)
            assert report.status is RunStatus.SUCCEEDED
    assert source.reads == 2


async def test_a_source_without_a_version_is_named() -> None:
    source = attrs.make_class("Plain", [], bases=(Versioned,))()
    type(source).version = None
    async with StateSettings().open() as store:
        report = await again(source, store, MemorySink(), skipping())
    assert report.warnings == (
        "`skip_unchanged` ignored: not supported by this source",
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=12))
def test_a_skipped_run_would_change_nothing(steps: Sequence[str]) -> None:
    """In any order of runs and changes, against a model of what was read."""
    asyncio.run(_follow(steps))


async def _follow(steps: Sequence[str]) -> None:
    source, sink, options = Versioned(), Fussy(), skipping()
    settings_ = ""
    last: object = None
    async with StateSettings().open() as store:
        for number, step in enumerate(steps):
            now = (source.number, options, settings_)
            sync = Sync(
                source, sink, options=options, job="j", state=store, settings=settings_
            )
            match step:
                case "change":
                    source.number = f"v{number}"
                    source.products = [product(1, title=f"T{number}"), product(2)]
                case "refuse" | "accept":
                    sink.refuses = step == "refuse"
                case "rename":
                    options = attrs.evolve(options, batch_size=number + 1)
                case "settings":
                    settings_ = str(number)
                case "one":
                    chosen = attrs.evolve(options, keys=(key(1),), retry=FAST)
                    report = await attrs.evolve(sync, options=chosen).run()
                    assert report.status is not RunStatus.SKIPPED
                    last = None
                case _:
                    report = await sync.run(full=step == "full")
                    skipped = report.status is RunStatus.SKIPPED
                    assert skipped == (step == "run" and now == last)
                    if not skipped:
                        good = report.status is RunStatus.SUCCEEDED
                        last = now if good else None
