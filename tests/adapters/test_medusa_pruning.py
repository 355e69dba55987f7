"""Unpublishing, deleting and releasing in Medusa, on the fake and on a real store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.engine.fakes import LookupSource

from catalogsync import (
    BatchRefusedError,
    Existing,
    Options,
    OutcomeStatus,
    Page,
    Plan,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    Prune,
    StockLevel,
    Sync,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.catalog.changes import Action
from catalogsync.diff.compare import plan, supplied
from catalogsync.diff.last_applied import LastApplied
from catalogsync.engine.removing import removal
from catalogsync.plans import PlanHead, PlanWriter, estimate
from catalogsync.protocols import HandleSink, HasEndpoint, RemovingSink

COLUMNS = (
    "limit=1000&fields=id,external_id,handle,title,status,description,metadata,"
    "sales_channels.id,shipping_profile.id,tags.value,variants.id,variants.sku,"
    "variants.title,variants.metadata,variants.prices.amount,"
    "variants.inventory_items.inventory_item_id"
)


def settings(medusa: Any, **more: Any) -> MedusaSettings:
    login = {"email": medusa.email, "password": medusa.password}
    return MedusaSettings(url=medusa.url, **login, **more)


def mug(id_: str, *, source: str = "shop") -> Product:
    return Product(
        key=ProductKey(source, id_),
        title=f"Mug {id_}",
        brand="Clay & Co",
        attributes={"care": "by hand"},
        variants=[
            Variant(
                id="only",
                sku=f"{source}-{id_}",
                prices=[Price(amount=Decimal("9.90"), currency="USD")],
                stock=[StockLevel(quantity=3)],
            )
        ],
    )


async def create(sink: MedusaSink, products: Iterable[Product]) -> None:
    changes = [change for p in products if (change := plan(p, None, {}))]
    outcomes = await sink.write(changes)
    assert {o.status for o in outcomes} == {OutcomeStatus.CREATED}


async def owned(sink: MedusaSink, source: str = "shop") -> dict[str, Existing]:
    return {h.product.key.id: h async for page in sink.owned(source) for h in page}


async def remove(
    sink: MedusaSink, existing: Iterable[Existing], action: Action
) -> None:
    changes = [removal(one, action) for one in existing]
    outcomes = await sink.write(changes)
    assert {(o.key, o.status) for o in outcomes} == {
        (change.key, change.done().status) for change in changes
    }


async def everything(medusa: Any) -> dict[str, Any]:
    """The store's products by title."""
    found = await medusa.get(f"/admin/products?{COLUMNS}")
    return {raw["title"]: raw for raw in found["products"]}


async def delete(medusa: Any, id_: str) -> None:
    status, body = await medusa.ask("DELETE", f"/admin/products/{id_}")
    assert status == 200, body


async def test_a_planned_deletion_looks_at_the_whole_product(
    medusa: Any, tmp_path: Path
) -> None:
    """Whatever a person changed since keeps it; a sale does not."""
    options = Options(prune=Prune.DELETE, max_prune=9)
    async with settings(medusa).open() as sink:
        mugs = [mug(str(n)) for n in range(6)]
        await sync(as_source(mugs, name="shop"), sink, job="mugs")
        head = PlanHead(
            job="mugs",
            source="shop",
            sink=sink.name,
            endpoint=sink.endpoint,
            made_at=0.0,
        )
        left = LookupSource(products=mugs[:2])
        with PlanWriter(tmp_path / "plan", head) as writer:
            report = await Sync(left, sink, options=options, job="mugs").plan(
                writer.add
            )
            writer.finish(report, estimate(report, []))
        assert report.counts.removed == 4
        raw = await everything(medusa)
        for number, body in (
            (2, {"description": "by a person"}),
            (3, {"tags": []}),  # says what is there already
        ):
            status, _ = await medusa.ask(
                "POST", f"/admin/products/{raw[f'Mug {number}']['id']}", body
            )
            assert status == 200
        variant = raw["Mug 4"]["variants"][0]
        prices = {"prices": [{"currency_code": "usd", "amount": 7}]}
        address = f"/admin/products/{raw['Mug 4']['id']}/variants/{variant['id']}"
        assert (await medusa.ask("POST", address, prices))[0] == 200
        planned = Plan.read(tmp_path / "plan")
        async with Sync(planned.head.source, sink, options=options).apply(
            planned
        ) as run:
            report = await run.report()
        assert report.counts.removed == 2
        assert report.problem.startswith("not removed: shop:2, shop:4: it has changed")
        assert sorted(await everything(medusa)) == ["Mug 0", "Mug 1", "Mug 2", "Mug 4"]


