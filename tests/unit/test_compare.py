from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from tests.strategies import Additions, additions, histories, products

from catalogsync import (
    UNSET,
    Action,
    Category,
    Change,
    Create,
    Dimensions,
    Existing,
    Field,
    Image,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    StockLevel,
    Update,
    Variant,
)
from catalogsync.catalog import lenient
from catalogsync.catalog.changes import Adopt
from catalogsync.catalog.convert import product_to_json
from catalogsync.catalog.products import evolve_unchecked, unchecked
from catalogsync.diff.compare import References, compare, own_references, plan, supplied
from catalogsync.diff.describe import diff

KEY = ProductKey("shop", "1")
WHOLE = {
    "title": "Cup",
    "description": "A cup",
    "brand": "Clay & Co",
    "status": ProductStatus.PUBLISHED,
    "thumbnail": "https://a/t.png",
    "images": [Image(url="https://a/1.png"), Image(url="https://a/2.png")],
    "categories": [Category(id="cups", name="Cups")],
    "tags": ["red", "new"],
    "weight": Decimal("0.5"),
    "dimensions": Dimensions(length=Decimal(1)),
    "subtitle": "For tea",
    "material": "Clay",
    "hs_code": "6912.00",
    "origin_country": "PT",
    "mid_code": "PTCUP42LIS",
    "discountable": False,
    "type": "Cups",
    "collection": "Summer",
    "attributes": {"glaze": "white"},
}


def price(amount: str, currency: str = "USD") -> Price:
    return Price(amount=Decimal(amount), currency=currency)


def variant(id_: str = "v", **fields: Any) -> Variant:
    return Variant(id=id_, **{"options": {"Size": id_}, **fields})


VARIANTS = [
    variant(
        "S",
        title="Small",
        sku="cup-s",
        barcode="1",
        weight=Decimal(240),
        dimensions=Dimensions(height=Decimal(9)),
        prices=[price("9.99"), price("8.99", "EUR")],
        stock=[StockLevel(quantity=5), StockLevel(quantity=1, location="Berlin")],
    ),
    variant("M", sku="cup-m", prices=[price("10.99")]),
]


def make(**fields: Any) -> Product:
    return Product(key=KEY, **{**WHOLE, "variants": VARIANTS, **fields})


def written(product: Product) -> Existing:
    """A sink in which we created the product."""
    change = plan(product, None)
    assert change is not None
    return after(change)


def after(change: Change, product: Product | None = None) -> Existing:
    """A sink after a change, with what others made of the product since."""
    return Existing(product=product or change.product, last_applied=change.last_applied)


def update(desired: Product, existing: Existing) -> Update:
    change = plan(desired, existing)
    assert isinstance(change, Update)
    assert isinstance(change, Adopt) is existing.foreign
    assert change.existing is existing
    return change


def only(change: Update) -> tuple[frozenset[Field], dict[str, Action]]:
    return change.fields, {v.variant.id: v.action for v in change.variants}


def test_nothing_existing_is_a_create_with_all_that_is_supplied() -> None:
    change = plan(make(), None)
    assert change is not None
    assert change.action is Action.CREATE
    assert change.product == make()
    assert change.fields == set(Field)
    assert isinstance(change, Create)
    assert change.key == KEY


@given(products())
def test_create_speaks_of_exactly_what_the_source_speaks_of(product: Product) -> None:
    change = plan(product, None)
    assert change is not None
    assert (change.action, change.product) == (Action.CREATE, product)
    assert change.fields == supplied(product)
    for field in (*WHOLE, "variants"):
        spoken = getattr(product, field) is not UNSET
        assert (Field(field) in change.fields) is spoken


def test_a_product_with_its_title_only() -> None:
    assert supplied(Product(key=KEY, title="Cup")) == {Field.TITLE}


@given(products())
def test_the_same_again_is_no_change(product: Product) -> None:
    assert plan(product, written(product)) is None


