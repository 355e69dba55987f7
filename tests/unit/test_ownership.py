"""Who owns a field, what people edited, and products that come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st
from tests.strategies import Additions, additions, histories, products

from catalogsync import (
    UNSET,
    Action,
    Category,
    Change,
    Dimensions,
    Existing,
    Field,
    Image,
    InvalidValueError,
    Price,
    Product,
    ProductKey,
    ProductStatus,
    StockLevel,
    Update,
    Variant,
)
from catalogsync.catalog.changes import FieldDiff
from catalogsync.catalog.products import (
    DETAILS,
    GROUPS,
    PLAIN as PLAIN_FIELDS,
    evolve_unchecked,
)
from catalogsync.diff.compare import Comparison, References, compare
from catalogsync.diff.last_applied import LastApplied, write_last_applied
from catalogsync.diff.ownership import (
    ManualEdit,
    OnManualEdit,
    Owner,
    Rules,
    without_unowned,
)

KEY = ProductKey("shop", "1")
KEEP = Rules(on_manual_edit=OnManualEdit.KEEP)
OVERWRITE = Rules()
PLAIN = tuple(str(field) for field in (*PLAIN_FIELDS, *GROUPS))
LISTS = ("images", "categories", "tags", "attributes")
OF_VARIANT = {
    Field.VARIANT_TITLE: "title",
    Field.SKU: "sku",
    Field.BARCODE: "barcode",
    Field.VARIANT_WEIGHT: "weight",
    Field.VARIANT_DIMENSIONS: "dimensions",
    Field.OPTIONS: "options",
    Field.PRICES: "prices",
    Field.STOCK: "stock",
}


def price(amount: str, currency: str = "USD") -> Price:
    return Price(amount=Decimal(amount), currency=currency)


def variant(id_: str = "v", **fields: Any) -> Variant:
    return Variant(id=id_, **{"options": {"Size": id_}, **fields})


VARIANTS = (
    variant(
        "S",
        title="Small",
        sku="s",
        weight=Decimal(2),
        dimensions=Dimensions(length=Decimal(1)),
        prices=[price("1"), price("2", "EUR")],
    ),
    variant("M", barcode="1", prices=[price("3")], stock=[StockLevel(quantity=5)]),
)
CUP = Product(
    key=KEY,
    title="Cup",
    description="A cup",
    status=ProductStatus.PUBLISHED,
    images=[Image(url="https://a/1.png"), Image(url="https://a/2.png")],
    categories=[Category(id="cups", name="Cups"), Category(id="new", name="New")],
    tags=["red", "new"],
    weight=Decimal("0.5"),
    attributes={"material": "clay", "year": 2020},
    variants=VARIANTS,
)


def cup(**fields: Any) -> Product:
    return attrs.evolve(CUP, **fields)


def owns(**owners: str) -> Rules:
    return Rules(owns={Field(name): Owner(owner) for name, owner in owners.items()})


def created(product: Product, rules: Rules = OVERWRITE) -> Existing:
    """A sink in which we created the product."""
    change = compare(product, None, rules=rules).change
    assert change is not None
    return done(change)


def done(change: Change) -> Existing:
    return Existing(product=change.product, last_applied=change.last_applied)


def by_hand(existing: Existing, product: Product) -> Existing:
    """A person made this of it."""
    return attrs.evolve(existing, product=product)


def step(
    desired: Product, existing: Existing, rules: Rules
) -> tuple[Existing, Comparison]:
    """One run."""
    result = compare(desired, existing, rules=rules)
    return (done(result.change) if result.change else existing), result


# Any rules, any products, any edits


@st.composite
def any_rules(draw: st.DrawFn) -> Rules:
    owners = draw(st.dictionaries(st.sampled_from(Field), st.sampled_from(Owner)))
    if owners.get(Field.TITLE) is Owner.NEVER:
        owners[Field.TITLE] = Owner.ON_CREATE
    return Rules(
        owns=owners, on_manual_edit=draw(st.sampled_from(OnManualEdit)), job="job"
    )


@st.composite
def lives(draw: st.DrawFn, moments: int = 3) -> tuple[Product, list[set[str]]]:
    """What people take over from another product, between two runs."""
    other = draw(products(key=KEY))
    names = st.sampled_from([*PLAIN, *LISTS, "variants", "status"])
    return other, [draw(st.sets(names, max_size=4)) for _ in range(moments)]


def edited(product: Product, other: Product, names: Iterable[str]) -> Product:
    values = {name: getattr(other, name) for name in names}
    known = {name: value for name, value in values.items() if value is not UNSET}
    return evolve_unchecked(product, **known)


@given(histories(moments=3, key=KEY), any_rules(), lives(), additions())
def test_whatever_happens_a_run_leaves_nothing_to_do(
    moments: tuple[Product, ...],
    rules: Rules,
    life: tuple[Product, list[set[str]]],
    others: Additions,
) -> None:
    other, edits = life
    existing = created(moments[0], rules)
    existing = by_hand(existing, others.to(existing.product))
    for desired, names in zip(moments, edits, strict=True):
        existing = by_hand(existing, edited(existing.product, other, names))
        existing, _ = step(desired, existing, rules)
        assert compare(desired, existing, rules=rules).change is None


@given(histories(moments=2, key=KEY), any_rules(), lives(1))
def test_what_is_not_owned_is_never_changed(
    moments: tuple[Product, ...], rules: Rules, life: tuple[Product, list[set[str]]]
) -> None:
    other, (names,) = life
    existing = created(moments[0], rules)
    existing = by_hand(existing, edited(existing.product, other, names))
    after, result = step(moments[1], existing, rules)
    before, now = existing.product, after.product
    if result.change is not None:
        assert not result.change.fields & rules.without(creating=False)
    old = {v.id: v for v in before.variants or ()}
    new = {v.id: v for v in now.variants or ()}
    for field in rules.without(creating=False):
        if field is Field.VARIANTS:
            assert old.keys() == new.keys()
        elif field in OF_VARIANT:
            name = OF_VARIANT[field]
            for id_ in old.keys() & new.keys():
                assert getattr(new[id_], name) == getattr(old[id_], name)
        else:
            assert getattr(now, field) == getattr(before, field)


@given(products(key=KEY), any_rules())
def test_a_creation_has_all_but_what_is_never_written(
    product: Product, rules: Rules
) -> None:
    change = compare(product, None, rules=rules).change
    assert change is not None
    assert change.desired == product
    for name in (*PLAIN, *LISTS, "status"):
        never = rules.owns.get(Field(name)) is Owner.NEVER
        expected = UNSET if never else getattr(product, name)
        assert getattr(change.product, name) == expected
    if rules.owns.get(Field.VARIANTS) is Owner.NEVER:
        assert change.product.variants is UNSET
        return
    for expected, made in zip(
        product.variants or (), change.product.variants or (), strict=True
    ):
        for field, name in OF_VARIANT.items():
            never = rules.owns.get(field) is Owner.NEVER
            empty = {} if field is Field.OPTIONS else UNSET
            assert getattr(made, name) == (empty if never else getattr(expected, name))


@given(histories(moments=3, key=KEY), any_rules(), lives())
def test_a_last_applied_never_claims_what_is_never_written(
    moments: tuple[Product, ...], rules: Rules, life: tuple[Product, list[set[str]]]
) -> None:
    other, edits = life
    never = rules.without(creating=True)
    existing = created(moments[0], rules)
    for desired, names in zip(moments, edits, strict=True):
        existing = by_hand(existing, edited(existing.product, other, names))
        existing, _ = step(desired, existing, rules)
        last_applied = LastApplied.parse(existing.last_applied)
        assert not never & {*last_applied.fields, *last_applied.lists}
        assert not (last_applied.attributes and Field.ATTRIBUTES in never)
        claimed = {name for parts in last_applied.variants.values() for name in parts}
        currencies = {name for name in claimed if name.isupper()}
        assert not claimed & {OF_VARIANT[f] for f in never & OF_VARIANT.keys()}
        assert not (currencies and Field.PRICES in never)


def without_stock(product: Product) -> Product:
    """Stock is never kept, so a test of what is kept leaves it out."""
    if not product.variants:
        return product
    bare = [attrs.evolve(each, stock=UNSET) for each in product.variants]
    return attrs.evolve(product, variants=bare)


@given(products(key=KEY), lives(1), st.sampled_from([KEEP, owns(status="always")]))
def test_a_kept_edit_survives_any_number_of_runs(
    desired: Product, life: tuple[Product, list[set[str]]], rules: Rules
) -> None:
    rules = attrs.evolve(rules, on_manual_edit=OnManualEdit.KEEP)
    other, (names,) = life
    desired, other = without_stock(desired), without_stock(other)
    existing = created(desired, rules)
    existing = by_hand(existing, edited(existing.product, other, names))
    seen: list[tuple[ManualEdit, ...]] = []
    for _ in range(3):
        after, result = step(desired, existing, rules)
        assert after.product == _with_names_of(desired, existing.product)
        assert all(edit.kept for edit in result.manual_edits)
        seen.append(result.manual_edits)
        existing = after
    assert seen[0] == seen[1] == seen[2]


def _with_names_of(desired: Product, product: Product) -> Product:
    """The name of a category is the source's, whatever people do to the list."""
    if not product.categories:
        return product
    named = {category.id: category for category in desired.categories or ()}
    categories = [named.get(each.id, each) for each in product.categories]
    return attrs.evolve(product, categories=categories)


