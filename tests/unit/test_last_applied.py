from __future__ import annotations

import json
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.strategies import amounts, json_values, products

from catalogsync import (
    Category,
    Dimensions,
    Existing,
    Field,
    Image,
    Price,
    Product,
    ProductKey,
    Variant,
)
from catalogsync.diff.compare import own_references, plan
from catalogsync.diff.last_applied import LastApplied, digest, write_last_applied

KEY = ProductKey("shop", "1")
PRODUCT = Product(
    key=KEY,
    title="Cup",
    images=[Image(url="https://a/1.png")],
    categories=[Category(id="cups", name="Cups")],
    tags=["red"],
    attributes={"material": "clay"},
    variants=[
        Variant(
            id="v",
            options={"Size": "S"},
            prices=[Price(amount=Decimal(1), currency="USD")],
        )
    ],
)


def last_applied_of(product: Product, before: LastApplied | None = None) -> str:
    return write_last_applied(product, own_references(product), before or LastApplied())


def test_knows_what_we_wrote() -> None:
    last_applied = LastApplied.parse(last_applied_of(PRODUCT))
    assert last_applied.wrote(Field.IMAGES, "https://a/1.png")
    assert last_applied.wrote(Field.CATEGORIES, "cups")
    assert last_applied.wrote(Field.TAGS, "red")
    assert last_applied.wrote_attribute("material")
    assert last_applied.wrote_variant("v")
    assert last_applied.wrote_price("v", "USD")


def test_does_not_claim_what_others_wrote() -> None:
    last_applied = LastApplied.parse(last_applied_of(PRODUCT))
    assert not last_applied.wrote(Field.IMAGES, "https://a/2.png")
    assert not last_applied.wrote(Field.CATEGORIES, "red")
    assert not last_applied.wrote(Field.TAGS, "blue")
    assert not last_applied.wrote_attribute("weight")
    assert not last_applied.wrote_variant("w")
    assert not last_applied.wrote_price("v", "EUR")
    assert not last_applied.wrote_price("w", "USD")


def test_keeps_what_it_said_of_fields_that_are_no_longer_supplied() -> None:
    before = LastApplied.parse(last_applied_of(PRODUCT))
    after = LastApplied.parse(last_applied_of(Product(key=KEY, title="Mug"), before))
    assert after.wrote(Field.IMAGES, "https://a/1.png")
    assert after.wrote(Field.CATEGORIES, "cups")
    assert after.wrote(Field.TAGS, "red")
    assert after.wrote_attribute("material")
    assert after.wrote_price("v", "USD")
    assert after.fields != before.fields


def test_keeps_what_it_said_of_prices_that_are_no_longer_supplied() -> None:
    before = LastApplied.parse(last_applied_of(PRODUCT))
    bare = Product(key=KEY, title="Cup", variants=[Variant(id="v", sku="1")])
    after = LastApplied.parse(last_applied_of(bare, before))
    assert after.wrote_price("v", "USD")


def test_forgets_what_the_source_dropped() -> None:
    before = LastApplied.parse(last_applied_of(PRODUCT))
    other = Product(
        key=KEY,
        title="Cup",
        images=[],
        tags=[],
        categories=[],
        attributes={},
        variants=[Variant(id="w")],
    )
    after = LastApplied.parse(last_applied_of(other, before))
    assert not after.wrote(Field.IMAGES, "https://a/1.png")
    assert not after.wrote(Field.CATEGORIES, "cups")
    assert not after.wrote(Field.TAGS, "red")
    assert not after.wrote_attribute("material")
    assert not after.wrote_variant("v")


@given(products())
def test_is_short_json_text(product: Product) -> None:
    text = last_applied_of(product)
    assert json.loads(text)["version"] == 1
    assert LastApplied.parse(text) == LastApplied.parse(
        last_applied_of(product, LastApplied.parse(text))
    )


BROKEN = (
    None,
    "",
    " ",
    "null",
    "[]",
    "5",
    '"text"',
    "{",
    "not json",
    '{"version":2}',
    '{"version":"1"}',
    "{}",
    '{"version":1}',
    '{"version":1,"f":5,"l":{},"a":{},"v":{}}',
    '{"version":1,"l":[]}',
    '{"version":1,"l":{"tags":5}}',
    '{"version":1,"l":{"tags":null}}',
    '{"version":1,"l":{"tags":"text"}}',
    '{"version":1,"l":{"tags":[[]]}}',
    '{"version":1,"a":["a"]}',
    '{"version":1,"v":{"v":5}}',
    '{"version":1,"v":{"v":null}}',
    '{"version":1,"v":{"v":"USD"}}',
    '{"version":1,"f":{"title":{}}}',
    "[" * 100_000,
    '{"a":' * 100_000,
    "\ud800",
    "1" * 5000,
)


