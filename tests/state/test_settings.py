"""The settings of the state store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.sql_databases import assert_no_secret

from catalogsync.errors import MisconfiguredError, MissingExtraError
from catalogsync.state import StateSettings
from catalogsync.state.protocols import RunRecord


@pytest.mark.parametrize(
    "url",
    [
        *("", "runs.db", "memory", "mysql://host/db", "sqlite:runs.db"),
        *("sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///runs.db?mode=ro"),
    ],
)
def test_other_urls_are_not_taken(url: str) -> None:
    """The message says what is."""
    with pytest.raises(MisconfiguredError, match="sqlite:///") as caught:
        StateSettings(url=url)
    assert caught.value.setting == "url"


@pytest.mark.parametrize(
    "values", [{"keep_days": 0}, {"keep_runs": 0}, {"keep_days": float("nan")}]
)
def test_numbers_out_of_range(values: Any) -> None:
    """The setting is named."""
    with pytest.raises(MisconfiguredError, match="more than 0") as caught:
        StateSettings(**values)
    assert caught.value.setting in values


def test_the_password_is_not_shown() -> None:
    """Nor any other part of the URL."""
    settings = StateSettings(url="postgresql://me:s3cret@host/db", keep_days=7)
    expected = "StateSettings(keep_days=7, keep_runs=200)"
    assert repr(settings) == expected


async def test_a_password_that_splits_the_url() -> None:
    """It is said how to write it, and the password is not shown."""
    secret = "s3cret"
    settings = StateSettings(url=f"postgresql://me:{secret}@x:y@host/db")
    with pytest.raises(MisconfiguredError, match="write @ as %40") as caught:
        async with settings.open():
            pass
    assert_no_secret(caught.value, secret)


@pytest.mark.parametrize("module", ["sqlalchemy", "greenlet", "asyncpg"])
async def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """One line that says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        async with StateSettings(url="postgresql://host/db").open():
            pass
    expected = "a state store on PostgreSQL needs: pip install 'catalogsync[sql]'"
    assert str(caught.value) == expected


def test_a_file_needs_no_sqlalchemy(tmp_path: Path) -> None:
    """It is not even imported, also where it is installed."""
    program = (
        "import sys, asyncio\n"
        "from catalogsync.state import StateSettings\n"
        "async def main():\n"
        f"    async with StateSettings(url='sqlite:///{tmp_path}/runs.db').open(): pass\n"
        "asyncio.run(main())\n"
        "sys.exit('sqlalchemy' in sys.modules or 'aiohttp' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_a_path_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three slashes; the folder is made."""
    monkeypatch.chdir(tmp_path)
    async with StateSettings(url="sqlite:///state/runs.db").open():
        assert (tmp_path / "state" / "runs.db").is_file()


async def test_a_store_in_memory() -> None:
    """Empty when opened, gone when closed, and every one for itself."""
    settings = StateSettings()
    async with settings.open() as one, settings.open() as other:
        await one.add_trigger("nightly")
        assert await other.triggers() == []


async def test_old_runs_are_forgotten_at_the_end(tmp_path: Path) -> None:
    """By age and by number, as the settings say."""
    url = f"sqlite:///{tmp_path}/runs.db"

    async def left(**settings: float) -> list[str]:
        async with StateSettings(url=url, **settings).open():  # type: ignore[arg-type]
            pass
        async with StateSettings(url=url, keep_days=1e6).open() as store:
            return [record.run_id for record in await store.runs()]

    async with StateSettings(url=url, keep_days=1e6).open() as store:
        for number in range(4):
            record = RunRecord(
                run_id=f"r{number}", job="j", source="s", sink="t", started_at=number
            )
            await store.begin_run(record)
    assert await left(keep_days=1e6, keep_runs=3) == ["r3", "r2", "r1"]
    assert await left() == ["r3"]
