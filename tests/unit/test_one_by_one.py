"""`one_by_one`: an answer for each change, and what ends the call."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from catalogsync import (
    BatchRefusedError,
    Create,
    MemorySink,
    Outcome,
    OutcomeStatus,
    Product,
    ProductKey,
    RefusedError,
    TransientError,
    UnauthorizedError,
    as_source,
    one_by_one,
    sync,
)
from catalogsync.catalog.changes import Write
from catalogsync.catalog.outcomes import Again


def key(number: int) -> ProductKey:
    return ProductKey("shop", f"{number}")


def creations(count: int) -> list[Create]:
    products = [Product(key=key(n), title=f"Cup {n}") for n in range(count)]
    return [Create(product=p, fields=frozenset(), last_applied="") for p in products]


@given(ends=st.lists(st.sampled_from("drt"), max_size=12), at_once=st.integers(1, 4))
async def test_each_change_has_its_own_answer(ends: list[str], at_once: int) -> None:
    """In order, and with no more calls in flight than allowed."""
    in_flight, most = 0, 0

    async def write_one(change: Create) -> None:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        match ends[int(change.key.id)]:
            case "r":
                raise RefusedError("no price", said="HTTP 422")
            case "t":
                raise TransientError("busy")

    changes = creations(len(ends))
    answers = await one_by_one(write_one, changes, at_once=at_once)
    assert [answer.key for answer in answers] == [change.key for change in changes]
    assert most == min(at_once, len(ends))
    for end, answer in zip(ends, answers, strict=True):
        match answer:
            case Again():
                assert end == "t"
                assert str(answer.error) == "busy"
            case Outcome(status=OutcomeStatus.FAILED):
                assert end == "r"
                assert (answer.reason, answer.said) == ("no price", "HTTP 422")
            case _:
                assert (end, answer.status) == ("d", OutcomeStatus.CREATED)


async def test_the_holder_of_a_value_is_passed_on() -> None:
    async def write_one(change: Create) -> None:
        reason = {change.key: "SKU A is taken"}
        holders = {change.key: key(9)}
        raise BatchRefusedError("refused", culprits=reason, holders=holders)

    (answer,) = await one_by_one(write_one, creations(1))
    assert isinstance(answer, Outcome)
    assert (answer.reason, answer.holder) == ("SKU A is taken", key(9))


async def test_an_error_for_all_ends_the_call() -> None:
    begun: list[str] = []

    async def write_one(change: Create) -> None:
        begun.append(change.key.id)
        await asyncio.sleep(0)
        message = "the token has expired"
        raise UnauthorizedError(message)

    with pytest.raises(UnauthorizedError, match="has expired"):
        await one_by_one(write_one, creations(5))
    assert begun == ["0"]


async def test_in_a_run() -> None:
    """One product is refused, one needs a second try, and all others are written."""
    busy = {"3"}

    class Shelf(MemorySink):
        async def write(self, changes: Sequence[Write], /) -> Sequence[Outcome | Again]:  # type: ignore[override]
            return await one_by_one(self.write_one, changes, at_once=3)

        async def write_one(self, change: Write) -> None:
            if change.key.id == "2":
                raise RefusedError("no teapots")
            if change.key.id in busy:
                busy.clear()
                raise TransientError("busy", retry_after=0)
            await MemorySink.write(self, [change])

    shelf = Shelf()
    report = await sync(as_source([c.product for c in creations(6)]), shelf)
    assert (report.counts.created, report.counts.failed) == (5, 1)
    assert len(shelf.products) == 5