@given(histories(moments=3), additions())
def test_a_change_leaves_nothing_to_change(
    moments: tuple[Product, ...], others: Additions
) -> None:
    existing = written(moments[0])
    for desired in moments[1:]:
        existing = attrs.evolve(
            existing, product=others.to(_without(others, existing.product))
        )
        change = plan(desired, existing)
        if change is not None:
            existing = after(change)
        assert plan(desired, existing) is None


@given(histories(moments=2))
def test_after_a_change_all_that_is_supplied_is_there(
    moments: tuple[Product, ...],
) -> None:
    existing = written(moments[0])
    change = plan(moments[1], existing)
    now = change.product if change else existing.product
    for name in _supplied_of(moments[1]):
        assert _content(now, name) == _content(moments[1], name)
    _assert_variants_are_there(moments[1], now)


@given(histories(moments=2))
def test_update_carries_exactly_what_differs(moments: tuple[Product, ...]) -> None:
    before, desired = moments
    change = plan(desired, written(before))
    fields = change.fields if change else frozenset[Field]()
    assert fields & set(map(Field, WHOLE)) == {
        name
        for name in _supplied_of(desired)
        if _content(desired, name) != _content(before, name)
    }


@given(histories(moments=2), additions())
def test_what_others_added_stays(
    moments: tuple[Product, ...], others: Additions
) -> None:
    existing = written(moments[0])
    with_others = others.to(existing.product)
    change = plan(moments[1], attrs.evolve(existing, product=with_others))
    if change is not None:
        assert others.missing(change.product, with_others) == []


@given(histories(moments=2), additions())
def test_unsupplied_fields_are_left_alone(
    moments: tuple[Product, ...], others: Additions
) -> None:
    existing = written(moments[0])
    existing = attrs.evolve(existing, product=others.to(existing.product))
    change = plan(moments[1], existing)
    if change is None:
        return
    assert change.fields <= supplied(moments[1])
    for name in (*WHOLE, "variants"):
        if getattr(moments[1], name) is UNSET:
            assert getattr(change.product, name) == getattr(existing.product, name)


def _without(others: Additions, product: Product) -> Product:
    """The product without these additions, so that they can be added again."""
    variants = [
        attrs.evolve(v, prices=[p for p in v.prices or () if p.currency != "CHF"])
        for v in product.variants or ()
        if v.id != others.VARIANT
    ]
    attributes = dict(product.attributes or {})
    attributes.pop(others.attribute, None)
    return attrs.evolve(
        product,
        tags=[t for t in product.tags or () if t != others.tag],
        categories=[c for c in product.categories or () if c != others.category],
        images=[i for i in product.images or () if i != others.image],
        attributes=attributes,
        variants=variants or UNSET,
    )


def _supplied_of(product: Product) -> list[str]:
    """What the source speaks of, but for variants and what it sets only once."""
    names = set(WHOLE) - {"status"}
    return [name for name in sorted(names) if getattr(product, name) is not UNSET]


def _content(product: Product, name: str) -> object:
    """What a field says; no list and an empty one say the same."""
    value = getattr(product, name)
    if name in {"categories", "tags"}:
        return frozenset(value or ())
    if name in {"images", "attributes"}:
        return value or None
    return value


def _assert_variants_are_there(desired: Product, now: Product) -> None:
    existing = {v.id: v for v in now.variants or ()}
    for item in desired.variants or ():
        for name in ("title", "sku", "barcode", "options"):
            if getattr(item, name) is not UNSET:
                assert getattr(existing[item.id], name) == getattr(item, name)
        assert set(item.prices or ()) <= set(existing[item.id].prices or ())
        assert set(item.stock or ()) <= set(existing[item.id].stock or ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", "Mug"),
        ("description", "A mug"),
        ("description", None),
        ("brand", "Other"),
        ("thumbnail", None),
        ("images", [Image(url="https://a/1.png")]),
        ("images", []),
        ("categories", []),
        ("tags", ["red"]),
        ("tags", ["red", "new", "sale"]),
        ("weight", Decimal("0.6")),
        ("weight", None),
        ("dimensions", None),
        ("dimensions", Dimensions(length=Decimal(2))),
        ("attributes", {"material": "glass"}),
        ("attributes", {}),
    ],
)
def test_one_changed_field_is_the_only_one(name: str, value: object) -> None:
    change = update(make(**{name: value}), written(make()))
    assert only(change) == ({Field(name)}, {})
    assert change.product == make(**{name: value})


