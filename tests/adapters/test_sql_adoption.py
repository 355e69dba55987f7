"""The SQL sink: making products ours that stand there without a key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.adapters.sql_databases import Hand, OpenSink
from tests.adapters.sql_products import ALL, KEY, apply, found, price
from tests.strategies import texts

from catalogsync.adapters.sql import SQLSink
from catalogsync.catalog.changes import (
    Action,
    Adopt,
    Change,
    Conflict,
    Existing,
    Found,
    Release,
)
from catalogsync.catalog.products import (
    DETAILS,
    GROUPS,
    UNSET,
    Field,
    Image,
    Product,
    ProductKey,
    StockLevel,
    Variant,
)
from catalogsync.diff.compare import plan
from catalogsync.errors import BatchRefusedError, ConflictError
from catalogsync.protocols import AdoptBy

_numbers = count(1)


def desired(id_: str = "1", *variants: Variant, **values: Any) -> Product:
    """A product as a source has it; with one variant that has a SKU, if none is given."""
    key = ProductKey("shop", id_)
    variants = variants or (Variant(id="default", sku="A"),)
    return Product(key=key, title="Mascara", variants=variants, **values)


async def add(
    hand: Hand, *variants: tuple[str, str | None], attributes: str | None = None
) -> int:
    """Somebody adds a product by hand, with variants of these ids and SKUs."""
    ((row,),) = await hand(
        "INSERT INTO product (title, attributes) VALUES ('Theirs', :attributes)"
        " RETURNING id",
        attributes=attributes,
    )
    for id_, sku in variants:
        await hand(
            "INSERT INTO variant (product_id, source_id, sku) VALUES (:row, :id, :sku)",
            row=row,
            id=id_,
            sku=sku,
        )
    return int(row)


async def look(
    sink: SQLSink, *products: Product, by: AdoptBy = AdoptBy.SKU
) -> Mapping[ProductKey, Found]:
    """What could be these."""
    return await sink.find_foreign(products, by=by, fields=ALL)


async def adoptions(
    sink: SQLSink, *products: Product, by: AdoptBy = AdoptBy.SKU
) -> list[Change]:
    """The changes that make these ours."""
    existing = await look(sink, *products, by=by)
    changes: list[Change] = []
    for each in products:
        ours = existing[each.key]
        assert isinstance(ours, Existing)
        assert ours.foreign
        change = plan(each, ours, {})
        assert change
        assert change.action is Action.UPDATE
        changes.append(change)
    return changes


async def adopt(
    sink: SQLSink, *products: Product, by: AdoptBy = AdoptBy.SKU
) -> Sequence[Change]:
    """Make these ours; afterwards nothing is left to do."""
    changes = await adoptions(sink, *products, by=by)
    await sink.write(changes)
    existing = await sink.find(products, fields=ALL)
    for each in products:
        ours = existing[each.key]
        assert isinstance(ours, Existing)
        assert not ours.foreign
        assert plan(each, ours, {}) is None
    return changes


async def variants_of(hand: Hand, row: int) -> list[tuple[Any, ...]]:
    """The ids and SKUs of a product's variants, in the order of their rows."""
    return await hand(
        "SELECT source_id, sku FROM variant WHERE product_id = :row ORDER BY id",
        row=row,
    )


# --- which products could be it ---


async def test_nothing_stands_there_before_the_first_write(sink: SQLSink) -> None:
    """Without tables there is nothing to adopt."""
    for by in AdoptBy:
        assert await look(sink, desired(), by=by) == {}


A, B = ("a", "A"), ("b", "B")
BOTH = (Variant(id="1", sku="A"), Variant(id="2", sku="B"))


