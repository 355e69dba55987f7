"""The SQL sink when PostgreSQL does not do what it should."""

from __future__ import annotations

from typing import Any

import pytest
from tests.adapters.sql_databases import (
    POSTGRES,
    Hand,
    assert_no_secret,
    refused_setting,
)
from tests.adapters.sql_products import (
    ALL,
    apply,
    creation,
    find_one,
    found,
    product,
)

from catalogsync.adapters.sql import SQLSettings, SQLSink
from catalogsync.errors import (
    MisconfiguredError,
    TransientError,
)

postgres_only = pytest.mark.parametrize("database", POSTGRES, indirect=True)


@postgres_only
@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"password": "s3cret"}, "does not accept the user or the password"),
        ({"database": "nowhere"}, "does not exist"),
        ({"query": {"colour": "red"}}, "unknown parameter"),
        ({"query": {"sslmode": "maybe"}}, "wrong parameter"),
    ],
    ids=["password", "database", "parameter", "sslmode"],
)
async def test_a_server_that_does_not_let_us_in(
    database: str, part: Any, problem: str
) -> None:
    """The setting is named, and what is wrong with it."""
    error = await refused_setting(changed(database, **part))
    assert problem in str(error)
    assert_no_secret(error, "s3cret")


def changed(url: str, **parts: Any) -> str:
    """The URL with other parts."""
    from sqlalchemy import make_url

    return make_url(url).set(**parts).render_as_string(hide_password=False)


@postgres_only
async def test_a_server_that_is_down(database: str) -> None:
    """It may come back."""
    for part in ({"port": 1}, {"host": "nowhere.invalid"}):
        with pytest.raises(TransientError, match="cannot be reached"):
            async with SQLSettings(url=changed(database, **part)).open():
                pass


@postgres_only
async def test_a_server_without_encryption(database: str) -> None:
    """`sslmode` means what it means elsewhere."""
    async with SQLSettings(url=f"{database}?sslmode=disable").open() as sink:
        assert await find_one(sink) is None
    with pytest.raises(TransientError, match="SSL"):
        async with SQLSettings(url=f"{database}?sslmode=require").open():
            pass


@postgres_only
async def test_a_connection_that_was_lost(sink: SQLSink, hand: Hand) -> None:
    """The next call has a new one."""
    await apply(sink, product())
    await hand(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(TransientError):
        await sink.find([product()], fields=ALL)
    assert (await found(sink)).product.title == "Mascara"


@postgres_only
@pytest.mark.parametrize(
    ("state", "error", "problem"),
    [
        ("53100", MisconfiguredError, "the database cannot grow: make room"),
        ("25006", MisconfiguredError, "the database is read-only"),
        ("26000", MisconfiguredError, "a pooler that mixes up prepared statements"),
        ("42501", MisconfiguredError, "the database is not open to this user"),
        ("42601", MisconfiguredError, "does not understand a statement"),
        ("42703", MisconfiguredError, "a column is missing"),
        ("42804", MisconfiguredError, "a column has another type"),
        ("42P01", MisconfiguredError, "a table is missing"),
        ("42P05", MisconfiguredError, "a pooler that mixes up prepared statements"),
        ("42P07", MisconfiguredError, "belongs to something else"),
        ("42P10", MisconfiguredError, "a unique index is missing"),
        ("42P17", MisconfiguredError, "refuses a statement"),
        ("40P01", TransientError, "not ready"),
        ("XX000", TransientError, "failed"),
    ],
)
async def test_errors_of_the_server(
    sink: SQLSink, hand: Hand, state: str, error: type[Exception], problem: str
) -> None:
    """Raised by the server itself, from within the batch."""
    await sink.write([])
    await hand(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END $$"
    )
    await hand("CREATE TRIGGER fail BEFORE INSERT ON price EXECUTE FUNCTION fail()")
    with pytest.raises(error, match=problem) as caught:
        await sink.write([creation()])
    assert "so it is" in str(caught.value)
    assert await find_one(sink) is None


@postgres_only
async def test_a_user_without_rights(database: str, sink: SQLSink, hand: Hand) -> None:
    """The check finds it, and a write says so."""
    await sink.write([])
    await hand("DROP ROLE IF EXISTS guest")
    await hand("CREATE ROLE guest LOGIN PASSWORD 'welcome'")
    await hand("GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
    guest = changed(database, username="guest", password="welcome")
    async with SQLSettings(url=guest).open() as reader:
        assert await find_one(reader) is None
        (finding,) = await reader.check()
        assert not finding.ok
        with pytest.raises(MisconfiguredError, match="is not open to this user: grant"):
            await reader.write([creation()])
    await hand("DROP OWNED BY guest")
    await hand("DROP ROLE guest")
