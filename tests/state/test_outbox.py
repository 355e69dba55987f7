"""The outbox of every kind of state store."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from catalogsync.catalog.outcomes import OutcomeStatus
from catalogsync.catalog.products import ProductKey
from catalogsync.state import (
    GivenUp,
    HasOutbox,
    Outbox,
    StateSettings,
    StateStore,
    WrittenProduct,
)

ODD = ["a", "\\x00", "Füße", "\U0001f45f", "a" * 9000, '"', "[]"]


@pytest.fixture
def outbox(store: StateStore) -> Outbox:
    assert isinstance(store, HasOutbox)
    return store.outbox


def written(id_: str, status: str = "updated", **more: str) -> WrittenProduct:
    return WrittenProduct(
        key=ProductKey("pim", id_),
        status=OutcomeStatus(status),
        fields=("title", f"variants[{id_[:9]}].sku"),
        **{"handle": f"h-{id_}\x00", "sink_id": id_, **more},
    )


async def test_unconfirmed_products_come_back(outbox: Outbox) -> None:
    products = [written(id_) for id_ in ODD]
    await outbox.put_unconfirmed("j", "shop", products)
    await outbox.put_unconfirmed("k", "shop", [written("a")])
    found = await outbox.unconfirmed("j", "shop")
    assert {p.key: p for p in found} == {p.key: p for p in products}
    created = attrs.evolve(written("a"), status=OutcomeStatus.CREATED, fields=())
    await outbox.put_unconfirmed("j", "shop", [created])
    await outbox.drop_unconfirmed("j", "shop", [p.key for p in products[1:]])
    assert await outbox.unconfirmed("j", "shop") == [created]
    assert await outbox.unconfirmed("j", "another shop") == []
    assert await outbox.unconfirmed("k", "shop") == [written("a")]


async def test_confirmed_products_are_packed_once_in_order(outbox: Outbox) -> None:
    products = [written(id_) for id_ in ODD]
    await outbox.put_unconfirmed("j", "shop", products)
    await outbox.confirm("j", "shop", products)
    assert await outbox.unconfirmed("j", "shop") == []
    assert await outbox.pack("j", ["x", "y"], most=100, least=8) == 0
    assert await outbox.pack("j", ["x", "y"], most=3) == 6
    assert await outbox.pack("j", ["x", "y"], most=3) == 0
    messages = [m for m in await outbox.messages("j") if m.receiver == "x"]
    assert [len(m.products) for m in messages] == [3, 3, 1]
    assert [p for m in messages for p in m.products] == products
    assert await outbox.messages("k") == []


async def test_a_full_message_does_not_wait_for_the_rest(outbox: Outbox) -> None:
    await outbox.confirm("j", "shop", [written(f"{n}") for n in range(25)])
    assert await outbox.pack("j", ["x"], most=10, least=10) == 2
    assert await outbox.pack("j", ["x"], most=10) == 1


async def test_a_message_is_taken_by_one_until_it_is_due_again(outbox: Outbox) -> None:
    await outbox.confirm("j", "shop", [written("a"), written("b")])
    await outbox.pack("j", ["x"], most=1)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(outbox.take("j", "x", hold=60)) for _ in range(5)]
    taken = [m for task in tasks if (m := task.result()) is not None]
    assert len({m.id for m in taken}) == len(taken) == 2
    first = min(taken, key=lambda m: m.products[0].key.id)
    await outbox.postpone(first.id, wait=-1, problem="HTTP 500")
    again = await outbox.take("j", "x", hold=60)
    assert again == attrs.evolve(first, attempts=1, problem="HTTP 500")
    await outbox.delivered(first.id)
    assert [m.id for m in await outbox.messages("j")] == [
        m.id for m in taken if m != first
    ]


async def test_messages_are_given_up_by_age_or_one_by_one(outbox: Outbox) -> None:
    await outbox.confirm("j", "shop", [written(id_) for id_ in "abc"])
    await outbox.pack("j", ["x", "y"], most=1)
    assert await outbox.give_up("j", "x", age=3600, problem="down") == 0
    first = (await outbox.messages("j"))[0]
    one = {"problem": "bad", "only": first.id}
    assert await outbox.give_up("j", first.receiver, age=0, **one) == 1
    assert len(await outbox.messages("j")) == 5
    assert await outbox.give_up("j", "y", age=0, problem="down") == 3
    assert await outbox.take_given_up("k") == []
    assert await outbox.take_given_up("j") == [
        GivenUp(receiver="x", messages=1, products=1, problem="bad"),
        GivenUp(receiver="y", messages=3, products=3, problem="down"),
    ]
    assert await outbox.take_given_up("j") == []


async def test_messages_outlive_the_process(url: str) -> None:
    ids: list[list[str]] = []
    for _ in range(2):
        async with StateSettings(url=url).open() as store:
            assert isinstance(store, HasOutbox)
            if not ids:
                await store.outbox.confirm("j", "shop", [written("a")])
                await store.outbox.pack("j", ["x"], most=9)
            ids.append([m.id for m in await store.outbox.messages("j")])
    assert ids[0] == ids[1]
    assert len(ids[0]) == 1