@given(products(key=KEY), lives(1))
def test_edits_are_the_same_kept_or_not(
    desired: Product, life: tuple[Product, list[set[str]]]
) -> None:
    other, (names,) = life
    existing = created(desired)
    existing = by_hand(existing, edited(existing.product, other, names))
    kept = step(desired, existing, KEEP)[1].manual_edits
    overwritten = step(desired, existing, OVERWRITE)[1].manual_edits
    assert [edit.diff for edit in kept] == [edit.diff for edit in overwritten]
    assert not any(edit.kept for edit in overwritten)


@given(histories(moments=4, key=KEY), lives(4))
def test_what_the_source_changes_wins(
    moments: tuple[Product, ...], life: tuple[Product, list[set[str]]]
) -> None:
    """Whatever was kept before, and even if both came to say the same meanwhile."""
    other, edits = life
    rules = Rules(on_manual_edit=OnManualEdit.KEEP, owns={Field.STATUS: Owner.ALWAYS})
    existing, before = created(moments[0], rules), moments[0]
    for desired, names in zip((*moments[1:], moments[0]), edits, strict=True):
        existing = by_hand(existing, edited(existing.product, other, names))
        existing, _ = step(desired, existing, rules)
        for name in (*PLAIN, "status"):
            then, now = getattr(before, name), getattr(desired, name)
            if then is not UNSET and now is not UNSET and then != now:
                assert getattr(existing.product, name) == now
        before = desired