@pytest.mark.parametrize(
    ("theirs", "variants", "could_be"),
    [
        pytest.param([[A]], BOTH[:1], [1], id="its only SKU"),
        pytest.param([[A, B]], BOTH[:1], [1], id="others beside it"),
        pytest.param([[A, B]], BOTH, [1], id="both"),
        pytest.param([[A], [A, B]], BOTH, [2], id="both on one of two"),
        pytest.param([[A]], BOTH, [], id="one of two"),
        pytest.param([[A], [B]], BOTH, [], id="both on different ones"),
        pytest.param([[A], [A]], BOTH[:1], [1, 2], id="on two"),
        pytest.param([[("a", "a")], [("a", " A")]], BOTH[:1], [], id="almost"),
        pytest.param([[A]], [Variant(id="a")], [], id="none"),
        pytest.param([[("a", None)]], [Variant(id="a", sku=None)], [], id="empty"),
        pytest.param([[("a", "")]], [Variant(id="a", sku="")], [], id="no letters"),
        pytest.param([[A, ("c", "A")]], BOTH[:1], [1, 1], id="twice in one"),
    ],
)
async def test_all_skus_are_on_one_product(
    sink: SQLSink,
    hand: Hand,
    theirs: list[list[tuple[str, str | None]]],
    variants: Sequence[Variant],
    could_be: list[int],
) -> None:
    """A product that has all SKUs matches, unless several do."""
    await sink.write([])
    rows = [await add(hand, *each) for each in theirs]
    existing = (await look(sink, desired("1", *variants))).get(KEY)
    if len(could_be) > 1:
        assert isinstance(existing, Conflict)
        assert all(str(rows[n - 1]) in existing.reason for n in could_be)
    elif could_be:
        assert isinstance(existing, Existing)
        assert existing.foreign
        assert existing.product.title == "Theirs"
        assert {v.id for v in variants} <= {
            v.id for v in existing.product.variants or ()
        }
        await adopt(sink, desired("1", *variants))
        assert (await found(sink)).native == rows[could_be[0] - 1]
    else:
        assert existing is None


async def test_a_product_that_has_a_key_is_never_it(sink: SQLSink, hand: Hand) -> None:
    """Of this source or another, whole or half."""
    attributes = {"external_id": "1"}
    for source in ("shop", "other"):
        taken = attrs.evolve(desired("9"), key=ProductKey(source, "9"))
        await apply(sink, attrs.evolve(taken, attributes=attributes))
    await hand("UPDATE product SET source_id = NULL WHERE source = 'other'")
    for by in AdoptBy:
        assert await look(sink, desired(), by=by) == {}


async def test_a_product_is_not_two(sink: SQLSink, hand: Hand) -> None:
    """Two products with one SKU are not given the same row."""
    await sink.write([])
    row = await add(hand, A)
    existing = await look(sink, desired("1"), desired("2"), desired("3", BOTH[1]))
    assert existing.keys() == {KEY, ProductKey("shop", "2")}
    for each in existing.values():
        assert isinstance(each, Conflict)
        assert f"row {row} " in each.reason


async def test_two_that_were_found_apart_become_one(sink: SQLSink, hand: Hand) -> None:
    """The second one is named, and the first can be written without it."""
    await sink.write([])
    await add(hand, A)
    changes = [
        *await adoptions(sink, desired("1")),
        *await adoptions(sink, desired("2")),
    ]
    with pytest.raises(BatchRefusedError) as caught:
        await sink.write(changes)
    assert caught.value.culprits.keys() == {ProductKey("shop", "2")}
    await sink.write(changes[:1])
    assert await hand("SELECT source_id FROM product") == [("1",)]


@pytest.mark.parametrize("by", AdoptBy)
async def test_the_table_has_no_handle(sink: SQLSink, hand: Hand, by: AdoptBy) -> None:
    """So that nothing is found by it."""
    await sink.write([])
    await add(hand, A, attributes='{"external_id": 1, "handle": "mascara"}')
    assert len(await look(sink, desired(), by=by)) == (by is not AdoptBy.HANDLE)


