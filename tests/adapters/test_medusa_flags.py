"""Medusa's feature flags, on the fake and on a real store that has them on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import Any, Protocol
from uuid import uuid4

import aiohttp
import attrs
import pytest
from aiohttp import web
from tests.conftest import Medusa, RealStore
from tests.real import real_is_desired

from catalogsync import (
    BrokenReplyError,
    Conflict,
    Existing,
    Image,
    MisconfiguredError,
    Options,
    Price,
    Product,
    ProductKey,
    Report,
    RetryPolicy,
    RunStatus,
    StockLevel,
    UnauthorizedError,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings
from catalogsync.adapters.medusa.client import ApiKey, MedusaClient
from catalogsync.adapters.medusa.server import find_version, read_flags
from catalogsync.diff.compare import supplied
from catalogsync.http._client import HttpOptions, base_url, open_http
from catalogsync.testing import fake_medusa
from catalogsync.testing.medusa import FakeMedusa
from catalogsync.testing.servers import serve

FLAGS = ("caching", "rbac", "rbac_filter_fields", "translation")
FAST = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0))
NEEDED = (
    *("inventory_item", "inventory_level", "price", "product", "product_category"),
    *("product_option", "product_option_value", "product_tag", "product_variant"),
    *("sales_channel", "shipping_profile"),
)
HIDDEN = {
    "inventory_item:read": "variants[0].inventory_items.inventory",
    "price:read": "variants[0].prices",
    "shipping_profile:read": "shipping_profile",
}
"""Keys that are also absent if there is no related row; checked in reverse order."""
MISSED = {
    "inventory_level:read": "location_levels",
    "product_tag:read": "tags",
    "product_option:read": "option",
    "product_variant:read": "variants",
}
PASSWORD = "secret of a limited user"


class Shop(Protocol):
    """A store with feature flags."""

    @property
    def url(self) -> str:
        """Its address."""
        ...

    def full(self) -> MedusaSettings:
        """For a user who may do everything."""
        ...

    async def limited(self, *denied: str) -> MedusaSettings:
        """For a user whose role lacks some permissions."""
        ...

    async def deny(self, permission: str) -> None:
        """Take a permission from that role."""
        ...


@attrs.define
class FakeShop:
    """The fake, whose only user has the role."""

    fake: FakeMedusa

    @property
    def url(self) -> str:
        return self.fake.url

    def full(self) -> MedusaSettings:
        self.fake.state.denied.clear()
        return MedusaSettings(
            url=self.url, email=self.fake.email, password=self.fake.password
        )

    async def limited(self, *denied: str) -> MedusaSettings:
        settings = self.full()
        self.fake.state.denied |= {*denied}
        return settings

    async def deny(self, permission: str) -> None:
        self.fake.state.denied.add(permission)


@attrs.define
class RealShop:
    """A real store, where a person gives roles to users."""

    medusa: Medusa
    role: str = ""

    @property
    def url(self) -> str:
        return self.medusa.url

    def full(self) -> MedusaSettings:
        return MedusaSettings(
            url=self.url, email=self.medusa.email, password=self.medusa.password
        )

    async def limited(self, *denied: str) -> MedusaSettings:
        email = f"{uuid4()}@example.com"
        invite = await self.medusa.post("/admin/invites", {"email": email})
        login = {"email": email, "password": PASSWORD}
        token = await self.medusa.post("/auth/user/emailpass/register", login)
        status, accepted = await self.medusa.ask(
            "POST",
            f"/admin/invites/accept?token={invite['invite']['token']}",
            {"email": email, "first_name": "Some", "last_name": "Body"},
            headers={"Authorization": f"Bearer {token['token']}"},
        )
        assert status == 200, accepted
        allowed = await self._policies()
        ids = [id_ for name, id_ in allowed.items() if name not in denied]
        role = await self.medusa.post(
            "/admin/rbac/roles", {"name": email, "policy_ids": ids}
        )
        self.role = f"/admin/rbac/roles/{role['role']['id']}"
        users = {"users": [accepted["user"]["id"]]}
        await self.medusa.post(f"{self.role}/users", users)
        return MedusaSettings(url=self.url, email=email, password=PASSWORD)

    async def deny(self, permission: str) -> None:
        id_ = (await self._policies())[permission]
        status, body = await self.medusa.ask("DELETE", f"{self.role}/policies/{id_}")
        assert status == 200, body

    async def _policies(self) -> dict[str, str]:
        found = await self.medusa.get("/admin/rbac/policies?limit=1000")
        return {
            policy["key"]: policy["id"]
            for policy in found["policies"]
            if policy["resource"] in {*NEEDED, "stock_location", "store"}
        }


@pytest.fixture(scope="module")
def flagged_store(real_store: RealStore) -> Iterator[RealStore]:
    """The real store, with feature flags for the tests of this file."""
    real_store.do("boot", flags=FLAGS)
    yield real_store
    real_store.do("boot", flags=[])


@pytest.fixture(params=["fake", "real"] if real_is_desired() else ["fake"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    """An empty store with feature flags, fake or real."""
    async with AsyncExitStack() as stack:
        if request.param == "fake":
            fake = await stack.enter_async_context(fake_medusa(flags=FLAGS))
            yield FakeShop(fake)
            return
        store: RealStore = request.getfixturevalue("flagged_store")
        store.do("empty")
        session = aiohttp.ClientSession(store.facts["url"])
        medusa = Medusa(store.facts, await stack.enter_async_context(session))
        await medusa.log_in()  # not with a token from before the flags
        yield RealShop(medusa)


def product(number: int = 1, **values: Any) -> Product:
    """A product with something of everything."""
    variant = Variant(
        id="v",
        sku=f"sku-{number}",
        options={"Size": "S"},
        prices=[Price(amount=Decimal("9.90"), currency="USD")],
        stock=[StockLevel(quantity=5)],
    )
    values = {
        "title": "Lamp",
        "variants": [variant],
        "images": [Image(url="https://example.com/lamp.png")],
        "tags": ["light"],
        **values,
    }
    return Product(key=ProductKey("flags", str(number)), **values)


async def run(settings: MedusaSettings, products: Sequence[Product]) -> Report:
    async with settings.open() as sink:
        return await sync(as_source(products), sink, options=FAST)


async def test_a_store_with_roles_caches_and_translations_is_kept_in_step(
    shop: Shop,
) -> None:
    """Also in one visit, where a cache would show what was there before."""
    products = [product(1), product(2)]
    async with shop.full().open() as sink:
        for stage in ("created", "unchanged", "updated", "unchanged"):
            if stage == "updated":
                products = [product(1, title="Torch"), product(2)]
            report = await sync(as_source(products), sink, options=FAST)
            assert report.status is RunStatus.SUCCEEDED, report
            counts = report.counts
            expected = {"created": (2, 0, 0), "unchanged": (0, 0, 2)}
            assert (counts.created, counts.updated, counts.unchanged) == expected.get(
                stage, (0, 1, 1)
            )


async def test_a_role_that_may_not_read_something_is_refused(shop: Shop) -> None:
    settings, denied = await shop.limited(), list[str]()
    async with settings.open():
        pass
    for name in NEEDED:
        await shop.deny(f"{name}:read")
        denied.append(f"{name}:read")
        with pytest.raises(MisconfiguredError) as caught:
            await run(settings, [product()])
        assert caught.value.setting == "email"
        assert f"this user lacks {', '.join(denied)}, and" in caught.value.problem


async def test_what_a_role_may_not_read_any_more_is_not_taken_for_none(
    shop: Shop,
) -> None:
    desired = product()
    await run(shop.full(), [desired])
    async with (await shop.limited()).open() as sink:
        existing = await sink.find([desired], fields=supplied(desired))
        assert isinstance(existing[desired.key], Existing)
        for permission, place in HIDDEN.items():
            await shop.deny(permission)
            existing = await sink.find([desired], fields=supplied(desired))
            found = existing[desired.key]
            assert isinstance(found, Conflict)
            assert f"the server left out {place};" in found.reason


async def test_lists_that_a_role_may_not_read_any_more_are_missed(shop: Shop) -> None:
    desired = product()
    await run(shop.full(), [desired])
    async with (await shop.limited()).open() as sink:
        places: list[str] = []
        for permission, place in MISSED.items():
            await shop.deny(permission)
            places.append(place)
            said = f"({'|'.join(places)}): is missing"
            with pytest.raises(BrokenReplyError, match=said):
                await sink.find([desired], fields=supplied(desired))


async def test_a_role_that_loses_prices_midway_loses_no_price(shop: Shop) -> None:
    await run(shop.full(), [product()])
    dearer = product(title="Dearer")
    async with (await shop.limited()).open() as sink:
        await shop.deny("price:read")
        report = await sync(as_source([dearer]), sink, options=FAST)
    assert report.counts.failed == 1
    async with shop.full().open() as sink:
        existing = await sink.find([dearer], fields=supplied(dearer))
    found = existing[dearer.key]
    assert isinstance(found, Existing)
    assert found.product.title == "Lamp"
    assert found.product.variants == product().variants


async def test_a_role_that_may_not_write_stops_the_run_with_medusas_reason(
    shop: Shop,
) -> None:
    settings = await shop.limited("product:create")
    async with settings.open() as sink:
        report = await sync(as_source([product()]), sink, options=FAST)
    assert report.status is RunStatus.FAILED
    assert "Required policies: product:create" in str(report)


async def test_a_role_that_may_not_see_the_store_gets_an_error(shop: Shop) -> None:
    settings = await shop.limited("store:read")
    with pytest.raises(UnauthorizedError, match="Required policies: store:read"):
        await run(settings, [product()])


async def test_an_api_key_is_refused_where_there_are_roles(shop: Shop) -> None:
    with pytest.raises(MisconfiguredError, match="set email and password") as caught:
        await run(MedusaSettings(url=shop.url, api_key="sk_x"), [product()])
    assert caught.value.setting == "api_key"


@pytest.fixture(params=["fake", "real"] if real_is_desired() else ["fake"])
async def indexed(request: pytest.FixtureRequest) -> AsyncIterator[MedusaSettings]:
    """A store whose lists come from an index."""
    if request.param == "fake":
        async with fake_medusa(flags=["index_engine"]) as fake:
            yield FakeShop(fake).full()
        return
    store: RealStore = request.getfixturevalue("flagged_store")
    store.do("boot", flags=["index_engine"])
    facts = store.facts
    yield MedusaSettings(
        url=facts["url"], email=facts["email"], password=facts["password"]
    )
    store.do("boot", flags=FLAGS)


async def test_a_store_whose_lists_lag_behind_is_refused(
    indexed: MedusaSettings,
) -> None:
    with pytest.raises(MisconfiguredError, match="MEDUSA_FF_INDEX_ENGINE") as caught:
        await run(indexed, [product()])
    assert caught.value.setting == "url"


async def test_check_shows_version_and_flags(shop: Shop) -> None:
    async with shop.full().open() as sink:
        found = {finding.what: finding for finding in await sink.check()}
    version, flags = found["version"], found["feature_flags"]
    assert version.ok
    assert version.text == "Medusa 2.20.0 or newer; the oldest supported is 2.17.0"
    assert flags.ok
    assert flags.text == "on: caching, rbac, rbac_filter_fields, translation"


async def test_the_fakes_index_lags_until_it_catches_up() -> None:
    async with fake_medusa() as fake:
        shop = FakeShop(fake)
        await run(shop.full(), [product()])
        async with shop.full().open() as sink:
            fake.state.flags.add("index_engine")
            query = "external_id[]=flags:1&fields=id"
            assert not (await sink.client.get("/admin/products", query))["products"]
            assert (await sink.client.get("/admin/products", "fields=id"))["products"]
            fake.catch_up()
            assert (await sink.client.get("/admin/products", query))["products"]


async def test_the_fakes_cache_is_as_bad_as_it_could_be() -> None:
    desired = product()
    async with (
        fake_medusa(flags=["caching"]) as fake,
        FakeShop(fake).full().open() as sink,
    ):
        sink.client.bypasses_cache = False
        for _ in range(2):
            assert not await sink.find([desired], fields=supplied(desired))
            await run(FakeShop(fake).full(), [desired])
        sink.client.bypasses_cache = True
        assert await sink.find([desired], fields=supplied(desired))


async def test_an_unknown_flag_is_mentioned_and_not_refused() -> None:
    async with (
        fake_medusa(flags=["view_configurations", "prices_in_gold"]) as fake,
        FakeShop(fake).full().open() as sink,
    ):
        (found,) = (f for f in await sink.check() if f.what == "feature_flags")
    assert found.ok
    assert found.text == (
        "on: view_configurations; unknown to this version of catalogsync:"
        " prices_in_gold"
    )


@asynccontextmanager
async def medusa_with(
    routes: Mapping[str, object], *, status: int = 200
) -> AsyncGenerator[MedusaClient]:
    """A client of a server that has only these routes."""
    app = web.Application()
    for path, body in routes.items():
        answer = partial(web.json_response, body, status=status)

        async def handle(_: web.Request, answer: Any = answer) -> web.Response:
            response: web.Response = answer()
            return response

        app.router.add_get(path, handle)
    async with serve(app) as url:
        base = base_url("url", url)
        async with open_http(base, HttpOptions()) as http:
            yield MedusaClient(http, ApiKey("sk_x"))


OPTIONS = "/admin/product-options"
LAYOUTS = "/admin/layouts/configurations"
PROVIDERS = "/admin/users/none/auth-providers"


@pytest.mark.parametrize(
    ("routes", "text"),
    [
        ([OPTIONS, LAYOUTS, PROVIDERS], "Medusa 2.20.0 or newer"),
        ([OPTIONS, LAYOUTS], "Medusa 2.17.2 or newer"),
        ([OPTIONS], "Medusa 2.17.0 or newer"),
        ([], "Medusa is older than 2.17.0"),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403, 404])
async def test_routes_reveal_the_version_whatever_they_answer(
    routes: Sequence[str], text: str, status: int
) -> None:
    body = {"type": "forbidden", "message": "no"}
    async with medusa_with(dict.fromkeys(routes, body), status=status) as client:
        found = await find_version(client)
    assert found.text.startswith(text)
    assert found.ok is bool(routes)


@pytest.mark.parametrize("routes", [{}, {"/admin/feature-flags": {"message": "no"}}])
async def test_a_server_without_flags_is_refused(
    routes: Mapping[str, object],
) -> None:
    async with medusa_with(routes, status=404) as client:
        with pytest.raises(MisconfiguredError, match="is this the address") as caught:
            await read_flags(client)
    assert caught.value.setting == "url"


@pytest.mark.parametrize("flags", [None, [], "rbac", {}])
async def test_invalid_flags_are_a_broken_reply(flags: object) -> None:
    body = {} if flags == {} else {"feature_flags": flags}
    async with medusa_with({"/admin/feature-flags": body}) as client:
        with pytest.raises(BrokenReplyError, match="feature_flags"):
            await read_flags(client)


async def test_a_flag_with_parts_is_on() -> None:
    body = {"feature_flags": {"workflows": {"create_cart": True}, "rbac": False}}
    async with medusa_with({"/admin/feature-flags": body}) as client:
        assert await read_flags(client) == {"workflows"}