# Owners, one by one


@pytest.mark.parametrize("name", [field for field in Field if field != "title"])
def test_nothing_is_owned_by_nobody(name: str) -> None:
    """A field that is never written is not touched, also not in variants."""
    rules = owns(**{name: "never"})
    stranger = _other_cup()
    before = created(CUP, rules)
    existing = by_hand(before, stranger)
    change = compare(CUP, existing, rules=rules).change
    assert change is not None
    assert Field(name) not in change.fields
    assert not any(Field(name) in each.fields for each in change.variants)


def _other_cup() -> Product:
    """A cup in which everything is different."""
    return Product(
        key=KEY,
        title="Mug",
        description="A mug",
        status=ProductStatus.DRAFT,
        variants=[
            variant("S", title="Tiny", sku="t", prices=[price("9")]),
            variant("M", barcode="9", prices=[], options={"Size": "X"}),
        ],
    )


def test_a_product_needs_a_title() -> None:
    with pytest.raises(InvalidValueError, match="owns\\.title"):
        owns(title="never")


def test_on_create_is_written_once_and_for_new_variants() -> None:
    rules = owns(prices="on_create", description="on_create", sku="on_create")
    existing = created(cup(variants=VARIANTS[:1]), rules)
    assert existing.product == cup(variants=VARIANTS[:1])
    dearer = attrs.evolve(VARIANTS[0], prices=[price("100")], sku="other")
    large = variant("L", sku="l", prices=[price("4")])
    desired = cup(description="Other", variants=[dearer, large])
    after, result = step(desired, existing, rules)
    assert result.change is not None
    assert result.change.fields == {Field.VARIANTS}
    assert after.product == cup(variants=[VARIANTS[0], large])
    last_applied = LastApplied.parse(after.last_applied)
    assert last_applied.wrote_price("L", "USD")
    assert (
        last_applied.variants["S"]
        == LastApplied.parse(existing.last_applied).variants["S"]
    )
    assert compare(desired, after, rules=rules).change is None


