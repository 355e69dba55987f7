"""The SQL sink: what an update changes, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.adapters.sql_databases import Hand
from tests.adapters.sql_products import (
    apply,
    found,
    planned,
    price,
    product,
    variant,
)

from catalogsync.adapters.sql import SQLSink
from catalogsync.catalog.products import (
    Category,
    Field,
    Image,
    StockLevel,
    Variant,
)
from catalogsync.errors import ConflictError

# --- what it changes and what it leaves alone ---

ROWS = {
    Field.IMAGES: "SELECT * FROM image ORDER BY position",
    Field.CATEGORIES: "SELECT * FROM product_category ORDER BY category_id",
    Field.TAGS: "SELECT * FROM product_tag ORDER BY tag_id",
    Field.VARIANTS: "SELECT * FROM variant ORDER BY id",
    Field.OPTIONS: "SELECT * FROM variant_option ORDER BY variant_id",
    Field.PRICES: "SELECT * FROM price ORDER BY currency",
    Field.STOCK: "SELECT * FROM stock_level ORDER BY id",
}
CHANGES: dict[Field, dict[str, Any]] = {
    Field.TITLE: {"title": "New"},
    Field.IMAGES: {"images": [Image(url="https://example.com/new.webp")]},
    Field.CATEGORIES: {"categories": [Category(id="new", name="New")]},
    Field.TAGS: {"tags": ["newer"]},
    Field.OPTIONS: {"variants": [variant(options={"Color": "Red"})]},
    Field.PRICES: {"variants": [variant(prices=[price("1", "EUR")])]},
    Field.STOCK: {"variants": [variant(stock=[StockLevel(quantity=9)])]},
    Field.SKU: {"variants": [variant(sku="NEW")]},
}


@pytest.mark.parametrize("field", CHANGES)
async def test_an_update_touches_only_what_changed(
    sink: SQLSink, hand: Hand, field: Field
) -> None:
    """Rows of other tables are the same rows afterwards, ids included."""
    await apply(sink, product())
    before = {name: await hand(rows) for name, rows in ROWS.items()}
    (change,) = await apply(sink, product(**CHANGES[field]))
    assert change.fields == {field}
    after = {name: await hand(rows) for name, rows in ROWS.items()}
    tables = {Field.SKU: {Field.VARIANTS}, Field.TITLE: set[Field]()}
    touched = tables.get(field, {field})
    assert {name for name in ROWS if before[name] != after[name]} == touched


async def test_an_update_leaves_other_columns_alone(sink: SQLSink, hand: Hand) -> None:
    """What others did to fields that the source does not own stays."""
    await apply(sink, product())
    await hand("UPDATE product SET status = 'draft', created_at = '2001-02-03 00:00'")
    (change,) = await planned(sink, product(title="New", brand=None))
    assert Field.STATUS not in change.fields
    await sink.write([change])
    ((title, brand, status, created),) = await hand(
        "SELECT title, brand, status, created_at FROM product"
    )
    assert (title, brand, status) == ("New", None, "draft")
    assert str(created).startswith("2001-02-03")


async def test_elements_that_others_added_stay(sink: SQLSink, hand: Hand) -> None:
    """Also where the lists that they stand in are written again."""
    await apply(sink, product())
    await hand("INSERT INTO tag (text) VALUES ('theirs')")
    await hand("INSERT INTO category (name) VALUES ('Sale')")
    await hand(
        "INSERT INTO product_tag SELECT product.id, tag.id FROM product, tag"
        " WHERE text = 'theirs'"
    )
    await hand(
        "INSERT INTO product_category SELECT product.id, category.id"
        " FROM product, category WHERE name = 'Sale'"
    )
    await hand(
        "INSERT INTO image (product_id, position, url)"
        " SELECT id, 7, 'theirs.webp' FROM product"
    )
    await hand("INSERT INTO price SELECT id, 'CHF', 8 FROM variant")
    await apply(
        sink,
        product(
            tags=["newer"],
            categories=[Category(id="new", name="New")],
            images=[Image(url="new.webp")],
            variants=[variant(prices=[price("1")])],
        ),
    )
    ours = await found(sink)
    assert sorted(ours.product.tags or ()) == ["newer", "theirs"]
    assert ours.product.categories == (Category(id="new", name="New"),)
    assert sorted(ours.references[Field.CATEGORIES].values()) == ["New", "Sale"]
    assert {image.url for image in ours.product.images or ()} == {
        "new.webp",
        "theirs.webp",
    }
    assert ours.product.variants
    assert set(ours.product.variants[0].prices or ()) == {price("1"), price("8", "CHF")}


async def test_what_others_add_after_it_was_found_stays(
    sink: SQLSink, hand: Hand
) -> None:
    """Only the difference to what was found is written."""
    await apply(sink, product())
    await hand("INSERT INTO tag (text) VALUES ('theirs')")
    await hand("INSERT INTO category (name) VALUES ('Sale')")
    changes = await planned(
        sink,
        product(
            tags=["newer"],
            categories=[Category(id="new", name="New")],
            images=[Image(url="new.webp")],
            variants=[
                variant(
                    prices=[price("1")],
                    stock=[StockLevel(quantity=1)],
                    options={"Color": "Red"},
                )
            ],
        ),
    )
    for addition in (
        "product_tag SELECT product.id, tag.id FROM product, tag WHERE text = 'theirs'",
        "product_category SELECT p.id, c.id FROM product p, category c WHERE name = 'Sale'",
        "image (product_id, position, url) SELECT id, 0, 'theirs.webp' FROM product",
        "price SELECT id, 'CHF', 8 FROM variant",
        "stock_level (variant_id, location, quantity) SELECT id, 'Rome', 6 FROM variant",
        "variant_option (variant_id, name, value) SELECT id, 'Cut', 'A' FROM variant",
    ):
        await hand(f"INSERT INTO {addition}")
    await sink.write(changes)
    ours = await found(sink)
    assert sorted(ours.references[Field.CATEGORIES].values()) == ["New", "Sale"]
    assert ours.product.variants
    (existing,) = ours.product.variants
    assert {
        "tags": set(ours.product.tags or ()),
        "images": {image.url for image in ours.product.images or ()},
        "prices": set(existing.prices or ()),
        "stock": {level.location: level.quantity for level in existing.stock or ()},
        "options": existing.options,
    } == {
        "tags": {"newer", "theirs"},
        "images": {"new.webp", "theirs.webp"},
        "prices": {price("1"), price("8", "CHF")},
        "stock": {None: 1, "Berlin": 4, "Rome": 6},
        "options": {"Color": "Red", "Cut": "A"},
    }


async def test_two_add_the_same_after_it_was_found(sink: SQLSink, hand: Hand) -> None:
    """The same image twice is one image; the same price is a conflict."""
    await apply(sink, product())
    more = product(images=[Image(url="new.webp")], variants=[variant(sku="NEW")])
    changes = await planned(sink, more)
    await hand(
        "INSERT INTO image (product_id, position, url)"
        " SELECT id, 9, 'new.webp' FROM product"
    )
    await sink.write(changes)
    assert (await found(sink)).product.images == (Image(url="new.webp"),)
    prices = [price("9.99"), price("8", "CHF")]
    changes = await planned(sink, product(variants=[variant(prices=prices)]))
    await hand("INSERT INTO price SELECT id, 'CHF', 7 FROM variant")
    with pytest.raises(ConflictError):
        await sink.write(changes)


async def test_images_are_in_the_order_of_the_source(sink: SQLSink, hand: Hand) -> None:
    """Also after a person has moved or removed some."""
    await apply(sink, product(images=[Image(url=u) for u in "abc"]))
    await hand("DELETE FROM image WHERE url = 'a'")
    await hand("UPDATE image SET position = position + 5")
    after = tuple(Image(url=u) for u in "bcd")
    await apply(sink, product(images=after))
    assert (await found(sink)).product.images == after


async def test_variants_are_added_changed_and_removed(
    sink: SQLSink, hand: Hand
) -> None:
    """Existing that left go, others' stay, and nothing of a removed one remains."""
    await apply(sink, product(variants=[variant("S"), variant("M")]))
    await hand(
        "INSERT INTO variant (product_id, source_id) SELECT id, 'XS' FROM product"
    )
    await hand(
        "INSERT INTO variant_option (variant_id, name, value)"
        " SELECT id, 'Size', 'XS' FROM variant WHERE source_id = 'XS'"
    )
    after = [variant("M", sku="NEW", prices=[]), variant("L")]
    await apply(sink, product(variants=after))
    ours = await found(sink)
    theirs = Variant(
        id="XS",
        sku=None,
        barcode=None,
        weight=None,
        dimensions=None,
        options={"Size": "XS"},
        prices=(),
        stock=(),
    )
    assert ours.product.variants
    assert {each.id: each for each in ours.product.variants} == {
        "M": after[0],
        "L": after[1],
        "XS": theirs,
    }
    assert await hand("SELECT count(*) FROM variant_option") == [(3,)]