async def test_what_the_sink_says_it_can_do(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        assert isinstance(sink, RemovingSink)
        assert isinstance(sink, HandleSink)
        assert isinstance(sink, HasEndpoint)
        assert sink.endpoint == medusa.url
    async with settings(medusa).open() as sink:
        sink.client.http.url = sink.client.http.url / "shop/"
        assert sink.endpoint == f"{medusa.url}/shop"


async def test_the_handle_of_the_change_is_given(medusa: Any) -> None:
    """It may be that of an earlier run, before the title changed."""
    async with settings(medusa).open() as sink:
        before = sink.handle(mug("1"))
        renamed = attrs.evolve(mug("1"), title="Cup")
        assert sink.handle(renamed) != before
        change = plan(renamed, None, {})
        assert change
        await sink.write([attrs.evolve(change, handle=before)])
        assert (await everything(medusa))["Cup"]["handle"] == before


async def test_a_taken_handle_of_the_change_is_reported(medusa: Any) -> None:
    await medusa.post(
        "/admin/products",
        {
            "title": "Theirs",
            "handle": "taken",
            "options": [{"title": "Size", "values": ["S"]}],
        },
    )
    async with settings(medusa).open() as sink:
        changes = [change for id_ in "12" if (change := plan(mug(id_), None, {}))]
        changes[1] = attrs.evolve(changes[1], handle="taken")
        with pytest.raises(BatchRefusedError) as caught:
            await sink.write(changes)
        assert caught.value.culprits.keys() == {ProductKey("shop", "2")}


async def test_owned_lists_what_is_under_a_sources_keys(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        assert await owned(sink) == {}
        await create(sink, [mug(str(n)) for n in range(3)])
        await create(sink, [mug("8", source="shop2"), mug("9", source="sho")])
        for number, external_id in enumerate(("shop:", "shop", "7", None)):
            await medusa.post(
                "/admin/products",
                {
                    "title": f"Theirs {number}",
                    "external_id": external_id,
                    "options": [{"title": "Size", "values": ["S"]}],
                },
            )
        shown = await everything(medusa)
        await medusa.post(
            f"/admin/products/{shown['Mug 1']['id']}", {"status": "proposed"}
        )
        found = await owned(sink)
        assert found.keys() == {"0", "1", "2"}
        for id_, existing in found.items():
            assert existing.product.title == f"Mug {id_}"
            assert (
                existing.last_applied == shown[f"Mug {id_}"]["metadata"]["catalogsync"]
            )
        assert [found[id_].product.status for id_ in "012"] == [
            ProductStatus.PUBLISHED,
            ProductStatus.DRAFT,
            ProductStatus.PUBLISHED,
        ]
        assert (await owned(sink, "shop2")).keys() == {"8"}


@pytest.mark.parametrize("gone", [slice(498, None), slice(0, 30), slice(460, None)])
async def test_owned_misses_none_while_others_are_removed(
    medusa: Any, gone: slice
) -> None:
    """Some of the first page go before the second one is read."""
    async with settings(medusa).open() as sink:
        for first in range(0, 520, 104):
            await create(sink, [bare(str(n)) for n in range(first, first + 104)])
        seen: list[str] = []
        async for page in sink.owned("shop"):
            if not seen:
                await remove(sink, page[gone], Action.DELETE)
            seen += [existing.product.key.id for existing in page]
        assert len(seen) == 520
        assert set(seen) == {str(n) for n in range(520)}


def bare(id_: str) -> Product:
    return Product(key=ProductKey("shop", id_), title=f"Mug {id_}")


async def test_removed_products_are_out_of_sight(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await create(sink, [mug(str(n)) for n in range(4)])
        before = await everything(medusa)
        existing = await owned(sink)
        await delete(medusa, before["Mug 2"]["id"])
        await medusa.post(
            f"/admin/products/{before['Mug 3']['id']}", {"external_id": "other:3"}
        )
        await remove(
            sink, [existing["0"], existing["2"], existing["3"]], Action.UNPUBLISH
        )
        after = await everything(medusa)
        assert {title: raw["status"] for title, raw in after.items()} == {
            "Mug 0": "draft",
            "Mug 1": "published",
            "Mug 3": "published",
        }
        last_applied = LastApplied.parse(after["Mug 0"]["metadata"].pop("catalogsync"))
        assert last_applied.unpublished
        assert last_applied.wrote_variant("only")
        before["Mug 0"]["metadata"].pop("catalogsync")
        assert after["Mug 0"] == {**before["Mug 0"], "status": "draft"}
        again = await owned(sink)
        assert LastApplied.parse(again["0"].last_applied).unpublished
        assert again["0"].product.status is ProductStatus.DRAFT


async def test_a_removed_product_that_comes_back_is_published(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await create(sink, [mug("1")])
        await remove(sink, (await owned(sink)).values(), Action.UNPUBLISH)
        fields = supplied(mug("1"))
        existing = (await sink.find([mug("1")], fields=fields))[mug("1").key]
        assert isinstance(existing, Existing)
        change = plan(mug("1"), existing, {})
        assert change
        await sink.write([change])
        assert (await everything(medusa))["Mug 1"]["status"] == "published"
        existing = (await sink.find([mug("1")], fields=fields))[mug("1").key]
        assert isinstance(existing, Existing)
        assert plan(mug("1"), existing, {}) is None


async def test_the_status_is_read_where_it_is_compared(medusa: Any) -> None:
    hidden = attrs.evolve(mug("1"), status=ProductStatus.DRAFT)
    async with settings(medusa).open() as sink:
        await create(sink, [hidden])
        raw = (await everything(medusa))["Mug 1"]
        for status, meaning in (
            ("draft", ProductStatus.DRAFT),
            ("published", ProductStatus.PUBLISHED),
            ("rejected", ProductStatus.DRAFT),
        ):
            await medusa.post(f"/admin/products/{raw['id']}", {"status": status})
            existing = (await sink.find([hidden], fields=supplied(hidden)))[hidden.key]
            assert isinstance(existing, Existing)
            assert existing.product.status is meaning


async def test_deleted_products_are_gone(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await create(sink, [mug(str(n)) for n in range(4)])
        existing = await owned(sink)
        raw = await everything(medusa)
        await delete(medusa, raw["Mug 2"]["id"])
        await medusa.post(
            f"/admin/products/{raw['Mug 3']['id']}", {"external_id": None}
        )
        await remove(sink, [existing["0"], existing["2"], existing["3"]], Action.DELETE)
        assert (await everything(medusa)).keys() == {"Mug 1", "Mug 3"}
        await remove(sink, [existing["0"]], Action.DELETE)
        await create(sink, [mug("0")])


async def test_released_products_are_left_as_they_are(medusa: Any) -> None:
    async with settings(medusa).open() as sink:
        await create(sink, [mug(str(n)) for n in range(4)])
        before = await everything(medusa)
        raw = before["Mug 0"]
        variant = raw["variants"][0]
        path = f"/admin/products/{raw['id']}"
        await medusa.post(path, {"metadata": {"note": "ask Kim first"}})
        await medusa.post(
            f"{path}/variants/{variant['id']}", {"metadata": {"shelf": "B2"}}
        )
        theirs: dict[str, Any] = {"title": "Theirs", "prices": []}
        await medusa.post(f"/admin/products/{before['Mug 1']['id']}/variants", theirs)
        before["Mug 1"] = (await everything(medusa))["Mug 1"]
        existing = await owned(sink)
        await delete(medusa, before["Mug 2"]["id"])
        requests = sink.requests
        await remove(
            sink, [existing["0"], existing["1"], existing["2"]], Action.RELEASE
        )
        assert sink.requests - requests == 3
        after = await everything(medusa)
        for title in ("Mug 0", "Mug 1"):
            expected = before[title]
            expected["external_id"] = None
            del expected["metadata"]["catalogsync"]
            for variant in expected["variants"]:
                if variant["metadata"]:
                    del variant["metadata"]["catalogsync_id"]
        before["Mug 0"]["metadata"]["note"] = "ask Kim first"
        before["Mug 0"]["variants"][0]["metadata"]["shelf"] = "B2"
        del before["Mug 2"]
        assert after == before
        assert (await owned(sink)).keys() == {"3"}
        assert await sink.find([mug("0")], fields=supplied(mug("0"))) == {}
        await remove(sink, [existing["0"]], Action.RELEASE)


async def test_a_product_without_a_readable_last_applied_is_nobodys(
    medusa: Any,
) -> None:
    """Neither a job that never saw it nor one without a name takes it away."""
    async with settings(medusa).open() as sink:
        mugs = [mug(str(n)) for n in range(4)]
        await sync(as_source(mugs[:3], name="shop"), sink, job="mugs")
        raw = await everything(medusa)
        for number, last_applied in ((0, ""), (1, "{broken")):
            path = f"/admin/products/{raw[f'Mug {number}']['id']}"
            await medusa.post(path, {"metadata": {"catalogsync": last_applied}})
        options = Options(prune=Prune.DELETE, max_prune=9)
        for job in ("", "cups", "mugs"):
            source = LookupSource(products=mugs[3:])
            await sync(source, sink, options=options, job=job)
        assert sorted(await everything(medusa)) == ["Mug 0", "Mug 1", "Mug 3"]


async def test_one_that_is_published_while_the_source_is_asked_stays(
    medusa: Any,
) -> None:
    class Slow(LookupSource):
        async def get(self, keys: Sequence[ProductKey], /) -> Page:
            raw = await everything(medusa)
            path = f"/admin/products/{raw['Mug 1']['id']}"
            await medusa.post(path, {"status": "published"})
            return await super().get(keys)

    async with settings(medusa).open() as sink:
        mugs = [mug(str(n)) for n in range(3)]
        left = LookupSource(products=mugs[:1])
        await sync(as_source(mugs, name="shop"), sink)
        await sync(left, sink, options=Options(prune=Prune.UNPUBLISH, max_prune=9))
        options = Options(prune=Prune.DELETE, max_prune=9)
        report = await sync(Slow(products=mugs[:1]), sink, options=options)
        assert report.counts.removed == 1
        assert sorted(await everything(medusa)) == ["Mug 0", "Mug 1"]
