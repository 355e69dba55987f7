"""The SQL sink: what it keeps, and what becomes of a batch."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from itertools import count
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, assume, example, given, settings, strategies as st
from tests.adapters.sql_databases import Hand, OpenSink
from tests.adapters.sql_products import (
    ALL,
    KEY,
    apply,
    as_found,
    find_one,
    found,
    planned,
    price,
    product,
    unordered,
    variant,
)
from tests.strategies import amounts, products

from catalogsync.adapters.sql import SQLSink
from catalogsync.catalog.changes import Action, Existing
from catalogsync.catalog.outcomes import OutcomeStatus
from catalogsync.catalog.products import (
    UNSET,
    Category,
    Dimensions,
    Field,
    Price,
    Product,
    ProductKey,
    StockLevel,
)
from catalogsync.diff.compare import plan
from catalogsync.errors import BatchRefusedError, ConflictError, RefusedError
from catalogsync.protocols import NormalizingSink, ReferencingSink, SelfChecking

many = settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_numbers = count(1)


def fresh(desired: Product) -> Product:
    """The product from a new source."""
    key = ProductKey(f"source-{next(_numbers)}", desired.key.id)
    return attrs.evolve(desired, key=key)


# --- what it keeps ---


def test_has_these_abilities(sink: SQLSink) -> None:
    """The engine asks an object for its abilities by protocol."""
    for protocol in (ReferencingSink, NormalizingSink, SelfChecking):
        assert isinstance(sink, protocol)


def fits(product: Product) -> bool:
    """Whether its tags and categories are short enough for the index."""
    ids = [*(product.tags or ()), *(c.id for c in product.categories or ())]
    return all(len(id_.encode()) <= 1000 for id_ in ids)


@many
@given(desired=products())
async def test_gives_back_what_it_was_given(sink: SQLSink, desired: Product) -> None:
    """Any product comes back equal, and a second sync finds nothing to do."""
    assume(fits(desired))
    desired = sink.shape(fresh(desired))
    await apply(sink, desired)
    ours = await found(sink, desired.key)
    assert unordered(ours.product) == unordered(as_found(desired))
    assert await planned(sink, desired) == []


@many
@given(before=products(), after=products())
async def test_turns_any_product_into_any_other(
    sink: SQLSink, before: Product, after: Product
) -> None:
    """After an update the source's fields are in the sink, for any two products."""
    assume(fits(before) and fits(after))
    before = fresh(before)
    after = attrs.evolve(after, key=before.key)
    await apply(sink, before)
    await apply(sink, after)
    assert await planned(sink, after) == []


@many
@given(
    value=st.recursive(st.booleans() | st.integers() | st.floats(-1e9, 1e9), st.lists)
)
async def test_keeps_the_kind_of_json_values(sink: SQLSink, value: Any) -> None:
    """1, 1.0 and true are three values."""
    desired = fresh(product(attributes={"value": value}))
    await apply(sink, desired)
    ours = await found(sink, desired.key)
    assert json.dumps(ours.product.attributes) == json.dumps({"value": value})


@many
@given(amount=amounts())
@example(Decimal("9.90"))
@example(Decimal("1234567890123456789012345678901.234567890120"))
async def test_keeps_every_digit_of_money(
    sink: SQLSink, hand: Hand, amount: Decimal
) -> None:
    """Amounts are exact in the model and in the database."""
    desired = fresh(product(variants=[variant(prices=[price(str(amount))])]))
    await apply(sink, desired)
    rows = await hand(
        "SELECT amount FROM price JOIN variant ON variant.id = variant_id"
        " JOIN product ON product.id = product_id WHERE source = :source",
        source=desired.key.source,
    )
    assert Decimal(rows[0][0]) == amount
    ours = await found(sink, desired.key)
    assert ours.product.variants
    assert ours.product.variants[0].prices == (Price(amount=amount, currency="USD"),)


async def test_what_is_not_asked_for_is_unset(sink: SQLSink) -> None:
    """A lean read leaves out what is not compared."""
    await apply(sink, product())
    lean = await find_one(sink, fields=frozenset({Field.TITLE}))
    assert isinstance(lean, Existing)
    assert lean.product == Product(key=KEY, title="Mascara")
    assert lean.references == {}
    fields = frozenset({Field.VARIANTS})
    partly = await find_one(sink, fields=fields)
    assert isinstance(partly, Existing)
    assert partly.product.variants == (variant(prices=UNSET, stock=UNSET),)


