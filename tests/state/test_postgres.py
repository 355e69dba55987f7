"""A state store on PostgreSQL, when the server does not do what it should."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import make_url
from tests.adapters.sql_databases import Hand, assert_no_secret

from catalogsync.errors import MisconfiguredError
from catalogsync.state import StateSettings
from catalogsync.state.protocols import StateError, StateStore

from .conftest import REAL
from .values import failed

pytestmark = pytest.mark.parametrize("url", REAL, indirect=True)


def changed(url: str, **parts: Any) -> str:
    """The URL with other parts."""
    return make_url(url).set(**parts).render_as_string(hide_password=False)


async def refused(url: str, error: type[Exception] = StateError) -> str:
    """What is said when the store cannot be opened: one line without a password."""
    with pytest.raises(error) as caught:
        async with StateSettings(url=url).open():
            pass
    assert_no_secret(caught.value, str(make_url(url).password))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"password": "s3cret"}, "does not accept the user or the password"),
        ({"database": "nowhere"}, "does not exist on the server: create the database"),
        ({"query": {"sslmode": "maybe"}}, "`sslmode` parameter must be one of"),
        ({"query": {"sslmode": "require"}}, "rejected SSL"),
        ({"port": 1}, "cannot be reached"),
    ],
    ids=["password", "database", "sslmode", "ssl", "down"],
)
async def test_a_server_that_does_not_let_us_in(
    url: str, part: Any, message: str
) -> None:
    """The store is named, and what to do."""
    url = changed(url, **part)
    parsed = make_url(url)
    found = await refused(url)
    assert message in found
    assert f"{parsed.host}:{parsed.port}/{parsed.database}" in found


async def test_a_parameter_that_does_not_exist(url: str) -> None:
    """A mistake in the settings."""
    url = changed(url, query={"colour": "red"})
    assert "colour" in await refused(url, MisconfiguredError)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
async def test_the_names_of_the_scheme(url: str, scheme: str) -> None:
    """Without encryption, if requested."""
    url = changed(url, drivername=scheme, query={"sslmode": "disable"})
    async with StateSettings(url=url).open() as store:
        assert await store.runs() == []
        assert str(make_url(url).password) not in repr(store)


async def test_a_store_of_a_newer_version(url: str, hand: Hand) -> None:
    """It is left alone."""
    async with StateSettings(url=url).open():
        pass
    await hand("UPDATE catalogsync_version SET version = 99")
    assert "upgrade this one" in await refused(url)
    assert await hand("SELECT version FROM catalogsync_version") == [(99,)]


async def test_text_has_the_same_order_on_every_server(
    store: StateStore, hand: Hand
) -> None:
    """Whatever order the database has by default."""
    found = await hand(
        "SELECT DISTINCT collation_name, table_schema FROM information_schema.columns"
        " WHERE table_name LIKE 'catalogsync%' AND data_type = 'text'"
    )
    assert found == [("C", "public")]
    assert await store.runs() == []


async def test_tables_that_somebody_removed(store: StateStore, hand: Hand) -> None:
    """Found when they are read."""
    await hand("DROP TABLE catalogsync_failure")
    with pytest.raises(StateError, match="has unexpected tables"):
        await store.failures("nightly")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("26000", "behind a pooler"),
        ("42501", "is not open to this user"),
        ("42601", "does not understand a statement"),
        ("42703", "a column is missing"),
        ("42804", "a column has another type"),
        ("42883", "a column has another type"),
        ("42P01", "a table is missing"),
        ("42P05", "behind a pooler"),
        ("42P07", "belongs to something else"),
        ("42P10", "a unique index is missing"),
        ("42P17", "refuses a statement"),
    ],
)
async def test_what_the_server_refuses(
    store: StateStore, hand: Hand, state: str, message: str
) -> None:
    """Each code says what it means, and no advice destroys anything."""
    await hand(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END $$"
    )
    await hand(
        "CREATE TRIGGER fail BEFORE INSERT ON catalogsync_failure"
        " FOR EACH ROW EXECUTE FUNCTION fail()"
    )
    with pytest.raises(StateError, match=message) as caught:
        await store.put_failures("nightly", [failed("a")])
    assert "so it is" in str(caught.value)
    assert "remove" not in str(caught.value)


async def test_a_connection_that_was_lost(store: StateStore, hand: Hand) -> None:
    """The next call has a new one."""
    await store.put_failures("nightly", [failed("a")])
    await hand(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert await store.failures("nightly") == [failed("a")]


async def test_a_user_without_rights(url: str, store: StateStore, hand: Hand) -> None:
    """What may be read is read."""
    await hand("DROP ROLE IF EXISTS guest")
    await hand("CREATE ROLE guest LOGIN PASSWORD 'welcome'")
    try:
        guest = changed(url, username="guest", password="welcome")
        assert "is not open to this user: grant" in await refused(guest)
        await hand("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
        async with StateSettings(url=guest).open() as reader:
            assert await reader.runs() == await store.runs()
            with pytest.raises(StateError, match="is not open to this user"):
                await reader.add_trigger("nightly")
    finally:
        await hand("DROP OWNED BY guest")
        await hand("DROP ROLE guest")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("53100", "make room on its disk"),
        ("25006", "name the primary server"),
        ("55P03", "see which session holds it"),
        ("XX000", "fails (so it is)"),
    ],
)
async def test_errors_of_the_server(
    store: StateStore, hand: Hand, state: str, message: str
) -> None:
    """Raised by the server itself; nothing was written."""
    await hand(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END $$"
    )
    await hand(
        "CREATE TRIGGER fail AFTER INSERT ON catalogsync_trigger"
        " EXECUTE FUNCTION fail()"
    )
    with pytest.raises(StateError) as caught:
        await store.add_trigger("nightly")
    assert message in str(caught.value)
    assert "so it is" in str(caught.value)
    assert await store.triggers() == []