async def test_rows_without_a_key_are_never_touched(sink: SQLSink, hand: Hand) -> None:
    """Another program's products share the tables."""
    await sink.write([])
    await hand("INSERT INTO product (title) VALUES ('Theirs')")
    await hand("INSERT INTO product (title, source_id) VALUES ('Theirs too', '1')")
    theirs = "SELECT * FROM product WHERE source IS NULL ORDER BY id"
    before = await hand(theirs)
    await apply(sink, product())
    await apply(sink, product(title="New"))
    assert await hand(theirs) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_text_that_is_no_text_hurts_no_other(sink: SQLSink, hand: Hand) -> None:
    """SQLite takes any bytes; the next sync puts them right."""
    await apply(sink, product("1"), product("2"))
    await hand(
        "UPDATE product SET title = CAST(X'4dfc6c' AS TEXT) WHERE source_id = '1'"
    )
    assert (await found(sink)).product.title == "M\ufffdl"
    (change,) = await apply(sink, product("1"), product("2"))
    assert change.fields == {Field.TITLE}
    assert await planned(sink, product("1"), product("2")) == []


async def test_a_circle_of_categories_ends(sink: SQLSink, hand: Hand) -> None:
    """Somebody made each category the other's parent."""
    await apply(sink, product())
    await hand(
        "UPDATE category SET parent_id ="
        " (SELECT id FROM category AS other WHERE other.id <> category.id)"
    )
    ours = await found(sink)
    assert {each.id for each in ours.product.categories or ()} == {"beauty", "eyes"}
