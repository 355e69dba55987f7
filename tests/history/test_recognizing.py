"""Products that need no change are recognised, and nobody can tell.

The same story happens in two stores: one recognises products, the other compares all
of them every time. Reports and stores must be the same after each run, also if what
was kept is old, belongs to other products, or is lost in part.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

import attrs
import pytest
from hypothesis import example, given, settings
from tests import strategies  # noqa: F401 # pyright: ignore[reportUnusedImport] - settings of Hypothesis
from tests.conftest import FACTS

from catalogsync import Category, ProductKey, Report
from catalogsync.catalog.drafts import Unchanged
from catalogsync.testing.medusa import fake_medusa

from .story import Chapter, Event, stories
from .test_over_time import empty_world
from .world import Kept, Memory, kept

_ID = re.compile(r"\b[a-z]+_[0-9A-Za-z]{20,}\b")
_DIGESTS_OF_IDS = re.compile(r'"(categories|tags)":\[[^\]]*\]')
_CATEGORIES = "/admin/product-categories?limit=1000&fields=id,name"
_MEASURED = {
    *("run_id", "requests", "started_at", "duration_s", "phases", "latency"),
    *("bytes_sent", "bytes_received", "summary", "products_per_second"),
    *("batch_sizes", "retries"),
}


def nothing(_: Kept) -> Kept:
    return {}


def the_first() -> Memory:
    """What was kept first, for ever."""
    first: dict[ProductKey, Unchanged] = {}

    def memory(found: Kept) -> Kept:
        for key, each in found.items():
            first.setdefault(key, each)
        return {key: first[key] for key in found}

    return memory


def anothers() -> Memory:
    """Each product gets what was kept of the next one."""

    def memory(found: Kept) -> Kept:
        keys = [*found]
        return dict(
            zip(keys, [*list(found.values())[1:], *found.values()], strict=False)
        )

    return memory


def garbled() -> Memory:
    """The half that says what the sink has is wrong for every other product."""

    def memory(found: Kept) -> Kept:
        return {
            key: attrs.evolve(each, row="x") if number % 2 else each
            for number, (key, each) in enumerate(found.items())
        }

    return memory


def mislabelled() -> Memory:
    """All products have the tags and the category of nobody."""
    nobody = Category(id="nobody", name="Nobody")

    def memory(found: Kept) -> Kept:
        return {
            key: attrs.evolve(
                each,
                outline=attrs.evolve(
                    each.outline, categories=(nobody,), tags=("wrong",)
                ),
            )
            for key, each in found.items()
        }

    return memory


def intact() -> Memory:
    return kept


def told(report: Report) -> Any:
    tree = {n: v for n, v in report.to_dict().items() if n not in _MEASURED}
    tree["writes"] = report.writes > 0  # how often depends on who comes first
    return json.loads(_ID.sub("ID", json.dumps(tree)))


def _anonymous(rows: Any) -> Any:
    """Rows in an order that does not depend on ids, and without these."""
    if isinstance(rows, dict):
        items = cast("dict[str, Any]", rows).items()
        return {name: _anonymous(each) for name, each in items}
    if isinstance(rows, list):
        return sorted(map(_anonymous, cast("list[Any]", rows)), key=json.dumps)
    if isinstance(rows, str):
        return _DIGESTS_OF_IDS.sub("IDS", _ID.sub("ID", rows))
    return rows


async def _lived(story: Sequence[Chapter], memory: Memory) -> list[Any]:
    """All reports, and the store at the end."""
    async with fake_medusa() as fake:
        facts = {name: getattr(fake, name) for name in FACTS}
        async with empty_world(facts, memory) as place:
            await place.live(story)
            rows = await place.rows()
            categories = await place.medusa.get(_CATEGORIES)
            names = sorted(each["name"] for each in categories["product_categories"])
            return [*map(told, place.reports), _anonymous(rows), names]


def _undisturbed(story: Sequence[Chapter]) -> list[Chapter]:
    """Faults hit the requests of two stores at different moments."""
    broken = {"broken_run": "run", "killed_run": "run_keep"}
    return [
        attrs.evolve(
            chapter,
            run=attrs.evolve(
                chapter.run, what=broken.get(chapter.run.what, chapter.run.what)
            ),
        )
        for chapter in story
    ]


@pytest.mark.parametrize("memory", [intact, the_first, anothers, garbled, mislabelled])
@settings(max_examples=25, deadline=None)
@given(story=stories(families=2))
@example([Chapter([[Event("rename_category")]], Event("run"))])
@example([Chapter([[Event("other_stock"), Event("new_title", 1)]], Event("run_keep"))])
def test_nobody_can_tell(memory: Callable[[], Memory], story: list[Chapter]) -> None:
    story = _undisturbed(story)
    with_it = asyncio.run(_lived(story, memory()))
    without = asyncio.run(_lived(story, nothing))
    assert with_it == without