def test_variants_that_are_not_owned_neither_come_nor_go() -> None:
    rules = owns(variants="on_create")
    existing = created(CUP, rules)
    desired = cup(variants=[attrs.evolve(VARIANTS[0], title="XS"), variant("L")])
    after, _ = step(desired, existing, rules)
    assert after.product == cup(
        variants=[attrs.evolve(VARIANTS[0], title="XS"), VARIANTS[1]]
    )
    assert LastApplied.parse(after.last_applied).wrote_variant("M")


def test_all_variants_of_the_source_are_new_and_none_is_owned() -> None:
    rules = owns(variants="never")
    existing = created(CUP, rules)
    assert existing.product.variants is UNSET
    assert compare(CUP, existing, rules=rules).change is None


def test_options_that_a_person_owns_are_not_claimed() -> None:
    """Else they would be taken away when the source owns them again."""
    rules = owns(options="on_create")
    existing = created(cup(variants=VARIANTS[:1]), rules)
    theirs = attrs.evolve(VARIANTS[0], options={"Size": "Little"})
    existing = by_hand(existing, cup(variants=[theirs]))
    after, _ = step(cup(title="Mug", variants=VARIANTS[:1]), existing, rules)
    assert after.product == cup(title="Mug", variants=[theirs])
    parts = LastApplied.parse(after.last_applied).variants["S"]
    assert parts == LastApplied.parse(existing.last_applied).variants["S"]
    bare = attrs.evolve(VARIANTS[0], options={})
    adopted = Existing(product=cup(variants=[theirs]), foreign=True)
    after, _ = step(cup(variants=[bare]), adopted, rules)
    assert not LastApplied.parse(after.last_applied).wrote_options("S")
    assert compare(cup(variants=[bare]), after).change is None


def test_references_that_are_not_owned_are_not_written() -> None:
    ids: References = {Field.CATEGORIES: ("pcat_1",), Field.TAGS: ("tag_1",)}
    change = compare(CUP, None, ids, rules=owns(categories="never")).change
    assert change is not None
    assert change.references == {Field.TAGS: ("tag_1",)}
    existing = Existing(product=change.product, last_applied=change.last_applied)
    there = {Field.TAGS: {"tag_1": "red"}, Field.CATEGORIES: {"pcat_9": "Theirs"}}
    existing = attrs.evolve(existing, references=there)
    assert compare(CUP, existing, ids, rules=owns(categories="never")).change is None


def test_claim_without_rules_is_the_product_itself() -> None:
    assert without_unowned(CUP, None, Rules()) is CUP
    assert (
        without_unowned(CUP, CUP, Rules(on_manual_edit=OnManualEdit.KEEP, job="x"))
        is CUP
    )


# Edits, one by one


