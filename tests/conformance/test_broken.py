"""Each broken adapter is caught under the right name, and each promise can be broken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.conformance import (
    broken_answers,
    broken_sinks,
    broken_sources,
    broken_states,
)
from tests.conformance.adapters import memory_state

from catalogsync import Sink, Source
from catalogsync.state.protocols import StateStore
from catalogsync.testing.conformance import (
    SINK_SUITE,
    SOURCE_SUITE,
    STATE_SUITE,
    PromiseNotKeptError,
    Setup,
    Suite,
)


async def source(adapter: type[broken_sources.Pages]) -> AsyncIterator[Setup[Source]]:
    made = adapter()
    yield Setup(made, shift=made.shift)


async def sink(adapter: type[broken_sinks.Shelf]) -> AsyncIterator[Setup[Sink]]:
    yield Setup(adapter(), refused=broken_sinks.refused, secrets=["secret"])


async def state(adapter: broken_states.Break) -> AsyncIterator[StateStore]:
    async for store in memory_state():
        yield adapter(store)


CASES: list[tuple[str, str, Suite[Any, Any], Callable[..., Any], Any]] = [
    *(("source", n, SOURCE_SUITE, source, a) for n, a in broken_sources.BROKEN),
    *(("sink", n, SINK_SUITE, sink, a) for n, a in broken_sinks.BROKEN),
    *(("state", n, STATE_SUITE, state, a) for n, a in broken_states.BROKEN),
    *(
        ("source", n, SOURCE_SUITE, broken_answers.source, a)
        for n, a in broken_answers.BROKEN
    ),
    *(
        ("sink", n, SINK_SUITE, broken_answers.sink, a)
        for n, a in broken_answers.BROKEN
    ),
]


NAMES = [f"{kind}-{name}-{a.__name__}" for kind, name, _, _, a in CASES]


@pytest.mark.parametrize(
    ("kind", "name", "suite", "opener", "adapter"), CASES, ids=NAMES
)
async def test_caught(
    kind: str, name: str, suite: Suite[Any, Any], opener: Any, adapter: Any
) -> None:
    (promise,) = [each for each in suite.promises if each.name == name]
    with pytest.raises(PromiseNotKeptError) as caught:
        await suite.check(promise, opener, {"adapter": adapter})
    assert caught.value.promise.name == name, str(caught.value)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"broken promise: {name}"
    assert lines[1].strip() == promise.text
    assert f"mend: {promise.mend}" in lines
    assert lines[-1].endswith(f"adapters.md#{name}")


@pytest.mark.parametrize(
    ("kind", "suite"),
    [("source", SOURCE_SUITE), ("sink", SINK_SUITE), ("state", STATE_SUITE)],
)
def test_each_promise_can_be_broken(kind: str, suite: Suite[Any, Any]) -> None:
    names = {promise.name for promise in suite.promises}
    assert names == {name for which, name, *_ in CASES if which == kind}
    assert len(names) == len(suite.promises)


@pytest.mark.parametrize(
    ("suite", "opener", "adapter"),
    [
        (SOURCE_SUITE, source, broken_sources.Pages),
        (SINK_SUITE, sink, broken_sinks.Shelf),
        (SOURCE_SUITE, broken_answers.source, broken_answers.Asked),
        (SINK_SUITE, broken_answers.sink, broken_answers.Asked),
    ],
)
async def test_unspoiled(suite: Suite[Any, Any], opener: Any, adapter: Any) -> None:
    """What is spoiled above keeps every promise as it is."""

    async def opened() -> AsyncIterator[Any]:
        async for each in opener(adapter):
            yield each

    results = await suite.results(opened)
    assert [r for r in results if r.status == "broken"] == []
