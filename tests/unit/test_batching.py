from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from catalogsync import batcher
from catalogsync.batching import batched

items = st.lists(st.integers(0, 50), max_size=60)
sizes = st.integers(1, 10)


def identity(item: int) -> int:
    return item


@given(items, sizes)
def test_by_count(items: list[int], size: int) -> None:
    batches = list(batched(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(1 <= len(batch) <= size for batch in batches)


@given(items, sizes, st.integers(1, 60))
def test_by_weight(items: list[int], size: int, weight: int) -> None:
    batches = list(batched(items, size, weight=weight, weigh=identity))
    assert [item for batch in batches for item in batch] == items
    for batch in batches:
        assert 1 <= len(batch) <= size
        assert sum(batch) <= weight or len(batch) == 1
    for batch, following in itertools.pairwise(batches):
        full = len(batch) == size
        assert full or sum(batch) + following[0] > weight


@given(items, sizes, st.integers(1, 60))
def test_fed_by_hand_gives_the_same(items: list[int], size: int, weight: int) -> None:
    collect = batcher(size, weight=weight, weigh=identity)
    assert next(collect) is None
    batches = [collect.send(item) for item in items]
    batches.append(collect.send(None))
    assert collect.send(None) is None
    assert [batch for batch in batches if batch is not None] == list(
        batched(items, size, weight=weight, weigh=identity)
    )


def test_continues_after_it_was_emptied() -> None:
    collect = batcher(2)
    next(collect)
    assert collect.send("a") is None
    assert collect.send(None) == ["a"]
    assert collect.send("b") is None
    assert collect.send("c") == ["b", "c"]
    assert collect.send(None) is None


def test_a_heavy_item_travels_alone() -> None:
    assert list(batched([1, 99, 1, 1], 10, weight=3, weigh=identity)) == [
        [1],
        [99],
        [1, 1],
    ]


def test_weighs_each_item_once() -> None:
    weighed: list[int] = []

    def weigh(item: int) -> int:
        weighed.append(item)
        return item

    list(batched([3, 1, 2], 2, weight=3, weigh=weigh))
    assert weighed == [3, 1, 2]


def test_reads_no_more_than_a_batch_needs() -> None:
    source = iter(range(100))
    batches = batched(source, 3)
    assert next(batches) == [0, 1, 2]
    assert next(source) == 3


def test_default_is_15() -> None:
    assert [len(batch) for batch in batched(range(31))] == [15, 15, 1]


def test_nothing_gives_no_batch() -> None:
    assert list(batched([])) == []


def test_batches_are_not_shared() -> None:
    batches = batched([1, 2], 1)
    next(batches).append(99)
    assert next(batches) == [2]


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": 0},
        {"size": -1},
        {"weight": 0, "weigh": identity},
        {"weight": 5},
        {"weigh": identity},
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="weigh"):
        batcher(**arguments)  # type: ignore[arg-type,type-var]