def paths(edits: Iterable[ManualEdit]) -> dict[str, tuple[Any, Any]]:
    return {edit.diff.path: (edit.diff.old, edit.diff.new) for edit in edits}


def small(**fields: Any) -> tuple[Variant, ...]:
    return (attrs.evolve(VARIANTS[0], **fields), VARIANTS[1])


EDITS: Mapping[str, tuple[dict[str, Any], dict[str, tuple[Any, Any]]]] = {
    "a text": ({"title": "Mug"}, {"title": ("Mug", "Cup")}),
    "a text that was emptied": (
        {"description": None},
        {"description": (None, "A cup")},
    ),
    "a number": ({"weight": Decimal(2)}, {"weight": ("2", "0.5")}),
    "an image that was removed": (
        {"images": CUP.images[1:]},  # type: ignore[index]
        {"images": (["https://a/2.png"], ["https://a/1.png", "https://a/2.png"])},
    ),
    "images in another order": (
        {"images": CUP.images[::-1]},  # type: ignore[index]
        {
            "images": (
                ["https://a/2.png", "https://a/1.png"],
                ["https://a/1.png", "https://a/2.png"],
            )
        },
    ),
    "a category": (
        {"categories": [Category(id="cups", name="Cups")]},
        {"categories": (["Cups"], ["Cups", "New"])},
    ),
    "all tags": ({"tags": []}, {"tags": ([], ["red", "new"])}),
    "an attribute": (
        {"attributes": {"material": "glass", "year": 2020}},
        {"attributes.material": ("glass", "clay")},
    ),
    "an attribute that was removed": (
        {"attributes": {"material": "clay"}},
        {"attributes.year": (None, 2020)},
    ),
    "a SKU": ({"variants": small(sku="x")}, {"variants.S.sku": ("x", "s")}),
    "the weight of a variant": (
        {"variants": small(weight=Decimal(3))},
        {"variants.S.weight": ("3", "2")},
    ),
    "the dimensions of a variant": (
        {"variants": small(dimensions=None)},
        {"variants.S.dimensions": (None, "length=1")},
    ),
    "options": (
        {"variants": small(options={"Size": "Little"})},
        {"variants.S.options": ({"Size": "Little"}, {"Size": "S"})},
    ),
    "a price": (
        {"variants": small(prices=[price("9"), price("2", "EUR")])},
        {"variants.S.prices.USD": ("9", "1")},
    ),
    "a price that was removed": (
        {"variants": small(prices=[price("1")])},
        {"variants.S.prices.EUR": (None, "2")},
    ),
    "a variant that was removed": (
        {"variants": VARIANTS[:1]},
        {"variants.M": (None, "M")},
    ),
}


@pytest.mark.parametrize("field", [*DETAILS, *GROUPS, Field.DISCOUNTABLE])
def test_a_field_that_the_source_does_not_supply_changes_nothing(field: Field) -> None:
    """Also not in a product that was written when there was no such field."""
    existing = created(CUP)
    assert field not in LastApplied.parse(existing.last_applied).fields
    theirs = "DE" if field is Field.ORIGIN_COUNTRY else "theirs"
    value = False if field is Field.DISCOUNTABLE else theirs
    existing = by_hand(existing, cup(**{field: value}))
    for rules in (OVERWRITE, KEEP):
        assert compare(CUP, existing, rules=rules) == Comparison(None)


@pytest.mark.parametrize("field", [*DETAILS, *GROUPS, Field.DISCOUNTABLE])
def test_a_field_that_the_source_begins_to_supply(field: Field) -> None:
    """It is written, owned and kept like any other; an older state says nothing of it."""
    ours, theirs = ("PT", "DE") if field is not Field.DISCOUNTABLE else (True, False)
    supplying = cup(**{field: ours})
    existing = by_hand(created(CUP), cup(**{field: theirs}))
    after, result = step(supplying, existing, KEEP)
    assert result.change
    assert (result.change.fields, result.manual_edits) == (frozenset({field}), ())
    assert step(supplying, after, KEEP)[1].change is None
    edit = step(supplying, by_hand(after, cup(**{field: theirs})), KEEP)[1]
    assert (edit.change, paths(edit.manual_edits)) == (None, {field: (theirs, ours)})
    assert compare(supplying, existing, rules=owns(**{field: "never"})).change is None