@pytest.mark.parametrize(
    ("attributes", "is_it"),
    [
        ('{"external_id": "7"}', True),
        ('{"external_id": 7}', True),
        ('{"external_id": "shop:7"}', True),
        ('{"x": {"external_id": 8},\n "external_id"\t:\n7, "y": [1]}', True),
        ('{"external_id": "\\u0037"}', True),
        ('{"external_id": 8, "x": 7}', False),
        ('{"external_id": "other:7"}', False),
        ('{"external_id": "07"}', False),
        ('{"external_id": 7.5}', False),
        ('{"external_id": true}', False),
        ('{"external_id": null}', False),
        ('{"external_id": ["7"]}', False),
        ('{"external_id": NaN}', False),
        ('{"External_ID": "7"}', False),
        ('{"x": {"external_id": "7"}}', False),
        ('[{"external_id": "7"}]', False),
        ('"external_id"', False),
        ('{"external_id": "7"', False),
        (f'{{"external_id": {"[" * 100_000}', False),
        ("", False),
        (None, False),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_another_script_left_the_id(
    sink: SQLSink, hand: Hand, attributes: str | None, *, is_it: bool
) -> None:
    """As text or number, with or without the source; invalid JSON is ignored."""
    await sink.write([])
    await add(hand, A, attributes=attributes)
    existing = await look(sink, desired("7"), desired("70"), by=AdoptBy.EXTERNAL_ID)
    assert existing.keys() == ({ProductKey("shop", "7")} if is_it else set())


async def test_two_have_the_same_external_id(sink: SQLSink, hand: Hand) -> None:
    """Nobody can say which one it is; those that others made by the dozen are counted."""
    await sink.write([])
    for _ in range(6):
        await add(hand, attributes='{"external_id": 1}')
        await add(hand, attributes='{"external_id": "shop:1"}')
    existing = (await look(sink, desired(), by=AdoptBy.EXTERNAL_ID))[KEY]
    assert isinstance(existing, Conflict)
    assert existing.reason.startswith("12 rows of table product match by external_id")


async def test_what_no_source_could_supply_is_adopted(
    sink: SQLSink, hand: Hand
) -> None:
    """It is overwritten, as in a product of ours."""
    await sink.write([])
    row = await add(hand, A)
    await add(hand, B)
    await hand("UPDATE product SET title = '' WHERE id = :row", row=row)
    existing = await look(sink, desired("1"), desired("2", BOTH[1]))
    assert all(
        isinstance(each, Existing) and each.foreign for each in existing.values()
    )
    assert existing.keys() == {KEY, ProductKey("shop", "2")}


async def test_many_are_looked_for_at_once(sink: SQLSink, hand: Hand) -> None:
    """The list of SKUs has no limit of its own."""
    await sink.write([])
    await add(hand, ("x", "SKU-1234-7"))
    products = [
        desired(str(n), *(Variant(id=f"{m}", sku=f"SKU-{n}-{m}") for m in range(40)))
        for n in range(1300)
    ]
    assert await look(sink, *products) == {}
    last = desired("new", Variant(id="1", sku="SKU-1234-7"))
    assert (await look(sink, *products, last)).keys() == {last.key}


# --- what adoption does ---


async def test_it_becomes_ours_and_what_others_added_stays(
    sink: SQLSink, hand: Hand
) -> None:
    """The same rows, with key, last-applied state and what the source says."""
    await sink.write([])
    await hand("INSERT INTO tag (text) VALUES ('theirs')")
    await hand("INSERT INTO category (name) VALUES ('Sale')")
    row = await add(hand, A, ("mine", "MINE"), attributes='{"note": "keep"}')
    for addition in (
        "product_tag SELECT product.id, tag.id FROM product, tag",
        "product_category SELECT product.id, category.id FROM product, category",
        "image (product_id, position, url) SELECT id, 1, 'theirs.webp' FROM product",
        "price SELECT id, 'CHF', 8 FROM variant",
        "price SELECT id, 'USD', 1 FROM variant",
        "stock_level (variant_id, location, quantity) SELECT id, 'Rome', 6 FROM variant",
    ):
        await hand(f"INSERT INTO {addition}")
    await hand("UPDATE product SET description = 'Their words', receipt = 'stale'")
    rows = await hand("SELECT id, product_id, sku FROM variant ORDER BY id")
    (change,) = await adopt(
        sink,
        desired(
            "1",
            Variant(
                id="default",
                sku="A",
                prices=[price("9.99")],
                stock=[StockLevel(quantity=3)],
            ),
            brand="Essence",
            images=[Image(url="new.webp")],
            attributes={"rating": 4.5},
        ),
    )
    assert isinstance(change, Adopt)
    assert change.existing.last_applied is None
    assert await hand("SELECT id, product_id, sku FROM variant ORDER BY id") == rows
    ours = await found(sink)
    assert (ours.native, ours.last_applied) == (row, change.last_applied)
    assert list(ours.references[Field.CATEGORIES].values()) == ["Sale"]
    theirs = [price("8", "CHF"), StockLevel(quantity=6, location="Rome")]
    assert ours.product.variants
    first, second = ours.product.variants
    assert (first.id, second.id) == ("default", "mine")
    assert set(first.prices or ()) == {price("9.99"), theirs[0]}
    assert set(first.stock or ()) == {StockLevel(quantity=3), theirs[1]}
    assert set(second.prices or ()) == {price("1"), theirs[0]}
    assert attrs.evolve(ours.product, variants=UNSET) == Product(
        key=KEY,
        title="Mascara",
        description="Their words",
        brand="Essence",
        thumbnail=None,
        images=[Image(url="new.webp"), Image(url="theirs.webp")],
        categories=(),
        tags=["theirs"],
        weight=None,
        dimensions=None,
        attributes={"note": "keep", "rating": 4.5},
        **{field.value: None for field in (*DETAILS, *GROUPS)},  # type: ignore[arg-type]
    )
    assert [each async for each in sink.owned("shop")]


@pytest.mark.parametrize(
    ("theirs", "ours", "after"),
    [
        pytest.param([A], [("1", "A")], ["1"], id="by SKU"),
        pytest.param([A, B], [("1", "B"), ("2", "A")], ["2", "1"], id="each by SKU"),
        pytest.param([A, B], [("a", "B"), ("b", "A")], ["b", "a"], id="change places"),
        pytest.param(
            [A, B, ("c", "C")],
            [("b", "A"), ("c", "B"), ("a", "C")],
            ["b", "c", "a"],
            id="in a circle",
        ),
        pytest.param([("x", "X")], [("1", "A")], ["1"], id="the only one"),
        pytest.param([("x", None)], [("1", None)], ["1"], id="the only one without"),
        pytest.param([], [("1", "A")], ["1"], id="no variant yet"),
        pytest.param([A, B], [("a", "B")], ["a (2)", "a"], id="theirs gives way"),
        pytest.param(
            [A, B, ("a (2)", None)],
            [("a", "B")],
            ["a (3)", "a", "a (2)"],
            id="gives way twice",
        ),
        pytest.param(
            [A, ("x", None)],
            [("a", "C"), ("b", "D")],
            ["a (2)", "x", "a", "b"],
            id="new",
        ),
        pytest.param(
            [("a", None), ("b", None)],
            [("b", "B"), ("a", "A")],
            ["a", "b"],
            id="were ours before, and have no SKU",
        ),
        pytest.param(
            [A, B], [("b", None), ("a", None)], ["a", "b"], id="ours have no SKU"
        ),
        pytest.param(
            [A, B], [("1", "A"), ("2", "A")], ["1", "b", "2"], id="ours have one SKU"
        ),
    ],
)
async def test_which_variant_is_which(
    sink: SQLSink,
    hand: Hand,
    theirs: list[tuple[str, str | None]],
    ours: list[tuple[str, str | None]],
    after: list[str],
) -> None:
    """By SKU, or the only one; ids stay distinct, and no row is lost."""
    await sink.write([])
    row = await add(hand, *theirs, attributes='{"external_id": "1"}')
    rows = await hand("SELECT id FROM variant ORDER BY id")
    variants = [Variant(id=id_, sku=sku) for id_, sku in ours]
    await adopt(sink, desired("1", *variants), by=AdoptBy.EXTERNAL_ID)
    assert [id_ for id_, _ in await variants_of(hand, row)] == after
    assert (await hand("SELECT id FROM variant ORDER BY id"))[: len(rows)] == rows


async def test_variants_are_matched_in_a_lean_read(sink: SQLSink, hand: Hand) -> None:
    """Even if no field of variants is compared."""
    await sink.write([])
    row = await add(hand, A, B)
    existing = await sink.find_foreign([desired()], by=AdoptBy.SKU, fields=frozenset())
    ours = existing[KEY]
    assert isinstance(ours, Existing)
    change = plan(desired(), ours, {})
    assert change
    await sink.write([change])
    assert await variants_of(hand, row) == [("default", "A"), B]


_SKUS = st.one_of(st.none(), st.sampled_from(["A", "a", "A ", "%", "'"]), texts())
_IDS = st.one_of(st.sampled_from(["1", "1 (2)", "2", "default"]), texts())
_VARIANTS = st.lists(
    st.tuples(_IDS, _SKUS), min_size=1, max_size=5, unique_by=lambda pair: pair[0]
)


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(theirs=_VARIANTS, ours=_VARIANTS, id_=texts())
async def test_any_product_can_be_adopted(
    sink: SQLSink,
    hand: Hand,
    theirs: list[tuple[str, str | None]],
    ours: list[tuple[str, str | None]],
    id_: str,
) -> None:
    """Whatever the ids and SKUs are: all rows stay, and equal SKUs meet."""
    await sink.write([])
    number = next(_numbers)
    source = f"source-{number}"
    external = json.dumps({"external_id": f"{source}:{id_}"})
    row = await add(hand, *theirs, attributes=external)
    product = attrs.evolve(
        desired("1", *(Variant(id=one, sku=sku) for one, sku in ours)),
        key=ProductKey(source, id_),
    )
    existing = await look(sink, product, by=AdoptBy.EXTERNAL_ID)
    desired_skus = [(one.id, one.sku) for one in product.variants or () if one.sku]
    skus = [sku for _, sku in theirs if sku in {sku for _, sku in desired_skus}]
    if len(set(skus)) < len(skus):
        assert isinstance(existing[product.key], Conflict)
        return
    before = await variants_of(hand, row)
    await adopt(sink, product, by=AdoptBy.EXTERNAL_ID)
    after = await variants_of(hand, row)
    assert len(after) >= len(before)
    first = {sku: one for one, sku in reversed(desired_skus)}
    assert all(
        after[n][0] == first[sku] for n, (_, sku) in enumerate(before) if sku in skus
    )
    assert {one for one, _ in ours} <= {one for one, _ in after}


async def test_what_was_released_is_adopted_again(sink: SQLSink, hand: Hand) -> None:
    """The same rows, ids included."""
    product = desired("1", *BOTH)
    await apply(sink, product)
    rows = await hand("SELECT * FROM variant ORDER BY id")
    existing = await found(sink)
    release = Release(existing=existing)
    await sink.write([release])
    await adopt(sink, product)
    assert await hand("SELECT * FROM variant ORDER BY id") == rows
    assert (await found(sink)).native == existing.native


# --- when others are quicker ---


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE product SET source = 'other', source_id = '1' WHERE id = 1",
        "UPDATE product SET source = 'shop', source_id = '1' WHERE id = 1",
        "UPDATE product SET source = 'other' WHERE id = 1",
        "DELETE FROM product WHERE id = 1",
        "DELETE FROM variant WHERE product_id = 1",
        "INSERT INTO product (source, source_id, title) VALUES ('shop', '1', 'New')",
        "INSERT INTO variant (product_id, source_id) VALUES (1, 'default')",
    ],
)
async def test_what_was_changed_meanwhile_is_a_conflict(
    sink: SQLSink, hand: Hand, meanwhile: str
) -> None:
    """Nothing of the batch is written."""
    await sink.write([])
    assert (await add(hand, A), await add(hand, B)) == (1, 2)
    changes = await adoptions(sink, desired("2", BOTH[1]), desired("1"))
    await hand(meanwhile)
    tables = [f"SELECT * FROM {name} ORDER BY id" for name in ("product", "variant")]
    before = [await hand(rows) for rows in tables]
    with pytest.raises(ConflictError):
        await sink.write(changes)
    assert [await hand(rows) for rows in tables] == before