def test_status_is_left_to_the_store() -> None:
    assert plan(make(status=ProductStatus.DRAFT), written(make())) is None


@pytest.mark.parametrize(
    ("desired", "existing"),
    [
        ({"tags": ["new", "red"]}, {"tags": ["red", "new"]}),
        ({"weight": Decimal("0.50")}, {"weight": Decimal("0.5")}),
        (
            {"dimensions": Dimensions(length=Decimal("1.0"))},
            {"dimensions": Dimensions(length=Decimal("1.00"))},
        ),
        ({"attributes": {"a": 1.0}}, {"attributes": {"a": 1}}),
        ({"tags": []}, {"tags": UNSET}),
        ({"images": []}, {"images": UNSET}),
        ({"categories": []}, {"categories": UNSET}),
        ({"attributes": {}}, {"attributes": UNSET}),
        ({"variants": UNSET}, {}),
        ({"variants": list(reversed(VARIANTS))}, {}),
        (
            {"variants": [variant(prices=[price("1.50"), price("2", "EUR")])]},
            {"variants": [variant(prices=[price("2.00", "EUR"), price("1.5")])]},
        ),
    ],
)
def test_the_same_written_otherwise_is_no_change(
    desired: dict[str, Any], existing: dict[str, Any]
) -> None:
    assert plan(make(**desired), written(make(**existing))) is None


def test_true_is_not_one() -> None:
    change = update(make(attributes={"a": True}), written(make(attributes={"a": 1})))
    assert change.product.attributes == {"a": True}


def test_a_renamed_category_is_a_change_where_it_is_part_of_the_product() -> None:
    desired = make(categories=[Category(id="cups", name="Mugs & cups")])
    change = update(desired, written(make()))
    assert only(change) == ({Field.CATEGORIES}, {})
    assert change.product.categories == desired.categories


def change_variants(
    *desired: Variant, existing: Iterable[Variant] = VARIANTS
) -> tuple[frozenset[Field], dict[str, Action]]:
    return only(update(make(variants=desired), written(make(variants=existing))))


@pytest.mark.parametrize(
    ("fields", "carried"),
    [
        ({"title": "S"}, Field.VARIANT_TITLE),
        ({"sku": "other"}, Field.SKU),
        ({"sku": None}, Field.SKU),
        ({"barcode": "2"}, Field.BARCODE),
        ({"options": {"Size": "XS"}}, Field.OPTIONS),
        ({"prices": [price("9.98"), price("8.99", "EUR")]}, Field.PRICES),
        ({"prices": [price("9.99")]}, Field.PRICES),
        ({"prices": []}, Field.PRICES),
        ({"stock": [StockLevel(quantity=4)]}, Field.STOCK),
    ],
)
def test_one_changed_field_of_a_variant_is_the_only_one(
    fields: dict[str, Any], carried: Field
) -> None:
    small = attrs.evolve(VARIANTS[0], **fields)
    change = update(make(variants=[small, VARIANTS[1]]), written(make()))
    assert only(change) == ({carried}, {"S": Action.UPDATE})
    assert change.variants[0].fields == {carried}


def test_a_variant_that_is_new() -> None:
    large = variant("L", sku="cup-l")
    assert change_variants(*VARIANTS, large) == ({Field.VARIANTS}, {"L": Action.ADD})


def test_a_variant_that_left_the_source() -> None:
    assert change_variants(VARIANTS[0]) == ({Field.VARIANTS}, {"M": Action.REMOVE})