@pytest.mark.parametrize("name", ["weight", "dimensions"])
def test_sizes_of_a_variant_that_the_source_does_not_supply(name: str) -> None:
    """Nothing changes, and a source that begins to supply them makes no edit of it."""
    plain = cup(variants=small(**{name: UNSET}))
    existing = by_hand(created(plain), CUP)
    for rules in (OVERWRITE, KEEP):
        assert compare(plain, existing, rules=rules) == Comparison(None)
    result = compare(cup(variants=small(**{name: None})), existing, rules=KEEP)
    assert result.change
    assert result.change.fields == {Field(f"variant_{name}")}
    assert result.manual_edits == ()


@pytest.mark.parametrize(("by_them", "expected"), EDITS.values(), ids=EDITS)
def test_an_edit(by_them: dict[str, Any], expected: dict[str, tuple[Any, Any]]) -> None:
    existing = by_hand(created(CUP), cup(**by_them))
    kept = compare(CUP, existing, rules=KEEP)
    assert (kept.change, paths(kept.manual_edits)) == (None, expected)
    assert all(edit.kept and edit.key == KEY for edit in kept.manual_edits)
    lost = compare(CUP, existing, rules=OVERWRITE)
    assert lost.change is not None
    assert paths(lost.manual_edits) == expected
    assert not any(edit.kept for edit in lost.manual_edits)
    after = done(lost.change).product
    assert after in (CUP, cup(variants=after.variants))


@pytest.mark.parametrize(("by_them", "_"), EDITS.values(), ids=EDITS)
def test_a_difference_after_an_interrupted_write_is_not_a_manual_edit(
    by_them: dict[str, Any], _: object
) -> None:
    existing = by_hand(created(CUP), cup(**by_them))
    for rules in (KEEP, OVERWRITE):
        doubt = attrs.evolve(rules, edited=frozenset())
        result = compare(CUP, existing, rules=doubt)
        assert result.change is not None
        assert result.manual_edits == ()


def test_edits_known_before_an_interrupted_write_are_kept() -> None:
    rules = attrs.evolve(KEEP, edited=frozenset({"title"}))
    halfway = cup(title="Mug", variants=small(prices=[price("9"), price("2", "EUR")]))
    result = compare(CUP, by_hand(created(CUP), halfway), rules=rules)
    assert result.change is not None
    assert result.change.product == cup(title="Mug")
    assert paths(result.manual_edits) == {"title": ("Mug", "Cup")}


