"""A job with a database as its sink, and a state store."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import attrs
import pytest

from catalogsync import (
    Options,
    Product,
    Prune,
    Report,
    RetryPolicy,
    StateSettings,
    Sync,
    as_source,
)
from catalogsync.adapters.sql import SQLSettings
from catalogsync.events import Event, EventHook
from catalogsync.protocols import Sink
from catalogsync.state.protocols import StateStore

RETRY = RetryPolicy(attempts=2, wait_initial=0, wait_jitter=0)
OPTIONS = Options(prune=Prune.DELETE, grace=0, retry=RETRY)


@attrs.define
class Shop:
    """Runs of one job.

    Attributes:
        options: Options of the next runs.
        events: The events of all runs.
        hooks: Called with the events of the next runs.
    """

    sink: Sink
    state: StateStore
    options: Options = OPTIONS
    events: list[Event] = attrs.field(factory=list[Event])
    hooks: list[EventHook] = attrs.field(factory=list[EventHook])

    def sync(self, products: Sequence[Product]) -> Sync:
        return Sync(
            as_source(products, name="shop"),
            self.sink,
            options=self.options,
            job="nightly",
            state=self.state,
            hooks=[self.events.append, *self.hooks],
        )

    async def run(self, products: Sequence[Product]) -> Report:
        return await self.sync(products).run()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncGenerator[Shop]:
    sink = SQLSettings(url=f"sqlite:///{tmp_path / 'shop.db'}")
    async with sink.open() as open_sink, StateSettings().open() as state:
        yield Shop(open_sink, state)
