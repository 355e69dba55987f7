"""The SQL sink: where it is, what it owns, and taking products away."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.adapters.sql_databases import POSTGRES, Hand
from tests.adapters.sql_products import (
    KEY,
    apply,
    find_one,
    found,
    product,
)
from tests.engine.fakes import LookupSource
from tests.strategies import product_keys

from catalogsync import Options, Page, Prune, as_source, sync
from catalogsync.adapters.sql import SQLSettings, SQLSink
from catalogsync.catalog.changes import Action, Change, Existing, Update
from catalogsync.catalog.outcomes import OutcomeStatus
from catalogsync.catalog.products import (
    UNSET,
    Field,
    Product,
    ProductKey,
    ProductStatus,
)
from catalogsync.diff.last_applied import LastApplied
from catalogsync.engine.removing import removal
from catalogsync.errors import ConflictError
from catalogsync.protocols import AdoptingSink, HandleSink, HasEndpoint, RemovingSink

TABLES = (
    *("product", "image", "product_category", "product_tag", "variant"),
    *("variant_option", "price", "stock_level", "category", "tag"),
)
PRUNING = (Action.UNPUBLISH, Action.DELETE, Action.RELEASE)
_numbers = count(1)


async def pages(sink: SQLSink, source: str = "shop") -> list[list[Existing]]:
    """All that the sink owns of a source."""
    return [list(page) async for page in sink.owned(source)]


async def pruned(sink: SQLSink, action: Action, *ids: str) -> list[Change]:
    """The changes that take these products away, as the engine makes them."""
    existing = [ours for page in await pages(sink) for ours in page]
    return [
        removal(ours, action)
        for ours in existing
        if not ids or ours.product.key.id in ids
    ]


def names_in(folder: Path) -> list[str]:
    """The files of a folder."""
    return [file.name for file in folder.iterdir()]


async def all_rows(hand: Hand) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the database, but for the times."""
    rows = {name: await hand(f"SELECT * FROM {name} ORDER BY 1, 2") for name in TABLES}
    rows["product"] = [row[:-2] for row in rows["product"]]
    return rows


# --- where it is ---


def test_has_these_abilities(sink: SQLSink) -> None:
    """The engine asks an object for its abilities by protocol."""
    for protocol in (RemovingSink, AdoptingSink, HasEndpoint):
        assert isinstance(sink, protocol)
    assert not isinstance(sink, HandleSink)


async def test_a_file_is_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However its path is written."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    paths = ("folder/a.db", "folder/../link/a.db", f"{tmp_path}/folder/a.db")
    places: set[str] = set()
    for path in (*paths, "folder/b.db"):
        async with SQLSettings(url=f"sqlite:///{path}").open() as sink:
            places.add(sink.endpoint)
    assert places == {f"sqlite:///{tmp_path}/folder/{name}.db" for name in "ab"}


async def test_each_database_in_memory_is_its_own_place() -> None:
    """And the same one for as long as it is open."""
    settings = SQLSettings(url="sqlite://")
    async with settings.open() as one, settings.open() as other:
        assert one.endpoint == one.endpoint != other.endpoint