def test_added_removed_repriced_and_renamed_at_once() -> None:
    """The promise of the issue: exactly that changes, and a person's variant stays."""
    ids = ["1", "2", "3", "4", "5", "6"]
    existing = [variant(id_, title=id_, prices=[price("1")]) for id_ in ids]
    ours = written(make(variants=existing))
    seventh = variant("by hand")
    ours = attrs.evolve(ours, product=make(variants=[*existing, seventh]))
    desired = [
        attrs.evolve(existing[0], title="one"),
        attrs.evolve(existing[1], prices=[price("2")]),
        *existing[2:5],
        variant("7"),
    ]
    change = update(make(variants=desired), ours)
    assert only(change) == (
        {Field.VARIANT_TITLE, Field.PRICES, Field.VARIANTS},
        {
            "1": Action.UPDATE,
            "2": Action.UPDATE,
            "6": Action.REMOVE,
            "7": Action.ADD,
        },
    )
    assert [v.id for v in change.product.variants or ()] == [
        *["1", "2", "3", "4", "5"],
        "by hand",
        "7",
    ]


def test_options_that_the_source_dropped_go_if_we_wrote_them() -> None:
    small, bare = variant("S"), Variant(id="S")
    existing = written(make(variants=[small]))
    change = update(make(variants=[bare]), existing)
    assert only(change) == ({Field.OPTIONS}, {"S": Action.UPDATE})
    assert change.variants[0].variant.options == {}
    theirs = attrs.evolve(existing, last_applied=None)
    assert plan(make(variants=[bare]), theirs) is None


def test_variants_may_swap_their_options() -> None:
    swapped = [
        attrs.evolve(VARIANTS[0], options={"Size": "M"}),
        attrs.evolve(VARIANTS[1], options={"Size": "S"}),
    ]
    change = update(make(variants=swapped), written(make()))
    assert only(change) == (
        {Field.OPTIONS},
        {"S": Action.UPDATE, "M": Action.UPDATE},
    )


def test_a_variant_may_take_the_options_of_one_that_goes() -> None:
    desired = [variant("new", options={"Size": "S"}), VARIANTS[1]]
    assert change_variants(*desired) == (
        {Field.VARIANTS},
        {"new": Action.ADD, "S": Action.REMOVE},
    )


def test_a_variant_whose_options_others_have_is_left_out() -> None:
    """Everything else is written, and every plan names the reason."""
    existing = written(make(variants=[VARIANTS[0]]))
    theirs = variant("by hand", options={"Size": "M"})
    existing = attrs.evolve(existing, product=make(variants=[VARIANTS[0], theirs]))
    for number in range(2):
        found = compare(make(title="Mug"), existing)
        (conflict,) = found.conflicts
        assert conflict == (
            "variant M is not created: variant by hand, which was added in the store,"
            " has the same options (Size: M)"
        )
        if number:
            assert found.change is None
        else:
            assert found.change
            assert found.change.fields == {"title"}
            existing = after(found.change)
    free = attrs.evolve(existing, product=make(title="Mug", variants=[VARIANTS[0]]))
    change = update(make(title="Mug"), free)
    assert [each.variant.id for each in change.variants] == ["M"]


def test_options_that_others_have_are_left_out() -> None:
    """The variant keeps those that it has; its price is written."""
    theirs = variant("by hand", options={"Size": "L"})
    existing = written(make(variants=[VARIANTS[0]]))
    existing = attrs.evolve(existing, product=make(variants=[VARIANTS[0], theirs]))
    desired = make(variants=[variant("S", options={"Size": "L"}, prices=[price("77")])])
    found = compare(desired, existing)
    assert "variant S keeps its options" in found.conflicts[0]
    assert found.change
    (change,) = found.change.variants
    assert (change.fields, change.variant.options) == ({"prices"}, {"Size": "S"})
    again = compare(desired, after(found.change))
    assert (again.change, again.manual_edits) == (None, ())
    assert again.conflicts == found.conflicts


