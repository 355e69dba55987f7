"""Checks for your source, sink or state store: one test for each promise.

Each function turns an async generator that yields an open adapter into a test:

```python
@sink_promises
async def test_shelf(tmp_path):
    yield ShelfSink(tmp_path / "shelf.json")
```

The generator is called once for each promise, with the fixtures that it names. It yields
the adapter, or a `Setup` with more means to check it. Promises about an ability that the
adapter lacks are skipped as "not applicable".

Provisional: names and behaviour may change in any release.
"""

from __future__ import annotations

from collections.abc import Callable

from catalogsync.protocols import Sink, Source
from catalogsync.state.protocols import StateStore

from ._abilities import ABILITIES
from ._answers import register
from ._coordination import COORDINATION
from ._held import HELD
from ._image_memory import IMAGES
from ._promise import (
    NotApplicableError,
    Opener,
    Promise,
    PromiseNotKeptError,
    Result,
    Setup,
    Suite,
    example,
)
from ._sink_kit import SinkKit
from ._sinks import SINK
from ._sources import SOURCE, SourceKit
from ._state import STATE
from ._state_kit import StateKit

__all__ = [
    "SINK_SUITE",
    "SOURCE_SUITE",
    "STATE_SUITE",
    "NotApplicableError",
    "Promise",
    "PromiseNotKeptError",
    "Result",
    "Setup",
    "Suite",
    "example",
    "sink_promises",
    "source_promises",
    "state_promises",
]

SINK.extend(ABILITIES)
STATE.extend(COORDINATION)
STATE.extend(HELD)
STATE.extend(IMAGES)
register(SOURCE, SINK)

SOURCE_SUITE: Suite[Source, SourceKit] = Suite(SOURCE, SourceKit)
"""The promises of sources."""
SINK_SUITE: Suite[Sink, SinkKit] = Suite(SINK, SinkKit)
"""The promises of sinks."""
STATE_SUITE: Suite[StateStore, StateKit] = Suite(STATE, StateKit)
"""The promises of state stores."""


def source_promises(opener: Opener[Source]) -> Callable[..., None]:
    """A test with one case for each promise of a source.

    Args:
        opener: An async generator function that yields an open source, whose system has
            a few products and does not change by itself.
    """
    return SOURCE_SUITE.as_test(opener)


def sink_promises(opener: Opener[Sink]) -> Callable[..., None]:
    """A test with one case for each promise of a sink.

    The kit writes products under keys that nobody else uses, so the system need not be
    empty. It does not remove what it wrote.

    Args:
        opener: An async generator function that yields an open sink.
    """
    return SINK_SUITE.as_test(opener)


def state_promises(opener: Opener[StateStore]) -> Callable[..., None]:
    """A test with one case for each promise of a state store.

    Args:
        opener: An async generator function that yields an open, empty state store.
    """
    return STATE_SUITE.as_test(opener)
