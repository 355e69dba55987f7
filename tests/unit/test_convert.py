"""Products as JSON and back."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.strategies import json_values, products

from catalogsync import InvalidValueError, Product, ProductKey
from catalogsync.catalog.convert import product_from_json, product_to_json

BARE: dict[str, Any] = {"key": {"source": "shop", "id": "1"}, "title": "Cup"}


@given(products())
def test_there_and_back(product: Product) -> None:
    """Also through text; no digit is lost, and UNSET stays apart from nothing."""
    text = json.dumps(product_to_json(product))
    back = product_from_json(json.loads(text))
    assert back == product
    assert repr(back) == repr(product)


def test_what_is_not_supplied_is_left_out() -> None:
    product = Product(key=ProductKey("shop", "1"), title="Cup")
    assert product_to_json(product) == BARE


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"title": None}, "title: must be text, not NoneType"),
        ({"key": "shop:1"}, "key"),
        ({"key": {"source": "a b", "id": "1"}}, "key.source: must be letters"),
        ({"colour": "red"}, "extra fields found (colour)"),
        ({"status": "gone"}, "status: must be one of draft, published"),
        ({"status": []}, "status: must be one of draft, published"),
        ({"tags": "red"}, "tags: must be a list"),
        ({"tags": {"red": 1}}, "tags: must be a list"),
        ({"images": ""}, "images: must be a list"),
        ({"images": [{"url": 5}]}, "images[0].url: must be text, not int"),
        ({"weight": 1.5}, "weight: must be a number as text"),
        ({"weight": "heavy"}, "weight: 'heavy' is not a number"),
        ({"weight": "NaN"}, "weight: must be 0 or more, is NaN"),
        ({"weight": "9" * 101}, "must be a number as text"),
        ({"weight": "1E+99999999999999999999"}, "is not a number"),
        (
            {"variants": [{"id": "v", "stock": [{"quantity": True}]}]},
            "variants[0].stock[0].quantity: must",
        ),
        ({"attributes": {"a": float("nan")}}, "attributes.a: nan is not a JSON number"),
        ({1: 2}, "extra fields found (1)"),
    ],
)
def test_invalid_products_are_refused_with_a_reason(
    more: dict[Any, Any], expected: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        product_from_json({**BARE, **more})
    assert expected in str(caught.value)


@pytest.mark.parametrize("tree", [None, 5, "text", [], [BARE]])
def test_values_that_are_not_objects(tree: object) -> None:
    with pytest.raises(InvalidValueError, match="must be a product as a JSON object"):
        product_from_json(tree)


@pytest.mark.parametrize("depth", [300, 1000, 5000])
def test_nested_beyond_all_measure(depth: int) -> None:
    category: dict[str, Any] = {"id": "a", "name": "A"}
    value: Any = 1
    for _ in range(depth):
        category = {"id": "a", "name": "A", "parent": category}
        value = [value]
    for more in ({"categories": [category]}, {"attributes": {"deep": value}}):
        with pytest.raises(InvalidValueError):
            product_from_json({**BARE, **more})


def _names(tree: object) -> set[str]:
    if isinstance(tree, list):
        return set[str]().union(*map(_names, tree))
    if isinstance(tree, dict):
        return {*tree, *_names(list(tree.values()))}
    return set()


@st.composite
def hostile(draw: st.DrawFn) -> Any:
    """JSON of a product in which something was put where something else belongs."""
    tree: Any = product_to_json(draw(products()))
    names = sorted(_names(tree))
    here = tree
    while True:
        places: list[Any] = (
            list(here) if isinstance(here, dict) else [*range(len(here))]
        )
        if isinstance(here, dict):
            places += draw(st.lists(st.sampled_from(names), max_size=1))
        if not places:
            return tree
        place = draw(st.sampled_from(places))
        inner = here.get(place) if isinstance(here, dict) else here[place]
        if not isinstance(inner, dict | list) or draw(st.booleans()):
            here[place] = draw(json_values())
            return tree
        here = inner


@given(hostile())
def test_a_hostile_tree_is_a_product_or_an_invalid_value(tree: Any) -> None:
    with suppress(InvalidValueError):
        product = product_from_json(tree)
        assert product_from_json(product_to_json(product)) == product


@given(json_values())
def test_arbitrary_json_is_not_a_product(tree: Any) -> None:
    with pytest.raises(InvalidValueError):
        product_from_json(tree)


def test_the_time_of_a_snapshot_comes_back_and_is_not_compared() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    dated = attrs.evolve(product_from_json(BARE), as_of=noon)
    tree = json.loads(json.dumps(product_to_json(dated)))
    assert tree["as_of"] == "2026-03-01T12:00:00+01:00"
    assert product_from_json(tree).as_of == noon
    assert dated == product_from_json(BARE)
    for wrong in ("noon", 5, "2026-03-01T12:00:00"):
        with pytest.raises(InvalidValueError, match=r"^as_of: "):
            product_from_json({**BARE, "as_of": wrong})