@pytest.mark.parametrize("amount", ["-1", "NaN", "abc"])
def test_what_no_source_could_supply_is_written_over(amount: str) -> None:
    """It is left alone where the source says nothing."""
    bad = unchecked(Price, amount=lenient.amount(amount), currency="USD")
    low = unchecked(StockLevel, quantity=-3)
    existing = written(make())
    first = evolve_unchecked(VARIANTS[0], prices=(bad, bad), stock=(low, low), sku="")
    product = evolve_unchecked(
        make(), title="", attributes="[", variants=(first, *VARIANTS[1:])
    )
    existing = attrs.evolve(existing, product=product)
    assert update(make(description="new"), existing).fields >= {"title", "description"}
    small = variant("S", stock=[StockLevel(quantity=1)], prices=[price("5")])
    desired = [small, *VARIANTS[1:]]
    change = update(make(attributes={"a": 1}, variants=desired), existing)
    assert change.product.attributes == {"a": 1}
    assert change.variants[0].variant.prices == (price("5"),)
    assert change.variants[0].variant.stock == (StockLevel(quantity=1),)
    json.dumps([attrs.asdict(item) for item in diff(change)], allow_nan=False)
    json.dumps(product_to_json(product), allow_nan=False)
    assert plan(make(attributes={"a": 1}, variants=desired), after(change)) is None


def test_stock_elsewhere_is_left_alone() -> None:
    existing = written(make(variants=[variant(stock=[StockLevel(quantity=3)])]))
    elsewhere = StockLevel(quantity=9, location="Paris")
    existing = attrs.evolve(
        existing,
        product=make(variants=[variant(stock=[StockLevel(quantity=3), elsewhere])]),
    )
    desired = make(variants=[variant(stock=[StockLevel(quantity=2)])])
    change = update(desired, existing)
    assert change.variants[0].variant.stock == (StockLevel(quantity=2), elsewhere)
    assert plan(make(variants=[variant(stock=[])]), existing) is None


def test_a_price_of_ours_goes_even_if_it_was_not_supplied_for_a_while() -> None:
    both = [variant(prices=[price("1"), price("2", "EUR")])]
    existing = written(make(variants=both))
    existing = after(update(make(title="Mug", variants=[variant()]), existing))
    change = update(make(variants=[variant(prices=[price("1")])]), existing)
    assert change.variants[0].variant.prices == (price("1"),)


def images(change: Change | None, existing: Existing) -> list[str]:
    now = change.product if change else existing.product
    return [image.url for image in now.images or ()]


@pytest.mark.parametrize(
    ("ours", "existing", "desired", "result"),
    [
        ("ab", "ab", "ba", "ba"),
        ("ab", "ba", "ab", "ab"),
        ("ab", "abX", "ab", "abX"),
        ("ab", "Xab", "ab", "Xab"),
        ("ab", "aXb", "ab", "aXb"),
        ("ab", "Xab", "ba", "Xba"),
        ("ab", "aXb", "ba", "baX"),
        ("ab", "abX", "b", "bX"),
        ("ab", "XabY", "c", "cXY"),
        ("ab", "aX", "ab", "abX"),
        ("ab", "X", "ab", "abX"),
        ("ab", "", "ab", "ab"),
        ("ab", "abX", "", "X"),
        ("ab", "X", "", "X"),
        ("a", "ab", "ba", "ba"),
        ("a", "Xa", "ab", "Xab"),
    ],
)
def test_images_keep_their_order_and_those_of_others(
    ours: str, existing: str, desired: str, result: str
) -> None:
    def pictures(letters: str) -> list[Image]:
        return [Image(url=letter) for letter in letters]

    last_applied = written(make(images=pictures(ours))).last_applied
    there = Existing(product=make(images=pictures(existing)), last_applied=last_applied)
    change = plan(make(images=pictures(desired)), there)
    assert "".join(images(change, there)) == result
    assert (change is None) is (result == existing)


