"""What only the fake Medusa can do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from catalogsync.testing.faults import FaultPlan, lost, status
from catalogsync.testing.medusa import FakeMedusa, fake_medusa

from .medusa_bodies import product, shirt, variant

BATCH = "/admin/products/batch?fields=handle"


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def plan() -> FaultPlan:
    return FaultPlan()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def fake(plan: FaultPlan, clock: Clock) -> AsyncIterator[FakeMedusa]:
    async with fake_medusa(faults=plan, clock=clock, token_lifetime=60) as server:
        yield server


@pytest.fixture
async def client(fake: FakeMedusa) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Basic {fake.api_key}"}
    async with aiohttp.ClientSession(fake.url, headers=headers) as session:
        yield session


async def post(client: aiohttp.ClientSession, path: str, body: object) -> int:
    async with client.post(path, json=body) as answer:
        await answer.read()
        return answer.status


async def token(client: aiohttp.ClientSession, fake: FakeMedusa) -> dict[str, str]:
    login = {"email": fake.email, "password": fake.password}
    async with client.post("/auth/user/emailpass", json=login) as answer:
        return {"Authorization": f"Bearer {(await answer.json())['token']}"}


async def get(client: aiohttp.ClientSession, path: str, **options: Any) -> int:
    async with client.get(path, **options) as answer:
        return answer.status


async def test_a_test_can_look_at_what_is_existing(
    fake: FakeMedusa, client: aiohttp.ClientSession
) -> None:
    await post(client, BATCH, {"create": [product("a"), shirt()]})
    assert len(fake.products) == 2
    found = fake.product(external_id="src:a")
    assert found["variants"][0]["prices"][0]["amount"] == 9.99
    fake.state.clear()
    assert fake.products == []
    assert await post(client, BATCH, {"create": [product("a")]}) == 200


async def test_requests_are_noted(
    fake: FakeMedusa, client: aiohttp.ClientSession
) -> None:
    await get(client, "/admin/products?limit=1")
    await post(client, BATCH, {"create": [{}]})
    await token(client, fake)
    noted = [(r.method, r.path, r.status) for r in fake.requests]
    assert noted == [
        ("GET", "/admin/products", 200),
        ("POST", "/admin/products/batch", 400),
        ("POST", "/auth/user/emailpass", 200),
    ]
    assert fake.requests[0].query == "limit=1"
    assert [request.status for request in fake.writes] == [400]


async def test_tokens_end(
    fake: FakeMedusa, client: aiohttp.ClientSession, clock: Clock
) -> None:
    headers = await token(client, fake)
    assert await get(client, "/admin/products", headers=headers) == 200
    clock.now += 61
    assert await get(client, "/admin/products", headers=headers) == 401
    headers = await token(client, fake)
    fake.forget_tokens()
    assert await get(client, "/admin/products", headers=headers) == 401


async def test_a_key_can_be_revoked(
    fake: FakeMedusa, client: aiohttp.ClientSession
) -> None:
    fake.revoke_key()
    assert await get(client, "/admin/products") == 401


async def test_a_lost_answer_has_done_its_work(
    fake: FakeMedusa, client: aiohttp.ClientSession, plan: FaultPlan
) -> None:
    plan.add(lost("POST", "/admin/products/batch", on=1))
    with pytest.raises(aiohttp.ClientConnectionError):
        await post(client, BATCH, {"create": [product("a")]})
    assert len(fake.writes) == 1
    assert await post(client, BATCH, {"create": [product("a")]}) == 400
    plan.add(status(503, "POST"))
    assert await post(client, BATCH, {"create": [product("b")]}) == 503
    assert [row["handle"] for row in fake.products] == ["a"]


@pytest.mark.parametrize(
    ("stage", "variants", "items", "linked"),
    [("alone", 0, 0, 0), ("product", 0, 0, 0), ("variants", 4, 0, 0), ("items", 4, 4, 0), ("links", 4, 4, 4)],
)  # fmt: skip
async def test_a_create_can_be_interrupted(
    fake: FakeMedusa,
    client: aiohttp.ClientSession,
    stage: Any,
    variants: int,
    items: int,
    linked: int,
) -> None:
    await post(client, BATCH, {"create": [shirt()]})
    made = fake.product(handle="shirt")
    fake.interrupt(made, stage)
    assert len(made["variants"]) == variants
    assert len(fake.state.items) == items
    assert sum(len(item["inventory_items"]) for item in made["variants"]) == linked
    assert not any("prices" in item for item in made["variants"])
    fields = "variants.prices.amount,variants.inventory_items.inventory_item_id"
    async with client.get(f"/admin/products?fields={fields}") as answer:
        (shown,) = (await answer.json())["products"]
    assert not any("prices" in item for item in shown["variants"])
    again = product("b", variants=[variant("shirt-red-s", Size="S")])
    assert await post(client, BATCH, {"create": [again]}) == (
        200 if items == variants == 0 else 400
    )


async def test_the_same_seed_gives_the_same_ids(clock: Clock) -> None:
    ids: list[str] = []
    for _ in range(2):
        async with fake_medusa(clock=clock, seed=3) as server:
            ids.append(server.sales_channel_id)
    assert ids[0] == ids[1]
