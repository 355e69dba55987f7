from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
from hypothesis import given
from tests.strategies import additions, histories, products

from catalogsync import (
    Category,
    Change,
    Dimensions,
    Existing,
    Field,
    Image,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    StockLevel,
    Variant,
)
from catalogsync.catalog.changes import FieldDiff
from catalogsync.diff.compare import plan
from catalogsync.diff.describe import diff

KEY = ProductKey("shop", "1")


def make(**fields: Any) -> Product:
    return Product(**{"key": KEY, "title": "Cup", **fields})


def variant(id_: str = "v", **fields: Any) -> Variant:
    return Variant(id=id_, **{"options": {"Size": id_}, **fields})


def changed(old: Product, new: Product, **ours: Any) -> Change:
    first = plan(old, None)
    assert first is not None
    change = plan(new, Existing(product=old, last_applied=first.last_applied, **ours))
    assert change is not None
    return change


def shown(change: Change) -> list[tuple[str, Any, Any]]:
    return [(d.path, d.old, d.new) for d in diff(change)]


def test_a_create_shows_everything() -> None:
    product = make(
        description="A cup",
        brand=None,
        status=ProductStatus.DRAFT,
        thumbnail="https://a/t.png",
        images=[Image(url="https://a/1.png")],
        categories=[Category(id="cups", name="Cups & mugs")],
        tags=["red"],
        weight=Decimal("0.50"),
        dimensions=Dimensions(length=Decimal(1), height=Decimal("2.5")),
        attributes={"material": "clay"},
        variants=[
            variant(
                "S",
                title="Small",
                sku="cup-s",
                prices=[Price(amount=Decimal("9.90"), currency="USD")],
                stock=[
                    StockLevel(quantity=5),
                    StockLevel(quantity=1, location="Berlin"),
                ],
            )
        ],
    )
    change = plan(product, None)
    assert change is not None
    assert shown(change) == [
        ("title", None, "Cup"),
        ("description", None, "A cup"),
        ("brand", None, None),
        ("status", None, "draft"),
        ("thumbnail", None, "https://a/t.png"),
        ("weight", None, "0.50"),
        ("dimensions", None, "length=1 height=2.5"),
        ("images", None, ["https://a/1.png"]),
        ("categories", None, ["Cups & mugs"]),
        ("tags", None, ["red"]),
        ("attributes.material", None, "clay"),
        ("variants.S.title", None, "Small"),
        ("variants.S.sku", None, "cup-s"),
        ("variants.S.options.Size", None, "S"),
        ("variants.S.prices.USD", None, "9.90"),
        ("variants.S.stock.default", None, 5),
        ("variants.S.stock.Berlin", None, 1),
    ]


def test_plain_fields() -> None:
    change = changed(make(weight=Decimal(1)), make(title="Mug", weight=None))
    assert shown(change) == [("title", "Cup", "Mug"), ("weight", "1", None)]


def test_attributes_one_by_one() -> None:
    old = make(attributes={"a": 1, "b": [1], "stays": True})
    new = make(attributes={"b": [1, 2], "c": {"d": None}, "stays": True})
    assert shown(changed(old, new)) == [
        ("attributes.a", 1, None),
        ("attributes.b", [1], [1, 2]),
        ("attributes.c", None, {"d": None}),
    ]


def test_lists_show_what_was_and_what_will_be() -> None:
    old = make(tags=["red"], images=[Image(url="a")])
    new = make(
        tags=["red", "new"],
        images=[Image(url="b")],
        categories=[Category(id="cups", name="Cups")],
    )
    assert shown(changed(old, new)) == [
        ("images", ["a"], ["b"]),
        ("categories", None, ["Cups"]),
        ("tags", ["red"], ["red", "new"]),
    ]


def test_a_category_that_is_renamed() -> None:
    old = make(categories=[Category(id="cups", name="Cups")])
    new = make(categories=[Category(id="cups", name="Mugs")])
    assert shown(changed(old, new)) == [("categories", ["Cups"], ["Mugs"])]


def test_variants_are_distinguished_by_their_ids() -> None:
    prices = [Price(amount=Decimal(1), currency="USD")]
    old = make(
        variants=[
            variant("S", sku="s", prices=prices, stock=[StockLevel(quantity=1)]),
            variant("M", sku="m", prices=prices),
        ]
    )
    new = make(
        variants=[
            variant(
                "S",
                sku="s",
                prices=[Price(amount=Decimal(2), currency="EUR")],
                stock=[StockLevel(quantity=3)],
            ),
            variant("L", sku="l"),
        ]
    )
    assert shown(changed(old, new)) == [
        ("variants.S.prices.USD", "1", None),
        ("variants.S.stock.default", 1, 3),
        ("variants.S.prices.EUR", None, "2"),
        ("variants.L.sku", None, "l"),
        ("variants.L.options.Size", None, "L"),
        ("variants.M.sku", "m", None),
        ("variants.M.options.Size", "M", None),
        ("variants.M.prices.USD", "1", None),
    ]


def test_references_of_a_sink_are_shown_by_their_names() -> None:
    cups = [Category(id="cups", name="Cups")]
    existing = Existing(
        product=make(),
        references={
            Field.CATEGORIES: {"pcat_theirs": "By hand"},
            Field.TAGS: {"tag_1": "red", "tag_2": "hot"},
        },
    )
    ids = {Field.CATEGORIES: ("pcat_1",), Field.TAGS: ("tag_1", "tag_3")}
    change = plan(make(categories=cups, tags=["red", "new"]), existing, ids)
    assert change is not None
    assert shown(change) == [
        ("categories", ["By hand"], ["By hand", "Cups"]),
        ("tags", ["red", "hot"], ["red", "hot", "new"]),
    ]


def test_references_of_a_created_product_are_shown_by_their_names() -> None:
    cups = [Category(id="cups", name="Cups")]
    change = plan(make(categories=cups), None, {Field.CATEGORIES: ("pcat_1",)})
    assert change is not None
    assert shown(change)[1:] == [("categories", None, ["Cups"])]


@given(products())
def test_every_create_can_be_shown(product: Product) -> None:
    change = plan(product, None)
    assert change is not None
    assert_readable(diff(change))


@given(histories(moments=2), additions())
def test_every_change_can_be_shown(moments: tuple[Product, ...], others: Any) -> None:
    first = plan(moments[0], None)
    assert first is not None
    existing = Existing(product=others.to(moments[0]), last_applied=first.last_applied)
    desired = attrs.evolve(moments[1], variants=moments[0].variants)
    change = plan(desired, existing)
    if change is not None:
        assert_readable(diff(change))
        assert diff(change)


def assert_readable(diffs: tuple[FieldDiff, ...]) -> None:
    """JSON, each path once, and no two sides that say the same."""
    json.dumps([attrs.asdict(item) for item in diffs])
    paths = [item.path for item in diffs]
    assert len(paths) == len(set(paths))
