"""A store over the years: any story of edits, people, broken runs and whole ones.

After each whole run the store has what the source supplies, others' additions are
still there, the next run writes nothing, and no product is stuck.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from hypothesis import HealthCheck, example, given, note, settings, strategies as st
from tests import strategies  # noqa: F401 # pyright: ignore[reportUnusedImport] - settings of Hypothesis
from tests.conftest import FACTS, Medusa
from tests.real import real_is_desired

from catalogsync.testing.medusa import fake_medusa

from .story import Chapter, Event, stories
from .world import Memory, World, kept, world

if TYPE_CHECKING:
    from tests.conftest import RealStore


@asynccontextmanager
async def empty_world(
    facts: dict[str, str], memory: Memory = kept, seed: int | None = None
) -> AsyncGenerator[World]:
    """An empty store, its people, and our way to it."""
    async with aiohttp.ClientSession(facts["url"]) as session:
        medusa = Medusa(facts, session)
        login = {"email": medusa.email, "password": medusa.password}
        token = (await medusa.post("/auth/user/emailpass", login))["token"]
        session.headers["Authorization"] = f"Bearer {token}"
        async with world(medusa, memory, seed) as place:
            yield place


async def tell(
    facts: dict[str, str], story: Sequence[Chapter], seed: int | None = None
) -> None:
    """Let a story happen in an empty store."""
    async with empty_world(facts, seed=seed) as place:
        try:
            await place.live(story)
        except BaseException:
            note("\n".join(place.told))
            raise


async def _on_a_fake(story: Sequence[Chapter], seed: int | None = None) -> None:
    async with fake_medusa() as fake:
        await tell({name: getattr(fake, name) for name in FACTS}, story, seed)


# A run that may not write variants comes after one that never finished writing some.
_UNFINISHED = [
    Chapter([[Event("make_sized")]], Event("broken_run")),
    Chapter([], Event("run_owns", 0, 2)),
    Chapter([], Event("run_keep")),
]


@settings(max_examples=300, deadline=None)
@given(stories())
@example([Chapter([[Event("their_option", 2), Event("add_variant", 2)]], Event("run"))])
@example([Chapter([[Event("add_variant", 2)]], Event("run_owns", 2, 0))])
@example([Chapter([[Event("delete_item")]], Event("run_owns", 0, 2))])
@example(
    [
        Chapter(
            [
                [
                    Event("swap_barcodes", 5, 2),
                    Event("make_simple"),
                    Event("new_variant_ids", 7),
                ]
            ],
            Event("run_owns", 0, 1),
        ),
        Chapter([], Event("run")),
    ]
)
@example(
    [
        Chapter([[Event("make_grid")]], Event("run")),
        Chapter([[Event("make_sized"), Event("their_option")]], Event("run_owns", 1)),
        Chapter([], Event("run")),
    ]
)
@example(_UNFINISHED)
def test_any_story_on_the_fake(story: list[Chapter]) -> None:
    asyncio.run(_on_a_fake(story))


# An update moved an inventory item between two looks at it by another update.
_ROTATED = [
    Event("delete_variant", 0, 6),
    Event("rotate_skus", 7, 2),
    Event("swap_barcodes", 1, 4),
]
_ROTATIONS = [Chapter([_ROTATED], Event("run_prune"))] * 2


@settings(max_examples=20, deadline=None)
@given(stories(), st.integers(0, 1000))
@example(_ROTATIONS, 1)
@example(_ROTATIONS, 2)
def test_any_story_on_a_slow_line(story: list[Chapter], seed: int) -> None:
    """Requests that are in flight together arrive in any order."""
    asyncio.run(_on_a_fake(story, seed))


if real_is_desired():

    @pytest.mark.patient
    @settings(
        max_examples=10,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(story=stories(families=20))
    def test_any_story_on_the_real(real_store: RealStore, story: list[Chapter]) -> None:
        """Ten examples with twenty families each: two hundred stories."""
        real_store.do("empty")
        asyncio.run(tell(real_store.facts, story))
