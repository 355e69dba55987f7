"""Images that are stored in Medusa: the same on the fake and on a real store."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from tests.conftest import FACTS, Medusa
from tests.engine.fakes import NEVER_HELD, fast
from tests.image_server import ImageServer, image_server, png

from catalogsync import (
    Image,
    MisconfiguredError,
    Plan,
    Product,
    ProductKey,
    Report,
    RunStatus,
    StateSettings,
    Sync,
    Writes,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.catalog.images import FetchedImage, StoredImage
from catalogsync.errors import MissingExtraError, UnauthorizedError
from catalogsync.http import ImageOptions
from catalogsync.plans import Estimate, PlanWriter, plan_head
from catalogsync.protocols import ImageStorage
from catalogsync.state import StateStore
from catalogsync.testing.medusa import fake_medusa

LOCAL = ImageOptions(allow_private=True)


@attrs.define
class Counting:
    """An image storage that counts uploads, and may break off."""

    storage: ImageStorage
    uploads: int = 0
    most: int | None = None

    @property
    def at_once(self) -> int:
        return self.storage.at_once

    async def changed(self, address: str, seen: StoredImage, /) -> bool:
        return await self.storage.changed(address, seen)

    async def fetch(
        self, address: str, seen: StoredImage | None, /
    ) -> FetchedImage | None:
        return await self.storage.fetch(address, seen)

    async def upload(self, image: FetchedImage, /) -> StoredImage:
        if self.uploads == self.most:
            raise UnauthorizedError("the key was revoked")
        self.uploads += 1
        return await self.storage.upload(image)


@attrs.define(kw_only=True)
class Shop:
    """A store, a server of images, and what a job syncs from one to the other."""

    medusa: Medusa
    server: ImageServer
    state: StateStore
    sink: MedusaSink
    storage: Counting
    images: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])

    def products(self) -> list[Product]:
        return [
            Product(
                key=ProductKey("pim", id_),
                title=f"Lamp {id_}",
                images=[Image(url=self.server.url + path) for path in paths],
            )
            for id_, paths in self.images.items()
        ]

    def supply(self, **images: Iterable[str]) -> None:
        """Let products have these images; the path is the content."""
        self.images = {id_: [*paths] for id_, paths in images.items()}
        for path in {path for paths in self.images.values() for path in paths}:
            self.server.add(path, png(path))

    def sync(self, **options: Any) -> Sync:
        return Sync(
            as_source(self.products(), name="pim"),
            self.sink,
            options=fast(guard=NEVER_HELD, **options),
            job="lamps",
            state=self.state,
        )

    async def run(self, **options: Any) -> Report:
        return await self.sync(**options).run()

    async def uploads(self, **options: Any) -> tuple[int, int]:
        """Bodies that were fetched and files that were uploaded in a run."""
        bodies, uploads = self.server.bodies.total(), self.storage.uploads
        report = await self.run(**options)
        assert report.status is RunStatus.SUCCEEDED, report
        return self.server.bodies.total() - bodies, self.storage.uploads - uploads

    async def product(self, id_: str) -> Any:
        fields = "id,thumbnail,images.id,images.url,images.rank"
        path = f"/admin/products?external_id=pim:{id_}&fields={fields}"
        (found,) = (await self.medusa.get(path))["products"]
        return found

    async def urls(self, id_: str) -> list[str]:
        images = (await self.product(id_))["images"]
        return [image["url"] for image in sorted(images, key=lambda i: i["rank"])]

    async def shown(self, id_: str) -> list[bytes]:
        """The images of a product as shoppers see them."""
        return [await self.read(url) for url in await self.urls(id_)]

    async def read(self, url: str) -> bytes:
        path = f"/static/{url.rpartition('/')[2]}"
        async with self.medusa.session.get(path) as answer:
            assert answer.status == 200, url
            assert answer.content_type == "image/png"
            return await answer.read()


@asynccontextmanager
async def opened(medusa: Medusa, **settings: Any) -> AsyncIterator[Shop]:
    given = {"images": "upload", "image_options": LOCAL, **settings}
    store = MedusaSettings(
        url=medusa.url, email=medusa.email, password=medusa.password, **given
    )
    async with (
        image_server() as server,
        StateSettings(url="memory:").open() as state,
        store.open() as sink,
    ):
        assert sink.image_storage is not None
        sink.image_storage = storage = Counting(sink.image_storage)
        yield Shop(
            medusa=medusa, server=server, state=state, sink=sink, storage=storage
        )


@pytest.fixture
async def shop(medusa: Medusa) -> AsyncIterator[Shop]:
    """A shop, fake or real."""
    async with opened(medusa) as shop:
        yield shop


def catalog() -> Mapping[str, list[str]]:
    """194 products with 474 images."""
    sizes = [(1, 2, 3, 4)[number % 4] for number in range(194)]
    sizes[:11] = [0] * 11
    sizes[0] = 474 - sum(sizes)
    return {
        str(id_): [f"/{id_}-{number}.png" for number in range(size)]
        for id_, size in enumerate(sizes)
    }


async def test_each_image_is_stored_once(shop: Shop) -> None:
    """194 products with 474 images; then nothing; then one image changes."""
    shop.supply(**catalog())
    assert await shop.uploads() == (474, 474)
    shown = {id_: await shop.shown(id_) for id_ in shop.images}
    assert shown == {id_: [*map(png, paths)] for id_, paths in shop.images.items()}
    assert await shop.uploads() == (0, 0)
    (id_,) = [id_ for id_, paths in shop.images.items() if len(paths) > 4]
    before = await shop.product(id_)
    shop.server.add(shop.images[id_][1], png("new"))
    assert await shop.uploads() == (1, 1)
    shown[id_][1] = png("new")
    assert await shop.shown(id_) == shown[id_]
    after = await shop.product(id_)
    assert after["thumbnail"] == before["thumbnail"] == (await shop.urls(id_))[0]
    same = {i["id"] for i in before["images"]} & {i["id"] for i in after["images"]}
    assert len(same) == len(before["images"]) - 1
    assert await shop.uploads() == (0, 0)


async def test_an_image_that_a_person_added_stays(shop: Shop) -> None:
    shop.supply(a=["/1", "/2"])
    await shop.uploads()
    product = await shop.product("a")
    theirs = "https://example.com/theirs.png"
    images = [{"url": url} for url in [*await shop.urls("a"), theirs]]
    await shop.medusa.post(f"/admin/products/{product['id']}", {"images": images})
    shop.supply(a=["/2", "/3"])
    assert await shop.uploads() == (1, 1)
    urls = await shop.urls("a")
    assert urls[2:] == [theirs]
    assert [await shop.read(url) for url in urls[:2]] == [png("/2"), png("/3")]


async def test_a_failed_image_does_not_fail_its_product(shop: Shop) -> None:
    """It is reported in words, and the next run tries again."""
    shop.supply(a=["/1", "/2", "/3"], b=["/4"])
    shop.server.refused = {"/2": 404, "/4": 503}
    report = await shop.run()
    assert report.status is RunStatus.SUCCEEDED
    assert report.counts.created == 2
    assert any("HTTP 404" in w and "pim:a" in w for w in report.warnings), report
    assert await shop.shown("a") == [png("/1"), png("/3")]
    assert await shop.urls("b") == []
    shop.server.refused = {}
    assert await shop.uploads() == (2, 2)
    assert await shop.shown("a") == [png("/1"), png("/2"), png("/3")]
    assert await shop.shown("b") == [png("/4")]


# What has nothing to do with the real store.


@pytest.fixture
async def local() -> AsyncIterator[Shop]:
    """A shop with a fake store."""
    async with fake_medusa() as fake, aiohttp.ClientSession(fake.url) as session:
        medusa = Medusa({name: getattr(fake, name) for name in FACTS}, session)
        await medusa.log_in()
        async with opened(medusa) as shop:
            yield shop


async def test_the_same_content_is_uploaded_once(local: Shop) -> None:
    """Under any address, in one product or in several."""
    local.supply(a=["/1", "/2", "/3"], b=["/1"])
    local.server.add("/3", png("/1"))
    assert await local.uploads() == (3, 2)
    assert await local.shown("a") == [png("/1"), png("/2")]
    assert await local.urls("b") == (await local.urls("a"))[:1]
    local.supply(a=["/1", "/2", "/3"], b=["/1"], c=["/4"])
    local.server.add("/4", png("/2"))
    assert await local.uploads() == (2, 1)  # "/3" has its own content again
    assert await local.urls("c") == (await local.urls("a"))[1:2]


async def test_a_product_keeps_its_images_while_all_fail(local: Shop) -> None:
    local.supply(a=["/1", "/2"])
    await local.uploads()
    local.supply(a=["/3"])
    local.server.refused = {"/3": 500}
    assert await local.uploads() == (0, 0)
    assert await local.shown("a") == [png("/1"), png("/2")]
    local.server.refused = {}
    assert await local.uploads() == (1, 1)
    assert await local.shown("a") == [png("/3")]


async def test_an_image_that_cannot_be_checked_stays(local: Shop) -> None:
    local.supply(a=["/1"])
    await local.uploads()
    local.server.refused = {"/1": 500}
    report = await local.run()
    assert report.counts.unchanged == 1
    assert any("HTTP 500" in warning for warning in report.warnings)
    assert await local.shown("a") == [png("/1")]


async def test_a_run_that_broke_off_goes_on(local: Shop) -> None:
    one = attrs.evolve(LOCAL, at_once=1)
    async with opened(local.medusa, image_options=one) as shop:
        shop.supply(**{f"p{number}": [f"/{number}"] for number in range(20)})
        shop.storage.most = 7
        with pytest.raises(UnauthorizedError):
            await shop.run()
        shop.storage.most = None
        assert await shop.uploads() == (13, 13)
        assert await shop.shown("p19") == [png("/19")]


async def test_a_plan_uploads_nothing_until_it_is_applied(
    local: Shop, tmp_path: Path
) -> None:
    local.supply(a=["/1", "/2"])
    await local.uploads()
    local.server.add("/1", png("new"))
    path = tmp_path / "plan.jsonl"
    bodies = local.server.bodies.total()
    planning = local.sync()
    source = planning.source
    assert not isinstance(source, str)
    with PlanWriter(path, plan_head("lamps", source, local.sink)) as writer:
        report = await planning.plan(writer.add)
        writer.finish(report, Estimate(writes=0, requests=0, seconds=None))
    assert (local.storage.uploads, local.server.bodies.total()) == (2, bodies)
    assert await local.shown("a") == [png("/1"), png("/2")]
    applied = await local.sync().apply(Plan.read(path))
    assert applied.counts.updated == 1, applied
    assert (local.storage.uploads, local.server.bodies.total()) == (3, bodies + 1)
    assert await local.shown("a") == [png("new"), png("/2")]


async def test_products_that_are_not_written_cost_no_upload(local: Shop) -> None:
    local.supply(a=["/1"])
    assert await local.uploads(writes=Writes.UPDATE_ONLY) == (0, 0)
    assert await local.uploads(owns={"images": "never", "thumbnail": "never"}) == (0, 0)
    assert await local.urls("a") == []
    assert await local.uploads(only=["title"]) == (0, 0)


async def test_links_become_files(local: Shop) -> None:
    """And nothing of the links is left."""
    local.supply(a=["/1", "/2"])
    link = MedusaSettings(
        url=local.medusa.url, email=local.medusa.email, password=local.medusa.password
    )
    async with link.open() as sink:
        for _ in range(2):  # the second time, nothing needs to be built
            await attrs.evolve(local.sync(), sink=sink).run()
    assert await local.urls("a") == [f"{local.server.url}/{n}" for n in (1, 2)]
    assert await local.uploads() == (2, 2)
    assert await local.shown("a") == [png("/1"), png("/2")]


async def test_the_own_network_is_not_reached(local: Shop) -> None:
    async with opened(local.medusa, image_options=ImageOptions()) as shop:
        shop.supply(a=["/1"])
        report = await shop.run()
    assert (report.counts.created, shop.server.asked.total()) == (1, 0)
    (warning,) = report.warnings
    assert "not a public address; to accept that, set `allow_private`" in warning


async def test_uploads_need_a_state_store(local: Shop) -> None:
    local.supply(a=["/1"])
    source = as_source(local.products(), name="pim")
    with pytest.raises(MisconfiguredError, match="state: is needed to upload images"):
        await sync(source, local.sink, options=fast())


async def test_uploads_need_an_extra(
    local: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "filetype", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'catalogsync\[images\]'"):
        async with opened(local.medusa):
            pass
