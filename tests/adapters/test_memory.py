"""The sink in memory: what it owns, takes away and adopts."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from tests.strategies import products

from catalogsync import MemorySink, Product, ProductKey, ProductStatus, Variant
from catalogsync.changes import Action, Ambiguous, Change, Ours
from catalogsync.errors import ConflictError
from catalogsync.models import Field
from catalogsync.outcomes import OutcomeStatus
from catalogsync.planning import plan
from catalogsync.protocols import (
    AdoptBy,
    AdoptingSink,
    Located,
    NamingSink,
    PruningSink,
)

ALL = frozenset(Field)
KEY = ProductKey("shop", "1")


def product(id_: str = "1", sku: str | None = "A", **values: Any) -> Product:
    """A product with one variant."""
    variants = [Variant(id="default", sku=sku)]
    defaults: dict[str, Any] = {"title": f"Number {id_}", "variants": variants}
    return Product(key=ProductKey("shop", id_), **{**defaults, **values})


def theirs(title: str, *variants: tuple[str, str]) -> Product:
    """A product that somebody else made."""
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


async def owned(sink: MemorySink, source: str = "shop") -> list[Ours]:
    """All that the sink owns of a source."""
    return [ours async for page in sink.owned(source) for ours in page]


async def pruned(sink: MemorySink, action: Action) -> list[Change]:
    """The changes that take all of it away."""
    return [
        Change(
            action=action,
            product=ours.product,
            fields=frozenset(),
            receipt="after",
            held=ours,
        )
        for ours in await owned(sink)
    ]


def test_has_these_abilities() -> None:
    """The engine asks an object for its abilities by protocol."""
    sink = MemorySink()
    for protocol in (PruningSink, AdoptingSink, Located):
        assert isinstance(sink, protocol)
    assert not isinstance(sink, NamingSink)
    assert sink.place == sink.place != MemorySink().place


async def test_a_second_creation_collides() -> None:
    """Nothing is overwritten; so says `Limits.collides`."""
    sink = await sink_with(product())
    assert sink.limits.collides
    change = plan(product(title="Second"), None)
    assert change
    with pytest.raises(ConflictError):
        await sink.write([change])
    assert sink.products[KEY].title == "Number 1"


async def test_owns_what_has_a_key_of_the_source() -> None:
    """With its receipt; nobody else's."""
    other = attrs.evolve(product(), key=ProductKey("other", "1"))
    sink = await sink_with(product("1"), other, product("2"))
    sink.foreign = [theirs("Theirs", ("a", "A"))]
    held = await owned(sink)
    assert [ours.product for ours in held] == [product("1"), product("2")]
    assert [ours.receipt for ours in held] == [
        sink.receipts[product(id_).key] for id_ in "12"
    ]
    assert await owned(sink, "nobody") == []


async def test_retire_makes_it_a_draft() -> None:
    """And keeps the receipt of it."""
    sink = await sink_with(product(status=ProductStatus.PUBLISHED))
    (outcome,) = await sink.write(await pruned(sink, Action.RETIRE))
    assert outcome.status is OutcomeStatus.RETIRED
    assert sink.products == {KEY: product(status=ProductStatus.DRAFT)}
    assert sink.receipts == {KEY: "after"}


async def test_delete_is_fine_where_it_is_gone() -> None:
    """The same change twice is one deletion."""
    sink = await sink_with(product())
    changes = await pruned(sink, Action.DELETE)
    for _ in range(2):
        (outcome,) = await sink.write(changes)
        assert outcome.status is OutcomeStatus.RETIRED
        assert (sink.products, sink.receipts, sink.foreign) == ({}, {}, [])


@pytest.mark.parametrize("action", [Action.UPDATE, Action.RETIRE, Action.DISOWN])
async def test_what_was_removed_meanwhile_is_a_conflict(action: Action) -> None:
    """The engine finds and plans again."""
    sink = await sink_with(product())
    changes = await pruned(sink, action)
    sink.products.clear()
    with pytest.raises(ConflictError):
        await sink.write(changes)
    assert not sink.products


@given(wanted=products(key=KEY))
async def test_what_was_disowned_is_adopted_again(wanted: Product) -> None:
    """As it was, if it has a SKU to know it by."""
    sink = await sink_with(wanted)
    await sink.write(await pruned(sink, Action.DISOWN))
    assert (sink.products, sink.receipts) == ({}, {})
    assert sink.foreign == [wanted]
    held = await sink.find_foreign([wanted], by=AdoptBy.SKU, fields=ALL)
    skus = [variant.sku for variant in wanted.variants or () if variant.sku]
    if not skus:
        assert held == {}
    elif len(set(skus)) == len(skus):
        assert held == {KEY: Ours(product=wanted, foreign=True, native=sink.foreign[0])}


async def test_adopts_by_sku() -> None:
    """The variant gets our id, and another product stays where it is."""
    sink = MemorySink()
    sink.foreign = [theirs("Its", ("a", "A"), ("b", "B")), theirs("Other", ("c", "C"))]
    held = (await sink.find_foreign([product()], by=AdoptBy.SKU, fields=ALL))[KEY]
    assert isinstance(held, Ours)
    assert held.foreign
    assert [v.id for v in held.product.variants or ()] == ["default", "b"]
    change = plan(product(), held)
    assert change
    await sink.write([change])
    assert [each.title for each in sink.foreign] == ["Other"]
    (ours,) = await owned(sink)
    assert (ours.product.title, ours.receipt) == ("Number 1", change.receipt)
    with pytest.raises(ConflictError):  # another one took it meanwhile
        await sink.write([attrs.evolve(change, product=product("2"))])
    assert list(sink.products) == [KEY]


A, B, C = ("a", "A"), ("b", "B"), ("default", "C")


@pytest.mark.parametrize(
    ("foreign", "result"),
    [
        ([], None),
        ([[B]], None),
        ([[A], [B]], Ours),
        ([[A], [A, B]], Ambiguous),
        ([[A, C]], Ambiguous),
    ],
)
async def test_which_products_could_be_it(
    foreign: list[list[tuple[str, str]]], result: type | None
) -> None:
    """One that has all SKUs; nothing is touched where that is not clear."""
    sink = MemorySink()
    sink.foreign = [theirs("Theirs", *variants) for variants in foreign]
    held = await sink.find_foreign([product()], by=AdoptBy.SKU, fields=ALL)
    assert [type(each) for each in held.values()] == ([result] if result else [])


@pytest.mark.parametrize("by", AdoptBy)
async def test_knows_products_by_sku_only(by: AdoptBy) -> None:
    """It has no handles, and no script leaves ids in it."""
    sink = MemorySink()
    sink.foreign = [product()]
    found = await sink.find_foreign([product()], by=by, fields=ALL)
    assert bool(found) is (by is AdoptBy.SKU)