async def test_two_adopt_at_the_same_time(open_sink: OpenSink, hand: Hand) -> None:
    """One of them has it, and the other finds it with a key."""
    first, second = await open_sink(), await open_sink()
    await first.write([])
    row = await add(hand, A)
    theirs = attrs.evolve(desired(), key=ProductKey("other", "1"))
    pairs = [
        (first, await adoptions(first, desired())),
        (second, await adoptions(second, theirs)),
    ]

    async def write(sink: SQLSink, changes: list[Change]) -> bool:
        try:
            await sink.write(changes)
        except ConflictError:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(write(*pair)) for pair in pairs]
    assert sorted(task.result() for task in tasks) == [False, True]
    winner = "shop" if tasks[0].result() else "other"
    assert await hand("SELECT id, source FROM product") == [(row, winner)]
    assert await look(first, desired(), theirs) == {}


async def test_ours_and_foreign_in_one_batch(sink: SQLSink, hand: Hand) -> None:
    """Updates of both kinds go together, or not at all."""
    new = attrs.evolve(desired("2"), title="New", variants=UNSET)
    await apply(sink, attrs.evolve(new, title="Old"))
    row = await add(hand, A)
    existing = (await sink.find([new], fields=ALL))[new.key]
    assert isinstance(existing, Existing)
    change = plan(new, existing, {})
    assert change
    changes = [change, *await adoptions(sink, desired())]
    await hand("UPDATE product SET source = 'other' WHERE id = :row", row=row)
    with pytest.raises(ConflictError):
        await sink.write(changes)
    titles = "SELECT title FROM product ORDER BY id"
    assert await hand(titles) == [("Old",), ("Theirs",)]
    await hand("UPDATE product SET source = NULL WHERE id = :row", row=row)
    await sink.write(changes)
    assert await hand(titles) == [("New",), ("Mascara",)]