def assert_claims_nothing(text: str | None) -> None:
    last_applied = LastApplied.parse(text)
    assert not last_applied.wrote(Field.TAGS, "red")
    assert not last_applied.wrote_attribute("material")
    assert not last_applied.wrote_price("v", "USD")
    assert not last_applied.wrote_price("v", "EUR")


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_broken_or_missing_claims_nothing(text: str | None) -> None:
    assert_claims_nothing(text)


@given(st.text())
def test_any_text_claims_nothing(text: str) -> None:
    assert_claims_nothing(text)


_parts = st.dictionaries(
    st.sampled_from(["tags", "images", "v", "material", "title"]), json_values()
)


@given(
    st.fixed_dictionaries(
        {"version": st.just(1)},
        optional={name: st.one_of(json_values(), _parts) for name in "flav"},
    )
)
def test_any_json_of_our_version_never_raises(tree: dict[str, Any]) -> None:
    text = json.dumps(tree)
    last_applied = LastApplied.parse(text)
    last_applied.wrote(Field.TAGS, "red")
    last_applied.wrote_attribute("material")
    last_applied.wrote_variant("v")
    last_applied.wrote_price("v", "USD")
    write_last_applied(PRODUCT, {}, last_applied)


_parsed = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={"r": st.booleans(), "w": st.booleans(), "a": _parts},
)


@given(_parsed, st.sampled_from([None, 2]), st.booleans())
def test_no_mark_is_overlooked(
    tree: dict[str, Any], indent: int | None, escaped: bool
) -> None:
    """However the text was rewritten: with white space, or with escaped letters."""
    text = json.dumps(tree, indent=indent)
    if escaped:
        text = text.replace('"r"', '"\\u0072"').replace('"w"', '"\\u0077"')
    last_applied = LastApplied.parse(text)
    assert last_applied.unpublished is tree.get("r", False)
    assert last_applied.writing is tree.get("w", False)
    assert LastApplied.is_marked(text) or not (
        last_applied.unpublished or last_applied.writing
    )


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_broken_or_missing_does_not_hinder_a_plan(text: str | None) -> None:
    existing = Product(key=KEY, title="Mug", tags=["blue"])
    change = plan(PRODUCT, Existing(product=existing, last_applied=text))
    assert change is not None
    assert change.product.tags == ("blue", "red")
    assert LastApplied.parse(change.last_applied).wrote(Field.TAGS, "red")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("9.990"), Decimal("9.99")),
        (Decimal("1E+3"), Decimal(1000)),
        (Decimal("0.00"), Decimal(0)),
        (Decimal("-0"), Decimal(0)),
        (1, 1.0),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}),
        ([1], [1.0]),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]),
        (Dimensions(length=Decimal("1.0")), Dimensions(length=Decimal(1))),
    ],
)
def test_equal_values_have_equal_digests(one: object, other: object) -> None:
    assert one == other
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, "None"),
        (1, "1.0"),
        ("", None),
        ({"a": 1}, {"a": 2}),
        ({"a": None}, {}),
        (Decimal(1), Decimal(2)),
        (Dimensions(length=Decimal(1)), Dimensions(width=Decimal(1))),
        (
            Decimal("12345678901234567890123456789.1"),
            Decimal("12345678901234567890123456789.2"),
        ),
    ],
)
def test_other_values_have_other_digests(one: object, other: object) -> None:
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("Cup", "05d61d218668"),
        ("x" * 100, "193ff9790b51"),
        ("Tasse à café", "8276c161412f"),
        (True, "070f7d7723d9"),
        (1, "ebbc39aaf008"),
        (1.5, "546fa64abe98"),
        (Decimal("9.90"), "21f60d06ff26"),
        (None, "c2f320c0f749"),
        (["a", [1]], "399b2a439b24"),
        ({"a": {"b": True}}, "05d71cb77776"),
        (Dimensions(length=Decimal(1), width=Decimal("2.50")), "222d445012a1"),
    ],
)
def test_digests_are_those_in_the_last_applied_of_stores(
    value: object, kept: str
) -> None:
    assert digest(value) == kept


def test_digest_of_a_number_of_any_size() -> None:
    assert digest(10**400) != digest(10**401)


@given(json_values())
def test_digest_is_short(value: object) -> None:
    assert len(digest(value)) <= 16


@given(amounts())
def test_digest_of_an_amount_does_not_depend_on_how_it_is_written(
    amount: Decimal,
) -> None:
    exact = Context(prec=100)  # the default rounds to 28 digits
    assert digest(amount) == digest(amount.normalize(exact))
