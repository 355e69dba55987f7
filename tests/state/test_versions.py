"""State stores of every version that was published are read by this code.

`versions/v1.sql` is what version 1 of the schema left behind, and so on; the file of
a new version holds the same values. SQLite and PostgreSQL read the same files; what
they index instead of an id stands there as `{key}`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.adapters.sql_databases import Hand

from catalogsync.catalog.drafts import Outline, Unchanged
from catalogsync.catalog.outcomes import Outcome, OutcomeStatus, WrittenProduct
from catalogsync.catalog.products import Category, Field, ProductKey
from catalogsync.report import Counts, Report, RunStatus
from catalogsync.state import (
    HasImages,
    HasOutbox,
    Message,
    StateSettings,
    StoredImage,
    _schema,
)
from catalogsync.state.protocols import (
    BusyError,
    FailedProduct,
    HistoryEntry,
    RunRecord,
    StateError,
    Trigger,
)

VERSIONS = sorted(Path(__file__).with_name("versions").glob("v*.sql"))
DIGEST = {
    "sqlite": "id",
    "postgres": "sha256(CAST(replace(id, chr(92), chr(92) || chr(92)) AS BYTEA))",
}
A, B, C = (ProductKey("pim", id_) for id_ in "abc")


async def load(version: Path, url: str, hand: Hand) -> None:
    """Make the store as that version left it."""
    script = version.read_text(encoding="utf-8")  # noqa: ASYNC240
    number = version.stem.removeprefix("v")
    script = script.replace("{key}", DIGEST[url.partition(":")[0]])
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        file.parent.mkdir()
        marks = f"PRAGMA application_id = 1667331187; PRAGMA user_version = {number};"
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(script + marks)
        return
    marks = (
        "CREATE TABLE catalogsync_version (version BIGINT NOT NULL);\n"
        f"INSERT INTO catalogsync_version VALUES ({number});\n"
    )
    for statement in (script + marks).split(";\n")[:-1]:
        await hand(statement)


def test_every_version_has_its_file() -> None:
    """So that none is forgotten."""
    assert [file.stem for file in VERSIONS] == [
        f"v{number}" for number in range(1, len(_schema.MIGRATIONS) + 1)
    ]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda file: file.stem)
async def test_an_older_store_is_read(version: Path, url: str, hand: Hand) -> None:
    """All that is in it."""
    await load(version, url, hand)
    for _ in range(2):
        async with StateSettings(url=url, keep_days=1e6).open() as store:
            assert await store.runs() == [
                RunRecord(
                    run_id="r2",
                    job="nightly",
                    source="pim",
                    sink="shop",
                    started_at=2000.0,
                ),
                RunRecord(
                    run_id="r1",
                    job="nightly",
                    source="pim",
                    sink="shop",
                    started_at=1000.5,
                    partial=True,
                    finished_at=1003.0,
                    status=RunStatus.DEGRADED,
                    report=Report(
                        run_id="r1",
                        job="",
                        status=RunStatus.DEGRADED,
                        counts=Counts(removed=3, unresolved=1),
                        started_at=1000.5,
                        duration_s=2.5,
                        problem="Füße",
                    ),
                ),
            ]
            updated = Outcome(A, OutcomeStatus.UPDATED)
            refused = Outcome(B, OutcomeStatus.FAILED, "no price", "HTTP 400\0")
            fields = ("title", "variants.1.sku")
            assert await store.history("nightly", A) == [
                HistoryEntry(run_id="r1", at=1001.25, outcome=updated, fields=fields)
            ]
            assert await store.history("nightly", B) == [
                HistoryEntry(run_id="r1", at=1001.5, outcome=refused)
            ]
            removed = Outcome(C, OutcomeStatus.REMOVED)
            unresolved = Outcome(C, OutcomeStatus.UNRESOLVED, "no answer")
            assert await store.history("nightly", C) == [
                HistoryEntry(run_id="r1", at=1001.0, outcome=unresolved),
                HistoryEntry(run_id="r1", at=1000.75, outcome=removed),
            ]
            assert await store.failures("nightly") == [
                FailedProduct(
                    key=B,
                    reason="no price",
                    said="HTTP 400\0",
                    payload={"title": "Boot"},
                    attempts=2,
                    first_at=900.0,
                    last_at=1001.5,
                    run_id="r1",
                )
            ]
            (intent,) = (await store.intents("shop", "pim")).values()
            assert (intent.key, intent.handle, intent.run_id) == (A, "shoe", "r2")
            assert await store.remembered("shop", [A, B]) == {A}
            if version.stem >= "v5":
                pans = Category(
                    id="pans", name="Pans", parent=Category(id="pots", name="Pots")
                )
                outline = Outline(
                    fields=frozenset({Field.TAGS, Field.TITLE}),
                    categories=(pans,),
                    tags=("new",),
                )
                assert await store.unchanged("shop", [A, B]) == {
                    A: Unchanged(record="1f", row="2e", outline=outline)
                }
            if version.stem >= "v6":
                assert isinstance(store, HasOutbox)
                assert await store.outbox.unconfirmed("nightly", "shop") == [
                    WrittenProduct(
                        key=A,
                        status=OutcomeStatus.UPDATED,
                        fields=("title",),
                        handle="shoe",
                        sink_id="prod_1",
                    )
                ]
                gone = WrittenProduct(
                    key=C, status=OutcomeStatus.REMOVED, sink_id="prod_3"
                )
                assert await store.outbox.messages("nightly") == [
                    Message(
                        id="msg_1",
                        job="nightly",
                        receiver="storefront",
                        products=(gone,),
                        at=1001.0,
                        attempts=2,
                        problem="HTTP 500",
                    )
                ]
            if version.stem >= "v8":
                assert await store.snapshots("shop", [A, B]) == {A: 1795519134.5}
            asked = {"job": "nightly", "at": 1795519134.5}
            assert await store.triggers() == [
                Trigger(id=7, keys=(A, B), by="a webhook", **asked),
                Trigger(id=8, **asked),
            ]


async def test_older_images_are_read(url: str, hand: Hand) -> None:
    """By their address."""
    await load(VERSIONS[8], url, hand)
    address = "https://pim.example/a.png"
    stored = StoredImage(
        url="https://shop.example/a.png",
        file_id="f1",
        digest="d1",
        etag='"1"',
        modified="Mon, 30 Nov 2026 12:00:00 GMT",
    )
    async with StateSettings(url=url, keep_days=1e6).open() as store:
        assert isinstance(store, HasImages)
        assert await store.images.images("shop", [address]) == {address: stored}


@pytest.mark.parametrize("version", VERSIONS, ids=lambda file: file.stem)
async def test_an_older_store_goes_on(version: Path, url: str, hand: Hand) -> None:
    """Its numbers, its lease and what was absent count."""
    await load(version, url, hand)
    async with StateSettings(url=url).open() as store:
        existing = await store.take_lease("shop <- pim", "me", ttl=60)
        assert isinstance(existing, BusyError)
        assert existing.holder == "job nightly"
        assert (await store.add_trigger("nightly")).id == 9
        assert await store.note_absences("nightly", "shop", "r2", [A, B]) == {B}
        assert isinstance(store, HasOutbox)
        packed = await store.outbox.pack("nightly", ["storefront"], most=100)
        assert packed == (1 if version.stem >= "v6" else 0)


async def test_a_migration_that_fails(
    url: str, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before it stay, and it leaves nothing behind; the next time it is done."""
    known = _schema.MIGRATIONS
    second = "CREATE TABLE two (x {text}); INSERT INTO two VALUES ('done')"
    third = "CREATE TABLE three (x {text}); INSERT INTO four VALUES ('done')"
    settings = StateSettings(url=url)
    async with settings.open() as store:
        trigger = await store.add_trigger("nightly")

    monkeypatch.setattr(_schema, "MIGRATIONS", (*known, second, third))
    with pytest.raises(StateError, match="four"):
        async with settings.open():
            pass
    assert await hand("SELECT x FROM two") == [("done",)]

    monkeypatch.setattr(
        _schema, "MIGRATIONS", (*known, second, third.replace("four", "three"))
    )
    async with settings.open() as store:
        assert await store.triggers() == [trigger]
    assert await hand("SELECT x FROM three") == [("done",)]
