"""The sink in memory: what it owns, takes away and adopts."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from tests.strategies import products

from catalogsync import MemorySink, Product, ProductKey, Variant
from catalogsync.catalog.changes import Action, Change, Conflict, Existing
from catalogsync.catalog.products import Field
from catalogsync.diff.compare import plan
from catalogsync.engine.removing import removal
from catalogsync.errors import ConflictError
from catalogsync.protocols import (
    AdoptBy,
    AdoptingSink,
    HandleSink,
    HasEndpoint,
    RemovingSink,
)

ALL = frozenset(Field)
KEY = ProductKey("shop", "1")


def product(id_: str = "1", sku: str | None = "A", **values: Any) -> Product:
    """A product with one variant."""
    variants = [Variant(id="default", sku=sku)]
    defaults: dict[str, Any] = {"title": f"Number {id_}", "variants": variants}
    return Product(key=ProductKey("shop", id_), **{**defaults, **values})


def theirs(title: str, *variants: tuple[str, str]) -> Product:
    """A product that is not ours."""
    return Product(
        key=ProductKey("nobody", title),
        title=title,
        variants=[Variant(id=id_, sku=sku) for id_, sku in variants],
    )


async def sink_with(*of: Product) -> MemorySink:
    """A sink that these were written to."""
    sink = MemorySink()
    await sink.write([change for each in of if (change := plan(each, None))])
    return sink


async def owned(sink: MemorySink, source: str = "shop") -> list[Existing]:
    """All that the sink owns of a source."""
    return [ours async for page in sink.owned(source) for ours in page]


async def pruned(sink: MemorySink, action: Action) -> list[Change]:
    """The changes that take all of it away."""
    return [removal(ours, action) for ours in await owned(sink)]


def test_has_these_abilities() -> None:
    """The engine asks an object for its abilities by protocol."""
    sink = MemorySink()
    for protocol in (RemovingSink, AdoptingSink, HasEndpoint):
        assert isinstance(sink, protocol)
    assert not isinstance(sink, HandleSink)
    assert sink.endpoint == sink.endpoint != MemorySink().endpoint


async def test_owns_what_has_a_key_of_the_source() -> None:
    """With its last-applied state; no products of others."""
    other = attrs.evolve(product(), key=ProductKey("other", "1"))
    sink = await sink_with(product("1"), other, product("2"))
    sink.foreign = [theirs("Theirs", ("a", "A"))]
    existing = await owned(sink)
    assert [ours.product for ours in existing] == [product("1"), product("2")]
    assert [ours.last_applied for ours in existing] == [
        sink.last_applied[product(id_).key] for id_ in "12"
    ]
    assert await owned(sink, "nobody") == []


@pytest.mark.parametrize("action", [Action.UPDATE, Action.UNPUBLISH, Action.RELEASE])
async def test_what_was_removed_meanwhile_is_a_conflict(action: Action) -> None:
    """The engine finds and plans again."""
    sink = await sink_with(product())
    changes = await pruned(sink, action)
    sink.products.clear()
    with pytest.raises(ConflictError):
        await sink.write(changes)
    assert not sink.products


@given(desired=products(key=KEY))
async def test_what_was_released_is_adopted_again(desired: Product) -> None:
    """As it was, if it has a SKU to know it by."""
    sink = await sink_with(desired)
    await sink.write(await pruned(sink, Action.RELEASE))
    assert (sink.products, sink.last_applied) == ({}, {})
    assert sink.foreign == [desired]
    existing = await sink.find_foreign([desired], by=AdoptBy.SKU, fields=ALL)
    skus = [variant.sku for variant in desired.variants or () if variant.sku]
    if not skus:
        assert existing == {}
    elif len(set(skus)) == len(skus):
        assert existing == {
            KEY: Existing(product=desired, foreign=True, native=sink.foreign[0])
        }


async def test_adopts_by_sku() -> None:
    """The variant gets our id, and another product stays where it is."""
    sink = MemorySink()
    sink.foreign = [theirs("Its", ("a", "A"), ("b", "B")), theirs("Other", ("c", "C"))]
    existing = (await sink.find_foreign([product()], by=AdoptBy.SKU, fields=ALL))[KEY]
    assert isinstance(existing, Existing)
    assert existing.foreign
    assert [v.id for v in existing.product.variants or ()] == ["default", "b"]
    change = plan(product(), existing)
    assert change
    await sink.write([change])
    assert [each.title for each in sink.foreign] == ["Other"]
    (ours,) = await owned(sink)
    assert (ours.product.title, ours.last_applied) == ("Number 1", change.last_applied)
    with pytest.raises(ConflictError):  # another one took it meanwhile
        await sink.write([attrs.evolve(change, product=product("2"))])
    assert list(sink.products) == [KEY]


A, B, C = ("a", "A"), ("b", "B"), ("default", "C")


@pytest.mark.parametrize(
    ("foreign", "result"),
    [
        ([], None),
        ([[B]], None),
        ([[A], [B]], Existing),
        ([[A], [A, B]], Conflict),
        ([[A, C]], Conflict),
    ],
)
async def test_which_products_could_be_it(
    foreign: list[list[tuple[str, str]]], result: type | None
) -> None:
    """One that has all SKUs; nothing is touched where that is not clear."""
    sink = MemorySink()
    sink.foreign = [theirs("Theirs", *variants) for variants in foreign]
    existing = await sink.find_foreign([product()], by=AdoptBy.SKU, fields=ALL)
    assert [type(each) for each in existing.values()] == ([result] if result else [])


@pytest.mark.parametrize("by", AdoptBy)
async def test_knows_products_by_sku_only(by: AdoptBy) -> None:
    """It has no handles, and no script leaves ids in it."""
    sink = MemorySink()
    sink.foreign = [product()]
    found = await sink.find_foreign([product()], by=by, fields=ALL)
    assert bool(found) is (by is AdoptBy.SKU)
