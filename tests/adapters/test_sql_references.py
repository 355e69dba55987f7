"""The SQL sink's categories and tags."""

from __future__ import annotations

import attrs
import pytest
from tests.adapters.sql_databases import Hand, OpenSink
from tests.adapters.sql_products import (
    apply,
    category_reference,
    found,
    product,
    tag_reference,
    write_reference,
)

from catalogsync.adapters.sql import SQLSink
from catalogsync.catalog.changes import ExistingReference, ReferenceChange
from catalogsync.catalog.products import Category
from catalogsync.errors import ConflictError

EYES = category_reference(Category(id="eyes", name="Eyes"), "shop")


async def test_are_found_after_they_were_written(sink: SQLSink) -> None:
    """Categories by source and id, tags by their text."""
    tag = tag_reference("new")
    assert await sink.find_references(frozenset({EYES, tag})) == {}
    outcomes = await sink.write_references(
        [ReferenceChange(reference=EYES), ReferenceChange(reference=tag)]
    )
    assert [(o.reference, o.created) for o in outcomes] == [(EYES, True), (tag, True)]
    eyes, new = outcomes
    other = attrs.evolve(EYES, source="other")
    existing = await sink.find_references(frozenset({EYES, tag, other}))
    assert eyes.id
    assert new.id
    assert existing == {
        EYES: ExistingReference(id=eyes.id, name="Eyes", ours=True),
        tag: ExistingReference(id=new.id, name="new"),
    }


async def test_what_somebody_created_meanwhile_is_found(open_sink: OpenSink) -> None:
    """Not doubled, and not counted as created."""
    first, second = await open_sink(), await open_sink()
    changes = [
        ReferenceChange(reference=EYES),
        ReferenceChange(reference=tag_reference("new")),
    ]
    ours = await first.write_references(changes)
    theirs = await second.write_references(
        [*changes, ReferenceChange(reference=tag_reference("newer"))]
    )
    assert [o.id for o in theirs[:2]] == [o.id for o in ours]
    assert [o.created for o in theirs] == [False, False, True]


async def test_a_tag_is_shared_by_sources(sink: SQLSink) -> None:
    """Its text is all of it."""
    ours, theirs = tag_reference("new", "shop"), tag_reference("new", "other")
    outcomes = await sink.write_references(
        [ReferenceChange(reference=ours), ReferenceChange(reference=theirs)]
    )
    assert len({o.id for o in outcomes}) == 1


async def test_categories_are_renamed_and_moved(sink: SQLSink) -> None:
    """The products that stand in them stay there."""
    await apply(sink, product())
    face = Category(id="face", name="Face")
    moved = Category(id="eyes", name="Eyes & brows", parent=face)
    id_ = await write_reference(sink, category_reference(moved, "shop"))
    ours = await found(sink)
    assert moved in (ours.product.categories or ())
    existing = await sink.find_references(frozenset({EYES}))
    assert existing[EYES].id == id_
    assert existing[EYES].name == "Eyes & brows"
    top = Category(id="eyes", name="Eyes")
    assert await write_reference(sink, category_reference(top, "shop")) == id_
    assert (await sink.find_references(frozenset({EYES})))[EYES].parent is None


async def test_a_category_that_was_removed_meanwhile(sink: SQLSink, hand: Hand) -> None:
    """A conflict: the engine looks again."""
    await write_reference(sink, EYES)
    existing = (await sink.find_references(frozenset({EYES})))[EYES]
    await hand("DELETE FROM category")
    change = ReferenceChange(
        reference=attrs.evolve(EYES, name="New"), existing=existing
    )
    with pytest.raises(ConflictError):
        await sink.write_references([change])
    lost = ReferenceChange(reference=EYES, parent=existing.id)
    with pytest.raises(ConflictError):
        await sink.write_references([lost])


async def test_an_id_that_is_too_long_is_refused(sink: SQLSink) -> None:
    """The others are written all the same."""
    long = tag_reference("é" * 501)
    refused, made = await sink.write_references(
        [ReferenceChange(reference=long), ReferenceChange(reference=EYES)]
    )
    assert refused.id is None
    assert refused.reason == "tag: longer than 1000 bytes"
    assert made.created