@pytest.mark.parametrize("database", POSTGRES, indirect=True)
async def test_a_server_is_identified_by_database_and_schema(
    database: str, hand: Hand
) -> None:
    """Not by who asks, and no secret is in it."""
    from sqlalchemy import make_url

    url = make_url(database)
    address = f"postgresql://{url.host}:{url.port}/{url.database}"
    for schema in ("public", "other"):
        await hand(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        await hand(f"ALTER ROLE CURRENT_USER SET search_path = {schema}")
        async with SQLSettings(url=f"{database}?sslmode=disable").open() as sink:
            assert sink.endpoint == f"{address}/{schema}"
            assert url.password
            assert url.password not in sink.endpoint
    await hand("ALTER ROLE CURRENT_USER RESET search_path")
    await hand("DROP SCHEMA other")


# --- what it owns ---


async def test_nothing_is_owned_before_the_first_write(
    sink: SQLSink, tmp_path: Path
) -> None:
    """And looking makes no file."""
    assert await pages(sink) == []
    assert names_in(tmp_path) == []


async def test_owns_what_has_a_key_of_the_source(sink: SQLSink, hand: Hand) -> None:
    """With its title, status, last-applied state and row; no products of others."""
    other = attrs.evolve(product(), key=ProductKey("other", "1"))
    await apply(sink, product("1"), other, product("2", title="Two"))
    await hand("INSERT INTO product (title, source_id) VALUES ('Theirs', '3')")
    await hand("INSERT INTO product (title, source) VALUES ('No id', 'shop')")
    (page,) = await pages(sink)
    assert page == [
        Existing(
            product=Product(key=key, title=title, status=ProductStatus.PUBLISHED),
            last_applied=(await found(sink, key)).last_applied,
            native=(await found(sink, key)).native,
        )
        for key, title in ((KEY, "Mascara"), (ProductKey("shop", "2"), "Two"))
    ]


_MANY = (
    "INSERT INTO product (source, source_id, title) WITH RECURSIVE n(n) AS"
    " (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)"
    " SELECT 'shop', n, 'T' FROM n"
)


async def test_owns_many_and_is_changed_meanwhile(sink: SQLSink, hand: Hand) -> None:
    """Each appears once, even if others are unpublished and deleted between the pages."""
    await sink.write([])
    await hand(_MANY)
    sizes: list[int] = []
    seen: list[str] = []
    async for page in sink.owned("shop"):
        ids = [ours.product.key.id for ours in page]
        sizes.append(len(ids))
        seen += ids
        await sink.write(await pruned(sink, Action.UNPUBLISH, *ids[:600]))
        await sink.write(await pruned(sink, Action.DELETE, *ids[600:]))
    assert sizes == [1000, 1000, 500]
    assert seen == [str(n) for n in range(1, 2501)]


@pytest.mark.parametrize("word", ["sold", ""])
async def test_what_people_typed_in_is_owned_all_the_same(
    sink: SQLSink, hand: Hand, word: str
) -> None:
    """A product that is not valid can be removed."""
    await apply(sink, product())
    await hand(f"UPDATE product SET status = '{word}', title = ''")
    await hand(
        "INSERT INTO product (source, source_id, title) VALUES ('shop', '', 'T')"
    )
    ((ours,),) = await pages(sink)
    assert (ours.product.status, ours.product.title) == (UNSET, "1")
    await sink.write(await pruned(sink, Action.UNPUBLISH))
    ((ours, *_),) = await pages(sink)
    assert ours.product.status is ProductStatus.DRAFT


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ids=st.sets(product_keys().map(lambda key: key.id), min_size=1, max_size=6))
async def test_odd_keys_are_owned_and_pruned(
    sink: SQLSink, hand: Hand, ids: set[str]
) -> None:
    """Whatever an id looks like, one is deleted and the others stay."""
    source = f"source-{next(_numbers)}"
    keys = [ProductKey(source, id_) for id_ in sorted(ids)]
    await apply(sink, *(Product(key=key, title="T") for key in keys))
    (page,) = await pages(sink, source)
    assert [ours.product.key for ours in page] == keys
    for action, ours in zip((Action.DELETE, Action.RELEASE), page, strict=False):
        await sink.write([removal(ours, action)])
    rest = [ours.product.key for page in await pages(sink, source) for ours in page]
    assert rest == keys[2:]
    await hand("DELETE FROM product")


# --- taking away ---


async def test_unpublish_makes_it_a_draft(sink: SQLSink, hand: Hand) -> None:
    """Status and last-applied state, and nothing else of it or of others."""
    await apply(sink, product("1"), product("2"))
    before = await all_rows(hand)
    (outcome,) = await sink.write(await pruned(sink, Action.UNPUBLISH, "1"))
    assert outcome.status is OutcomeStatus.REMOVED
    ((status, last_applied),) = await hand(
        "SELECT status, receipt FROM product WHERE source_id = '1'"
    )
    assert status == "draft"
    assert LastApplied.parse(last_applied).unpublished
    await hand(
        "UPDATE product SET status = 'published', receipt ="
        " (SELECT receipt FROM product WHERE source_id = '2') WHERE source_id = '1'"
    )
    last_applied = {row[-1] for row in before["product"]}
    assert len(last_applied) == 1  # both were written alike
    assert await all_rows(hand) == before


async def test_delete_takes_all_of_it(sink: SQLSink, hand: Hand) -> None:
    """Of this product and no other; categories and tags are not part of it."""
    await apply(sink, product("1"))
    before = await all_rows(hand)
    await apply(sink, product("2"), product("3"))
    for outcome in await sink.write(await pruned(sink, Action.DELETE, "2", "3")):
        assert outcome.status is OutcomeStatus.REMOVED
    assert await all_rows(hand) == before
    await sink.write(await pruned(sink, Action.DELETE))
    left = {name for name, rows in (await all_rows(hand)).items() if rows}
    assert left == {"category", "tag"}


