"""Types and collections of products: objects of their own in Medusa."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from catalogsync import (
    UNSET,
    Options,
    Product,
    ProductKey,
    Report,
    RetryPolicy,
    Sync,
    Variant,
    as_source,
    sync,
)
from catalogsync.adapters.medusa import MedusaSettings, MedusaSink
from catalogsync.diff.ownership import OnManualEdit

CUP = Product(
    key=ProductKey("shop", "1"),
    title="Cup",
    type="Cups",
    collection="Summer",
    variants=[Variant(id="only")],
)
PLAIN = attrs.evolve(CUP, type=UNSET, collection=UNSET)
NAMES = {
    "product-types": ("product_types", "value"),
    "collections": ("collections", "title"),
}
TYPE, COLLECTION = "type", "collection"


def settings(medusa: Any) -> MedusaSettings:
    return MedusaSettings(url=medusa.url, email=medusa.email, password=medusa.password)


async def put(sink: MedusaSink, *products: Product, **more: Any) -> Report:
    options = Options(retry=RetryPolicy(wait_initial=0, wait_jitter=0), **more)
    return await sync(as_source(products, name="shop"), sink, options=options)


async def groups(medusa: Any, id_: str = "1") -> tuple[str | None, str | None]:
    """The type and the collection of a product."""
    query = f"external_id=shop:{id_}&fields=id,type.value,collection.title"
    (row,) = (await medusa.get(f"/admin/products?{query}"))["products"]
    return (row[TYPE] or {}).get("value"), (row[COLLECTION] or {}).get("title")


async def product_id(medusa: Any) -> str:
    query = "external_id=shop:1&fields=id"
    (row,) = (await medusa.get(f"/admin/products?{query}"))["products"]
    return str(row["id"])


async def existing(medusa: Any, path: str) -> list[str]:
    """The names of all types or collections."""
    rows, name = NAMES[path]
    found = (await medusa.get(f"/admin/{path}?limit=100"))[rows]
    return sorted(row[name] for row in found)


async def test_they_are_created_once_and_compared(medusa: Any) -> None:
    other = attrs.evolve(CUP, key=ProductKey("shop", "2"))
    async with settings(medusa).open() as sink:
        assert (await put(sink, CUP, other)).counts.created == 2
        assert await groups(medusa) == await groups(medusa, "2") == ("Cups", "Summer")
        assert (await put(sink, CUP, other)).counts.unchanged == 2
        changed = attrs.evolve(CUP, type="Mugs", collection=None)
        assert (await put(sink, changed, other)).counts.updated == 1
        assert await groups(medusa) == ("Mugs", None)
        assert await groups(medusa, "2") == ("Cups", "Summer")
        assert (await put(sink, changed, other)).counts.unchanged == 2
        assert await existing(medusa, "product-types") == ["Cups", "Mugs"]
        assert await existing(medusa, "collections") == ["Summer"]


async def test_without_them_a_product_stays_as_it_is(medusa: Any) -> None:
    """Nothing is written, and no type or collection is even read."""
    async with settings(medusa).open() as sink:
        await put(sink, CUP)
        assert (await put(sink, PLAIN)).counts.unchanged == 1
        assert await groups(medusa) == ("Cups", "Summer")


async def test_groups_of_others_are_used(medusa: Any) -> None:
    """A type or a collection that exists; of two with one title, the oldest."""
    await medusa.post("/admin/product-types", {"value": "Cups"})
    ids = [
        (await medusa.post("/admin/collections", {"title": "Summer", "handle": h}))[
            COLLECTION
        ]["id"]
        for h in ("first", "second")
    ]
    async with settings(medusa).open() as sink:
        await put(sink, CUP)
        assert (await put(sink, CUP)).counts.unchanged == 1
    query = "external_id=shop:1&fields=id,collection_id"
    (row,) = (await medusa.get(f"/admin/products?{query}"))["products"]
    assert row["collection_id"] == ids[0]
    assert await existing(medusa, "product-types") == ["Cups"]


@pytest.mark.parametrize(
    "titles",
    [
        ("Summer", "summer!", "SUMMER"),
        ("夏", "冬", "!", "?"),
        ("null", "a, b", "a", "100%_of ?"),
        (" edge ", "edge"),
    ],
)
async def test_titles_whose_handles_collide(
    medusa: Any, titles: tuple[str, ...]
) -> None:
    """Each name is a type and a collection of its own, whatever its letters are."""
    products = [
        attrs.evolve(CUP, key=ProductKey("shop", str(n)), type=title, collection=title)
        for n, title in enumerate(titles)
    ]
    async with settings(medusa).open() as sink:
        report = await put(sink, *products)
        assert report.counts.created == len(titles), report
        for number, title in enumerate(titles):
            assert await groups(medusa, str(number)) == (title, title)
        assert (await put(sink, *products)).counts.unchanged == len(titles)
    assert await existing(medusa, "collections") == sorted(titles)


async def test_a_manual_edit(medusa: Any) -> None:
    row = (await medusa.post("/admin/product-types", {"value": "Theirs"}))[
        "product_type"
    ]
    edit = {"type_id": row["id"], "collection_id": None}
    async with settings(medusa).open() as sink:
        await put(sink, CUP)
        await medusa.post(f"/admin/products/{await product_id(medusa)}", edit)
        kept = await put(sink, CUP, on_manual_edit=OnManualEdit.KEEP)
        assert kept.counts.unchanged == 1
        diffs = [(e.diff.path, e.diff.old, e.diff.new) for e in kept.manual_edits]
        assert diffs == [("type", "Theirs", "Cups"), ("collection", None, "Summer")]
        assert await groups(medusa) == ("Theirs", None)
        assert (await put(sink, CUP, verify=1)).counts.updated == 1
        assert await groups(medusa) == ("Cups", "Summer")


@pytest.mark.parametrize(
    ("path", "rest"),
    [("product-types", (None, "Summer")), ("collections", ("Cups", None))],
)
async def test_a_group_that_people_deleted_is_made_again(
    medusa: Any, path: str, rest: tuple[str | None, ...]
) -> None:
    """The product keeps the id of the deleted one, beside null."""
    column = "type_id" if path == "product-types" else "collection_id"
    async with settings(medusa).open() as sink:
        await put(sink, CUP)
        (row,) = (await medusa.get(f"/admin/{path}"))[NAMES[path][0]]
        await medusa.ask("DELETE", f"/admin/{path}/{row['id']}")
        assert await groups(medusa) == rest
        query = f"external_id=shop:1&fields=id,{column}"
        (product,) = (await medusa.get(f"/admin/products?{query}"))["products"]
        assert product[column] == row["id"]
        assert (await put(sink, CUP)).counts.updated == 1
        assert await groups(medusa) == ("Cups", "Summer")
        assert (await put(sink, CUP)).counts.unchanged == 1


async def test_a_plan_names_what_it_would_create(medusa: Any) -> None:
    seen: list[Any] = []
    async with settings(medusa).open() as sink:
        await Sync(as_source([CUP], name="shop"), sink).plan(seen.append)
    names = [
        str(change.reference.kind) for change in seen if hasattr(change, "reference")
    ]
    assert sorted(names) == [COLLECTION, TYPE]
    assert await existing(medusa, "collections") == []
