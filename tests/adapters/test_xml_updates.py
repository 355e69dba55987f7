"""Updates of a BMEcat catalogue, each valid only after the one before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.adapters.xml_runs import settings, written
from tests.engine.fakes import NEVER_HELD

from catalogsync import (
    Field,
    MemorySink,
    MisconfiguredError,
    Options,
    Report,
    StateSettings,
    Sync,
)
from catalogsync.guard import Budget, Budgets, Mode
from catalogsync.state import StateStore

WHOLE = "<T_NEW_CATALOG>{}</T_NEW_CATALOG>"
UPDATE = '<T_UPDATE_PRODUCTS prev_version="{}">{}</T_UPDATE_PRODUCTS>'


def catalogue(title: str, follows: object = None) -> str:
    item = f'<item id="1"><name>{title}</name></item>'
    inner = WHOLE.format(item) if follows is None else UPDATE.format(follows, item)
    return f"<BMECAT>{inner}</BMECAT>"


class Supplier:
    """One job that reads what a supplier sends."""

    def __init__(self, folder: Path, store: StateStore | None, job: str = "j") -> None:
        self.folder, self.store, self.job = folder, store, job
        self.sink = MemorySink()

    async def sends(
        self, text: str, options: Options | None = None, **more: Any
    ) -> Report:
        place = written(self.folder, text)
        async with settings(place, complete=False, **more).open() as source:
            run = Sync(
                source,
                self.sink,
                options=options or Options(guard=NEVER_HELD),
                job=self.job,
                state=self.store,
            )
            return await run.run()

    async def is_refused(self, text: str, **more: Any) -> str:
        with pytest.raises(MisconfiguredError) as caught:
            await self.sends(text, **more)
        assert caught.value.setting == "after_version"
        return caught.value.problem

    @property
    def titles(self) -> list[str]:
        return [product.title for product in self.sink.products.values()]


async def test_updates_follow_each_other(tmp_path: Path) -> None:
    async with StateSettings().open() as store:
        supplier = Supplier(tmp_path, store)
        assert (await supplier.sends(catalogue("a"))).catalog_version == "0"
        assert (await supplier.sends(catalogue("b", 0))).catalog_version == "1"
        assert (await supplier.sends(catalogue("c", 1))).catalog_version == "2"
        again = await supplier.sends(catalogue("c", 1))  # the file is still there
        assert again.counts.unchanged == 1
        said = await supplier.is_refused(catalogue("d", 3))
        assert "(T_UPDATE_PRODUCTS) is an update for version 3, but this job" in said
        assert "applied version 2 last; read the update for version 2 first" in said
        assert said.endswith("set `after_version = 3` for one run")
        await supplier.is_refused(catalogue("d", 0))
        assert supplier.titles == ["c"]
        await supplier.sends(catalogue("d", 3), after_version=3)
        await supplier.sends(catalogue("e", 4))
        assert supplier.titles == ["e"]
        assert (await supplier.sends(catalogue("f"))).catalog_version == "0"
        await supplier.sends(catalogue("g", 0))


async def test_what_is_not_remembered(tmp_path: Path) -> None:
    update = catalogue("a", 42)
    said = await Supplier(tmp_path, None).is_refused(update)
    assert "the job needs a name and a state store; if version 42 was" in said
    async with StateSettings().open() as store:
        said = await Supplier(tmp_path, store, "").is_refused(update)
        assert "the job needs a name and a state store" in said
        other = Supplier(tmp_path, store, "other")
        await other.sends(update, after_version=42)
        supplier = Supplier(tmp_path, store)
        said = await supplier.is_refused(catalogue("a", 43))
        assert "has not applied any version yet; read the whole catalogue" in said
        assert "if version 43 was applied, set `after_version = 43`" in said
        assert (await other.sends(catalogue("b", 43))).catalog_version == "44"


async def test_an_update_that_waits_in_part_does_not_count(tmp_path: Path) -> None:
    """Otherwise the next update would supersede what waits, and it would be lost."""
    none = Budget(share=0, number=0)
    for guard in Budgets(titles=none, mode=Mode.WRITE_REST), Budgets(titles=none):
        async with StateSettings().open() as store:
            supplier = Supplier(tmp_path, store)
            await supplier.sends(catalogue("a"))
            held = await supplier.sends(catalogue("b", 0), Options(guard=guard))
            assert held.held is not None
            assert held.catalog_version == "0"
            said = await supplier.is_refused(catalogue("c", 1))
            assert "read the update for version 0 first" in said
            assert (await supplier.sends(catalogue("b", 0))).catalog_version == "1"


async def test_a_lane_applies_no_update(tmp_path: Path) -> None:
    async with StateSettings().open() as store:
        supplier = Supplier(tmp_path, store)
        await supplier.sends(catalogue("a"))
        lane = Options(only=frozenset({Field.TITLE}), guard=NEVER_HELD)
        assert (await supplier.sends(catalogue("b", 0), lane)).catalog_version == "0"


async def test_only_what_was_written_counts(tmp_path: Path) -> None:
    """A run of chosen products, a plan and a refused update apply no version."""
    async with StateSettings().open() as store:
        supplier = Supplier(tmp_path, store)
        whole, update = catalogue("a"), catalogue("b", 0)
        await supplier.sends(whole)
        part = await supplier.sends(update, Options(limit=1, guard=NEVER_HELD))
        assert part.catalog_version == "0"
        await supplier.is_refused(catalogue("c", 1))
        assert (await supplier.sends(update)).catalog_version == "1"


async def test_a_skipped_run_forgets_nothing(tmp_path: Path) -> None:
    skip = Options(skip_unchanged=True, guard=NEVER_HELD)
    async with StateSettings().open() as store:
        supplier = Supplier(tmp_path, store)
        await supplier.sends(catalogue("a"), skip)
        place = written(tmp_path, catalogue("a"))
        assert place.exists()
        skipped = await supplier.sends(catalogue("a"), skip)
        assert skipped.catalog_version == "0"
        await supplier.sends(catalogue("b", 0), skip)


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "²", "9" * 40])
async def test_a_version_that_is_no_number(tmp_path: Path, number: str) -> None:
    supplier = Supplier(tmp_path, None)
    with pytest.raises(MisconfiguredError, match="prev_version must be a number"):
        await supplier.sends(catalogue("a", number))