def test_a_kept_edit_does_not_keep_other_changes_away() -> None:
    existing = by_hand(created(CUP), cup(title="Mug"))
    desired = cup(description="Better", variants=small(sku="t"))
    after, result = step(desired, existing, KEEP)
    assert after.product == cup(
        title="Mug", description="Better", variants=small(sku="t")
    )
    assert paths(result.manual_edits) == {"title": ("Mug", "Cup")}
    assert compare(desired, after, rules=KEEP).change is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"title": "A"}, {"title": "B"}),
        ({"images": CUP.images}, {"images": CUP.images[:1]}),  # type: ignore[index]
        ({"tags": ["a"]}, {"tags": ["b"]}),
        ({"attributes": {"a": 1}}, {"attributes": {"a": 2}}),
        ({"variants": small(sku="a")}, {"variants": small(sku="b")}),
        (
            {"variants": small(prices=[price("1")])},
            {"variants": small(prices=[price("2")])},
        ),
        ({"variants": VARIANTS}, {"variants": VARIANTS[:1]}),
    ],
)
def test_the_source_takes_a_persons_value_and_then_its_own_again(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Both agree for a while, which the state records; so the way back is not an edit."""
    one, two = cup(**first), cup(**second)
    existing = by_hand(created(one, KEEP), two)
    noted, result = step(two, existing, KEEP)
    assert result.change is not None
    assert result.change.fields == frozenset()
    assert (noted.product, result.manual_edits) == (two, ())
    assert compare(two, noted, rules=KEEP).change is None
    back, result = step(one, noted, KEEP)
    assert result.manual_edits == ()
    assert back.product in (one, cup(variants=back.product.variants))
    assert compare(one, back, rules=KEEP).change is None


def test_agreement_is_not_noted_where_nothing_is_kept_or_nothing_known() -> None:
    one, two = CUP, cup(title="Mug")
    assert compare(two, by_hand(created(one), two)).change is None
    assert compare(two, Existing(product=two), rules=KEEP).change is None


def test_another_order_of_tags_is_nothing_to_note() -> None:
    shuffled = cup(tags=["new", "red"], categories=CUP.categories[::-1])  # type: ignore[index]
    assert compare(shuffled, created(CUP), rules=KEEP).change is None


@pytest.mark.parametrize("edits", OnManualEdit)
def test_a_job_takes_over_what_another_one_wrote(edits: OnManualEdit) -> None:
    """Else the other one would remove it; a job without a name takes nothing over."""
    existing = created(CUP, Rules(on_manual_edit=edits, job="one"))
    assert compare(CUP, existing, rules=Rules(on_manual_edit=edits)).change is None
    noted, result = step(CUP, existing, Rules(on_manual_edit=edits, job="two"))
    assert result.change is not None
    assert result.change.fields == frozenset()
    assert LastApplied.parse(noted.last_applied).job == "two"
    assert (
        compare(CUP, noted, rules=Rules(on_manual_edit=edits, job="two")).change is None
    )


def test_stock_is_never_kept() -> None:
    less = attrs.evolve(VARIANTS[1], stock=[StockLevel(quantity=1)])
    existing = by_hand(created(CUP), cup(variants=[VARIANTS[0], less]))
    after, result = step(CUP, existing, KEEP)
    assert (after.product, result.manual_edits) == (CUP, ())


def test_the_status_is_kept_where_the_source_owns_it() -> None:
    rules = attrs.evolve(owns(status="always"), on_manual_edit=OnManualEdit.KEEP)
    existing = by_hand(created(CUP, rules), cup(status=ProductStatus.DRAFT))
    result = compare(CUP, existing, rules=rules)
    assert (result.change, paths(result.manual_edits)) == (
        None,
        {"status": ("draft", "published")},
    )
    hidden = cup(status=ProductStatus.DRAFT)
    noted, _ = step(hidden, existing, rules)
    after, _ = step(CUP, noted, rules)
    assert after.product.status is ProductStatus.PUBLISHED


def test_incomplete_or_foreign_products_have_no_manual_edits() -> None:
    existing = by_hand(created(CUP), cup(title="Mug"))
    half = attrs.evolve(existing, missing_parts=("no variant",))
    theirs = attrs.evolve(existing, last_applied=None)
    for each in (half, theirs):
        after, result = step(CUP, each, KEEP)
        assert (after.product, result.manual_edits) == (CUP, ())


def test_edits_of_references_are_reported_by_name() -> None:
    ids: References = {Field.CATEGORIES: ("c1", "c2"), Field.TAGS: ("t1", "t2")}
    change = compare(CUP, None, ids).change
    assert change is not None
    existing = Existing(
        product=cup(categories=UNSET, tags=UNSET),
        last_applied=change.last_applied,
        references={Field.CATEGORIES: {"c1": "Cups"}, Field.TAGS: {"t9": "hot"}},
    )
    result = compare(CUP, existing, ids, rules=KEEP)
    assert result.change is None
    assert paths(result.manual_edits) == {
        "categories": (["Cups"], ["Cups", "New"]),
        "tags": (["hot"], ["red", "new"]),
    }


def test_an_edit_says_what_it_is() -> None:
    diff = FieldDiff(path="title", old="Mug", new="Cup")
    assert str(ManualEdit(key=KEY, diff=diff, kept=True)) == (
        "keeps an edit: shop:1 title: 'Mug' ('Cup')"
    )
    assert str(ManualEdit(key=KEY, diff=diff, kept=False)).startswith(
        "overwrites an edit: "
    )


# Products that come back, are incomplete, or are adopted


def removed(
    existing: Existing, status: ProductStatus = ProductStatus.DRAFT
) -> Existing:
    last_applied = attrs.evolve(
        LastApplied.parse(existing.last_applied), unpublished=True
    ).text()
    product = attrs.evolve(existing.product, status=status)
    return attrs.evolve(existing, product=product, last_applied=last_applied)


@pytest.mark.parametrize("rules", [OVERWRITE, KEEP, owns(description="never")])
@pytest.mark.parametrize("says", [UNSET, *ProductStatus])
def test_a_product_that_comes_back_is_published_again(
    rules: Rules, says: ProductStatus
) -> None:
    """Or is what the source says of a new one; the rules for others do not matter."""
    desired = cup(status=says)
    after, result = step(desired, removed(created(desired, rules)), rules)
    assert result.change is not None
    assert after.product.status == (says or ProductStatus.PUBLISHED)
    assert not LastApplied.parse(after.last_applied).unpublished
    assert result.manual_edits == ()
    assert compare(desired, after, rules=rules).change is None


def test_a_status_that_is_never_written_is_only_given_back() -> None:
    rules = owns(status="never")
    desired = cup(status=ProductStatus.DRAFT)
    after, _ = step(desired, removed(created(desired, rules)), rules)
    assert after.product.status is ProductStatus.PUBLISHED


@pytest.mark.parametrize("says", [UNSET, *ProductStatus])
def test_what_a_person_published_meanwhile_only_loses_the_mark(
    says: ProductStatus,
) -> None:
    desired = cup(status=says)
    existing = removed(created(desired), ProductStatus.PUBLISHED)
    after, result = step(desired, existing, OVERWRITE)
    assert result.change is not None
    assert (result.change.action, result.change.fields) == (Action.UPDATE, frozenset())
    assert after.product == existing.product
    assert not LastApplied.parse(after.last_applied).unpublished


def test_repair_and_adoption_are_changes_without_a_difference() -> None:
    for more in (
        {"missing_parts": ("no stock",)},
        {"foreign": True, "last_applied": None},
    ):
        existing = attrs.evolve(created(CUP), **more)
        change = compare(CUP, existing).change
        assert isinstance(change, Update)
        assert change.fields == frozenset()
        assert change.existing is existing
        assert LastApplied.parse(change.last_applied).wrote_variant("S")


def test_adopting_leaves_to_people_what_the_source_owns_only_at_creation() -> None:
    rules = owns(title="on_create", prices="on_create", tags="never")
    theirs = cup(title="Mug", tags=["hot"], variants=small(prices=[price("7")]))
    adopted = Existing(product=theirs, foreign=True)
    after, _ = step(cup(description="New"), adopted, rules)
    assert after.product == attrs.evolve(theirs, description="New")
    last_applied = LastApplied.parse(after.last_applied)
    assert "title" not in last_applied.fields
    assert not last_applied.wrote(Field.TAGS, "red")
    assert not last_applied.wrote_price("S", "USD")


def test_the_last_applied_state_names_the_job() -> None:
    rules = Rules(job="one")
    last_applied = LastApplied.parse(created(CUP, rules).last_applied)
    assert (last_applied.job, last_applied.unpublished) == ("one", False)
    assert LastApplied.parse(write_last_applied(CUP, {}, last_applied)).job == "one"
    assert (
        LastApplied.parse(write_last_applied(CUP, {}, last_applied, job="two")).job
        == "two"
    )
    assert attrs.evolve(last_applied, unpublished=True) == LastApplied.parse(
        attrs.evolve(last_applied, unpublished=True).text()
    )