def test_attributes_that_we_wrote_and_the_source_dropped_go() -> None:
    existing = written(make(attributes={"ours": 1, "stays": 2}))
    there = {"ours": 1, "stays": 2, "theirs": 3}
    existing = attrs.evolve(existing, product=make(attributes=there))
    change = update(make(attributes={"stays": 2, "new": None}), existing)
    assert change.product.attributes == {"stays": 2, "theirs": 3, "new": None}


def test_the_source_wins_over_an_edit_by_hand() -> None:
    existing = attrs.evolve(written(make()), product=make(title="Edited"))
    assert only(update(make(), existing)) == ({Field.TITLE}, {})


def test_without_a_last_applied_everything_there_is_theirs() -> None:
    existing = attrs.evolve(written(make()), last_applied=None)
    desired = make(tags=["sale"], attributes={}, images=[], variants=[variant("L")])
    change = update(desired, existing)
    assert change.product.tags == ("red", "new", "sale")
    assert Field.ATTRIBUTES not in change.fields
    assert Field.IMAGES not in change.fields
    assert only(change)[1] == {"L": Action.ADD}


SINK_IDS: References = {Field.CATEGORIES: ("pcat_1",), Field.TAGS: ("tag_1", "tag_2")}


def in_store(product: Product, existing: Mapping[Field, Mapping[str, str]]) -> Existing:
    change = plan(product, None, SINK_IDS)
    assert change is not None
    assert change.references == SINK_IDS
    bare = attrs.evolve(product, categories=UNSET, tags=UNSET)
    return Existing(product=bare, last_applied=change.last_applied, references=existing)


def test_references_that_are_there_are_no_change() -> None:
    existing = {
        Field.CATEGORIES: {"pcat_1": "Cups"},
        Field.TAGS: {"tag_2": "", "tag_1": ""},
    }
    assert plan(make(), in_store(make(), existing), SINK_IDS) is None


def test_references_are_merged_by_the_ids_of_the_sink() -> None:
    existing = in_store(
        make(),
        {
            Field.CATEGORIES: {"pcat_theirs": "By hand", "pcat_1": "Cups"},
            Field.TAGS: {"tag_1": "red", "tag_2": "new", "tag_theirs": "hot"},
        },
    )
    desired = {Field.CATEGORIES: ("pcat_2",), Field.TAGS: ("tag_2", "tag_3")}
    change = plan(make(), existing, desired)
    assert change is not None
    assert change.fields == {Field.CATEGORIES, Field.TAGS}
    assert change.references == {
        Field.CATEGORIES: ("pcat_theirs", "pcat_2"),
        Field.TAGS: ("tag_2", "tag_theirs", "tag_3"),
    }
    assert change.product.tags == make().tags


def test_references_that_the_source_does_not_speak_of_are_left_alone() -> None:
    existing = in_store(make(), {Field.TAGS: {"tag_theirs": "hot"}})
    assert plan(make(tags=UNSET, categories=UNSET), existing, {}) is None


def test_a_change_keeps_what_the_sink_gave_for_it() -> None:
    existing = attrs.evolve(written(make()), native={"id": "prod_1"})
    change = update(make(title="Mug"), existing)
    assert isinstance(change, Update)
    assert change.existing.native == {"id": "prod_1"}


def test_own_references_name_what_is_supplied() -> None:
    assert own_references(make()) == {
        Field.CATEGORIES: ("cups",),
        Field.TAGS: ("red", "new"),
        Field.TYPE: ("Cups",),
        Field.COLLECTION: ("Summer",),
    }
    assert own_references(Product(key=KEY, title="Cup")) == {}


def test_done_is_what_the_action_says() -> None:
    change = plan(make(), None)
    assert change is not None
    assert change.done().status == "created"
    assert update(make(title="Mug"), written(make())).done().status == "updated"
