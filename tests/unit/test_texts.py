"""Words for numbers, durations and order."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from catalogsync._lib.texts import about, counted, duration, natural


def test_counted() -> None:
    assert [counted(n, "write") for n in (0, 1, 2)] == [
        "0 writes",
        "1 write",
        "2 writes",
    ]
    assert counted(1, "batch", "batches") == "1 batch"
    assert counted(2, "batch", "batches") == "2 batches"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (0.00012, "0.01 s"),
        (0.25, "0.25 s"),
        (6.344, "6.34 s"),
        (99.99, "99.99 s"),
        (99.999, "1 min 40 s"),
        (3599.7, "1 h 0 min"),
        (90_061, "25 h 1 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_about() -> None:
    assert [about(s) for s in (0.2, 4, 125.5)] == ["1 s", "4 s", "2 min 6 s"]


def test_natural() -> None:
    ids = ["x:101", "x:10", "x:9", "x:09", "x:a10b2", "x:a10b10", "x:a9", "w:500", "x:"]
    assert sorted(ids, key=natural) == [
        *("w:500", "x:", "x:09", "x:9", "x:10", "x:101"),
        *("x:a9", "x:a10b2", "x:a10b10"),
    ]


@given(st.lists(st.integers(min_value=0).map(lambda n: f"s:{n}")))
def test_numbers_are_in_the_order_of_numbers(keys: list[str]) -> None:
    by_number = sorted(keys, key=lambda key: int(key.removeprefix("s:")))
    assert sorted(keys, key=natural) == by_number


@given(st.text(), st.text())
def test_any_two_texts_have_an_order(one: str, other: str) -> None:
    assert (natural(one) == natural(other)) == (one == other)
    assert (natural(one) < natural(other)) != (natural(other) <= natural(one))