async def test_finds_more_products_than_fit_in_one_statement(sink: SQLSink) -> None:
    """The number of desired products is not limited."""
    desired = [Product(key=ProductKey("shop", str(n)), title="T") for n in range(1201)]
    changes = [change for each in desired if (change := plan(each, None, {}))]
    outcomes = await sink.write(changes)
    assert {outcome.status for outcome in outcomes} == {OutcomeStatus.CREATED}
    assert len(await sink.find(desired, fields=ALL)) == 1201


async def test_an_empty_size_is_no_size(sink: SQLSink) -> None:
    """Three empty columns are the same as none."""
    desired = product(dimensions=Dimensions())
    assert sink.shape(desired).dimensions is None
    await apply(sink, desired)
    assert await planned(sink, desired) == []


# --- batches ---


async def test_what_cannot_be_kept_is_refused(sink: SQLSink) -> None:
    """It is named; the engine sets the product aside."""
    levels = [StockLevel(quantity=2**63)]
    with pytest.raises(RefusedError, match=r"^variants\.default\.stock: more than"):
        sink.shape(product(variants=[variant(stock=levels)]))


async def test_a_rule_of_the_database_refuses_the_batch(
    sink: SQLSink, hand: Hand
) -> None:
    """The shop's own constraint is a refusal, and its words are kept."""
    await sink.write([])
    await hand("CREATE UNIQUE INDEX one_sku ON variant (sku)")
    changes = await planned(sink, product("1"), product("2"))
    with pytest.raises(BatchRefusedError) as caught:
        await sink.write(changes)
    assert "sku" in caught.value.said
    assert [key.id for key in caught.value.culprits] == ["2"]
    assert await sink.find([product("1"), product("2")], fields=ALL) == {}
    await sink.write(changes[:1])
    assert await find_one(sink) is not None


async def test_two_programs_create_the_same_product(open_sink: OpenSink) -> None:
    """The second collides, writes nothing, and finds the product."""
    first, second = await open_sink(), await open_sink()
    (ours,) = await planned(first, product("1"))
    theirs = await planned(second, product("0"), product("1", title="Second"))
    await first.write([ours])
    with pytest.raises(ConflictError):
        await second.write(theirs)
    assert await find_one(second, ProductKey("shop", "0")) is None
    again = await planned(second, product("0"), product("1", title="Second"))
    assert [change.action for change in again] == [Action.CREATE, Action.UPDATE]
    await second.write(again)
    assert (await found(first)).product.title == "Second"


@pytest.mark.parametrize(
    "removal",
    [
        "DELETE FROM product",
        "DELETE FROM variant",
        "DELETE FROM category",
        "UPDATE product SET source = NULL",
    ],
)
async def test_what_was_removed_meanwhile_is_a_conflict(
    sink: SQLSink, hand: Hand, removal: str
) -> None:
    """The engine finds and plans again."""
    await apply(sink, product())
    new = [Category(id="new", name="New")]
    changed = product(title="New", categories=new, variants=[variant(sku="NEW")])
    changes = await planned(sink, changed)
    await hand(removal)
    with pytest.raises(ConflictError):
        await sink.write(changes)
    await apply(sink, changed)
    assert (await found(sink)).product.title == "New"


async def test_a_product_that_was_created_again_is_another(
    sink: SQLSink, hand: Hand
) -> None:
    """A change for the row that was deleted does not hit the row that followed."""
    await apply(sink, product())
    changes = await planned(sink, product(title="Old plan"))
    await hand("DELETE FROM product")
    await apply(sink, product(title="Made again"))
    with pytest.raises(ConflictError):
        await sink.write(changes)
    assert (await found(sink)).product.title == "Made again"


async def test_a_cancelled_write_leaves_nothing_half_done(
    sink: SQLSink, open_sink: OpenSink
) -> None:
    """All of the batch is there, or none of it."""
    changes = [
        change for n in range(300) if (change := plan(product(str(n)), None, {}))
    ]
    task = asyncio.create_task(sink.write(changes))  # noqa: TID251 - to cancel it
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    other = await open_sink()
    existing = await other.find([change.product for change in changes], fields=ALL)
    assert len(existing) in {0, 300}
    await apply(other, product())


async def test_reading_and_writing_at_the_same_time(sink: SQLSink) -> None:
    """A reader sees all of a batch or nothing of it."""
    changes = [
        change for n in range(200) if (change := plan(product(str(n)), None, {}))
    ]
    desired = [change.product for change in changes]
    async with asyncio.TaskGroup() as group:
        group.create_task(sink.write(changes))
        reads = [
            group.create_task(sink.find(desired, fields=frozenset())) for _ in range(8)
        ]
    assert {len(read.result()) for read in reads} <= {0, 200}


async def test_nothing_to_write_is_nothing(sink: SQLSink) -> None:
    """An empty batch is not an error."""
    assert await sink.write([]) == []
    assert await sink.find([], fields=ALL) == {}