async def test_deleting_what_is_gone_is_fine(sink: SQLSink, hand: Hand) -> None:
    """The rest of the batch is deleted, and what is theirs by now is not."""
    await apply(sink, product("1"), product("2"), product("3"))
    changes = await pruned(sink, Action.DELETE)
    await hand("DELETE FROM product WHERE source_id = '1'")
    await hand("UPDATE product SET source = NULL WHERE source_id = '2'")
    assert len(await sink.write(changes)) == 3
    await sink.write(changes)
    assert await hand("SELECT source_id FROM product") == [("2",)]


async def test_release_takes_off_key_and_last_applied(
    sink: SQLSink, hand: Hand
) -> None:
    """All else stays, what others added to it included, and it is found no more."""
    await apply(sink, product("1"), product("2"))
    await hand("INSERT INTO price SELECT id, 'CHF', 8 FROM variant")
    columns = "source, source_id, receipt"
    before, key = await all_rows(hand), await hand(f"SELECT {columns} FROM product")
    (change,) = await pruned(sink, Action.RELEASE, "1")
    assert await sink.write([change]) == [change.done()]
    released = "FROM product WHERE source IS NULL"
    assert await hand(f"SELECT {columns} {released}") == [(None, None, None)]
    assert await find_one(sink) is None
    assert [ours.product.key.id for page in await pages(sink) for ours in page] == ["2"]
    await hand(
        "UPDATE product SET source = 'shop', source_id = '1', receipt = :last_applied"
        " WHERE source IS NULL",
        last_applied=key[0][-1],
    )
    assert await all_rows(hand) == before


@pytest.mark.parametrize("action", PRUNING)
@pytest.mark.parametrize(
    "removal", ["DELETE FROM product", "UPDATE product SET source = NULL"]
)
async def test_what_was_removed_meanwhile(
    sink: SQLSink, hand: Hand, action: Action, removal: str
) -> None:
    """A product that was deleted and created again is another one, and stays."""
    await apply(sink, product("0"), product("1"))
    changes = await pruned(sink, action)
    await hand(f"{removal} WHERE source_id = '1'")
    if action is not Action.DELETE:
        with pytest.raises(ConflictError):
            await sink.write(changes)
    await apply(sink, product("1", title="Made again"))
    before = await all_rows(hand)
    with pytest.raises(ConflictError):
        await sink.write(changes)
    assert await all_rows(hand) == before


async def test_status_is_a_field(sink: SQLSink, hand: Hand) -> None:
    """It is found if requested, and an update writes it."""
    await apply(sink, product())
    existing = await found(sink)
    draft = attrs.evolve(existing.product, status=ProductStatus.DRAFT)
    await sink.write(
        [
            Update(
                product=draft,
                fields=frozenset({Field.STATUS}),
                last_applied="after",
                existing=existing,
            )
        ]
    )
    assert (await found(sink)).product == draft
    assert await hand("SELECT status FROM product") == [("draft",)]
    lean = await find_one(sink, fields=frozenset())
    assert isinstance(lean, Existing)
    assert lean.product.status is UNSET


@pytest.mark.parametrize("last_applied", [None, "{broken"])
async def test_a_product_without_a_readable_last_applied_is_nobodys(
    sink: SQLSink, hand: Hand, last_applied: str | None
) -> None:
    """Neither a job that never saw it nor one without a name takes it away."""
    ones = [product(str(n)) for n in range(3)]
    await sync(as_source(ones[:2], name="shop"), sink, job="ones")
    damage = "UPDATE product SET receipt = :last_applied WHERE source_id = '0'"
    await hand(damage, last_applied=last_applied)
    options = Options(prune=Prune.DELETE, max_prune=9)
    for job in ("", "others", "ones"):
        source = LookupSource(products=ones[2:])
        await sync(source, sink, options=options, job=job)
    left = await hand("SELECT source_id FROM product ORDER BY 1")
    assert left == [("0",), ("2",)]


async def test_one_that_is_published_while_the_source_is_asked_stays(
    sink: SQLSink, hand: Hand
) -> None:
    class Slow(LookupSource):
        async def get(self, keys: Sequence[ProductKey], /) -> Page:
            await hand("UPDATE product SET status = 'published' WHERE source_id = '1'")
            return await super().get(keys)

    ones = [product(str(n)) for n in range(3)]
    await sync(as_source(ones, name="shop"), sink)
    left = ones[:1]
    draft = Options(prune=Prune.UNPUBLISH, max_prune=9)
    await sync(LookupSource(products=left), sink, options=draft)
    options = Options(prune=Prune.DELETE, max_prune=9)
    report = await sync(Slow(products=left), sink, options=options)
    assert report.counts.removed == 1
    assert await hand("SELECT source_id FROM product ORDER BY 1") == [("0",), ("1",)]
